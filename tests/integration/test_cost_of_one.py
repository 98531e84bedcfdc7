"""What one action costs follows what it changes, counted in statements to the database."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from sqlalchemy import Engine, event

from facelabel import actions, people
from facelabel import settings as configuration
from facelabel.bootstrap.app import opened
from facelabel.core.jobs import JobKind, OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from facelabel.bootstrap.app import App

#: More than are asked about at a time.
PICTURES = actions.PAGE + 20


@contextmanager
def counting() -> Iterator[list[str]]:
    """What is said to databases meanwhile."""
    said: list[str] = []

    def note(*arguments: object) -> None:
        said.append(str(arguments[2]).lstrip())

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield said
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def picture(number: int) -> bytes:
    """Make a picture like no other, with nobody on it."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (number, 0, 0)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A library whose pictures all wait to be looked at."""
    folder: Path = tmp_path_factory.mktemp("data")
    with opened(configuration.load({"data": folder})) as app:
        for number in range(PICTURES):
            app.library.upload(picture(number), folder="assets", public_id=f"assets/{number}")
        yield app


def test_what_is_to_be_searched_is_asked_for_by_the_page(app: App) -> None:
    with counting() as said:
        assert len(list(actions.unsearched(app, "assets"))) == PICTURES
    searches = [one for one in said if "FROM search" in one]
    assert len(searches) == 2
    assert len(said) < PICTURES // 5


def test_what_a_person_asks_for_leaves_alone_what_waits(app: App) -> None:
    waiting = app.queue.pending({JobKind.ASSET})
    assert waiting == PICTURES
    asset = app.library.find("assets/3")
    assert asset
    app.library.delete(asset.asset_id)
    outcomes, others = actions.work_first(app, [asset.asset_id])
    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.GONE]
    assert others == app.queue.pending({JobKind.ASSET}) == waiting - 1


def test_forgetting_leaves_alone_what_waits(app: App) -> None:
    waiting = app.queue.pending({JobKind.ASSET})
    portrait = app.library.upload(picture(255), folder="training", tags=["faceLabel:Ann"])
    app.ledger.begin_enrolment(app.gallery.collection(), portrait.asset_id, "Ann")
    (outcome,) = people.forget(app, people.traces(app, "Ann"))
    assert outcome.kind is OutcomeKind.GONE
    assert app.library.asset(portrait.asset_id) is None
    assert app.queue.pending({JobKind.ASSET}) == waiting
