"""The API keys of the local library, in a file that nobody else on this computer can read.

Several may be active at once, so that clients change over one by one. The oldest signs.
"""

from __future__ import annotations

import json
import secrets
import string
from contextlib import contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock

from facelabel import files
from facelabel.core import nearest
from facelabel.errors import ConfigurationError, NotFound, Rejected
from facelabel.inputs import reading
from facelabel.media.types import ApiKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: Letters and digits alone: anything else in a CLOUDINARY_URL is a trap in one SDK or another.
_ALPHABET = string.ascii_letters + string.digits
_KEY_DIGITS = 15
_SECRET_LENGTH = 27


class KeyRing:
    """The keys in a file; read anew whenever it changed."""

    def __init__(self, path: Path) -> None:
        """``path``: the file, made at the first need; its folder must exist."""
        self._path = path
        self._read: tuple[tuple[int, int], tuple[ApiKey, ...]] | None = None

    def __call__(self) -> Sequence[ApiKey]:
        """The active keys, the oldest first."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return ()
        stamp = (status.st_mtime_ns, status.st_ino)
        if self._read is None or self._read[0] != stamp:
            self._read = stamp, _load(self._path)
        return self._read[1]

    def ensure(self) -> bool:
        """Make a first key if there is no file yet; whether one was made.

        A file without keys stays as it is: somebody closed every door.
        """
        if self._path.exists():
            return False
        with self._locked():
            if self._path.exists():
                return False
            self._write([_new()])
            return True

    def first_shown(self) -> bool:
        """Whether nobody has been shown the keys yet."""
        return not self._shown.exists()

    def note_shown(self) -> None:
        """From now on :meth:`first_shown` is False."""
        self._shown.touch(mode=files.PRIVATE.file)

    @property
    def _shown(self) -> Path:
        return self._path.with_suffix(".shown")

    def add(self) -> ApiKey:
        """Make one more key."""
        with self._locked():
            key = _new()
            self._write([*self(), key])
            return key

    def remove(self, name: str) -> None:
        """Revoke a key; NotFound, or Rejected for the last one."""
        with self._locked():
            left = [key for key in self() if key.key != name]
            if len(left) == len(self()):
                near = nearest.question(name, (key.key for key in left))
                raise NotFound(f"there is no key {name!r}{near or '; `facelabel keys` lists them'}")
            if not left:
                raise Rejected("this is the only key: add another one first")
            self._write(left)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with FileLock(self._path.with_suffix(".lock"), mode=files.PRIVATE.file):
            yield

    def _write(self, keys: Sequence[ApiKey]) -> None:
        """Replace the file in one step; nobody else may read it at any moment."""
        lines = [{"key": key.key, "secret": key.secret} for key in keys]
        files.replace(self._path, json.dumps(lines, indent=1).encode())


def _new() -> ApiKey:
    digits = "".join(secrets.choice(string.digits) for _ in range(_KEY_DIGITS - 1))
    secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
    return ApiKey(secrets.choice("123456789") + digits, secret)


def _load(path: Path) -> tuple[ApiKey, ...]:
    try:
        lines = json.loads(path.read_text("utf-8"))
        return tuple(ApiKey(str(line["key"]), str(line["secret"])) for line in lines)
    except OSError as error:
        raise ConfigurationError(f"the keys in {path} {reading.explain(error)}") from None
    except (ValueError, TypeError, KeyError):  # no detail: it might show a secret
        raise ConfigurationError(
            f"the keys in {path} cannot be read; mend the file, or delete it for new keys"
        ) from None
