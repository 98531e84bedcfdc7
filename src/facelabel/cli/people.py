"""people and forget: the commands about those who are known."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from facelabel import actions
from facelabel import people as known_people
from facelabel.cli import agreeing, completion, nothing, report, tables, terminal
from facelabel.cli import tally as tallying
from facelabel.cli.framework import Command, argument, confirm, finish
from facelabel.cli.tables import Column, Kind
from facelabel.core.counting import counted
from facelabel.core.jobs import JobKind, OutcomeKind
from facelabel.recognition import doubts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from facelabel.bootstrap.app import App
    from facelabel.bootstrap.records import Records
    from facelabel.core.jobs import Outcome
    from facelabel.core.model import Enrolment
    from facelabel.people import Traces
    from facelabel.settings import Settings


@click.command(cls=Command, examples=["people", 'people "John Doe"'])
@argument("name", required=False, shell_complete=completion.people, help="Show one person.")
@click.pass_obj
def people(settings: Settings, name: str | None) -> None:
    """List who is known, from how many portraits.

    Of one person: the portraits, and on how many pictures the name was written.
    """
    with terminal.records(settings) as kept:
        lines = actions.enrolments(kept)
        portraits: dict[str, list[Enrolment]] = {}
        for line in lines:
            portraits.setdefault(line.person, []).append(line)
        if name is None:
            _list(kept, portraits)
        else:
            person = known_people.spelt(name, portraits)
            _show(kept, person, portraits[person])
            report.print_warnings(_alike(person, portraits))


def _list(kept: Records, portraits: Mapping[str, Sequence[Enrolment]]) -> None:
    by_name = sorted(portraits, key=str.casefold)
    terminal.answer(
        [
            {"name": name, "portraits": [line.public_id for line in portraits[name]]}
            for name in by_name
        ]
    )
    if not portraits:
        nothing.say(nothing.NOBODY)
    else:
        columns = [Column("person"), Column("portraits", Kind.NUMBER)]
        tables.show(columns, ((name, f"{len(portraits[name]):,}") for name in by_name))
    if said := report.known_from_one(portraits):
        terminal.say(said)
    report.print_warnings(doubts.spellings(portraits))
    if refused := _refused(kept):
        terminal.warn(f"{counted(refused, 'portrait')} refused: `facelabel jobs list` says why")


def _refused(kept: Records) -> int:
    """How many portraits are not learnt because they were refused.

    Of an account elsewhere, which would be asked for each, those that were never searched.
    """
    keys = [job.key for job in actions.failed_jobs(kept) if job.kind is JobKind.ASSET]
    if not keys:
        return 0
    if kept.is_remote:
        return len(set(keys) - set(kept.ledger.searches(keys)))
    library, training = kept.library(), kept.settings.training_folder
    assets = map(library.asset, keys)
    return sum(asset is not None and asset.in_folder(training) for asset in assets)


def _show(kept: Records, person: str, lines: Sequence[Enrolment]) -> None:
    pictures = len(kept.ledger.named(person))
    rows = [_row(kept, line) for line in sorted(lines, key=lambda line: line.public_id)]
    terminal.answer({"name": person, "portraits": rows, "pictures": pictures})
    columns = [Column("portrait"), Column("file", weight=-1), Column("uploaded", weight=-2)]
    tables.show(
        columns, ((row["public_id"], row["file"], _day(row["uploaded_at"])) for row in rows)
    )
    named = f"the name is on {counted(pictures, 'picture')}" if pictures else "on no picture yet"
    learnt = f"learnt from {counted(len(lines), 'portrait')}"
    terminal.say(f"{terminal.visible(person)}: {learnt}; {named}")
    if len(lines) == 1:
        terminal.say(f"with three portraits {report.MORE}")


def _row(kept: Records, line: Enrolment) -> dict[str, str]:
    """One portrait; an account elsewhere is not asked for the file's name."""
    asset = None if kept.is_remote else kept.library().asset(line.asset_id)
    uploaded = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(line.version))
    return {
        "public_id": line.public_id, "asset_id": line.asset_id,
        "file": asset.filename if asset else "", "uploaded_at": uploaded if line.version else "",
    }  # fmt: skip


def _day(moment: str) -> str:
    return moment.partition("T")[0]


def _alike(person: str, among: Mapping[str, Sequence[object]]) -> Iterator[str]:
    """Who is known under a name that looks the same."""
    alike = [person, *known_people.lookalikes(person, among)]
    return doubts.spellings({name: among[name] for name in alike})


