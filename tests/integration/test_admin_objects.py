"""Folders, metadata fields, presets, triggers, messages, transformations: over HTTP."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from cloudinary import SearchFolders, api, exceptions, uploader
from PIL import Image
from tests import loopback
from tests.waiting import PATIENCE

from facelabel.adapters.store.library import transaction as store
from facelabel.adapters.store.library.transaction import Signed
from facelabel.media.types import DocumentKind
from facelabel.web.cloudinary_api.admin import triggers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx2
    from tests.integration.conftest import ApiServer

    from facelabel.adapters.store.sql.database import Database
    from facelabel.web.cloudinary_api.context import Context

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # the SDK's own connections

PEOPLE = {
    "external_id": "people",
    "label": "People",
    "type": "set",
    "datasource": {"values": [{"external_id": "a", "value": "Ann"}]},
    "allow_dynamic_list_values": True,
}


@pytest.fixture
def sdk(api_server: ApiServer) -> dict[str, Any]:
    """Credentials, as options of the official SDK's calls."""
    return {**api_server.sdk}


@pytest.fixture
def client(api_server: ApiServer, sdk: dict[str, Any]) -> Iterator[httpx2.Client]:
    auth = (sdk["api_key"], sdk["api_secret"])
    with loopback.client(base_url=api_server.at(""), auth=auth) as client:
        yield client


def upload(sdk: dict[str, Any], public_id: str, **more: object) -> dict[str, Any]:
    file = io.BytesIO()
    Image.new("RGB", (8, 6), "red").save(file, "PNG")
    file.seek(0)
    asset: dict[str, Any] = uploader.upload(file, public_id=public_id, **{**sdk, **more})
    return asset


def paths(answer: dict[str, Any]) -> list[str]:
    return [folder["path"] for folder in answer["folders"]]


def ids(answer: dict[str, Any]) -> list[str]:
    return [entry["external_id"] for entry in answer["values"]]


# ---- folders


def test_a_folder_from_beginning_to_end(sdk: dict[str, Any]) -> None:
    assert api.create_folder("a/b", **sdk) == {
        "success": True,
        "name": "b",
        "path": "a/b",
        "external_id": api.subfolders("a", **sdk)["folders"][0]["external_id"],
    }
    root = api.root_folders(**sdk)
    assert (paths(root), root["total_count"], root["next_cursor"]) == (["a"], 1, None)
    moved = api.rename_folder("a/b", "a/c", **sdk)
    assert (moved["from"]["path"], moved["to"]["path"]) == ("a/b", "a/c")
    assert paths(api.subfolders("a", **sdk)) == ["a/c"]
    assert sorted(api.delete_folder("a", **sdk)["deleted"]) == ["a", "a/c"]
    assert paths(api.root_folders(**sdk)) == []


def test_renaming_a_folder_takes_its_pictures_along(sdk: dict[str, Any]) -> None:
    upload(sdk, "x", asset_folder="my people/old")
    api.rename_folder("my people", "persons", **sdk)
    assert api.resource("x", **sdk)["asset_folder"] == "persons/old"


def test_a_folder_with_pictures_stays(sdk: dict[str, Any]) -> None:
    upload(sdk, "x", asset_folder="a")
    with pytest.raises(exceptions.BadRequest):
        api.delete_folder("a", **sdk)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_folder_that_is_not_there(client: httpx2.Client, method: str) -> None:
    answer = client.request(method, "folders/no%2Fsuch", params={"to_folder": "x"})
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "Can't find folder with path no/such"


def test_folders_are_found_by_name_and_path(sdk: dict[str, Any]) -> None:
    for path in ("a/cats", "a/dogs", "b/cats"):
        api.create_folder(path, **sdk)

    def found(expression: str) -> list[str]:
        return paths(SearchFolders().expression(expression).execute(**sdk))

    assert found("name=cats") == ["a/cats", "b/cats"]
    assert found("path:a/*") == ["a/cats", "a/dogs"]
    assert found("path:a* AND NOT dogs") == ["a", "a/cats"]
    assert found("name=(dogs OR b)") == ["a/dogs", "b"]
    with pytest.raises(exceptions.BadRequest, match="knows no field"):
        found("tags=x")


