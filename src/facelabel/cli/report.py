"""How faces, names and outcomes look on a terminal."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from facelabel.cli import tables, terminal
from facelabel.cli.tables import Column, Kind
from facelabel.core import quality
from facelabel.core.counting import counted
from facelabel.core.model import Verdict
from facelabel.errors import Rejected
from facelabel.inputs.walking import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from facelabel.core.model import Candidate, Face, FaceDecision
    from facelabel.core.naming import Rules
    from facelabel.engine.own_calibrations import OwnCalibration
    from facelabel.inputs.walking import LeftOut, Walk

#: So many suffixes or names of folders are told apart.
_DETAILS = 5


def names_line(faces: Sequence[FaceDecision]) -> str:
    """Who is on a picture, in one line."""
    if not faces:
        return "no face"
    known = sorted(face.name for face in faces if face.name)
    strangers = len(faces) - len(known)
    parts = [", ".join(known)] if known else []
    if strangers:
        parts.append(f"{strangers} unknown")
    return " + ".join(parts)


#: What ``--verbose`` adds to :func:`print_faces`.
FACES_VERBOSE = "box and quality of each face"


def print_faces(faces: Sequence[FaceDecision], references: Mapping[str, str] | None = None) -> None:
    """A row per face: name or why not, similarity, runner-up; if asked for, where and how good.

    With ``references`` (face_id to public_id) also which portrait speaks for the name.
    """
    columns = [
        Column("name"), Column("similarity", Kind.NUMBER, weight=2), Column("runner-up", weight=1),
    ]  # fmt: skip
    if references is not None:
        columns.append(Column("portrait"))
    tables.show(columns, (_cells(face, references) for face in faces), key=None)
    if terminal.is_verbose():
        columns = [Column("name"), Column("box", weight=1), Column("quality", Kind.ITEMS)]
        rows = ((_name(face), _box(face.face), _quality(face.face)) for face in faces)
        tables.show(columns, rows, key=None)


def _cells(face: FaceDecision, references: Mapping[str, str] | None) -> list[str]:
    cells = [_name(face), _score(face.best), _person(face.runner_up)]
    if references is not None:
        best = face.best
        cells.append(references.get(best.face_id, best.face_id) if best else "")
    return cells


def _name(face: FaceDecision) -> str:
    if face.name:
        return terminal.Styled(face.name, "green")
    closest = f" ({face.best.person}?)" if _nearly(face) and face.best else ""
    return terminal.Styled(f"unknown: {face.verdict}{closest}", "dim")


def _nearly(face: FaceDecision) -> bool:
    return face.verdict in {
        Verdict.AMBIGUOUS, Verdict.SUGGESTED, Verdict.TAKEN, Verdict.REFUSED,
    }  # fmt: skip


#: What three portraits are worth in the place of one (docs/accuracy.md).
MORE = "3 to 5 more of 100 pictures are recognised"


def known_from_one(portraits: Mapping[str, Sequence[object]]) -> str:
    """Who has only one portrait, and what more are worth; "" if nobody has."""
    alone = sorted(name for name, found in portraits.items() if len(found) == 1)
    if not alone:
        return ""
    if len(alone) == 1:
        return f"{alone[0]} is known from one portrait: with three, {MORE}"
    some = ", ".join(alone[:_DETAILS]) + (", …" if len(alone) > _DETAILS else "")
    of = f" of {len(portraits):,}" if len(alone) < len(portraits) else ""
    who = f"{len(alone):,}{of} people are known from one portrait each"
    return f"{who} ({some}): with three, {MORE}"


def asked(rules: Rules, portraits: int | None) -> str:
    """What is asked of a face, in a sentence; "" where it is the threshold alone."""
    needed = rules.needed(portraits)
    if portraits is None or needed <= rules.threshold:
        return ""
    return f"with {portraits:,} portraits known, a face needs {needed:.1f}"


def calibrated(own: OwnCalibration) -> str:
    """Where the meaning of similarity comes from, if not from the pack."""
    if not own.pairs:
        return "calibrated on pictures of your own"
    day = time.strftime("%d %b %Y", time.gmtime(own.measured_at)).lstrip("0")
    return f"calibrated on your own portraits of {day}: {own.people:,} people, {own.pairs:,} pairs"


def waiting(pictures: int, jobs: int) -> str:
    """What is still to be done: pictures where there are any, which is what a person counts."""
    if pictures:
        return f"{counted(pictures, 'picture is', 'pictures are')} still to be looked at"
    return counted(jobs, "job waits", "jobs wait") if jobs else "nothing waits"


def _score(candidate: Candidate | None) -> str:
    return f"{candidate.similarity:.1f}" if candidate else ""


def _person(candidate: Candidate | None) -> str:
    return f"{candidate.person} {candidate.similarity:.1f}" if candidate else ""


def _box(face: Face) -> str:
    box = face.box
    return f"{box.left:.3f} {box.top:.3f} {box.width:.3f} {box.height:.3f}"


def _quality(face: Face) -> tuple[str, ...]:
    return tuple(quality.words(face.reasons)) or (
        f"sharp {face.sharpness:.0f}",
        f"bright {face.brightness:.0f}",
    )


def pulls(models: Iterable[str]) -> str:
    """The commands that repair these models, such as "classic/1": one for each pack."""
    packs = dict.fromkeys(model.partition("/")[0] for model in models)
    return ", ".join(f"`facelabel models pull {pack}`" for pack in packs)


def print_warnings(warnings: Iterable[str]) -> None:
    """What may be meant, and more often is not."""
    for warning in warnings:
        terminal.warn(warning)


def print_costs(costs: Iterable[str]) -> None:
    """What it asks of other people's services, if anything."""
    for cost in costs:
        terminal.say(f"it takes about {cost}")


