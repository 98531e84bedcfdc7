"""The name of the live collection outlives the table, in a parameter of SSM."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from tests.integration.aws.moto_server import client, new_queues, new_table

from facelabel.adapters.aws.leases import Waiting
from facelabel.adapters.aws.ledger import DynamoLedger
from facelabel.adapters.aws.sqs import SqsQueue
from facelabel.adapters.aws.table import LiveName
from facelabel.adapters.clock import SystemClock
from facelabel.core.jobs import JobKind
from facelabel.core.label_policy import LabelPolicy
from facelabel.errors import Unavailable
from facelabel.recognition.pipeline import Pipeline
from facelabel.recognition.reconcile import Reconciler
from facelabel.recognition.worker import Worker, handlers
from facelabel.testing import MemoryLibrary, MemoryRecognizer, portrait

if TYPE_CHECKING:
    from facelabel.adapters.aws.table import Change, Table

FIRST, NEXT = "cld-rekog", "cld-rekog-2"


@pytest.fixture
def live_name() -> LiveName:
    """Return the name in a parameter that nobody has written yet."""
    return LiveName(client("ssm"), f"/{uuid.uuid4().hex}/collection")


class Doomed:
    """A table whose worker dies the moment it would make a collection the live one."""

    def __init__(self, table: Table) -> None:
        """Stand before this table."""
        self._table = table

    def __getattr__(self, name: str) -> object:
        """Everything else is as ever."""
        return getattr(self._table, name)

    def write(self, change: Change) -> bool:
        """Die."""
        if change.key == ("gallery", "live"):
            raise Unavailable("killed")
        return self._table.write(change)


def test_without_a_name_it_begins_with_the_settings_one(table: Table, live_name: LiveName) -> None:
    assert live_name.read() is None
    assert DynamoLedger(table, live_name).begin(FIRST) == FIRST


def test_an_empty_table_begins_where_the_lost_one_was(table: Table, live_name: LiveName) -> None:
    ledger = DynamoLedger(table, live_name)
    ledger.begin(FIRST)
    ledger.switch(NEXT)
    assert live_name.read() == NEXT
    assert DynamoLedger(new_table(), live_name).begin(FIRST) == NEXT
    assert DynamoLedger(new_table()).begin(FIRST) == FIRST


def test_the_table_has_the_last_word(table: Table, live_name: LiveName) -> None:
    """Somebody's hand in the parameter changes nothing while there is a table."""
    ledger = DynamoLedger(table, live_name)
    ledger.begin(FIRST)
    live_name.write("elsewhere")
    assert ledger.begin(FIRST) == FIRST
    assert ledger.gallery().generation == 1


def test_a_crash_in_between_is_made_good_by_the_next_run(table: Table, live_name: LiveName) -> None:
    """The rebuild itself, killed after the first of the two writes, and handed out again."""
    clock = SystemClock()
    library, recognizer = MemoryLibrary(clock), MemoryRecognizer()
    queue = SqsQueue(
        client("sqs"), *new_queues(), clock, waiting=Waiting(table, clock), lease=60.0, wait=0
    )

    def pipeline(on: Table) -> Pipeline:
        ledger = DynamoLedger(on, live_name)
        return Pipeline(library, recognizer, ledger, queue, clock, LabelPolicy())

    tags = ["faceLabel:Ann"]
    asset = library.upload(portrait("Ann"), folder="training", public_id="a", tags=tags)
    queue.enqueue(JobKind.ASSET, asset.asset_id)
    whole = pipeline(table)
    Worker(queue, handlers(whole), clock).drain()
    queue.enqueue(JobKind.REBUILD, NEXT, {"collection": NEXT})
    job = queue.claim()
    assert job
    dying: Table = Doomed(table)  # type: ignore[assignment] # a table but for its death
    with pytest.raises(Unavailable, match="killed"):
        Reconciler.of(pipeline(dying)).rebuild(job)
    assert (live_name.read(), whole.ledger.collection()) == (NEXT, FIRST)
    assert Reconciler.of(whole).rebuild(job).kind == "rebuilt"
    assert (live_name.read(), whole.ledger.collection()) == (NEXT, NEXT)
    assert [one.person for one in whole.ledger.enrolments(NEXT)] == ["Ann"]
    assert FIRST not in recognizer.collections()
