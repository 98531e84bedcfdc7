"""One person under two names: by their look, or by the look of the portraits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Program

SPELLINGS = ("Barack Obama", "Barack\u00a0Obama")


def folders(samples: Path, folder: Path, *names: str) -> Path:
    """The same photo, cropped in two ways, under two names; and somebody else."""
    photo = Image.open(samples / "obama.jpg").convert("RGB")
    for number, name in enumerate(names):
        person = folder / name
        person.mkdir(parents=True)
        photo.crop((4 * number, 0, photo.width, photo.height - 4 * number)).save(person / "a.jpg")
    other = folder / "Joe"
    other.mkdir()
    Image.open(samples / "biden.jpg").convert("RGB").save(other / "b.jpg")
    return folder


def test_two_spellings_of_one_name(facelabel: Program, samples: Path, tmp_path: Path) -> None:
    said = facelabel("index", folders(samples, tmp_path / "people", *SPELLINGS))

    warning = r"'Barack Obama' (1 portrait) and 'Barack\xa0Obama' (1 portrait)"
    assert "3 portraits learnt; 3 people known" in said
    assert warning in said
    assert "whose name looks the same" in said
    assert warning in facelabel("people")
    assert warning in facelabel("doctor", status=1)


def test_one_person_under_two_names(facelabel: Program, samples: Path, tmp_path: Path) -> None:
    said = facelabel("index", folders(samples, tmp_path / "people", "Barry", "Barack"))

    assert "as two of one person: the same person, or a wrong label?" in said
    assert "look alike" not in facelabel("people")
    findings = {f["what"]: f for f in facelabel.json("doctor")}
    assert "as alike to" in findings["portraits"]["says"]
    assert "Joe" not in json.dumps(findings)


def test_a_label_that_looks_like_a_known_one(facelabel: Program, samples: Path) -> None:
    facelabel("upload", samples / "obama.jpg", "--label", SPELLINGS[0], "--now")
    said = facelabel("upload", samples / "obama2.jpg", "--label", SPELLINGS[1])
    assert r"'Barack Obama' (1 portrait) and 'Barack\xa0Obama' (0 portraits)" in said
