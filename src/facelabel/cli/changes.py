"""tag-add, tag-remove, move, rename and rm: a picture is changed, and decided about at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from facelabel import actions, people
from facelabel.cli import agreeing, completion, nothing, terminal
from facelabel.cli import tally as tallying
from facelabel.cli.framework import Command, argument, confirm, finish
from facelabel.core.counting import counted
from facelabel.core.jobs import OutcomeKind
from facelabel.errors import Rejected, Unavailable
from facelabel.recognition.notices import Notices

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from facelabel.bootstrap.app import App
    from facelabel.core.jobs import Outcome
    from facelabel.core.model import Asset
    from facelabel.settings import Settings

id_argument = argument(
    "ident", metavar="ID", shell_complete=completion.public_ids, help="A public_id or an asset_id."
)
ids_argument = argument(
    "idents", metavar="ID...", nargs=-1, required=True, shell_complete=completion.public_ids,
    help="public_ids or asset_ids.",
)  # fmt: skip
tags_argument = argument(
    "tags", metavar="TAG...", nargs=-1, required=True, shell_complete=completion.people,
    help="Names or other tags.",
)  # fmt: skip


@click.command("tag-add", cls=Command, examples=['tag-add assets/party "John Doe"'])
@id_argument
@tags_argument
@click.pass_obj
def tag_add(settings: Settings, ident: str, tags: tuple[str, ...]) -> None:
    """Add tags to a picture.

    A label on a portrait is learnt at once.
    """
    with agreeing.application(settings) as app:
        agreeing.keep_to_rules(app)
        before, policy = actions.find(app, ident), app.label_policy
        asset = actions.add_tags(app, before, tags)
        if _concerns(app, asset, added=set(asset.tags) - set(before.tags)):
            asset, late = _decided(app, asset)
        else:
            late = False
        _print_tags(asset)
    nothing.warn_of_label(asset, policy)
    finish(waiting=late)


@click.command("tag-remove", cls=Command, examples=['tag-remove assets/party "John Doe"'])
@id_argument
@tags_argument
@click.pass_obj
def tag_remove(settings: Settings, ident: str, tags: tuple[str, ...]) -> None:
    """Remove tags from a picture.

    A name that we wrote and you remove is never written to that picture again. What a removed
    label taught is forgotten at once.
    """
    with agreeing.application(settings) as app:
        agreeing.keep_to_rules(app)
        before = actions.find(app, ident)
        asset, missing = actions.remove_tags(app, before, tags)
        for said in missing:
            terminal.complain(said)
        late = False
        if _concerns(app, asset, removed=set(before.tags) - set(asset.tags)):
            asset, late = _decided(app, asset)
        _print_tags(asset)
    finish(refused=bool(missing), waiting=late)


def _print_tags(asset: Asset) -> None:
    terminal.say(f"{asset.public_id}: {', '.join(asset.tags) or 'no tags'}")
    terminal.answer({"public_id": asset.public_id, "tags": asset.tags})


def _decided(app: App, asset: Asset) -> tuple[Asset, bool]:
    """Decide about a picture that was just changed; the picture then, and whether that waits."""
    if app.worker(actions.NOTICES).kinds:
        [outcome], _, rest = tallying.look_at(app, [asset])
        if rest:
            terminal.remark(rest)
    else:  # a queue without an order, and workers of its own
        outcome = actions.ELSEWHERE
    if outcome == actions.ELSEWHERE:
        terminal.remark("a worker has it in hand: what follows is there in a moment")
    elif outcome.kind is OutcomeKind.REFUSED:
        terminal.warn(f"{asset.public_id}: {outcome.note}")
    elif outcome.kind is OutcomeKind.WAITING:
        terminal.complain(f"{asset.public_id}: decided later: {outcome.note}")
        return asset, True
    return app.library.asset(asset.asset_id) or asset, False


def _concerns(
    app: App, asset: Asset, *, added: Collection[str] = (), removed: Collection[str] = ()
) -> bool:
    """Whether tags that were put on a picture or taken off have a name or a face follow."""
    notices = Notices(app.library, app.ledger, app.queue, app.label_policy)
    is_label = app.label_policy.is_training(asset) or _is_on_record(app, asset)
    return is_label and notices.concerns(asset.asset_id, list(added), list(removed))


def _is_on_record(app: App, asset: Asset) -> bool:
    """Whether a picture was learnt from or searched."""
    record = app.ledger.about(asset.asset_id)
    return bool(record.enrolment or record.search or record.marks)


@click.command(cls=Command, examples=["move training/me assets"])
@ids_argument
@argument("folder", help="Of the library; / is its root.")
@click.pass_obj
def move(settings: Settings, idents: tuple[str, ...], folder: str) -> None:
    """Move pictures to another folder of the library.

    What was learnt from them, or written on them, follows at once; new ones are for a worker.
    """
    with agreeing.application(settings) as app:
        agreeing.keep_to_rules(app)
        moved: list[dict[str, str]] = []
        late = False
        terminal.answer(moved)
        for found in [actions.find(app, ident) for ident in idents]:
            asset = app.library.move(found.asset_id, folder.strip("/"))
            if _is_on_record(app, asset):
                asset, waits = _decided(app, asset)
                late |= waits
            moved.append({"public_id": asset.public_id, "asset_folder": asset.folder})
            terminal.say(f"{asset.public_id} is in {asset.folder or 'the root folder'}")
            nothing.warn_of_folders([asset], app.label_policy)
    finish(waiting=late)


@click.command(cls=Command, examples=["rename assets/img_1 assets/party"])
@id_argument
@argument("public_id", metavar="NEW_ID", help="The public_id from now on.")
@click.pass_obj
def rename(settings: Settings, ident: str, public_id: str) -> None:
    """Give a picture another public_id."""
    with agreeing.application(settings) as app:
        agreeing.keep_to_rules(app)
        asset, late = app.library.rename(actions.find(app, ident).asset_id, public_id), False
        if _is_on_record(app, asset):
            asset, late = _decided(app, asset)
    terminal.give(asset.public_id)
    terminal.answer({"public_id": asset.public_id})
    finish(waiting=late)


@click.command(cls=Command, examples=["rm training/me"])
@ids_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def rm(settings: Settings, idents: tuple[str, ...], *, yes: bool) -> None:
    """Delete pictures. What was learnt from them is forgotten at once."""
    with agreeing.application(settings) as app:
        assets = list({a.asset_id: a for a in (actions.find(app, i) for i in idents)}.values())
        agreeing.keep_to_rules(app)
        if not yes:
            confirm(f"Delete {counted(len(assets), 'picture')} for good?")
        kept = _delete(app, assets)
        gone = [asset for asset in assets if asset.public_id not in kept]
        # Forgetting must not wait for a worker that may never be started.
        outcomes, _, rest = tallying.look_at(app, gone)
        people.take_names_back(app)
    late = {asset.public_id: outcome for asset, outcome in zip(gone, outcomes, strict=True)
            if outcome.kind in {OutcomeKind.REFUSED, OutcomeKind.WAITING}
            and outcome != actions.ELSEWHERE}  # fmt: skip
    for what, found in (("not deleted", kept), ("not forgotten yet", late)):
        for name, note in tallying.remarks(found.items()):
            terminal.complain(f"{name}: {what}: {note}")
    terminal.say(f"{counted(len(gone), 'picture')} deleted")
    if rest:
        terminal.remark(rest)
    terminal.answer(
        {
            "deleted": [asset.public_id for asset in gone],
            "not_deleted": {key: outcome.note for key, outcome in kept.items()},
            "not_forgotten": {key: outcome.note for key, outcome in late.items()},
        }
    )
    kinds = {outcome.kind for outcome in kept.values()}
    finish(refused=OutcomeKind.REFUSED in kinds, waiting=bool(late or kept))


def _delete(app: App, assets: Sequence[Asset]) -> dict[str, Outcome]:
    """Delete one after the other; what kept which, by public_id."""
    kept: dict[str, Outcome] = {}
    for asset in assets:
        try:
            app.library.delete(asset.asset_id)
        except (Rejected, Unavailable) as trouble:
            kept[asset.public_id] = actions.failed(trouble)
    return kept