def save(path: Path, data: bytes) -> bool:
    """Write a file that was asked for; whether it could be, and where not, it is told why."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        why = error.strerror or error
        terminal.complain(f"{path} cannot be written: {why}")
        return False
    return True


def pictures(paths: Sequence[Path], walk: Walk) -> list[Path]:
    """The pictures named and those in folders; Rejected, with the reason, where there is none."""
    found = list(walk.pictures(paths))
    if not found:
        raise no_pictures(paths, walk)
    return found


def no_pictures(paths: Iterable[Path], walk: Walk) -> Rejected:
    """That there is none, and why."""
    why = [*walk.faults, *filter(None, [left_out_line(walk.left_out)])]
    where = ", ".join(map(str, paths))
    return Rejected("; ".join([f"there are no pictures in {where}", *why]))


def print_left_out(left_out: Sequence[LeftOut]) -> None:
    """What was passed over in folders: what could not be read each by name, the rest counted."""
    terminal.left_out(left_out_rows(left_out))
    for left in left_out:
        if left.fault:
            terminal.complain(f"{left.path}: {left.detail}")
    if terminal.is_for_people() and (summary := left_out_line(left_out)):
        terminal.remark(summary, style="yellow")


def left_out_line(left_out: Iterable[LeftOut]) -> str:
    """Such as "6 left out: 3 hidden, 2 not a picture (.mov, .txt), 1 empty"; "" for nothing."""
    chosen = [left for left in left_out if not left.fault]
    if not chosen:
        return ""
    counts = Counter(left.reason for left in chosen)
    parts = [f"{count} {reason}{_details(chosen, reason)}" for reason, count in counts.items()]
    return f"{len(chosen)} left out: {', '.join(parts)}"


def _details(left_out: Iterable[LeftOut], reason: Reason) -> str:
    if reason not in {Reason.NO_PICTURE, Reason.RAW, Reason.SYSTEM, Reason.NO_FILE}:
        return ""
    counts = Counter(left.detail or "no suffix" for left in left_out if left.reason is reason)
    parts = [f"{count} {what}" if count > 1 else what for what, count in counts.most_common()]
    more = [f"{len(parts) - _DETAILS} other kinds"] if len(parts) > _DETAILS else []
    return f" ({', '.join(parts[:_DETAILS] + more)})"


def left_out_rows(left_out: Iterable[LeftOut]) -> list[dict[str, str]]:
    """The same for programs, each by its path."""
    return [
        {"path": str(left.path), "reason": str(left.reason), "detail": left.detail}
        for left in left_out
    ]
