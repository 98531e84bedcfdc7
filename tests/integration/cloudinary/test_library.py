"""Pictures on Cloudinary where answers are lost, short or odd."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from cloudinary.utils import encode_context
from hypothesis import given
from hypothesis import strategies as st
from tests.integration.cloudinary.conftest import CUT, ID, Reply, Stage, described, failure

from facelabel.adapters.cloudinary.library import CloudinaryLibrary
from facelabel.adapters.cloudinary.uploads import checked_context
from facelabel.cloudinary import params
from facelabel.errors import AlreadyExists, NotFound, Rejected, Unavailable

if TYPE_CHECKING:
    from facelabel.adapters.cloudinary.client import Client
    from facelabel.testing import ManualClock


def test_a_rename_whose_answer_was_lost_succeeds(stage: Stage, library: CloudinaryLibrary) -> None:
    gone = failure(404, "Resource not found - training/ann")
    stage.script = [described(), CUT, gone, described("training/bea")]
    assert library.rename(ID, "training/bea").public_id == "training/bea"


def test_a_name_that_somebody_else_has_is_not_taken_for_ours(
    stage: Stage, library: CloudinaryLibrary
) -> None:
    stage.script = [described(), failure(400, "training/bea already exists"), described()]
    with pytest.raises(AlreadyExists):
        library.rename(ID, "training/bea")


def test_an_upload_whose_answer_was_lost_is_one_asset(
    stage: Stage, library: CloudinaryLibrary
) -> None:
    data = b"picture"
    etag = hashlib.md5(data).hexdigest()
    stage.script = [CUT, described("a/x", existing=True, etag=etag, asset_folder="a", tags=["t"])]
    asset = library.upload(data, folder="a", filename="x.jpg", tags=["t"])
    assert asset.asset_id == ID
    assert stage.paths == ["image/upload"] * 2


def test_tags_go_to_the_new_name_of_an_asset_just_renamed(
    stage: Stage, library: CloudinaryLibrary
) -> None:
    found = Reply(body={"public_ids": ["b"]})
    stage.script = [described("a"), Reply(body={"public_ids": []}), described("b"), found]
    library.asset(ID)
    library.add_tags(ID, ["t"])
    assert [part in stage.asked[-1].body for part in ("\r\nb\r\n", "\r\na\r\n")] == [True, False]


def test_an_asset_gone_in_between_is_not_found(stage: Stage, library: CloudinaryLibrary) -> None:
    nobody = Reply(body={"public_ids": []})
    stage.script = [described("a"), nobody, described("a"), nobody]
    library.asset(ID)
    with pytest.raises(NotFound):
        library.add_tags(ID, ["t"])


def test_a_public_id_is_trusted_for_a_minute(
    stage: Stage, library: CloudinaryLibrary, clock: ManualClock
) -> None:
    there = Reply(body={"public_ids": ["a"]})
    stage.script = [described("a"), there, described("a"), there]
    library.asset(ID)
    clock.sleep(59)
    library.add_tags(ID, ["t"])
    assert len(stage.asked) == 2
    clock.sleep(1)
    library.add_tags(ID, ["t"])
    assert len(stage.asked) == 4


def test_what_an_overwrite_clears_is_put_back(stage: Stage, library: CloudinaryLibrary) -> None:
    former = described(
        "a", existing=True, tags=["one", "two"], context={"custom": {"k": "v"}},
        metadata={"sku": "S1"}, original_filename="photo",
    )  # fmt: skip
    fields = Reply(body={"metadata_fields": [{"external_id": "sku", "type": "string"}]})
    stage.script = [former, fields, described("a", tags=["two"])]
    new = library.upload(b"other", public_id="a")
    assert (new.tags, new.context) == (("two", "one"), {"k": "v"})
    assert new.metadata == {"sku": "S1"}
    assert stage.paths[2:] == [
        f"image/{what}" for what in ("upload", "tags", "context", "metadata")
    ]
    assert 'filename="photo.jpg"' in stage.asked[2].body
    bodies = [request.body for request in stage.asked[3:]]
    assert ["\r\none\r\n" in bodies[0], "k=v" in bodies[1], "sku=S1" in bodies[2]] == [True] * 3
    assert "\r\ntwo\r\n" not in bodies[0]


def test_nothing_has_no_name(stage: Stage, library: CloudinaryLibrary) -> None:
    assert library.find("") is library.find(" ") is None
    assert stage.asked == []


def test_what_is_left_of_a_deleted_asset_is_no_asset(
    stage: Stage, library: CloudinaryLibrary
) -> None:
    stage.script = [described(placeholder=True)]
    assert library.asset(ID) is None


@pytest.mark.parametrize("raw", [{}, {"asset_id": None}, {"created_at": "yesterday"}])
def test_an_answer_in_another_form_is_not_believed(
    stage: Stage, library: CloudinaryLibrary, raw: dict[str, object]
) -> None:
    body = {"asset_id": ID, "public_id": "a", "version": "x", **raw}
    stage.script = [Reply(body=body)]
    with pytest.raises(Unavailable, match="describes"):
        library.asset(ID)


@pytest.mark.parametrize(
    ("settings", "folder"),
    [
        ({"folder_mode": "fixed"}, "by/id"),
        ({"folder_mode": "dynamic"}, "by folder"),
        ({}, "by folder"),
    ],
)
def test_the_account_says_once_what_folders_are(
    stage: Stage, client: Client, clock: ManualClock, settings: dict[str, str], folder: str
) -> None:
    library = CloudinaryLibrary(client, lambda _: b"", clock)
    asset = described("by/id/x", asset_folder="by folder")
    stage.script = [asset, Reply(body={"cloud_name": "demo", "settings": settings}), asset]
    for _ in range(2):
        found = library.asset(ID)
        assert found
        assert found.folder == folder
    assert stage.paths == [f"resources/{ID}", "config", f"resources/{ID}"]
    assert stage.asked[1].query == {"settings": ["true"]}


# ---- names, labels and limits


@pytest.mark.parametrize("tag", ["Smith, John", "", " ", "x" * 256, "a\nb", "a\0b", "\ud800"])
def test_a_tag_that_cloudinary_would_misread_is_not_sent(
    stage: Stage, library: CloudinaryLibrary, tag: str
) -> None:
    for change in (library.add_tags, library.remove_tags):
        with pytest.raises(Rejected, match="tag"):
            change(ID, ["fine", tag])
    with pytest.raises(Rejected, match="tag"):
        library.upload(b"x", filename="x.jpg", tags=[tag])
    assert stage.asked == []


@pytest.mark.parametrize("values", [{"k": "ends with \\"}, {"k\\": "v"}, {" ": "v"}])
def test_context_that_cloudinary_would_misread_is_not_sent(
    stage: Stage, library: CloudinaryLibrary, values: dict[str, str]
) -> None:
    with pytest.raises(Rejected):
        library.set_context(ID, values)
    assert stage.asked == []


@given(
    st.dictionaries(st.text(st.sampled_from('a=|\\,é "')), st.text(st.sampled_from('a=|\\,é "')))
)
def test_context_means_the_same_on_the_other_side(values: dict[str, str]) -> None:
    try:
        sent = encode_context(checked_context(values))
    except Rejected:
        assert any(key[-1:] in {"", "\\"} or not key.strip() for key in values) or any(
            value.endswith("\\") for value in values.values()
        )
    else:
        assert params.context(sent) == values


def test_a_tag_is_sent_once_and_many_in_several_calls(
    stage: Stage, library: CloudinaryLibrary
) -> None:
    stage.script = [described("a"), *[Reply(body={"public_ids": ["a"]})] * 3]
    library.asset(ID)
    library.add_tags(ID, ["twice", "twice", *(f"t{number}" for number in range(1001))])
    assert [request.body.count('name="tag[]"') for request in stage.asked[1:]] == [500, 500, 2]


def test_a_folder_is_walked_page_by_page(stage: Stage, library: CloudinaryLibrary) -> None:
    def listed(*names: str, cursor: str = "") -> Reply:
        found = [{**described(name).body, "asset_id": name * 32} for name in names]  # type: ignore[dict-item] # ours
        more = {"next_cursor": cursor} if cursor else {}
        return Reply(
            body={"resources": [{**raw, "asset_folder": "50%25 off"} for raw in found], **more}
        )

    stage.script = [
        listed("a", "b", cursor="more"),
        listed("b", "c"),
        Reply(body={"folders": [{"path": "50%25 off/x"}], "next_cursor": "more"}),
        listed(),
        Reply(body={"folders": []}),
        Reply(body={"folders": [{"path": "50%25 off/gone"}]}),
        failure(404),
        failure(404),
    ]
    assert [asset.public_id for asset in library.assets("/50%25 off/")] == ["a", "b", "c"]
    assert stage.asked[1].query["next_cursor"] == ["more"]
    assert stage.asked[0].query["max_results"] == ["500"]
    assert stage.asked[2].path.endswith("/folders/50%25 off")
