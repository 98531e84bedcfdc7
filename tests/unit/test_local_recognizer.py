"""The local recogniser over scripted faces and in-memory ports."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from facelabel.core.model import Analysis, Asset, EnrolledFace, Reason, SearchRecord, Template
from facelabel.core.quality import Comparable
from facelabel.errors import (
    ConfigurationError,
    NotFound,
    Rejected,
    UnreadableImage,
    UnusableFace,
)
from facelabel.gallery.recognizer import LocalRecognizer
from facelabel.rekognition.types import NewFace
from facelabel.testing import MemoryIndex, MemoryProbes, MemoryTemplates, some_face, vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.core.model import Face
    from facelabel.gallery.ports import TemplateRows, VectorIndex

HOME = "people"


def asset(name: str = "picture", version: int = 1) -> Asset:
    """Return a picture."""
    return Asset(name, name, "assets", version, "jpg", 1, "")


def turned(degrees: float) -> bytes:
    """Return a unit vector at this angle: its distance from another is 2 sin(half the angle)."""
    return vector(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))


def shows(*degrees: float) -> Analysis:
    """Return the analysis of an image with good faces at these angles."""
    return Analysis(100, 100, tuple(Template(some_face(), turned(angle)) for angle in degrees))


def poor(*reasons: Reason) -> Template:
    """Return a face that carries reasons."""
    return Template(replace(some_face(), reasons=reasons), turned(90))


class ScriptedEngine:
    """Sees in each image what it was told; similarity falls from 100 to 0 with the distance."""

    dimensions = 2
    comparable = Comparable()

    def __init__(self, model: str = "scripted/1", *, calibrated: bool = True) -> None:
        """Know no image yet."""
        self.model = model
        self.calibrated = calibrated
        self.fall = 50.0
        self.script: dict[bytes, Analysis] = {}
        self.analysed: list[bytes] = []

    @property
    def curve(self) -> str:
        """See :class:`facelabel.gallery.ports.FaceEngine`."""
        return f"falls by {self.fall}"

    def analyse(self, image: bytes) -> Analysis:
        """See :class:`facelabel.gallery.ports.FaceEngine`."""
        self.analysed.append(image)
        if image not in self.script:
            raise UnreadableImage
        return self.script[image]

    def faces(self, image: bytes) -> Sequence[Face]:
        """See :class:`facelabel.gallery.ports.FaceEngine`."""
        return [template.face for template in self.analyse(image).templates]

    def similarity(self, distance: float) -> float:
        """See :class:`facelabel.gallery.ports.FaceEngine`."""
        if not self.calibrated:
            raise ConfigurationError("this pack has no calibration")
        return 100 - self.fall * distance


class CountingIndex(MemoryIndex):
    """Remembers what was asked of it."""

    def __init__(self, templates: TemplateRows) -> None:
        """Start with no question."""
        super().__init__(templates)
        self.asked: list[tuple[int, int]] = []
        self.dropped: list[int] = []

    def search(
        self,
        collection_id: int,
        vectors: Sequence[bytes],
        count: int,
        position: tuple[int, int] | None = None,
    ) -> Sequence[Sequence[tuple[int, float]]]:
        """See :class:`facelabel.gallery.ports.VectorIndex`."""
        self.asked.append((len(vectors), count))
        return super().search(collection_id, vectors, count, position)

    def drop(self, collection_id: int) -> None:
        """See :class:`facelabel.gallery.ports.VectorIndex`."""
        self.dropped.append(collection_id)


class World:
    """A recogniser with its parts in reach."""

    def __init__(self) -> None:
        """Make one collection."""
        self.engines = {"scripted/1": ScriptedEngine()}
        self.newest = "scripted/1"
        self.templates = MemoryTemplates()
        self.probes = MemoryProbes()
        self.index = CountingIndex(self.templates)
        self.recognizer = self.recogniser()
        self.recognizer.create(HOME)

    def recogniser(
        self, index: VectorIndex | None = None, *, min_people: int = 2, most_added: int = 4096
    ) -> LocalRecognizer:
        """Return another one over the same parts, or with another index."""
        return LocalRecognizer(
            lambda model: self.engines[model or self.newest],
            self.templates,
            index or self.index,
            self.probes,
            min_people=min_people,
            most_added=most_added,
        )

    @property
    def engine(self) -> ScriptedEngine:
        """The engine of the collection."""
        return self.engines["scripted/1"]

    def learn(self, person: str, degrees: float, image: bytes | None = None) -> EnrolledFace:
        """Enrol a face at this angle."""
        image = image or f"{person} {degrees}".encode()
        self.engine.script[image] = shows(degrees)
        return self.recognizer.enrol(HOME, image, person, asset(f"portrait of {person}"))

    def add_nameless(self, face_id: str, degrees: float) -> None:
        """Put a face there as a client does that says of nobody whose it is."""
        template = Template(some_face(), turned(degrees))
        self.templates.add(HOME, [NewFace(face_id, "", None, "", template)])

    def refusal(self, analysis: Analysis) -> str:
        """Return why this image is not enrolled."""
        self.engine.script[b"refused"] = analysis
        with pytest.raises(UnusableFace) as refused:
            self.recognizer.enrol(HOME, b"refused", "Ann", asset())
        assert list(self.recognizer.faces(HOME)) == []
        return str(refused.value)


@pytest.fixture
def world() -> World:
    return World()


def test_a_face_is_found_again_with_its_similarity(world: World) -> None:
    ann, bob = world.learn("Ann", 0), world.learn("Bob", 60)
    world.engine.script[b"party"] = shows(0, 61)
    probe_result = world.recognizer.identify(HOME, b"party")
    first, second = probe_result.faces
    assert [hit.face_id for hit in first.hits] == [ann.face_id, bob.face_id]
    assert first.hits[0].similarity == pytest.approx(100)
    assert first.hits[1].similarity == pytest.approx(50)  # 60 degrees are a distance of 1
    assert [hit.person for hit in second.hits] == ["Bob", "Ann"]
    assert probe_result.model == "facelabel scripted/1"
    assert world.index.asked == [(2, 16)]


def test_a_face_whose_embedding_is_known_is_found_as_one_on_a_picture(world: World) -> None:
    for degrees in (0, 40):
        world.learn("Ann", degrees)
    world.learn("Bob", 70)
    world.engine.script[b"picture"] = shows(22)
    (face,) = world.recognizer.identify(HOME, b"picture").faces
    looked = len(world.engine.analysed)
    assert world.recognizer.search(HOME, turned(22)) == face.hits
    assert len(world.engine.analysed) == looked
    with pytest.raises(Rejected, match="2 numbers, not 3"):
        world.recognizer.search(HOME, vector(1, 0, 0))
    with pytest.raises(NotFound):
        world.recognizer.search("nowhere", turned(22))


def test_the_mean_of_somebodys_references_is_one_more(world: World) -> None:
    """It is told by the nearest of them; who has one portrait has no other score than that."""
    ann = [world.learn("Ann", degrees) for degrees in (0, 40)]
    bob = world.learn("Bob", 70)
    world.engine.script[b"party"] = shows(22, 68)
    between, beside = world.recognizer.identify(HOME, b"party", asset("party")).faces
    assert [hit.face_id for hit in between.hits] == [ann[1].face_id, ann[0].face_id, bob.face_id]
    assert between.hits[0].similarity == pytest.approx(98.255, abs=0.01)  # 2 degrees
    assert between.hits[1].similarity == pytest.approx(80.919, abs=0.01)  # 22 degrees, as it is
    assert beside.hits[0].face_id == bob.face_id
    assert beside.hits[0].similarity == pytest.approx(98.255, abs=0.01)
    again = world.recognizer.search_stored(HOME, [search("party")])["party"]
    assert again.faces == (between, beside)
    world.recognizer.forget(HOME, [ann[0].face_id])
    alone = world.recognizer.search_stored(HOME, [search("party")])["party"].faces[0]
    assert alone.hits[0].similarity == pytest.approx(84.357, abs=0.01)  # 18 degrees


def test_rivals_are_portraits_and_no_means(world: World) -> None:
    for degrees in (0, 40):
        world.learn("Ann", degrees)
    bob = world.learn("Bob", 20)
    (rival,) = world.recognizer.rivals(HOME, [bob.face_id]).values()
    assert rival.similarity == pytest.approx(82.635, abs=0.01)  # 20 degrees


def test_faces_left_out_are_handed_on(world: World) -> None:
    left_out = (replace(some_face(), reasons=(Reason.EXCEEDS_MAX_FACES,)),)
    world.engine.script[b"crowd"] = replace(shows(0), left_out=left_out)
    assert world.recognizer.identify(HOME, b"crowd").left_out == left_out


def test_the_search_widens_until_a_second_person_appears(world: World) -> None:
    for number in range(70):
        world.learn("Ann", number / 10)
    world.learn("Bob", 90)
    world.index.asked.clear()
    world.engine.script[b"two"] = shows(0, 90)
    ann, bob = world.recognizer.identify(HOME, b"two").faces
    assert {hit.person for hit in ann.hits} == {"Ann", "Bob"}
    assert len(ann.hits) == 17  # the nearest, and the first of everybody else
    assert bob.hits[0].person == "Bob"
    assert world.index.asked == [(2, 16), (1, 64), (1, 256)]


def test_the_search_ends_where_there_is_only_one_person(world: World) -> None:
    for number in range(20):
        world.learn("Ann", number)
    world.engine.script[b"ann"] = shows(0)
    (face,) = world.recognizer.identify(HOME, b"ann").faces
    assert {hit.person for hit in face.hits} == {"Ann"}


def test_a_face_that_names_nobody_is_neither_a_hit_nor_listed(world: World) -> None:
    for number in range(20):
        world.add_nameless(f"f{number}", number / 10)
    world.learn("Ann", 60)
    world.learn("Bob", 90)
    world.engine.script[b"party"] = shows(0)
    (face,) = world.recognizer.identify(HOME, b"party").faces
    assert [hit.person for hit in face.hits] == ["Ann", "Bob"]
    assert [face.person for face in world.recognizer.faces(HOME)] == ["Ann", "Bob"]
    assert list(world.recognizer.faces(HOME, ["f1"])) == []


def test_a_row_deleted_since_the_search_is_skipped(world: World) -> None:
    ann = world.learn("Ann", 0)
    world.learn("Bob", 60)

    class Late(MemoryIndex):
        def search(
            self,
            collection_id: int,
            vectors: Sequence[bytes],
            count: int,
            position: tuple[int, int] | None = None,
        ) -> Sequence[Sequence[tuple[int, float]]]:
            found = super().search(collection_id, vectors, count, position)
            world.templates.delete(HOME, [ann.face_id])
            return found

    world.engine.script[b"party"] = shows(0)
    late = world.recogniser(Late(world.templates))
    (face,) = late.identify(HOME, b"party").faces
    assert [hit.person for hit in face.hits] == ["Bob"]


def test_the_same_image_and_person_is_the_same_face_and_not_analysed_again(world: World) -> None:
    first = world.learn("Ann", 0, b"portrait")
    again = world.recognizer.enrol(HOME, b"portrait", "Ann", asset("a copy"))
    assert again == first
    assert world.engine.analysed == [b"portrait"]
    assert world.learn("Bob", 0, b"portrait").face_id != first.face_id
    assert len(list(world.recognizer.faces(HOME))) == 2


def test_an_image_without_a_face_is_refused(world: World) -> None:
    assert world.refusal(Analysis(100, 100, ())) == "no face was found"


def test_an_image_of_several_people_is_refused(world: World) -> None:
    assert world.refusal(shows(0, 30, 60)) == "3 faces were found where one is expected"


def test_faces_beyond_the_limit_count_as_several(world: World) -> None:
    good, tiny = poor(Reason.EXCEEDS_MAX_FACES), poor(*Reason)
    crowd = replace(shows(0), left_out=(good.face, good.face, tiny.face))
    assert world.refusal(crowd) == "3 faces were found where one is expected"


def test_a_poor_face_is_refused_with_its_reasons(world: World) -> None:
    blurred = Analysis(100, 100, (poor(Reason.LOW_SHARPNESS, Reason.SMALL_BOUNDING_BOX),))
    assert world.refusal(blurred) == "the face is too blurred and too small"


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words(world: World, reason: Reason) -> None:
    said = world.refusal(Analysis(100, 100, (poor(reason),)))
    assert said.startswith("the face is ")
    assert said.islower()  # and not what programs call it


def test_a_small_face_in_the_background_does_not_matter(world: World) -> None:
    (good,) = shows(10).templates
    world.engine.script[b"portrait"] = Analysis(
        100, 100, (poor(Reason.LOW_CONFIDENCE), good, poor(Reason.SMALL_BOUNDING_BOX))
    )
    world.recognizer.enrol(HOME, b"portrait", "Ann", asset())
    ((_, kept),) = world.templates.vectors(1, 0, 9)
    assert kept == good.vector


def test_a_larger_face_that_is_too_poor_is_not_passed_over_for_a_good_one(world: World) -> None:
    scene = Analysis(100, 100, (poor(Reason.EXTREME_POSE), *shows(0).templates))
    assert world.refusal(scene) == "the face is turned too far away"


def test_an_unreadable_image_is_told(world: World) -> None:
    with pytest.raises(UnreadableImage):
        world.recognizer.enrol(HOME, b"?", "Ann", asset())
    with pytest.raises(UnreadableImage):
        world.recognizer.identify(HOME, b"?", asset())


def test_a_pack_without_calibration_names_nobody(world: World) -> None:
    world.learn("Ann", 0)
    world.engine.calibrated = False
    world.engine.script[b"party"] = shows(0)
    with pytest.raises(ConfigurationError, match="no calibration"):
        world.recognizer.identify(HOME, b"party")


def search(name: str, version: int = 1) -> SearchRecord:
    """Return the ledger's line about a picture."""
    return SearchRecord(name, name, version, HOME, 1, "80/1", "facelabel scripted/1", ())


