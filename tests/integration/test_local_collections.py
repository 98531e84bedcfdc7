"""Rekognition's face operations on real photos, with the engine, SQLite and the index."""

from __future__ import annotations

import io
import uuid
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from sqlalchemy import event
from sqlalchemy.engine import Engine as SqlEngine
from tests.engines import Remembering
from tests.photographs import PEOPLE

from facelabel.adapters.store.faces.face_users import StoreUsers
from facelabel.adapters.store.faces.galleries import StoreGalleries
from facelabel.adapters.store.faces.template_rows import StoreProbes
from facelabel.core.model import Asset, Reason, Template
from facelabel.core.quality import Comparable
from facelabel.errors import AlreadyExists, NotFound, UnreadableImage, UnusableFace
from facelabel.gallery import LocalCollections
from facelabel.gallery.matrix_index import MatrixIndex
from facelabel.gallery.recognizer import LocalRecognizer
from facelabel.rekognition import external_ids
from facelabel.rekognition.types import Failure, NewFace, QualityFilter, User, UserStatus
from facelabel.testing import ManualClock, some_face

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import Face
    from facelabel.engine.models.model_store import ModelStore
    from facelabel.gallery.ports import FaceEngine
    from facelabel.rekognition.ports import FaceCollections
    from facelabel.rekognition.types import Indexed

THRESHOLD = 80.0


class Desk:
    """The collections, and the pipeline's recogniser on the same database."""

    def __init__(self, engine: FaceEngine, database: Database, photos: Path, folder: Path) -> None:
        """Make the collection "c"."""
        clock = ManualClock()
        self.galleries = StoreGalleries(database, clock)
        self.index_folder = folder
        index = MatrixIndex(self.galleries, folder)
        self.photos = photos
        self.collections: FaceCollections = LocalCollections(
            lambda _: engine, self.galleries, StoreUsers(database, clock), index
        )
        probes = StoreProbes(database)
        self.recognizer = LocalRecognizer(lambda _: engine, self.galleries, index, probes)
        self.collections.create("c", {})

    def vector(self, face_id: str) -> bytes:
        """The vector of a face."""
        number = self.galleries.find("c").number
        return self.galleries.vectors_of(number, [face_id])[face_id][1]

    def photo(self, name: str) -> bytes:
        """A portrait, or a photo of a group."""
        path = name if "/" in name else f"people/{name}.jpg"
        return (self.photos / path).read_bytes()

    def index(
        self,
        name: str,
        external: str | None = None,
        *,
        max_faces: int | None = None,
        quality: QualityFilter = QualityFilter.AUTO,
    ) -> Indexed:
        """Add the faces of a photo."""
        photo = self.photo(name)
        return self.collections.index("c", photo, external, max_faces=max_faces, quality=quality)

    def learn(self, name: str, external: str | None = None) -> str:
        """Add the one face of a photo; return its id."""
        (face,) = self.index(name, external).faces
        return face.record.face_id

    def like(self, name: str, *, threshold: float = THRESHOLD, limit: int = 100) -> list[str]:
        """The ids of the faces like the largest of a photo."""
        search = self.collections.search_image(
            "c", self.photo(name), threshold=threshold, limit=limit, quality=QualityFilter.NONE
        )
        similarities = [match.similarity for match in search.matches]
        assert similarities == sorted(similarities, reverse=True)
        return [match.record.face_id for match in search.matches]

    def user(self, user_id: str, *face_ids: str) -> None:
        """Make a user of faces."""
        self.collections.create_user("c", user_id, None)
        association = self.collections.associate("c", user_id, face_ids, threshold=75, token=None)
        assert association.failed == ()

    def users_like(self, name: str, *, threshold: float = THRESHOLD) -> list[str]:
        """The users like the largest face of a photo."""
        search = self.collections.search_users_image(
            "c", self.photo(name), threshold=threshold, limit=9, quality=QualityFilter.NONE
        )
        return [match.user.user_id for match in search.matches]


@pytest.fixture
def desk(classic_engine: FaceEngine, sqlite: Database, photos: Path, tmp_path: Path) -> Desk:
    return Desk(classic_engine, sqlite, photos, tmp_path / "vectors")


class _Choosy(Remembering):
    """Says of no face that it can be compared with others that nobody enrolled."""

    def __init__(self, store: ModelStore, name: str) -> None:
        super().__init__(store, name)
        self.comparable = Comparable(norms=(1e6,))