@click.command(cls=Command, examples=['forget "John Doe" --dry-run', 'forget "John Doe"'])
@argument("name", shell_complete=completion.people, help="Who; a name that looks the same will do.")
@click.option(
    "--keep-portraits", is_flag=True, help="Leave the portraits, and take off their labels alone."
)
@click.option("--dry-run", is_flag=True, help="Only say what would go and what stays.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def forget(
    settings: Settings, name: str, *, keep_portraits: bool, dry_run: bool, yes: bool
) -> None:
    """Forget a person: delete the portraits and take the names back.

    Faces and vectors go, the portraits go for good, and the names that were written are taken off
    every picture; then it is tried whether the person is still recognised. Stopped in the middle,
    the same command goes on.
    """
    with agreeing.application(settings, dry_run=dry_run) as app:
        found = (known_people.traces if dry_run else known_people.to_forget)(app, name)
        _print_plan(found, keep=keep_portraits)
        if dry_run:
            terminal.answer(_result(found))
            _print_rest(app, found)
            return
        agreeing.keep_to_rules(app)
        if not yes:
            confirm(_question(found, keep=keep_portraits))
        images = known_people.witnesses(app, found)
        titles = {one.asset_id: one.public_id for one in found.portraits}
        with tallying.working(app, "forgetting", titles=titles, quiet=True) as tally:
            outcomes = known_people.forget(app, found, keep_portraits=keep_portraits, on_done=tally)
        left = len(app.ledger.named(found.name))
        late = _print_late(app, found, outcomes)
        is_stale = app.ledger.has_stale()
        seen = known_people.recognised(app, found.name, images)
        _print_rest(app, found)
        if is_stale:
            terminal.complain(
                "what is on record of pictures may still tell of the person, until another worker"
                " has decided about them again: the same command goes on"
            )
        _print_end(found, left, seen, len(images), late=bool(late) or is_stale)
        terminal.answer({**_result(found), "names_left": left, "recognised": seen})
    refused = any(outcome.kind is OutcomeKind.REFUSED for outcome in late)
    is_known = bool(seen or left)
    finish(
        refused=refused or (is_known and found.faces_of_others > 0) or (seen > 0 and not late),
        waiting=bool(late) or is_known or is_stale,
    )


def _result(found: Traces) -> dict[str, object]:
    """For programs."""
    return {
        "name": found.name,
        "portraits": [portrait.public_id for portrait in found.portraits],
        "pictures": len(found.pictures),
        "faces_of_others": found.faces_of_others,
    }


def _print_plan(found: Traces, *, keep: bool) -> None:
    """What goes."""
    for portrait in found.portraits:
        terminal.give(portrait.public_id)
    some = counted(len(found.portraits), "portrait")
    go = "goes" if len(found.portraits) == 1 else "go"
    what = f"{some} {go} for good, and all that was learnt from {'it' if go == 'goes' else 'them'}"
    if keep:
        what = f"the label goes from {some}, and all that was learnt"
    names = f"the name goes from {counted(len(found.pictures), 'picture')}"
    if not found.pictures:
        names = "the name is on no picture"
    terminal.say(f"{found.name}: {'; '.join([what, names] if found.portraits else [names])}")
    if found.alike:
        others = ", ".join(map(ascii, found.alike))
        terminal.warn(f"names that look the same are other people here, and stay: {others}")


def _question(found: Traces, *, keep: bool) -> str:
    if keep or not found.portraits:
        return f"Forget {found.name}?"
    return f"Delete {counted(len(found.portraits), 'portrait')} of {found.name} for good?"


def _print_rest(app: App, found: Traces) -> None:
    """What stays, as far as it applies here."""
    rest = ["names that people typed, and pictures that the person is on: you delete those"]
    if found.faces_of_others:
        faces = counted(found.faces_of_others, "face")
        rest.append(f"{faces} of that name that other programs put there: delete_faces")
    if app.amazon:
        rest.append("the collection that a rebuild replaced: ten minutes")
    if app.label_policy.targets.field or app.label_policy.label_field:
        rest.append("the value in the list of the metadata field: you delete it there")
    rest.append("backups, and notifications that nobody took: see docs/howto/forget-someone.md")
    for one in rest:
        terminal.say(f"stays: {one}", style="dim")


def _print_late(app: App, found: Traces, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Portraits that are still there, or not forgotten yet; what kept them."""
    late = [
        (portrait.public_id, outcome)
        for portrait, outcome in zip(found.portraits, outcomes, strict=True)
        if outcome.kind in {OutcomeKind.REFUSED, OutcomeKind.WAITING}
        and (outcome != actions.ELSEWHERE or known_people.is_learnt(app, [portrait.asset_id]))
    ]
    for title, note in tallying.remarks(late):
        terminal.complain(f"{title}: not forgotten yet: {note}")
    return [outcome for _, outcome in late]


def _print_end(found: Traces, left: int, seen: int, tried: int, *, late: bool) -> None:
    """Whether the person is known any more, from what was tried."""
    after = "the same command goes on"
    if found.faces_of_others:
        after = "the faces of other programs give it, delete those"
    if left:
        terminal.complain(f"the name is still on {counted(left, 'picture')}: {after}")
    if seen:
        terminal.complain(f"{found.name} is still recognised on {seen} of {tried} portraits")
    if left or seen or late:
        return
    end = f"{found.name} is forgotten"
    if found.pictures:
        end += f", the name taken off {counted(len(found.pictures), 'picture')}"
    if tried:
        end += f"; searched again on {counted(tried, 'portrait')}: not recognised"
    terminal.say(end)
