"""The local library speaking Cloudinary: Upload API, Admin API, search and delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.web.cloudinary_api.admin import admin, messages
from facelabel.web.cloudinary_api.delivery import client_lists, delivery
from facelabel.web.cloudinary_api.upload import edits, upload

if TYPE_CHECKING:
    from facelabel.web.access.gate import ApiRoute
    from facelabel.web.cloudinary_api.context import Context

#: Delivery comes last: it takes every path that begins with a cloud's name.
_PARTS = (upload, edits, messages, admin, client_lists, delivery)


def routes(context: Context) -> list[ApiRoute]:
    """Every endpoint of Cloudinary's that there is here."""
    return [route for part in _PARTS for route in part.routes(context)]