def test_pictures_are_searched_again_without_images_and_all_at_once(world: World) -> None:
    world.engine.script[b"one"], world.engine.script[b"two"] = shows(0), shows(60, 0)
    world.recognizer.identify(HOME, b"one", asset("one"))
    world.recognizer.identify(HOME, b"two", asset("two"))
    world.recognizer.identify(HOME, b"two")  # without an asset nothing is kept
    ann = world.learn("Ann", 0)
    world.index.asked.clear()
    found = world.recognizer.search_stored(HOME, [search("one"), search("two"), search("three")])
    assert set(found) == {"one", "two"}
    assert found["one"].faces[0].hits[0].face_id == ann.face_id
    assert [face.hits[0].similarity for face in found["two"].faces] == pytest.approx([50, 100])
    assert world.index.asked == [(3, 16)]


def test_another_version_or_model_is_not_recalled(world: World) -> None:
    world.engine.script[b"one"] = shows(0)
    world.recognizer.identify(HOME, b"one", asset("one", version=2))
    assert world.recognizer.search_stored(HOME, [search("one", version=1)]) == {}
    assert set(world.recognizer.search_stored(HOME, [search("one", version=2)])) == {"one"}
    world.engines["scripted/2"] = ScriptedEngine("scripted/2")
    world.newest = "scripted/2"
    world.recognizer.create("new")
    assert world.recognizer.search_stored("new", [search("one", version=2)]) == {}
    world.recognizer.discard("one")
    assert world.recognizer.search_stored(HOME, [search("one", version=2)]) == {}


