"""Notifications: what is told of a change, and what is read from one."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelabel.adapters.store.library import transaction
from facelabel.cloudinary import notifications
from facelabel.core.jobs import JobKind, JobRequest
from facelabel.core.model import Asset
from facelabel.core.names import ERROR_KEY
from facelabel.errors import Rejected
from facelabel.media.types import AssetChange, Change, ChangeKind, Origin

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from facelabel.core.model import Json

AT = 1_719_310_887.272126
JEANS = Asset(
    "be52027d24d3349b0e105c38f00ec597",
    "training/jeans",
    "training",
    1719310887,
    "png",
    147954,
    "a" * 64,
    520,
    693,
    AT,
    "jeans-1421398.png",
    tags=("faceLabel:Ann",),
)
VIDEO = replace(JEANS, asset_id="0" * 32, resource_type="video")
ORIGIN = Origin("614335564976464", "api", "0cc3")
NOTE: Json = {
    "notification_context": {
        "triggered_at": "2024-06-25T10:21:27.272126Z",
        "triggered_by": {"source": "api", "id": "614335564976464"},
    },
    "signature_key": "oldest",
}
REQUEST: Json = {"timestamp": "2024-06-25T10:21:27+00:00", "request_id": "0cc3"}
IDENTITY: Json = {"asset_id": JEANS.asset_id, "resource_type": "image", "type": "upload"}
NAMED: Json = {**IDENTITY, "public_id": "training/jeans"}


def told(
    kind: ChangeKind,
    *pairs: tuple[Asset | None, Asset | None],
    fixed_folders: bool = False,
    from_path: str = "",
    to_path: str = "",
) -> list[dict[str, Any]]:
    assets = tuple(AssetChange(*pair) for pair in pairs)
    change = Change(kind, assets, from_path, to_path, ORIGIN)
    return notifications.build(
        change,
        cloud_name="local",
        base_url="http://127.0.0.1:8765",
        api_key="oldest",
        at=AT,
        fixed_folders=fixed_folders,
    )


def asked(content: object) -> list[JobRequest]:
    return list(notifications.read(json.dumps(content).encode()).requests)


def looks(*asset_ids: str) -> list[JobRequest]:
    return [JobRequest(JobKind.ASSET, asset_id) for asset_id in asset_ids]


class TestTelling:
    """Bodies, by type, as in the samples of Cloudinary's documentation."""

    def test_an_upload(self) -> None:
        assert told(ChangeKind.UPLOAD, (None, JEANS)) == [
            {
                "notification_type": "upload",
                **REQUEST,
                "asset_id": "be52027d24d3349b0e105c38f00ec597",
                "public_id": "training/jeans",
                "version": 1719310887,
                "version_id": hashlib.md5(
                    b"be52027d24d3349b0e105c38f00ec597/1719310887"
                ).hexdigest(),
                "width": 520,
                "height": 693,
                "format": "png",
                "resource_type": "image",
                "created_at": "2024-06-25T10:21:27Z",
                "tags": ["faceLabel:Ann"],
                "bytes": 147954,
                "type": "upload",
                "etag": "a" * 32,
                "placeholder": False,
                "url": "http://127.0.0.1:8765/local/image/upload/v1719310887/training/jeans.png",
                "secure_url": "http://127.0.0.1:8765/local/image/upload/v1719310887/training/jeans.png",
                "asset_folder": "training",
                "display_name": "jeans",
                "original_filename": "jeans-1421398",
                "api_key": "614335564976464",
                **NOTE,
            }
        ]

    def test_an_upload_in_fixed_folder_mode(self) -> None:
        [body] = told(ChangeKind.UPLOAD, (None, JEANS), fixed_folders=True)
        assert body["folder"] == "training"
        assert not {"asset_folder", "display_name"} & body.keys()

    @pytest.mark.parametrize("kind", [ChangeKind.RENAME, ChangeKind.DELETE])
    def test_a_place_in_fixed_folder_mode(self, kind: ChangeKind) -> None:
        [body] = told(kind, (JEANS, JEANS), fixed_folders=True)
        [entry] = body.get("resources", [body])
        assert entry["folder"] == "training"
        assert not {"asset_folder", "display_name"} & entry.keys()

    def test_each_upload_is_told_alone(self) -> None:
        bodies = told(ChangeKind.UPLOAD, (None, JEANS), (None, VIDEO))
        assert [body["asset_id"] for body in bodies] == [JEANS.asset_id, VIDEO.asset_id]

    def test_context_and_metadata_of_an_upload_where_there_are_any(self) -> None:
        full = replace(JEANS, context={"caption": "Hi"}, metadata={"people": ["Ann"]})
        [body] = told(ChangeKind.UPLOAD, (None, full))
        assert (body["context"], body["metadata"]) == (
            {"custom": {"caption": "Hi"}},
            {"people": ["Ann"]},
        )
        [bare] = told(ChangeKind.UPLOAD, (None, JEANS))
        assert not {"context", "metadata"} & bare.keys()

    def test_tags(self) -> None:
        after = replace(JEANS, tags=("b", "c"))
        before = replace(JEANS, tags=("a", "b"))
        assert told(ChangeKind.TAGS, (before, after), (before, VIDEO)) == [
            {
                "notification_type": "resource_tags_changed",
                "source": "api",
                "resources": [
                    {**NAMED, "added": ["c"], "removed": ["a"], "updated": []},
                    {
                        **NAMED,
                        "asset_id": VIDEO.asset_id,
                        "resource_type": "video",
                        "added": ["faceLabel:Ann"],
                        "removed": ["a", "b"],
                        "updated": [],
                    },
                ],
                **NOTE,
            }
        ]

    def test_context(self) -> None:
        before = replace(JEANS, context={"same": "1", "changed": "1", "gone": "1"})
        after = replace(JEANS, context={"same": "1", "changed": "2", "new": "3"})
        assert told(ChangeKind.CONTEXT, (before, after)) == [
            {
                "notification_type": "resource_context_changed",
                "resources": {
                    "training/jeans": {
                        **IDENTITY,
                        "added": [{"name": "new", "value": "3"}],
                        "removed": [{"name": "gone", "value": "1"}],
                        "updated": [{"name": "changed", "value": "2"}],
                    }
                },
                **NOTE,
            }
        ]

    def test_metadata(self) -> None:
        after = replace(JEANS, metadata={"people": ["Ann"]})
        assert told(ChangeKind.METADATA, (JEANS, after)) == [
            {
                "notification_type": "resource_metadata_changed",
                "resources": {
                    "training/jeans": {
                        **IDENTITY,
                        "previous_metadata": {},
                        "new_metadata": {"people": ["Ann"]},
                    }
                },
                **NOTE,
            }
        ]

    def test_a_display_name(self) -> None:
        after = replace(JEANS, display_name="Blue jeans")
        assert told(ChangeKind.DISPLAY_NAME, (JEANS, after)) == [
            {
                "notification_type": "resource_display_name_changed",
                **REQUEST,
                "source": "api",
                "resources": {
                    "training/jeans": {
                        **NAMED,
                        "asset_folder": "training",
                        "previous_display_name": "jeans",
                        "new_display_name": "Blue jeans",
                    }
                },
                **NOTE,
            }
        ]

    def test_a_rename(self) -> None:
        assert told(ChangeKind.RENAME, (JEANS, replace(JEANS, public_id="trousers"))) == [
            {
                "notification_type": "rename",
                **REQUEST,
                **IDENTITY,
                "asset_folder": "training",
                "display_name": "trousers",
                "from_public_id": "training/jeans",
                "to_public_id": "trousers",
                **NOTE,
            }
        ]

    def test_a_move(self) -> None:
        assert told(ChangeKind.MOVE, (JEANS, replace(JEANS, folder="assets"))) == [
            {
                "notification_type": "move",
                "source": "api",
                "resources": {
                    "training/jeans": {
                        **IDENTITY,
                        "from_asset_folder": "training",
                        "to_asset_folder": "assets",
                        "display_name": "jeans",
                    }
                },
                **NOTE,
            }
        ]

    def test_a_bulk_delete_is_told_once(self) -> None:
        [body] = told(ChangeKind.DELETE, (JEANS, None), (VIDEO, None))
        assert body == {
            "notification_type": "delete",
            "resources": [
                {
                    **NAMED,
                    **kind,
                    "version": 1719310887,
                    "asset_folder": "training",
                    "display_name": "jeans",
                }
                for kind in ({}, {"asset_id": VIDEO.asset_id, "resource_type": "video"})
            ],
            **NOTE,
        }

    def test_what_is_about_very_many_assets_is_told_in_parts_that_are_read(self) -> None:
        gone = [(replace(JEANS, asset_id=f"{n:032x}"), None) for n in range(2_001)]
        bodies = told(ChangeKind.DELETE, *gone)
        assert [len(body["resources"]) for body in bodies] == [1000, 1000, 1]
        requests = [request.key for body in bodies for request in asked(body)]
        assert requests == [asset.asset_id for asset, _ in gone]

    def test_a_folder_that_moved(self) -> None:
        [body] = told(ChangeKind.MOVE_FOLDER, from_path="a/b", to_path="c")
        paths = {"source": "api", "from_path": "a/b", "to_path": "c", "status": "success"}
        assert body == {"notification_type": "move_or_rename_asset_folder", **paths, **NOTE}

    def test_a_folder_that_moved_with_very_many_assets_is_told_once(self) -> None:
        inside = [(JEANS, replace(JEANS, asset_id=f"{n:032x}")) for n in range(2_001)]
        [body] = told(ChangeKind.MOVE_FOLDER, *inside, from_path="a/b", to_path="c")
        assert body == told(ChangeKind.MOVE_FOLDER, from_path="a/b", to_path="c")[0]

    @pytest.mark.parametrize(
        ("kind", "made", "gone"),
        [(ChangeKind.CREATE_FOLDER, "a/b", ""), (ChangeKind.DELETE_FOLDER, "", "a/b")],
    )
    def test_a_folder_made_or_deleted(self, kind: ChangeKind, made: str, gone: str) -> None:
        [body] = told(kind, to_path=made, from_path=gone)
        folder = {"source": "api", "folder_path": "a/b", "folder_name": "b"}
        assert body == {"notification_type": str(kind), **folder, **NOTE}

    @pytest.mark.parametrize(
        "kind",
        [ChangeKind.CONTEXT, ChangeKind.METADATA, ChangeKind.MOVE, ChangeKind.DISPLAY_NAME],
    )
    def test_what_shares_a_public_id_does_not_get_lost(self, kind: ChangeKind) -> None:
        private = replace(JEANS, asset_id="1" * 32, type="private")
        pairs = [(asset, asset) for asset in (JEANS, VIDEO, private)]
        found = [
            entry["asset_id"] for body in told(kind, *pairs) for entry in body["resources"].values()
        ]
        assert found == [JEANS.asset_id, VIDEO.asset_id, private.asset_id]


