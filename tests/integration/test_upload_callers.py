"""Who may upload what: signatures, keys, and presets that need neither."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cloudinary.exceptions
import pytest
from cloudinary import utils
from tests import loopback
from tests.integration.sdk_client import Client

from facelabel.cloudinary import signing
from facelabel.core.label_policy import LabelPolicy, NameTargets
from facelabel.media.types import And, DocumentKind, Edit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.integration.conftest import ApiServer

    from facelabel.core.model import Json
    from facelabel.web.cloudinary_api.context import Context


@pytest.fixture
def client(api_server: ApiServer) -> Client:
    return Client(api_server)


@pytest.fixture
def joe(photos: Path) -> Path:
    return photos / "people" / "Biden1.jpg"


def test_an_unsigned_upload(client: Client, joe: Path) -> None:
    _preset(client, "open", unsigned=True, settings={"folder": "in", "tags": "new,from web"})
    upload = client.unsigned_upload(str(joe), "open", public_id="joe", tags=["Joe"], folder="out")
    assert (upload["public_id"], upload["tags"]) == ("in/joe", ["new", "from web", "Joe"])
    again = client.unsigned_upload(str(joe), "open", public_id="joe", tags=["Hopper"])
    assert again["existing"] is True
    assert "tags" not in again  # whoever has no key learns nothing about what is there
    with pytest.raises(cloudinary.exceptions.BadRequest, match="overwrite parameter is not"):
        client.unsigned_upload(str(joe), "open", overwrite=True)


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("closed", "must be whitelisted"),
        ("unknown", "Upload preset not found"),
        ("", "must be specified"),
    ],
)
def test_not_every_preset_is_open(client: Client, joe: Path, preset: str, message: str) -> None:
    _preset(client, "closed", unsigned=False, settings={})
    with pytest.raises(cloudinary.exceptions.BadRequest, match=message):
        client.unsigned_upload(str(joe), preset)


def test_in_a_signed_upload_the_call_counts(client: Client, joe: Path) -> None:
    settings: Json = {"asset_folder": "in", "use_filename": True, "context": "a=1|b=2"}
    _preset(client, "closed", unsigned=False, settings=settings)
    answer = client.upload(str(joe), upload_preset="closed", asset_folder="out", context={"b": "3"})
    assert answer["asset_folder"] == "out"
    assert answer["public_id"].startswith("Biden1_")
    assert answer["context"]["custom"] == {"a": "1", "b": "3"}


@pytest.mark.parametrize(
    "given",
    [
        {"tags": "a,faceLabel:Mallory"},
        {"tags": ["faceLabel:Mallory"]},
        {"tags": [" faceLabel:Mallory "]},
        {"tags": "faceLabel:"},
        {"tags": "faceId:4f5c"},
        {"tags": "who\u0308:Mallory"},  # to be kept as one letter, as names_prefix has it
        {"metadata": {"people": "Mallory"}},
        {"metadata": "people=Mallory"},
        {"metadata": 'a=1|people=["Mallory"]'},
        {"context": {"people": "Mallory"}},
        {"context": "a=1|people=Mallory"},
        {"asset_folder": "training"},
        {"asset_folder": "/training/"},
        {"asset_folder": "training/new"},
        {"folder": "training"},
        {"asset_folder": " training"},
    ],
)
def test_nobody_without_a_key_says_who_is_on_a_picture(
    context: Context, serve: Callable[[Context], ApiServer], joe: Path, given: Json
) -> None:
    targets = NameTargets(prefix="wh\u00f6:", field="people", context="people")
    label_policy = LabelPolicy(label_field="people", targets=targets)
    client = Client(serve(replace(context, label_policy=label_policy)))
    _preset(client, "open", unsigned=True, settings={"tags": "x", "context": "b=2"})
    with pytest.raises(cloudinary.exceptions.BadRequest) as error:
        _post(client, {**given, "upload_preset": "open"}, joe)
    assert "is not allowed when using unsigned upload" in str(error.value)
    assert not client.server.context.media.select(And(), limit=1).assets


@pytest.mark.parametrize(
    "given",
    [
        {"public_id": "training/x"},
        {"public_id": "training/new/x"},
        {"folder": "training", "public_id": "x"},
        {"public_id_prefix": "training", "public_id": "x"},
        {"asset_folder": "training", "use_asset_folder_as_public_id_prefix": True},
    ],
)
def test_nor_by_the_name_of_a_picture_with_fixed_folders(
    context: Context, serve: Callable[[Context], ApiServer], joe: Path, given: Json
) -> None:
    client = Client(serve(replace(context, fixed_folders=True)))
    _preset(client, "open", unsigned=True, settings={})
    with pytest.raises(cloudinary.exceptions.BadRequest, match="the folder training"):
        _post(client, {**given, "upload_preset": "open"}, joe)


@pytest.mark.parametrize(
    "given",
    [
        {"tags": "faceLabels, Mallory, xfaceLabel:Mallory, facelabel:m"},
        {"asset_folder": "trainings", "context": {"person": "x"}, "metadata": {}},
        {"asset_folder": "new/training"},
        {"public_id": "training/x"},  # with dynamic folders that is a name, and no place
    ],
)
def test_what_says_nothing_of_people_stays_open(client: Client, joe: Path, given: Json) -> None:
    _preset(client, "open", unsigned=True, settings={})
    assert _post(client, {**given, "upload_preset": "open"}, joe)["asset_id"]


def test_a_preset_may_teach_as_whoever_made_it_had_a_key(client: Client, joe: Path) -> None:
    settings: Json = {"asset_folder": "training", "tags": "faceLabel:Ann", "context": "a=1"}
    _preset(client, "ann", unsigned=True, settings=settings)
    given: Json = {"asset_folder": "elsewhere", "tags": "b", "context": {"a": "2", "c": "3"}}
    answer = _post(client, {**given, "upload_preset": "ann"}, joe)
    assert answer["asset_folder"] == "training"
    assert answer["tags"] == ["faceLabel:Ann", "b"]
    assert answer["context"]["custom"] == {"a": "1", "c": "3"}
    with pytest.raises(cloudinary.exceptions.BadRequest, match="the tag faceLabel:Mallory"):
        _post(client, {"tags": "faceLabel:Mallory", "upload_preset": "ann"}, joe)
    signed = client.upload(str(joe), upload_preset="ann", tags="faceLabel:Bea", public_id="b")
    assert signed["tags"] == ["faceLabel:Ann", "faceLabel:Bea"]


def _post(client: Client, given: Json, file: Path) -> Any:  # noqa: ANN401 - as the SDK's
    """A form, or JSON where that can say what a form cannot."""
    if any(isinstance(value, dict) for value in given.values()):
        sent = given | {"file": f"data:;base64,{base64.b64encode(file.read_bytes()).decode()}"}
        answer = loopback.post(client.server.at("image/upload"), json=sent)
        if answer.status_code == 400:
            raise cloudinary.exceptions.BadRequest(answer.json()["error"]["message"])
        return answer.json()
    return client.call_api("upload", given, file=str(file), unsigned=True)


def _preset(client: Client, name: str, *, unsigned: bool, settings: Json) -> None:
    preset: Json = {"name": name, "unsigned": unsigned, "settings": settings}
    media = client.server.context.media
    media.documents.change(DocumentKind.UPLOAD_PRESET, name, lambda _: preset)


# ---- who may call


def test_a_wrong_signature_tells_what_to_sign_and_no_secret(client: Client, joe: Path) -> None:
    with pytest.raises(cloudinary.exceptions.AuthorizationRequired) as error:
        client.upload(str(joe), tags=["a"], timestamp=utils.now(), api_secret="wrong")
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
    client: Client, joe: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(cloudinary.exceptions.AuthorizationRequired, match=message):
        client.upload(str(joe), **options)


@pytest.mark.parametrize("off", [-3700, 3700, 10**12])
def test_the_time_of_a_call_counts(client: Client, off: int) -> None:
    with pytest.raises(cloudinary.exceptions.BadRequest, match="Stale request"):
        client.call_api("destroy", {"timestamp": int(utils.now()) + off, "public_id": "a"})


def test_an_old_key_is_good_until_it_is_withdrawn(
    context: Context, serve: Callable[[Context], ApiServer], joe: Path
) -> None:
    keys = list(context.keys())
    client = Client(serve(replace(context, keys=lambda: keys)))
    client.upload(str(joe))
    keys[:] = [replace(keys[0], key="new")]
    with pytest.raises(cloudinary.exceptions.AuthorizationRequired, match="Unknown API key"):
        client.upload(str(joe))


def test_some_parameters_may_be_unsigned(client: Client, joe: Path) -> None:
    client.upload(str(joe), public_id="a")
    client.add_tag("x", "a", batch_id="b")
    signed = {"public_ids": ["a"], "tag": "y", "command": "add", "timestamp": utils.now(),
              "batch_id": "b"}  # fmt: skip
    client.call_api("tags", signed)
    assert client.asset("a").tags == ("x", "y")


@pytest.mark.parametrize(
    ("call", "params"),
    [
        ("upload", {"public_id": "a"}),
        ("explicit", {"public_id": "a", "type": "upload"}),
        ("rename", {"from_public_id": "a", "to_public_id": "b"}),
        ("destroy", {"public_id": "a"}),
    ],
)
def test_calls_about_one_asset_are_signed_whole(
    client: Client, joe: Path, call: str, params: Json
) -> None:
    client.upload(str(joe), public_id="a")
    sdk = client.server.sdk
    signed = params | {"timestamp": str(utils.now())}
    sent = signed | {
        "signature": signing.sign(signed, sdk["api_secret"]),
        "api_key": sdk["api_key"],
        "batch_id": "b",
    }
    with pytest.raises(cloudinary.exceptions.AuthorizationRequired, match="Invalid Signature"):
        client.call_api(call, sent, unsigned=True, file=str(joe) if call == "upload" else None)


def test_who_saw_a_signed_call_cannot_add_who_is_told_of_it(
    context: Context, serve: Callable[[Context], ApiServer], joe: Path
) -> None:
    """Only a host that the settings name; a signed address, and HTTP Basic, may be any."""
    client = Client(serve(replace(context, notified_hosts=frozenset({"hooks.example"}))))
    client.upload(str(joe), public_id="a", notification_url="https://anywhere.example/n")
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


def test_a_parameter_cannot_hide_in_another_one(client: Client, joe: Path) -> None:
    """A signature of version 2 is not good for what version 1 would make of the same text."""
    secret = client.server.sdk["api_secret"]
    params: Json = {"timestamp": str(utils.now()), "public_id": "a&overwrite=true"}
    signature = signing.sign(params, secret)
    sent = {"timestamp": params["timestamp"], "public_id": "a", "overwrite": "true"}
    with pytest.raises(cloudinary.exceptions.AuthorizationRequired, match="Invalid Signature"):
        client.call_api(
            "upload",
            sent | {"signature": signature, "api_key": client.server.sdk["api_key"]},
            file=str(joe),
            unsigned=True,
        )


def test_changes_are_made_on_behalf_of_the_caller(client: Client, joe: Path) -> None:
    asset_id = client.upload(str(joe), public_id="a")["asset_id"]
    media = client.server.context.media
    media.edit([asset_id], Edit(add_tags=["b"]))
    assert client.asset("a").tags == ("b",)
