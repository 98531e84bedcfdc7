"""What the ledger adds on DynamoDB: many at once, its limits, what it reads by pages."""

from __future__ import annotations

import json
import random
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from tests.integration.aws.moto_server import client

from facelabel.adapters.aws.ledger import DynamoLedger
from facelabel.adapters.aws.table import (
    Table,
    pack_search,
    put,
    unpack_search,
    write_enrolment,
)
from facelabel.core.model import (
    Candidate,
    Enrolment,
    FaceDecision,
    NameState,
    SearchRecord,
    Verdict,
)
from facelabel.errors import QuotaExceeded, Rejected, Unavailable
from facelabel.testing import some_face

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from facelabel.adapters.aws.table import Item, Key

LIVE = "people-1"
WORKERS = 6


def enrolment(asset_id: str, face_id: str) -> Enrolment:
    return Enrolment(asset_id, f"training/{asset_id}", 1, f"digest-{face_id}", "Ann", face_id)


def search(asset_id: str, generation: int = 1, version: int = 1) -> SearchRecord:
    faces = (FaceDecision(some_face(), "Ann", Verdict.NAMED, (Candidate("Ann", 99.5, "f1"),)),)
    return SearchRecord(
        asset_id, asset_id, version, LIVE, generation, "80/5", "memory/1", faces,
        searched_at=1_700_000_000.0 + generation,
    )  # fmt: skip


def crowd(faces: int, candidates: int, left_out: int = 0, bits: int = 50) -> SearchRecord:
    """A search with numbers that do not compress, and names of so many bits."""
    dice = random.Random(1)

    def of(number: int) -> FaceDecision:
        people = tuple(
            Candidate(
                f"Person {dice.getrandbits(bits)}",
                dice.random() * 100,
                f"{dice.getrandbits(128):x}",
            )
            for _ in range(candidates)
        )
        face = replace(some_face(), confidence=dice.random(), sharpness=dice.random())
        return FaceDecision(face, f"Person {number}", Verdict.NAMED, people)

    others = tuple(
        replace(some_face(), landmarks=tuple((dice.random(), dice.random()) for _ in range(5)))
        for _ in range(left_out)
    )
    return replace(search("p"), faces=tuple(map(of, range(faces))), left_out=others)


def at_once(act: Callable[[int], object]) -> None:
    """Have some workers act at the same moment, each with its number."""
    start = threading.Barrier(WORKERS)

    def run(number: int) -> None:
        start.wait()
        act(number)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(run, range(WORKERS)))


@pytest.fixture
def ledger(table: Table) -> DynamoLedger:
    ledger = DynamoLedger(table)
    ledger.begin(LIVE)
    return ledger


def test_a_face_held_by_many_is_left_over_only_when_the_last_lets_go(
    table: Table, ledger: DynamoLedger
) -> None:
    def come_and_go(number: int) -> None:
        own = DynamoLedger(table)
        for _ in range(3):
            own.enrol(LIVE, enrolment(f"a{number}", "f1"))
            assert list(own.faces_to_delete(LIVE)) == []
            own.unenrol(LIVE, f"a{number}")

    ledger.enrol(LIVE, enrolment("keeper", "f1"))
    at_once(come_and_go)
    assert [line.asset_id for line in ledger.holders(LIVE, "digest-f1")] == ["keeper"]
    ledger.unenrol(LIVE, "keeper")
    assert list(ledger.faces_to_delete(LIVE)) == ["f1"]
    assert ledger.gallery().generation == 1 + 2 + 2 * 3 * WORKERS


class Busy(Table):
    """Others learn somebody whenever several items are read at once."""

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Item]:
        """See :class:`Table`."""
        found = super().get_many(keys)
        DynamoLedger(Table(client("dynamodb"), self.name)).changed()
        return found


def test_what_is_on_record_of_an_asset_is_not_older_than_the_gallery(
    table: Table, ledger: DynamoLedger
) -> None:
    ledger.enrol(LIVE, enrolment("a", "f1"))
    before = ledger.gallery()
    record = DynamoLedger(Busy(client("dynamodb"), table.name)).about("a")
    assert (record.gallery, record.enrolment) == (before, enrolment("a", "f1"))
    assert ledger.gallery().generation == before.generation + 2


def test_those_who_let_go_at_once_leave_one_leftover(ledger: DynamoLedger) -> None:
    for number in range(WORKERS):
        ledger.enrol(LIVE, enrolment(f"a{number}", "f1"))
    at_once(lambda number: _done(ledger.unenrol(LIVE, f"a{number}")))
    assert list(ledger.faces_to_delete(LIVE)) == ["f1"]
    assert list(ledger.enrolments(LIVE, ["f1"])) == []


def test_one_image_enrolled_by_several_has_one_face(ledger: DynamoLedger) -> None:
    at_once(lambda number: ledger.enrol(LIVE, enrolment("a", f"f{number}")))
    current = ledger.enrolment(LIVE, "a")
    assert current
    others = {f"f{number}" for number in range(WORKERS)} - {current.face_id}
    assert set(ledger.faces_to_delete(LIVE)) == others
    assert list(ledger.enrolments(LIVE, sorted(others))) == []
    assert ledger.gallery().generation == 1 + WORKERS