#: Assets as they may be before or after a change: whatever a job may depend on differs.
ASSETS = st.builds(
    replace,
    st.just(JEANS),
    resource_type=st.sampled_from(["image", "video", "raw"]),
    type=st.sampled_from(["upload", "private", "authenticated"]),
    public_id=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=255),
    folder=st.sampled_from(["", "training", "a/b"]),
    tags=st.lists(st.sampled_from(["a", "b", "faceLabel:Ann", "ñ"]), unique=True).map(tuple),
    display_name=st.sampled_from(["", "Blue jeans"]),
)
#: One asset before and after; the name that it has in the end is no other's.
PAIRS = st.lists(
    st.tuples(st.none() | ASSETS, ASSETS) | st.tuples(ASSETS, st.none()),
    max_size=5,
    unique_by=lambda pair: _name(pair[1] or pair[0] or JEANS),
)


def _name(asset: Asset) -> tuple[str, str, str]:
    return asset.public_id, asset.resource_type, asset.type


def _named(pairs: Sequence[tuple[Asset | None, Asset | None]]) -> tuple[AssetChange, ...]:
    """Pairs of one and the same asset, each pair of another."""
    return tuple(
        AssetChange(*(one and replace(one, asset_id=f"{number:032x}") for one in pair))
        for number, pair in enumerate(pairs)
    )


