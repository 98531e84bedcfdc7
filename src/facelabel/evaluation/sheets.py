"""Pictures of several people, known and not: how many are named, and how many wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from facelabel.core.model import Analysis, Face, FaceDecision
    from facelabel.evaluation.labelled import LabelledSet, Sheet, Tile
    from facelabel.evaluation.photos import Seen
    from facelabel.evaluation.searching import Namer


@dataclass(frozen=True, slots=True)
class SheetReport:
    """How the faces on sheets were named."""

    sheets: int
    #: People on them, and how many of these were found.
    faces: int
    found: int
    #: Faces found where nobody is, or a second one in one tile.
    extra: int
    known: int
    known_named: int
    strangers: int
    strangers_named: int
    #: Known people given the name of somebody else, and names on what is no face.
    wrong_names: int


def report(labelled: LabelledSet, seen: Mapping[Path, Seen], namer: Namer) -> SheetReport | None:
    """Name the faces of every sheet; None where there is none."""
    if not labelled.sheets:
        return None
    tiles = [
        (tile, faces)
        for sheet in labelled.sheets
        for tile, faces in _placed(sheet, seen[sheet.file], namer)
    ]
    inside = [(tile, faces) for tile, faces in tiles if tile]
    outside = [face for tile, faces in tiles if not tile for face in faces]
    known = [(tile.person, _names(faces)) for tile, faces in inside if tile.person]
    strangers = [_names(faces) for tile, faces in inside if not tile.person]
    return SheetReport(
        sheets=len(labelled.sheets),
        faces=len(inside),
        found=sum(bool(faces) for _, faces in inside),
        extra=len(outside) + sum(max(0, len(faces) - 1) for _, faces in inside),
        known=len(known),
        known_named=sum(person in names for person, names in known),
        strangers=len(strangers),
        strangers_named=sum(map(bool, strangers)),
        wrong_names=sum(bool(names - {person}) for person, names in known) + len(_names(outside)),
    )


def _placed(sheet: Sheet, seen: Seen, namer: Namer) -> list[tuple[Tile | None, list[FaceDecision]]]:
    """The named faces by the tile they lie in; None holds those in no tile."""
    placed: dict[Tile | None, list[FaceDecision]] = {tile: [] for tile in (*sheet.tiles, None)}
    if seen.analysis:
        for face in namer.name(seen):
            placed[_tile_of(face.face, sheet, seen.analysis)].append(face)
    return list(placed.items())


def _tile_of(face: Face, sheet: Sheet, picture: Analysis) -> Tile | None:
    x = (face.box.left + face.box.width / 2) * picture.width
    y = (face.box.top + face.box.height / 2) * picture.height
    return next((tile for tile in sheet.tiles if _inside(x, y, tile)), None)


def _inside(x: float, y: float, tile: Tile) -> bool:
    left, top, width, height = tile.area
    return left <= x < left + width and top <= y < top + height


def _names(faces: list[FaceDecision]) -> set[str]:
    return {face.name for face in faces if face.name}
