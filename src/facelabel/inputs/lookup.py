"""Finding files by names that somebody wrote down, on another system perhaps.

Macs write an accent as a character of its own, Windows takes no notice of capitals and parts a
path with backslashes: a list made there and the files beside it may spell the same name in two
ways.
"""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    #: The names in a folder, by what is compared.
    Listing = Mapping[str, list[str]]


class Lookup:
    """Files below a folder; each folder is listed once."""

    def __init__(self, root: Path) -> None:
        """``root``: what relative names start from."""
        self._root = root
        self._listings: dict[tuple[Path, Callable[[str], str]], Listing] = {}

    def __call__(self, name: str) -> Path:
        """Return the file of exactly this name, else of one that reads the same.

        Without an exact one, accents may be composed or not; without that, capitals may differ.
        Where nothing is found, the name is returned as it is written, for its reader to fail.
        Raises Rejected if two files answer to the name.
        """
        spellings = list(_spellings(name))
        for spelling in spellings:
            if os.path.lexists(self._root / spelling):
                return self._root / spelling
        found = (self._step_by_step(spelling) for spelling in spellings)
        return next((path for path in found if path), self._root / name)

    def _step_by_step(self, name: str) -> Path | None:
        here = self._root
        for part in Path(name).parts:
            if os.path.lexists(here / part):
                here /= part
                continue
            match = self._match(here, part, _composed) or self._match(here, part, _folded)
            if match is None:
                return None
            here /= match
        return here

    def _match(self, folder: Path, name: str, key: Callable[[str], str]) -> str | None:
        found = self._listing(folder, key).get(key(name), [])
        if len(found) > 1:
            both = " and ".join(map(repr, sorted(found)))
            raise Rejected(f"{name!r} may mean {both} in {folder}: write the one that is meant")
        return found[0] if found else None

    def _listing(self, folder: Path, key: Callable[[str], str]) -> Listing:
        if (folder, key) not in self._listings:
            names = defaultdict(list)
            for name in _names(folder):
                names[key(name)].append(name)
            self._listings[folder, key] = names
        return self._listings[folder, key]


def _spellings(name: str) -> Iterator[str]:
    yield name
    if os.sep == "/" and "\\" in name:
        yield name.replace("\\", "/")


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:  # the reader of the file will say it
        return []


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return _composed(_composed(name).casefold())
