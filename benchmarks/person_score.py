"""From distances to names: which score for people with several references, which margin.

    python benchmarks/person_score.py [DATA] [--packs mobilefacenet classic] [--json]

DATA is the folder of test photos (default: FACELABEL_TEST_DATA, or shared/data beside the
repository). Two tables for each pack:

* Scores. Each picture of the people of ``families`` and of ``groups`` (``same_person``) is
  searched among all others, those of ``portraits`` included, with each way to score a person by
  the distances of several references.
* Margins. What ``facelabel.core.naming`` names with each threshold and margin: probes, strangers
  and sheets of ``portraits``, the group photo of ``families``, each family portrait among all
  others, and each family portrait among those of everybody else, relatives included.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import defaultdict
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from facelabel import actions, settings
from facelabel.bootstrap.app import opened
from facelabel.core.naming import Rules
from facelabel.evaluation import identification, labelled, photos
from facelabel.evaluation.identification import Namer, build_gallery
from facelabel.evaluation.rates import Distances, equal_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from facelabel.evaluation.identification import Similarity
    from facelabel.evaluation.labelled import LabelledSet, Photo
    from facelabel.evaluation.photos import Seen

    Vectors: TypeAlias = npt.NDArray[np.float32]
    Looked: TypeAlias = Mapping[Path, Seen]

PACKS = ("mobilefacenet", "classic")
GROUP_PHOTO = "identification1.jpg"
ON_GROUP_PHOTO = {"Family1-Dad", "Family1-Mom", "Family1-Son", "Family1-Daughter"}
THRESHOLDS = (70, 80, 90)
MARGINS = (1.0, 1.05, 1.1, 1.15, 1.25, 1.5, 2.0)


def nearest(probe: Vectors, references: Vectors) -> float:
    """Distance of the nearest reference."""
    return float(_distances(probe, references).min())


def mean(probe: Vectors, references: Vectors) -> float:
    """Mean distance of all references."""
    return float(_distances(probe, references).mean())


def best_two(probe: Vectors, references: Vectors) -> float:
    """Mean distance of the two nearest references."""
    return float(np.sort(_distances(probe, references))[:2].mean())


def centroid(probe: Vectors, references: Vectors) -> float:
    """Distance of the references' mean, made a unit vector again."""
    middle = references.mean(axis=0, keepdims=True)
    return nearest(probe, middle / np.linalg.norm(middle))


def nearest_or_centroid(probe: Vectors, references: Vectors) -> float:
    """The better of both: what the product takes."""
    return min(nearest(probe, references), centroid(probe, references))


def _distances(probe: Vectors, references: Vectors) -> Vectors:
    found: Vectors = photos.distances(probe[None], references)[0]
    return found


SCORES: Mapping[str, Callable[[Vectors, Vectors], float]] = {
    "nearest": nearest,
    "mean of all": mean,
    "mean of best two": best_two,
    "centroid": centroid,
    "nearest or centroid": nearest_or_centroid,
}


@dataclass(frozen=True)
class ScoreLine:
    """How one score did."""

    pack: str
    score: str
    genuine: int
    impostor: int
    rank_1: str
    equal_error: float
    #: Share of genuine searches accepted where one in a hundred, in a thousand impostors is.
    tar_1e2: float
    tar_1e3: float
    nearest_impostor: float
    farthest_genuine: float
    second_farthest: float


@dataclass(frozen=True)
class MarginLine:
    """What was named with one threshold and margin."""

    pack: str
    threshold: int
    margin: float
    tpir: str
    fpir: str
    misnamed: int
    sheets_known: str
    sheets_strangers: str
    sheets_wrong: int
    group_photo: str
    group_photo_wrong: int
    families: str
    families_wrong: int
    relatives_named: str


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    beside = Path(__file__).parents[2] / "shared" / "data"
    default = Path(os.environ.get("FACELABEL_TEST_DATA", beside))
    parser.add_argument("data", nargs="?", type=Path, default=default)
    parser.add_argument("--packs", nargs="+", default=PACKS, choices=("opencv-zoo", *PACKS))
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    lines = [line for pack in arguments.packs for line in measure(pack, arguments.data)]
    if arguments.json:
        print(json.dumps([asdict(line) for line in lines], indent=1))
        return
    for kind in (ScoreLine, MarginLine):
        print_table([line for line in lines if isinstance(line, kind)])


def measure(pack: str, data: Path) -> list[ScoreLine | MarginLine]:
    """Look at every picture once with the pack, then try all rules."""
    portraits = labelled.read_set(data / "portraits")
    families = family_photos(data)
    files = [*portraits.files, *(photo.file for photo in (*families, *same_person(data)))]
    with (
        tempfile.TemporaryDirectory() as folder,
        opened(settings.load({"pack": pack, "data": folder})) as app,
    ):
        if pack == "mobilefacenet":
            app.engines.pull(pack, data / "models")
        engine = app.engines(None)
        seen = photos.look(
            engine, partial(actions.read_file, app), [*files, data / "families" / GROUP_PHOTO]
        )
        many = (*families, *same_person(data))
        scores = [score_line(pack, name, many, portraits, seen) for name in SCORES]
        margins = [
            margin_line(
                pack, Rules(threshold, margin), portraits, families, seen, engine.similarity
            )
            for threshold in THRESHOLDS
            for margin in MARGINS
        ]
    return [*scores, *margins]


def family_photos(data: Path) -> tuple[Photo, ...]:
    """The portraits of eight people."""
    found = labelled.read_set(data / "families", strangers=0)
    return tuple(
        photo for photo in (*found.gallery, *found.probes) if photo.file.name != GROUP_PHOTO
    )


