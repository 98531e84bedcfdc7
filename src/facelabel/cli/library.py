"""upload, library and show: what goes into the library, and what is in it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from facelabel import actions
from facelabel import people as known_people
from facelabel.cli import agreeing, completion, nothing, report, tables, terminal
from facelabel.cli import tally as tallying
from facelabel.cli.changes import id_argument
from facelabel.cli.framework import Command, argument, finish
from facelabel.cli.tables import Column, Kind
from facelabel.cli.terminal import application, bar, bold, records
from facelabel.core import names, nearest, quality
from facelabel.core.counting import counted
from facelabel.core.jobs import OutcomeKind
from facelabel.core.model import NameState
from facelabel.errors import Rejected, Unavailable
from facelabel.inputs import reading
from facelabel.inputs.walking import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from facelabel.bootstrap.app import App
    from facelabel.bootstrap.records import Records
    from facelabel.core.jobs import Outcome
    from facelabel.core.label_policy import LabelPolicy
    from facelabel.core.model import Asset, Enrolment, SearchRecord
    from facelabel.core.naming import Rules
    from facelabel.engine.own_calibrations import OwnCalibration
    from facelabel.settings import Settings

#: So many pictures are asked for what was found on them at once.
_PAGE = 500
#: Of the list of pictures.
COLUMNS = (
    Column("public_id"), Column("folder", weight=-1), Column("tags", Kind.ITEMS, weight=1),
    Column("faces"),
)  # fmt: skip


@click.command(
    cls=Command,
    streams=True,
    examples=[
        'upload me.jpg --folder training --label "John Doe"',
        "upload party.jpg --folder assets",
    ],
)
@argument(
    "sources", nargs=-1, required=True, metavar="FILE_OR_URL...", shell_complete=completion.files,
    help="Pictures, folders of them, or addresses.",
)  # fmt: skip
@click.option(
    "--folder", help="Folder of the library, / its root [default: the recognition folder]."
)
@click.option("--label", help="Whom a portrait shows; its folder is then the training one.",
              shell_complete=completion.people)  # fmt: skip
@click.option("--tag", "tags", multiple=True, help="A tag; may be given several times.")
@click.option("--public-id", help="Name in the library; default: folder and file name.")
@click.option("--now", is_flag=True, help="Look at them now, instead of a worker later.")
@click.pass_obj
def upload(
    settings: Settings,
    sources: tuple[str, ...],
    folder: str | None,
    label: str | None,
    tags: tuple[str, ...],
    public_id: str | None,
    *,
    now: bool,
) -> None:
    """Put pictures into the library.

    Labelled ones in the training folder are learnt, those in the recognition folder get names:
    by `facelabel worker`, or at once with --now. Folders are walked through; folders inside them
    are made in the library, too.
    """
    with agreeing.application(settings) as app:
        label_policy = app.label_policy
        label_policy.check_tags(tags)
        place, wanted = _place(label_policy, folder, label), [*tags]
        if label is not None:
            prefix = label_policy.prefix
            wanted.append(names.label(label.removeprefix(f"{prefix}:"), prefix))
        if now:
            agreeing.keep_to_rules(app)
        walk = Walk()
        files = _expand(sources, walk)
        if public_id and len(files) > 1:
            raise click.UsageError("--public-id names one picture: give one file")
        with bar("uploading", len(files)) as advance:
            uploads = _upload(app, files, Place(place, public_id, wanted), advance)
        uploaded = uploads.assets
        outcomes, summary, rest = (
            tallying.look_at(app, list(uploaded.values())) if now else ([], "", "")
        )
        if label is not None and uploaded:
            report.print_warnings(_warnings(app, label))
    nothing.warn_of_uploads([*uploaded.values()], label_policy)
    results = dict(zip(uploaded, outcomes, strict=True)) if now else {}
    _print_uploads(uploads, results, walk, summary or uploads.what_follows(label_policy))
    if rest:
        terminal.remark(rest)
    kinds = {outcome.kind for outcome in (*uploads.problems.values(), *outcomes)
             if outcome != actions.ELSEWHERE}  # fmt: skip
    finish(
        refused=OutcomeKind.REFUSED in kinds or walk.failed, waiting=OutcomeKind.WAITING in kinds
    )


def _warnings(app: App, label: str) -> list[str]:
    """What there is to ask about a name; where that is not known now, the report goes on."""
    try:
        return list(known_people.other_spellings(app, label))
    except Unavailable as trouble:
        return [f"whether a name looks like {label!r} is not known: {trouble}"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where pictures go, and under what."""

    folder: str
    public_id: str | None
    tags: Sequence[str]


