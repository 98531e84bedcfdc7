"""Why there is nothing, and what comes next."""

from __future__ import annotations

import shlex
from contextlib import contextmanager
from typing import TYPE_CHECKING

from facelabel import absence, actions
from facelabel.cli import terminal
from facelabel.core import nearest
from facelabel.core.counting import counted
from facelabel.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from facelabel.bootstrap.app import App
    from facelabel.bootstrap.records import Records
    from facelabel.core.label_policy import LabelPolicy
    from facelabel.core.model import Asset

NOBODY = "nobody is known yet: `facelabel index FOLDER` learns from labelled portraits"


def say(why: str) -> None:
    """Say it in the place of a list; programs, whose list is empty, have it beside that."""
    if terminal.is_for_people():
        terminal.say(why)
    else:
        terminal.warn(why)


def warn_if_nobody_is_known(app: App) -> None:
    """Where nobody can be named, whatever is on the pictures."""
    if absence.has_no_faces(app):
        terminal.warn(NOBODY)


@contextmanager
def explained(path: Path, label_policy: LabelPolicy) -> Iterator[None]:
    """Where a path of this computer is not there: it may be a folder of the library."""
    try:
        yield
    except NotFound as error:
        training = label_policy.training
        if training and path.as_posix().strip("/") == training:
            alone = f"`facelabel index` alone learns what is in the library's folder {training!r}"
            raise NotFound(f"{error}; {alone}") from error
        raise


def searched(app: App, folder: str, already: int) -> str:
    """Why no picture of a folder is to be searched; ``already``: how many were. NotFound."""
    if already:
        were = counted(already, "picture was", "pictures were")
        return f"nothing new: {were} searched before; `facelabel tag --again` searches all of them"
    absence.check_folder(app.library, folder, app.label_policy)
    return (
        f"there are no pictures in {folder or '/'!r}: `facelabel upload PICTURES` puts some there"
    )


def waits(app: App) -> str:
    """Why a queue has nothing to do, and what comes next."""
    if failed := len(actions.failed_jobs(app)):
        return f"nothing waits, {failed:,} failed: `facelabel jobs list` says why"
    if absence.has_no_faces(app):
        return f"nothing waits; {NOBODY}"
    return "nothing waits: `facelabel upload PICTURES` puts some there"


def learnt(app: App) -> str:
    """Why nobody is known where training folder and index agree; "" where somebody is."""
    if not absence.knows_nobody(app.ledger):
        return ""
    if why := absence.why_nothing_labelled(app, app.label_policy.training):
        why += ": `facelabel index FOLDER` uploads labelled ones of this computer and learns them"
    return why


def listed(kept: Records, folder: str, people: Collection[str]) -> str:
    """Why no picture is listed; NotFound where there is no such folder."""
    label_policy = kept.label_policy
    absence.check_folder(kept.library(), folder, label_policy)
    if people:
        known = list(actions.portraits_by_person(kept))
        asked = (nearest.question(person, known) for person in people if person not in known)
        who = " and ".join(map(repr, sorted(people)))
        return f"there are no pictures of {who}{next(filter(None, asked), '')}"
    if not folder:
        return "the library is empty: `facelabel upload PICTURES` puts some there"
    return f"there are no pictures in {folder!r}: {_how_to_fill(folder, label_policy)}"


def kept(label_policy: LabelPolicy) -> str:
    """That neither of our folders has a picture."""
    return (
        f"there are no pictures in {label_policy.training or '/'!r} and"
        f" {label_policy.recognition or '/'!r}: are these the folders that are meant (settings"
        " trainingFolder, faceRecognitionFolder)?"
    )


def _how_to_fill(folder: str, label_policy: LabelPolicy) -> str:
    if folder == label_policy.training:
        return "`facelabel index FOLDER` uploads labelled portraits"
    return f"`facelabel upload PICTURES --folder {folder}` puts some there"


def why_unnamed(asset: Asset, label_policy: LabelPolicy) -> str:
    """Why nothing is known of a picture: it is to be looked at yet, or never."""
    if label_policy.is_training(asset):
        if label_policy.labels(asset):
            return "not learnt yet: `facelabel worker --once`"
        return f"not learnt: it has no label, such as {label_policy.prefix}:John Doe"
    if label_policy.is_searchable(asset):
        return "not searched yet: `facelabel worker --once`"
    return f"not searched: {label_policy.outside(asset.folder)}"


def warn_of_label(asset: Asset, label_policy: LabelPolicy) -> None:
    """Where a label teaches nothing, as its picture is in another folder."""
    training = label_policy.training
    if label_policy.labels(asset) and not label_policy.is_training(asset):
        where = f"the training folder {training!r}, and this is in {asset.folder or '/'!r}"
        words = shlex.join(("facelabel", "move", asset.public_id, training or "/"))
        terminal.warn(f"a label teaches only in {where}: `{words}`")


def warn_of_folders(assets: Sequence[Asset], label_policy: LabelPolicy) -> None:
    """In which folders pictures are neither searched nor learnt; the first few of them."""
    outside = sorted({asset.folder for asset in assets if not _is_ours(asset, label_policy)})
    for folder in outside[: nearest.OFFERED]:
        terminal.warn(label_policy.outside(folder))


def warn_of_uploads(uploaded: Sequence[Asset], label_policy: LabelPolicy) -> None:
    """Of uploads those that will be neither searched nor learnt, each reason once."""
    warn_of_folders(uploaded, label_policy)
    unlabelled = sum(
        label_policy.is_training(asset) and not label_policy.labels(asset) for asset in uploaded
    )
    if unlabelled:
        some = counted(unlabelled, "portrait has", "portraits have")
        terminal.warn(
            f"{some} no label and teach nothing: `facelabel upload FILE --label NAME`, or a folder"
            " for each person with `facelabel index FOLDER`"
        )


def is_looked_at(asset: Asset, label_policy: LabelPolicy) -> bool:
    """Whether a picture is searched or learnt, as far as folder and label decide that."""
    if label_policy.is_training(asset):
        return bool(label_policy.labels(asset))
    return label_policy.is_searchable(asset)


def _is_ours(asset: Asset, label_policy: LabelPolicy) -> bool:
    return label_policy.is_training(asset) or label_policy.is_searchable(asset)