def same_person(data: Path) -> tuple[Photo, ...]:
    """The portraits among the group photos."""
    people = json.loads((data / "groups" / "labels.json").read_text("utf-8"))["same_person"]
    return tuple(
        labelled.Photo(data / "groups" / name, f"groups-{number}")
        for number, names in enumerate(people)
        for name in names
    )


def score_line(
    pack: str, score: str, searched: Sequence[Photo], crowd: LabelledSet, seen: Looked
) -> ScoreLine:
    """Search each picture among all others, and the crowd among the searched."""
    own = rows_of(searched, seen)
    others = rows_of(crowd.photos, seen)
    genuine, rivals, impostor = [], [], list[float]()
    for photo, vector in own:
        found = scored(SCORES[score], photo, vector, [*own, *others])
        if photo.person in found:
            genuine.append(found.pop(photo.person))
            rivals.append(min(found.values()))
        impostor += found.values()
    for photo, vector in others:
        impostor += scored(SCORES[score], photo, vector, own).values()
    accepted, rejected = Distances.of(genuine), Distances.of(impostor)
    first = sum(mine < rival for mine, rival in zip(genuine, rivals, strict=True))
    return ScoreLine(
        pack=pack,
        score=score,
        genuine=len(genuine),
        impostor=len(impostor),
        rank_1=f"{first}/{len(genuine)}",
        equal_error=round(equal_error(accepted, rejected).rate, 4),
        tar_1e2=_tar(accepted, rejected, 1e-2),
        tar_1e3=_tar(accepted, rejected, 1e-3),
        nearest_impostor=round(min(impostor), 3),
        farthest_genuine=round(max(genuine), 3),
        second_farthest=round(sorted(genuine)[-2], 3),
    )


def rows_of(pictures: Sequence[Photo], seen: Looked) -> list[tuple[Photo, Vectors]]:
    """The vector of each picture's largest face."""
    return [(p, photos.matrix(seen[p.file].templates[:1])[0]) for p in pictures]


def scored(
    score: Callable[[Vectors, Vectors], float],
    photo: Photo,
    vector: Vectors,
    rows: Sequence[tuple[Photo, Vectors]],
) -> dict[str, float]:
    """Each person's score, the searched picture itself left out."""
    references = defaultdict(list)
    for other, reference in rows:
        if other.file != photo.file:
            references[other.person].append(reference)
    return {person: score(vector, np.stack(own)) for person, own in references.items()}


def _tar(genuine: Distances, impostor: Distances, rate: float) -> float:
    distance = impostor.widest(rate)
    return 0.0 if distance is None else round(genuine.within(distance) / genuine.total, 4)


def margin_line(
    pack: str,
    rules: Rules,
    portraits: LabelledSet,
    families: Sequence[Photo],
    seen: Looked,
    similarity: Similarity,
) -> MarginLine:
    """Name everything by these rules."""
    namer = Namer(build_gallery(portraits.gallery, seen), rules, similarity)
    probes = [(photo.person, namer.names(seen[photo.file])) for photo in portraits.probes]
    strangers = [bool(namer.names(seen[photo.file])) for photo in portraits.strangers]
    sheet = identification.name_sheets(portraits, seen, namer)
    assert sheet
    all_families = Namer(build_gallery(families, seen), rules, similarity)
    group_photo = families[0].file.with_name(GROUP_PHOTO)
    on_group = all_families.names(seen[group_photo])
    others = among_others(families, seen, rules, similarity, whole_person=False)
    owned = [(person, names) for person, names in others if has_other(person, families)]
    relatives = among_others(families, seen, rules, similarity, whole_person=True)
    return MarginLine(
        pack=pack,
        threshold=int(rules.threshold),
        margin=rules.margin,
        tpir=f"{sum(person in names for person, names in probes)}/{len(probes)}",
        fpir=f"{sum(strangers)}/{len(strangers)}",
        misnamed=sum(bool(names - {person}) for person, names in probes),
        sheets_known=f"{sheet.known_named}/{sheet.known}",
        sheets_strangers=f"{sheet.strangers_named}/{sheet.strangers}",
        sheets_wrong=sheet.wrong_names,
        group_photo=f"{len(on_group & ON_GROUP_PHOTO)}/{len(ON_GROUP_PHOTO)}",
        group_photo_wrong=len(on_group - ON_GROUP_PHOTO),
        families=f"{sum(person in names for person, names in owned)}/{len(owned)}",
        families_wrong=sum(bool(names - {person}) for person, names in others),
        relatives_named=f"{sum(bool(names) for _, names in relatives)}/{len(relatives)}",
    )


def has_other(person: str, pictures: Sequence[Photo]) -> bool:
    """Whether a picture of that person remains when one is taken away."""
    return sum(photo.person == person for photo in pictures) > 1


def among_others(
    pictures: Sequence[Photo],
    seen: Looked,
    rules: Rules,
    similarity: Similarity,
    *,
    whole_person: bool,
) -> list[tuple[str, set[str]]]:
    """Whom each picture is named, learnt from the others, or from those of other people alone."""
    named = []
    for photo in pictures:
        rest = [
            other
            for other in pictures
            if other.file != photo.file and not (whole_person and other.person == photo.person)
        ]
        namer = Namer(build_gallery(rest, seen), rules, similarity)
        named.append((photo.person, namer.names(seen[photo.file])))
    return named


def print_table(lines: Sequence[ScoreLine | MarginLine]) -> None:
    """Print lines as a table in Markdown."""
    titles = [field.name.replace("_", " ") for field in fields(lines[0])]
    print("|", " | ".join(titles), "|")
    print("|" + "---|" * len(titles))
    for line in lines:
        print("|", " | ".join(map(str, asdict(line).values())), "|")
    print()


if __name__ == "__main__":
    main()