@pytest.fixture
def strict(classic_pack_store: ModelStore, sqlite: Database, photos: Path, tmp_path: Path) -> Desk:
    return Desk(_Choosy(classic_pack_store, "classic"), sqlite, photos, tmp_path / "vectors")


def area(face: Face) -> float:
    return face.box.width * face.box.height


GROUP = "people/party.jpg"
NOBODY = "groups/nobody.jpg"
#: Eight blurred faces: all too poor to enrol, three of them not by far.
CROWD = "groups/crowd.jpg"
#: Four faces, each smaller than the one before; the two in the middle are blurred.
QUEUE = "groups/queue.jpg"


class TestCollections:
    """As a whole."""

    def test_a_collection_has_the_engines_model(
        self, desk: Desk, classic_engine: FaceEngine
    ) -> None:
        made = desk.collections.create("d", {"team": "blue"})
        assert (made.name, made.model, made.faces) == ("d", classic_engine.model, 0)
        assert desk.collections.tags("d") == {"team": "blue"}
        with pytest.raises(AlreadyExists):
            desk.collections.create("d", {})
        assert [c.name for c in desk.collections.collections("", 9)] == ["c", "d"]

    def test_a_deleted_one_leaves_nothing(self, desk: Desk) -> None:
        desk.user("obama", desk.learn("Obama1"))
        assert desk.users_like("Obama2") == ["obama"]
        assert desk.like("Obama2")
        assert len(list(desk.index_folder.glob("*.matrix"))) == 2
        desk.collections.delete("c")
        assert list(desk.index_folder.iterdir()) == []
        with pytest.raises(NotFound):
            desk.collections.describe("c")
        with pytest.raises(NotFound):
            desk.collections.model("c")

    def test_the_pipeline_drops_the_users_matrix_too(self, desk: Desk) -> None:
        desk.user("obama", desk.learn("Obama1"))
        assert desk.users_like("Obama2") == ["obama"]
        desk.recognizer.drop("c")
        assert list(desk.index_folder.iterdir()) == []


