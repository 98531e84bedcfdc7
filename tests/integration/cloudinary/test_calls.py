"""How many calls of the Admin API, which are rationed, a command takes."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from facelabel import actions, settings
from facelabel.bootstrap.app import opened
from facelabel.inputs import portraits
from facelabel.inputs.portraits import Portrait
from facelabel.inputs.walking import Walk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.conftest import ApiServer

    from facelabel.bootstrap.app import App
    from facelabel.engine.models.model_store import ModelStore

PEOPLE = ("Obama", "Hopper", "Biden")
#: The folder mode, the training folder, the folders in it.
LISTING = 3


@pytest.fixture
def app(
    api_server: ApiServer, tmp_path: Path, model_cache: Path, classic_pack_store: ModelStore
) -> Iterator[App]:
    """The application on an account."""
    del classic_pack_store  # downloaded by now
    sdk, host = api_server.sdk, api_server.url.removeprefix("http://")
    account = f"{sdk['api_key']}:{sdk['api_secret']}@{sdk['cloud_name']}"
    flags = {
        "cloudinary_url": f"cloudinary://{account}?upload_prefix={api_server.url}&cname={host}",
        "library": "cloudinary", "data": tmp_path / "data", "models": model_cache,
        "pack": "classic",
    }  # fmt: skip
    with opened(settings.load(flags)) as application:
        yield application


def admin_calls(app: App) -> int:
    """How many there were so far."""
    assert app.remote
    return app.remote.client.calls.get("admin", 0)


def learn(app: App, folder: Path) -> list[str]:
    """Learn the portraits of a folder; return what became of them."""
    known = actions.training_images(app)
    assets = [
        actions.add_portrait(app, portrait, known).asset_id
        for portrait in portraits.read(folder, "faceLabel", Walk())
    ]
    return [outcome.kind for outcome in actions.work(app, assets)]


def test_learning_portraits_takes_one_call_each(app: App, photos: Path, tmp_path: Path) -> None:
    """New ones and old ones alike; the dry run says so."""
    for person in PEOPLE:
        (tmp_path / "portraits" / person).mkdir(parents=True)
        shutil.copy(photos / f"people/{person}1.jpg", tmp_path / "portraits" / person)
    (costs,) = actions.costs(app, portraits=len(PEOPLE))
    assert f"{len(PEOPLE)} calls" in costs
    assert learn(app, tmp_path / "portraits") == ["learnt"] * len(PEOPLE)
    first = admin_calls(app)
    assert first == len(PEOPLE) + LISTING
    assert learn(app, tmp_path / "portraits") == ["unchanged"] * len(PEOPLE)
    assert admin_calls(app) - first == len(PEOPLE) + LISTING - 1


def test_a_portrait_that_was_moved_away_comes_back_with_its_tags(app: App, photos: Path) -> None:
    """Under its new label alone."""
    portrait = photos / "people/Obama1.jpg"
    asset = actions.add_portrait(app, Portrait(str(portrait), "Obama"))
    app.library.add_tags(asset.asset_id, ["summer"])
    app.library.move(asset.asset_id, "attic")
    known = actions.training_images(app)
    again = actions.add_portrait(app, Portrait(str(portrait), "faceLabel:Daddy"), known)
    now = app.library.asset(again.asset_id)
    assert now
    assert (now.asset_id, now.folder) == (asset.asset_id, "training")
    assert {*now.tags} == {"summer", "faceLabel:Daddy"}
