"""What an image's header says, without decoding it."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from facelabel.rekognition import validation
from facelabel.rekognition.error_codes import Refusal

NO_MARKER_OF_A_FRAME = b"\xff\xd8\xff" + b"\xff" * (5 << 20)


def made(kind: str, size: tuple[int, int] = (90, 80), mode: str = "RGB") -> bytes:
    """An image file."""
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind, icc_profile=b"profile" * 30_000)
    return file.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_images_of_any_mode_are_taken(mode: str) -> None:
    validation.check_image(made("JPEG", mode=mode))
    validation.check_image(made("PNG", mode="RGB" if mode == "CMYK" else mode))


def test_room_before_a_marker_may_be_filled() -> None:
    photo = made("JPEG")
    validation.check_image(photo[:2] + b"\xff" * 50 + photo[2:])


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_small_sides_are_refused(kind: str) -> None:
    with pytest.raises(Refusal, match="80 x 80") as refusal:
        validation.check_image(made(kind, (500, 79)))
    assert refusal.value.code == "InvalidParameterException"


@pytest.mark.parametrize(
    "image",
    [
        b"",
        b"GIF89a",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\0\0JFIF",
        b"\xff\xd8\xff\xc0\0\x11\x08\0",
        b"\x89PNG\r\n\x1a\n",
        pytest.param(NO_MARKER_OF_A_FRAME, id="filled"),
        pytest.param(b"\xff\xd8" + b"\xff\xd0" * (2 << 20), id="restarts"),
        pytest.param(b"\xff\xd8" + b"\xff\xe0\0\x02" * (1 << 20), id="segments"),
    ],
)
def test_what_says_no_size_is_no_image(image: bytes) -> None:
    with pytest.raises(Refusal) as refusal:
        validation.check_image(image)
    assert refusal.value.code == "InvalidImageFormatException"


def test_a_marker_costs_time_and_there_are_only_so_many() -> None:
    photo = made("JPEG")
    for count, fits in ((4000, True), (5000, False)):
        long = photo[:2] + b"\xff\xe0\0\x02" * count + photo[2:]
        if fits:
            validation.check_image(long)
        else:
            with pytest.raises(Refusal):
                validation.check_image(long)