def _without_keys_of_tags(requests: Iterable[JobRequest]) -> list[tuple[JobKind, str, Json]]:
    """What is asked for, in an order; a change of tags is a job of its own, however it is named."""
    named = ((one.kind, one.key, one.payload) for one in requests)
    plain = ((k, "" if k is JobKind.TAGS else key, payload) for k, key, payload in named)
    return sorted(plain, key=repr)


class TestRoundTrip:
    """What we tell is what we read: the local library takes the way of the real one."""

    @pytest.mark.parametrize("kind", ChangeKind)
    @given(pairs=PAIRS, fixed_folders=st.booleans())
    def test_the_library_asks_for_what_its_notifications_ask_for(
        self,
        kind: ChangeKind,
        pairs: list[tuple[Asset | None, Asset | None]],
        *,
        fixed_folders: bool,
    ) -> None:
        change = Change(kind, _named(pairs), "a", "b/c", ORIGIN)
        bodies = notifications.build(
            change, cloud_name="local", base_url="http://127.0.0.1:8765", api_key="oldest", at=AT,
            fixed_folders=fixed_folders,
        )  # fmt: skip
        read = [request for body in bodies for request in asked(body)]
        direct = [*transaction.requests(change, "this change")]
        assert _without_keys_of_tags(direct) == _without_keys_of_tags(read)
        assert len({(one.kind, one.key) for one in direct}) == len(direct)

    def test_no_two_changes_of_tags_are_one_job(self) -> None:
        change = Change(ChangeKind.TAGS, _named([(JEANS, replace(JEANS, tags=()))] * 2))
        names = {one.key for name in ("1", "2") for one in transaction.requests(change, name)}
        assert len(names) == 4

    @pytest.mark.parametrize(
        "kind",
        [
            ChangeKind.UPLOAD, ChangeKind.CONTEXT, ChangeKind.METADATA, ChangeKind.RENAME,
            ChangeKind.MOVE, ChangeKind.DISPLAY_NAME,
        ],
    )  # fmt: skip
    def test_a_changed_image_is_looked_at(self, kind: ChangeKind) -> None:
        requests = [request for body in told(kind, (JEANS, JEANS)) for request in asked(body)]
        assert requests == looks(JEANS.asset_id)

    @pytest.mark.parametrize("reason", [{}, {ERROR_KEY: "no face"}])
    def test_why_a_picture_was_refused_is_no_reason_to_look_again(
        self, reason: dict[str, str]
    ) -> None:
        """We wrote it ourselves, after we had looked; with another change it is looked at."""
        refused = replace(JEANS, context={"caption": "Hi", ERROR_KEY: "two faces"})
        now = replace(JEANS, context={"caption": "Hi", **reason})
        other = replace(JEANS, context={"caption": "Ho", **reason})
        for after, wanted in ((now, []), (other, looks(JEANS.asset_id))):
            [body] = told(ChangeKind.CONTEXT, (refused, after))
            change = Change(ChangeKind.CONTEXT, (AssetChange(refused, after),))
            assert asked(body) == [*transaction.requests(change, "this change")] == wanted

    def test_every_deleted_image_is_looked_at(self) -> None:
        other = replace(JEANS, asset_id="1" * 32)
        [body] = told(ChangeKind.DELETE, (JEANS, None), (other, None))
        assert asked(body) == looks(JEANS.asset_id, other.asset_id)

    def test_changed_tags_are_passed_on(self) -> None:
        [body] = told(ChangeKind.TAGS, (replace(JEANS, tags=("a",)), replace(JEANS, tags=("b",))))
        digest = hashlib.sha256(json.dumps(body).encode()).hexdigest()
        payload: Json = {"asset_id": JEANS.asset_id, "added": ["b"], "removed": ["a"]}
        assert asked(body) == [JobRequest(JobKind.TAGS, f"{digest}:0", payload)]

    def test_a_moved_folder_is_looked_through(self) -> None:
        [body] = told(ChangeKind.MOVE_FOLDER, from_path="a", to_path="b/c")
        assert asked(body) == [JobRequest(JobKind.FOLDER, "b/c")]

    @pytest.mark.parametrize("kind", [ChangeKind.CREATE_FOLDER, ChangeKind.DELETE_FOLDER])
    def test_an_empty_folder_concerns_nobody(self, kind: ChangeKind) -> None:
        [body] = told(kind, to_path="a")
        assert asked(body) == []

    def test_videos_concern_nobody(self) -> None:
        for kind in ChangeKind:
            for body in told(kind, (VIDEO, VIDEO)):
                assert asked(body) == []


