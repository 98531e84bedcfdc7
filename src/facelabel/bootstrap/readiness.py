"""Whether an application has what it needs, in ways that cost next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.bootstrap.engines import live_model
from facelabel.errors import FacelabelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from facelabel.bootstrap.app import App


def checks(app: App) -> Mapping[str, Callable[[], bool]]:
    """What has to be true, by name; each may block as long as the store does."""
    return {"store": lambda: _reaches_store(app), "models": lambda: _has_models(app)}


def _reaches_store(app: App) -> bool:
    try:
        app.stores.reach()
    except FacelabelError:
        return False
    return True


def _has_models(app: App) -> bool:
    """Whether the models of the live collection are here, or those that a first one would get."""
    if app.amazon and app.amazon.detects:
        return True
    try:
        model = None if app.amazon else live_model(app.ledger, app.recognizer)
        return app.engines.present(model)
    except FacelabelError:
        return False
