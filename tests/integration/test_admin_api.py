"""The Admin API's view of assets, asked by the official SDK and by hand, over HTTP."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from cloudinary import api, exceptions, uploader
from PIL import Image
from tests import loopback

from facelabel.core.model import Box

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import httpx
    from tests.integration.conftest import ApiServer

    from facelabel.web.cloudinary_api.context import Context

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")  # the SDK's own connections


def picture(width: int = 8, height: int = 6, colour: str = "red") -> io.BytesIO:
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    file.seek(0)
    return file


@dataclass(frozen=True)
class Cloud:
    """A server, and the official SDK with its credentials."""

    server: ApiServer

    def upload(self, public_id: str, **more: object) -> dict[str, Any]:
        options = {**self.server.sdk, "public_id": public_id, **more}
        asset: dict[str, Any] = uploader.upload(picture(), **options)
        return asset

    def call(self, name: str, *args: object, **more: object) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(api, name)(*args, **{**self.server.sdk, **more})
        return answer


def names(answer: Mapping[str, Any]) -> list[str]:
    return [each["public_id"] for each in answer["resources"]]


@pytest.fixture
def cloud(api_server: ApiServer) -> Cloud:
    return Cloud(api_server)


@pytest.fixture
def client(cloud: Cloud) -> Iterator[httpx.Client]:
    """Whatever the SDKs would not send."""
    auth = (cloud.server.sdk["api_key"], cloud.server.sdk["api_secret"])
    with loopback.client(base_url=cloud.server.at(""), auth=auth) as client:
        yield client


# ---- the environment


def test_ping_and_config_and_what_is_stored(cloud: Cloud) -> None:
    cloud.upload("a")
    assert cloud.call("ping") == {"status": "ok"}
    assert cloud.call("config") == {"cloud_name": "local"}
    assert cloud.call("config", settings=True)["settings"] == {"folder_mode": "dynamic"}
    usage = cloud.call("usage")
    assert usage["resources"] == 1
    assert usage["storage"]["usage"] == len(picture().getvalue())
    assert cloud.call("resource_types")["resource_types"] == ["image", "raw", "video"]


def test_who_has_no_key_is_told_nothing(cloud: Cloud) -> None:
    with pytest.raises(exceptions.AuthorizationRequired):
        cloud.call("ping", api_secret="wrong")
    for path in ("ping", "resources/image", "triggers", "metadata_fields", "streaming_profiles"):
        assert loopback.get(cloud.server.at(path)).status_code == 401


def test_every_answer_says_how_many_calls_are_left(cloud: Cloud) -> None:
    answer = api.ping(**cloud.server.sdk)
    assert answer.rate_limit_remaining > 0
    assert answer.request_id


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "streaming_profiles"),
        ("POST", "streaming_profiles/hd"),
        ("GET", "upload_mappings"),
        ("POST", "resources/visual_search"),
        ("POST", "resources/related_assets/image/upload/a"),
        ("POST", "resources/image/publish_resources"),
        ("POST", "resources/image/upload/update_access_mode"),
    ],
)
def test_what_is_not_here_is_said_so(client: httpx.Client, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == 400
    assert "not supported by the local library" in answer.json()["error"]["message"]
    assert answer.headers["x-cld-error"] == answer.json()["error"]["message"]


# ---- listing


def test_an_entry_of_a_list(cloud: Cloud) -> None:
    made = cloud.upload("a/b", tags=["t"], context={"k": "v"}, asset_folder="f")
    (entry,) = cloud.call("resources")["resources"]
    assert entry == {
        "asset_id": made["asset_id"],
        "public_id": "a/b",
        "format": "png",
        "version": made["version"],
        "resource_type": "image",
        "type": "upload",
        "created_at": made["created_at"],
        "bytes": made["bytes"],
        "width": 8,
        "height": 6,
        "asset_folder": "f",
        "display_name": "b",
        "url": made["url"],
        "secure_url": made["secure_url"],
    }


def test_tags_context_and_metadata_are_there_for_who_asks(cloud: Cloud) -> None:
    cloud.upload("a", tags=["x", "y"], context={"k": "v"})
    (entry,) = cloud.call("resources", tags=True, context=True, metadata=True)["resources"]
    assert entry["tags"] == ["x", "y"]
    assert entry["context"] == {"custom": {"k": "v"}}
    assert entry["metadata"] == {}


def test_only_some_fields(cloud: Cloud) -> None:
    cloud.upload("a", tags=["x"])
    (entry,) = cloud.call("resources", fields=["tags", "secure_url"])["resources"]
    assert set(entry) == {"public_id", "asset_id", "asset_folder", "tags", "secure_url"}


def test_lists_by_prefix_ids_tag_context_and_folder(cloud: Cloud) -> None:
    one = cloud.upload("in/1", tags=["t/1"], context={"k": "1"}, asset_folder="f")
    two = cloud.upload("in/2", tags=["t"], context={"k": "2"}, asset_folder="f/g")
    cloud.upload("IN/3", type="private")
    found = {
        "prefix": cloud.call("resources", type="upload", prefix="in/"),
        "type": cloud.call("resources", type="private"),
        "tag": cloud.call("resources_by_tag", "t/1"),
        "key": cloud.call("resources_by_context", "k"),
        "value": cloud.call("resources_by_context", "k", "2"),
        "folder": cloud.call("resources_by_asset_folder", "f"),
        "ids": cloud.call("resources_by_ids", ["in/2", "gone"]),
        "assets": cloud.call("resources_by_asset_ids", [one["asset_id"], two["asset_id"]]),
        "raw": cloud.call("resources", resource_type="raw"),
    }
    assert {kind: sorted(names(answer)) for kind, answer in found.items()} == {
        "prefix": ["in/1", "in/2"],
        "type": ["IN/3"],
        "tag": ["in/1"],
        "key": ["in/1", "in/2"],
        "value": ["in/2"],
        "folder": ["in/1"],
        "ids": ["in/2"],
        "assets": ["in/1", "in/2"],
        "raw": [],
    }


def test_newest_first_unless_asked_otherwise(cloud: Cloud) -> None:
    for name in ("a", "b", "c"):
        cloud.upload(name)
    newest = names(cloud.call("resources"))
    assert names(cloud.call("resources", direction="asc")) == newest[::-1]
    assert newest[0] == "c"


def test_a_list_may_start_at_a_time(cloud: Cloud) -> None:
    cloud.upload("a")
    assert not names(cloud.call("resources", start_at="2020-01-01T00:00:00Z"))
    later = cloud.call("resources", start_at="2020-01-01T00:00:00Z", direction="asc")
    assert names(later) == ["a"]


def test_pages_neither_repeat_nor_lose_what_stays(cloud: Cloud) -> None:
    """While one reads, others upload and delete."""
    stays = {f"s{n}" for n in range(6)}
    for each in sorted(stays | {"gone1", "gone2"}):
        cloud.upload(each)
    seen: list[str] = []
    cursor, page = None, 0
    while page == 0 or cursor:
        answer = cloud.call("resources", max_results=2, next_cursor=cursor)
        seen += names(answer)
        cursor = answer.get("next_cursor")
        page += 1
        cloud.upload(f"new{page}")
        uploader.destroy(f"gone{page}", **cloud.server.sdk)
    assert stays <= set(seen)
    assert len(seen) == len(set(seen))


def test_moderation_is_decided_and_listed(cloud: Cloud) -> None:
    cloud.upload("a", moderation="manual")
    cloud.upload("b")
    assert names(cloud.call("resources_by_moderation", "manual", "pending")) == ["a"]
    updated = cloud.call("update", "a", moderation_status="approved")
    assert updated["moderation"] == [{"kind": "manual", "status": "approved"}]
    assert names(cloud.call("resources_by_moderation", "manual", "pending")) == []
    assert names(cloud.call("resources_by_moderation", "manual", "approved")) == ["a"]


# ---- one asset


def test_details_leave_out_what_is_empty(cloud: Cloud) -> None:
    cloud.upload("a")
    details = cloud.call("resource", "a")
    assert details["public_id"] == "a"
    assert details["derived"] == []
    assert not {"tags", "context", "metadata", "moderation", "coordinates"} & set(details)


def test_details_sort_tags_and_wrap_context(cloud: Cloud) -> None:
    made = cloud.upload("a", tags=["z", "b"], context={"k": "v"}, face_coordinates=[[1, 2, 3, 4]])
    details = cloud.call("resource_by_asset_id", made["asset_id"], coordinates=True, faces=True)
    assert details["tags"] == ["b", "z"]
    assert details["context"] == {"custom": {"k": "v"}}
    assert details["coordinates"] == {"faces": [[1, 2, 3, 4]]}
    assert details["faces"] == [[1, 2, 3, 4]]


def test_faces_nobody_gave_are_detected(
    context: Context, serve: Callable[[Context], ApiServer]
) -> None:
    def detect(_: bytes) -> Sequence[Box]:
        return [Box(0.25, 0.5, 0.5, 0.25)]

    cloud = Cloud(serve(replace(context, detect=detect)))
    uploader.upload(picture(100, 40), public_id="a", **cloud.server.sdk)
    assert cloud.call("resource", "a", faces=True)["faces"] == [[25, 20, 50, 10]]
    assert "faces" not in cloud.call("resource", "a")


@pytest.mark.parametrize("name", ["a/b/c", "a b", "Zoë", "search", "by_asset_ids", "a,b;c=d"])
def test_any_name_is_found_however_it_is_escaped(
    cloud: Cloud, client: httpx.Client, name: str
) -> None:
    """Python's SDK leaves slashes as they are, Node's escapes them."""
    cloud.upload(name)
    assert cloud.call("resource", name)["public_id"] == name
    escaped = "".join(f"%{byte:02X}" for byte in name.encode())
    assert client.get(f"resources/image/upload/{escaped}").json()["public_id"] == name


@pytest.mark.parametrize("name", ["gone", "a/../b", "..", "%25", "\N{SNOWMAN}" * 300])
def test_what_is_not_there_is_not_found(client: httpx.Client, name: str) -> None:
    path = "".join(f"%{byte:02X}" for byte in name.encode())
    for answer in (
        client.get(f"resources/image/upload/{path}"),
        client.get(f"resources/{path}"),
        client.post(f"resources/image/upload/{path}", json={"tags": "a"}),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"]["message"].startswith("Resource not found")


def test_an_update_replaces_tags_and_leaves_the_rest(cloud: Cloud) -> None:
    cloud.upload("a", tags=["old"], context={"k": "v"}, asset_folder="f")
    updated = cloud.call("update", "a", tags=["x", "y"], display_name="Title")
    assert (updated["tags"], updated["display_name"]) == (["x", "y"], "Title")
    assert (updated["context"], updated["asset_folder"]) == ({"custom": {"k": "v"}}, "f")
    updated = cloud.call("update", "a", context={"l": "w|=x"}, asset_folder="g", tags=[])
    assert updated["context"] == {"custom": {"l": "w|=x"}}
    assert updated["asset_folder"] == "g"
    assert "tags" not in updated


def test_an_update_as_node_sends_it(cloud: Cloud, client: httpx.Client) -> None:
    cloud.upload("people/ann")
    answer = client.post(
        "resources/image/upload/people%2Fann",
        data={"tags": "a,b", "context": "k=v", "face_coordinates": "1,2,3,4"},
    ).json()
    assert answer["tags"] == ["a", "b"]
    details = client.get("resources/image/upload/people%2Fann?coordinates=true").json()
    assert details["coordinates"] == {"faces": [[1, 2, 3, 4]]}


@pytest.mark.parametrize("name", ["ocr", "detection", "auto_tagging", "raw_convert"])
def test_add_ons_are_refused(cloud: Cloud, name: str) -> None:
    cloud.upload("a")
    with pytest.raises(exceptions.BadRequest, match="Illegal value x for"):
        cloud.call("update", "a", **{name: "x"})


# ---- deleting


def test_deletion_by_name_says_what_became_of_each(cloud: Cloud) -> None:
    cloud.upload("a", eager=[{"width": 4, "crop": "scale"}])
    assert cloud.call("delete_resources", ["a", "gone"]) == {
        "deleted": {"a": "deleted", "gone": "not_found"},
        "deleted_counts": {"a": {"original": 1, "derived": 1}},
        "partial": False,
    }
    with pytest.raises(exceptions.NotFound):
        cloud.call("resource", "a")


def test_deletion_finds_a_name_however_it_was_typed(cloud: Cloud) -> None:
    cloud.upload("Zoe\N{COMBINING DIAERESIS}")
    typed = "Zoe\N{COMBINING DIAERESIS}"
    assert cloud.call("delete_resources", [typed])["deleted"] == {typed: "deleted"}


def test_deletion_by_prefix_tag_asset_id_and_all(cloud: Cloud) -> None:
    cloud.upload("in/1")
    cloud.upload("IN/2", tags=["t"])
    three = cloud.upload("3")
    cloud.upload("4")
    cloud.upload("5", type="private")
    assert set(cloud.call("delete_resources_by_prefix", "in/")["deleted"]) == {"in/1"}
    assert set(cloud.call("delete_resources_by_tag", "t")["deleted"]) == {"IN/2"}
    by_id = cloud.call("delete_resources_by_asset_ids", [three["asset_id"], "gone"])
    assert by_id["deleted"] == {three["asset_id"]: "deleted", "gone": "not_found"}
    assert set(cloud.call("delete_all_resources")["deleted"]) == {"4"}
    assert names(cloud.call("resources")) == ["5"]


def test_derived_images_may_go_alone(cloud: Cloud) -> None:
    cloud.upload("a", eager=[{"width": 4, "crop": "scale"}, {"width": 5, "crop": "scale"}])
    cloud.call("delete_derived_by_transformation", ["a"], {"width": 4, "crop": "scale"})
    (left,) = cloud.call("resource", "a")["derived"]
    assert left["transformation"] == "c_scale,w_5"
    counts = cloud.call("delete_resources", ["a"], keep_original=True)["deleted_counts"]
    assert counts == {"a": {"original": 0, "derived": 1}}
    assert cloud.call("resource", "a")["derived"] == []


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"all": True, "prefix": "a"},
        {"public_ids": ["a"], "all": "true"},
        {"public_ids": ["a"], "transformations": ["w_1"]},
        {"public_ids": [str(n) for n in range(101)]},
        {"public_ids": {"a": 1}},
        {"all": "perhaps"},
    ],
)
def test_a_deletion_that_is_not_clear_deletes_nothing(
    cloud: Cloud, client: httpx.Client, params: dict[str, Any]
) -> None:
    cloud.upload("a")
    answer = client.request("DELETE", "resources/image/upload", json=params)
    assert answer.status_code == 400
    assert names(cloud.call("resources")) == ["a"]


def test_what_had_a_backup_comes_back(cloud: Cloud) -> None:
    made = cloud.upload("a", backup=True, tags=["t"])
    cloud.upload("b")
    cloud.call("delete_resources", ["a", "b"])
    gone = cloud.call("resource", "a")
    assert (gone["bytes"], gone["placeholder"]) == (0, True)
    back = cloud.call("restore", ["a", "b"])
    assert back["a"]["asset_id"] == made["asset_id"]
    assert back["b"] == {"error": "no_backup"}
    assert cloud.call("resource", "a")["tags"] == ["t"]


def test_a_name_taken_meanwhile_is_not_restored_over(cloud: Cloud) -> None:
    cloud.upload("a", backup=True)
    cloud.call("delete_resources", ["a"])
    new = cloud.upload("a")
    assert cloud.call("restore", ["a"])["a"] == {"error": "already_exists"}
    assert cloud.call("resource", "a")["asset_id"] == new["asset_id"]


# ---- tags


def test_tags_by_the_alphabet_in_pages(cloud: Cloud) -> None:
    cloud.upload("a", tags=["c", "a", "b", "ab"])
    assert cloud.call("tags")["tags"] == ["a", "ab", "b", "c"]
    assert cloud.call("tags", prefix="a")["tags"] == ["a", "ab"]
    first = cloud.call("tags", max_results=3)
    uploader.remove_tag("b", ["a"], **cloud.server.sdk)
    assert cloud.call("tags", max_results=3, next_cursor=first["next_cursor"])["tags"] == ["c"]
