"""A folder that several processes fill at once and any of which may be killed.

Whoever writes holds the lock; a file appears under its name whole and on disk, or not at all.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import filelock

from facelabel import files
from facelabel.errors import ConfigurationError, Unavailable
from facelabel.inputs import reading

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Long enough for another process to fetch the largest pack over a slow line, seconds.
_LOCK_TIMEOUT = 1800.0
_PARTIAL = ".partial-"


def check(folder: Path) -> None:
    """Raise ConfigurationError where a file stands in the folder's place, or in its way.

    No disk comes back and no network helps: it is the setting that is wrong.
    """
    for place in (folder, *folder.parents):
        if reading.is_folder(place):
            return
        if os.path.lexists(place):
            way = "" if place == folder else f": {place}"
            raise ConfigurationError(f"models={folder}{way} is a file, not a folder")


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Create ``folder`` and keep every other process out while the block runs.

    What a killed process left half done is removed first. Raises ConfigurationError where the
    folder may not be written or is none, Unavailable where it cannot be or stays locked for half
    an hour.
    """
    check(folder.parent)
    try:
        files.folder(folder, files.SHARED)
        with filelock.FileLock(folder.with_name(f"{folder.name}.lock"), timeout=_LOCK_TIMEOUT):
            _sweep(folder)
            yield
    except filelock.Timeout as error:
        raise Unavailable(f"another process has been writing to {folder} for too long") from error
    except PermissionError as error:
        raise ConfigurationError(f"the folder {folder} may not be written: {error}") from error
    except OSError as error:
        raise Unavailable(f"the folder {folder} cannot be written: {error}") from error


def write(path: Path, data: bytes) -> None:
    """Replace a file at once, on disk when this returns; for the holder of the lock.

    Everybody may read it: who installs models is often not who uses them.
    """
    files.replace(path, data, files.SHARED)


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """Return a temporary folder inside ``folder``; for the holder of the lock."""
    with tempfile.TemporaryDirectory(prefix=_PARTIAL, dir=folder) as path:
        yield Path(path)


def _sweep(folder: Path) -> None:
    for left in (*folder.glob(f"{_PARTIAL}*"), *folder.glob(f"*{files.TEMPORARY}")):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
