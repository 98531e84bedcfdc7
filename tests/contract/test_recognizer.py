"""What every :class:`~facelabel.recognition.ports.Recognizer` promises."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from tests.contract.rekognition_endpoint import KEY, running, site
from tests.photographs import PEOPLE

from facelabel.adapters.aws.clients import new_session
from facelabel.adapters.rekognition.client import Client
from facelabel.adapters.rekognition.recognizer import RekognitionRecognizer
from facelabel.core.model import Asset, Noted, SearchRecord
from facelabel.errors import NotFound, UnreadableImage, UnusableFace
from facelabel.gallery.matrix_index import MatrixIndex
from facelabel.gallery.recognizer import LocalRecognizer
from facelabel.testing import MemoryProbes, MemoryRecognizer, MemoryTemplates, portrait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.engines import Remembering

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import Face
    from facelabel.gallery.ports import FaceEngine
    from facelabel.recognition.ports import Recognizer

    #: Gives a picture of one of PEOPLE alone, of all together, or of nobody.
    Camera = Callable[..., bytes]


def asset(name: str, version: int = 1) -> Asset:
    """Return a picture."""
    return Asset(name, name, "assets", version, "jpg", 1, "")


def search(name: str, version: int = 1) -> SearchRecord:
    """Return the ledger's line about a picture."""
    return SearchRecord(name, name, version, "family", 1, "80/1", "", ())


