"""Whatever people do, in whatever order, and whenever a worker dies: all ends as it should be.

People upload, label, move, overwrite, type names and take them away; between that, workers take
turns and are killed before or after any call of any port, are told "not now", or are overtaken by
another worker or another person. Then the queue is drained, and everything must be what a few
lines that know nothing of jobs (:meth:`World.gallery`, :meth:`World.recognised`) say it should be.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.lives import work_off

from facelabel.core.jobs import JobKind
from facelabel.core.label_policy import LabelPolicy
from facelabel.core.model import NameState
from facelabel.core.names import ERROR_KEY
from facelabel.errors import Unavailable
from facelabel.recognition.live_gallery import SWEEP_KEY, PaidSearchPolicy
from facelabel.recognition.pipeline import Pipeline
from facelabel.recognition.reconcile import Reconciler
from facelabel.recognition.worker import Worker, handlers
from facelabel.testing import (
    ManualClock,
    MemoryLedger,
    MemoryLibrary,
    MemoryQueue,
    MemoryRecognizer,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facelabel.core.model import Asset, Json, JsonValue

Port = TypeVar("Port")
#: What happens, and three numbers that say to whom and how.
Step = tuple[str, int, int, int]

SHOWN = ("ann", "ben", "cid")
NAMES = ("Ann", "Ben", "Cid", "Granny")
FOLDERS = ("training", "training/old", "assets", "assets/2024", "elsewhere", "trainings")
LABEL = "faceLabel:"
FACE = "faceId:"
LEASE = 60.0
HOUR = 3600.0
WRITES = ("add_tags", "remove_tags", "set_context")


class Crash(BaseException):
    """The process was killed."""


def shot(people: Sequence[str], take: int = 0) -> bytes:
    """A picture of these people; another take is another file."""
    return json.dumps({"people": people, "take": take}).encode()


def _nothing() -> None:
    """Happens most of the time."""


@dataclass
class Fate:
    """Counts the calls of all ports, and lets something happen before or after one of them."""

    calls: Counter[str] = field(default_factory=Counter)
    #: How many calls remain until it strikes; 0 is never.
    countdown: int = 0
    after: bool = False
    event: Callable[[], None] = _nothing
    #: Looks on after every call.
    watch: Callable[[], None] = _nothing

    def strike(self, *, after: bool) -> None:
        """Let it happen, if this is the call and the side of it."""
        if self.countdown == 1 and self.after is after:
            self.countdown = 0
            self.event()

    def around(self, name: str, call: Callable[..., object], *args: object, **kw: object) -> object:
        """Make the call."""
        self.calls[name] += 1
        self.strike(after=False)
        result = call(*args, **kw)
        self.strike(after=True)
        self.countdown = max(0, self.countdown - 1)
        self.watch()
        return result


class _Fated:
    """A port, every call of which goes through fate."""

    def __init__(self, port: object, fate: Fate) -> None:
        self._port, self._fate = port, fate

    def __getattr__(self, name: str) -> object:
        found = getattr(self._port, name)
        if not callable(found):
            return found  # what a port says of itself is asked of nobody
        return lambda *args, **kw: self._fate.around(name, found, *args, **kw)


def fated(port: Port, fate: Fate) -> Port:
    """The port under fate's eyes."""
    return cast("Port", _Fated(port, fate))


