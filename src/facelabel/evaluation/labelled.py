"""Labelled sets of pictures: who is on which, and who plays which part in an evaluation."""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from facelabel.errors import NotFound, Rejected
from facelabel.inputs import reading
from facelabel.inputs.lookup import Lookup
from facelabel.inputs.walking import LeftOut, Walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    Groups = Mapping[str, Sequence[Path]]

#: Comparing all with all, more than this takes hours.
MAX_PHOTOS = 50_000
#: A labels.json larger than this is no list of faces.
MAX_LABELS_BYTES = 64 << 20
GALLERY, PROBE, STRANGERS, SHEETS = "gallery", "probe", "strangers", "groups"
#: What stands between a person's name and the number of the picture.
_SEPARATORS = " _-."


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture of one person."""

    file: Path
    person: str


@dataclass(frozen=True, slots=True)
class Tile:
    """Where a person stands on a sheet; None is a stranger."""

    person: str | None
    #: Left, top, width, height in pixels of the upright picture.
    area: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A picture of several people, each in a tile of their own."""

    file: Path
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Pictures to learn from, pictures of the same people, and of people nobody knows."""

    root: Path
    gallery: tuple[Photo, ...]
    probes: tuple[Photo, ...]
    strangers: tuple[Photo, ...]
    sheets: tuple[Sheet, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def photos(self) -> tuple[Photo, ...]:
        """Every picture of one person."""
        return (*self.gallery, *self.probes, *self.strangers)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every picture."""
        return (*(p.file for p in self.photos), *(sheet.file for sheet in self.sheets))


def read_set(
    root: Path, *, enrol: int = 1, strangers: float = 0.2, limit: int = MAX_PHOTOS
) -> LabelledSet:
    """Read a labelled set in one of three layouts.

    * Folders ``gallery``, ``probe`` and perhaps ``strangers``, files named after the person (or in
      folders named after them), and perhaps ``groups`` with a ``labels.json`` of
      ``{file: [{"person": name or null, "tile": [left, top, width, height]}]}``.
    * One folder per person.
    * Files named after the person and a number, such as ``Family1-Dad1.jpg``.

    In the latter two the first ``enrol`` pictures of a person are learnt and the others searched,
    and that share of the people, 0..1, chosen by their names alone, play the strangers.

    Raises NotFound, or Rejected saying what was expected.
    """
    if not reading.is_folder(root):
        raise NotFound(reading.why_no_folder(root, "not a folder"))
    walk = Walk()
    divided = reading.is_folder(root / GALLERY)
    labelled = _divided(root, walk) if divided else _dealt(root, enrol, strangers, walk)
    if len(labelled.files) > limit:
        raise Rejected(f"{root} has more than {limit:,} pictures")
    return replace(labelled, left_out=tuple(walk.left_out))


def _divided(root: Path, walk: Walk) -> LabelledSet:
    gallery = _named(root / GALLERY, walk)
    known = {photo.person for photo in gallery}
    probes, sheets = _named(root / PROBE, walk), _sheets(root / SHEETS)
    wanted = {photo.person for photo in probes}
    wanted |= {tile.person for sheet in sheets for tile in sheet.tiles if tile.person}
    if not gallery or not probes:
        says = f"{root / GALLERY} and {root / PROBE} must both have pictures"
        raise Rejected("; ".join([says, *walk.faults]))
    if unknown := sorted(wanted - known):
        raise Rejected(
            f"{len(unknown)} people have no picture in {root / GALLERY}, the first is {unknown[0]}"
        )
    return LabelledSet(root, gallery, probes, _named(root / STRANGERS, walk), sheets)


def _named(folder: Path, walk: Walk) -> tuple[Photo, ...]:
    """Pictures named after the person, or lying in a folder named so."""
    if not reading.is_folder(folder):
        return ()
    return tuple(
        Photo(file, file.stem if file.parent == folder else file.relative_to(folder).parts[0])
        for file in walk.pictures([folder])
    )


def _dealt(root: Path, enrol: int, strangers: float, walk: Walk) -> LabelledSet:
    people = _people(root, walk)
    if not people:
        says = (
            f"{root} has no labelled pictures: expected folders {GALLERY} and {PROBE}, one folder"
            " per person, or files named after the person and a number"
        )
        raise Rejected("; ".join([says, *walk.faults]))
    held_out = _held_out(people, strangers)
    known = {name: files for name, files in people.items() if name not in held_out}
    return LabelledSet(
        root,
        gallery=_photos({name: files[:enrol] for name, files in known.items()}),
        probes=_photos({name: files[enrol:] for name, files in known.items()}),
        strangers=_photos({name: people[name] for name in sorted(held_out)}),
    )


def _people(root: Path, walk: Walk) -> Groups:
    """Pictures by person, people and pictures by name."""
    people: dict[str, list[Path]] = defaultdict(list)
    for file in walk.pictures([root]):
        inside = file.relative_to(root).parts
        people[inside[0] if len(inside) > 1 else _without_number(file.stem)].append(file)
    return {name: people[name] for name in sorted(people)}


def _without_number(stem: str) -> str:
    return stem.rstrip("0123456789").rstrip(_SEPARATORS) or stem


def _held_out(people: Iterable[str], fraction: float) -> frozenset[str]:
    """Return that share of the people; the same set of names always gives the same."""
    shuffled = sorted(people, key=lambda name: hashlib.sha256(os.fsencode(name)).digest())
    return frozenset(shuffled[: round(fraction * len(shuffled))])


def _photos(people: Groups) -> tuple[Photo, ...]:
    return tuple(Photo(file, name) for name, files in people.items() for file in files)


def _sheets(folder: Path) -> tuple[Sheet, ...]:
    labels = folder / "labels.json"
    try:
        listed = json.loads(reading.read(labels, MAX_LABELS_BYTES))
        lookup = Lookup(folder)
        sheets = tuple(_sheet(lookup(name), tiles) for name, tiles in sorted(listed.items()))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise Rejected(f"{labels} {reading.explain(error)}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Rejected(f"{labels} is not a list of tiles by file: {error!r}") from error
    for sheet in sheets:
        if why := reading.explain_unreadable(sheet.file):
            raise NotFound(f"{labels} names {sheet.file}, which {why}")
    return sheets


def _sheet(file: Path, tiles: Sequence[Mapping[str, object]]) -> Sheet:
    return Sheet(file, tuple(_tile(tile) for tile in tiles))


def _tile(tile: Mapping[str, object]) -> Tile:
    person, area = tile["person"], tile["tile"]
    if not (person is None or isinstance(person, str)) or not isinstance(area, list):
        raise TypeError(f"{tile} has no person and tile")
    left, top, width, height = map(float, area)
    return Tile(person, (left, top, width, height))