class TestIndex:
    """Which faces are added."""

    def test_every_face_largest_first(self, desk: Desk) -> None:
        indexed = desk.index(GROUP, "party")
        sizes = [area(face.detail) for face in indexed.faces]
        assert len(sizes) == 4
        assert sizes == sorted(sizes, reverse=True)
        assert indexed.unindexed == ()
        assert {face.record.external_image_id for face in indexed.faces} == {"party"}
        assert len({face.record.image_id for face in indexed.faces}) == 1
        for face in indexed.faces:
            assert str(uuid.UUID(face.record.face_id)) == face.record.face_id
            assert face.record.box == face.detail.box

    def test_the_same_again_adds_nothing(self, desk: Desk) -> None:
        first = desk.index(GROUP, "party")
        assert desk.index(GROUP, "party") == first
        other = desk.index(GROUP, "another id")
        ids = [{face.record.face_id for face in one.faces} for one in (first, other)]
        assert not ids[0] & ids[1]
        assert other.faces[0].record.image_id == first.faces[0].record.image_id
        described = desk.collections.describe("c")
        assert (described.faces, described.model) == (8, desk.collections.model("c"))

    def test_nobody_is_a_result(self, desk: Desk) -> None:
        indexed = desk.index(NOBODY)
        assert (indexed.faces, indexed.unindexed) == ((), ())

    @pytest.mark.parametrize(
        ("quality", "number"), [("NONE", 8), ("AUTO", 0), ("LOW", 3), ("MEDIUM", 0), ("HIGH", 0)]
    )
    def test_poor_faces_are_filtered(self, desk: Desk, quality: str, number: int) -> None:
        indexed = desk.index(CROWD, quality=QualityFilter(quality))
        assert len(indexed.faces) == number
        assert len(indexed.unindexed) == 8 - number
        assert all(face.reasons for face in indexed.unindexed)

    def test_the_bars_rise(self, desk: Desk) -> None:
        bars = (QualityFilter.NONE, QualityFilter.LOW, QualityFilter.MEDIUM, QualityFilter.HIGH)
        for name in (QUEUE, CROWD, GROUP):
            kept = [
                {face.record.face_id for face in desk.index(name, quality=bar).faces}
                for bar in bars
            ]
            assert kept[0] >= kept[1] >= kept[2] >= kept[3]

    def test_those_that_cannot_be_compared_are_filtered(self, strict: Desk) -> None:
        for bar in set(QualityFilter) - {QualityFilter.NONE}:
            (left,) = strict.index("Obama1", quality=bar).unindexed
            assert left.reasons == (Reason.LOW_FACE_QUALITY,)
        assert len(strict.index("Obama1", quality=QualityFilter.NONE).faces) == 1
        (blurred, *_) = strict.index(CROWD, quality=QualityFilter.MEDIUM).unindexed
        assert blurred.reasons.count(Reason.LOW_SHARPNESS) == 1

    def test_searching_what_was_enrolled_is_not_restricted(self, strict: Desk) -> None:
        strict.index("Obama1", quality=QualityFilter.NONE)
        for bar in QualityFilter:
            found = strict.collections.search_image(
                "c", strict.photo("Obama2"), threshold=THRESHOLD, limit=9, quality=bar
            )
            assert len(found.matches) == 1

    def test_a_plain_portrait_passes_every_bar(self, desk: Desk) -> None:
        for bar in QualityFilter:
            assert len(desk.index("Obama1", quality=bar).faces) == 1

    def test_of_too_many_the_smallest_are_left_out(self, desk: Desk) -> None:
        everybody = desk.index(GROUP)
        two = desk.index(GROUP, max_faces=2)
        assert two.faces == everybody.faces[:2]
        assert [face.box for face in two.unindexed] == [f.detail.box for f in everybody.faces[2:]]
        assert {face.reasons for face in two.unindexed} == {(Reason.EXCEEDS_MAX_FACES,)}

    def test_of_too_many_the_poorest_are_left_out_first(self, desk: Desk) -> None:
        everybody = desk.index(QUEUE, quality=QualityFilter.NONE).faces
        poor = [bool(face.detail.reasons) for face in everybody]
        assert poor == [False, True, True, False]  # the smallest is better than those before it
        three = desk.index(QUEUE, quality=QualityFilter.NONE, max_faces=3)
        assert three.faces == (everybody[0], everybody[1], everybody[3])

    def test_faces_beyond_the_engines_limit_are_told(
        self, classic_pack_store: ModelStore, sqlite: Database, photos: Path, tmp_path: Path
    ) -> None:
        few = Remembering(classic_pack_store, "classic", max_faces=3)
        desk = Desk(few, sqlite, photos, tmp_path / "vectors")
        indexed = desk.index(GROUP)
        assert len(indexed.faces) == 3
        assert [face.reasons for face in indexed.unindexed] == [(Reason.EXCEEDS_MAX_FACES,)]
        assert len(desk.collections.detect(desk.photo(GROUP))) == 4

    def test_what_is_no_image_is_refused(self, desk: Desk) -> None:
        with pytest.raises(UnreadableImage):
            desk.collections.index("c", b"x", None, max_faces=1, quality=QualityFilter.AUTO)

    def test_a_collection_that_is_not_there_is_told(self, desk: Desk) -> None:
        photo = desk.photo("Obama1")
        with pytest.raises(NotFound, match="'no'"):
            desk.collections.index("no", photo, None, max_faces=1, quality=QualityFilter.AUTO)