class World:
    """A library with its people, its workers, and the truth about names typed and refused."""

    def __init__(
        self, *, notified: bool = False, paid_searches: PaidSearchPolicy | None = None
    ) -> None:
        """Start empty; jobs come late by turns, so that they come out of order.

        With ``notified`` the library is somebody else's: of changed tags, our own among them, it
        only says which, as Cloudinary does. With ``paid_searches`` searches are paid for, and the
        recogniser keeps nothing of the pictures it saw.
        """
        self.notified = notified
        self.paid_searches = paid_searches
        self.seen: dict[str, Asset | None] = {}
        self.notices = 0
        self.clock = ManualClock()
        self.queue = MemoryQueue(self.clock, LEASE)
        self.library = MemoryLibrary(self.clock, self._announce)
        self.recognizer = MemoryRecognizer(keeps=paid_searches is None)
        self.ledger = MemoryLedger()
        self.fate = Fate()
        self.lateness = 0
        self.crashes = 0
        self.known: dict[str, None] = {}
        self.typed: defaultdict[str, set[str]] = defaultdict(set)
        self.refused: defaultdict[str, set[str]] = defaultdict(set)
        #: People acted while a killed worker had a name half written: either end is right.
        self.doubtful: defaultdict[str, set[str]] = defaultdict(set)
        self.bystander, self.pipeline = self._staff(Fate())
        self.calm = self.bystander
        self.ill_fated, _ = self._staff(self.fate)
        self.reconciler = Reconciler.of(self.pipeline)

    def _staff(self, fate: Fate) -> tuple[Worker, Pipeline]:
        queue = fated(self.queue, fate)
        library = self.library if self.notified else self.library.silently()
        pipeline = Pipeline(
            fated(library, fate), fated(self.recognizer, fate),
            fated(self.ledger, fate), queue, self.clock, LabelPolicy(), self.paid_searches,
        )  # fmt: skip
        return Worker(queue, handlers(pipeline), self.clock), pipeline

    def _announce(self, asset_id: str) -> None:
        self.known[asset_id] = None
        self.lateness = (self.lateness * 7 + 3) % 11
        delay = float(self.lateness % 4)
        if not (self.notified and self._only_tags_changed(asset_id, delay)):
            self.queue.enqueue(JobKind.ASSET, asset_id, delay=delay)

    def _only_tags_changed(self, asset_id: str, delay: float) -> bool:
        """Tell of the tags alone, if that is all there is to tell."""
        old, asset = self.seen.get(asset_id), self.library.asset(asset_id)
        self.seen[asset_id] = asset
        if not (old and asset) or dataclasses.replace(asset, tags=old.tags) != old:
            return False
        added: list[JsonValue] = [*sorted(set(asset.tags) - set(old.tags))]
        removed: list[JsonValue] = [*sorted(set(old.tags) - set(asset.tags))]
        self.notices += 1
        payload: Json = {"asset_id": asset_id, "added": added, "removed": removed}
        self.queue.enqueue(JobKind.TAGS, f"notice-{self.notices}", payload, delay=delay)
        return True

    # ---- what people do; a, b, c are any numbers

    def assets(self) -> list[Asset]:
        """All there are, in a stable order."""
        return sorted(self.library.assets(""), key=lambda asset: asset.public_id)

    def pick(self, a: int) -> Asset | None:
        """Some asset."""
        assets = self.assets()
        return assets[a % len(assets)] if assets else None

    def enlist(self, a: int, b: int, c: int) -> None:
        """Upload a portrait to be learnt: labelled rightly, wrongly, or not at all."""
        name = (*NAMES, "")[(a % len(SHOWN) if c % 3 else c) % 5]
        tags = [LABEL + name] if name else []
        self.upload([SHOWN[a % len(SHOWN)]], b % 2, FOLDERS[b % 2], tags)

    def shoot(self, a: int, b: int, _c: int) -> None:
        """Upload a group picture."""
        people = [who for number, who in enumerate(SHOWN) if a >> number & 1]
        self.upload(people, b % 2, FOLDERS[2 + b % 2], [])

    def upload(self, people: Sequence[str], take: int, folder: str, tags: Sequence[str]) -> None:
        """Upload a new picture."""
        public_id = f"{folder}/p{len(self.known):03}"
        self.library.upload(shot(people, take), folder=folder, public_id=public_id, tags=tags)

    def overwrite(self, a: int, b: int, c: int) -> None:
        """Upload other content under the same name, keeping the tags or not."""
        asset = self.pick(a)
        people = [who for number, who in enumerate(SHOWN) if b >> number & 1]
        data = shot(people, c)
        if asset and self.library.fetch(asset) != data:
            self.refused[asset.asset_id].clear()
            if c % 2:
                self.typed[asset.asset_id].clear()
            tags = () if c % 2 else None
            self.library.upload(data, folder=asset.folder, public_id=asset.public_id, tags=tags)

    def label(self, a: int, b: int, _c: int) -> None:
        """Add a label; there may be one already."""
        if asset := self.pick(a):
            self.library.add_tags(asset.asset_id, [LABEL + NAMES[b % len(NAMES)]])

    def relabel(self, a: int, b: int, _c: int) -> None:
        """Take all labels away and put one."""
        if asset := self.pick(a):
            self.library.remove_tags(asset.asset_id, [t for t in asset.tags if LABEL in t])
            self.library.add_tags(asset.asset_id, [LABEL + NAMES[b % len(NAMES)]])

    def spoil(self, a: int, _b: int, _c: int) -> None:
        """Add a label without a name."""
        if asset := self.pick(a):
            self.library.add_tags(asset.asset_id, [LABEL])

    def unlabel(self, a: int, b: int, _c: int) -> None:
        """Take one label away."""
        asset = self.pick(a)
        labels = [tag for tag in asset.tags if LABEL in tag] if asset else []
        if asset and labels:
            self.library.remove_tags(asset.asset_id, [labels[b % len(labels)]])

    def move(self, a: int, b: int, _c: int) -> None:
        """Put a picture into another folder."""
        if asset := self.pick(a):
            folder = FOLDERS[b % len(FOLDERS)]
            self.library.move(asset.asset_id, folder)
            if folder.startswith("training/") or folder == "training":
                # A training image is not searched: what was refused on it may be forgotten.
                self.doubtful[asset.asset_id] |= self.refused.pop(asset.asset_id, set())

    def rename(self, a: int, b: int, _c: int) -> None:
        """Give a picture another public_id."""
        if asset := self.pick(a):
            self.library.rename(asset.asset_id, f"renamed/{asset.asset_id}-{b}")

    def delete(self, a: int, _b: int, _c: int) -> None:
        """Delete a picture."""
        if asset := self.pick(a):
            self.library.delete(asset.asset_id)

    def type_name(self, a: int, b: int, _c: int) -> None:
        """Type a name by hand: a new one, or one that we wrote and that was taken away."""
        asset = self.pick(a)
        name = NAMES[b % len(NAMES)]
        if asset is None or name in asset.tags:
            return
        mark = self.ledger.names(asset.asset_id).get(name)
        if mark in {NameState.WRITING, NameState.REMOVING}:
            self.doubtful[asset.asset_id].add(name)
        elif mark is not NameState.WRITTEN:  # else nobody saw it gone: it stays ours
            self.typed[asset.asset_id].add(name)
        self.refused[asset.asset_id].discard(name)
        self.library.add_tags(asset.asset_id, [name])

    def erase(self, a: int, b: int, _c: int) -> None:
        """Take a name away, whoever put it there."""
        asset = self.pick(a)
        present = [name for name in NAMES if asset and name in asset.tags]
        if asset and present:
            name = present[b % len(present)]
            self._count_refusal(asset, name)
            self.library.remove_tags(asset.asset_id, [name])

    def _count_refusal(self, asset: Asset, name: str) -> None:
        mark = self.ledger.names(asset.asset_id).get(name)
        search = self.ledger.search(asset.asset_id)
        settled = (
            search and search.version == asset.version and not LabelPolicy().is_training(asset)
        )
        if name in self.typed[asset.asset_id]:
            self.typed[asset.asset_id].remove(name)
            if mark:  # typed back after a refusal, which no worker has seen yet
                self.doubtful[asset.asset_id].add(name)
        elif mark is NameState.WRITTEN and settled:
            self.refused[asset.asset_id].add(name)
        else:
            self.doubtful[asset.asset_id].add(name)

    # ---- what machines do

    def repeat(self, a: int, b: int, _c: int) -> None:
        """Deliver a job once more, perhaps one for an asset that is gone."""
        if self.known and b % 4:
            self.queue.enqueue(JobKind.ASSET, list(self.known)[a % len(self.known)])
        else:
            self.queue.enqueue(JobKind.SWEEP, SWEEP_KEY)

    def rebuild(self, a: int, _b: int, _c: int) -> None:
        """Ask for a new collection in place of the one there is."""
        self.pipeline.gallery.collection()
        self.reconciler.request_rebuild(force=bool(a % 2))

    def pause(self, a: int, _b: int, _c: int) -> None:
        """Let some seconds pass."""
        self.clock.time += a % 7

    def work(self, a: int, _b: int, _c: int) -> None:
        """Take some turns."""
        for _ in range(a % 8 + 1):
            self.clock.time += 1
            self.turn(self.calm)

    def settle(self, _a: int, _b: int, _c: int) -> None:
        """Work until nothing is left, however late."""
        self.drain(self.calm)

    def trouble(self, a: int, b: int, c: int) -> None:
        """Take a turn in which something happens at a certain call."""
        self.fate.event = self._event(b, c)
        self.fate.countdown, self.fate.after = a % 24 + 1, bool(c % 2)
        self.clock.time += 4
        self.turn(self.ill_fated)
        self.fate.countdown = 0

    def turn(self, worker: Worker) -> bool:
        """Let a worker take one turn; whether there was anything to do."""
        try:
            return worker.run_one() is not None
        except (Crash, Unavailable):  # at the queue itself, "not now" is as good as a crash
            self.clock.time += LEASE + 1
            return True

    def _event(self, b: int, c: int) -> Callable[[], None]:
        acts = [self.label, self.unlabel, self.move, self.overwrite, self.delete, self.enlist]
        chosen = acts[c % len(acts)]
        return (self.crash, self.fail, self.overtake, lambda: chosen(b, c, b + c))[b % 4]

    def crash(self) -> None:
        """Kill the worker, but not so often that a job is given up."""
        self.crashes += 1
        if self.crashes < 10:
            raise Crash

    def fail(self) -> None:
        """Be unavailable."""
        self.crashes += 1
        if self.crashes < 10:
            raise Unavailable("not now")

    def overtake(self) -> None:
        """Have another worker take some turns in between."""
        for _ in range(3):
            self.clock.time += 1
            self.bystander.run_one()

    def drain(self, worker: Worker) -> None:
        """Work until nothing is left, moving the clock to whatever is due."""
        work_off(lambda: self.turn(worker), self.queue, self.clock)

    def through(self, steps: Sequence[Step]) -> None:
        """Live through these steps."""
        for act, a, b, c in steps:
            getattr(self, act)(a, b, c)

    # ---- what should be

    def training(self) -> list[Asset]:
        """Images to be learnt from."""
        return [a for a in self.assets() if (a.folder + "/").startswith("training/")]

    def people_on(self, asset: Asset) -> list[str]:
        """Who is really on a picture."""
        people: list[str] = json.loads(self.library.fetch(asset))["people"]
        return people

    def gallery(self) -> dict[str, tuple[str, str]]:
        """Of each asset to be enrolled: the name, and who is really on it."""
        found = {}
        for asset in self.training():
            labels = {tag.removeprefix(LABEL) for tag in asset.tags if LABEL in tag}
            people = self.people_on(asset)
            if len(labels) == len(people) == 1 and "" not in labels:
                found[asset.asset_id] = (labels.pop(), people[0])
        return found

    def recognised(self, asset: Asset) -> set[str]:
        """Names for the people on a picture: best first, and all matches are equally good."""
        known, refused = self.gallery().values(), self.refused[asset.asset_id]
        places = range(len(self.people_on(asset)))
        pairs = {(n, i) for n, who in known for i in places if self.people_on(asset)[i] == who}
        named: dict[int, str] = {}
        for name, place in sorted(pairs):
            if name not in refused and name not in named.values():
                named.setdefault(place, name)
        return set(named.values())

    def tidy(self) -> None:
        """People mend what was refused: labels that contradict each other, or name nobody."""
        enrolled = {e.asset_id: e.person for e in self.ledger.enrolments(self.live)}
        for asset in self.training():
            labels = [tag for tag in asset.tags if LABEL in tag]
            if len(labels) > 1 or labels == [LABEL]:
                assert ERROR_KEY in asset.context
                assert LABEL + enrolled.get(asset.asset_id, "") in [LABEL, *labels]
                self.library.remove_tags(asset.asset_id, labels)

    def look_whole(self) -> None:
        """Assert that everybody is in the live collection."""
        faces = self.recognizer.faces(self.ledger.collection() or "")
        assert sorted(face.person for face in faces) == sorted(
            n for n, _ in self.gallery().values()
        )

    @property
    def live(self) -> str:
        """The live collection."""
        return self.pipeline.gallery.collection()

    def verify(self) -> None:
        """Assert that all is as it should be, and that working on changes nothing."""
        self.drain(self.calm)
        self.tidy()
        self.drain(self.calm)
        if self.paid_searches:
            self._look_anew()
        self._verify_gallery()
        for asset in self.assets():
            self._verify_tags(asset)
        self._verify_ledger()
        self._verify_rest()

    def _look_anew(self) -> None:
        """Nobody is named who is not there or not known; who is missing is found when asked for."""
        for asset in self.assets():
            there = {name for name, who in self.gallery().values() if who in self.people_on(asset)}
            named = {tag for tag in asset.tags if LABEL not in tag and FACE not in tag}
            unasked = self.typed[asset.asset_id] | self.doubtful[asset.asset_id]
            assert named - unasked <= there - self.refused[asset.asset_id]
        self.pipeline.identifier.look_anew(list(self.known))
        for asset_id in self.known:
            self.queue.enqueue(JobKind.ASSET, asset_id)
        self.drain(self.calm)

    def _verify_gallery(self) -> None:
        lines = list(self.ledger.enrolments(self.live))
        assert {e.asset_id: e.person for e in lines} == {
            i: n for i, (n, _) in self.gallery().items()
        }
        faces = {f.face_id: f.person for f in self.recognizer.faces(self.live)}
        assert faces == {e.face_id: e.person for e in lines}
        assert not self.ledger.faces_to_delete(self.live)
        assert self.reconciler.check().clean

    def _verify_tags(self, asset: Asset) -> None:
        line = self.ledger.enrolment(self.live, asset.asset_id)
        assert {t for t in asset.tags if FACE in t} == ({FACE + line.face_id} if line else set())
        searched = not LabelPolicy().is_training(asset) and self.ledger.search(asset.asset_id)
        assert searched or not asset.in_folder("assets")
        names = self.recognised(asset) if searched else set()
        expected = names | self.typed[asset.asset_id]
        present = {tag for tag in asset.tags if LABEL not in tag and FACE not in tag}
        assert present ^ expected <= self.doubtful[asset.asset_id]
        labelled = any(LABEL in tag for tag in asset.tags)
        refused = asset in self.training() and labelled and not line
        assert (ERROR_KEY in asset.context) is refused

    def _verify_ledger(self) -> None:
        for asset_id in self.known:
            half = {NameState.WRITING, NameState.REMOVING}
            assert not half & set(self.ledger.names(asset_id).values())
            assert self.ledger.intention(self.live, asset_id) is None
        assert not self.ledger.stale(self.ledger.gallery().generation, 1)

    def _verify_rest(self) -> None:
        """Look at everything again: nobody writes anything."""
        before = self.library.assets(""), self.ledger.gallery().generation
        for asset_id in self.known:
            self.queue.enqueue(JobKind.ASSET, asset_id)
        self.queue.enqueue(JobKind.SWEEP, SWEEP_KEY)
        self.fate.calls.clear()
        self.drain(self.ill_fated)
        gone = [i for i in self.known if self.library.asset(i) is None]
        assert not self.ledger.searches(gone)
        assert [name for name in WRITES if self.fate.calls[name]] == []
        assert (list(before[0]), before[1]) == (self.assets(), self.ledger.gallery().generation)


