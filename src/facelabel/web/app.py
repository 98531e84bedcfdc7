"""The one web application: the webhook, Rekognition's API, for our library Cloudinary's."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from facelabel.settings.addresses import networks
from facelabel.web import health, http, rekognition_api, webhook
from facelabel.web.access.gate import Gate
from facelabel.web.access.policy import Api, Policy
from facelabel.web.http.budget import DISK, Budget, Peers, Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp

    from facelabel.bootstrap.app import App
    from facelabel.bootstrap.local import Local
    from facelabel.bootstrap.local_faces import LocalFaces
    from facelabel.settings import Settings
    from facelabel.web.cloudinary_api.context import Context

#: Bodies of the largest size that may arrive at the same time, from two clients or more.
_LARGEST_AT_ONCE = 8


def create(app: App, is_staffed: Callable[[], bool]) -> ASGIApp:
    """Everything that ``facelabel serve`` answers to.

    ``is_staffed``: whether everybody is at work who works beside the web server.
    """
    readiness = health.Readiness({**app.readiness(), "workers": is_staffed})
    routes: list[BaseRoute] = [*health.routes(readiness, _modes(app))]
    budget = _budget(app.settings)
    routes += webhook.routes(app.intake, app.inbox, replace(webhook.LIMITS, budget=budget))
    if app.local_faces:
        limits = replace(rekognition_api.LIMITS, budget=budget)
        routes += rekognition_api.routes(_faces_context(app, app.local_faces), limits)
    if app.local:
        from facelabel.web import cloudinary_api  # noqa: PLC0415 - where Cloudinary is the library

        routes += cloudinary_api.routes(_context(app, app.local, budget))
    return guarded(routes, Policy.of(app.settings))


def guarded(routes: Sequence[BaseRoute], policy: Policy) -> ASGIApp:
    """The routes as an application, behind the gate."""
    site = Starlette(routes=routes, exception_handlers={HTTPException: http.no_such_route})
    site.router.redirect_slashes = False  # the client's Host header would say where to
    return Gate(site, policy, {Api.REKOGNITION: rekognition_api.forbidden})


def _modes(app: App) -> list[str]:
    """What is served, in words."""
    pictures = (
        "Pictures are on this computer, for Cloudinary's SDKs."
        if app.local
        else "Pictures are on Cloudinary, which tells of new ones at /webhook."
    )
    faces = "Amazon Rekognition knows" if app.amazon else "This computer knows"
    endpoint = " AWS's SDKs find Rekognition's face operations here." if app.local_faces else ""
    return [pictures, f"{faces} the faces.{endpoint}"]


def _budget(settings: Settings) -> Budget:
    """What all bodies may take; on disk some of the largest, however large that is."""
    disk = max(DISK, _LARGEST_AT_ONCE * (settings.max_upload_mb << 20))
    return Budget(Peers(networks(settings.trusted_proxies)), disk=Pool(disk))


def _faces_context(app: App, faces: LocalFaces) -> rekognition_api.Context:
    settings = app.settings
    return rekognition_api.Context(
        collections=faces.collections,
        keys=app.keys or tuple,
        clock=app.clock,
        throttle=settings.rekognition_throttle,
        fetch_object=faces.fetch_object,
    )


def _context(app: App, local: Local, budget: Budget) -> Context:
    from facelabel.web.cloudinary_api.context import Context  # noqa: PLC0415 - same

    settings = app.settings
    return Context(
        media=local.library,
        messages=local.messages,
        renderer=local.renderer,
        derived=local.derived,
        clock=app.clock,
        keys=local.keys,
        fetch=app.fetch,
        inspect=local.inspect,
        detect=local.detect,
        cloud_name=settings.cloud_name,
        fixed_folders=settings.folder_mode == "fixed",
        base_url=local.base_url,
        budget=budget,
        max_body_bytes=settings.max_upload_mb << 20,
        max_file_bytes=max(settings.max_upload_mb, settings.max_image_mb) << 20,
        scratch=str(settings.data / "uploads"),
        label_policy=app.label_policy,
        notified_hosts=settings.notified_hosts,
        signs_urls=not (settings.public_delivery or settings.serves_only_here),
    )