def test_folders_come_in_pages(sdk: dict[str, Any]) -> None:
    for path in "abc":
        api.create_folder(path, **sdk)
    first = SearchFolders().max_results(2).execute(**sdk)
    assert (paths(first), first["total_count"]) == (["a", "b"], 3)
    api.delete_folder("b", **sdk)
    api.create_folder("aa", **sdk)
    rest = SearchFolders().max_results(2).next_cursor(first["next_cursor"]).execute(**sdk)
    assert (paths(rest), rest["next_cursor"]) == (["c"], None)


# ---- metadata fields


def test_a_field_from_beginning_to_end(sdk: dict[str, Any]) -> None:
    made = api.add_metadata_field(PEOPLE, **sdk)
    assert made == api.metadata_field_by_field_id("people", **sdk)
    assert set(made) == {*PEOPLE, "mandatory", "default_value", "validation"}
    assert api.list_metadata_fields(**sdk)["metadata_fields"] == [made]
    with pytest.raises(exceptions.BadRequest, match="external id people already exists"):
        api.add_metadata_field(PEOPLE, **sdk)
    assert api.update_metadata_field("people", {"label": "Persons"}, **sdk)["label"] == "Persons"
    assert api.delete_metadata_field("people", **sdk) == {"message": "ok"}
    with pytest.raises(exceptions.NotFound):
        api.metadata_field_by_field_id("people", **sdk)


def test_the_list_of_a_field(sdk: dict[str, Any], client: httpx2.Client) -> None:
    api.add_metadata_field(PEOPLE, **sdk)
    more = [{"external_id": "b", "value": "Bob"}, {"external_id": "a", "value": "Zoe"}]
    assert ids(api.update_metadata_field_datasource("people", more, **sdk)) == ["a", "b"]
    assert ids(api.reorder_metadata_field_datasource("people", "value", **sdk)) == ["b", "a"]
    assert ids(api.delete_datasource_entries("people", ["b"], **sdk)) == ["a"]
    assert ids(api.restore_metadata_field_datasource("people", ["b"], **sdk)) == ["b", "a"]
    path = "metadata_fields/people/datasource"
    assert ids(client.get(path).json()) == ["b", "a"]
    assert ids(client.get(f"{path}/search", params={"term": "ZO"}).json()) == ["a"]


def test_a_new_person_grows_the_list(sdk: dict[str, Any]) -> None:
    api.add_metadata_field(PEOPLE, **sdk)
    upload(sdk, "x", metadata={"people": ["a", "Dan"]})
    api.update("x", metadata={"people": ["Zoë", "Dan"]}, **sdk)
    assert api.resource("x", **sdk)["metadata"] == {"people": ["Zoë", "Dan"]}
    field = api.metadata_field_by_field_id("people", **sdk)
    assert ids(field["datasource"]) == ["a", "Dan", "Zoë"]


def test_a_list_loses_nobody_when_many_name_people_at_once(sdk: dict[str, Any]) -> None:
    api.add_metadata_field(PEOPLE, **sdk)
    people = [f"Person {number}" for number in range(20)]
    for number in range(len(people)):
        upload(sdk, f"x{number}")

    def name(number: int) -> None:
        api.update(f"x{number}", metadata={"people": [people[number]]}, **sdk)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(name, range(len(people))))
    field = api.metadata_field_by_field_id("people", **sdk)
    assert set(ids(field["datasource"])) == {"a", *people}


def test_deleting_a_field_deletes_its_values(sdk: dict[str, Any]) -> None:
    api.add_metadata_field(PEOPLE, **sdk)
    api.add_metadata_field({"external_id": "note", "label": "Note", "type": "string"}, **sdk)
    upload(sdk, "x", metadata={"people": ["a"], "note": "n"})
    api.delete_metadata_field("people", **sdk)
    assert api.resource("x", **sdk)["metadata"] == {"note": "n"}