class TestReading:
    """Other people's notifications."""

    def test_the_digest_is_that_of_the_raw_body(self) -> None:
        one = notifications.read(b'{"notification_type":"eager"}')
        other = notifications.read(b'{"notification_type": "eager"}')
        assert one.digest == hashlib.sha256(b'{"notification_type":"eager"}').hexdigest()
        assert one.digest != other.digest

    @pytest.mark.parametrize(
        "kind",
        ["eager", "create_folder", "delete_folder", "info", "report", "error", "", "new in 2031"],
    )
    def test_types_that_do_not_concern_us(self, kind: str) -> None:
        assert asked({"notification_type": kind, "asset_id": "a", "public_id": "b"}) == []

    @pytest.mark.parametrize("kind", ["moderation", "restore_asset_version", "upload", "explicit"])
    def test_types_about_one_asset(self, kind: str) -> None:
        assert asked({"notification_type": kind, "asset_id": "a", "new": {"x": 1}}) == looks("a")

    @pytest.mark.parametrize("kind", ["resource_context_changed", "resource_metadata_changed"])
    def test_both_shapes_of_resources(self, kind: str) -> None:
        as_map = {"one": {"asset_id": "a"}, "two": {"asset_id": "b", "added": {"k": "v"}}}
        as_list = [{"public_id": "one", "asset_id": "a"}, {"asset_id": "b", "added": ["k"]}]
        for resources in (as_map, as_list):
            assert asked({"notification_type": kind, "resources": resources}) == looks("a", "b")

    def test_both_shapes_of_changed_tags(self) -> None:
        entry = {"asset_id": "a", "added": ["x"], "updated": ["y"]}
        for resources in ([entry], {"one": entry}):
            content = {"notification_type": "resource_tags_changed", "resources": resources}
            [request] = asked(content)
            assert request.kind is JobKind.TAGS
            assert request.payload == {"asset_id": "a", "added": ["x", "y"], "removed": []}

    def test_changed_tags_that_are_not_said(self) -> None:
        content = {"notification_type": "resource_tags_changed", "resources": [{"asset_id": "a"}]}
        assert asked(content) == looks("a")

    @pytest.mark.parametrize(
        "content",
        [
            {"notification_type": "upload", "public_id": "p"},
            {"notification_type": "rename", "from_public_id": "o", "to_public_id": "p"},
            {"notification_type": "rename", "public_id": "o", "to_public_id": "p"},
            {"notification_type": "move", "resources": {"key": {"public_id": "p"}}},
            {"notification_type": "delete", "resources": [{"public_id": "p", "asset_id": None}]},
            {"notification_type": "move", "resources": {"p": {}}},
            {"notification_type": "resource_tags_changed", "resources": {"p": {"added": ["x"]}}},
        ],
    )
    def test_an_asset_without_its_id_is_found_by_name(self, content: Json) -> None:
        assert asked(content) == [JobRequest(JobKind.FIND, "p")]

    def test_one_job_for_an_asset_that_is_named_twice(self) -> None:
        twice = [{"asset_id": "a"}, {"asset_id": "b"}, {"asset_id": "a"}]
        assert asked({"notification_type": "delete", "resources": twice}) == looks("a", "b")

    @pytest.mark.parametrize("path", [None, "", "/"])
    def test_a_folder_that_moved_nowhere(self, path: str | None) -> None:
        content = {"notification_type": "move_or_rename_asset_folder", "to_path": path}
        assert asked(content) == []

    def test_raw_files_are_left_out(self) -> None:
        resources = [{"asset_id": "a", "resource_type": "raw"}, {"asset_id": "b"}]
        assert asked({"notification_type": "delete", "resources": resources}) == looks("b")

    def test_a_template_is_named_as_the_cause(self) -> None:
        with pytest.raises(Rejected, match="payload_template"):
            asked({"text": "somebody uploaded a file"})

    @pytest.mark.parametrize(
        "body",
        [
            b"", b"null", b"[]", b"3", b'"upload"', b"{", b"\xff\xfe", b"\0" * 100, b"[" * 100_000,
            b'{"notification_type":' + b"9" * 5_000 + b"}",
            b'{"notification_type": 3}', b'{"notification_type": null}',
            b'{"notification_type":"upload","asset_id":7}',
            b'{"notification_type":"upload","asset_id":["a"]}',
            b'{"notification_type":"upload","asset_id":"a\\u0000"}',
            b'{"notification_type":"upload","asset_id":"\\ud800"}',
            b'{"notification_type":"upload","asset_id":"' + b"a" * 2_000 + b'"}',
            b'{"notification_type":"upload","asset_id":"a","resource_type":{}}',
            b'{"notification_type":"delete","resources":"all"}',
            b'{"notification_type":"delete","resources":[null]}',
            b'{"notification_type":"move","resources":{"p":"q"}}',
            b'{"notification_type":"resource_tags_changed","resources":[{"added":"x"}]}',
            b'{"notification_type":"resource_tags_changed","resources":[{"removed":[1]}]}',
            b'{"notification_type":"move_or_rename_asset_folder","to_path":[]}',
        ],
        ids=lambda body: repr(body[:60]),
    )  # fmt: skip
    def test_nonsense(self, body: bytes) -> None:
        with pytest.raises(Rejected):
            notifications.read(body)

    def test_limits(self) -> None:
        most = [{"asset_id": str(n)} for n in range(notifications.MAX_RESOURCES)]
        assert len(asked({"notification_type": "delete", "resources": most})) == len(most)
        with pytest.raises(Rejected, match="10,000"):
            asked({"notification_type": "delete", "resources": [*most, {}]})
        padding = b" " * notifications.MAX_BODY
        with pytest.raises(Rejected, match="larger"):
            notifications.read(b'{"notification_type":"eager"}' + padding)

    @pytest.mark.parametrize(
        "body",
        [
            b'{"notification_type":"delete","resources":"ann@example.com"}',
            b'{"triggered_by":{"id":"ann@example.com"}}',
            b'{"notification_type":"upload","asset_id":["ann@example.com"]}',
            b'{"id":"ann@example.com',
        ],
    )
    def test_no_error_repeats_who_triggered_it(self, body: bytes) -> None:
        with pytest.raises(Rejected) as refusal:
            notifications.read(body)
        chain = [refusal.value, refusal.value.__cause__]
        assert "ann@" not in "".join(map(repr, chain))
        assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