class TestSearch:
    """Faces like one face."""

    def test_the_same_person_is_found(self, desk: Desk) -> None:
        faces = {name: desk.learn(name) for name in ("Obama1", "Obama2", "Hopper1", "Biden1")}
        assert set(desk.like("Obama3")) == {faces["Obama1"], faces["Obama2"]}
        assert desk.like("Hopper2") == [faces["Hopper1"]]
        assert desk.like("Collins1") == []

    def test_threshold_0_finds_the_nearest(self, desk: Desk) -> None:
        for name in ("Obama1", "Obama2", "Hopper1", "Biden1"):
            desk.learn(name)
        assert len(desk.like("Collins1", threshold=0)) == 4
        assert desk.like("Obama3", threshold=0, limit=2) == desk.like("Obama3", threshold=0)[:2]

    def test_a_face_does_not_find_itself(self, desk: Desk) -> None:
        obama, again, hopper = (desk.learn(name) for name in ("Obama1", "Obama2", "Hopper1"))
        found = desk.collections.search("c", obama, threshold=THRESHOLD, limit=9)
        assert [match.record.face_id for match in found] == [again]
        everybody = desk.collections.search("c", obama, threshold=0, limit=9)
        assert [match.record.face_id for match in everybody] == [again, hopper]
        assert len(desk.collections.search("c", obama, threshold=0, limit=1)) == 1
        with pytest.raises(NotFound, match="no face"):
            desk.collections.search("c", str(uuid.uuid4()), threshold=0, limit=9)

    def test_the_largest_face_is_searched_for(self, desk: Desk) -> None:
        ids = {desk.learn(f"{name}1"): name for name in PEOPLE}
        largest = desk.collections.detect(desk.photo(GROUP))[0]
        search = desk.collections.search_image(
            "c", desk.photo(GROUP), threshold=THRESHOLD, limit=9, quality=QualityFilter.NONE
        )
        assert search.searched == largest
        assert len({ids[match.record.face_id] for match in search.matches}) == 1

    @pytest.mark.parametrize(("name", "quality"), [(NOBODY, "NONE"), (CROWD, "AUTO")])
    def test_nobody_to_search_for_is_refused(self, desk: Desk, name: str, quality: str) -> None:
        with pytest.raises(UnusableFace):
            desk.collections.search_image(
                "c", desk.photo(name), threshold=0, limit=9, quality=QualityFilter(quality)
            )

    def test_a_deleted_face_is_found_no_more(self, desk: Desk) -> None:
        face = desk.learn("Obama1")
        assert desk.like("Obama2") == [face]
        assert desk.collections.delete_faces("c", [face]).deleted == (face,)
        assert desk.like("Obama2") == []

    def test_faces_can_be_searched_by_an_upright_copy(self, desk: Desk) -> None:
        face = desk.learn("Obama1")
        picture = Image.open(io.BytesIO(desk.photo("Obama2"))).rotate(90, expand=True)
        exif = picture.getexif()
        exif[0x0112] = 6  # to be shown turned to the right
        copy = io.BytesIO()
        picture.save(copy, "JPEG", exif=exif, quality=95)
        search = desk.collections.search_image(
            "c", copy.getvalue(), threshold=THRESHOLD, limit=9, quality=QualityFilter.NONE
        )
        assert [match.record.face_id for match in search.matches] == [face]
        (upright,) = desk.collections.detect(desk.photo("Obama2"))
        assert search.searched.box.left == pytest.approx(upright.box.left, abs=0.02)
        assert search.searched.box.height == pytest.approx(upright.box.height, abs=0.02)


class TestCompare:
    """One image with another."""

    def test_the_largest_face_is_compared_with_all(self, desk: Desk) -> None:
        comparison = desk.collections.compare(
            desk.photo("Hopper1"),
            desk.photo(GROUP),
            threshold=THRESHOLD,
            quality=QualityFilter.NONE,
        )
        (match,) = comparison.matches
        assert match.similarity >= THRESHOLD
        assert len(comparison.unmatched) == 3
        assert match.face not in comparison.unmatched
        assert comparison.source == desk.collections.detect(desk.photo("Hopper1"))[0]

    def test_matches_come_by_similarity(self, desk: Desk) -> None:
        comparison = desk.collections.compare(
            desk.photo("Hopper1"), desk.photo(GROUP), threshold=0, quality=QualityFilter.NONE
        )
        similarities = [match.similarity for match in comparison.matches]
        assert len(similarities) == 4
        assert similarities == sorted(similarities, reverse=True)
        assert comparison.unmatched == ()

    def test_it_agrees_with_the_search(self, desk: Desk) -> None:
        desk.learn("Obama1")
        compared = desk.collections.compare(
            desk.photo("Obama2"), desk.photo("Obama1"), threshold=0, quality=QualityFilter.NONE
        )
        searched = desk.collections.search_image(
            "c", desk.photo("Obama2"), threshold=0, limit=1, quality=QualityFilter.NONE
        )
        one, other = compared.matches[0].similarity, searched.matches[0].similarity
        assert one == pytest.approx(other, abs=0.01)

    def test_filtered_faces_are_not_compared(self, desk: Desk) -> None:
        comparison = desk.collections.compare(
            desk.photo("Hopper1"), desk.photo(CROWD), threshold=99.9, quality=QualityFilter.LOW
        )
        assert len(comparison.unmatched) == 3

    def test_faces_that_nobody_enrolled_are_compared_where_they_can_be(self, strict: Desk) -> None:
        two = strict.photo("Hopper1"), strict.photo("Hopper2")
        compare = strict.collections.compare
        (match,) = compare(*two, threshold=80, quality=QualityFilter.NONE).matches
        assert match.similarity > THRESHOLD
        for quality in set(QualityFilter) - {QualityFilter.NONE}:
            with pytest.raises(UnusableFace, match="no usable face"):
                compare(*two, threshold=80, quality=quality)

    @pytest.mark.parametrize("names", [("Hopper1", NOBODY), (NOBODY, "Hopper1")])
    def test_an_image_of_nobody_is_refused(self, desk: Desk, names: tuple[str, str]) -> None:
        source, target = map(desk.photo, names)
        with pytest.raises(UnusableFace, match="no face was found"):
            desk.collections.compare(source, target, threshold=80, quality=QualityFilter.NONE)