def test_an_unknown_field_is_named(sdk: dict[str, Any]) -> None:
    upload(sdk, "x")
    with pytest.raises(exceptions.BadRequest, match=r'External IDs do not exist: \["no"\]'):
        api.update("x", metadata={"no": "v"}, **sdk)


def test_a_value_that_does_not_fit_is_refused_or_cleared(sdk: dict[str, Any]) -> None:
    api.add_metadata_field({"external_id": "n", "label": "N", "type": "integer"}, **sdk)
    upload(sdk, "x", metadata={"n": 5})
    with pytest.raises(exceptions.BadRequest, match="invalid for integer field n"):
        api.update("x", metadata={"n": "many"}, **sdk)
    api.update("x", metadata={"n": "many"}, clear_invalid=True, **sdk)
    assert "metadata" not in api.resource("x", **sdk)


def test_fields_stay_in_the_order_they_were_put(sdk: dict[str, Any]) -> None:
    for name in ("b", "a"):
        api.add_metadata_field({"external_id": name, "label": name, "type": "string"}, **sdk)

    def order(answer: dict[str, Any]) -> list[str]:
        return [field["external_id"] for field in answer["metadata_fields"]]

    assert order(api.list_metadata_fields(**sdk)) == ["b", "a"]
    assert order(api.reorder_metadata_fields("label", **sdk)) == ["a", "b"]
    assert order(api.reorder_metadata_fields("external_id", "desc", **sdk)) == ["b", "a"]
    api.add_metadata_field({"external_id": "A", "label": "A", "type": "string"}, **sdk)
    assert order(api.list_metadata_fields(**sdk)) == ["b", "a", "A"]


def test_there_is_an_end_to_fields(context: Context, client: httpx2.Client) -> None:
    for number in range(500):
        field: Any = {"external_id": f"f{number}", "label": "f", "type": "string"}
        context.media.documents.change(DocumentKind.METADATA_FIELD, f"f{number}", lambda _: field)  # noqa: B023 - called at once
    answer = client.post("metadata_fields", json={"external_id": "one", "type": "string"})
    assert answer.status_code == 400
    assert "500 metadata fields" in answer.json()["error"]["message"]


# ---- upload presets


def test_a_preset_from_beginning_to_end(sdk: dict[str, Any]) -> None:
    made = api.create_upload_preset(name="p", unsigned=True, tags=["a", "b"], folder="f", **sdk)
    assert made == {"message": "created", "name": "p"}
    assert api.upload_preset("p", **sdk) == {
        "name": "p",
        "unsigned": True,
        "settings": {"tags": "a,b", "folder": "f"},
    }
    api.update_upload_preset("p", unsigned=False, folder="g", **sdk)
    (only,) = api.upload_presets(**sdk)["presets"]
    assert (only["unsigned"], only["settings"]) == (False, {"tags": "a,b", "folder": "g"})
    with pytest.raises(exceptions.BadRequest, match="already been taken"):
        api.create_upload_preset(name="p", **sdk)
    assert api.delete_upload_preset("p", **sdk) == {"message": "deleted"}
    with pytest.raises(exceptions.NotFound):
        api.upload_preset("p", **sdk)


def test_a_preset_gets_a_name(sdk: dict[str, Any]) -> None:
    name = api.create_upload_preset(**sdk)["name"]
    assert api.upload_preset(name, **sdk)["settings"] == {}


# ---- triggers


def test_a_trigger_from_beginning_to_end(sdk: dict[str, Any], client: httpx2.Client) -> None:
    made = api.create_trigger("https://example.com/hook", "upload", **sdk)
    assert (made["uri_type"], made["event_type"]) == ("http", "upload")
    assert api.triggers(**sdk) == {"triggers": [made], "total": 1}
    assert api.triggers(event_type="rename", **sdk) == {"triggers": [], "total": 0}
    name = made["id"]
    assert api.update_trigger(name, "https://example.com/2", **sdk)["uri"].endswith("/2")
    other = client.put(f"triggers/{name}", json={"uri": "poll://faces", "event_type": "all"})
    assert (other.json()["uri_type"], other.json()["event_type"]) == ("poll", "all")
    assert client.get(f"triggers/{name}").json() == other.json()
    assert api.delete_trigger(name, **sdk) == {"message": "deleted"}
    with pytest.raises(exceptions.NotFound):
        api.delete_trigger(name, **sdk)


