"""A power cut takes the end of SQLite's log: what is left of a picture's job is still in order.

Names and the marks that say whose they are stand in one database here, and most marks are not
waited for. Every beginning of the log that ends with a transaction is what a power cut may leave.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.contract.test_local_library import check

from facelabel.adapters.store.jobs import StoreQueue
from facelabel.adapters.store.ledger.ledger import StoreLedger
from facelabel.adapters.store.library.library import LocalLibrary
from facelabel.adapters.store.sql.database import Database
from facelabel.core.jobs import JobKind
from facelabel.core.label_policy import LabelPolicy
from facelabel.core.model import NameState
from facelabel.recognition.pipeline import Pipeline
from facelabel.recognition.worker import Worker, handlers
from facelabel.testing import ManualClock, MemoryRecognizer, portrait

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from facelabel.media.types import Change

#: Of SQLite's log, and of each page in it, as its file format says.
HEADER, FRAME_HEADER = 32, 24


@dataclass
class Site:
    """An installation on one SQLite database; who was learnt is on disk elsewhere."""

    library: LocalLibrary
    ledger: StoreLedger
    queue: StoreQueue
    worker: Worker

    @classmethod
    def on(cls, database: Database, root: Path, recognizer: MemoryRecognizer, now: float) -> Site:
        """As it is wired where pictures are on this computer."""
        clock = ManualClock(now)
        ledger = StoreLedger(database, names_beside=True)
        queue = StoreQueue(database, clock)

        def follow(connection: Connection, change: Change) -> None:
            for pair in change.assets:
                if asset := pair.after or pair.before:
                    queue.enqueue_in(connection, JobKind.ASSET, asset.asset_id)

        library, quiet = (
            LocalLibrary(database, root, clock, on_change=told, check=check)
            for told in (follow, None)
        )
        pipeline = Pipeline(quiet, recognizer, ledger, queue, clock, LabelPolicy())
        return cls(library, ledger, queue, Worker(queue, handlers(pipeline), clock))

    def upload(self, *people: str, name: str, tags: tuple[str, ...] = ()) -> str:
        """Put a picture of these people in the place of the one of that name, and work."""
        folder = name.partition("/")[0]
        data = portrait(*people)
        asset = self.library.upload(data, folder=folder, public_id=name, tags=tags)
        self.work()
        return asset.asset_id

    def work(self) -> None:
        """Work until nothing is left."""
        self.worker.drain()
        assert not self.queue.pending()

    def tags(self, asset_id: str) -> set[str]:
        """What stands on a picture."""
        asset = self.library.asset(asset_id)
        return set(asset.tags) if asset else set()


def commits(log: bytes) -> Iterator[int]:
    """Where each transaction of the log ends, and where the first begins."""
    page = int.from_bytes(log[8:12], "big")
    yield HEADER
    for end in range(HEADER + FRAME_HEADER + page, len(log) + 1, FRAME_HEADER + page):
        start = end - FRAME_HEADER - page
        if int.from_bytes(log[start + 4 : start + 8], "big"):  # pages of the file, if it is one
            yield end


def test_no_name_of_ours_is_taken_for_a_persons_nor_a_persons_for_ours(
    sqlite: Database, tmp_path: Path
) -> None:
    path, root, recognizer = tmp_path / "facelabel.db", tmp_path / "originals", MemoryRecognizer()
    written = tmp_path / "facelabel.db-wal"
    site = Site.on(sqlite, root, recognizer, 1_700_000_000.0)
    for person in ("Ann", "Ben"):
        site.upload(person.lower(), name=f"training/{person}", tags=(f"faceLabel:{person}",))
    # Its file stays when the picture below is replaced, as no power cut brings files back.
    site.library.upload(portrait("ann", "ben"), folder="elsewhere", public_id="copy")
    with contextlib.closing(sqlite3.connect(path)) as reader:
        reader.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        before = path.read_bytes()
        reader.execute("BEGIN")  # keeps the log from being begun anew
        reader.execute("SELECT * FROM gallery").fetchall()
        photo = site.upload("ann", "ben", name="assets/party", tags=("Zoë",))
        searched = written.stat().st_size
        assert site.tags(photo) == {"Ann", "Ben", "Zoë"}
        site.library.remove_tags(photo, ["Ben"])  # a person says: not him
        said = written.stat().st_size
        site.work()
        assert site.ledger.names(photo)["Ben"] is NameState.REFUSED
        decided = written.stat().st_size
        site.upload("ben", name="assets/party", tags=("Zoë",))
        log = written.read_bytes()
    left_over = list(commits(log))
    assert {searched, said, decided, len(log)} <= set(left_over)
    for length in left_over:
        folder = tmp_path / str(length)
        folder.mkdir()
        (folder / path.name).write_bytes(before)
        (folder / written.name).write_bytes(log[:length])
        with contextlib.closing(Database(f"sqlite:///{folder / path.name}")) as database:
            after = Site.on(database, root, recognizer, 1_700_001_000.0)
            assert after.tags(photo) - after.ledger.names(photo).keys() <= {"Zoë"}
            after.work()
            tags, marks = after.tags(photo), after.ledger.names(photo)
            assert set(marks.values()) <= {NameState.WRITTEN, NameState.REFUSED}
            ours = {name for name, state in marks.items() if state is NameState.WRITTEN}
            asset = after.library.asset(photo)
            if asset is None:  # the cut came before its upload
                assert not marks
                continue
            replaced = after.library.fetch(asset) == portrait("ben")
            expected = {"Ben"} if replaced else {"Ann"} if length >= said else {"Ann", "Ben"}
            assert ours == expected
            assert tags == expected | {"Zoë"}
            assert marks.keys() - ours == ({"Ben"} if expected == {"Ann"} else set())