@dataclass(frozen=True, slots=True)
class Uploads:
    """What came of uploads, all by source."""

    assets: dict[str, Asset] = field(default_factory=dict)
    #: What kept the others out.
    problems: dict[str, Outcome] = field(default_factory=dict)
    #: Those that were there already.
    already: set[str] = field(default_factory=set)

    @property
    def total(self) -> str:
        """In a line, such as "9 uploaded, 3 there already"."""
        there, refused = len(self.already), len(self.problems)
        new = len(self.assets) - there
        counts = ((new, "uploaded"), (there, "there already"), (refused, "not uploaded"))
        said = ", ".join(f"{count:,} {what}" for count, what in counts if count)
        return said if new or refused else f"nothing new: {said}"

    def what_follows(self, label_policy: LabelPolicy) -> str:
        """Who looks at the new ones; "" where none is one that somebody looks at."""
        new = [asset for source, asset in self.assets.items() if source not in self.already]
        looked_at = sum(nothing.is_looked_at(asset, label_policy) for asset in new)
        if not looked_at:
            return ""
        what = "it" if len(new) == 1 else "them"
        if looked_at < len(new):
            what = f"{looked_at:,} of them"
        return f"`facelabel worker --once` looks at {what}, if no worker is running"


def _expand(sources: Sequence[str], walk: Walk) -> dict[str, str]:
    """Addresses as they are, files, and the pictures in folders; each with the folder it is in.

    Below the one that was named: "" for what lies right in that.
    """
    paths = [source if reading.is_url(source) else Path(source) for source in sources]
    found: dict[str, str] = {}
    for path in paths:
        if isinstance(path, Path):
            found |= {str(file): _below(path, file) for file in walk.pictures([path])}
        else:
            found[path] = ""
    if not found:
        raise report.no_pictures((path for path in paths if isinstance(path, Path)), walk)
    return found


def _below(folder: Path, file: Path) -> str:
    """The folder of a file inside another, as folders of the library may be called."""
    if folder == file:
        return ""
    parts = [actions.clean_name(part) for part in file.parent.relative_to(folder).parts]
    return "/".join(filter(None, parts))


def _upload(
    app: App, files: Mapping[str, str], to: Place, advance: Callable[[int, int | None], None]
) -> Uploads:
    """Upload one after the other."""
    uploads = Uploads()
    for number, (source, below) in enumerate(files.items(), start=1):
        try:
            data, filename = actions.read(app, source)
            asset = app.library.upload(
                data, folder="/".join(filter(None, [to.folder, below])), filename=filename,
                public_id=to.public_id, tags=to.tags or None,
                on_existing=partial(uploads.already.add, source),
            )  # fmt: skip
        except (Rejected, Unavailable) as trouble:
            uploads.problems[source] = actions.failed(trouble)
            uploads.already.discard(source)
        else:
            uploads.assets[source] = asset
        advance(number, len(files))
    return uploads


def _place(label_policy: LabelPolicy, folder: str | None, label: str | None) -> str:
    """The folder to upload to; Rejected if a label would teach nothing there."""
    training = label_policy.training
    if folder is None:
        return label_policy.recognition if label is None else training
    place = folder.strip("/")
    if label is not None and not f"{place}/".startswith(f"{training}/" if training else ""):
        near = nearest.asked(nearest.nearest(place, [training]))
        raise Rejected(
            f"a label teaches only in the training folder {training!r}, not in {place!r}{near}"
        )
    return place


