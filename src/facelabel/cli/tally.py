"""What a run came to: counted as a person counts, each reason told once."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

from facelabel import actions
from facelabel.cli import terminal
from facelabel.core.counting import counted
from facelabel.core.jobs import JobKind, OutcomeKind
from facelabel.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from facelabel.bootstrap.app import App
    from facelabel.core.jobs import Job, Outcome
    from facelabel.core.model import Asset
    from facelabel.recognition.worker import Done

#: How it is said why a picture's turn comes later.
WAITING = "waiting: "
#: What becomes of the rest.
LATER = "what is left waits: run the same command again later"
#: What a run came to in which no job was worked.
NOTHING = "nothing to do"
#: What a job is about that is not about one picture.
ABOUT = {
    JobKind.SWEEP: "deciding again",
    JobKind.REBUILD: "learning everybody anew",
    JobKind.RECONCILE: "comparing the library",
}
#: Outcomes that are told of pictures, in their order, and how.
_TOLD = {
    OutcomeKind.FORGOTTEN: "not learnt from any more",
    OutcomeKind.GONE: "deleted and forgotten",
    OutcomeKind.UNCHANGED: "unchanged",
    OutcomeKind.IGNORED: "left alone",
}


def people_known(number: int) -> str:
    """Such as "244 people known"."""
    if not number:
        return "nobody is known"
    return f"{counted(number, 'person', 'people')} known"


class Tally:
    """Counts what became of pictures while a queue is worked, and says of each why it was refused.

    Raises Unavailable as :class:`~facelabel.actions.CircuitBreaker` does.
    """

    def __init__(
        self,
        advance: Callable[[int, int | None], None],
        pending: Callable[[], int],
        *,
        titles: Mapping[str, str] = MappingProxyType({}),
        quiet: bool = False,
    ) -> None:
        """Move a bar with ``advance``; ask ``pending`` how many pictures are left.

        ``titles``: how the user knows pictures, by asset_id; others are known by public_id. A
        quiet one leaves it to its caller to say what failed.
        """
        self._advance, self._pending = advance, pending
        self._titles, self._quiet = titles, quiet
        self._done = self._faces = 0
        self._breaker = actions.CircuitBreaker()
        #: What became of pictures, by asset_id, and how many names are on those searched.
        self._kinds: dict[str, OutcomeKind] = {}
        self._names: dict[str, int] = {}
        #: Why pictures were left alone, with what they are called.
        self._ignored: dict[str, tuple[str, str]] = {}
        #: How jobs failed last time.
        self._failed: dict[tuple[JobKind, str], Done] = {}
        self._told: set[tuple[str, str]] = set()
        self._stopped_by = ""
        #: Whether the work ended before its end.
        self.stopped = False

    @property
    def refused(self) -> bool:
        """Whether a job failed for good."""
        return any(done.buried for done in self._failed.values())

    @property
    def waiting(self) -> bool:
        """Whether a job is to be tried again later."""
        return self.stopped or not all(done.buried for done in self._failed.values())

    @property
    def learnt(self) -> int:
        """How many portraits were learnt."""
        return self._count(OutcomeKind.LEARNT)

    @property
    def changes_people(self) -> bool:
        """Whether somebody may be known now who was not, or the other way round."""
        changes = {OutcomeKind.LEARNT, OutcomeKind.FORGOTTEN, OutcomeKind.GONE}
        return not changes.isdisjoint(self._kinds.values())

    def stop(self, trouble: Unavailable) -> None:
        """Say what ended the work; the rest is to be done later."""
        self.stopped = True
        self._stopped_by = str(trouble)
        terminal.complain(f"{trouble}; {LATER}")

    def __call__(self, done: Done) -> None:
        """Note one job."""
        terminal.event(event(done))
        job, outcome = done.job, done.outcome
        if job.kind is JobKind.ASSET:
            self._done += 1
            self._advance(self._done, self._done + self._pending())
        if outcome is None:
            self._failed[job.kind, job.key] = done
            self._kinds.pop(job.key, None)
            self._refuse(done)
        else:
            self._failed.pop((job.kind, job.key), None)
            self._note(job, outcome)
        self._breaker(done)

    def _note(self, job: Job, outcome: Outcome) -> None:
        self._faces += outcome.left_out
        if job.kind is not JobKind.ASSET:
            return
        if outcome.kind is OutcomeKind.IGNORED:
            self._ignored[job.key] = (outcome.public_id or job.key, outcome.note)
        if outcome.kind is OutcomeKind.SEARCHED:
            self._names[job.key] = len(outcome.names)
        if outcome.kind is OutcomeKind.UNCHANGED:  # what we wrote ourselves comes back
            self._kinds.setdefault(job.key, outcome.kind)
        else:
            self._kinds[job.key] = outcome.kind

    def _refuse(self, done: Done) -> None:
        """Say above the bar why a picture was refused, once."""
        said = (self._title(done), actions.reason(done))
        if self._quiet or not done.buried or done.job.kind is JobKind.NOTIFY or said in self._told:
            return
        self._told.add(said)
        terminal.complain(": ".join(said))

    def _title(self, done: Done) -> str:
        job = done.job
        return self._titles.get(job.key) or done.public_id or ABOUT.get(job.kind) or job.key

    def tell(self) -> None:
        """Say what was left alone, what waits, what could not be told: each reason once."""
        for title, reason in once(self._ignored.values()):
            terminal.warn(f"{title} left alone: {reason}")
        pictures, notices = list[tuple[str, str]](), list[tuple[str, str]]()
        for done in self._failed.values():
            said = (self._title(done), actions.reason(done))
            if done.job.kind is JobKind.NOTIFY:
                notices.append(said)
            elif not done.buried and said[1] != self._stopped_by:
                pictures.append(said)
        for title, reason in once(pictures):
            terminal.complain(f"{title}: waiting: {reason}")
        for reason, count in Counter(reason for _, reason in notices).items():
            what = f"{counted(count, 'notification')} could not be sent"
            terminal.complain(f"{what}: {reason}")

    def summary(self, people: int | None = None) -> str:
        """All of it in one line, such as "266 portraits learnt, 33 refused; 244 people known"."""
        learnt, searched = self.learnt, self._count(OutcomeKind.SEARCHED)
        refused = sum(
            done.buried and done.job.kind is not JobKind.NOTIFY for done in self._failed.values()
        )
        parts = [f"{counted(learnt, 'portrait')} learnt"] if learnt else []
        if searched:
            parts.append(f"{counted(searched, 'picture')} searched, {self._named()}")
        if refused:
            if len(parts) == 1:
                parts[0] += f", {refused:,} refused"
            else:
                parts.append(f"{counted(refused, 'picture')} refused")
        for kind, what in _TOLD.items():
            if count := self._count(kind):
                parts.append(f"{counted(count, 'picture')} {what}")
        if waiting := sum(
            not done.buried and done.job.kind is JobKind.ASSET for done in self._failed.values()
        ):
            parts.append(f"{counted(waiting, 'picture')} left for later")
        if people is not None:
            parts.append(people_known(people))
        if self._faces:
            parts.append(faces_left_out(self._faces))
        return "; ".join(parts) or NOTHING

    def result(self) -> dict[str, object]:
        """All of it for programs: how many pictures came to which outcome, and names on them."""
        failed = Counter(
            OutcomeKind.REFUSED if done.buried else OutcomeKind.WAITING
            for done in self._failed.values()
            if done.job.kind is JobKind.ASSET
        )
        return {
            "outcomes": Counter(self._kinds.values()) + failed,
            "names": sum(n for key, n in self._names.items() if key in self._kinds),
            "faces_left_out": self._faces,
        }

    def _named(self) -> str:
        counts = [
            self._names[key]
            for key, kind in self._kinds.items()
            if kind is OutcomeKind.SEARCHED and self._names[key]
        ]
        if not counts:
            return "none with names"
        return f"{len(counts):,} with names ({counted(sum(counts), 'name')})"

    def _count(self, kind: OutcomeKind) -> int:
        return sum(found is kind for found in self._kinds.values())


def event(done: Done) -> dict[str, object]:
    """What became of a job, for programs that look on."""
    outcome = actions.outcome_of(done)
    return {
        "job": done.job.kind, "asset_id": done.job.key,
        "public_id": done.public_id or outcome.public_id, "outcome": outcome.kind,
        "names": outcome.names, "note": outcome.note, "faces_left_out": outcome.left_out,
    }  # fmt: skip


@contextmanager
def working(
    app: App,
    title: str,
    *,
    titles: Mapping[str, str] = MappingProxyType({}),
    quiet: bool = False,
) -> Iterator[Tally]:
    """A tally with a bar, for as long as the queue is worked; what waits is told at the end.

    Whoever has ``titles`` is about to have these looked at.
    """

    def pending() -> int:
        return app.queue.pending({JobKind.ASSET})

    with terminal.bar(title, pending() or len(titles)) as advance:
        tally = Tally(advance, pending, titles=titles, quiet=quiet)
        yield tally
    if not quiet:
        tally.tell()


def drain(app: App, tally: Tally) -> None:
    """Work the queue to its end, or to where nothing more can be done now, which is told."""
    try:
        actions.work_all(app, tally)
    except Unavailable as trouble:
        tally.stop(trouble)


def look_at(app: App, assets: Sequence[Asset]) -> tuple[list[Outcome], str, str]:
    """Look at pictures before all that waits; what became of them, that in a line, and the rest.

    The rest is what to say of pictures that wait besides; "" where none does.
    """
    with working(app, "working", quiet=True) as tally:
        outcomes, others = actions.work_first(app, [asset.asset_id for asset in assets], tally)
    rest = ""
    if others:
        some = counted(others, "picture waits", "pictures wait")
        rest = f"{some} besides: `facelabel worker --once`, if no worker is running"
    return outcomes, summary(app, tally), rest


def summary(app: App, tally: Tally) -> str:
    """What a run came to, with how many people are known, if that may have changed."""
    people = len(actions.portraits_by_person(app)) if tally.changes_people else None
    return tally.summary(people)


def faces_left_out(count: int) -> str:
    """That some faces were not looked at, and where it stands why."""
    return f"{counted(count, 'face')} left out: `facelabel show ID` says why"


def became(outcome: Outcome) -> str:
    """What became of one picture, such as "Joe Biden, Barack Obama" or "refused: no face"."""
    who = ", ".join(outcome.names)
    what = {
        OutcomeKind.LEARNT: f"learnt as {who}",
        OutcomeKind.SEARCHED: who or "searched, nobody recognised",
        OutcomeKind.UNCHANGED: who or "searched before, nobody recognised",
        OutcomeKind.FORGOTTEN: "not learnt from any more",
        OutcomeKind.IGNORED: "left alone",
        OutcomeKind.GONE: "deleted and forgotten",
    }.get(outcome.kind, outcome.kind.value)
    return f"{what}: {outcome.note}" if outcome.note else what


def once(said: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Titles and reasons, with the pictures that share a reason counted and not listed."""
    titles: dict[str, list[str]] = {}
    for title, reason in said:
        titles.setdefault(reason, []).append(title)
    for reason, shared in titles.items():
        yield shared[0] if len(shared) == 1 else counted(len(shared), "picture"), reason


def remarks(outcomes: Iterable[tuple[str, Outcome]]) -> list[tuple[str, str]]:
    """What there is to say about outcomes, by the name the user knows each under.

    What many pictures wait for is said once.
    """
    every = list(outcomes)
    told = [
        (name, one.note) for name, one in every if one.note and one.kind is not OutcomeKind.WAITING
    ]
    waits = once((name, one.note) for name, one in every if one.kind is OutcomeKind.WAITING)
    return told + [(name, f"{WAITING}{note}") for name, note in waits]
