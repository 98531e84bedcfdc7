"""What clients see of the store of collections, on both databases."""

from __future__ import annotations

import math
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from facelabel.adapters.store.faces.face_users import StoreUsers
from facelabel.adapters.store.faces.galleries import StoreGalleries
from facelabel.adapters.store.ledger.ledger import StoreLedger
from facelabel.core.model import Template
from facelabel.errors import AlreadyExists, NotFound, QuotaExceeded, Rejected, TokenReused
from facelabel.rekognition import external_ids
from facelabel.rekognition.types import (
    Association,
    Deletion,
    FaceCollection,
    FailedFace,
    Failure,
    Gallery,
    NewFace,
    User,
    UserStatus,
)
from facelabel.testing import ManualClock, some_face, vector

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facelabel.adapters.store.sql.database import Database
    from facelabel.gallery.ports import FaceUsers, Galleries, Templates

MODEL = "memory/1"
DAY = 24 * 3600.0


def turned(degrees: float) -> bytes:
    """Return a unit vector at this angle."""
    return vector(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))


def angle(data: bytes) -> float:
    """Return the angle of a vector, in degrees."""
    x, y = struct.unpack("<2f", data)
    assert math.hypot(x, y) == pytest.approx(1)
    return math.degrees(math.atan2(y, x))


def closeness(one: bytes, other: bytes) -> float:
    """100 for the same direction, 50 for a right angle."""
    return 100 - abs(angle(one) - angle(other)) / 1.8


def new(face_id: str, degrees: float = 0.0, external: str | None = None) -> NewFace:
    """Return a face at this angle."""
    person = external_ids.decode(external) if external else ""
    template = Template(some_face(), turned(degrees))
    return NewFace(face_id, "d" + face_id, external, person, template)


def enrolled(
    face_id: str, person: str, asset_id: str | None = None, degrees: float = 0.0
) -> NewFace:
    """Return a face at this angle as the pipeline enrols it."""
    return NewFace(
        face_id, "digest", None, person, Template(some_face(), turned(degrees)), asset_id
    )