def test_changes_while_the_live_collection_changes_are_counted_once_each(
    ledger: DynamoLedger,
) -> None:
    def change(number: int) -> None:
        if number == 0:
            for name in ("people-2", LIVE, "people-2"):
                ledger.switch(name)
        for turn in range(4):
            ledger.enrol("people-2", enrolment(f"a{number}", f"f{number}.{turn}"))

    at_once(change)
    assert ledger.collection() == "people-2"
    assert 4 <= ledger.gallery().generation <= 4 + 4 * WORKERS
    before = ledger.gallery().generation
    ledger.enrol("people-2", enrolment("last", "f"))
    assert ledger.gallery().generation == before + 1


def test_the_first_collection_is_begun_once(table: Table) -> None:
    ledger = DynamoLedger(table)
    at_once(lambda number: _done(ledger.begin(f"people-{number}")))
    assert ledger.gallery().generation == 1


def test_of_searches_recorded_at_once_the_newest_stays(ledger: DynamoLedger) -> None:
    at_once(lambda number: ledger.record(search("p", generation=number)))
    newest = search("p", generation=WORKERS - 1)
    assert ledger.search("p") == newest
    assert list(ledger.searched()) == ["p"]
    assert list(ledger.stale(WORKERS, 10)) == [newest]
    assert list(ledger.stale(WORKERS - 1, 10)) == []


def test_a_picture_forgotten_while_it_is_searched_leaves_nothing_half(
    ledger: DynamoLedger,
) -> None:
    def race(number: int) -> None:
        if number % 2:
            ledger.forget_asset("p")
        else:
            ledger.record(search("p", generation=number))

    for _ in range(3):
        at_once(race)
        found = ledger.search("p")
        assert list(ledger.stale(100, 10)) == ([found] if found else [])


def test_a_hundred_faces_are_recorded_whole(ledger: DynamoLedger) -> None:
    whole = crowd(100, candidates=5, left_out=50)
    ledger.record(whole)
    assert ledger.search("p") == whole


def test_a_search_too_large_for_an_item_loses_what_explains_it_least(
    ledger: DynamoLedger,
) -> None:
    huge = crowd(100, candidates=150)
    assert len(zlib.compress(json.dumps([str(huge)]).encode(), 9)) > 400_000
    ledger.record(huge)
    found = ledger.search("p")
    assert found
    assert [face.name for face in found.faces] == [face.name for face in huge.faces]
    assert [face.candidates for face in found.faces] == [f.candidates[:10] for f in huge.faces]


def test_a_search_far_too_large_is_refused_before_it_is_written(ledger: DynamoLedger) -> None:
    ledger.record(search("p"))
    with pytest.raises(QuotaExceeded, match="300 faces"):
        ledger.record(replace(crowd(300, candidates=2, bits=8000), generation=9))
    assert ledger.search("p") == search("p")


def test_faces_that_were_left_out_go_last() -> None:
    huge = crowd(10, candidates=2, left_out=5000)
    packed = unpack_search(pack_search(huge))
    assert packed == replace(huge, left_out=())


def test_what_is_read_by_the_megabyte_is_read_to_its_end(ledger: DynamoLedger) -> None:
    ids = [f"a{number}" for number in range(8)]
    for asset_id in ids:
        long = replace(enrolment(asset_id, "f1"), public_id="x" * 150_000)
        ledger.enrol(LIVE, long)
    assert [line.asset_id for line in ledger.enrolments(LIVE)] == ids


def test_stale_searches_go_on_beyond_a_page(table: Table, ledger: DynamoLedger) -> None:
    """A place whose search has moved on meanwhile does not make the answer shorter."""
    ledger.record(search("q", generation=3))
    gone = [put(("searches", f"{0:012}#{n:03}"), {"asset_id": f"gone{n}"}) for n in range(120)]
    assert all(map(table.write, gone))
    assert [line.asset_id for line in ledger.stale(4, 2)] == ["q"]


def test_purging_a_large_collection(ledger: DynamoLedger) -> None:
    for number in range(35):
        ledger.enrol("old", enrolment(f"a{number}", f"f{number}"))
    ledger.purge("old")
    assert list(ledger.enrolments("old")) == []
    assert list(ledger.enrolments("old", ["f1"])) == list(ledger.holders("old", "digest-f1")) == []


def test_a_collection_that_comes_alive_while_it_is_purged_is_kept(table: Table) -> None:
    """Between our look at the live collection and the deletion somebody switches to it."""
    contested = Contested(table)
    ledger = DynamoLedger(contested)
    ledger.begin(LIVE)
    ledger.enrol("next", enrolment("a", "f1"))
    contested.interrupt = lambda: DynamoLedger(table).switch("next")
    with pytest.raises(Rejected, match="next"):
        ledger.purge("next")
    assert ledger.enrolment("next", "a") == enrolment("a", "f1")