def _print_uploads(
    uploads: Uploads, results: Mapping[str, Outcome], walk: Walk, after: str
) -> None:
    """Each by name, then how many, and what came after or is to come."""
    waiting: list[tuple[str, Outcome]] = []
    for source, asset in uploads.assets.items():
        outcome = results.get(source)
        if outcome and outcome.kind is not OutcomeKind.WAITING:
            if outcome.kind is OutcomeKind.IGNORED:  # why was said of all of them together
                outcome = replace(outcome, note="")
            terminal.give(asset.public_id, f"{asset.public_id}: {tallying.became(outcome)}")
            continue
        there = " (there already)" if source in uploads.already else ""
        terminal.give(asset.public_id, f"{asset.public_id}{there}")
        if outcome:
            waiting.append((asset.public_id, outcome))
    for name, note in tallying.remarks(uploads.problems.items()):
        terminal.complain(f"{name}: {note}")
    for name, note in tallying.remarks(waiting):
        terminal.complain(f"{name}: {note}")
    report.print_left_out(walk.left_out)
    terminal.say("; ".join(filter(None, [uploads.total, after])))
    terminal.answer({"pictures": _rows_of(uploads, results)})


def _rows_of(uploads: Uploads, results: Mapping[str, Outcome]) -> list[object]:
    """The same for programs."""
    rows: list[object] = [
        {"source": source, **_public(asset), **_became(results.get(source))}
        for source, asset in uploads.assets.items()
    ]
    rows += [{"source": source, **_became(outcome)} for source, outcome in uploads.problems.items()]
    return rows


def _became(outcome: Outcome | None) -> dict[str, object]:
    if outcome is None:
        return {}
    return {"outcome": outcome.kind, "names": outcome.names, "note": outcome.note,
            "faces_left_out": outcome.left_out}  # fmt: skip


@click.command(cls=Command, examples=['library assets --person "John Doe" --person "Mary Roe"'])
@argument("folder", required=False, help="Of the library; default: all of it.")
@click.option("--person", "people", multiple=True, help="Only with this person; several: together.",
              shell_complete=completion.people)  # fmt: skip
@click.option("--only", is_flag=True, help="With --person: with nobody else who is known.")
@click.pass_obj
def library(settings: Settings, folder: str | None, people: tuple[str, ...], *, only: bool) -> None:
    """List pictures, with their tags and who was found on them."""
    place, wanted = (folder or "").strip("/"), {names.normalise(person) for person in people}
    with records(settings) as kept:
        shown = (row for row in _found(kept, place) if _shows(row, wanted, only=only))
        first = list(islice(shown, 1))
        if not first:
            nothing.say(nothing.listed(kept, place, wanted))
        every = chain(first, shown)
        if terminal.is_for_programs():
            terminal.answer([_public(asset) | {"names": _names(search)} for asset, search in every])
        elif first:
            _list(every)


def _found(kept: Records, folder: str) -> Iterator[tuple[Asset, SearchRecord | None]]:
    """Pictures with what was found on them, a page at a time."""
    assets = iter(kept.library().assets(folder))
    while page := list(islice(assets, _PAGE)):
        searches = kept.ledger.searches([asset.asset_id for asset in page])
        yield from ((asset, searches.get(asset.asset_id)) for asset in page)


def _list(shown: Iterable[tuple[Asset, SearchRecord | None]]) -> None:
    count = 0

    def rows() -> Iterator[Sequence[tables.Cell]]:
        nonlocal count
        for count, (asset, search) in enumerate(shown, start=1):  # noqa: B007 - told below
            machine = names.face_id_tags(asset.tags)
            tags = tuple(tag for tag in asset.tags if tag not in machine)
            faces = "learnt" if machine else ""
            if search:
                faces = f"{len(search.faces)}, {len(_names(search))} named"
            yield asset.public_id, asset.folder, tags, faces

    tables.show(COLUMNS, rows())
    terminal.say(counted(count, "picture"))


def _names(search: SearchRecord | None) -> list[str]:
    return sorted(search.names) if search else []


def _shows(row: tuple[Asset, SearchRecord | None], wanted: set[str], *, only: bool) -> bool:
    """Whether everybody wanted is on the picture, by tag: people's own tags count too."""
    asset, search = row
    strangers = set(_names(search)) - wanted
    return wanted <= set(asset.tags) and not (only and strangers)