class TestUsers:
    """Somebody's faces, taken together."""

    def test_a_user_is_found(self, desk: Desk) -> None:
        desk.user("obama", desk.learn("Obama1"), desk.learn("Obama2"))
        desk.user("hopper", desk.learn("Hopper1"))
        desk.collections.create_user("c", "nobody yet", None)
        assert desk.users_like("Obama3") == ["obama"]
        assert desk.users_like("Hopper2") == ["hopper"]
        assert desk.users_like("Obama3", threshold=0) == ["obama", "hopper"]

    def test_users_like_a_face_or_a_user(self, desk: Desk) -> None:
        obama, again, hopper = (desk.learn(name) for name in ("Obama1", "Obama2", "Hopper1"))
        desk.user("obama", obama)
        desk.user("hopper", hopper)
        desk.collections.create_user("c", "empty", None)
        find = desk.collections.search_users
        by_face = find("c", face_id=again, threshold=THRESHOLD, limit=9)
        assert [match.user for match in by_face] == [User("obama", UserStatus.ACTIVE)]
        by_user = find("c", user_id="obama", threshold=0, limit=9)
        assert [match.user.user_id for match in by_user] == ["hopper"]
        assert len(find("c", face_id=obama, threshold=0, limit=1)) == 1
        assert list(find("c", user_id="empty", threshold=0, limit=9)) == []
        for unknown in ({"face_id": str(uuid.uuid4())}, {"user_id": "eve"}):
            with pytest.raises(NotFound):
                find("c", **unknown, threshold=0, limit=9)

    def test_somebody_elses_face_is_not_given(self, desk: Desk) -> None:
        desk.user("obama", desk.learn("Obama1"))
        hopper = desk.learn("Hopper1")
        given = desk.collections.associate("c", "obama", [hopper], threshold=75, token=None)
        (failed,) = given.failed
        assert failed.reasons == (Failure.LOW_MATCH_CONFIDENCE,)
        assert failed.confidence is not None
        assert failed.confidence < 75

    def test_the_other_faces_of_an_image_are_told(self, desk: Desk) -> None:
        desk.user("obama", desk.learn("Obama1"))
        everybody = desk.collections.detect(desk.photo(GROUP))
        search = desk.collections.search_users_image(
            "c", desk.photo(GROUP), threshold=0, limit=9, quality=QualityFilter.NONE
        )
        assert search.searched == everybody[0]
        assert list(search.unsearched) == list(everybody[1:])
        assert [match.user.user_id for match in search.matches] == ["obama"]

    def test_no_usable_face_is_a_result(self, desk: Desk) -> None:
        desk.user("obama", desk.learn("Obama1"))
        for name, others in ((NOBODY, 0), (CROWD, 8)):
            search = desk.collections.search_users_image(
                "c", desk.photo(name), threshold=0, limit=9, quality=QualityFilter.AUTO
            )
            assert (search.searched, search.matches) == (None, ())
            assert len([face for face in search.unsearched if face.reasons]) == others

    def test_reasons_are_the_filters_own(self, desk: Desk) -> None:
        search = desk.collections.search_users_image(
            "c", desk.photo(CROWD), threshold=0, limit=9, quality=QualityFilter.NONE
        )
        assert {face.reasons for face in search.unsearched} == {()}

    def test_a_user_without_faces_or_deleted_is_found_no_more(self, desk: Desk) -> None:
        obama = desk.learn("Obama1")
        desk.user("obama", obama)
        assert desk.users_like("Obama2") == ["obama"]
        desk.collections.disassociate("c", "obama", [obama], token=None)
        assert desk.users_like("Obama2", threshold=0) == []
        desk.collections.associate("c", "obama", [obama], threshold=75, token=None)
        assert desk.users_like("Obama2") == ["obama"]
        desk.collections.delete_user("c", "obama", None)
        assert desk.users_like("Obama2", threshold=0) == []
        assert list(desk.collections.users("c", "", 9)) == []

    def test_nobody_has_users_at_first(self, desk: Desk) -> None:
        assert desk.users_like("Obama1", threshold=0) == []