def test_a_face_taken_while_its_last_holder_lets_go_is_not_left_over(table: Table) -> None:
    contested = Contested(table)
    ledger = DynamoLedger(contested)
    ledger.enrol(LIVE, enrolment("a", "f1"))
    contested.interrupt = lambda: DynamoLedger(table).enrol(LIVE, enrolment("b", "f1"))
    ledger.unenrol(LIVE, "a")
    assert list(ledger.faces_to_delete(LIVE)) == []
    assert [line.asset_id for line in ledger.enrolments(LIVE, ["f1"])] == ["b"]


def test_an_enrolment_counts_only_if_its_collection_is_live_to_the_end(table: Table) -> None:
    contested = Contested(table)
    ledger = DynamoLedger(contested)
    ledger.begin(LIVE)
    contested.interrupt = lambda: DynamoLedger(table).switch("next")
    ledger.enrol(LIVE, enrolment("a", "f1"))
    assert ledger.gallery().generation == 2, "begun and switched"
    contested.interrupt = lambda: DynamoLedger(table).switch(LIVE)
    ledger.unenrol(LIVE, "a")
    assert ledger.gallery().generation == 4, "switched and un-enrolled"


def test_what_was_found_by_what_it_was_before_is_not_told(
    table: Table, ledger: DynamoLedger
) -> None:
    """Between two reads the search was made again, and the enrolment replaced."""
    ledger.record(search("p", generation=3))
    ledger.enrol(LIVE, enrolment("a", "f1"))
    table.write(put(("searches", f"{1:012}#"), {"asset_id": "p"}))
    for sk in ("face#old", "digest#old"):
        table.write(put((f"collection#{LIVE}", sk), {"holders": frozenset({"a"})}))
    assert list(ledger.stale(2, 10)) == []
    assert list(ledger.enrolments(LIVE, ["old"])) == list(ledger.holders(LIVE, "old")) == []


def test_many_names_at_once(ledger: DynamoLedger) -> None:
    many: dict[str, NameState | None] = {f"Zoë {n} #:.": NameState.WRITTEN for n in range(250)}
    ledger.mark("p", many)
    ledger.mark("p", {**dict.fromkeys(list(many)[1:]), "Bob": NameState.REFUSED})
    assert ledger.names("p") == {"Zoë 0 #:.": NameState.WRITTEN, "Bob": NameState.REFUSED}
    assert ledger.marks(["p", "q"]) == {"p": ledger.names("p")}
    ledger.mark("p", {})


def test_an_enrolment_of_a_newer_version_is_read_and_replaced(
    table: Table, ledger: DynamoLedger
) -> None:
    ledger.enrol(LIVE, enrolment("a", "f1"))
    line = json.dumps({**json.loads(write_enrolment(enrolment("a", "f1"))), "age": 37})
    table.write(put((f"collection#{LIVE}", "enrolment#a"), {"line": line}))
    assert ledger.enrolment(LIVE, "a") == enrolment("a", "f1")
    ledger.enrol(LIVE, enrolment("a", "f2"))
    assert list(ledger.faces_to_delete(LIVE)) == ["f1"]


class Contested(Table):
    """A table to which something happens just before the next transaction."""

    def __init__(self, table: Table) -> None:
        """Say what the table says."""
        self.__dict__.update(vars(table))
        self.interrupt: Callable[[], object] = lambda: None

    def transact(self, changes: Any) -> bool:  # noqa: ANN401 - handed on
        """Let it happen, once."""
        happen, self.interrupt = self.interrupt, lambda: None
        happen()
        return super().transact(changes)


class Crowded:
    """A client whose transactions meet others, so many times."""

    def __init__(self, client: Any, times: int) -> None:  # noqa: ANN401 - boto3's
        """Stand before this client."""
        self._client = client
        self.times = times

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - boto3's
        """Hand on everything else."""
        return getattr(self._client, name)

    def transact_write_items(self, **request: Any) -> Any:  # noqa: ANN401 - boto3's
        """Say what DynamoDB says where transactions meet."""
        if self.times:
            self.times -= 1
            error = {"Code": "TransactionCanceledException", "Message": "cancelled"}
            reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}]
            answer: Any = {"Error": error, "CancellationReasons": reasons}
            raise ClientError(answer, "TransactWriteItems")
        return self._client.transact_write_items(**request)


def crowded(table: Table, times: int) -> DynamoLedger:
    client, name = vars(table)["_client"], vars(table)["name"]
    return DynamoLedger(Table(Crowded(client, times), name))


def test_transactions_that_meet_others_are_tried_again(table: Table) -> None:
    crowded(table, 3).enrol(LIVE, enrolment("a", "f1"))
    assert DynamoLedger(table).enrolment(LIVE, "a") == enrolment("a", "f1")


def test_and_given_up_in_the_end(table: Table) -> None:
    with pytest.raises(Unavailable, match="too many others"):
        crowded(table, 10_000).enrol(LIVE, enrolment("a", "f1"))
    assert DynamoLedger(table).enrolment(LIVE, "a") is None


def _done(_: object) -> None:
    """Take the answer, which does not matter."""
