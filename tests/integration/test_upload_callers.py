"""Who may upload what: signatures, keys, and presets that need neither."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cloudinary.exceptions
import pytest
from cloudinary import utils
from tests.integration.sdk_client import Client

from facelabel.cloudinary import signing
from facelabel.media import DocumentKind, Edit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import ApiServer

    from facelabel.model import Json
    from facelabel.web.cloudinary_api.context import Context


@pytest.fixture
def client(api_server: ApiServer) -> Client:
    return Client(api_server)


@pytest.fixture
def dad(data: Path) -> Path:
    return data / "families" / "Family1-Dad1.jpg"


def test_an_unsigned_upload(client: Client, dad: Path) -> None:
    _preset(client, "open", unsigned=True, settings={"folder": "in", "tags": "new,from web"})
    upload = client.unsigned_upload(str(dad), "open", public_id="dad", tags=["Dad"], folder="out")
    assert (upload["public_id"], upload["tags"]) == ("in/dad", ["new", "from web", "Dad"])
    again = client.unsigned_upload(str(dad), "open", public_id="dad", tags=["Mom"])
    assert again["existing"] is True
    assert "tags" not in again  # whoever has no key learns nothing about what is there
    with pytest.raises(cloudinary.exceptions.BadRequest, match="overwrite parameter is not"):
        client.unsigned_upload(str(dad), "open", overwrite=True)


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("closed", "must be whitelisted"),
        ("unknown", "Upload preset not found"),
        ("", "must be specified"),
    ],
)
def test_not_every_preset_is_open(client: Client, dad: Path, preset: str, message: str) -> None:
    _preset(client, "closed", unsigned=False, settings={})
    with pytest.raises(cloudinary.exceptions.BadRequest, match=message):
        client.unsigned_upload(str(dad), preset)


def test_in_a_signed_upload_the_call_counts(client: Client, dad: Path) -> None:
    settings: Json = {"asset_folder": "in", "use_filename": True, "context": "a=1|b=2"}
    _preset(client, "closed", unsigned=False, settings=settings)
    answer = client.upload(str(dad), upload_preset="closed", asset_folder="out", context={"b": "3"})
    assert answer["asset_folder"] == "out"
    assert answer["public_id"].startswith("Family1-Dad1_")
    assert answer["context"]["custom"] == {"a": "1", "b": "3"}


def _preset(client: Client, name: str, *, unsigned: bool, settings: Json) -> None:
    preset: Json = {"name": name, "unsigned": unsigned, "settings": settings}
    media = client.server.context.media
    media.change_document(DocumentKind.UPLOAD_PRESET, name, lambda _: preset)


# ---- who may call


def test_a_wrong_signature_tells_what_to_sign_and_no_secret(client: Client, dad: Path) -> None:
    with pytest.raises(cloudinary.exceptions.AuthorizationRequired) as error:
        client.upload(str(dad), tags=["a"], timestamp=utils.now(), api_secret="wrong")
    assert re.fullmatch(
        r"Invalid Signature [0-9a-f]{40}\. String to sign - 'tags=a&timestamp=\d+'\.",
        str(error.value),
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"api_key": "unknown"}, "Unknown API key unknown"),
        ({"cloud_name": "elsewhere"}, "cloud_name mismatch"),
    ],
)
def test_strangers_are_refused(
    client: Client, dad: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(cloudinary.exceptions.AuthorizationRequired, match=message):
        client.upload(str(dad), **options)


@pytest.mark.parametrize("off", [-3700, 3700, 10**12])
def test_the_time_of_a_call_counts(client: Client, off: int) -> None:
    with pytest.raises(cloudinary.exceptions.BadRequest, match="Stale request"):
        client.call_api("destroy", {"timestamp": int(utils.now()) + off, "public_id": "a"})


def test_an_old_key_is_good_until_it_is_withdrawn(
    context: Context, serve: Callable[[Context], ApiServer], dad: Path
) -> None:
    keys = list(context.keys())
    client = Client(serve(replace(context, keys=lambda: keys)))
    client.upload(str(dad))
    keys[:] = [replace(keys[0], key="new")]
    with pytest.raises(cloudinary.exceptions.AuthorizationRequired, match="Unknown API key"):
        client.upload(str(dad))


def test_some_parameters_may_be_unsigned(client: Client, dad: Path) -> None:
    client.upload(str(dad), public_id="a")
    client.add_tag("x", "a", batch_id="b")
    signed = {"public_ids": ["a"], "tag": "y", "command": "add", "timestamp": utils.now(),
              "batch_id": "b"}  # fmt: skip
    client.call_api("tags", signed)
    assert client.asset("a").tags == ("x", "y")


def test_who_saw_a_signed_call_cannot_add_who_is_told_of_it(
    context: Context, serve: Callable[[Context], ApiServer], dad: Path
) -> None:
    """Only a host that the settings name; a signed address, and HTTP Basic, may be any."""
    client = Client(serve(replace(context, notified_hosts=frozenset({"hooks.example"}))))
    client.upload(str(dad), public_id="a", notification_url="https://anywhere.example/n")
    client.add_tag("x", "a", notification_url="https://HOOKS.example:8443/n")
    for url in ("https://evil.example/n", "https://hooks.example@evil.example/", "x", "http://["):
        with pytest.raises(cloudinary.exceptions.BadRequest, match="notification_hosts") as error:
            client.add_tag("y", "a", notification_url=url)
        assert "hooks.example " not in str(error.value)
    assert client.asset("a").tags == ("x",)
    signed = {"public_ids": ["a"], "tag": "z", "command": "add", "timestamp": utils.now(),
              "notification_url": "https://anywhere.example/n"}  # fmt: skip
    client.call_api("tags", signed)
    assert client.asset("a").tags == ("x", "z")


def test_a_parameter_cannot_hide_in_another_one(client: Client, dad: Path) -> None:
    """A signature of version 2 is not good for what version 1 would make of the same text."""
    secret = client.server.sdk["api_secret"]
    params: Json = {"timestamp": str(utils.now()), "public_id": "a&overwrite=true"}
    signature = signing.sign(params, secret)
    sent = {"timestamp": params["timestamp"], "public_id": "a", "overwrite": "true"}
    with pytest.raises(cloudinary.exceptions.AuthorizationRequired, match="Invalid Signature"):
        client.call_api(
            "upload",
            sent | {"signature": signature, "api_key": client.server.sdk["api_key"]},
            file=str(dad),
            unsigned=True,
        )


def test_changes_are_made_on_behalf_of_the_caller(client: Client, dad: Path) -> None:
    asset_id = client.upload(str(dad), public_id="a")["asset_id"]
    media = client.server.context.media
    media.edit([asset_id], Edit(add_tags=["b"]))
    assert client.asset("a").tags == ("b",)