class RecognizerContract:
    """The promises; a subclass makes the recogniser and the pictures."""

    @pytest.fixture
    def recognizer(self) -> Recognizer:
        raise NotImplementedError

    @pytest.fixture
    def camera(self) -> Camera:
        raise NotImplementedError

    @pytest.fixture
    def family(self, recognizer: Recognizer, camera: Camera) -> Recognizer:
        """The recogniser with the four learnt."""
        recognizer.create("family")
        for person in PEOPLE:
            recognizer.enrol("family", camera(person), person, asset(person))
        return recognizer

    def test_everybody_on_a_picture_is_found(self, family: Recognizer, camera: Camera) -> None:
        probe_result = family.identify("family", camera(*PEOPLE))
        assert {face.hits[0].person for face in probe_result.faces} == set(PEOPLE)
        for face in probe_result.faces:
            similarities = [hit.similarity for hit in face.hits]
            assert similarities == sorted(similarities, reverse=True)
            assert all(0 <= similarity <= 100 for similarity in similarities)
            assert similarities[0] >= 80
            assert all(0 <= side <= 1 for side in (face.face.box.width, face.face.box.height))

    def test_hits_show_a_runner_up(self, family: Recognizer, camera: Camera) -> None:
        (face,) = family.identify("family", camera("Hopper")).faces
        assert face.hits[0].person == "Hopper"
        assert len({hit.person for hit in face.hits}) >= 2

    def test_nobody_on_a_picture_is_a_result(self, family: Recognizer, camera: Camera) -> None:
        assert family.identify("family", camera()).faces == ()

    def test_an_empty_collection_knows_nobody(self, recognizer: Recognizer, camera: Camera) -> None:
        recognizer.create("family")
        (face,) = recognizer.identify("family", camera("Hopper")).faces
        assert face.hits == ()

    def test_what_is_no_image_is_refused(self, family: Recognizer) -> None:
        with pytest.raises(UnreadableImage):
            family.identify("family", b"no image")
        with pytest.raises(UnreadableImage):
            family.enrol("family", b"no image", "Hopper", asset("none"))

    def test_training_needs_one_face(self, family: Recognizer, camera: Camera) -> None:
        before = list(family.faces("family"))
        for people in ((), PEOPLE):
            with pytest.raises(UnusableFace) as refused:
                family.enrol("family", camera(*people), "Hopper", asset("wrong"))
            assert str(refused.value)
        assert list(family.faces("family")) == before

    def test_faces_are_listed(self, family: Recognizer) -> None:
        faces = list(family.faces("family"))
        assert sorted(face.person for face in faces) == sorted(PEOPLE)
        assert len({face.face_id for face in faces}) == len(PEOPLE)
        some = [faces[0].face_id, "00000000-0000-0000-0000-000000000000"]
        assert [face.face_id for face in family.faces("family", some)] == some[:1]

    def test_a_forgotten_face_is_gone(self, family: Recognizer, camera: Camera) -> None:
        gone = [face.face_id for face in family.faces("family") if face.person == "Obama"]
        family.forget("family", gone)
        family.forget("family", gone)
        (face,) = family.identify("family", camera("Obama")).faces
        assert "Obama" not in {hit.person for hit in face.hits}
        assert "Obama" not in {face.person for face in family.faces("family")}

    def test_collections_are_apart(self, family: Recognizer, camera: Camera) -> None:
        family.create("family")  # once more: nothing changes
        family.create("others")
        assert set(family.collections()) >= {"family", "others"}
        assert list(family.faces("others")) == []
        (face,) = family.identify("others", camera("Obama")).faces
        assert face.hits == ()
        family.drop("others")
        family.drop("others")
        assert "others" not in family.collections()
        assert len(list(family.faces("family"))) == len(PEOPLE)

    def test_a_collection_made_again_is_empty(self, family: Recognizer, camera: Camera) -> None:
        family.drop("family")
        with pytest.raises(NotFound):
            family.identify("family", camera("Hopper"))
        family.create("family")
        assert list(family.faces("family")) == []

    def test_a_rival_is_somebody_else(self, family: Recognizer, camera: Camera) -> None:
        one, another = PEOPLE[:2]
        twin = family.enrol("family", camera(one), "Twin", asset("twin"))
        ids = {face.person: face.face_id for face in family.faces("family")}
        rivals = family.rivals("family", [twin.face_id, ids[another], "nobody"])
        if rivals:  # a recogniser to which each comparison is paid tells of none
            assert set(rivals) == {twin.face_id, ids[another]}
            assert (rivals[twin.face_id].person, rivals[twin.face_id].face_id) == (
                one,
                ids[one],
            )
            assert rivals[twin.face_id].similarity > 90 > rivals[ids[another]].similarity
            assert rivals[ids[another]].person != another

    def test_one_that_takes_anothers_place_leaves_nothing_of_it(self, family: Recognizer) -> None:
        family.create("heir")
        assert family.strangers("family", family.model("heir")) == 0
        family.supersede("family", "heir")
        family.supersede("family", "heir")  # a process died before it noted that
        assert "family" not in family.collections()
        assert list(family.faces("heir")) == []  # what we enrolled is learnt anew
        assert family.strangers("family", "other/1") == 0

    def test_an_unknown_collection_is_told(self, recognizer: Recognizer, camera: Camera) -> None:
        calls: Sequence[Callable[[], object]] = (
            lambda: recognizer.model("family"),
            lambda: list(recognizer.faces("family")),
            lambda: recognizer.identify("family", camera("Hopper")),
            lambda: recognizer.enrol("family", camera("Hopper"), "Hopper", asset("Hopper")),
        )
        for call in calls:
            with pytest.raises(NotFound):
                call()

    def test_what_was_kept_of_a_picture_is_searched_again(
        self, family: Recognizer, camera: Camera
    ) -> None:
        obama = [face.face_id for face in family.faces("family") if face.person == "Obama"]
        family.forget("family", obama)
        family.identify("family", camera("Obama"), asset("party", version=3))
        family.enrol("family", camera("Obama"), "Obama", asset("Obama"))
        recalled = family.search_stored("family", [search("party", version=3)])
        # A recogniser that keeps nothing answers nothing; the caller then asks with the image.
        for probe_result in recalled.values():
            assert [face.hits[0].person for face in probe_result.faces] == ["Obama"]
        assert family.search_stored("family", [search("party", version=4), search("never")]) == {}
        family.discard("party")
        family.discard("party")
        assert family.search_stored("family", [search("party", version=3)]) == {}

    def test_a_picture_is_unmoved_while_it_would_be_seen_the_same(
        self, family: Recognizer, camera: Camera
    ) -> None:
        note = family.identify("family", camera("Obama"), asset("party", version=3)).note
        if note is None:  # all are decided again
            assert family.unmoved("family", [Noted("party", 3, b"whatever")]) == {}
            return
        (recalled,) = family.search_stored("family", [search("party", version=3)]).values()
        assert recalled.note == note
        others = [Noted("party", 4, note), Noted("never", 3, note), Noted("party", 3, b"no note")]
        assert family.unmoved("family", others) == family.unmoved("family", ()) == {}
        assert set(family.unmoved("family", [Noted("party", 3, note)])) == {"party"}
        obama = [face.face_id for face in family.faces("family") if face.person == "Obama"]
        family.forget("family", obama)
        assert family.unmoved("family", [Noted("party", 3, note)]) == {}

    def test_a_picture_without_faces_never_moves(self, family: Recognizer, camera: Camera) -> None:
        note = family.identify("family", camera(), asset("landscape")).note
        family.enrol("family", camera("Obama"), "Somebody", asset("Somebody"))
        if note is not None:
            assert set(family.unmoved("family", [Noted("landscape", 1, note)])) == {"landscape"}
        family.discard("landscape")
        assert family.unmoved("family", [Noted("landscape", 1, note or b"")]) == {}

    def test_sightings_name_engine_and_model(self, family: Recognizer, camera: Camera) -> None:
        probe_result = family.identify("family", camera("Hopper"))
        assert family.model("family") in probe_result.model


