"""Names in structured metadata."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from cloudinary import api
from tests.integration.cloudinary.conftest import (
    ID,
    Reply,
    Stage,
    account_of,
    connected_to,
    described,
    failure,
    jpeg,
)

from facelabel.errors import Rejected

if TYPE_CHECKING:
    from tests.integration.conftest import ApiServer

    from facelabel.adapters.cloudinary.library import CloudinaryLibrary
    from facelabel.core.model import Asset


def people(library: CloudinaryLibrary, asset: Asset) -> object:
    """What its field "people" holds."""
    found = library.asset(asset.asset_id)
    assert found
    return found.metadata.get("people")


def test_a_field_for_names_is_made_when_it_is_first_needed(
    connected: CloudinaryLibrary, api_server: ApiServer
) -> None:
    asset = connected.upload(jpeg(), folder="assets", filename="a.jpg")
    names = ["Ann", "Zoë O'Neill | Co = x", "محمد", "🧑‍🚀"]
    connected.set_metadata(asset.asset_id, "people", names)
    assert people(connected, asset) == names
    field = api.metadata_field_by_field_id("people", **api_server.sdk)
    assert (field["type"], field["allow_dynamic_list_values"]) == ("set", True)
    connected.set_metadata(asset.asset_id, "people", ["Bea", "Ann", "Ann"])
    assert people(connected, asset) == ["Bea", "Ann"]
    connected.set_metadata(asset.asset_id, "people", [])
    assert not people(connected, asset)


def test_no_field_is_made_for_no_names(connected: CloudinaryLibrary, api_server: ApiServer) -> None:
    asset = connected.upload(jpeg(), folder="assets", filename="a.jpg")
    connected.set_metadata(asset.asset_id, "people", [])
    assert api.list_metadata_fields(**api_server.sdk)["metadata_fields"] == []


@pytest.mark.parametrize("kind", ["set", "enum"])
def test_a_closed_list_gets_the_names_it_lacks(
    connected: CloudinaryLibrary, api_server: ApiServer, kind: str
) -> None:
    values = {"values": [{"external_id": "id_ann", "value": "Ann"}]}
    field = {"external_id": "people", "label": "P", "type": kind, "datasource": values}
    api.add_metadata_field(field, **api_server.sdk)
    asset = connected.upload(jpeg(), folder="assets", filename="a.jpg")
    for name in ("Cleo", "Cleo", "Ann"):
        connected.set_metadata(asset.asset_id, "people", [name])
        assert people(connected, asset) == ([name] if kind == "set" else name)
    found = api.metadata_field_by_field_id("people", **api_server.sdk)["datasource"]["values"]
    assert [entry["value"] for entry in found] == ["Ann", "Cleo"]
    raw = api.resource_by_asset_id(asset.asset_id, **api_server.sdk)["metadata"]["people"]
    assert raw in ("id_ann", ["id_ann"])


def test_a_name_deleted_from_a_list_is_brought_back(
    stage: Stage, library: CloudinaryLibrary
) -> None:
    entry = {"external_id": "id_bob", "value": "Bob", "state": "inactive"}
    field = {"external_id": "people", "type": "set", "datasource": {"values": [entry]}}
    there = Reply(body={"public_ids": ["a"]})
    stage.script = [described("a"), Reply(body={"metadata_fields": [field]}), Reply(), there]
    library.asset(ID)
    library.set_metadata(ID, "people", ["Bob"])
    assert stage.paths[2] == "metadata_fields/people/datasource_restore"
    assert json.loads(stage.asked[2].body) == {"external_ids": ["id_bob"]}
    assert 'people=["id_bob"]' in stage.asked[3].body


@pytest.mark.parametrize(
    ("kind", "names"), [("integer", ["1"]), ("date", ["2024-01-01"]), ("string", ["a", "b"])]
)
def test_a_field_that_cannot_hold_names_says_so(
    connected: CloudinaryLibrary, api_server: ApiServer, kind: str, names: list[str]
) -> None:
    api.add_metadata_field({"external_id": "people", "label": "P", "type": kind}, **api_server.sdk)
    asset = connected.upload(jpeg(), folder="assets", filename="a.jpg")
    with pytest.raises(Rejected, match="people"):
        connected.set_metadata(asset.asset_id, "people", names)


def test_a_text_field_holds_one_name(connected: CloudinaryLibrary, api_server: ApiServer) -> None:
    field = {"external_id": "people", "label": "P", "type": "string"}
    api.add_metadata_field(field, **api_server.sdk)
    asset = connected.upload(jpeg(), folder="assets", filename="a.jpg")
    connected.set_metadata(asset.asset_id, "people", ["Ann"])
    assert people(connected, asset) == "Ann"


def test_a_field_that_another_worker_just_made_is_used(
    stage: Stage, library: CloudinaryLibrary
) -> None:
    entry = {"external_id": "id_bob", "value": "Bob"}
    field = {"external_id": "people", "type": "set", "datasource": {"values": [entry]}}
    taken = failure(400, "external id people already exists")
    made = Reply(body={"metadata_fields": [field]})
    there = Reply(body={"public_ids": ["a"]})
    stage.script = [described("a"), Reply(body={"metadata_fields": []}), taken, made, there]
    library.asset(ID)
    library.set_metadata(ID, "people", ["Bob"])
    assert 'people=["id_bob"]' in stage.asked[4].body


def test_several_workers_make_one_field(api_server: ApiServer) -> None:
    libraries = [connected_to(api_server, account_of(api_server)) for _ in range(4)]
    assets = [
        library.upload(jpeg(), folder="assets", filename=f"{number}.jpg")
        for number, library in enumerate(libraries)
    ]

    def name(number: int) -> None:
        libraries[number].set_metadata(assets[number].asset_id, "people", [f"person {number}"])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(name, range(4)))
    found = [people(libraries[0], asset) for asset in assets]
    assert found == [[f"person {number}"] for number in range(4)]
