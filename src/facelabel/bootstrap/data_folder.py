"""The data folder: made private, kept private, and what is to be said where that cannot be."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from facelabel import files
from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

#: Of processes that write nothing for others to read, whatever comes to write a file in them.
PRIVATE_UMASK = 0o077
_DATABASE = ("facelabel.db", "facelabel.db-wal", "facelabel.db-shm", "facelabel.db-journal")
#: All that is ever put there by us.
OURS = frozenset(
    {
        *_DATABASE, "originals", "vectors", "derived", "uploads", "calibration", "installation",
        "keys.json", "keys.lock", "keys.shown", "triggers.json",
    }
)  # fmt: skip
#: What a file system has of its own.
_MOUNTED = frozenset({"lost+found"})


def prepare(folder: Path) -> None:
    """Make the folder, for us alone; one that others may enter is closed, if it is ours to close.

    A folder in which other things lie, too, stays as it is, and only what is ours is closed.
    Raises ConfigurationError where it can neither be made nor read.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        files.folder(folder)
        present = set(os.listdir(folder))  # noqa: PTH208 - their names alone
    except OSError as error:
        raise ConfigurationError(
            f"the data folder {folder} cannot be made or read: {error.strerror or error}"
        ) from error
    for name in OURS & present:
        files.tighten(folder / name)
    if present <= OURS | _MOUNTED:
        files.tighten(folder)


def exposed(folder: Path) -> list[str]:
    """What of ours other users of this computer may read; nothing where they may not enter."""
    if not files.is_open(folder):
        return []
    return sorted(name for name in OURS if files.is_open(folder / name))