class TestMemoryRecognizer(RecognizerContract):
    """The fake."""

    @pytest.fixture
    def recognizer(self) -> Recognizer:
        return MemoryRecognizer()

    @pytest.fixture
    def camera(self) -> Camera:
        return portrait


@pytest.fixture
def engine(classic_engine: Remembering) -> FaceEngine:
    """The real engine."""
    return classic_engine


@pytest.fixture
def studio(photos: Path) -> Camera:
    """Real people."""

    def picture(*people: str) -> bytes:
        names = {0: "groups/nobody.jpg", 1: f"people/{''.join(people)}1.jpg"}
        return (photos / names.get(len(people), "people/party.jpg")).read_bytes()

    return picture


class TestLocalRecognizer(RecognizerContract):
    """The real engine on real photos."""

    @pytest.fixture
    def recognizer(self, engine: FaceEngine, tmp_path: Path) -> Recognizer:
        templates = MemoryTemplates()
        index = MatrixIndex(templates, tmp_path)
        return LocalRecognizer(lambda _: engine, templates, index, MemoryProbes())

    @pytest.fixture
    def camera(self, studio: Camera) -> Camera:
        return studio


class TestRekognitionRecognizer(RecognizerContract):
    """Amazon's, as our own endpoint plays it: each way to find faces and people."""

    @pytest.fixture(
        params=[
            "plain", "users, local detection",
            pytest.param("users", marks=pytest.mark.soak),
            pytest.param("local detection", marks=pytest.mark.soak),
        ]
    )  # fmt: skip
    def recognizer(
        self,
        request: pytest.FixtureRequest,
        engine: FaceEngine,
        sqlite: Database,
        tmp_path: Path,
    ) -> Iterator[Recognizer]:
        way: str = request.param
        with running(site(engine, sqlite, tmp_path)) as url:
            recognizer = RekognitionRecognizer(
                Client(
                    "us-east-1",
                    endpoint=url,
                    keys=(KEY.key, KEY.secret),
                    rate=1000.0,
                    session=new_session(),
                ),
                detect=partial(detected, engine) if "local" in way else None,
                users="users" in way,
            )
            yield recognizer
            recognizer.close()

    @pytest.fixture
    def camera(self, studio: Camera) -> Camera:
        return studio


def detected(engine: FaceEngine, image: bytes) -> list[Face]:
    """Find faces on this computer."""
    return [template.face for template in engine.analyse(image).templates]
