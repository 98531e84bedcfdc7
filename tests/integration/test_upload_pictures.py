"""Pictures as telephones and cameras write them, uploaded and delivered."""

from __future__ import annotations

import io
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import cloudinary.exceptions
import pytest
from PIL import Image
from tests import loopback
from tests.integration.sdk_client import Client

from facelabel.images import Limits
from facelabel.media.types import AssetKey
from facelabel.rendering.renderer import PillowRenderer

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from tests.integration.conftest import ApiServer

    from facelabel.cloudinary.transformations import Rendered
    from facelabel.web.cloudinary_api.context import Context

#: Behind the photo of a telephone: a film, with what begins a scan in it.
FILM = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0\3\0\0mdat" + b"\xff\xda\0\x0c" * 49_150
NEF = b"II*\0\x08\0\0\0" + b"\1\0" + b"\x12\xc6\1\0\4\0\0\0\1\4\0\0" + bytes(4)  # DNGVersion alone


@pytest.fixture
def client(api_server: ApiServer) -> Client:
    return Client(api_server)


def photo(**options: object) -> bytes:
    file = io.BytesIO()
    picture = Image.linear_gradient("L").resize((335, 410)).convert("RGB")
    picture.save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize("resource_type", ["image", "auto"])
@pytest.mark.parametrize(
    "data",
    [photo() + FILM, photo()[:-2], photo()[:-2] + FILM, photo(progressive=True)[:-2] + FILM],
    ids=["film behind", "no end", "no end, film behind", "progressive"],
)
def test_a_photo_is_a_photo_whatever_lies_behind_it(
    client: Client, data: bytes, resource_type: str
) -> None:
    answer = client.upload(io.BytesIO(data), resource_type=resource_type, public_id="photo")

    assert (answer["resource_type"], answer["format"]) == ("image", "jpg")
    assert (answer["width"], answer["height"], answer["bytes"]) == (335, 410, len(data))
    assert "not_an_image" not in answer
    delivered = loopback.get(f"{client.server.url}/local/image/upload/w_100/photo.jpg")
    assert delivered.status_code == 200
    assert Image.open(io.BytesIO(delivered.content)).size == (100, 122)
    assert loopback.get(f"{client.server.url}/local/image/upload/photo.jpg").content == data


UNREAD = {
    "raw of a camera": (NEF, "camera raw (DNG), which is not read: export it as JPEG"),
    "cut photo": (photo()[:-100], "pixels are missing at its end"),
    "cut film": (photo()[:-100] + FILM, "pixels are missing at its end"),
    "JPEG XL": (b"\xff\x0a" + bytes(100), "but JPEG XL"),
    "text": (b"just words", "not a picture in JPEG"),
}


@pytest.mark.parametrize("name", UNREAD)
def test_what_is_no_picture_says_why(
    client: Client, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    data, reason = UNREAD[name]

    with pytest.raises(cloudinary.exceptions.BadRequest, match="Invalid image file") as refusal:
        client.upload(io.BytesIO(data))
    assert reason in str(refusal.value)
    with caplog.at_level(logging.WARNING):
        kept = client.upload(io.BytesIO(data), resource_type="auto", public_id="Ada", tags="Ada")

    assert kept["resource_type"] == "raw"
    assert reason in kept["not_an_image"]
    assert kept["not_an_image"] in caplog.text
    assert "Ada" not in caplog.text
    assert client.server.context.media.fetch(client.asset("Ada", resource_type="raw")) == data


def test_who_does_not_wait_is_told_too(client: Client) -> None:
    kept = client.upload(io.BytesIO(NEF), resource_type="auto", **{"async": True})

    assert kept["status"] == "pending"
    assert "camera raw" in kept["not_an_image"]


def test_who_asks_for_raw_or_sends_a_film_is_told_nothing(client: Client) -> None:
    raw = client.upload(io.BytesIO(NEF), resource_type="raw")
    film = client.upload(io.BytesIO(FILM), resource_type="auto", filename="a.mp4")

    assert "not_an_image" not in raw.keys() | film.keys()
    assert client.server.context.media.get(AssetKey(film["public_id"], "video"))


@pytest.mark.parametrize(
    "fields",
    [
        [("tags", "a"), ("tags", "b")],
        [("tags[]", "a"), ("tags", "b")],
        [("tags[0]", "a"), ("tags", "b")],
        [("tags[first]", "a")],
        [("context[alt]", "x")],
    ],
)
def test_ways_to_write_a_list_that_would_go_unnoticed_are_refused(
    client: Client, fields: list[tuple[str, str]]
) -> None:
    answer = posted(client, fields)
    assert answer.status_code == 400
    assert "Parameter" in answer.text or "parameter" in answer.text


@pytest.mark.parametrize(
    "fields",
    [
        [("tags[]", "a"), ("tags[]", "b")],
        [("tags[0]", "a"), ("tags[1]", "b")],
        [("tags", "a,b")],
        [("tags[0]", "a"), ("tags[]", "b")],
    ],
)
def test_ways_to_write_a_list(client: Client, fields: list[tuple[str, str]]) -> None:
    assert posted(client, fields).json()["tags"] == ["a", "b"]


def posted(client: Client, fields: list[tuple[str, str]]) -> httpx.Response:
    files: list[tuple[str, tuple[str | None, bytes | str]]] = [("file", ("a.jpg", photo()))]
    files += [(name, (None, value)) for name, value in fields]
    key = client.server.context.keys()[0]
    return loopback.post(client.server.at("image/upload"), files=files, auth=(key.key, key.secret))


def test_breakpoints_have_a_price_that_is_known_before_one_is_made(
    context: Context, serve: Callable[[Context], ApiServer]
) -> None:
    rendered: list[str] = []

    class Counting(PillowRenderer):
        def render(self, *args: object, **options: object) -> Rendered:
            rendered.append("one")
            return super().render(*args, **options)  # type: ignore[arg-type]

    client = Client(serve(replace(context, renderer=Counting(Limits(), lambda _: ()))))
    steps = {"crop": "scale", "width": 5000, "height": 5000, "effect": "blur:100"}
    heavy = {"transformation": steps, "max_width": 5000}

    with pytest.raises(cloudinary.exceptions.BadRequest, match="too much work: fewer"):
        client.upload(io.BytesIO(photo()), responsive_breakpoints=[{"max_width": 300}, heavy])
    assert rendered == []
    few = client.upload(io.BytesIO(photo()), responsive_breakpoints={"max_width": 300})
    assert few["responsive_breakpoints"][0]["breakpoints"][0]["width"] == 300
    assert rendered
