"""What to say of what is not there: which one may be meant, or why there is nothing."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from facelabel.core import nearest
from facelabel.core.counting import counted
from facelabel.errors import NotFound
from facelabel.media import near_misses

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from facelabel.bootstrap.app import App
    from facelabel.core.label_policy import LabelPolicy
    from facelabel.core.model import Asset
    from facelabel.media.ports import Directory
    from facelabel.recognition.ports import Ledger

#: So many pictures are counted at most.
_COUNTED = 1000


def no_picture(library: Directory, ident: str, label_policy: LabelPolicy) -> NotFound:
    """That there is none of this public_id or asset_id, with those that are near."""
    homes = (label_policy.training, label_policy.recognition)
    near = nearest.asked(near_misses.pictures(library, ident, homes))
    listed = "; `facelabel library` lists them"
    return NotFound(f"there is no picture {ident!r} in the library{near or listed}")


def check_folder(library: Directory, folder: str, label_policy: LabelPolicy) -> None:
    """Raise NotFound, with those that are near, unless the library has the folder.

    Ours are as good as there: they may be empty.
    """
    if folder in {"", label_policy.training, label_policy.recognition}:
        return
    found = near_misses.folders(library, folder)
    if found != [folder]:
        near = nearest.asked(found or label_policy.near(folder))
        raise NotFound(f"there is no folder {folder!r} in the library{near}")


def nobody_called(people: Iterable[str], person: str) -> str:
    """That nobody is known by that name, with those that are near."""
    return f"nobody is known as {person!r}{nearest.question(person, people)}"


def missing_tags(asset: Asset, tags: Sequence[str]) -> list[str]:
    """Of tags that a picture should have and has not: each with those on it that are near."""
    return [
        f"{tag!r} is not on {asset.public_id}{nearest.question(tag, asset.tags)}"
        for tag in tags
        if tag not in asset.tags
    ]


def knows_nobody(ledger: Ledger) -> bool:
    """Whether no portrait of ours was learnt."""
    live = ledger.collection()
    return live is None or next(iter(ledger.enrolments(live)), None) is None


def has_no_faces(app: App) -> bool:
    """Whether there is nobody whom a face could resemble, also of others' making."""
    if not knows_nobody(app.ledger):
        return False
    live = app.ledger.collection()
    return live is None or next(iter(app.recognizer.faces(live)), None) is None


def why_nothing_labelled(app: App, folder: str) -> str:
    """Why no portrait of a folder can be learnt: there is none, or none with a label; "" if not."""
    label_policy = app.label_policy
    pictures = (a for a in app.library.assets(folder) if label_policy.is_training(a))
    some = list(islice(pictures, _COUNTED))
    without = sum(not label_policy.labels(asset) for asset in some)
    if without:
        told = counted(without, "picture has", "pictures have")
        return f"{told} no label, such as {label_policy.prefix}:John Doe, in the folder {folder!r}"
    if some:
        return ""
    return f"there are no portraits in the library's folder {folder or '/'!r}"
