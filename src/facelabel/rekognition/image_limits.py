"""What Amazon Rekognition takes for an image: JPEG and PNG, no side below 80 pixels.

Only the headers are read; whether the rest can be decoded is for others to find out.
"""

from __future__ import annotations

import struct

from facelabel.rekognition.error_codes import bad_format, invalid

#: Pixels.
MIN_SIDE = 80
#: Bytes of an image in S3.
MAX_OBJECT = 15 << 20
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
#: Markers of JPEG's frames: the 16 of the range but three of other meanings.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Markers looked at before the frame; of a colour profile alone there may be 255.
_MOST_MARKERS = 4096
#: Markers without a segment: restarts, start of image, the lone TEM.
_BARE = frozenset(range(0xD0, 0xD9)) | {0x01}


def check(image: bytes) -> None:
    """Return if Rekognition would look at it.

    Raises:
        Refusal: InvalidImageFormatException, or InvalidParameterException for a small one.

    """
    if min(_size(image)) < MIN_SIDE:
        raise invalid(f"Image dimensions must be at least {MIN_SIDE} x {MIN_SIDE} pixels")


def _size(image: bytes) -> tuple[int, int]:
    """Width and height, in pixels as stored."""
    try:
        if image.startswith(_PNG):
            return _png_size(image)
        if image.startswith(_JPEG):
            return _jpeg_size(image)
    except (struct.error, IndexError):
        pass  # it ends before it says
    raise bad_format()


def _png_size(image: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from(">II", image, 16)
    return width, height


def _jpeg_size(image: bytes) -> tuple[int, int]:
    """Go from segment to segment, up to the one that describes the frame."""
    place = 2
    for _ in range(_MOST_MARKERS):
        if image[place] != 0xFF:  # noqa: PLR2004 - what every marker begins with
            raise bad_format()
        marker = image[place + 1]
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", image, place + 5)
            return width, height
        place += _length(image, place, marker)
    raise bad_format()


def _length(image: bytes, place: int, marker: int) -> int:
    """Bytes of a marker and its segment; any number of 0xFF may fill the room before a marker."""
    if marker == 0xFF:  # noqa: PLR2004 - the fill byte
        return 1
    if marker in _BARE:
        return 2
    return 2 + int(struct.unpack_from(">H", image, place + 2)[0])
