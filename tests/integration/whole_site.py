"""The whole application, as ``facelabel serve`` makes it, that nobody listens for."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from facelabel import settings
from facelabel.bootstrap.app import opened
from facelabel.web.access.gate import ApiRoute, Gate
from facelabel.web.app import create

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from starlette.routing import BaseRoute

ALLOWED, EVIL = "https://app.example", "http://evil.example"


@dataclass(frozen=True)
class Site:
    """The application as ``facelabel serve`` makes it."""

    app: Gate
    basic: Mapping[str, str]

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """All there is."""
        return self.app.routes

    def one_of_each(self) -> Sequence[ApiRoute]:
        """The first route of every door."""
        firsts = {route.api: route for route in reversed(self.routes) if is_api_route(route)}
        return [*firsts.values()]


def is_api_route(route: BaseRoute) -> TypeGuard[ApiRoute]:
    return isinstance(route, ApiRoute)


@contextmanager
def serving(folder: Path, library: str, **changed: str) -> Iterator[Site]:
    """An application that nothing listens for."""
    account = {"cloudinary_url": "cloudinary://key:hush@demo"} if library == "cloudinary" else {}
    flags = {"data": folder, "library": library, "allowed_origins": ALLOWED, **account, **changed}
    with opened(settings.load(flags)) as app:
        assert app.keys is not None
        app.keys.ensure()
        key = app.keys()[0]
        login = base64.b64encode(f"{key.key}:{key.secret}".encode()).decode()
        site = create(app, lambda: True)
        assert isinstance(site, Gate)
        yield Site(site, {"Authorization": f"Basic {login}"})
