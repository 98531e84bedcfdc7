"""Accounts, and where and how their pictures are delivered."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import io
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from cloudinary import uploader
from PIL import Image
from tests.integration.cloudinary.conftest import (
    Reply,
    Stage,
    account_of,
    asset_named,
    connected_to,
    failure,
    jpeg,
)
from tests.waiting import PATIENCE

from facelabel.adapters.cloudinary.account import Account
from facelabel.adapters.cloudinary.library import delivery_hosts, delivery_url, recognition_steps
from facelabel.adapters.fetcher import Fetcher
from facelabel.cloudinary import signing
from facelabel.errors import (
    ConfigurationError,
    Denied,
    FacelabelError,
    NotFound,
    Rejected,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import ApiServer

    from facelabel.adapters.cloudinary.library import CloudinaryLibrary


@pytest.mark.parametrize(
    ("public_id", "escaped"),
    [
        ("My People/Zoë 100% ?#&+", "My%20People/Zo%C3%AB%20100%25%20%3F%23%26%2B"),
        ("100%20", "100%2520"),
        ("john.smith", "john.smith"),
        ("v12/x", "v12/x"),
        ("w_100/x", "w_100/x"),
        ("דוד", "%D7%93%D7%95%D7%93"),
    ],
)
@pytest.mark.parametrize("kind", ["upload", "private", "authenticated"])
def test_a_delivery_url_is_versioned_escaped_and_signed(
    public_id: str, escaped: str, kind: str
) -> None:
    demo = Account("demo", "1", "abcd")
    url = delivery_url(demo, asset_named(public_id, type=kind), "q_auto/c_limit,f_jpg")
    head, _, rest = url.partition(f"/demo/image/{kind}/")
    signature, _, rest = rest.partition("/")
    assert head == "https://res.cloudinary.com"
    assert rest == f"q_auto/c_limit,f_jpg/v7/{escaped}.jpg"
    signed = f"q_auto/c_limit,f_jpg/{escaped}.jpg"
    assert signing.is_delivery(signed, signature, ["abcd"])
    digest = hashlib.sha1(f"{signed}abcd".encode()).digest()
    assert signature == f"s--{base64.urlsafe_b64encode(digest)[:8].decode()}--"


@pytest.mark.parametrize(
    ("options", "host"),
    [
        ("", "res.cloudinary.com"),
        ("?private_cdn=true", "demo-res.cloudinary.com"),
        ("/images.example.com", "images.example.com"),
        ("?secure_distribution=images.example.com", "images.example.com"),
        ("?cname=images.example.com", "images.example.com"),
        ("/", "res.cloudinary.com"),
        ("?upload_prefix=http://127.0.0.1:8765&cname=127.0.0.1:8765", "127.0.0.1:8765"),
        ("?secure=false", "res.cloudinary.com"),
    ],
)
def test_the_delivery_hosts_follow_from_the_account(options: str, host: str) -> None:
    there = Account.parse(f"cloudinary://1:abcd@demo{options}")
    assert delivery_hosts(there) == {host}
    scheme = "http" if "http:" in options or "secure=false" in options else "https"
    url = delivery_url(there, asset_named("x"), "f_jpg")
    assert url.startswith(f"{scheme}://{host}/")
    own = "private_cdn" in options or options == "/images.example.com"
    assert ("/demo/" in url) is not own


def test_a_long_signature_is_made_where_the_account_wants_it() -> None:
    demo = Account.parse("cloudinary://1:abcd@demo?long_url_signature=true")
    url = delivery_url(demo, asset_named("x"), "f_jpg")
    digest = hashlib.sha256(b"f_jpg/x.jpgabcd").digest()
    assert f"/s--{base64.urlsafe_b64encode(digest)[:32].decode()}--/" in url


@pytest.mark.parametrize(
    ("transformation", "steps"),
    [
        ("q_auto", "q_auto/c_limit,f_jpg,h_900,w_900"),
        ("", "c_limit,f_jpg,h_900,w_900"),
        (" e_improve,q_80/a_hflip/ ", "e_improve,q_80/a_hflip/c_limit,f_jpg,h_900,w_900"),
    ],
)
def test_our_step_comes_after_the_users(transformation: str, steps: str) -> None:
    assert recognition_steps(transformation, 900) == steps


@pytest.mark.parametrize(
    "url",
    [
        "", "demo", "https://1:abcd@demo", "cloudinary://demo", "cloudinary://1@demo",
        "cloudinary://1:ab/cd@demo", "cloudinary://1:abcd@", "cloudinary://1:abcd@demo:80",
        "cloudinary://1:abcd@demo?upload_prefix=ftp://x",
        "cloudinary://1:abcd@demo?signature_algorithm=md5",
    ],
)  # fmt: skip
def test_a_wrong_account_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="CLOUDINARY_URL") as raised:
        Account.parse(url)
    assert "abcd" not in str(raised.value)


def test_an_account_keeps_its_secret() -> None:
    demo = Account.parse("cloudinary://123:abcd@Demo?signature_algorithm=SHA256&other=1")
    assert (demo.cloud_name, demo.api_key, demo.api_secret) == ("Demo", "123", "abcd")
    assert demo.signature_algorithm == "sha256"
    assert "abcd" not in f"{demo!r} {demo}"


@pytest.fixture
def pictures(api_server: ApiServer) -> Callable[[bytes, str], Image.Image]:
    """Return what uploads a picture, and opens what is fetched of it."""
    library = connected_to(api_server, account_of(api_server))

    def fetched(data: bytes, filename: str) -> Image.Image:
        asset = library.upload(data, folder="assets", filename=filename)
        image = Image.open(io.BytesIO(library.fetch(asset)))
        assert image.format == "JPEG"
        return image

    return fetched


def test_a_picture_is_fetched_as_a_jpeg_and_never_enlarged(
    pictures: Callable[[bytes, str], Image.Image],
) -> None:
    buffer = io.BytesIO()
    Image.new("RGBA", (30, 20), (255, 0, 0, 128)).save(buffer, "PNG")
    assert pictures(buffer.getvalue(), "small.png").size == (30, 20)
    assert pictures(jpeg(3000, 1500), "large.jpg").size == (2048, 1024)


def test_a_picture_is_fetched_upright(pictures: Callable[[bytes, str], Image.Image]) -> None:
    image = pictures(jpeg(60, 40, orientation=6), "turned.jpg").convert("L")
    assert image.size == (40, 60)
    pixels = image.tobytes()
    assert pixels[20 + 10 * 40] > 245
    assert pixels[20 + 50 * 40] < 10


@pytest.mark.parametrize("kind", ["private", "authenticated"])
def test_a_picture_that_is_not_public_is_found_fetched_and_tagged(
    api_server: ApiServer, connected: CloudinaryLibrary, kind: str
) -> None:
    raw = uploader.upload(jpeg(), public_id="a/x", type=kind, asset_folder="a", **api_server.sdk)
    asset = connected.find("a/x")
    assert asset
    assert (asset.asset_id, asset.type) == (raw["asset_id"], kind)
    assert [found.asset_id for found in connected.assets("a")] == [raw["asset_id"]]
    assert [found.asset_id for found in connected.assets("")] == [raw["asset_id"]]
    assert Image.open(io.BytesIO(connected.fetch(asset))).size == (60, 40)
    connected.add_tags(asset.asset_id, ["Ann"])
    connected.set_context(asset.asset_id, {"k": "v", "l": "w"})
    connected.set_context(asset.asset_id, {"k": None})
    connected.set_metadata(asset.asset_id, "people", ["Ann"])
    moved = connected.move(asset.asset_id, "")
    assert (moved.folder, moved.tags, moved.context) == ("", ("Ann",), {"l": "w"})
    assert connected.rename(asset.asset_id, "y").metadata == {"people": ["Ann"]}
    connected.delete(asset.asset_id)
    assert connected.asset(asset.asset_id) is None


def test_a_wrong_secret_is_said_to_be_a_reason_for_no_delivery(
    api_server: ApiServer, connected: CloudinaryLibrary
) -> None:
    right = account_of(api_server)
    uploader.upload(jpeg(), public_id="x", type="private", **api_server.sdk)
    asset = connected.find("x")
    assert asset
    wrong = connected_to(api_server, dataclasses.replace(right, api_secret="other"))
    with pytest.raises(Denied, match="secret") as raised:
        wrong.fetch(asset)
    assert "other" not in str(raised.value)


def test_only_the_hosts_of_the_account_are_asked(stage: Stage) -> None:
    host = stage.url.removeprefix("http://")
    fetcher = Fetcher(
        max_bytes=100, timeout=PATIENCE, allow_private=True, allowed_hosts=frozenset({host})
    )
    assert fetcher.fetch(f"{stage.url}/x").data
    for elsewhere in ("http://127.0.0.1:9/x", "http://localhost/x", "https://example.com/x"):
        with pytest.raises(Rejected, match="only"):
            fetcher.fetch(elsewhere)
        stage.script = [Reply(302, {}, {"Location": elsewhere})]
        with pytest.raises(Rejected, match="only"):
            fetcher.fetch(f"{stage.url}/x")


def test_an_allowed_host_may_be_asked_at_any_port_but_not_at_home(stage: Stage) -> None:
    port = urlsplit(stage.url).port
    anywhere = frozenset({"127.0.0.1"})
    fetcher = Fetcher(max_bytes=100, timeout=PATIENCE, allow_private=True, allowed_hosts=anywhere)
    assert fetcher.fetch(f"http://127.0.0.1:{port}/x").data
    fetcher = Fetcher(max_bytes=100, timeout=PATIENCE, allowed_hosts=anywhere)
    with pytest.raises(Rejected, match="public"):
        fetcher.fetch(f"http://127.0.0.1:{port}/x")


@pytest.mark.parametrize(
    ("status", "meaning"),
    [(401, Denied), (403, Denied), (404, NotFound), (410, NotFound), (400, Rejected),
     (420, Unavailable), (423, Unavailable)],
)  # fmt: skip
def test_what_a_delivery_host_refuses_has_a_name_and_a_reason(
    stage: Stage, status: int, meaning: type[Exception]
) -> None:
    stage.script = [failure(status, X_Cld_Error="Strict transformations")]
    fetcher = Fetcher(max_bytes=100, timeout=PATIENCE, allow_private=True)
    with pytest.raises(FacelabelError) as raised:
        fetcher.fetch(f"{stage.url}/x")
    assert type(raised.value) is meaning
    assert ("Strict transformations" in str(raised.value)) is issubclass(meaning, Rejected)
