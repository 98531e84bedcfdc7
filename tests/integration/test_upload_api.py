"""The Upload API, as the official Python SDK calls it over HTTP."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cloudinary.exceptions
import pytest
from cloudinary import utils
from tests.integration.sdk_client import Client

from facelabel.core.model import Box
from facelabel.errors import Rejected
from facelabel.media.types import AssetKey, DocumentKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.integration.conftest import ApiServer

    from facelabel.core.model import Json
    from facelabel.web.cloudinary_api.context import Context

NOBODY = "Resource not found - nobody"


@pytest.fixture
def client(api_server: ApiServer) -> Client:
    return Client(api_server)


@pytest.fixture
def joe(photos: Path) -> Path:
    return photos / "people" / "Biden1.jpg"


def test_a_picture_is_kept_and_described(client: Client, joe: Path) -> None:
    answer = client.upload(str(joe), tags=["faceLabel:Joe"], context={"alt": "a|b=c"})
    asset = client.asset(answer["public_id"])
    assert client.server.context.media.fetch(asset) == joe.read_bytes()
    assert re.fullmatch("[a-z0-9]{20}", answer["public_id"])
    assert (answer["format"], answer["resource_type"], answer["type"]) == ("jpg", "image", "upload")
    assert (answer["width"], answer["height"]) == (asset.width, asset.height)
    assert (answer["tags"], answer["context"]) == (
        ["faceLabel:Joe"],
        {"custom": {"alt": "a|b=c"}},
    )
    assert (answer["original_filename"], answer["asset_folder"]) == ("Biden1", "")
    assert answer["bytes"] == joe.stat().st_size


def test_the_answer_is_signed(client: Client, joe: Path) -> None:
    answer = client.upload(str(joe))
    signed = {"public_id": answer["public_id"], "version": answer["version"]}
    secret = client.server.sdk["api_secret"]
    assert answer["signature"] == utils.api_sign_request(signed, secret)
    assert answer["api_key"] == client.server.sdk["api_key"]


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
@pytest.mark.parametrize("version", [1, 2])
def test_every_signature_is_accepted(
    client: Client, joe: Path, algorithm: str, version: int
) -> None:
    options = {"signature_algorithm": algorithm, "signature_version": version}
    answer = client.upload(str(joe), context={"q": "a&b"}, **options)
    assert answer["context"]["custom"] == {"q": "a&b"}


@pytest.mark.parametrize(
    ("options", "public_id"),
    [
        ({"public_id": "a/b"}, "a/b"),
        ({"public_id": "b", "folder": "a"}, "a/b"),
        ({"public_id": "b", "public_id_prefix": "p", "folder": "a"}, "p/b"),
        ({"public_id": "b", "asset_folder": "a"}, "b"),
        ({"public_id": "b", "asset_folder": "a", "use_asset_folder_as_public_id_prefix": True},
         "a/b"),
        ({"use_filename": True, "unique_filename": False}, "Biden1"),
        ({"use_filename": True, "unique_filename": False, "filename": "100% of?.jpg"}, "100_ of_"),
        ({"use_filename": True, "unique_filename": False, "filename_override": "x.png"}, "x"),
        ({"use_filename": True}, "Biden1_[a-z0-9]{6}"),
        ({"public_id": "Zoë & Ann"}, None),
        ({"public_id": "שם/👩‍🎤"}, "שם/👩‍🎤"),
    ],
)  # fmt: skip
def test_public_ids(
    client: Client, joe: Path, options: dict[str, Any], public_id: str | None
) -> None:
    if public_id is None:
        with pytest.raises(cloudinary.exceptions.BadRequest, match="may not contain &"):
            client.upload(str(joe), **options)
    else:
        assert re.fullmatch(public_id, client.upload(str(joe), **options)["public_id"])


def test_folders_in_dynamic_mode(client: Client, joe: Path) -> None:
    apart = client.upload(str(joe), public_id="x/a", asset_folder="training", display_name="Joe")
    assert (apart["asset_folder"], apart["display_name"]) == ("training", "Joe")
    together = client.upload(str(joe), folder="old", use_filename_as_display_name=True)
    assert (together["asset_folder"], together["display_name"]) == ("old", "Biden1")


def test_folders_in_fixed_mode(
    context: Context, serve: Callable[[Context], ApiServer], joe: Path
) -> None:
    client = Client(serve(replace(context, fixed_folders=True)))
    answer = client.upload(str(joe), folder="training", public_id="joe", asset_folder="elsewhere")
    assert answer["public_id"] == "training/joe"
    assert not {"asset_folder", "display_name"} & answer.keys()


def test_content_is_replaced_and_what_people_said_stays(client: Client, photos: Path) -> None:
    pictures = photos / "people"
    first = client.upload(
        str(pictures / "Biden1.jpg"), public_id="joe", tags="Joe", context={"a": "b"}
    )
    second = client.upload(str(pictures / "Biden2.jpg"), public_id="joe")
    assert second["asset_id"] == first["asset_id"]
    assert second["version"] > first["version"]
    assert (second["tags"], second["context"]) == (["Joe"], {"custom": {"a": "b"}})
    assert second["overwritten"] is True


def test_without_overwrite_nothing_changes(client: Client, photos: Path) -> None:
    pictures = photos / "people"
    first = client.upload(str(pictures / "Biden1.jpg"), public_id="joe")
    again = client.upload(
        str(pictures / "Hopper1.jpg"), public_id="joe", tags="Hopper", overwrite=False
    )
    assert again["existing"] is True
    assert (again["etag"], again["tags"]) == (first["etag"], [])


def test_types_do_not_meet(client: Client, joe: Path) -> None:
    private = client.upload(str(joe), public_id="joe", type="private")
    assert private["type"] == "private"
    assert client.upload(str(joe), public_id="joe")["asset_id"] != private["asset_id"]
    with pytest.raises(cloudinary.exceptions.BadRequest, match="Invalid type - fetch"):
        client.upload(str(joe), type="fetch")


def test_a_data_uri(client: Client, joe: Path) -> None:
    uri = f"data:image/jpeg;base64,{base64.encodebytes(joe.read_bytes()).decode()}"
    assert client.upload(uri)["bytes"] == joe.stat().st_size


def test_a_remote_file(context: Context, serve: Callable[[Context], ApiServer], joe: Path) -> None:
    def fetch(url: str) -> tuple[bytes, str]:
        if "joe" not in url:
            raise Rejected("404 Not Found")
        return joe.read_bytes(), "joe.jpg"

    client = Client(serve(replace(context, fetch=fetch)))
    answer = client.upload("https://example.com/joe.jpg?token=1", use_filename=True)
    assert answer["public_id"].startswith("joe_")
    with pytest.raises(cloudinary.exceptions.BadRequest) as error:
        client.upload("https://example.com/hopper.jpg?token=1")
    assert str(error.value) == "Error in loading https://example.com/hopper.jpg - 404 Not Found"


def test_what_a_file_is_decides_where_it_is_kept(client: Client, joe: Path) -> None:
    text = io.BytesIO(b"just words")
    assert client.upload(str(joe), resource_type="auto")["resource_type"] == "image"
    raw = client.upload(text, resource_type="auto", filename="a.txt")
    assert raw["resource_type"] == "raw"
    assert raw["public_id"].endswith(".txt")
    assert not {"width", "format"} & raw.keys()
    video = client.upload(io.BytesIO(b"moving"), resource_type="auto", filename="a.MP4")
    assert (video["resource_type"], video["format"]) == ("video", "mp4")
    with pytest.raises(cloudinary.exceptions.BadRequest, match="Unsupported video format"):
        client.upload(str(joe), resource_type="video")
    with pytest.raises(cloudinary.exceptions.BadRequest, match="Invalid image file"):
        client.upload(io.BytesIO(b"just words"))


def test_formats(client: Client, joe: Path) -> None:
    assert client.upload(str(joe), allowed_formats=["jpeg"])["format"] == "jpg"
    with pytest.raises(cloudinary.exceptions.BadRequest, match="format jpg not allowed"):
        client.upload(str(joe), allowed_formats=["png"])
    assert client.upload(str(joe), allowed_formats=["png"], format="png")["format"] == "png"


def test_an_incoming_transformation(client: Client, joe: Path) -> None:
    answer = client.upload(str(joe), transformation={"width": 100, "height": 50, "crop": "fill"})
    assert (answer["width"], answer["height"]) == (100, 50)
    with pytest.raises(cloudinary.exceptions.BadRequest):
        client.upload(str(joe), transformation={"raw_transformation": "l_text:Arial_20:Hi"})


def test_eager_transformations_are_named(client: Client, joe: Path) -> None:
    thumb = {"width": 10, "crop": "scale"}
    answer = client.upload(str(joe), public_id="joe", eager=[thumb, {**thumb, "format": "png"}])
    first, second = answer["eager"]
    assert first["transformation"] == "c_scale,w_10"
    assert first["url"].endswith(f"/local/image/upload/c_scale,w_10/v{answer['version']}/joe.jpg")
    assert second["url"].endswith("joe.png")
    assert client.asset("joe").details["derived"] == answer["eager"]


def test_responsive_breakpoints(client: Client, photos: Path) -> None:
    photo = photos / "people" / "party.jpg"
    wanted = [
        {"create_derived": False, "transformation": {"angle": 90}, "bytes_step": 5000},
        {"create_derived": False, "max_width": 200, "min_width": 200, "format": "png"},
        {"create_derived": False, "bytes_step": 1, "max_images": 3},
    ]
    answer = client.upload(str(photo), responsive_breakpoints=wanted)
    many, one, three = (found["breakpoints"] for found in answer["responsive_breakpoints"])
    widths = [picture["width"] for picture in many]
    assert widths == sorted(set(widths), reverse=True)
    assert 2 < len(widths) <= 20
    assert many[-1]["width"] == 50
    assert many[0]["bytes"] > many[-1]["bytes"]
    assert f"/a_90/c_scale,w_{widths[0]}/v" in many[0]["url"]
    assert [(picture["width"], picture["url"][-4:]) for picture in one] == [(200, ".png")]
    assert len(three) == 3
    for wrong in ("{", "[1]", json.dumps([{}] * 6)):
        with pytest.raises(cloudinary.exceptions.BadRequest, match="at most 5 objects"):
            client.call_api(
                "upload",
                {"timestamp": utils.now(), "responsive_breakpoints": wrong},
                file=str(photo),
            )


def test_regions(context: Context, serve: Callable[[Context], ApiServer], joe: Path) -> None:
    def detect(_: bytes) -> Sequence[Box]:
        return [Box(0.5, 0.25, 0.25, 0.5)]

    client = Client(serve(replace(context, detect=detect)))
    found = client.upload(str(joe), public_id="joe", faces=True)
    width, height = found["width"], found["height"]
    assert found["faces"] == [
        [round(width / 2), round(height / 4), round(width / 4), round(height / 2)]
    ]
    given = client.upload(str(joe), public_id="joe", face_coordinates=[[1, 2, 3, 99_999]])
    assert given["faces"] == [[1, 2, 3, height]]
    client.explicit("joe", type="upload", custom_coordinates=[1, 2, 3, 4])
    assert client.asset("joe").details["custom_coordinates"] == [[1, 2, 3, 4]]


def test_moderation(client: Client, joe: Path) -> None:
    answer = client.upload(str(joe), moderation="manual")
    assert answer["moderation"] == [{"kind": "manual", "status": "pending"}]
    with pytest.raises(cloudinary.exceptions.BadRequest, match="Moderation aws_rek is not valid"):
        client.upload(str(joe), moderation="aws_rek")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"detection": "adv_face"}, "Detection invalid model 'adv_face'"),
        ({"categorization": "aws"}, "aws is not valid"),
        ({"eval": "1"}, "eval is not supported"),
    ],
)
def test_what_would_not_be_done_is_refused(
    client: Client, joe: Path, options: dict[str, str], message: str
) -> None:
    with pytest.raises(cloudinary.exceptions.BadRequest, match=message):
        client.upload(str(joe), **options)


def test_async_uploads_are_done_at_once(client: Client, joe: Path) -> None:
    answer = client.upload(str(joe), public_id="joe", batch_id="b", **{"async": True})
    assert (answer["status"], answer["batch_id"]) == ("pending", "b")
    assert client.asset("joe").etag


# ---- changing what is there


def test_explicit(client: Client, joe: Path) -> None:
    client.upload(str(joe), public_id="joe", tags="a,b", context={"x": "y"})
    answer = client.explicit(
        "joe", type="upload", tags=["c"], context={"z": "1"}, asset_folder="t", display_name="D"
    )
    assert (answer["tags"], answer["context"]["custom"]) == (["c"], {"z": "1"})
    assert (answer["asset_folder"], answer["display_name"]) == ("t", "D")
    with pytest.raises(cloudinary.exceptions.NotFound, match=NOBODY):
        client.explicit("nobody", type="upload", tags=["c"])


def test_tags(client: Client, joe: Path) -> None:
    for name in ("a", "b"):
        client.upload(str(joe), public_id=name)
    assert client.add_tag(["Ann", 'Bob "B"'], ["a", "b", "nobody"]) == _changed("a", "b")
    client.add_tag("Zoë 👩‍🎤,נועה", "a")
    assert client.asset("a").tags == ("Ann", 'Bob "B"', "Zoë 👩‍🎤", "נועה")
    client.remove_tag("Ann", ["a", "b"])
    assert client.asset("b").tags == ('Bob "B"',)
    client.replace_tag("x,y", "a")
    assert client.asset("a").tags == ("x", "y")
    client.add_tag("x", "b", exclusive=True)
    assert (client.asset("a").tags, client.asset("b").tags) == (("y",), ('Bob "B"', "x"))
    client.remove_all_tags(["a", "b"])
    assert client.asset("a").tags == client.asset("b").tags == ()


def test_context(client: Client, joe: Path) -> None:
    client.upload(str(joe), public_id="a", context={"alt": "1"})
    assert client.add_context({"caption": "a|b=c"}, ["a", "nobody"]) == _changed("a")
    assert client.asset("a").context == {"alt": "1", "caption": "a|b=c"}
    client.remove_all_context("a")
    assert client.asset("a").context == {}


def test_metadata(client: Client, joe: Path) -> None:
    _open_set(client, "people")
    client.upload(str(joe), public_id="a", metadata={"people": ["Ann"]})
    assert client.asset("a").metadata == {"people": ["Ann"]}
    names = ["Ann", "Smith, John", "a|b=c"]
    assert client.update_metadata({"people": names}, ["a", "nobody"]) == _changed("a")
    assert client.asset("a").metadata == {"people": names}
    with pytest.raises(cloudinary.exceptions.BadRequest, match=r'do not exist: \["nothing"\]'):
        client.update_metadata({"nothing": "x"}, "a")


def _changed(*public_ids: str) -> dict[str, Any]:
    return {"public_ids": list(public_ids)}


def _open_set(client: Client, name: str) -> None:
    field: Json = {
        "external_id": name, "label": name, "type": "set", "mandatory": False,
        "default_value": None, "validation": None, "allow_dynamic_list_values": True,
        "datasource": {"values": []},
    }  # fmt: skip
    media = client.server.context.media
    media.change_document(DocumentKind.METADATA_FIELD, name, lambda _: field)


def test_changes_in_one_call_have_a_limit(client: Client) -> None:
    with pytest.raises(cloudinary.exceptions.BadRequest, match="at most 1000"):
        client.add_tag([f"t{number}" for number in range(101)], [str(n) for n in range(10)])
    with pytest.raises(cloudinary.exceptions.BadRequest, match="at most 1000"):
        client.remove_all_tags([str(number) for number in range(1001)])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"command": "paint", "tag": "a", "public_ids": ["a"]}, "Invalid command - paint"),
        ({"command": "add", "public_ids": ["a"]}, "Missing required parameter - tag"),
        ({"command": "add", "tag": "a"}, "Missing required parameter - public_ids"),
        ({"tag": "a", "public_ids": ["a"]}, "Missing required parameter - command"),
    ],
)
def test_calls_that_lack_something(
    client: Client, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(cloudinary.exceptions.BadRequest, match=message):
        client.call_api("tags", {"timestamp": utils.now(), **parameters})


def test_rename(client: Client, photos: Path) -> None:
    pictures = photos / "people"
    first = client.upload(str(pictures / "Biden1.jpg"), public_id="a")
    client.upload(str(pictures / "Hopper1.jpg"), public_id="b")
    with pytest.raises(cloudinary.exceptions.BadRequest, match="Resource b already exists"):
        client.rename("a", "b")
    assert client.rename("a", "b", overwrite=True)["asset_id"] == first["asset_id"]
    assert client.rename("b", "b", to_type="private")["type"] == "private"
    assert client.asset("b", type="private").etag.startswith(first["etag"])
    with pytest.raises(cloudinary.exceptions.NotFound, match=NOBODY):
        client.rename("nobody", "c")


def test_destroy(client: Client, joe: Path) -> None:
    answer = client.upload(str(joe), public_id="a")
    assert client.destroy("a") == {"result": "ok"}
    assert client.destroy("a") == {"result": "not found"}
    again = client.upload(str(joe), public_id="a")
    assert again["asset_id"] != answer["asset_id"]
    assert client.call_api(
        "destroy", {"timestamp": utils.now(), "asset_id": again["asset_id"]}, resource_type="asset"
    ) == {"result": "ok"}


def test_a_backup_outlives_the_picture(client: Client, joe: Path) -> None:
    client.upload(str(joe), public_id="a", backup=True)
    client.destroy("a")
    restored = client.server.context.media.restore(AssetKey("a"))
    assert restored is not None
    assert client.server.context.media.fetch(restored) == joe.read_bytes()


@pytest.mark.parametrize("name", ["text", "multi", "generate_sprite"])
def test_what_is_not_here_says_so(client: Client, name: str) -> None:
    with pytest.raises(cloudinary.exceptions.BadRequest, match="not supported"):
        getattr(client, name)("x")