ACTS = tuple(
    act
    for act, weight in {
        "enlist": 4, "shoot": 4, "overwrite": 2, "label": 2, "relabel": 2, "spoil": 1,
        "unlabel": 2, "move": 3, "rename": 1, "delete": 2, "type_name": 3, "erase": 4,
        "repeat": 2, "rebuild": 1, "pause": 1, "work": 6, "settle": 2, "trouble": 8,
    }.items()
    for _ in range(weight)
)  # fmt: skip
NUMBER = st.integers(0, 40)
STEP = st.tuples(st.sampled_from(ACTS), NUMBER, NUMBER, NUMBER)


def live_through(
    steps: Sequence[Step], *, notified: bool = False, paid_searches: PaidSearchPolicy | None = None
) -> None:
    world = World(notified=notified, paid_searches=paid_searches)
    world.through(steps)
    world.verify()


QUICK = settings(examples(250), suppress_health_check=list(HealthCheck))
#: Where hardly any picture is searched twice, and where most of them are.
THRIFTS = st.sampled_from(
    (PaidSearchPolicy(look_back=0.0, delay=2.0), PaidSearchPolicy(look_back=HOUR, delay=2.0))
)
LONG = settings(QUICK, max_examples=20_000, derandomize=False)


@QUICK
@given(st.lists(STEP, min_size=5, max_size=40))
def test_everything_ends_as_it_should_be(steps: list[Step]) -> None:
    live_through(steps)