class TestPipeline:
    """One collection, seen from both sides."""

    def enrol(self, desk: Desk, name: str, person: str) -> str:
        asset = Asset(f"id of {name}", name, "training", 1, "jpg", 1, "")
        return desk.recognizer.enrol("c", desk.photo(name), person, asset).face_id

    def names(self, desk: Desk, name: str) -> list[str]:
        (face,) = desk.recognizer.identify("c", desk.photo(name)).faces
        return [hit.person for hit in face.hits if hit.similarity >= THRESHOLD]

    def test_what_it_enrolled_is_found(self, desk: Desk) -> None:
        face_id = self.enrol(desk, "Obama1", "José O'Brien")
        ((record,), _) = desk.collections.faces("c", 0, 9)
        assert record.face_id == face_id
        assert record.external_image_id == external_ids.encode("José O'Brien", "id of Obama1")
        assert desk.like("Obama2") == [face_id]

    def test_it_finds_what_was_indexed(self, desk: Desk) -> None:
        desk.learn("Obama1", external_ids.encode("José O'Brien"))
        desk.learn("Hopper1", "Grace.-.-.-Hopper")
        assert self.names(desk, "Obama2") == ["José O'Brien"]
        assert self.names(desk, "Hopper2") == ["Grace Hopper"]

    def test_a_face_without_an_external_id_is_no_name(self, desk: Desk) -> None:
        desk.learn("Obama1")
        assert list(desk.recognizer.faces("c")) == []
        (face,) = desk.recognizer.identify("c", desk.photo("Obama2")).faces
        assert face.hits == ()
        self.enrol(desk, "Obama3", "Obama")
        assert self.names(desk, "Obama2") == ["Obama"]

    def test_what_it_forgets_is_no_longer_a_users(self, desk: Desk) -> None:
        face_id = self.enrol(desk, "Obama1", "Obama")
        desk.user("obama", face_id)
        assert desk.users_like("Obama2") == ["obama"]
        vector = desk.vector(face_id)
        assert any(vector in path.read_bytes() for path in desk.index_folder.iterdir())
        desk.recognizer.forget("c", [face_id])
        assert desk.users_like("Obama2", threshold=0) == []
        assert not any(vector in path.read_bytes() for path in desk.index_folder.iterdir())


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """What is asked of any database."""
    seen: list[str] = []

    def note(*call: object) -> None:
        seen.append(str(call[2]))

    event.listen(SqlEngine, "before_cursor_execute", note)
    yield seen
    event.remove(SqlEngine, "before_cursor_execute", note)


def test_work_grows_and_statements_do_not(desk: Desk, statements: list[str]) -> None:
    template = _template(desk)

    def asked(call: Callable[[], object]) -> int:
        statements.clear()
        call()
        return len(statements)

    calls: Sequence[Callable[[], object]] = (
        lambda: desk.like("Obama1", threshold=0),
        lambda: desk.collections.faces("c", 0, 400),
        lambda: desk.collections.users("c", "", 400),
        lambda: desk.collections.collections("", 400),
    )
    counts = []
    for start in (0, 200):
        new = [NewFace(f"{n}", "d", None, "", template) for n in range(start, start + 200)]
        desk.galleries.add("c", new)
        for number in range(start, start + 200, 20):
            desk.user(f"u{number}", f"{number}")
            desk.collections.create(f"c{number}", {})
        desk.like("Obama1")  # the index catches up
        counts.append([asked(call) for call in calls])
    assert counts[0] == counts[1]


def _template(desk: Desk) -> Template:
    face_id = desk.learn("Obama1")
    vector = desk.vector(face_id)
    desk.collections.delete_faces("c", [face_id])
    return Template(some_face(), vector)
