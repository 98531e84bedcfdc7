"""One person: found by name, with all that there is of them, and forgotten."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel import absence, actions
from facelabel.core import label_policy, names
from facelabel.core.jobs import JobKind, JobState
from facelabel.core.model import Person
from facelabel.errors import NotFound, Rejected, Unavailable, UnusableFace
from facelabel.recognition import doubts
from facelabel.recognition.live_gallery import SWEEP_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from facelabel.bootstrap.app import App
    from facelabel.core.jobs import Outcome
    from facelabel.core.model import Asset
    from facelabel.recognition.worker import Done

#: Portraits that are searched again when a person was forgotten: with Rekognition that is paid.
WITNESSES = 3
#: How often it is looked whether others have done what they began, and seconds between.
_LOOKS, _PAUSE = 40, 0.25


@dataclass(frozen=True, slots=True)
class Portrait:
    """A labelled picture of a person, or what is on record of one that is gone."""

    asset_id: str
    public_id: str
    #: None where the library has it no more.
    asset: Asset | None


@dataclass(frozen=True, slots=True)
class Traces:
    """What there is of a person."""

    name: str
    #: Labelled pictures, learnt from or refused.
    portraits: tuple[Portrait, ...]
    #: Pictures that we wrote the name on, by asset_id.
    pictures: tuple[str, ...]
    #: Faces of that name that other programs put into the collection: theirs to delete.
    faces_of_others: int
    #: Other spellings of the name, who are somebody else here.
    alike: tuple[str, ...]


def known(app: App) -> list[Person]:
    """Everybody who is known, by name."""
    portraits = actions.portraits_by_person(app)
    return [Person(name, tuple(portraits[name])) for name in sorted(portraits, key=str.casefold)]


def spelt(wanted: str, among: Collection[str], *, exactly: bool = False) -> str:
    """Which of these names is meant: the very one, else the only one that looks the same.

    With ``exactly`` that is nobody. Raises NotFound, with who may be meant, or Rejected where
    several look the same.
    """
    name = names.normalise(wanted)
    if name in among:
        return name
    alike = [] if exactly else lookalikes(name, among)
    if len(alike) > 1:
        spellings = ", ".join(map(ascii, alike))
        raise Rejected(f"several names look like {wanted!r}: {spellings}; say which one")
    if not alike:
        raise NotFound(absence.nobody_called(among, wanted))
    return alike[0]


def lookalikes(name: str, among: Collection[str]) -> list[str]:
    """Other names that look the same."""
    look = names.skeleton(name)
    return sorted(one for one in among if one != name and names.skeleton(one) == look)


def other_spellings(app: App, label: str) -> Iterator[str]:
    """Whether somebody is known under a name that looks the same."""
    person = names.normalise(label.removeprefix(f"{app.label_policy.prefix}:"))
    known = {person: [], **actions.portraits_by_person(app)}
    return doubts.spellings({n: known[n] for n in (person, *lookalikes(person, known))})


def traces(app: App, wanted: str, *, exactly: bool = False) -> Traces:
    """What there is of a person, also after a forgetting that was stopped in the middle.

    Goes through the training folder, as portraits that were refused are on no record. Raises as
    :func:`spelt`; ``exactly``: what only looks the same is nobody.
    """
    lines, labelled = actions.enrolments(app), list(_labelled(app))
    known = {line.person for line in lines}.union(*(people for _, people in labelled))
    exact = names.normalise(wanted)
    name = exact if app.ledger.named(exact) else spelt(wanted, known, exactly=exactly)
    found = {
        asset.asset_id: Portrait(asset.asset_id, asset.public_id, asset)
        for asset, people in labelled
        if name in people
    }
    for line in lines:
        if line.person == name and line.asset_id not in found:
            asset = app.library.asset(line.asset_id)
            found[line.asset_id] = Portrait(line.asset_id, line.public_id, asset)
    return Traces(
        name, tuple(found.values()), tuple(app.ledger.named(name)),
        _faces_of_others(app, name), tuple(lookalikes(name, known)),
    )  # fmt: skip


def to_forget(app: App, wanted: str, *, exactly: bool = False) -> Traces:
    """What there is of a person who is to be forgotten; raises as :func:`traces`.

    Where nobody is known any more, what a process had begun to forget when it was stopped is done
    first: faces may be left of which no name tells. Raises Unavailable as long as others have it.
    """
    try:
        return traces(app, wanted, exactly=exactly)
    except NotFound as nobody:
        if not _goes_on(app):
            raise Unavailable(
                f"{nobody}; but what a process had begun to forget is still in its hands, or was"
                f" when it was stopped: the same command goes on, {app.settings.lease:g} seconds"
                " after that"
            ) from nobody
        raise


def _goes_on(app: App) -> bool:
    """Do what a stopped process left of forgetting; whether nothing is left of it."""
    begun = _begun(app)
    late = bool(begun) and actions.ELSEWHERE in actions.work_first(app, begun)[0]
    take_names_back(app)  # what is on record may say that faces resemble who is forgotten
    return not (late or app.ledger.has_stale())


def _begun(app: App) -> list[str]:
    """asset_ids of pictures that are gone, and that a process began to forget and did not end."""
    jobs = app.queue.jobs(JobState.READY, actions.ALL)
    keys = (job.key for job in jobs if job.kind is JobKind.ASSET and job.tries)
    return [key for key in keys if app.library.asset(key) is None]


def _labelled(app: App) -> Iterator[tuple[Asset, set[str]]]:
    """Labelled pictures of the training folder, with whom they are said to show."""
    policy = app.label_policy
    for asset in app.library.assets(policy.training):
        if policy.is_training(asset) and (labels := policy.labels(asset)):
            yield asset, {names.normalise(one.removeprefix(f"{policy.prefix}:")) for one in labels}


def _faces_of_others(app: App, name: str) -> int:
    live = app.ledger.collection()
    if live is None or live not in app.recognizer.collections():
        return 0
    faces = app.recognizer.faces(live)
    return sum(face.person == name and not face.is_traced for face in faces)


def forget(
    app: App,
    found: Traces,
    *,
    keep_portraits: bool = False,
    on_done: Callable[[Done], None] = lambda _: None,
) -> list[Outcome]:
    """Forget a person, and take the names back that were written; what became of each portrait.

    A portrait is deleted for good, unless another label is on it: then, and with
    ``keep_portraits``, it only loses this one. Doing it again goes on where it stopped.
    """
    kept: dict[str, Outcome] = {}
    for portrait in found.portraits:
        try:
            _let_go(app, portrait, found.name, keep=keep_portraits)
        except (Rejected, Unavailable) as trouble:
            kept[portrait.asset_id] = actions.failed(trouble)
    gone = [one.asset_id for one in found.portraits if one.asset_id not in kept]
    outcomes, _ = actions.work_first(app, gone, on_done)
    became = dict(zip(gone, outcomes, strict=True))
    take_names_back(app, on_done)
    if named := app.ledger.named(found.name):
        actions.work_first(app, named, on_done)
    if actions.ELSEWHERE in became.values() or app.ledger.has_stale():
        _wait_for_others(app, found.name, gone, on_done)
    return [(kept | became)[one.asset_id] for one in found.portraits]


def take_names_back(app: App, on_done: Callable[[Done], None] = lambda _: None) -> None:
    """Decide again now about pictures that the last change of the gallery may concern.

    A sweep waits for more changes to come, with Rekognition for minutes. Pictures that wait for
    something else are left alone, and those whose names change wait behind them.
    """
    if not app.ledger.has_stale():
        return
    app.queue.enqueue(JobKind.SWEEP, SWEEP_KEY)
    sweeps = app.worker({JobKind.SWEEP})
    if not (sweeps.kinds and app.queue.pending({JobKind.ASSET})):
        actions.drain(app, [], on_done)
        return
    with suppress(Unavailable):  # it goes on later
        for done in sweeps.due(math.inf):
            on_done(done)


def _wait_for_others(
    app: App, name: str, asset_ids: Sequence[str], on_done: Callable[[Done], None]
) -> None:
    """Give a worker or server that was quicker the time to end what it began."""
    for _ in range(_LOOKS):
        is_late = bool(is_learnt(app, asset_ids) or app.ledger.named(name))
        if not (is_late or app.ledger.has_stale()):
            return
        app.clock.sleep(_PAUSE)
        if is_late:
            actions.drain(app, [], on_done)
        else:
            take_names_back(app, on_done)


def is_learnt(app: App, asset_ids: Iterable[str]) -> bool:
    """Whether one of these pictures is learnt from."""
    live = app.ledger.collection()
    return live is not None and any(app.ledger.enrolment(live, key) for key in asset_ids)


def _let_go(app: App, portrait: Portrait, name: str, *, keep: bool) -> None:
    """Delete a portrait, or have its label taken off."""
    asset, policy = portrait.asset, app.label_policy
    if asset is None:
        return  # what was learnt from it is forgotten by its job
    ours = [label for label in policy.labels(asset) if _is_of(label, name, policy.prefix)]
    others = set(policy.labels(asset)) - set(ours)
    if not (keep or others):
        app.library.delete(asset.asset_id)
        return
    if tags := [tag for tag in asset.tags if tag in ours]:
        app.library.remove_tags(asset.asset_id, tags)
    if policy.label_field:
        values = label_policy.field_values(asset, policy.label_field)
        left = [value for value in values if names.normalise(value) != name]
        if len(left) < len(values):
            app.library.set_metadata(asset.asset_id, policy.label_field, left)


def _is_of(label: str, name: str, prefix: str) -> bool:
    return names.normalise(label.removeprefix(f"{prefix}:")) == name


def witnesses(app: App, found: Traces) -> list[bytes]:
    """Some of the portraits' images, to be searched when they are gone from the library."""
    images: list[bytes] = []
    for portrait in found.portraits:
        if portrait.asset and len(images) < WITNESSES:
            try:
                images.append(app.library.fetch(portrait.asset))
            except (Rejected, Unavailable):
                continue  # one that cannot be read shows nobody
    return images


def recognised(app: App, name: str, images: Sequence[bytes]) -> int:
    """On how many of these images a face still resembles this person."""
    count = 0
    for image in images:
        try:
            count += any(one.person == name for one in actions.search(app, image))
        except UnusableFace:
            continue
    return count