@QUICK
@given(st.lists(STEP, min_size=5, max_size=40))
def test_everything_ends_as_it_should_be_where_notifications_tell(steps: list[Step]) -> None:
    live_through(steps, notified=True)


@QUICK
@given(st.lists(STEP, min_size=20, max_size=40), THRIFTS)
def test_everything_ends_as_it_should_be_where_searches_are_paid_for(
    steps: list[Step], paid_searches: PaidSearchPolicy
) -> None:
    live_through(steps, notified=True, paid_searches=paid_searches)


@pytest.mark.soak
@LONG
@given(
    steps=st.lists(STEP, min_size=20, max_size=80),
    notified=st.booleans(),
    paid_searches=st.none() | THRIFTS,
)
def test_everything_ends_as_it_should_be_after_a_long_time(
    steps: list[Step], *, notified: bool, paid_searches: PaidSearchPolicy | None
) -> None:
    live_through(steps, notified=notified, paid_searches=paid_searches)


# ---- races that once went wrong


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(
            [
                ("enlist", 2, 30, 1), ("settle", 0, 0, 0), ("rebuild", 33, 0, 0),
                ("trouble", 22, 27, 0), ("rebuild", 27, 0, 0), ("settle", 0, 0, 0),
                ("relabel", 14, 17, 0), ("trouble", 1, 19, 2),
            ],
            id="two rebuilds around an image with two labels that then moves out",
        ),
        pytest.param(
            [
                ("enlist", 37, 31, 26), ("delete", 20, 36, 10), ("work", 15, 26, 25),
                ("shoot", 3, 3, 31), ("shoot", 2, 17, 21), ("shoot", 18, 36, 36),
                ("shoot", 4, 31, 7), ("enlist", 4, 6, 1), ("work", 4, 26, 35),
                ("unlabel", 4, 25, 13), ("trouble", 20, 19, 20), ("trouble", 8, 30, 0),
                ("enlist", 25, 37, 17),
            ],
            id="a sweep overtaken by the job it left a picture to",
        ),
    ],
)  # fmt: skip
def test_what_once_went_wrong(steps: list[Step]) -> None:
    live_through(steps)


