"""Somebody who is new here: an empty home with some pictures, a shell, and no account."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from PIL import Image, ImageFilter

from facelabel.engine.models.samples import sample_photos, two_people

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Walk:
    """A home, a shell, and what was not as expected."""

    home: Path
    environment: dict[str, str]
    unexpected: list[str] = field(default_factory=list)

    def __call__(self, command: str, *statuses: int, columns: int = 0, **settings: str) -> str:
        """Type a command, as in a terminal of that width or else into a pipe; what it printed.

        ``statuses``: those that may be expected; none: 0.
        """
        shown = " ".join(f"{name}={shlex.quote(value)}" for name, value in settings.items())
        print(
            f"\n$ {shown}{' ' * bool(shown)}{command}" + f"   # {columns} columns" * bool(columns)
        )
        started = time.perf_counter()
        wrapped = command
        if columns:
            wrapped = f"stty cols {columns} rows 40; {command}"
            wrapped = f"script --quiet --return --command {shlex.quote(wrapped)} /dev/null"
        ran = subprocess.run(
            ["bash", "-o", "pipefail", "-c", wrapped], cwd=self.home, text=True, errors="replace",
            env=self.environment | settings, check=False, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        printed = _as_left(ran.stdout)
        print(printed.rstrip("\n"))
        seconds = time.perf_counter() - started
        print(f"[{ran.returncode}, {seconds:.1f} s, {printed.count(chr(10))} lines]", flush=True)
        if ran.returncode not in (statuses or (0,)):
            self.unexpected.append(f"{ran.returncode} of: {command}")
            print(f"!!! not expected: {ran.returncode}")
        return printed

    @contextmanager
    def serving(self, port: int, **settings: str) -> Iterator[None]:
        """Have a server beside."""
        print(f"\n$ facelabel serve &   # port {port}")
        with (self.home / f"serve-{port}.log").open("w") as log:
            process = subprocess.Popen(
                ["facelabel", "serve"], cwd=self.home, stdout=log, stderr=log,
                env=self.environment | settings | {"FACELABEL_PORT": str(port)},
            )  # fmt: skip
        try:
            while process.poll() is None and not _answers(port):
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait()
            print((self.home / f"serve-{port}.log").read_text("utf-8").rstrip())

    def python(self, program: str, *statuses: int, **settings: str) -> str:
        """Run lines of Python."""
        (self.home / "program.py").write_text(program, "utf-8")
        print("\n" + program.rstrip())
        return self("python program.py", *statuses, **settings)

    def account(self) -> str:
        """The CLOUDINARY_URL of the server that stands for an account."""
        keys = self.home / "account" / "keys.json"
        found = re.search(r'"key": "(\w+)",\s+"secret": "(\w+)"', keys.read_text("utf-8"))
        assert found
        where = f"127.0.0.1:{self.environment['ACCOUNT_PORT']}"
        return (
            f"cloudinary://{found[1]}:{found[2]}@local?upload_prefix=http://{where}&cname={where}"
        )


def furnish(home: Path, models: Path, portraits: Path | None, photos: Path | None) -> None:
    """Put pictures into the home: those given, else the samples."""
    samples = sample_photos(models)
    for name, file in (("Barack Obama", "obama"), ("Joe Biden", "biden")):
        (home / "portraits" / name).mkdir(parents=True)
        shutil.copy(samples / f"{file}.jpg", home / "portraits" / name)
    (home / "photos").mkdir()
    (home / "two.jpg").write_bytes(two_people(samples))
    for file in ("obama2.jpg", "obama3.jpg", "obama_partial_face.jpg"):
        shutil.copy(samples / file, home / "photos")
    shutil.copy(home / "two.jpg", home / "photos")
    shutil.copy(samples / "obama.jpg", home / "portrait.jpg")
    with Image.open(samples / "obama.jpg") as picture:
        picture.filter(ImageFilter.GaussianBlur(12)).save(home / "blurred.jpg")
        picture.crop((0, 0, 200, 150)).save(home / "nobody.jpg")
    for given, into in ((portraits, home / "portraits"), (photos, home / "photos")):
        if given:
            shutil.copytree(given, into, dirs_exist_ok=True)


def surroundings(home: Path, models: Path, program: Path | None) -> dict[str, str]:
    """Our environment with an empty home and without anybody's account."""
    others = ("FACELABEL", "AWS_", "CLOUDINARY", "XDG_")
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(others)}
    places = home.parent / "bin"
    places.mkdir()
    ours = shlex.join([str(program)] if program else [sys.executable, "-m", "facelabel"])
    for name, command in (("facelabel", ours), ("python", shlex.quote(sys.executable))):
        (places / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n', "utf-8")
        (places / name).chmod(0o755)
    return {
        **kept, "HOME": str(home), "PATH": f"{places}{os.pathsep}{kept['PATH']}",
        "FACELABEL_MODELS": str(models), "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "ACCOUNT_PORT": str(free_port()),
        "AWS_EC2_METADATA_DISABLED": "true",
    }  # fmt: skip


def named(walk: Walk) -> tuple[str, str]:
    """The id of a picture with a name on it, and the name."""
    listed = subprocess.run(
        ["facelabel", "library", "assets", "--json"], cwd=walk.home, env=walk.environment,
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    known = set(people(walk))
    found = re.findall(r'"public_id": "(assets/[^"]+)".*?"tags": \[(.*?)\]', listed, re.DOTALL)
    for picture, tags in found:
        for person in known.intersection(re.findall(r'"([^"]+)"', tags)):
            return picture, person
    return "assets/two", min(known)


def people(walk: Walk) -> list[str]:
    """Whose portraits there are."""
    return sorted(folder.name for folder in (walk.home / "portraits").iterdir() if folder.is_dir())


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _as_left(printed: str) -> str:
    """What is left on a terminal: without the bars that moved there."""
    lines = printed.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    kept = (re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", line) for line in lines if "\u2501" not in line)
    return "\n".join(line for line in kept if line) + "\n" * printed.endswith("\n")


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
    except (OSError, urllib.error.URLError):
        return False
    return True