class World:
    """Both sides of one database."""

    def __init__(self, database: Database) -> None:
        """Make the collection "people"."""
        self.clock = ManualClock()
        self.galleries: Galleries = StoreGalleries(database, self.clock)
        self.users = StoreUsers(database, self.clock)
        self.templates: Templates = StoreGalleries(database, self.clock)
        self.galleries.create("people", MODEL, 2, {})

    @property
    def gallery(self) -> Gallery:
        """The collection."""
        return self.galleries.find("people")

    def add(self, **degrees: float) -> None:
        """Add faces at these angles."""
        self.galleries.add("people", [new(name, at) for name, at in degrees.items()])

    def listed(self, after: int = 0, limit: int = 1000, **only: str) -> list[str]:
        """Return the ids of the faces."""
        return [f.face_id for f in self.galleries.faces("people", after, limit, **only)[0]]

    def associate(
        self, user_id: str, *face_ids: str, threshold: float = 0.0, token: str | None = None
    ) -> Association:
        """Give faces to a user."""
        return self.users.associate(
            "people",
            user_id,
            face_ids,
            similarity=closeness,
            threshold=threshold,
            token=token,
        )

    def user(self, user_id: str, *face_ids: str) -> None:
        """Make a user of faces."""
        self.users.create("people", user_id, None)
        if face_ids:
            assert self.associate(user_id, *face_ids).failed == ()

    def angle_of(self, user_id: str) -> float | None:
        """Return the angle of a user's vector."""
        found = self.users.vector("people", user_id)
        return angle(found[1]) if found else None


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Return either database."""
    found: Database = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def world(database: Database) -> World:
    """Return a world on either database."""
    return World(database)


class TestCollections:
    """As a whole."""

    def test_a_collection_is_made_once(self, world: World) -> None:
        made = world.galleries.create("x", MODEL, 2, {"a": "1"})
        assert made == FaceCollection("x", MODEL, 0, 0, world.clock.now())
        with pytest.raises(AlreadyExists, match="x"):
            world.galleries.create("x", MODEL, 2, {})
        assert world.galleries.describe("x") == made
        assert world.galleries.tags("x") == {"a": "1"}

    def test_it_counts_its_faces_and_users(self, world: World) -> None:
        world.add(f1=0, f2=10)
        world.user("ann", "f1")
        world.user("bob")
        described = world.galleries.describe("people")
        assert (described.faces, described.users) == (2, 2)

    def test_many_add_at_once(self, world: World) -> None:
        """More than there are connections to keep: some are closed when they come back."""
        with ThreadPoolExecutor(16) as pool:
            added = pool.map(
                lambda at: world.galleries.add("people", [new(f"f{at}"), new(f"g{at}")]), range(64)
            )
            ids = {record.face_id for records in added for record in records}
        assert len(ids) == 128
        assert ids == set(world.listed())

    def test_collections_are_listed_by_name_and_page(self, world: World) -> None:
        world.user("ann")  # its vectors' own collection is not listed
        for name in ("B", "a", "a-b", "people-2"):
            world.galleries.create(name, MODEL, 2, {})
        names = ["B", "a", "a-b", "people", "people-2"]
        assert [c.name for c in world.galleries.collections("", 9)] == names
        assert [c.name for c in world.galleries.collections("a", 2)] == names[2:4]
        assert list(world.templates.names()) == names

    def test_the_pipelines_collections_are_the_same_ones(self, world: World) -> None:
        world.templates.create("live", MODEL, 2)
        world.templates.add("live", [enrolled("f", "Zoë", "a1")])
        described = world.galleries.describe("live")
        assert (described.faces, described.users) == (1, 0)
        assert described.created_at == world.clock.now()
        ((record,), more) = world.galleries.faces("live", 0, 9)
        assert record.external_image_id == external_ids.encode("Zoë", "a1")
        assert more is None
        world.galleries.drop("live")
        with pytest.raises(NotFound, match="live"):
            world.templates.find("live")

    def test_a_name_too_long_for_an_external_id_is_not_shown(self, world: World) -> None:
        world.templates.add("people", [enrolled("f", "李" * 200)])
        ((record,), _) = world.galleries.faces("people", 0, 9)
        assert record.external_image_id is None

    def test_dropping_takes_everything_along(self, world: World) -> None:
        world.add(f1=0)
        world.user("ann", "f1")
        world.users.create("people", "bob", "token")
        before = world.gallery
        world.galleries.drop("people")
        for number in (before.number, before.users_number or 0):
            assert list(world.templates.vectors(number, 0, 9)) == []
        world.galleries.create("people", MODEL, 2, {})
        assert list(world.users.page("people", "", 9)) == []
        assert world.listed() == []
        world.users.create("people", "ann", "token")  # no longer bob's
        assert world.gallery.number > before.number

    def test_the_pipeline_drops_users_too(self, world: World) -> None:
        world.add(f1=0)
        world.user("ann", "f1")
        found = world.templates.find("people")
        assert found == world.gallery
        users = found.users_number
        assert users is not None
        assert found.numbers == [found.number, users]
        world.templates.drop("people")
        assert list(world.templates.vectors(users, 0, 9)) == []
        with pytest.raises(NotFound, match="people"):
            world.templates.find("people")
        world.galleries.create("people", MODEL, 2, {})
        assert world.gallery.users_number is None

    @pytest.mark.parametrize(
        "call",
        [
            lambda g: g.describe("no"),
            lambda g: g.find("no"),
            lambda g: g.find("people/users"),
            lambda g: g.drop("no"),
            lambda g: g.tags("no"),
            lambda g: g.change_tags("no", dict),
            lambda g: g.add("no", []),
            lambda g: g.faces("no", 0, 1),
            lambda g: g.delete_unowned("no", []),
            lambda g: g.faces("people/users", 0, 1),
        ],
    )
    def test_one_that_is_not_there_is_told(
        self, world: World, call: Callable[[Galleries], object]
    ) -> None:
        world.user("ann")
        with pytest.raises(NotFound, match="there is no collection"):
            call(world.galleries)

    @pytest.mark.parametrize(
        "call",
        [
            lambda u: u.create("no", "u", None),
            lambda u: u.delete("no", "u", None),
            lambda u: u.page("no", "", 1),
            lambda u: u.vector("no", "u"),
            lambda u: u.associate("no", "u", [], similarity=closeness, threshold=0.0, token=None),
            lambda u: u.disassociate("no", "u", [], token=None),
        ],
    )
    def test_users_of_one_that_is_not_there_are_told(
        self, world: World, call: Callable[[FaceUsers], object]
    ) -> None:
        world.user("ann")
        with pytest.raises(NotFound, match="there is no collection"):
            call(world.users)

    def test_tags_are_added_changed_and_removed(self, world: World) -> None:
        change = world.galleries.change_tags
        change("people", lambda tags: {**tags, "a": "1", "b": "2"})
        change("people", lambda tags: {**tags, "b": "3", "c": ""})
        change("people", lambda tags: {key: tags[key] for key in tags if key != "a"})
        assert world.galleries.tags("people") == {"b": "3", "c": ""}
        change("people", lambda tags: {**tags, **{str(number): "" for number in range(198)}})
        with pytest.raises(QuotaExceeded, match="200"):
            change("people", lambda tags: {**tags, "one more": ""})
        assert len(world.galleries.tags("people")) == 200


class TestFaces:
    """Faces as clients see them."""

    def test_what_was_added_is_told(self, world: World) -> None:
        (record,) = world.galleries.add("people", [new("f1", external="n1:Jos:c3:a9")])
        face = some_face()
        assert (record.face_id, record.external_image_id) == ("f1", "n1:Jos:c3:a9")
        assert (record.box, record.confidence) == (face.box, face.confidence)
        assert (record.model, record.user_id) == (MODEL, None)
        (other,) = world.galleries.add("people", [new("f2")])
        assert other.external_image_id is None
        assert other.image_id != record.image_id

    def test_the_pipeline_knows_them_by_the_external_ids_name(self, world: World) -> None:
        world.galleries.add("people", [new("f1", external="n1:Jos:c3:a9"), new("f2")])
        assert [face.person for face in world.templates.enrolled(world.gallery.number)] == [
            "José",
            "",
        ]

    def test_what_is_there_stays(self, world: World) -> None:
        (first,) = world.galleries.add("people", [new("f1")])
        again = world.galleries.add("people", [new("f2", 5), new("f1", 90, "other")])
        assert again[1] == first
        assert world.listed() == ["f1", "f2"]
        assert angle(world.galleries.vectors_of(world.gallery.number, ["f1"])["f1"][1]) == 0

    def test_a_vector_of_another_length_is_refused(self, world: World) -> None:
        wrong = NewFace("f", "d", None, "", Template(some_face(), vector(1, 2, 3)))
        with pytest.raises(ValueError, match="2 dimensions"):
            world.galleries.add("people", [new("f1"), wrong])
        assert world.listed() == []

    def test_faces_are_listed_by_page(self, world: World) -> None:
        world.galleries.add("people", [new(f"f{number}") for number in range(7)])
        seen, after = [], 0
        for _ in range(3):
            page, more = world.galleries.faces("people", after, 3)
            seen.append([face.face_id for face in page])
            after = more or 0
        assert seen == [["f0", "f1", "f2"], ["f3", "f4", "f5"], ["f6"]]
        assert world.galleries.faces("people", 0, 7)[1] is None

    def test_some_faces_are_listed(self, world: World) -> None:
        world.add(f1=0, f2=10, f3=20)
        world.user("ann", "f3", "f1")
        world.user("bob")
        page, _ = world.galleries.faces("people", 0, 9, face_ids=["f2", "f1", "unknown"])
        assert [(face.face_id, face.user_id) for face in page] == [("f1", "ann"), ("f2", None)]
        assert world.listed(user_id="ann") == ["f1", "f3"]
        assert world.listed(user_id="bob") == []
        with pytest.raises(NotFound, match="user 'eve'"):
            world.listed(user_id="eve")

    def test_faces_of_rows(self, world: World) -> None:
        world.add(f1=0, f2=10)
        one, two = (row for row, _ in world.templates.vectors(world.gallery.number, 0, 9))
        number = world.gallery.number
        assert world.galleries.vectors_of(number, ["f2"]) == {"f2": (two, turned(10))}
        world.galleries.delete_unowned("people", ["f1"])
        records = world.galleries.records(world.gallery.number, [one, two, 10**6])
        assert {row: face.face_id for row, face in records.items()} == {two: "f2"}
        assert world.galleries.vectors_of(number, ["f1"]) == {}

    def test_faces_are_deleted_but_not_a_users(self, world: World) -> None:
        world.add(f1=0, f2=10, f3=20)
        world.user("ann", "f2")
        assert world.galleries.delete_unowned("people", ["f3", "f2", "f9", "f3"]) == Deletion(
            deleted=("f3",),
            failed=(
                FailedFace("f2", (Failure.ASSOCIATED_TO_AN_EXISTING_USER,), user_id="ann"),
                FailedFace("f9", (Failure.FACE_NOT_FOUND,)),
            ),
        )
        assert world.listed() == ["f1", "f2"]
        assert len(world.templates.deletions(world.gallery.number, 0)) == 1


class TestUsers:
    """Users and their faces."""

    def test_users_are_listed_by_id_and_page(self, world: World) -> None:
        world.add(f1=0)
        for user_id in ("bob", "Zoe", "ann"):
            world.user(user_id)
        world.associate("bob", "f1")
        users = [
            User("Zoe", UserStatus.CREATED),
            User("ann", UserStatus.CREATED),
            User("bob", UserStatus.ACTIVE),
        ]
        assert list(world.users.page("people", "", 9)) == users
        assert list(world.users.page("people", "Zoe", 1)) == users[1:2]

    def test_a_user_is_made_once(self, world: World) -> None:
        world.user("ann")
        with pytest.raises(AlreadyExists, match="'ann'"):
            world.user("ann")

    def test_a_user_is_the_mean_of_its_faces(self, world: World) -> None:
        world.add(f1=0, f2=30, f3=60)
        world.user("ann")
        assert world.angle_of("ann") is None
        assert world.associate("ann", "f1", "f2") == Association(
            ("f1", "f2"), (), UserStatus.ACTIVE
        )
        assert world.angle_of("ann") == pytest.approx(15)
        world.associate("ann", "f3")
        assert world.angle_of("ann") == pytest.approx(30)
        users_number = world.gallery.users_number
        assert users_number is not None
        ((row, stored),) = world.templates.vectors(users_number, 0, 9)
        assert world.users.vector("people", "ann") == (row, stored)
        assert world.users.named(users_number, [row, row - 1]) == {row: "ann"}
        assert len(world.templates.deletions(users_number, 0)) == 1

    def test_the_mean_of_opposites_is_one_of_them(self, world: World) -> None:
        world.galleries.add(
            "people",
            [
                NewFace(name, "d", None, "", Template(some_face(), vector(x, 0.0)))
                for name, x in (("f1", 1.0), ("f2", -1.0))
            ],
        )
        world.user("ann", "f1", "f2")
        assert world.angle_of("ann") == 0

    def test_faces_are_taken_away(self, world: World) -> None:
        world.add(f1=0, f2=30, f3=60)
        world.user("ann", "f1", "f2")
        world.user("bob", "f3")
        taken = world.users.disassociate("people", "ann", ["f1", "f3", "f9"], token=None)
        assert taken == Association(
            ("f1",),
            (
                FailedFace("f3", (Failure.ASSOCIATED_TO_A_DIFFERENT_USER,), user_id="bob"),
                FailedFace("f9", (Failure.FACE_NOT_FOUND,)),
            ),
            UserStatus.ACTIVE,
        )
        assert world.angle_of("ann") == pytest.approx(30)
        again = world.users.disassociate("people", "ann", ["f1", "f2"], token=None)
        assert again == Association(("f2",), (), UserStatus.CREATED)
        assert world.angle_of("ann") is None
        assert world.listed(user_id="ann") == []

    def test_a_face_is_given_once(self, world: World) -> None:
        world.add(f1=0, f2=30)
        world.user("ann", "f1")
        world.user("bob")
        assert world.associate("ann", "f1", "f2", "f2").face_ids == ("f2",)
        assert world.associate("bob", "f1", "f9").failed == (
            FailedFace("f1", (Failure.ASSOCIATED_TO_A_DIFFERENT_USER,), user_id="ann"),
            FailedFace("f9", (Failure.FACE_NOT_FOUND,)),
        )

    def test_a_face_unlike_the_user_is_not_given(self, world: World) -> None:
        world.add(f1=0, f2=20, f3=90)
        world.user("ann", "f1", "f2")
        given = world.associate("ann", "f3", threshold=75)
        assert given.face_ids == ()
        (failed,) = given.failed
        assert failed.reasons == (Failure.LOW_MATCH_CONFIDENCE,)
        assert failed.confidence == pytest.approx(100 - 80 / 1.8)
        assert world.associate("ann", "f3", threshold=50).face_ids == ("f3",)

    def test_the_first_faces_of_a_user_are_like_the_first(self, world: World) -> None:
        world.add(f1=0, f2=20, f3=90)
        world.user("ann")
        given = world.associate("ann", "f3", "f2", "f1", threshold=75)
        assert given.face_ids == ("f3",)
        assert [face.face_id for face in given.failed] == ["f2", "f1"]
        world.user("bob")
        assert world.associate("bob", "f1", threshold=100).face_ids == ("f1",)

    def test_a_user_has_a_hundred_faces_at_most(self, world: World) -> None:
        names = [f"f{number}" for number in range(101)]
        world.galleries.add("people", [new(name) for name in names])
        world.user("ann", *names[:60])
        with pytest.raises(QuotaExceeded, match="100"):
            world.associate("ann", *names[60:])
        assert len(world.listed(user_id="ann")) == 60
        world.associate("ann", *names[:100])
        assert len(world.listed(user_id="ann")) == 100

    def test_deleting_a_user_leaves_the_faces(self, world: World) -> None:
        world.add(f1=0)
        world.user("ann", "f1")
        world.users.delete("people", "ann", None)
        assert world.listed() == ["f1"]
        assert list(world.users.page("people", "", 9)) == []
        assert list(world.templates.vectors(world.gallery.users_number or 0, 0, 9)) == []
        with pytest.raises(NotFound, match="user 'ann'"):
            world.users.delete("people", "ann", None)
        assert world.galleries.delete_unowned("people", ["f1"]).deleted == ("f1",)

    def test_what_the_pipeline_forgets_is_no_longer_the_users(self, world: World) -> None:
        world.add(f1=0, f2=30, f3=60)
        world.user("ann", "f1", "f2")
        world.user("bob", "f3")
        world.templates.delete("people", ["f1", "f3"])
        assert world.angle_of("ann") == pytest.approx(30)
        assert world.angle_of("bob") is None
        assert world.listed() == ["f2"]

    @pytest.mark.parametrize(
        "call",
        [
            lambda w: w.associate("ann", "f1"),
            lambda w: w.users.disassociate("people", "ann", ["f1"], token=None),
            lambda w: w.users.vector("people", "ann"),
            lambda w: w.users.delete("people", "ann", "token"),
        ],
    )
    def test_a_user_that_is_not_there_is_told(
        self, world: World, call: Callable[[World], object]
    ) -> None:
        world.add(f1=0)
        with pytest.raises(NotFound, match="user 'ann'"):
            call(world)


class TestTokens:
    """The same request again."""

    def test_it_comes_to_the_same(self, world: World) -> None:
        world.add(f1=0, f2=10)
        for _ in range(2):
            world.users.create("people", "ann", "t1")
        given = [world.associate("ann", "f1", "f9", token="t2") for _ in range(2)]
        assert given[0] == given[1]
        assert given[0].face_ids == ("f1",)
        taken = [world.users.disassociate("people", "ann", ["f1"], token="t3") for _ in range(2)]
        assert taken[0] == taken[1] == Association(("f1",), (), UserStatus.CREATED)
        for _ in range(2):
            world.users.delete("people", "ann", "t4")
        assert list(world.users.page("people", "", 9)) == []

    def test_a_token_belongs_to_one_request(self, world: World) -> None:
        world.add(f1=0)
        world.users.create("people", "ann", "t1")
        calls: Sequence[Callable[[], object]] = (
            lambda: world.users.create("people", "bob", "t1"),
            lambda: world.users.delete("people", "ann", "t1"),
            lambda: world.associate("ann", "f1", token="t1"),
        )
        for call in calls:
            with pytest.raises(TokenReused, match="t1"):
                call()
        assert [user.user_id for user in world.users.page("people", "", 9)] == ["ann"]

    def test_a_request_that_failed_may_come_again(self, world: World) -> None:
        with pytest.raises(NotFound):
            world.associate("ann", "f1", token="t1")
        world.user("ann")
        world.add(f1=0)
        assert world.associate("ann", "f1", token="t1").face_ids == ("f1",)

    def test_a_token_is_kept_for_a_day(self, world: World) -> None:
        world.users.create("people", "ann", "t1")
        world.clock.sleep(DAY - 1)
        world.users.create("people", "ann", "t1")
        world.clock.sleep(2)
        with pytest.raises(AlreadyExists):
            world.users.create("people", "ann", "t1")


def test_writers_at_once_lose_nothing(world: World) -> None:
    names = [f"f{number}" for number in range(24)]
    world.galleries.add("people", [new(name, at) for at, name in enumerate(names)])
    world.user("ann")
    failures: list[BaseException] = []

    def give(some: Sequence[str]) -> None:
        try:
            for name in some:
                world.associate("ann", name)
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            failures.append(error)

    threads = [threading.Thread(target=give, args=(names[at::3],)) for at in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(world.listed(user_id="ann")) == 24
    assert world.angle_of("ann") == pytest.approx(11.5, abs=0.01)
    users_number = world.gallery.users_number
    assert users_number is not None
    assert len(world.templates.vectors(users_number, 0, 99)) == 1
    assert len(world.templates.deletions(users_number, 0)) == 23


class TestSuccession:
    """A rebuild: the pipeline enrols its own anew, what clients put there comes along."""

    @pytest.fixture
    def rebuilt(self, world: World) -> World:
        """A collection with enrolled and indexed faces, a user of both, tags; and its heir."""
        world.templates.add("people", [enrolled("ours", "Ann", "asset")])
        external = external_ids.encode("Ben", "b")
        world.galleries.add("people", [new("theirs", 40, external), new("nameless", 80)])
        world.user("u", "ours", "theirs")
        world.user("empty")
        world.galleries.change_tags("people", lambda _: {"team": "red"})
        return world

    def heir(self, world: World, model: str = MODEL) -> None:
        world.templates.create("people-2", model, 2)
        world.templates.add("people-2", [enrolled("ours-2", "Ann", "asset", 10)])

    def test_faces_users_and_tags_come_along(self, rebuilt: World) -> None:
        created = rebuilt.galleries.describe("people").created_at
        self.heir(rebuilt)

        rebuilt.templates.supersede("people", "people-2", lossy=False)

        faces, _ = rebuilt.galleries.faces("people-2", 0, 10)
        assert [face.face_id for face in faces] == ["ours-2", "theirs", "nameless"]
        assert [face.user_id for face in faces] == ["u", "u", None]
        assert rebuilt.users.page("people-2", "", 10) == [
            User("empty", UserStatus.CREATED),
            User("u", UserStatus.ACTIVE),
        ]
        found = rebuilt.users.vector("people-2", "u")
        assert found
        assert angle(found[1]) == pytest.approx(25)  # of the face as it is now, and of theirs
        assert rebuilt.galleries.tags("people-2") == {"team": "red"}
        assert rebuilt.galleries.describe("people-2").created_at == created
        assert rebuilt.templates.names() == ["people-2"]

    def test_who_holds_the_heirs_vectors_hears_of_the_new_ones(self, rebuilt: World) -> None:
        self.heir(rebuilt)
        number = rebuilt.templates.find("people-2").number
        last = max(row for row, _ in rebuilt.templates.vectors(number, 0, 10))
        rebuilt.templates.supersede("people", "people-2", lossy=False)
        assert len(rebuilt.templates.vectors(number, last, 10)) == 2

    def test_another_model_loses_no_face_unasked(self, rebuilt: World) -> None:
        self.heir(rebuilt, "memory/2")
        assert rebuilt.templates.strangers(rebuilt.gallery.number) == 2

        with pytest.raises(Rejected, match="2 faces"):
            rebuilt.templates.supersede("people", "people-2", lossy=False)
        assert rebuilt.galleries.describe("people").faces == 3

        rebuilt.templates.supersede("people", "people-2", lossy=True)
        assert rebuilt.templates.names() == ["people-2"]
        faces, _ = rebuilt.galleries.faces("people-2", 0, 10)
        assert [(face.face_id, face.user_id) for face in faces] == [("ours-2", "u")]

    def test_doing_it_again_changes_nothing(self, rebuilt: World) -> None:
        self.heir(rebuilt)
        for _ in range(2):
            rebuilt.templates.supersede("people", "people-2", lossy=False)
        assert rebuilt.galleries.describe("people-2").faces == 3
        with pytest.raises(NotFound):
            rebuilt.templates.supersede("people-2", "nowhere", lossy=False)


class TestOwnName:
    """Clients reach the live collection under the product's name, whatever a rebuild called it."""

    @pytest.fixture
    def own(self, database: Database) -> World:
        """The live collection is not called as clients know it."""
        world = World(database)
        world.galleries = StoreGalleries(database, world.clock, "own")
        world.users = StoreUsers(database, world.clock, "own")
        world.templates.create("own-2", MODEL, 2)
        StoreLedger(database).switch("own-2")
        return world

    def test_every_call_reaches_the_live_collection(self, own: World) -> None:
        own.galleries.add("own", [new("a")])
        assert own.galleries.describe("own").name == "own"
        found = own.galleries.find("own")
        assert found == own.galleries.find("own-2")
        assert set(own.galleries.vectors_of(found.number, ["a"])) == {"a"}
        own.users.create("own", "u", None)
        assert own.users.page("own-2", "", 9) == [User("u", UserStatus.CREATED)]
        assert own.users.vector("own", "u") is None
        own.galleries.change_tags("own", lambda _: {"a": "b"})
        assert own.galleries.tags("own-2") == {"a": "b"}
        assert own.galleries.delete_unowned("own", ["a"]).deleted == ("a",)

    def test_it_is_listed_under_its_own_name(self, own: World) -> None:
        names = [found.name for found in own.galleries.collections("", 10)]
        assert names == ["own", "people"]
        assert [found.name for found in own.galleries.collections("own", 10)] == ["people"]

    def test_it_cannot_be_made_again_but_deleted(self, own: World) -> None:
        with pytest.raises(AlreadyExists):
            own.galleries.create("own", MODEL, 2, {})
        own.galleries.drop("own")
        with pytest.raises(NotFound):
            own.galleries.describe("own")
        own.galleries.create("own", MODEL, 2, {})

    def test_a_collection_that_bears_the_name_has_it(self, own: World) -> None:
        own.templates.create("own", MODEL, 2)
        own.galleries.add("own", [new("a")])
        assert own.galleries.describe("own-2").faces == 0
        names = [found.name for found in own.galleries.collections("", 10)]
        assert names == ["own", "own-2", "people"]
