"""The one web application: the webhook, Rekognition's API, for our library Cloudinary's."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Route

from facelabel import settings as configuration
from facelabel.web import http, rekognition_api, webhook

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

    from facelabel.bootstrap.app import App
    from facelabel.bootstrap.local import Local
    from facelabel.bootstrap.own_faces import OwnFaces
    from facelabel.settings import Settings
    from facelabel.web.cloudinary_api.context import Context

#: What a request for a host that is not ours is answered: "Misdirected Request".
MISDIRECTED = 421


def create(app: App) -> ASGIApp:
    """Everything that ``facelabel serve`` answers to."""
    routes: list[BaseRoute] = [Route("/health", _health)]
    routes += webhook.routes(app.intake, app.inbox)
    if app.own_faces:
        routes += rekognition_api.routes(_faces_context(app, app.own_faces))
    if app.local:
        from facelabel.web import cloudinary_api  # noqa: PLC0415 - where Cloudinary is the library

        routes += cloudinary_api.routes(_context(app, app.local))
    site = Starlette(routes=routes, exception_handlers={HTTPException: http.no_such_route})
    site.router.redirect_slashes = False  # the client's Host header would say where to
    return _OwnHosts(site, app.settings) if configuration.is_loopback(app.settings.host) else site


def _health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


def _faces_context(app: App, faces: OwnFaces) -> rekognition_api.Context:
    settings = app.settings
    return rekognition_api.Context(
        collections=faces.collections,
        keys=app.keys or tuple,
        clock=app.pipeline.clock,
        require_keys=not configuration.is_loopback(settings.host),
        throttle=settings.rekognition_throttle,
        fetch_object=faces.fetch_object,
    )


def _context(app: App, local: Local) -> Context:
    from facelabel.web.cloudinary_api.context import Context  # noqa: PLC0415 - same

    settings = app.settings
    return Context(
        media=local.library,
        messages=local.messages,
        renderer=local.renderer,
        derived=local.derived,
        clock=app.pipeline.clock,
        keys=local.keys,
        fetch=app.fetch,
        inspect=local.inspect,
        detect=local.detect,
        cloud_name=settings.cloud_name,
        fixed_folders=settings.folder_mode == "fixed",
        base_url=local.base_url,
        max_body_bytes=settings.max_upload_mb << 20,
        max_file_bytes=max(settings.max_upload_mb, settings.max_image_mb) << 20,
        scratch=str(settings.data / "uploads"),
        open_delivery=settings.public_delivery or configuration.is_loopback(settings.host),
    )


class _OwnHosts:
    """Refuses requests for hosts that are not ours.

    Bound to loopback we trust whoever can reach us; a page in the browser of this computer could,
    under a name of its own that it points at 127.0.0.1.
    """

    def __init__(self, site: ASGIApp, settings: Settings) -> None:
        self._site = site
        self._public = urlsplit(settings.public_url).hostname

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_own(scope):
            text = "this server is asked for under a name that is not its own: set public_url"
            refusal = http.failed(http.ApiError(MISDIRECTED, text), "")
            await refusal(scope, receive, send)
            return
        await self._site(scope, receive, send)

    def _is_own(self, scope: Scope) -> bool:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        try:
            host = urlsplit(f"//{hosts[0]}").hostname if hosts else ""
        except ValueError:
            return False
        return not host or host == self._public or configuration.is_loopback(host)