def test_a_collection_keeps_its_model_when_the_default_changes(world: World) -> None:
    world.engines["scripted/2"] = ScriptedEngine("scripted/2")
    world.newest = "scripted/2"
    world.recognizer.create(HOME)
    world.recognizer.create("new")
    assert world.recognizer.model(HOME) == "scripted/1"
    assert world.recognizer.model("new") == "scripted/2"
    assert world.recognizer.collections() == ["new", HOME]


def test_forgetting_reaches_the_index_at_once(world: World) -> None:
    ann = world.learn("Ann", 0)
    world.index.asked.clear()
    world.recognizer.forget(HOME, [ann.face_id, "unknown"])
    assert world.index.asked == [(0, 1)]
    assert list(world.recognizer.faces(HOME)) == []


def test_dropping_reaches_the_index(world: World) -> None:
    world.learn("Ann", 0)
    world.recognizer.drop(HOME)
    assert world.index.dropped == [1, 1]  # before and after the collection is gone
    world.recognizer.drop(HOME)
    with pytest.raises(NotFound):
        world.recognizer.faces(HOME)


def test_dropping_at_once_reaches_the_index_of_both(world: World) -> None:
    """Also for the slower one: a search may have made files since it looked."""

    class Overtaken(CountingIndex):
        def drop(self, collection_id: int) -> None:
            """Before the first one somebody else drops the collection."""
            if not self.dropped:
                world.templates.drop(HOME)
            super().drop(collection_id)

    index = Overtaken(world.templates)
    world.recogniser(index).drop(HOME)
    assert index.dropped == [1, 1]


def test_an_unknown_collection_is_told(world: World) -> None:
    recognizer = world.recognizer
    for call in (
        lambda: recognizer.model("none"),
        lambda: recognizer.faces("none"),
        lambda: recognizer.forget("none", ["face"]),
        lambda: recognizer.identify("none", b"party"),
        lambda: recognizer.search_stored("none", []),
        lambda: recognizer.enrol("none", b"party", "Ann", asset()),
    ):
        with pytest.raises(NotFound, match="there is no collection 'none'"):
            call()
