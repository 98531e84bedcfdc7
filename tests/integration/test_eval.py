"""Accuracy on real photos through the command line, and the targets that must not be missed."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from tests.photographs import PEOPLE

from facelabel.cli import cli

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from facelabel.engine.models.model_store import ModelStore

#: People of whom there are pairs of real photos.
PAIRED = 30


@dataclass(frozen=True)
class Eval:
    """``facelabel eval`` with a pack and a data folder of its own."""

    pack: str
    models: Path
    data: Path

    def __call__(self, *arguments: str | Path, status: int = 0) -> str:
        """Run it, expect its exit status, return both streams."""
        own = ["--pack", self.pack, "--models", str(self.models), "--data", str(self.data)]
        result = CliRunner().invoke(cli, ["eval", *map(str, arguments), *own])
        assert result.exit_code == status, result.output
        return result.output

    def json(self, *arguments: str | Path) -> Any:  # noqa: ANN401 - JSON
        """Run it with --json."""
        text = self(*arguments, "--json")
        return json.loads(text[text.index("{") : text.rindex("}") + 1])["result"]


@pytest.fixture(scope="module")
def models(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the pack "mobilefacenet"."""
    folder = tmp_path_factory.mktemp("models")
    pull = ["models", "pull", "mobilefacenet", "--from", str(data / "models")]
    result = CliRunner().invoke(cli, [*pull, "--models", str(folder), "--data", str(folder / "d")])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def mobilefacenet(models: Path) -> Eval:
    """The recommended pack."""
    return Eval("mobilefacenet", models, models / "data")


