"""The image of a call: its bytes, or an object in what stands for S3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.errors import Denied, NotFound, Rejected
from facelabel.rekognition import image_limits
from facelabel.rekognition.error_codes import invalid, missing_object, too_large

if TYPE_CHECKING:
    from facelabel.rekognition.validation import Parameters
    from facelabel.web.rekognition_api.context import Context


def image(context: Context, params: Parameters) -> bytes:
    """The file of an Image, checked as far as Rekognition's limits go.

    Raises:
        Refusal: InvalidParameterException, InvalidS3ObjectException, ImageTooLargeException or
            InvalidImageFormatException.

    """
    if ("Bytes" in params) == ("S3Object" in params):
        raise invalid()
    data: bytes = params["Bytes"] if "Bytes" in params else _fetched(context, params["S3Object"])
    image_limits.check(data)
    return data


def _fetched(context: Context, place: Parameters) -> bytes:
    if context.fetch_object is None or not {"Bucket", "Name"} <= set(place):
        raise missing_object()
    try:
        data = context.fetch_object(place["Bucket"], place["Name"], place.get("Version"))
    except (NotFound, Denied):
        raise missing_object() from None
    except Rejected:
        raise too_large() from None
    if len(data) > image_limits.MAX_OBJECT:
        raise too_large()
    return data
