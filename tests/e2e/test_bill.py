"""What Amazon is paid, counted on the wire: for portraits, for photos, and where a process dies."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.e2e.conftest import IDLE, Inside, Program, customer, program_in
from tests.e2e.faces import faces_of, known
from tests.e2e.served import serving
from tests.e2e.toll import Moment, Toll, toll
from tests.photographs import PEOPLE
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from botocore.client import BaseClient
    from tests.e2e.served import Served

PACK = "opencv-zoo"


# ---- a hundred portraits


@dataclass
class Bill:
    """What commands cost somebody."""

    customer: Program
    gate: Toll
    lines: list[str] = field(default_factory=list)

    def of(self, what: str, *command: str | Path) -> int:
        """Paid calls that a command took; it says the same itself."""
        before = self.gate.paid
        said = self.customer(*command)
        paid = self.gate.paid - before
        told = re.search(r"calls of Amazon Rekognition, \$([\d.]+)", said)
        assert round(float(told[1]) * 1000 if told else 0) == paid
        self.lines.append(f"{paid:5} paid calls: {what}")
        return paid


@pytest.fixture
def ours(tmp_path: Path, model_cache: Path, recommended: str) -> Callable[[str], Program]:
    """Programs with the recommended pack, each in a folder of its own."""

    def make(name: str) -> Program:
        folder = tmp_path / name
        folder.mkdir()
        program = program_in(folder, model_cache)
        # Amazon's similarities know no count of strangers: the threshold alone decides there.
        program.environment.update(FACELABEL_PACK=recommended, FACELABEL_STRANGER_CHANCE="0")
        return program

    return make


@pytest.mark.soak
def test_a_hundred_portraits_and_who_is_on_the_photos(
    ours: Callable[[str], Program], data: Path, tmp_path: Path
) -> None:
    """Prints what it counts (pytest -s)."""
    amazon = ours("amazon")
    amazon.environment.update(IDLE)
    files = sorted((data / "portraits" / "gallery").glob("*.jpg"))
    assert len(files) == 100
    portraits = tmp_path / "labels.csv"
    portraits.write_text("".join(f"{file},{file.stem}\n" for file in files))
    own = Inside.of(ours("own"))
    own("index", portraits)
    with serving(amazon) as account, toll(account.url) as gate:
        bill = Bill(Inside.of(customer(ours("customer"), gate.url, "faces")), gate)
        learn(bill, portraits, len(files))
        photos = faces_on(data)
        more = paid_beyond_faces(bill, photos)
        own("upload", *photos, "--now")
        names, expected = (named(side, photos) for side in (bill.customer, own))
        learn_again(bill, files[0], tmp_path, len(files))
        learn_nobody(bill, data / "portraits" / "groups" / "group00.jpg")
    written = sum(map(len, names.values()))
    print("", *bill.lines, f"names written: {written}", sep="\n")  # noqa: T201 - what it counts
    assert names == expected
    assert written > 50
    assert more == dict.fromkeys(photos, 0)  # docs/howto/rekognition.md


def learn(bill: Bill, portraits: Path, count: int) -> None:
    """Learn them, and see that they are learnt."""
    assert f"{count} paid calls" in bill.customer("index", portraits, "--dry-run")
    learnt = bill.of(f"{count} portraits learnt", "index", portraits)
    assert learnt == count
    assert known(bill.customer) == dict.fromkeys(known(bill.customer), 1)
    assert len(known(bill.customer)) == count
    assert bill.of("the same again", "index", portraits) == 0
    assert bill.of("the same again, by what is in the library", "index") == 0


def learn_again(bill: Bill, portrait: Path, folder: Path, count: int) -> None:
    """A copy, a second label, a rebuild."""
    copies = [folder / f"{name}.jpg" for name in ("copy", "another copy")]
    for copy in copies:
        shutil.copy(portrait, copy)
    again = ("upload", copies[0], "--now", "--label", portrait.stem)
    assert bill.of("a copy under another file name", *again) == 0
    assert known(bill.customer)[portrait.stem] == 2
    label = folder / "label.csv"
    for what, name in (("a copy under a second label", "Some"), ("that label changed", "Other")):
        label.write_text(f"{copies[1]},{name}\n")
        assert bill.of(what, "index", label) == 1
    rebuilt = bill.of(f"a rebuild of {count + 2} portraits, one a copy", "index", "--rebuild")
    assert rebuilt == count + 1
    assert len(known(bill.customer)) == count + 1


def learn_nobody(bill: Bill, group: Path) -> None:
    """A photo of several faces is refused without asking anybody."""
    before = bill.gate.paid
    command = ("upload", group, "--label", "Several", "--now")
    assert "faces were found where one is expected" in bill.customer(*command, status=1)
    assert bill.gate.paid == before


def faces_on(data: Path) -> Mapping[Path, int]:
    """Photos, and how many faces there are on each according to people."""
    sheets, groups = data / "portraits" / "groups", data / "groups"
    tiles = json.loads((sheets / "labels.json").read_text("utf-8"))
    noses = json.loads((groups / "labels.json").read_text("utf-8"))["noses"]
    counts = {sheets / name: len(faces) for name, faces in tiles.items()}
    return counts | {groups / name: len(faces) for name, faces in noses.items()}


def paid_beyond_faces(bill: Bill, photos: Mapping[Path, int]) -> dict[Path, int]:
    """Of each photo: the paid calls beyond one for each face."""
    before = bill.gate.paid
    said = bill.customer("upload", *photos, "--now")
    paid = {photo: told(said, f"assets/{photo.stem}: .* (\\d+) paid calls") for photo in photos}
    assert sum(paid.values()) == bill.gate.paid - before
    bill.lines += [
        f"{calls:5} paid calls: {photo.name}, {photos[photo]} faces"
        for photo, calls in paid.items()
    ]
    assert bill.of("all photos looked at again", "tag") == 0
    return {photo: calls - photos[photo] for photo, calls in paid.items()}


def told(said: str, pattern: str) -> int:
    """The number in the only line of that pattern; 0 if there is none."""
    found = [re.fullmatch(pattern, line) for line in said.splitlines()]
    (number,) = [match[1] for match in found if match] or ["0"]
    return int(number)


def named(facelabel: Program, photos: Mapping[Path, int]) -> dict[str, list[str]]:
    """The names on each photo."""
    assets = facelabel.json("library", "assets")
    assert len(assets) == len(photos)
    return {asset["public_id"]: sorted(asset["tags"]) for asset in assets}


# ---- kill -9


@pytest.fixture
def gate(amazon: Served) -> Iterator[Toll]:
    """What counts and kills."""
    with toll(amazon.url) as gate:
        yield gate


@pytest.fixture
def payer(program: Program, gate: Toll, collection: str) -> Program:
    """The program, which asks Amazon through the gate."""
    return customer(program, gate.url, collection)


def worked_off(payer: Program) -> bool:
    """Work what is due; whether nothing is left."""
    inside = Inside.of(payer)
    inside("worker", "--once")
    return "nothing waits" in inside("jobs", "list")


def settle(payer: Program) -> None:
    """Work until nothing is left: the leases of the dead end."""
    until(lambda: worked_off(payer))
    assert "none has failed" in Inside.of(payer)("jobs", "list")


def enqueue_portraits(payer: Program, folder: Path, number: int = 1) -> None:
    """Upload a portrait of each of the four."""
    for person in PEOPLE:
        portrait = folder / f"{person}{number}.jpg"
        Inside.of(payer)("upload", portrait, "--folder", "training", "--label", person)


def face_tags(facelabel: Program) -> set[str]:
    """The faces that the portraits are tagged with."""
    tags = [tag for image in facelabel.json("library", "training") for tag in image["tags"]]
    return {tag.removeprefix("faceId:") for tag in tags if tag.startswith("faceId:")}


def assert_one_face_each(
    payer: Program, rekognition: BaseClient, collection: str, portraits: int = len(PEOPLE)
) -> None:
    """Each portrait has one face at Amazon, and that is the one we know."""
    inside = Inside.of(payer)
    assert sum(known(inside).values()) == portraits
    faces = faces_of(rekognition, collection)
    assert len({face["ExternalImageId"] for face in faces}) == len(faces) == portraits
    assert face_tags(inside) == {face["FaceId"] for face in faces}
    assert "what is learnt and the training folder agree" in inside("index", "--check", "--dry-run")


MOMENTS = pytest.mark.parametrize("answered", [False, True], ids=["asked", "answered"])


@MOMENTS
def test_killed_while_it_learns(
    payer: Program, gate: Toll, photos: Path, rekognition: BaseClient, collection: str,
    *, answered: bool,
) -> None:  # fmt: skip
    """A face that is in the collection and on no record goes, and costs one call more."""
    payer.environment["FACELABEL_LEASE"] = "2"
    enqueue_portraits(payer, photos / "people")
    assert gate.kill(payer, Moment("IndexFaces", 2, answered), "worker", "--once")
    assert len(faces_of(rekognition, collection)) == (2 if answered else 1)
    settle(payer)
    assert_one_face_each(payer, rekognition, collection)
    assert gate.paid == gate.calls["IndexFaces"] == len(PEOPLE) + answered


@MOMENTS
def test_killed_while_it_searches(
    payer: Program, gate: Toll, photos: Path, *, answered: bool
) -> None:
    """The photo is searched again, once; it has the names it would have had."""
    payer.environment["FACELABEL_LEASE"] = "2"
    inside = Inside.of(payer)
    enqueue_portraits(payer, photos / "people")
    settle(payer)
    inside("upload", photos / "people" / "party.jpg")
    before = gate.paid
    assert gate.kill(payer, Moment("SearchFacesByImage", 3, answered), "worker", "--once")
    assert inside.json("show", "assets/party")["tags"] == []
    settle(payer)
    assert sorted(inside.json("show", "assets/party")["tags"]) == sorted(PEOPLE)
    assert gate.paid - before <= 2 * len(PEOPLE)
    inside("tag")
    assert gate.paid - before <= 2 * len(PEOPLE)


@MOMENTS
def test_killed_while_it_rebuilds(
    payer: Program, gate: Toll, photos: Path, rekognition: BaseClient, collection: str,
    *, answered: bool,
) -> None:  # fmt: skip
    """It goes on where it was; a face it had learnt and not recorded goes."""
    payer.environment["FACELABEL_LEASE"] = "2"
    inside = Inside.of(payer)
    enqueue_portraits(payer, photos / "people")
    settle(payer)
    before = gate.paid
    assert gate.kill(payer, Moment("IndexFaces", 3, answered), "index", "--rebuild")
    names = rekognition.list_collections()["CollectionIds"]
    (new,) = (name for name in names if name.startswith(f"{collection}-"))

    def switched() -> bool:
        inside("worker", "--once")
        return face_tags(inside) == {face["FaceId"] for face in faces_of(rekognition, new)}

    until(switched)
    assert_one_face_each(payer, rekognition, new)
    assert gate.paid - before == len(PEOPLE) + answered


@pytest.mark.soak
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"FACELABEL_REKOGNITION_USERS": "true"},
        {"FACELABEL_REKOGNITION_DETECTION": "rekognition"},
    ],
    ids=["faces", "users", "detection"],
)
def test_killed_at_each_call(
    payer: Program, gate: Toll, photos: Path, rekognition: BaseClient, collection: str,
    settings: Mapping[str, str],
) -> None:  # fmt: skip
    """Deaths at the first call of a job, at its second, …; then of those who come after them."""
    payer.environment.update(settings)
    inside, life = Inside.of(payer), Deaths(payer, gate)
    enqueue_portraits(payer, photos / "people")
    settle(payer)
    portrait = (photos / "people" / "Obama2.jpg").read_bytes()
    before, learnt = gate.calls["IndexFaces"], []
    for number, _ in enumerate(life.at_each_call(), start=1):
        learnt.append(f"Obama-{number}")
        copy = inside_file(payer, learnt[-1], portrait + bytes(number))
        inside("upload", copy, "--folder", "training", "--label", "Obama")
    life.of_the_next()
    assert_one_face_each(payer, rekognition, collection, len(PEOPLE) + len(learnt))
    assert gate.calls["IndexFaces"] - before <= len(learnt) + life.count
    print(f"{life.count} deaths while {len(learnt)} portraits were learnt")  # noqa: T201 - same


def inside_file(program: Program, name: str, data: bytes) -> Path:
    """A picture in the program's folder."""
    path = program.folder / f"{name}.jpg"
    path.write_bytes(data)
    return path


@dataclass
class Deaths:
    """Workers that die, each at another moment."""

    payer: Program
    gate: Toll
    count: int = 0

    def at_each_call(self) -> Iterator[None]:
        """Have a worker die at its first call, one at its second …, until one does not.

        Between two, there is to be more to do; what was in hand is left alone for a while.
        """
        self.payer.environment["FACELABEL_LEASE"] = "20"
        for turn in itertools.count(2):
            yield
            if not self._dies(Moment("", turn // 2, answered=turn % 2 == 1)):
                return

    def of_the_next(self) -> None:
        """Have those die who take over what was left, and then let one end it."""
        self.payer.environment["FACELABEL_LEASE"] = "2"
        for number, answered in itertools.product(range(1, 6), (False, True)):
            until(partial(self._dies_or_is_idle, Moment("", number, answered)))
        settle(self.payer)

    def _dies_or_is_idle(self, moment: Moment) -> bool:
        return self._dies(moment) or worked_off(self.payer)

    def _dies(self, moment: Moment) -> bool:
        died = self.gate.kill(self.payer, moment, "worker", "--once")
        self.count += died
        return died
