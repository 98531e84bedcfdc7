"""Our engine speaking Amazon Rekognition: the face operations, in JSON 1.1 over ``POST /``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.web.access.gate import ApiRoute
from facelabel.web.access.policy import Api
from facelabel.web.rekognition_api.context import Context
from facelabel.web.rekognition_api.endpoint import LIMITS, Endpoint, forbidden

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.web import http

__all__ = ["LIMITS", "PATHS", "Context", "forbidden", "routes"]

#: Amazon's own, and one that leaves room for others beside it, with and without the slash that
#: some clients put behind an endpoint's path.
PATHS: Sequence[str] = ("/", "/rekognition", "/rekognition/")


def routes(context: Context, limits: http.Limits = LIMITS) -> list[ApiRoute]:
    """The endpoint; ``limits``: what a call may take."""
    endpoint = Endpoint(context, limits)
    return [ApiRoute(Api.REKOGNITION, path, endpoint.answer, methods=["POST"]) for path in PATHS]