def test_a_trigger_is_tried_without_sending(sdk: dict[str, Any]) -> None:
    name = api.create_trigger("https://example.com/hook", "upload", **sdk)["id"]
    assert api.test_trigger(name, **sdk) == {"matched": True}
    assert api.test_trigger(name, {"notification_type": "upload"}, **sdk) == {"matched": True}
    assert api.test_trigger(name, {"notification_type": "delete"}, **sdk) == {"matched": False}


UNSERVABLE: list[dict[str, Any]] = [
    {"uri": "https://example.com"},
    {"event_type": "upload"},
    {"uri": "https://example.com", "event_type": "everything"},
    {"uri": "ftp://example.com", "event_type": "upload"},
    {"uri": "https://", "event_type": "upload"},
    {"uri": "https://[", "event_type": "upload"},
    {"uri": "https://example.com", "event_type": "upload", "uri_type": "poll"},
    {"uri": "poll://", "event_type": "upload"},
    {"uri": "poll://x", "event_type": "upload", "uri_type": "http"},
    {"uri": "https://example.com", "event_type": "upload", "uri_type": "pigeon"},
    {"uri": "https://example.com/" + "x" * 3000, "event_type": "upload"},
    {"uri": "https://example.com/\n", "event_type": "upload"},
    {"uri": "https://example.com", "event_type": "upload", "filter": {"==": [1, 1]}},
    {"uri": "https://example.com", "event_type": "upload", "payload_template": "{{x}}"},
    {"uri": "https://example.com", "event_type": "upload", "auth_scheme": "eddsa_v2"},
]


def test_a_trigger_that_could_not_be_served(client: httpx2.Client) -> None:
    for params in UNSERVABLE:
        assert (client.post("triggers", json=params).status_code, params) == (400, params)
    assert client.get("triggers").json()["total"] == 0


def test_there_are_thirty_triggers(client: httpx2.Client) -> None:
    for number in range(triggers.MAX_TRIGGERS + 1):
        params = {"uri": f"https://example.com/{number}", "event_type": "upload"}
        answer = client.post("triggers", data=params)
    assert answer.status_code == 400
    assert client.get("triggers").json()["total"] == triggers.MAX_TRIGGERS


# ---- messages


@pytest.fixture
def messages(api_server: ApiServer, sdk: dict[str, Any]) -> Iterator[httpx2.Client]:
    auth = (sdk["api_key"], sdk["api_secret"])
    url = f"{api_server.url}/v2/notifications/local/"
    with loopback.client(base_url=url, auth=auth) as client:
        yield client


@pytest.fixture
def arrive(sqlite: Database) -> Callable[..., None]:
    """Return what puts messages into a channel."""

    def add(channel: str, number: int = 1) -> None:
        told = [Signed(b'{"notification_type":"upload"}', "1700000000", "abc")] * number
        with sqlite.transaction() as connection:
            store.add_messages(connection, channel, told, time.time())

    return add


#: Seconds: the longest there is.
LONGEST = {"wait_seconds": 60, "max_messages": 1}


def test_an_empty_channel_answers_when_nobody_wants_to_wait_longer(messages: httpx2.Client) -> None:
    answer = messages.get("messages", params={"channel": "c", "wait_seconds": 1})
    assert answer.json() == {}
    assert answer.headers["x-request-id"]


