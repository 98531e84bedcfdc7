"""Which picture or folder was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from facelabel.media import near_misses
from facelabel.testing import MemoryLibrary, portrait

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.core.model import Asset

HOMES = ("assets", "training")


class Counting(MemoryLibrary):
    """Counts how often it is asked, and never tells all it has."""

    asked = 0

    def beginning(self, text: str, limit: int) -> Sequence[Asset]:
        """So many at most."""
        self.asked += 1
        assert limit < 1000
        return super().beginning(text, limit)

    def subfolders(self, parent: str = "") -> Sequence[str]:
        """One level."""
        self.asked += 1
        return super().subfolders(parent)


@pytest.fixture
def library() -> Counting:
    """A few portraits and pictures, and many that are named alike."""
    library = Counting()
    for folder, name in (
        ("training", "john-baa8501d66"), ("training", "sky-b68407dcb1"),
        ("training", "IMG_1-0123456789"), ("assets", "party"), ("assets/2026", "Summit"),
        *(("assets/many", f"IMG_{number:04}") for number in range(700)),
    ):  # fmt: skip
        library.upload(portrait(name), folder=folder, public_id=f"{folder}/{name}")
    return library


@pytest.mark.parametrize(
    ("ident", "found"),
    [
        ("training/john", ["training/john-baa8501d66"]),
        ("john", ["training/john-baa8501d66"]),
        ("training/john-1", ["training/john-baa8501d66"]),
        ("training/Jhon", ["training/john-baa8501d66"]),
        ("trainng/john", ["training/john-baa8501d66"]),
        ("Training/sky", ["training/sky-b68407dcb1"]),
        ("training/img_1", ["training/IMG_1-0123456789"]),
        ("/assets/party/", ["assets/party"]),
        ("prty", ["assets/party"]),
        ("assets/2026/summit", ["assets/2026/Summit"]),
        ("assets/many/IMG_0699-1.jpg",
         ["assets/many/IMG_0699", "assets/many/IMG_0691", "assets/many/IMG_0698"]),
        ("assets/party.jpeg", ["assets/party"]),
        ("assets/many/img_0699", ["assets/many/IMG_0699"]),
        ("nothing", []),
        ("no/such/place", []),
        ("", []),
    ],
)  # fmt: skip
def test_the_nearest_pictures(library: Counting, ident: str, found: list[str]) -> None:
    """However many there are, the library is asked a few times."""
    if ident:
        assert near_misses.pictures(library, ident, HOMES) == found
    assert library.asked < 25


def test_the_beginning_of_an_asset_id(library: Counting) -> None:
    """As lists and logs show it."""
    asset = library.find("assets/party")
    assert asset is not None
    assert near_misses.pictures(library, asset.asset_id[:12], HOMES) == ["assets/party"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("assets/2026", ["assets/2026"]),
        ("", [""]),
        ("Assets", ["assets"]),
        ("trainng", ["training"]),
        ("asets/2025", ["assets/2026"]),
        ("Assets/elsewhere", ["assets"]),
        ("assets/2", ["assets/2026"]),
        ("archive", []),
    ],
)
def test_the_nearest_folders(library: Counting, path: str, found: list[str]) -> None:
    """Level by level."""
    assert near_misses.folders(library, path) == found
