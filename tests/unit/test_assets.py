"""An asset in Cloudinary's words, beside the official SDK's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cloudinary import utils
from hypothesis import given
from hypothesis import strategies as st

from facelabel.cloudinary import assets
from facelabel.core.model import Asset

PICTURE = Asset(
    "a" * 32, "assets/group", "assets", 7, "jpg", 10, "0123456789abcdef" * 4, 640, 480,
    1_719_310_887.9, "group.photo.jpg",
)  # fmt: skip


def described(asset: Asset, *, fixed_folders: bool = False) -> dict[str, object]:
    answer = assets.describe(
        asset, cloud_name="demo", base_url="http://127.0.0.1:8765", fixed_folders=fixed_folders
    )
    return {**answer}


def sdk_url(asset: Asset) -> str:
    """What the official SDK makes of the asset when pointed at this server."""
    url, _ = utils.cloudinary_url(
        asset.public_id, cloud_name="demo", cname="127.0.0.1:8765", secure=False,
        version=asset.version, format=asset.format if asset.resource_type != "raw" else None,
        resource_type=asset.resource_type, type=asset.type,
    )  # fmt: skip
    return str(url)


@pytest.mark.parametrize(
    "public_id",
    ["sample", "a/b/c", "My People/Zoë 100% ?#&+", "~tilde", "a:b", "شخص/اسم", "emoji 🙂", "a.b"],
)
@pytest.mark.parametrize("kind", ["image", "raw"])
def test_the_url_is_the_official_sdks(public_id: str, kind: str) -> None:
    asset = replace(PICTURE, public_id=public_id, resource_type=kind, type="private")
    assert described(asset)["url"] == sdk_url(asset)


@given(public_id=st.text("abß 100%/.~?#&+'\"", min_size=1).filter(lambda text: "//" not in text))
def test_any_url_is_the_official_sdks(public_id: str) -> None:
    asset = replace(PICTURE, public_id=f"x{public_id}x")
    assert described(asset)["url"] == sdk_url(asset)


def test_an_etag_has_the_length_of_an_md5() -> None:
    assert described(PICTURE)["etag"] == "0123456789abcdef" * 2


def test_every_version_has_an_id_of_its_own() -> None:
    versions = [described(replace(PICTURE, version=version)) for version in range(100)]
    ids = {str(version["version_id"]) for version in versions}
    assert len(ids) == 100
    assert {len(version_id) for version_id in ids} == {32}


def test_the_original_file_name_is_without_its_extension() -> None:
    assert described(PICTURE)["original_filename"] == "group.photo"
    assert "original_filename" not in described(replace(PICTURE, filename=""))


def test_a_raw_file_has_no_size_in_pixels() -> None:
    raw = replace(PICTURE, resource_type="raw", format="", width=0, height=0)
    assert not {"width", "height", "format"} & described(raw).keys()


def test_folder_modes() -> None:
    dynamic, fixed = described(PICTURE), described(PICTURE, fixed_folders=True)
    assert (dynamic["asset_folder"], dynamic["display_name"]) == ("assets", "group")
    assert fixed["folder"] == "assets"
    assert fixed.keys() - dynamic.keys() == {"folder"}
    assert dynamic.keys() - fixed.keys() == {"asset_folder", "display_name"}


def test_a_title_is_kept() -> None:
    assert described(replace(PICTURE, display_name="All of us"))["display_name"] == "All of us"


def test_creation_is_told_in_whole_seconds_of_universal_time() -> None:
    assert described(PICTURE)["created_at"] == "2024-06-25T10:21:27Z"
