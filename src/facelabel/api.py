"""Facelabel from Python: opening a session, and the original app's own calls."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from facelabel import absence, actions
from facelabel import settings as configuration
from facelabel.bootstrap.app import opened
from facelabel.core import nearest
from facelabel.errors import NotFound
from facelabel.inputs import reading
from facelabel.session import Session

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from facelabel.core.jobs import Outcome
    from facelabel.core.model import FaceDecision
    from facelabel.settings import Settings

log = logging.getLogger(__name__)


def open(  # noqa: A001 - facelabel.open, as gzip.open
    settings: Settings | None = None,
    /,
    *,
    on_download: Callable[[str, int, int | None], None] | None = None,
    **overrides: object,
) -> Session:
    """Open the library, the people who are known in it, and the face models.

    ``with facelabel.open() as faces:`` closes it again. Models are loaded by the first call that
    needs them, and stay loaded: keep a session for as long as there are pictures.

    Args:
        settings: instead of those read from environment, ``.env`` and ``facelabel.toml``.
        on_download: told how far a model file is that has to be fetched: its name, bytes so far,
            and bytes in all, None where that is not known.
        **overrides: single settings by name, such as ``data="faces"`` or ``pack="opencv-zoo"``:
            they win over the environment.

    Raises:
        ConfigurationError: a setting is wrong, or the data folder cannot be used.
        Unavailable: the database cannot be reached.
        TypeError: an override that is no setting, or both settings and overrides.

    """
    if settings is None:
        settings = load_settings(**overrides)
    elif overrides:
        raise TypeError("give settings or single overrides, not both")
    return Session(settings, on_download)


def load_settings(**overrides: object) -> Settings:
    """Read the settings from environment, ``.env`` and ``facelabel.toml``.

    Args:
        **overrides: settings by name, which win.

    Raises:
        ConfigurationError: naming the variable, the value and what is allowed.
        TypeError: an override that is no setting.

    """
    unknown = overrides.keys() - configuration.SETTINGS.keys()
    if unknown:
        told = sorted(name + nearest.question(name, configuration.SETTINGS) for name in unknown)
        raise TypeError(f"there is no setting {', '.join(told)}")
    settings = configuration.load(overrides)
    for said in configuration.unread(settings):
        log.warning("%s", said)
    return settings


def index_faces(folder: str = "training/", *, settings: Settings | None = None) -> list[Outcome]:
    """Learn every labelled image of a folder of the library.

    Images that are learnt already are left as they are. Returns one outcome for each image that
    carries a label; those that were refused say why in ``note``. Opens a session and closes it.

    Raises:
        NotFound: there is no such folder in the library, or nothing to learn from in it while a
            folder of this computer is called so, which :meth:`Session.index` learns from.

    """
    with opened(settings or load_settings()) as app:
        place = folder.strip("/")
        absence.check_folder(app.library, place, app.label_policy)
        ids = [asset.asset_id for asset in actions.labelled(app, place)]
        if not ids:
            _say_why(absence.why_nothing_labelled(app, place), folder)
        return actions.work(app, ids)


def _say_why(nothing: str, folder: str) -> None:
    """That a folder of the library has nothing to learn from; it may not be what was meant."""
    if reading.is_folder(Path(folder)):
        raise NotFound(
            f"{nothing}; to learn from {folder!r} on this computer:"
            f" `with facelabel.open() as faces: faces.index({folder!r})`"
        )
    log.warning("%s", nothing)


def upload_and_index(
    source: str | os.PathLike[str], label: str, *, settings: Settings | None = None
) -> Outcome:
    """Upload a portrait to the training folder under a label and learn it.

    Opens a session and closes it.

    Args:
        source: path or http(s) URL of an image with one face.
        label: ``faceLabel:John Doe``; the bare name is fine too.
        settings: instead of those read from the environment.

    Raises:
        Rejected: with the reason, if the image cannot be learnt. It stays in the library, where
            ``facelabel_error`` in its context says the same.

    """
    with open(settings) as faces:
        return faces.learn(source, label)


def identify(
    path: str | os.PathLike[str], *, settings: Settings | None = None
) -> tuple[FaceDecision, ...]:
    """Say who is on a picture; nothing is stored. Faces come largest first.

    Opens a session and closes it, models and all: for more than one picture :func:`open` one.
    """
    with open(settings) as faces:
        return faces.identify(path).faces
