"""Which data folder belongs to the store.

The store says which originals there are, the folder holds them. A machine with the same store and
another folder would find none, and what it uploads nobody else would find. So both carry the same
id, and whoever is started with two that differ is refused. A copy of the folder, or the folder
itself on a shared disk, carries it along; a disk that is not mounted has none.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from facelabel import files
from facelabel.adapters.store.library.originals import (
    MARK,
    needed,
    newest,
    note_unused,
    unneeded,
)
from facelabel.adapters.store.sql import schema
from facelabel.adapters.store.sql.database import PAGE
from facelabel.errors import ConfigurationError, ForeignFolder, Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from facelabel.adapters.store.library.originals import Originals
    from facelabel.adapters.store.sql.database import Database

log = logging.getLogger(__name__)

#: Originals looked for to tell whether folder and store belong together.
SAMPLE = 20
#: Half of them are the newest: a copy of the folder lacks what was uploaded since.
NEWEST = SAMPLE // 2
_ROW = {"id": 1}
_LONGEST = 64


@dataclass(frozen=True, slots=True)
class Census:
    """The originals by store and folder."""

    #: Contents that pictures of the store, or their backups, have …
    wanted: int
    #: … that are not in the folder.
    missing: int
    #: Files of no picture of the store: if they are few they are deleted in time.
    others: int


class Installation:
    """A store and the folder that holds its originals."""

    def __init__(self, database: Database, folder: Path, originals: Originals) -> None:
        """``folder``: the data folder, which must exist. Nothing is looked at yet."""
        self._database = database
        self._folder = folder
        self._originals = originals

    def check(self) -> str:
        """Return the id that store and folder share; ForeignFolder if they do not.

        New ones get one. Where only one side has one, or neither, as before there were any,
        the originals decide. A copy of the folder has the id, too, and is told by what it lacks.
        """
        with self._database.read() as connection:
            stored, last = _stored(connection), newest(connection, NEWEST)
        if stored and stored == self._here():
            self._check_newest(last)
            return stored
        with self._database.transaction(alone="installation") as connection:
            stored, here = _stored(connection), self._here()
            if not self._belongs(connection, stored, here):
                raise ForeignFolder(self._refusal(connection, stored, here))
            return self._unite(connection, here or stored or _new())

    def adopt(self, *, force: bool = False) -> Census:
        """Make this the store's folder, whatever was, under an id that no other folder has.

        Raises Rejected, unless forced, if an original is missing or one of another store is here.
        Forced, it has the latter deleted.
        """
        census, others = self._compared()
        if not force and (census.missing or census.others):
            raise Rejected(
                f"{census.missing} of the store's {census.wanted} originals are not in"
                f" {self._folder}, and {census.others} files there are of no picture of the store;"
                " --force adopts the folder all the same, and has these files deleted"
            )
        with self._database.transaction(alone="installation") as connection:
            note_unused(self._database, connection, others)
            self._unite(connection, _new())
        return census

    def census(self) -> Census:
        """Compare every original of the store with the folder."""
        return self._compared()[0]

    def _compared(self) -> tuple[Census, set[str]]:
        """The census, and the digests of the others."""
        others = set(self._originals.all())
        wanted = missing = 0
        for digest in self._wanted():
            wanted += 1
            missing += digest not in others
            others.discard(digest)
        return Census(wanted, missing, len(others)), others

    def looked_for(self) -> tuple[int, int]:
        """How many of some originals of the store are not in the folder, and of how many."""
        with self._database.read() as connection:
            sample = _sample(connection)
        return len(self._absent(sample)), len(sample)

    def _absent(self, digests: Sequence[str]) -> list[str]:
        return [digest for digest in digests if not self._originals.path(digest).exists()]

    def _check_newest(self, last: Sequence[str]) -> None:
        """Refuse, or warn of, a copy of the folder that is another machine's, or from a backup.

        One that is missing may be lost, which is for its own job to tell.
        """
        missing = self._absent(last)
        with self._database.read() as connection:  # they may have been deleted meanwhile
            absent = len(missing) - len(unneeded(connection, missing)) if missing else 0
        if absent <= 1:
            return
        says = (
            f"{absent} of the newest {len(last)} originals are not in {self._folder}: is it a"
            " copy of the folder that another machine has, or one from a backup? Share that folder"
        )
        if absent == NEWEST:
            raise ForeignFolder(f"{says}; if it is lost: `facelabel adopt --force`")
        log.warning("%s; if they are lost, upload these pictures again, or delete them", says)

    def _belongs(self, connection: Connection, stored: str, here: str) -> bool:
        if stored and here:
            return stored == here
        if sample := _sample(connection):
            absent = len(self._absent(sample))
            return absent * 2 <= len(sample)  # an old installation may have lost some
        # Without a picture there is nothing to compare: neither side may know of another.
        return not stored and not any(True for _ in self._originals.all())

    def _refusal(self, connection: Connection, stored: str, here: str) -> str:
        ids = f"id {here or 'none'} there, {stored or 'none'} in the store"
        if stored or _sample(connection):
            return (
                f"the data folder {self._folder} is not the one that holds the store's originals"
                f" ({ids}). Point data to that folder, shared or mounted on this machine; if it"
                " was moved here: `facelabel adopt`"
            )
        return (
            f"the data folder {self._folder} holds the originals of another store ({ids}): this"
            " one is empty and would have them deleted. Give it another folder (data), or look at"
            " the setting store; if it is to have this folder: `facelabel adopt --force`"
        )

    def _unite(self, connection: Connection, identity: str) -> str:
        """Write the id on both sides: on disk here before the store's own is."""
        if self._here() != identity:
            self._write(identity)
        connection.execute(schema.installation.delete())
        connection.execute(schema.installation.insert(), _ROW | {"folder": identity})
        return identity

    @property
    def _mark(self) -> Path:
        """The folder's side: a line of text beside the originals, wherever they are mounted."""
        return self._originals.root / MARK

    def _here(self) -> str:
        """The folder's id; "" if it has none."""
        try:
            text = self._mark.read_text("ascii")[:_LONGEST].strip()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{self._mark} cannot be read: {error}") from error
        if not text:
            raise ConfigurationError(f"{self._mark} is empty: delete it")
        return text

    def _write(self, identity: str) -> None:
        self._originals.make()
        try:
            files.replace(self._mark, f"{identity}\n".encode())
        except OSError as error:
            raise ConfigurationError(f"{self._mark} cannot be written: {error}") from error

    def _wanted(self) -> Iterator[str]:
        """Digest of every original that the store needs, each once."""
        last = ""
        while True:
            with self._database.read() as connection:
                digests = needed(connection, last, PAGE)
            if not digests:
                return
            yield from digests
            last = digests[-1]


def _sample(connection: Connection) -> list[str]:
    """Some originals that the store needs: the newest, and the first by content, which is any."""
    last = newest(connection, NEWEST)
    return list(dict.fromkeys([*last, *needed(connection, "", SAMPLE)]))[:SAMPLE]


def _stored(connection: Connection) -> str:
    return str(connection.execute(select(schema.installation.c.folder)).scalar() or "")


def _new() -> str:
    return secrets.token_hex(8)
