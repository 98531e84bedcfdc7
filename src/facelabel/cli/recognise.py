"""index, identify, tag: the commands about faces."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from facelabel import actions
from facelabel.cli import agreeing, nothing, report, terminal
from facelabel.cli import tally as tallying
from facelabel.cli.framework import Command, argument, finish
from facelabel.cli.terminal import application, bar, bold
from facelabel.core.counting import counted
from facelabel.core.jobs import JobKind, Outcome, OutcomeKind
from facelabel.errors import Rejected, Unavailable
from facelabel.inputs import portraits
from facelabel.inputs.walking import Walk
from facelabel.recognition import doubts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from facelabel.bootstrap.app import App
    from facelabel.core.model import Identification
    from facelabel.core.naming import Rules
    from facelabel.inputs.portraits import Portrait
    from facelabel.recognition.reconcile import Drift
    from facelabel.settings import Settings


#: So many of the pictures that would be searched are listed.
_SHOWN = 20
#: Outcomes after which a portrait is learnt.
_LEARNT = frozenset({OutcomeKind.LEARNT, OutcomeKind.UNCHANGED})


@click.command(
    cls=Command,
    streams=True,
    examples=["index ~/portraits", "index --check", "index --rebuild --pack opencv-zoo"],
)
@argument(
    "path", required=False, type=click.Path(path_type=Path, readable=False),
    help="Folder of labelled portraits, or a labels.csv.",
)  # fmt: skip
@click.option(
    "--check", is_flag=True,
    help="Compare the training folder with what is learnt, mend, report; ends with 1 as long as"
    " portraits are left that only you can mend.",
)  # fmt: skip
@click.option(
    "--rebuild", is_flag=True, help="Learn everybody anew beside what is learnt, then switch."
)
@click.option("--force", is_flag=True, help="With --rebuild: switch even if faces are lost by it.")
@click.option(
    "--yes", is_flag=True,
    help="Learn by other folders, labels or models than until now without asking.",
)  # fmt: skip
@click.option(
    "--spaces/--no-spaces", default=None,
    help="Whether _ in the names of folders is a space; default: where people are known so.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.pass_obj
def index(
    settings: Settings,
    path: Path | None,
    *,
    check: bool,
    rebuild: bool,
    force: bool,
    yes: bool,
    spaces: bool | None,
    dry_run: bool,
) -> None:
    """Learn faces from labelled portraits.

    PATH is a folder with one folder per person, or with files and a labels.csv (lines of
    url-or-path,label), or a labels.csv. The portraits are uploaded to the training folder and
    learnt; doing it again changes nothing. Without PATH the training folder is brought in line.

    Where the settings say of other pictures that they teach than until now, it says how many would
    be forgotten and learnt, and asks.
    """
    if (path is not None) + check + rebuild > 1:
        raise click.UsageError("give one of PATH, --check and --rebuild")
    if force and not rebuild:
        raise click.UsageError("--force goes with --rebuild")
    if spaces is not None and path is None:
        raise click.UsageError("--spaces and --no-spaces go with PATH")
    with agreeing.application(settings, asks=True, yes=yes, dry_run=dry_run) as app:
        if not dry_run:
            agreeing.keep_to_rules(app)
        if rebuild:
            _rebuild(app, force=force, yes=yes, dry_run=dry_run)
        elif path:
            walk = Walk()
            with nothing.explained(path, app.label_policy):
                found = portraits.read(path, app.label_policy.prefix, walk, spaces=bool(spaces))
            known = actions.portraits_by_person(app)
            if spaces is None:
                found = portraits.as_known(found, known)
            _tell_renamed(portraits.renamed(found, known))
            (_plan if dry_run else _import)(app, found, walk)
        else:
            _check(app, dry_run=dry_run)


def _tell_renamed(people: Mapping[str, str]) -> None:
    """Say who is called otherwise from now on, on pictures as well."""
    if people:
        some = ", ".join(f"{old!r} becomes {new!r}" for old, new in [*people.items()][:_SHOWN])
        more = f", {len(people) - _SHOWN:,} more" if len(people) > _SHOWN else ""
        terminal.warn(f"known by another spelling: {some}{more}")


def _plan(app: App, found: Sequence[Portrait], walk: Walk) -> None:
    why = {portrait: note for portrait in found if (note := portraits.explain_unreadable(portrait))}
    rows = [{"source": portrait.source, "person": portrait.person,
             "note": why.get(portrait, "")} for portrait in found]  # fmt: skip
    terminal.answer({"portraits": rows})
    good = [portrait for portrait in found if portrait not in why]
    wanted = len({portrait.person for portrait in good})
    for portrait, note in why.items():
        terminal.complain(f"{portrait.named}: {note}")
    report.print_costs(actions.costs(app, portraits=len(good)))
    report.print_warnings(filter(None, [portraits.underscored(found)]))
    report.print_left_out(walk.left_out)
    some = f"{counted(len(good), 'portrait')} of {counted(wanted, 'person', 'people')}"
    terminal.say(f"{some} would be uploaded and learnt")
    finish(refused=bool(why) or walk.failed)


def _import(app: App, found: Sequence[Portrait], walk: Walk) -> None:
    results, tally = _learn(app, found)
    known = _known(app)
    people = None if known is None else len(known)
    alike = [*doubts.spellings(known or {}), *filter(None, [portraits.underscored(found)])]
    terminal.answer({"people": people, "portraits": [_row(*result) for result in results]})
    said = [(portrait.named, outcome) for portrait, outcome in results
            if outcome.kind is not OutcomeKind.REFUSED]  # fmt: skip
    for name, note in tallying.remarks(said):
        is_late = note.startswith(tallying.WAITING)
        (terminal.complain if is_late else terminal.warn)(f"{name}: {note}")
    if alone := report.known_from_one(known or {}):
        terminal.say(alone)
    rules = app.gallery.rules()
    if not app.amazon and (asked := report.asked(rules, app.gallery.portraits())):
        chance = 100 * (rules.strangers or 0.0)
        terminal.say(f"{asked} for a name, so that about {chance:g} of 100 strangers is given one")
    report.print_warnings(alike)
    report.print_left_out(walk.left_out)
    terminal.say(_learnt_line(Counter(outcome.kind for _, outcome in results), people))
    kinds = {outcome.kind for _, outcome in results} - _LEARNT
    finish(
        refused=bool(kinds - {OutcomeKind.WAITING}) or walk.failed,
        waiting=OutcomeKind.WAITING in kinds or people is None or tally.stopped,
    )


def _learnt_line(kinds: Counter[OutcomeKind], people: int | None) -> str:
    """What became of portraits, such as "266 portraits learnt, 33 refused; 244 people known"."""
    learnt, known = kinds[OutcomeKind.LEARNT], kinds[OutcomeKind.UNCHANGED]
    waiting = kinds[OutcomeKind.WAITING]
    refused = kinds.total() - learnt - known - waiting
    counts = [(known, "known already"), (refused, "refused"), (waiting, "left for later")]
    first = f"{counted(learnt, 'portrait')} learnt" if learnt else "no portrait learnt"
    if known and not learnt:
        first = f"nothing new: {counted(known, 'portrait')} known already"
        _, *counts = counts
    said = ", ".join([first, *(f"{count:,} {what}" for count, what in counts if count)])
    return said if people is None else f"{said}; {tallying.people_known(people)}"


def _known(app: App) -> dict[str, list[str]] | None:
    """Who is known; None if that cannot be said now, which is no reason to report nothing."""
    try:
        return actions.portraits_by_person(app)
    except Unavailable as trouble:
        terminal.complain(f"who is known cannot be said: {trouble}")
        return None


def _learn(
    app: App, found: Sequence[Portrait]
) -> tuple[list[tuple[Portrait, Outcome]], tallying.Tally]:
    """Upload portraits and learn them; what became of each, those that could not be had first."""
    with bar("uploading", len(found)) as advance:
        stored = list(zip(found, actions.upload_portraits(app, found, advance), strict=True))
    failed = [(portrait, one) for portrait, one in stored if isinstance(one, Outcome)]
    for portrait, outcome in failed:
        if outcome.kind is OutcomeKind.REFUSED:
            terminal.complain(f"{portrait.named}: {outcome.note}")
    uploaded = {one.asset_id: portrait for portrait, one in stored if not isinstance(one, Outcome)}
    titles = {asset_id: portrait.named for asset_id, portrait in uploaded.items()}
    with tallying.working(app, "learning", titles=titles) as tally:
        outcomes = actions.work(app, list(uploaded), tally)
    return failed + list(zip(uploaded.values(), outcomes, strict=True)), tally


def _row(portrait: Portrait, outcome: Outcome) -> dict[str, str]:
    """One portrait, for programs."""
    return {"source": portrait.source, "person": portrait.person, "outcome": outcome.kind,
            "public_id": outcome.public_id, "note": outcome.note}  # fmt: skip


def _settle(app: App, title: str) -> bool:
    """Work the queue; whether that had to end before its end, which is told."""
    with tallying.working(app, title, quiet=True) as tally:
        tallying.drain(app, tally)
    return tally.stopped


def _check(app: App, *, dry_run: bool) -> None:
    stopped = not dry_run and _settle(app, "working the queue")  # what is on its way is no drift
    drift = app.reconciler.check()
    if drift.clean:
        terminal.say(nothing.learnt(app) or "what is learnt and the training folder agree")
    _print_drift(drift)
    terminal.answer(_drift_row(drift))
    if dry_run:
        todo = len(drift.missing) + len(drift.extra) + len(drift.lost)
        report.print_costs(actions.costs(app, portraits=todo))
        return
    if not (drift.clean or stopped):
        drift.check()
        app.reconciler.repair(drift)
        stopped = _settle(app, "mending")
        drift = app.reconciler.check()
        terminal.answer(_drift_row(drift))
        terminal.say("mended" if drift.clean else "not all of it could be mended: run it again")
    refused = bool(drift.refused or drift.contradictions)
    finish(refused=refused or not (drift.clean or stopped), waiting=stopped)


def _drift_row(drift: Drift) -> dict[str, object]:
    """What differs, for programs: by public_id, and by asset_id what the library has no more."""
    return {
        "missing": [asset.public_id for asset in drift.missing],
        "extra": drift.extra,
        "lost": [line.public_id for line in drift.lost],
        "orphans": drift.orphans,
        "refused": {asset.public_id: why for asset, why in drift.refused},
        "contradictions": [[line.public_id for line in group] for group in drift.contradictions],
    }


def _print_drift(drift: Drift) -> None:
    counts = (
        (drift.missing, "labelled, not learnt"),
        (drift.extra, "learnt, but picture or label is gone"),
        (drift.lost, "learnt, but the face is missing"),
        (drift.orphans, "faces that belong to no picture"),
    )
    for found, what in counts:
        if found:
            terminal.say(f"{len(found):,} {what}")
    for asset, why in drift.refused:
        terminal.complain(f"{asset.public_id}: {why}")
    for group in drift.contradictions:
        who = " and ".join(f"{line.person} ({line.public_id})" for line in group)
        terminal.complain(f"the same picture is labelled {who}")


def _rebuild(app: App, *, force: bool, yes: bool, dry_run: bool) -> None:
    model = "Amazon Rekognition" if app.amazon else app.engines.default_pack().model
    agreeing.agree_to_model(app, model, yes=yes or dry_run)
    if dry_run:
        count = len(actions.labelled(app, app.label_policy.training))
        terminal.say(f"{counted(count, 'portrait')} would be learnt anew with {model}")
        loss = app.reconciler.strangers(model)
        terminal.answer({"portraits": count, "model": model, "faces_of_others": loss})
        if loss:
            faces = counted(loss, "face")
            terminal.say(f"{faces} that others put there (IndexFaces) would be lost: --force")
        again = actions.searched_with_faces(app)
        report.print_costs(actions.costs(app, portraits=count, pictures=again))
        return
    collection = app.reconciler.request_rebuild(force=force)
    with bar("learning anew") as advance:
        app.rebuild_progress.append(advance)
        tally = tallying.Tally(lambda _done, _total: None, lambda: 0)
        first = app.worker({JobKind.REBUILD})  # pictures that wait for it would fail before it
        while done := first.run_one():
            tally(done)
        if app.ledger.collection() != collection:
            tallying.drain(app, tally)  # put off for a moment: it is tried again
    if app.ledger.collection() != collection:
        if tally.stopped:
            finish(waiting=True)
        raise Rejected("nobody was learnt anew, what was learnt before stays")
    people = len({enrolment.person for enrolment in actions.enrolments(app)})
    terminal.say(f"rebuilt as {collection}; {tallying.people_known(people)}")
    terminal.answer({"collection": collection, "people": people})
    if not tally.stopped:
        with tallying.working(app, "deciding again") as rest:
            tallying.drain(app, rest)
        tally = rest
    finish(refused=tally.refused, waiting=tally.waiting)


@click.command(
    cls=Command,
    examples=["identify party.jpg *.heic --draw named/"],
    verbose=report.FACES_VERBOSE,
)
@argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False),
    help="Pictures, or folders of them.",
)  # fmt: skip
@click.option(
    "--draw",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False, readable=False),
    help="Save pictures with boxes and names there.",
)
@click.pass_obj
def identify(settings: Settings, files: tuple[Path, ...], draw: Path | None) -> None:
    """Say who is on pictures. Nothing is stored.

    Folders are walked through.
    """
    walk, results, drawn, waiting = Walk(), list[dict[str, object]](), set[Path](), False
    with application(settings) as app:
        for file in report.pictures(files, walk):
            try:
                data = actions.read_file(app, file)
                seen = actions.identify(app, data)
                _, rules = app.gallery.searched(for_nobody=True)  # needs the models, too
            except Rejected as rejection:
                results.append({"file": str(file), "error": str(rejection)})
                terminal.complain(f"{file}: {rejection}")
                continue
            except Unavailable as trouble:  # nor would the next go through
                terminal.complain(f"{file}: {trouble}; it and what is left was not looked at")
                waiting = True
                break
            results.append(_row_of(file, seen))
            _print_identification(file, seen, rules)
            if draw:
                path = _unused(draw, file.stem, drawn)
                waiting |= not _save(path, app.annotate(data, seen.faces))
        nothing.warn_if_nobody_is_known(app)
    terminal.answer(results)
    report.print_left_out(walk.left_out)
    refused = walk.failed or any("error" in result for result in results)
    finish(refused=refused, waiting=waiting)


def _row_of(file: Path, seen: Identification) -> dict[str, object]:
    """One picture, for programs."""
    return {"file": str(file), "names": seen.names, "model": seen.model, "faces": seen.faces,
            "left_out": seen.left_out, "calls": seen.calls,
            "portraits": seen.portraits}  # fmt: skip


def _unused(folder: Path, stem: str, drawn: set[Path]) -> Path:
    """A file name of its own for each picture of this run, whatever folders they come from."""
    path, number = folder / f"{stem}-named.jpg", 1
    while path in drawn:
        number += 1
        path = folder / f"{stem}-{number}-named.jpg"
    drawn.add(path)
    return path


def _print_identification(file: Path, seen: Identification, rules: Rules) -> None:
    terminal.say(bold(f"{file}:"), report.names_line(seen.faces))
    if not terminal.is_for_people():
        for name in seen.names:
            terminal.give(f"{file}\t{name}")
    if seen.faces:
        report.print_faces(seen.faces)
    if sentence := report.asked(rules, seen.portraits):
        terminal.say(sentence, style="dim")
    if seen.left_out:
        terminal.say(f"{counted(len(seen.left_out), 'face')} more left out (setting max_faces)")
    if seen.calls:
        terminal.say(counted(seen.calls, "paid call"), style="dim")


def _save(path: Path, data: bytes) -> bool:
    """Whether it could be written."""
    saved = report.save(path, data)
    if saved:
        terminal.remark(f"saved {path}")
    return saved


@click.command(cls=Command, streams=True, examples=["tag --dry-run", "tag assets/2026"])
@argument("folder", required=False, help="Of the library; default: the recognition folder.")
@click.option("--again", is_flag=True, help="Search those searched before, too.")
@click.option("--dry-run", is_flag=True, help="Only say what would be searched, and decided.")
@click.option("--yes", is_flag=True, help="Decide by other rules than until now without asking.")
@click.pass_obj
def tag(settings: Settings, folder: str | None, *, again: bool, dry_run: bool, yes: bool) -> None:
    """Search new pictures and write the names as tags.

    Where the settings ask for other rules than names were decided by until now, it says how many
    names would come and go, and asks.

    FOLDER is in the library; default: the whole recognition folder. Stop it at any time: what is
    left is done by the next run, or by `facelabel worker`. With Rekognition, which is paid by
    the call, people learnt later are found on older pictures with --again only.
    """
    with agreeing.application(settings, dry_run=dry_run) as app:
        place = folder.strip("/") if folder else app.label_policy.recognition
        if dry_run:
            _plan_search(app, place, again=again)
            return
        agreeing.agreed(app, yes=yes)  # if not, names on new pictures are decided as before
        searched = itertools.count()
        with bar("listing") as listed:
            found = actions.enqueue_unsearched(
                app, place, lambda n: listed(n, None), again=again, on_searched=searched.__next__
            )
        with tallying.working(app, "searching") as tally:
            tallying.drain(app, tally)
        if left := app.queue.pending({JobKind.ASSET}):
            some = counted(left, "picture is", "pictures are")
            terminal.say(
                f"{some} with other workers or left for later: `facelabel jobs list --all`"
            )
        if found:
            nothing.warn_if_nobody_is_known(app)
        said = tallying.summary(app, tally)
        if said == tallying.NOTHING and not found:
            said = nothing.searched(app, place, next(searched))
        terminal.say(said)
        terminal.answer({**tally.result(), "left": left})
    finish(refused=tally.refused, waiting=tally.waiting)


def _plan_search(app: App, place: str, *, again: bool) -> None:
    searched = itertools.count()
    with bar("listing") as listed:
        work = []
        for asset in actions.unsearched(app, place, again=again, on_searched=searched.__next__):
            work.append(asset)
            listed(len(work), None)
    if not work:
        terminal.remark(nothing.searched(app, place, next(searched)), style="yellow")
    ids = [asset.asset_id for asset in work]
    known = app.ledger.searches(ids)
    for asset in work[:_SHOWN]:
        terminal.say(f"  {asset.public_id}", style="dim")
    if (more := len(work) - _SHOWN) > 0:
        terminal.say(f"  … {more:,} more", style="dim")
    report.print_costs(actions.costs(app, pictures=ids))
    agreeing.tell(app)
    terminal.answer({"pictures": [asset.public_id for asset in work], "again": len(known)})
    again_too = f", {len(known):,} of them again" if known else ""
    terminal.say(f"{counted(len(work), 'picture')} would be searched{again_too}")