@pytest.fixture(scope="module")
def classic(
    classic_pack_store: ModelStore, model_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Eval:
    """The pack from the package index."""
    del classic_pack_store  # pulled
    return Eval("classic", model_cache, tmp_path_factory.mktemp("data"))


def uncalibrated(pack: str, models: Path, folder: Path, *options: str | Path) -> Eval:
    """A pack as one a user described, without its calibration."""
    text = resources.files("facelabel.engine.models").joinpath(f"packs/{pack}.toml")
    lines = text.read_text("utf-8").replace(f'"{pack}"', '"own"').splitlines()
    manifest = folder / "own.toml"
    manifest.write_text("\n".join(line for line in lines if not line.startswith("calibration")))
    pull = ["models", "pull", str(manifest), *map(str, options)]
    result = CliRunner().invoke(cli, [*pull, "--models", str(models), "--data", str(folder)])
    assert result.exit_code == 0, result.output
    return Eval(str(manifest), models, folder / "data")


def test_mobilefacenet_on_portraits(mobilefacenet: Eval, data: Path) -> None:
    found = mobilefacenet.json("gallery", data / "portraits")
    assert (found["people"], found["probes"], found["strangers"]) == (100, 100, 50)
    assert found["undetected"] == []
    assert found["not_enrolled"] == []
    assert found["rank_1"]["rate"] == 1.0
    assert found["rule"]["threshold"] == 80.0
    assert found["rule"]["tpir"]["rate"] >= 0.99
    assert found["rule"]["fpir"]["rate"] <= 0.01
    assert found["rule"]["misnamed"]["count"] == 0
    sheets = found["sheets"]
    assert (sheets["found"], sheets["extra"]) == (97, 0)
    assert (sheets["known_named"], sheets["known"]) == (74, 74)
    assert (sheets["strangers_named"], sheets["wrong_names"]) == (0, 0)


def test_classic_on_portraits(classic: Eval, data: Path) -> None:
    found = classic.json("gallery", data / "portraits")
    assert found["undetected"] == []
    assert found["rank_1"]["rate"] == 1.0
    assert found["rule"]["tpir"]["rate"] >= 0.96
    assert found["rule"]["fpir"]["rate"] <= 0.03
    sheets = found["sheets"]
    assert (sheets["found"], sheets["extra"]) == (97, 0)
    # One at most: a portrait nine years younger stands on a sheet and among the probes' misses.
    assert sheets["known"] - sheets["known_named"] + sheets["strangers_named"] <= 1
    assert sheets["wrong_names"] == 0


def test_the_table_for_people(classic: Eval, photos: Path, tmp_path: Path) -> None:
    """People are the file names without the number; the picture of all four teaches nobody."""
    plot = tmp_path / "people.png"
    says = classic("gallery", photos / "people", "--strangers", "0", "--plot", plot)
    assert "classic/1: 4 people known from 4 pictures" in says
    assert "party.jpg: 4 faces were found where one is expected" in says
    assert "TPIR at threshold 80" in says
    assert "needs 100 strangers, there are 0" in says
    assert plot.read_bytes().startswith(b"\x89PNG")


@dataclass(frozen=True)
class Pairs:
    """Pictures in LFW's folders, and pairs of them."""

    eval: Eval
    folder: Path
    genuine: list[str]
    impostor: list[str]
    folds: int
    pictures: int

    def listed(self) -> Path:
        """The pairs, fold by fold."""
        each = len(self.genuine) // self.folds
        lines = [f"{self.folds}\t{each}"]
        for start in range(0, len(self.genuine), each):
            lines += self.genuine[start : start + each] + self.impostor[start : start + each]
        path = self.folder / "pairs.txt"
        path.write_text("\n".join(lines))
        return path


def filed(people: Mapping[str, Sequence[Path]], nobody: Path, folder: Path) -> None:
    """Copy everybody's pictures to LFW's folders, and two in which nobody is."""
    for person, files in {**people, "Nobody": [nobody]}.items():
        (folder / person).mkdir()
        for number, file in enumerate(files, 1):
            shutil.copy(file, folder / person / f"{person}_{number:04}.jpg")
    (folder / "Nobody" / "Nobody_0002.jpg").write_bytes(b"not an image")


@pytest.fixture
def composed_pairs(classic: Eval, photos: Path, tmp_path: Path) -> Pairs:
    """Three pictures of each of four people."""
    people = {
        person: [photos / f"people/{person}{number}.jpg" for number in (1, 2, 3)]
        for person in PEOPLE
    }
    filed(people, photos / "groups/nobody.jpg", tmp_path)
    genuine = [f"{person}\t{a}\t{b}" for person in PEOPLE for a, b in ((1, 2), (2, 3), (1, 3))]
    impostor = [
        f"{person}\t{number}\t{PEOPLE[(at + number) % 4]}\t{number}"
        for at, person in enumerate(PEOPLE)
        for number in (1, 2, 3)
    ]
    return Pairs(classic, tmp_path, genuine, impostor, folds=4, pictures=12)


@pytest.fixture
def real_pairs(mobilefacenet: Eval, data: Path, tmp_path: Path) -> Pairs:
    """Two portraits, nine years apart, of each of thirty people."""
    names = [path.stem for path in sorted((data / "portraits" / "gallery").iterdir())][:PAIRED]
    people = {
        name: [data / "portraits" / kind / f"{name}.jpg" for kind in ("gallery", "probe")]
        for name in names
    }
    filed(people, data / "groups" / "017_0.jpg", tmp_path)
    genuine = [f"{name}\t1\t2" for name in names]
    others = [*names[7:], *names[:7]]
    impostor = [f"{name}\t1\t{other}\t2" for name, other in zip(names, others, strict=True)]
    return Pairs(mobilefacenet, tmp_path, genuine, impostor, folds=10, pictures=60)


@pytest.fixture(params=["composed_pairs", "real_pairs"])
def pairs(request: pytest.FixtureRequest) -> Pairs:
    """Pairs of pictures."""
    made: Pairs = request.getfixturevalue(request.param)
    return made


def test_pairs_as_in_lfw(pairs: Pairs) -> None:
    found = pairs.eval.json("pairs", pairs.listed(), pairs.folder)
    count = len(pairs.genuine)
    assert (found["genuine"], found["impostor"]) == (count, count)
    assert found["pictures"] == pairs.pictures
    assert found["accuracy"]["accuracy"] == 1.0
    assert found["accuracy"]["folds"] == pairs.folds
    assert found["equal_error"]["rate"] == 0.0
    assert [point["tar"] for point in found["points"]] == [1.0, None, None, None, None, None]
    reason = f"needs 1,000,000 pairs of two people, there are {count}"
    assert found["points"][5]["reason"] == reason
    assert found["problems"] == []


def test_pairs_without_a_face_count_as_wrong(pairs: Pairs) -> None:
    """Of ten pairs of each kind, a genuine one and an impostor show nobody."""
    name = pairs.genuine[0].split()[0]
    lines = [
        *pairs.genuine[:9], "Nobody\t1\t2", *pairs.impostor[:9], f"Nobody\t1\t{name}\t1",
    ]  # fmt: skip
    short = pairs.folder / "short.txt"
    short.write_text("\n".join(lines))
    found = pairs.eval.json("pairs", short, pairs.folder)
    assert found["accuracy"]["accuracy"] == pytest.approx(0.9)
    assert found["equal_error"]["rate"] == pytest.approx(0.1)
    assert found["points"][0]["tar"] == pytest.approx(0.9)
    assert [p["file"] for p in found["problems"]] == [
        "Nobody/Nobody_0001.jpg", "Nobody/Nobody_0002.jpg",
    ]  # fmt: skip
    says = pairs.eval("pairs", short, pairs.folder)
    assert "accuracy 90.00% ± 10.00%" in says
    assert "Nobody/Nobody_0001.jpg: no face was found" in says


@pytest.mark.soak
def test_a_pack_without_calibration_gets_one(models: Path, data: Path, tmp_path: Path) -> None:
    """What is fitted to 250 portraits comes near what 29.6 million pairs of LFW gave."""
    own = uncalibrated("mobilefacenet", models, tmp_path, "--from", data / "models")
    before = own.json("gallery", data / "families")
    assert before["rule"] is None
    assert before["rank_1"]["rate"] > 0.5
    says = own("gallery", data / "portraits", "--calibrate", "--json")
    assert "calibration of own/1 saved to" in says
    fitted = json.loads(says[says.index("{") : says.rindex("}") + 1])["result"]["calibration"]
    points = {point["similarity"]: point for point in fitted}
    assert [point["measured"] for point in fitted] == [False, False, False, True, True]
    for level, distance in {50: 1.216, 70: 1.144, 80: 1.081, 90: 1.021, 99: 0.925}.items():
        assert distance - 0.08 < points[level]["distance"] < distance
    after = own.json("gallery", data / "portraits")
    assert after["rule"]["tpir"]["rate"] >= 0.99
    assert after["rule"]["fpir"]["count"] == 0
    assert [line["distance"] for line in after["false_matches"]] == pytest.approx(
        [points[level]["distance"] for level in sorted(points)], abs=2e-4
    )
    # What a user fitted may be fitted again.
    assert "needs 1,000" in own("gallery", data / "families", "--calibrate", status=1)


def test_too_few_pairs_calibrate_nothing(
    classic_pack_store: ModelStore, model_cache: Path, photos: Path, tmp_path: Path
) -> None:
    """A dozen pictures, where 46 of different people are needed."""
    pack = classic_pack_store.resolve("classic").model.replace("/", "-")
    shutil.copytree(model_cache / pack, tmp_path / "models" / pack)
    own = uncalibrated("classic", tmp_path / "models", tmp_path)
    assert own.json("gallery", photos / "people")["rule"] is None
    says = own("gallery", photos / "people", "--calibrate", status=1)
    assert "needs 1,000 pairs of pictures of two different people, there are" in says
    assert not (own.data / "calibration").exists()


def test_a_packs_own_calibration_is_kept_where_nothing_can_be_told(
    classic: Eval, photos: Path
) -> None:
    says = classic("gallery", photos / "people", "--calibrate", status=1)
    assert "needs 1,000 pairs of pictures of two different people, there are" in says
    assert not (classic.data / "calibration").exists()


def test_people_who_are_more_alike_make_a_pack_stricter(
    models: Path, data: Path, tmp_path: Path
) -> None:
    own = Eval("mobilefacenet", models, tmp_path / "data")
    offered = " ".join(own("gallery", data / "portraits").split())
    assert "as many pairs of two people match" in offered
    assert "`--calibrate` makes every similarity keep its own" in offered
    says = own("gallery", data / "portraits", "--calibrate", "--json")
    assert "calibration of mobilefacenet/1 saved to" in says
    fitted = json.loads(says[says.index("{") : says.rindex("}") + 1])["result"]["calibration"]
    published = {50: 1.216, 70: 1.144, 80: 1.081, 90: 1.021, 99: 0.925}
    assert all(point["distance"] < published[point["similarity"]] for point in fitted)
    after = own.json("gallery", data / "portraits")
    assert (after["rank_1"]["rate"], after["rule"]["fpir"]["count"]) == (1.0, 0)
    assert after["rule"]["tpir"]["rate"] >= 0.99
    for line in after["false_matches"]:
        assert line["measured"]["low"] <= line["expected"]
    assert "more alike than those" not in own("gallery", data / "portraits")
    # People of another kind than these say nothing against it.
    kept = own("gallery", data / "portraits" / "gallery", "--calibrate", status=0)
    assert "calibration of" in kept


def test_what_is_not_there_is_said(classic: Eval, tmp_path: Path) -> None:
    assert "is not a folder" in classic("gallery", tmp_path / "nowhere", status=1)
    says = classic("pairs", tmp_path / "pairs.txt", tmp_path, status=1)
    assert "cannot be read: No such file" in " ".join(says.split())