CRASH, OVERTAKE = 0, 2


@pytest.mark.parametrize(
    ("before", "what", "after"),
    [
        pytest.param(
            [("enlist", 0, 0, 1), ("pause", 6, 0, 0), ("shoot", 1, 0, 0)],
            CRASH,
            [("unlabel", 1, 0, 0)],
            id="a face enrolled, not recorded, seen by a search, and then not wanted",
        ),
        pytest.param(
            [("enlist", 0, 0, 1), ("settle", 0, 0, 0), ("relabel", 0, 1, 0)],
            CRASH,
            [("relabel", 0, 0, 0)],
            id="a new label taken back after its worker died",
        ),
        pytest.param(
            [
                ("enlist", 0, 0, 1), ("settle", 0, 0, 0), ("delete", 0, 0, 0), ("pause", 6, 0, 0),
                ("enlist", 0, 0, 1),
            ],
            OVERTAKE,
            [],
            id="a face forgotten with its last image while a copy is enrolled",
        ),
        pytest.param(
            [
                ("enlist", 0, 0, 1), ("settle", 0, 0, 0), ("enlist", 0, 0, 1), ("pause", 6, 0, 0),
                ("delete", 0, 0, 0),
            ],
            OVERTAKE,
            [],
            id="a copy enrolled while the face is forgotten with its last image",
        ),
        pytest.param(
            [
                ("enlist", 0, 0, 1), ("settle", 0, 0, 0), ("shoot", 1, 0, 0), ("pause", 6, 0, 0),
                ("rebuild", 0, 0, 0),
            ],
            OVERTAKE,
            [],
            id="a picture searched in a collection that a rebuild drops",
        ),
    ],
)  # fmt: skip
def test_races(before: list[Step], what: int, after: list[Step]) -> None:
    """Trouble of one kind at each call of the turn between these steps."""
    for call, side in itertools.product(range(24), (0, 1)):
        live_through([*before, ("trouble", call, what, side), *after])


