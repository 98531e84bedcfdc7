"""The core on its in-memory ports."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from facelabel.core.jobs import JobKind, JobState
from facelabel.core.label_policy import LabelPolicy
from facelabel.core.names import ERROR_KEY
from facelabel.recognition.pipeline import Pipeline
from facelabel.recognition.reconcile import Reconciler
from facelabel.recognition.worker import Worker, handlers
from facelabel.testing import (
    ManualClock,
    MemoryLedger,
    MemoryLibrary,
    MemoryQueue,
    MemoryRecognizer,
    portrait,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from facelabel.core.jobs import Job
    from facelabel.core.model import Asset, ProbeResult
    from facelabel.recognition.live_gallery import PaidSearchPolicy
    from facelabel.recognition.worker import Done

NOBODY = 65534


class Overtaken(MemoryRecognizer):
    """Something happens elsewhere just after a call has got its answer."""

    def __init__(self, event: Callable[[], None]) -> None:
        """``event``: what happens, once."""
        super().__init__()
        self._event = event

    def identify(self, collection: str, image: bytes, asset: Asset | None = None) -> ProbeResult:
        """See :class:`facelabel.recognition.ports.Recognizer`."""
        seen = super().identify(collection, image, asset)
        event, self._event = self._event, lambda: None
        event()
        return seen


class Bench:
    """A library, an index and a worker, in memory."""

    def __init__(
        self, label_policy: LabelPolicy | None = None, paid_searches: PaidSearchPolicy | None = None
    ) -> None:
        """Start empty; with ``paid_searches`` the recogniser keeps nothing of what it saw."""
        self.clock = ManualClock()
        self.queue = MemoryQueue(self.clock)
        self.library = MemoryLibrary(self.clock, lambda i: self.queue.enqueue(JobKind.ASSET, i))
        self.recognizer = MemoryRecognizer(keeps=paid_searches is None)
        self.ledger = MemoryLedger()
        self.pipeline = Pipeline(
            self.library.silently(), self.recognizer, self.ledger, self.queue, self.clock,
            label_policy or LabelPolicy(), paid_searches,
        )  # fmt: skip
        self.reconciler = Reconciler.of(self.pipeline)
        self.worker = Worker(self.queue, handlers(self.pipeline), self.clock)

    @classmethod
    def of(cls, other: Bench, ledger: MemoryLedger) -> Bench:
        """Another one of the same library and the same recogniser."""
        bench = cls()
        bench.library, bench.recognizer, bench.ledger = other.library, other.recognizer, ledger
        library = other.library.silently()
        bench.pipeline = replace(
            bench.pipeline, library=library, recognizer=other.recognizer, ledger=ledger
        )
        bench.reconciler = Reconciler.of(bench.pipeline)
        bench.worker = Worker(bench.queue, handlers(bench.pipeline), bench.clock)
        return bench

    def upload(
        self, *people: str, folder: str = "assets", tags: Sequence[str] = (), name: str = ""
    ) -> str:
        """Upload a picture of these people; return its asset_id."""
        public_id = name or f"{folder}/{len(list(self.library.assets('')))}"
        data = portrait(*people)
        asset = self.library.upload(data, folder=folder, public_id=public_id, tags=tags)
        return asset.asset_id

    def learn(self, person: str, label: str | None = None) -> str:
        """Upload a labelled portrait and work."""
        tags = [f"faceLabel:{label or person.capitalize()}"]
        asset_id = self.upload(person, folder="training", tags=tags)
        self.work()
        return asset_id

    def work(self) -> list[Done]:
        """Work until nothing is left that is due soon; return what was done."""
        done: list[Done] = []
        self.worker.drain(done.append)
        return done

    def asset(self, asset_id: str) -> Asset:
        """The asset as it is now."""
        asset = self.library.asset(asset_id)
        assert asset is not None
        return asset

    def names(self, asset_id: str) -> set[str]:
        """The tags of an asset but labels and face ids."""
        return {t for t in self.asset(asset_id).tags if not t.startswith(("faceLabel:", "faceId:"))}

    def error(self, asset_id: str) -> str | None:
        """What the image says is wrong with it."""
        return self.asset(asset_id).context.get(ERROR_KEY)

    def enrolled(self) -> dict[str, str]:
        """Person by face_id, checked to be the same in ledger and collection."""
        collection = self.pipeline.gallery.collection()
        faces = {face.face_id: face.person for face in self.recognizer.faces(collection)}
        assert faces == {e.face_id: e.person for e in self.ledger.enrolments(collection)}
        return faces

    def people(self) -> list[str]:
        """Who is enrolled, once for each face."""
        return sorted(self.enrolled().values())

    def dead(self) -> list[Job]:
        """The dead letters."""
        return list(self.queue.jobs(JobState.DEAD, limit=10_000))


@pytest.fixture
def bench() -> Bench:
    """Return an empty library with a worker, in memory."""
    return Bench()


@pytest.fixture
def as_nobody() -> Iterator[Path]:
    """A folder, and no rights but its owner's: root would be kept from nothing."""
    if sys.platform == "win32":
        pytest.skip("rights are another matter on Windows")
    with tempfile.TemporaryDirectory() as name:
        root = os.geteuid() == 0
        if root:
            os.chown(name, NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            yield Path(name)
        finally:
            if root:
                os.seteuid(0)