# ---- fuzz

names = st.sampled_from(
    ["asset_id", "public_id", "to_public_id", "resource_type", "added", "removed", "updated",
     "resources", "to_path", "notification_context", "x"]
)  # fmt: skip
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
trees: st.SearchStrategy[Any] = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | st.text(max_size=4), inner),
    max_leaves=20,
)
kinds = st.sampled_from([*map(str, ChangeKind), "moderation", "eager"]) | trees
bodies = st.fixed_dictionaries(
    {"notification_type": kinds}, optional={"resources": trees, "asset_id": trees, "to_path": trees}
)


def survives(body: bytes) -> None:
    """Nothing but Rejected; and every job that comes of it can be stored."""
    try:
        delivery = notifications.read(body)
    except Rejected:
        return
    assert len({(one.kind, one.key) for one in delivery.requests}) == len(delivery.requests)
    for request in delivery.requests:
        assert "\0" not in request.key
        assert request.key.encode()
        assert json.dumps(request.payload)


@given(content=bodies)
def test_json_of_about_the_right_shape(content: object) -> None:
    survives(json.dumps(content).encode())


@given(body=st.binary(max_size=200))
def test_any_bytes_at_all(body: bytes) -> None:
    survives(body)


@given(content=bodies, at=st.integers(0, 2000), byte=st.integers(0, 255))
def test_one_byte_wrong(content: object, at: int, byte: int) -> None:
    body = bytearray(json.dumps(content).encode())
    body[at % len(body)] = byte
    survives(bytes(body))


def largest_body() -> bytes:
    tags = [f"tag{n}" for n in range(60)]
    resources = [{"asset_id": f"{n:032x}", "added": tags} for n in range(10_000)]
    content = {"notification_type": "resource_tags_changed", "resources": resources}
    body = json.dumps(content, separators=(",", ":")).encode()
    assert len(body) < notifications.MAX_BODY
    return body


def test_the_largest_body_is_read() -> None:
    assert len(notifications.read(largest_body()).requests) == 10_000


@pytest.mark.soak
def test_the_largest_body_is_read_in_bounded_time() -> None:
    body = largest_body()
    start = time.process_time()
    notifications.read(body)
    assert time.process_time() - start < 5