def test_who_waits_is_answered_as_soon_as_there_is_a_message(
    messages: httpx2.Client, arrive: Callable[..., None]
) -> None:
    """While another, who began at the same time, still waits."""
    with ThreadPoolExecutor(2) as pool:
        this, other = (
            pool.submit(messages.get, "messages", params={"channel": name, **LONGEST})
            for name in ("this", "other")
        )
        arrive("this")
        answer = this.result(PATIENCE).json()
        assert not other.done()
        arrive("other")
        assert other.result(PATIENCE).status_code == 200
    (message,) = answer["messages"]
    assert message["payload"] == {"notification_type": "upload"}
    handles = {"receipt_handles": [message["receipt_handle"]]}
    done = messages.post("messages/ack", json=handles).json()
    assert [each["status"] for each in done["results"]] == ["acked"]


def test_many_who_wait_keep_nobody_else_from_being_served(
    messages: httpx2.Client, client: httpx2.Client, arrive: Callable[..., None]
) -> None:
    """There are forty threads; more are waiting."""
    with ThreadPoolExecutor(60) as pool:
        waiting = [
            pool.submit(messages.get, "messages", params={"channel": "c", **LONGEST})
            for _ in range(60)
        ]
        assert client.get("ping").status_code == 200
        assert not any(one.done() for one in waiting)
        arrive("c", len(waiting))
        assert [one.result(PATIENCE).status_code for one in waiting] == [200] * len(waiting)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"channel": "a", "batch_id": "b"},
        {"channel": "a" * 3000},
        {"channel": "a", "wait_seconds": 61},
        {"channel": "a", "wait_seconds": "nan"},
        {"channel": "a", "max_messages": 0},
        {"channel": "a", "visibility_timeout": 601},
    ],
)
def test_a_channel_nobody_could_wait_for(messages: httpx2.Client, params: dict[str, Any]) -> None:
    assert messages.get("messages", params=params).status_code == 400


def test_unknown_messages_are_not_acknowledged(messages: httpx2.Client) -> None:
    answer = messages.post("messages/ack", json={"receipt_handles": ["x", "%"]})
    assert [each["status"] for each in answer.json()["results"]] == ["not_found", "not_found"]
    for handles in ([], ["x"] * 101):
        refused = messages.post("messages/ack", json={"receipt_handles": handles})
        assert refused.status_code == 400


def test_messages_are_for_who_has_a_key(api_server: ApiServer) -> None:
    url = f"{api_server.url}/v2/notifications/local/messages?channel=c&wait_seconds=0"
    assert loopback.get(url).status_code == 401


# ---- transformations


def test_a_named_transformation_from_beginning_to_end(sdk: dict[str, Any]) -> None:
    api.create_transformation("small", {"width": 100, "crop": "scale"}, **sdk)
    api.update_transformation("small", unsafe_update={"width": 50, "crop": "fit"}, **sdk)
    shown = api.transformation("small", **sdk)
    assert shown["info"] == [{"crop": "fit", "width": 50}]
    assert (shown["named"], shown["used"], shown["derived"]) == (True, False, [])
    with pytest.raises(exceptions.AlreadyExists):
        api.create_transformation("small", {"width": 100, "crop": "scale"}, **sdk)
    api.delete_transformation("small", **sdk)
    with pytest.raises(exceptions.NotFound):
        api.transformation("small", **sdk)


def test_transformations_in_use_are_listed(sdk: dict[str, Any]) -> None:
    api.create_transformation("small", {"width": 100, "crop": "scale"}, **sdk)
    upload(sdk, "x", eager=[{"width": 4, "crop": "scale"}])
    listed = api.transformations(**sdk)["transformations"]
    assert {each["name"]: each["used"] for each in listed} == {
        "c_scale,w_4": True,
        "t_small": False,
    }
    named = api.transformations(named=True, **sdk)["transformations"]
    assert [each["name"] for each in named] == ["t_small"]
    (derived,) = api.transformation("c_scale,w_4", **sdk)["derived"]
    assert derived["format"] == "png"


def test_a_transformation_that_could_not_be_applied_gets_no_name(sdk: dict[str, Any]) -> None:
    with pytest.raises(exceptions.BadRequest):
        api.create_transformation("text", {"overlay": "text:Arial_20:Hi"}, **sdk)
    with pytest.raises(exceptions.BadRequest):
        api.create_transformation("a/b", {"width": 4, "crop": "scale"}, **sdk)
