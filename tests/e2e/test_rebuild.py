"""A rebuild loses nobody, whoever enrolled them."""

from __future__ import annotations

import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from tests.waiting import until

from facelabel import actions
from facelabel.bootstrap.app import App, opened
from facelabel.rekognition.types import QualityFilter
from facelabel.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Program

OWN = "cld-rekog"
#: Finds a rebuild that was tried and is to be tried again.
FAILED = "SELECT 1 FROM job WHERE kind = 'rebuild' AND reason <> ''"


@contextmanager
def app_of(program: Program) -> Iterator[App]:
    """The application with the program's data folder."""
    environment = program.environment
    names = {"data": "FACELABEL_DATA", "models": "FACELABEL_MODELS", "pack": "FACELABEL_PACK"}
    with opened(load({name: environment[variable] for name, variable in names.items()})) as app:
        yield app


def external_ids(app: App) -> list[str | None]:
    assert app.local_faces
    faces, _ = app.local_faces.collections.faces(OWN, 0, 100)
    return [face.external_image_id for face in faces]


def test_faces_of_clients_stay_under_the_name_they_know(facelabel: Program, samples: Path) -> None:
    facelabel("upload", samples / "biden.jpg", "--label", "Person B", "--now")
    with app_of(facelabel) as app:
        assert app.local_faces
        app.local_faces.collections.index(
            OWN,
            (samples / "obama.jpg").read_bytes(),
            "Person_A",
            max_faces=None,
            quality=QualityFilter.NONE,
        )

    for _ in range(2):  # the second time the live collection has a date behind its name
        assert "1 person known" in facelabel("index", "--rebuild")

    with app_of(facelabel) as app:
        assert app.local_faces
        assert [found.name for found in app.local_faces.collections.collections("", 9)] == [OWN]
        assert "Person_A" in external_ids(app)
        seen = actions.identify(app, (samples / "obama2.jpg").read_bytes())
        assert [face.name for face in seen.faces] == ["Person_A"]


@pytest.fixture
def loss(facelabel: Program, photos: Path) -> list[str]:
    """A command that would lose a portrait, which was learnt when larger ones were taken."""
    with Image.open(photos / "people" / "Obama1.jpg") as portrait:
        portrait.resize((1200, 1200 * portrait.height // portrait.width)).save(
            facelabel.folder / "large.jpg"
        )
    facelabel("upload", "large.jpg", "--label", "Obama", "--now")
    return ["index", "--rebuild", "--max-image-megapixels", "1"]


def test_what_a_rebuild_would_lose_is_said_once(facelabel: Program, loss: list[str]) -> None:
    """By the command that asked for it, and not by a worker's log as well."""
    said = facelabel.bare(*loss, status=1)
    assert said.count("would lose 1 of the portraits learnt now (training/large, Obama") == 1
    assert said.count("would lose") == 1
    assert said.count("the old one stays") == 1
    last = "facelabel: nobody was learnt anew, what was learnt before stays"
    assert said.splitlines()[-1] == last
    assert [person["name"] for person in facelabel.json("people")] == ["Obama"]


def test_other_models_are_told_before_a_rebuild_takes_them(
    facelabel: Program, recommended: str, photos: Path
) -> None:
    """By its settings, where those it was learnt with were asked for by a flag of one run."""
    facelabel("upload", photos / "people" / "Obama1.jpg", "--label", "Obama", "--now")
    said = facelabel("index", "--rebuild", "--pack", recommended)
    assert re.search(rf"learnt with classic/\d+ until now; .* anew with {recommended}/\d+", said)
    assert "until now" not in facelabel("index", "--rebuild", "--pack", recommended)
    for flags in ([], ["--dry-run"]):
        said = facelabel("index", "--rebuild", *flags)
        told = rf"learnt with {recommended}/\d+ until now; .* anew with classic/\d+"
        assert bool(re.search(told, said)) == (not flags)


def test_a_rebuild_that_is_put_off_for_a_moment_is_tried_again(
    facelabel: Program, photos: Path, tmp_path: Path
) -> None:
    """A disk that comes back while it runs: nobody has to give the command again."""
    for person in ("Obama", "Hopper"):
        portrait = photos / "people" / f"{person}1.jpg"
        facelabel("upload", portrait, "--folder", "training", "--label", person, "--now")
    data = tmp_path / "data"
    files = [path for path in (data / "originals").rglob("*") if path.is_file()]
    originals = [path for path in files if path.name != "installation"]
    away = [path.rename(tmp_path / path.name) for path in originals]
    assert len(away) == 2

    def come_back() -> None:
        """When the first try has failed."""
        with closing(sqlite3.connect(data / "facelabel.db")) as connection:
            until(lambda: connection.execute(FAILED).fetchone())
        for path, original in zip(away, originals, strict=True):
            path.rename(original)

    with ThreadPoolExecutor(1) as pool:
        back = pool.submit(come_back)
        assert "2 people known" in facelabel("index", "--rebuild")
        back.result()