def _public(asset: Asset) -> dict[str, object]:
    """An asset in the words of Cloudinary's own answers."""
    return {
        "asset_id": asset.asset_id, "public_id": asset.public_id, "asset_folder": asset.folder,
        "version": asset.version, "format": asset.format, "bytes": asset.bytes,
        "width": asset.width, "height": asset.height, "etag": asset.etag,
        "tags": asset.tags, "context": dict(asset.context), "original_filename": asset.filename,
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(asset.created_at)),
    }  # fmt: skip


@click.command(cls=Command, verbose=f"{report.FACES_VERBOSE}, and all that is kept of the picture")
@id_argument
@click.pass_obj
def show(settings: Settings, ident: str) -> None:
    """Show one picture: tags, faces, and why each has a name, or none."""
    with application(settings) as app:
        asset = actions.find(app, ident)
        search = app.ledger.search(asset.asset_id)
        marks = app.ledger.names(asset.asset_id)
        enrolments, rules = actions.enrolments(app), app.gallery.rules()
        unnamed = nothing.why_unnamed(asset, app.label_policy)
        own = actions.calibration(app, search) if search else None
    enrolment = next((e for e in enrolments if e.asset_id == asset.asset_id), None)
    found = {"enrolment": enrolment, "search": search, "our_names": dict(marks)}
    terminal.answer({**_public(asset), **found})
    if not terminal.is_for_people():
        for name in _names(search):
            terminal.give(name)
        return
    _print_what_it_is(asset, enrolment, search, unnamed)
    if search:
        _print_search(search, rules, own, {e.face_id: e.public_id for e in enrolments})
    refused = sorted(name for name, state in marks.items() if state is NameState.REFUSED)
    if refused:
        terminal.say(f"not them, said a person: {', '.join(refused)}")
    _print_picture(asset, enrolment, search)


def _print_what_it_is(
    asset: Asset, enrolment: Enrolment | None, search: SearchRecord | None, unnamed: str
) -> None:
    """What a person looks for first: who is on it, whom it taught, or why nobody knows."""
    said = []
    if enrolment:
        said.append(f"learnt as {enrolment.person}")
    if search:
        said.append(report.names_line(search.faces))
    if refused := asset.context.get(names.ERROR_KEY):
        said.append(refused)
    terminal.say(bold(f"{asset.public_id}:"), "; ".join(said or [unnamed]))


def _print_picture(asset: Asset, enrolment: Enrolment | None, search: SearchRecord | None) -> None:
    """Its tags and its file in two lines; if asked for, all that is kept of it."""
    if not terminal.is_verbose():
        tags = [tag for tag in asset.tags if tag not in names.face_id_tags(asset.tags)]
        terminal.say(bold("tags:"), ", ".join(tags) or "none")
        day = time.strftime("%Y-%m-%d", time.gmtime(asset.created_at))
        size = f"{asset.width} \u00d7 {asset.height}"
        where = f"in {asset.folder or '/'}"
        parts = filter(None, [asset.filename, size, where, f"uploaded on {day}"])
        terminal.say(bold("picture:"), ", ".join(parts))
        return
    for key, value in _public(asset).items():
        shown = ", ".join(_entries(value)) if isinstance(value, (tuple, dict)) else value
        terminal.say(bold(f"{key}:"), str(shown))
    if enrolment:
        terminal.say(bold("face_id:"), enrolment.face_id)
    if search:
        terminal.say(bold("searched:"), f"{search.model}, threshold/margin {search.rules}")


def _print_search(
    search: SearchRecord, rules: Rules, own: OwnCalibration | None, references: Mapping[str, str]
) -> None:
    if own:
        terminal.say(report.calibrated(own))
    if sentence := report.asked(rules, search.portraits):
        terminal.say(sentence)
    report.print_faces(search.faces, references)
    for face in search.left_out:
        terminal.say(f"a face left out: {' and '.join(quality.words(face.reasons))}")


def _entries(value: tuple[str, ...] | dict[str, str]) -> Iterator[str]:
    if isinstance(value, dict):
        return (f"{key}: {text}" for key, text in value.items())
    return iter(value)
