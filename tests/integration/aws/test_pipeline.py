"""The whole way of a picture with ledger and queue on AWS, and several workers at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.integration.aws.moto_server import client, new_queues
from tests.waiting import until

from facelabel.adapters.aws.leases import AssetLocks, Waiting
from facelabel.adapters.aws.ledger import DynamoLedger
from facelabel.adapters.aws.sqs import SqsQueue
from facelabel.adapters.clock import SystemClock
from facelabel.core.jobs import JobKind
from facelabel.core.label_policy import LabelPolicy
from facelabel.recognition.pipeline import Pipeline
from facelabel.recognition.worker import Worker, handlers
from facelabel.testing import MemoryLibrary, MemoryRecognizer, portrait

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.adapters.aws.table import Table
    from facelabel.core.jobs import Job, Outcome

LEASE = 60.0


class Deployment:
    """A library and a recogniser in memory; everything else as on AWS."""

    def __init__(self, table: Table) -> None:
        """Start empty."""
        self.clock = SystemClock()
        waiting = Waiting(table, self.clock)
        self.queue = SqsQueue(
            client("sqs"), *new_queues(), self.clock, waiting=waiting, lease=LEASE, wait=0
        )
        self.ledger = DynamoLedger(table)
        self.library = MemoryLibrary(self.clock)
        self.pipeline = Pipeline(
            self.library, MemoryRecognizer(), self.ledger, self.queue, self.clock, LabelPolicy()
        )
        self.locks = AssetLocks(table, self.clock, lease=LEASE)

    def upload(self, *people: str, folder: str = "assets", tags: Sequence[str] = ()) -> str:
        """Upload a picture; return its asset_id. Nobody is told."""
        public_id = f"{folder}/{'-'.join(people)}"
        data = portrait(*people)
        return self.library.upload(data, folder=folder, public_id=public_id, tags=tags).asset_id

    def work(self) -> None:
        """Work until nothing is left, not even what waits: SQS does not tell for how long."""
        worker = Worker(self.queue, handlers(self.pipeline), self.clock)

        def is_worked_off() -> bool:
            worker.drain()
            # Its counts are taken one after the other: what becomes due in between is in none of
            # them, and in the next ones.
            return not self.queue.pending() and not self.queue.pending()

        until(is_worked_off)

    def examine(self, job: Job) -> Outcome:
        """Look at an asset while nobody else does."""
        with self.locks.hold(job.key):
            return self.pipeline.examine(job)

    def names(self, asset_id: str) -> set[str]:
        """The tags that are neither labels nor face ids."""
        asset = self.library.asset(asset_id)
        assert asset
        return {t for t in asset.tags if not t.startswith(("faceLabel:", "faceId:"))}


@pytest.fixture
def deployment(table: Table) -> Deployment:
    return Deployment(table)


def test_a_picture_gets_its_names_and_the_sweep_those_learnt_later(deployment: Deployment) -> None:
    picture = deployment.upload("ann", "bob")
    deployment.queue.enqueue(JobKind.ASSET, picture)
    deployment.work()
    assert deployment.names(picture) == set()
    for person in ("ann", "bob"):
        tags = [f"faceLabel:{person.capitalize()}"]
        deployment.queue.enqueue(
            JobKind.ASSET, deployment.upload(person, folder="training", tags=tags)
        )
    deployment.work()
    assert deployment.names(picture) == {"Ann", "Bob"}
    assert deployment.queue.pending() == 0
    assert list(deployment.queue.jobs()) == []


def test_the_same_job_at_once_and_again_has_one_effect(deployment: Deployment) -> None:
    portrait_id = deployment.upload("ann", folder="training", tags=["faceLabel:Ann"])
    for _ in range(4):
        deployment.queue.enqueue(JobKind.ASSET, portrait_id)
    jobs = [job for _ in range(4) if (job := deployment.queue.claim())]
    assert len(jobs) == 4
    with ThreadPoolExecutor(4) as pool:
        kinds = sorted(outcome.kind for outcome in pool.map(deployment.examine, jobs))
    assert kinds == ["learnt", "unchanged", "unchanged", "unchanged"]
    collection = deployment.pipeline.gallery.collection()
    faces = [face.face_id for face in deployment.pipeline.recognizer.faces(collection)]
    assert [line.face_id for line in deployment.ledger.enrolments(collection)] == faces
    assert len(faces) == 1
    assert list(deployment.ledger.faces_to_delete(collection)) == []
