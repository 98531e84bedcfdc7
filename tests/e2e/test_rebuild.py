"""A rebuild loses nobody, whoever enrolled them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from facelabel import actions
from facelabel.bootstrap.app import App, opened
from facelabel.gallery import QualityFilter
from facelabel.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Program

OWN = "cld-rekog"


@contextmanager
def app_of(program: Program) -> Iterator[App]:
    """The application with the program's data folder."""
    environment = program.environment
    names = {"data": "FACELABEL_DATA", "models": "FACELABEL_MODELS", "pack": "FACELABEL_PACK"}
    with opened(load({name: environment[variable] for name, variable in names.items()})) as app:
        yield app


def external_ids(app: App) -> list[str | None]:
    assert app.own_faces
    faces, _ = app.own_faces.collections.faces(OWN, 0, 100)
    return [face.external_image_id for face in faces]


def test_faces_of_clients_stay_under_the_name_they_know(facelabel: Program, samples: Path) -> None:
    facelabel("upload", samples / "biden.jpg", "--label", "Person B", "--now")
    with app_of(facelabel) as app:
        assert app.own_faces
        app.own_faces.collections.index(
            OWN,
            (samples / "obama.jpg").read_bytes(),
            "Person_A",
            max_faces=None,
            quality=QualityFilter.NONE,
        )

    for _ in range(2):  # the second time the live collection has a date behind its name
        assert "1 people known" in facelabel("index", "--rebuild")

    with app_of(facelabel) as app:
        assert app.own_faces
        assert [found.name for found in app.own_faces.collections.collections("", 9)] == [OWN]
        assert "Person_A" in external_ids(app)
        seen = actions.identify(app, (samples / "obama2.jpg").read_bytes())
        assert [face.name for face in seen.faces] == ["Person_A"]