# ---- every single call

STORY: list[Step] = [
    ("enlist", 0, 0, 1), ("shoot", 3, 0, 0), ("settle", 0, 0, 0), ("enlist", 1, 0, 1),
    ("type_name", 0, 3, 0), ("erase", 0, 0, 0), ("relabel", 1, 3, 0), ("shoot", 7, 1, 0),
    ("settle", 0, 0, 0), ("move", 3, 2, 0), ("overwrite", 0, 2, 0), ("spoil", 2, 0, 0),
    ("move", 0, 0, 0), ("rebuild", 0, 0, 0), ("settle", 0, 0, 0), ("enlist", 2, 0, 1),
    ("unlabel", 1, 0, 0), ("shoot", 5, 2, 0), ("delete", 2, 0, 0), ("settle", 0, 0, 0),
    ("label", 1, 2, 0), ("rename", 1, 0, 0), ("shoot", 6, 1, 0), ("settle", 0, 0, 0),
    ("erase", 1, 0, 0), ("settle", 0, 0, 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "after"),
    [
        ("crash", False),
        pytest.param("crash", True, marks=pytest.mark.soak),
        pytest.param("fail", False, marks=pytest.mark.soak),
        ("fail", True),
        ("overtake", False),
        pytest.param("overtake", True, marks=pytest.mark.soak),
    ],
)
def test_trouble_at_any_call_of_any_port(what: str, *, after: bool) -> None:
    """A story in which nearly everything happens, told again with trouble at each of its calls."""
    calls = tell(0, what, after=after)
    assert calls > 300
    for number in range(1, calls + 1):
        tell(number, what, after=after)


def tell(number: int, what: str, *, after: bool) -> int:
    """Live through the story with trouble at that call; return how many there were."""
    world = World()
    world.calm = world.ill_fated
    world.fate.countdown, world.fate.after = number, after
    world.fate.event = getattr(world, what)
    world.through(STORY)
    calls = world.fate.calls.total()
    world.verify()
    return calls


# ---- rebuilding


@pytest.mark.parametrize("what", ["crash", "fail"])
def test_the_live_collection_is_whole_at_any_moment_of_a_rebuild(what: str) -> None:
    """Looked at after every call, with trouble at each of them in turn."""
    number = calls = 1
    while number <= calls:
        world = World()
        for person in range(len(SHOWN)):
            world.enlist(person, 0, 1)
        world.drain(world.calm)
        world.rebuild(0, 0, 0)
        world.fate.countdown, world.fate.event = number, getattr(world, what)
        world.fate.watch = lambda world=world: world.look_whole()  # type: ignore[misc]
        world.drain(world.ill_fated)
        calls = world.fate.calls.total()
        assert world.live != LabelPolicy().collection
        world.verify()
        number += 1
    assert calls > 60
