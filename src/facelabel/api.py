"""Facelabel from Python: the original app's own calls, and ``identify``.

Each call reads the settings (environment, .env, facelabel.toml), does its work and closes what
it opened; pass ``settings`` to use others.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from facelabel import actions
from facelabel import settings as configuration
from facelabel.bootstrap.app import opened
from facelabel.errors import Rejected
from facelabel.model import OutcomeKind
from facelabel.portraits import Portrait

if TYPE_CHECKING:
    from facelabel.model import NamedFace, Outcome
    from facelabel.settings import Settings


def index_faces(folder: str = "training/", *, settings: Settings | None = None) -> list[Outcome]:
    """Learn every labelled image of a folder of the library.

    Images that are learnt already are left as they are. Returns one outcome for each image that
    carries a label; those that were refused say why in ``note``.
    """
    with opened(settings or configuration.load()) as app:
        labelled = [asset.asset_id for asset in actions.labelled(app, folder.strip("/"))]
        return actions.work(app, labelled)


def upload_and_index(
    source: str | os.PathLike[str], label: str, *, settings: Settings | None = None
) -> Outcome:
    """Upload a portrait to the training folder under a label and learn it.

    Args:
        source: path or http(s) URL of an image with one face.
        label: ``faceLabel:John Doe``; the bare name is fine too.
        settings: instead of those read from the environment.

    Raises:
        Rejected: with the reason, if the image cannot be learnt. It stays in the library, where
            ``facelabel_error`` in its context says the same.

    """
    with opened(settings or configuration.load()) as app:
        asset = actions.add_portrait(app, Portrait(os.fspath(source), label))
        (outcome,) = actions.work(app, [asset.asset_id])
        if outcome.kind is OutcomeKind.REFUSED:
            raise Rejected(outcome.note)
        return outcome


def identify(
    path: str | os.PathLike[str], *, settings: Settings | None = None
) -> tuple[NamedFace, ...]:
    """Say who is on a picture; nothing is stored. Faces come largest first."""
    with opened(settings or configuration.load()) as app:
        return actions.identify(app, actions.read_file(app, Path(path))).faces
