"""Our words in Amazon's, and the images it takes."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.examples import examples

from facelabel.errors import FacelabelError
from facelabel.rekognition import error_codes, serialize, validation
from facelabel.rekognition.error_codes import Refusal

if TYPE_CHECKING:
    from pathlib import Path


def test_model_versions_are_digits_and_tell_models_apart() -> None:
    names = ["mobilefacenet/1", "mobilefacenet/2", "classic/1", "mobilefacenet", "x/0", "x", "x/٣"]
    versions = [serialize.model_version(name) for name in names]
    pattern = validation.model().shapes["IndexFacesModelVersion"].pattern
    assert all(re.fullmatch(pattern, version) for version in versions)
    assert len(set(versions)) == len(names)
    assert [version.split(".")[0] for version in versions] == ["1", "2", "1", "0", "0", "0", "0"]
    assert serialize.model_version("mobilefacenet/1") == "1.3680465854"


def test_resource_names_lead_back_to_the_collection() -> None:
    for write in (serialize.arn, serialize.short_arn):
        name = write("eu-west-1", "123456789012", "a.b-c_D")
        assert serialize.collection_of(name, "eu-west-1", "123456789012") == "a.b-c_D"
    assert serialize.arn("r", "1", "c").startswith("arn:aws:rekognition:")
    assert serialize.short_arn("r", "1", "c").startswith("aws:rekognition:")
    for wrong in ("", "arn:aws:s3:::bucket", "arn:aws:rekognition:r:123456789012:collection/a b"):
        with pytest.raises(Refusal, match="invalid parameters"):
            serialize.collection_of(wrong, "r", "123456789012")


def test_every_error_of_ours_has_one_of_amazons() -> None:
    """Those of the model, apart from a bug's and a wrong setting's."""

    def kinds(kind: type[FacelabelError]) -> list[type[FacelabelError]]:
        return [kind, *(leaf for below in kind.__subclasses__() for leaf in kinds(below))]

    declared = {name for op in validation.model().operations.values() for name in op.errors}
    without = set()
    for kind in kinds(FacelabelError):
        refusal = error_codes.refusal("IndexFaces", kind("said"))
        if refusal is None:
            without.add(kind.__name__)
        else:
            assert refusal.code in declared
    assert without == {"FacelabelError", "ConfigurationError", "ForeignFolder"}
    assert error_codes.reused("t-1").code in declared


def encoded(kind: str, width: int, height: int, **options: object) -> bytes:
    """A picture of that size."""
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_no_side_is_below_eighty_pixels(kind: str) -> None:
    validation.check_image(encoded(kind, 80, 80))
    for size in ((79, 200), (200, 79), (1, 1)):
        with pytest.raises(Refusal, match="80 x 80"):
            validation.check_image(encoded(kind, *size))


def test_every_photo_is_taken(data: Path) -> None:
    """As cameras and archives write them."""
    photos = [*(data / "portraits").rglob("*.jpg"), *(data / "groups").glob("*.jp*g")]
    assert len(photos) > 100
    for photo in photos:
        validation.check_image(photo.read_bytes())


def test_a_jpeg_is_taken_however_it_is_written(photos: Path) -> None:
    """Progressive or not, with a thumbnail in its EXIF or not."""
    for photo in photos.rglob("people/*.jpg"):
        validation.check_image(photo.read_bytes())
    thumbnail = b"Exif\0\0" + encoded("JPEG", 90, 60)
    for progressive in (False, True):
        validation.check_image(encoded("JPEG", 100, 90, progressive=progressive, exif=thumbnail))
    validation.check_image(
        encoded("JPEG", 100, 90, progressive=True, exif=b"Exif\0\0" + bytes(500))
    )


@pytest.mark.parametrize("kind", ["GIF", "BMP", "WEBP", "TIFF"])
def test_other_formats_are_refused(kind: str) -> None:
    with pytest.raises(Refusal) as caught:
        validation.check_image(encoded(kind, 100, 100))
    assert caught.value.code == "InvalidImageFormatException"


@examples(300)
@given(st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b""]), st.binary(max_size=60))
def test_any_bytes_are_taken_or_refused(head: bytes, rest: bytes) -> None:
    try:
        validation.check_image(head + rest)
        code = ""
    except Refusal as error:
        code = error.code
    assert code in {"", "InvalidImageFormatException", "InvalidParameterException"}


def test_the_frame_of_a_jpeg_may_come_late() -> None:
    """After tables, markers without a segment, and bytes that fill."""
    whole = encoded("JPEG", 100, 90)
    tables = b"\xff\xc4\x00\x05\x00\x01\x00" + b"\xff\xcc\x00\x04\x00\x01"
    validation.check_image(b"\xff\xd8" + tables + b"\xff\x01\xff\xff\xd0" + whole[2:])
    with pytest.raises(Refusal, match="format"):
        validation.check_image(b"\xff\xd8\xff\xc4\x00\x02" + b"\0" + whole[2:])


def test_a_jpeg_cut_short_is_refused() -> None:
    whole = encoded("JPEG", 100, 100)
    frame = whole.index(b"\xff\xc0")
    for length in range(frame + 9):
        with pytest.raises(Refusal, match="format"):
            validation.check_image(whole[:length])
    validation.check_image(whole[: frame + 9])
