"""demo: the main job on sample photos, from nothing, in one command."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from facelabel import actions
from facelabel.cli import report, terminal
from facelabel.cli import tally as tallying
from facelabel.cli.framework import Command, finish
from facelabel.cli.terminal import application, bold
from facelabel.core.counting import counted
from facelabel.core.jobs import OutcomeKind
from facelabel.errors import Rejected
from facelabel.inputs.portraits import Portrait
from facelabel.inputs.portraits import read as read_portraits
from facelabel.inputs.walking import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from facelabel.bootstrap.app import App
    from facelabel.core.model import Asset
    from facelabel.settings import Settings

T = TypeVar("T")


@click.command(
    cls=Command, streams=True, examples=["demo", "demo --portraits ~/portraits --photos ~/party"]
)
@click.option(
    "--portraits", type=click.Path(path_type=Path, exists=True, readable=False),
    help="Your own labelled portraits, as `facelabel index` takes them.",
)  # fmt: skip
@click.option(
    "--photos", type=click.Path(path_type=Path, exists=True, readable=False),
    help="Your own pictures to search.",
)  # fmt: skip
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False, readable=False),
    default="demo-output", show_default=True, help="Where the annotated pictures go.",
)  # fmt: skip
@click.pass_obj
def demo(settings: Settings, portraits: Path | None, photos: Path | None, output: Path) -> None:
    """Learn two faces and find them on other pictures.

    Works in a temporary data folder and talks to no account. Without your own pictures it takes
    seven pictures of two public figures from the package index.
    """
    if (portraits is None) != (photos is None):
        raise click.UsageError("give both --portraits and --photos, or neither")
    walk = Walk()
    with tempfile.TemporaryDirectory(prefix="facelabel-demo-") as folder:
        private = settings.model_copy(
            update={"data": Path(folder), "store": None, "library": "local"}
        )
        with application(private) as app:
            if portraits and photos:
                learn = read_portraits(portraits, private.face_label_tag_prefix, walk)
                pictures = report.pictures([photos], walk)
            else:
                learn, pictures = _samples(private, Path(folder))
            ends = _run(app, learn, pictures, output)
    report.print_left_out(walk.left_out)
    finish(refused=OutcomeKind.REFUSED in ends or walk.failed, waiting=OutcomeKind.WAITING in ends)


def _samples(settings: Settings, folder: Path) -> tuple[list[Portrait], list[Path]]:
    from facelabel.bootstrap.app import sample_photos  # noqa: PLC0415 - help needs no database

    samples = sample_photos(settings)
    learn = [
        Portrait(str(samples.folder / "obama.jpg"), "Barack Obama"),
        Portrait(str(samples.folder / "biden.jpg"), "Joe Biden"),
    ]
    names = ("obama2.jpg", "obama3.jpg", "obama_partial_face.jpg", "obama_partial_face2.jpg")
    pictures = [samples.folder / name for name in names]
    pictures.append(folder / "two-people.jpg")
    pictures[-1].write_bytes(samples.two_people)
    terminal.say("two-people.jpg is composed here: Obama from another picture than the one learnt;")
    terminal.say(
        "Biden, of whom there is one picture, re-cropped, rescaled and re-encoded from it."
    )
    terminal.say("")
    return learn, pictures


def _run(app: App, learn: list[Portrait], pictures: list[Path], output: Path) -> set[OutcomeKind]:
    """Learn and search; REFUSED or WAITING if that is what became of anything."""
    started = time.perf_counter()
    ends = _learn(app, learn)
    assets = _stored(pictures, lambda picture: _upload(app, picture))
    with tallying.working(app, "searching") as tally:
        tallying.drain(app, tally)
    terminal.say("")
    shown = [_show(app, asset, output) for _, asset in assets]
    terminal.answer({"output": output, "pictures": shown})
    saved = [picture["saved_as"] for picture in shown]
    if any(saved):
        seconds = time.perf_counter() - started
        terminal.say("")
        terminal.say(f"annotated pictures are in {output}/ ({seconds:.1f} s in all)")
    if tally.refused or len(assets) < len(pictures):
        ends.add(OutcomeKind.REFUSED)
    if tally.waiting or not all(saved):
        ends.add(OutcomeKind.WAITING)
    return ends


def _learn(app: App, portraits: list[Portrait]) -> set[OutcomeKind]:
    """The same of portraits."""
    stored = _stored(portraits, lambda portrait: actions.add_portrait(app, portrait))
    with tallying.working(app, "learning", quiet=True) as tally:
        outcomes = actions.work(app, [asset.asset_id for _, asset in stored], tally)
    learnt = sum(outcome.kind is OutcomeKind.LEARNT for outcome in outcomes)
    sources = [portrait.source for portrait, _ in stored]
    for source, note in tallying.remarks(zip(sources, outcomes, strict=True)):
        terminal.complain(f"{source}: {note}")
    people = counted(len({portrait.person for portrait in portraits}), "person", "people")
    terminal.say(f"learnt {learnt:,} of {counted(len(portraits), 'portrait')} of {people}")
    late = sum(outcome.kind is OutcomeKind.WAITING for outcome in outcomes)
    ends = {OutcomeKind.WAITING: late, OutcomeKind.REFUSED: len(portraits) - learnt - late}
    return {end for end, count in ends.items() if count}


def _upload(app: App, picture: Path) -> Asset:
    data = actions.read_file(app, picture)
    return app.library.upload(data, folder=app.label_policy.recognition, filename=picture.name)


def _stored(things: Iterable[T], store: Callable[[T], Asset]) -> list[tuple[T, Asset]]:
    """Put pictures into the library; of those that cannot be, say why."""
    stored: list[tuple[T, Asset]] = []
    for thing in things:
        try:
            stored.append((thing, store(thing)))
        except Rejected as rejection:
            source = getattr(thing, "source", thing)
            terminal.complain(f"{source}: {rejection}")
    return stored


def _show(app: App, asset: Asset, output: Path) -> dict[str, object]:
    """Print who is on a picture and save it, annotated, which may fail; the same for programs."""
    search = app.ledger.search(asset.asset_id)
    faces = search.faces if search else ()
    terminal.say(bold(f"{asset.filename}:"), report.names_line(faces))
    for face in faces:
        if face.best:
            runner = f", runner-up {face.runner_up.similarity:.1f}" if face.runner_up else ""
            terminal.say(f"    {face.name or face.verdict}: {face.best.similarity:.1f}{runner}")
    path = output / f"{Path(asset.public_id).name}.jpg"
    is_saved = report.save(path, app.annotate(app.library.fetch(asset), faces))
    if is_saved and not terminal.is_for_people():
        terminal.give(str(path))
    return {"file": asset.filename, "names": sorted(face.name for face in faces if face.name),
            "saved_as": path if is_saved else None}  # fmt: skip
