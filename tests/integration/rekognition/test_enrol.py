"""Reference faces: learnt one at a time, found again, forgotten; and the users made of them."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from tests.integration.rekognition.conftest import Refusal

from facelabel.adapters.rekognition.recognizer import RekognitionRecognizer
from facelabel.core.model import Asset, EnrolledFace
from facelabel.errors import LabelRefused, NotFound, Unavailable, UnusableFace
from facelabel.rekognition import parse
from facelabel.rekognition.external_ids import decode, user_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.integration.rekognition.conftest import Asked, Stage

    from facelabel.adapters.rekognition.client import Client

    Raw = dict[str, Any]

PLACE = (0.3, 0.3, 0.4, 0.4)
ASSET = Asset("asset-1", "asset-1", "people", 1, "jpg", 1, "")


def face_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def raw_box(left: float, top: float, width: float, height: float) -> Raw:
    return {"Left": left, "Top": top, "Width": width, "Height": height}


def detail(place: tuple[float, float, float, float] = PLACE, **changes: Any) -> Raw:  # noqa: ANN401 - JSON
    return {
        "BoundingBox": raw_box(*place),
        "Confidence": 99.9,
        "Quality": {"Sharpness": 80.0, "Brightness": 70.0},
        "Pose": {"Yaw": 0.0, "Pitch": 0.0, "Roll": 0.0},
    } | changes


def picture() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), "grey").save(out, "PNG")
    return out.getvalue()


class Collection:
    """A collection that keeps faces and users; each image is its own, ``image_id`` says which."""

    def __init__(self, stage: Stage) -> None:
        """Answer for the stage."""
        self.faces: dict[str, Raw] = {}
        self.users: set[str] = set()
        self.image_id = face_id(0xA)
        self.indexed_at = PLACE
        self.number = 0
        #: How often faces of users are still said to be theirs after they were freed.
        self.slow = 0
        answers = {
            "DetectFaces": lambda _: {"FaceDetails": [detail()]},
            "IndexFaces": self.index,
            "ListFaces": self.listed,
            "DeleteFaces": self.delete,
            "CreateUser": self.create_user,
            "DeleteUser": self.delete_user,
            "AssociateFaces": self.associate,
            "DisassociateFaces": self.disassociate,
        }
        stage.answers.update(answers)

    def index(self, asked: Asked) -> Raw:
        """Add a face."""
        self.number += 1
        record = {
            "FaceId": face_id(self.number),
            "ImageId": self.image_id,
            "ExternalImageId": asked.parameters["ExternalImageId"],
            "BoundingBox": raw_box(*self.indexed_at),
        }
        self.faces[record["FaceId"]] = record
        return {"FaceRecords": [{"Face": record, "FaceDetail": detail()}], "UnindexedFaces": []}

    def listed(self, asked: Asked) -> Raw:
        """Page by page, two at a time."""
        wanted = asked.parameters.get("FaceIds", list(self.faces))
        user = asked.parameters.get("UserId")
        faces = [
            self.faces[key]
            for key in wanted
            if key in self.faces and user in {None, self.faces[key].get("UserId")}
        ]
        start = int(asked.parameters.get("NextToken", 0))
        more = {"NextToken": str(start + 2)} if len(faces) > start + 2 else {}
        return {"Faces": faces[start : start + 2]} | more

    def delete(self, asked: Asked) -> Raw:
        """Delete faces that are no user's."""
        failed = []
        for key in asked.parameters["FaceIds"]:
            user = self.faces.get(key, {}).get("UserId")
            if user:
                reason = "ASSOCIATED_TO_AN_EXISTING_USER"
                failed.append({"FaceId": key, "UserId": user, "Reasons": [reason]})
            elif not self.faces.pop(key, None):
                failed.append({"FaceId": key, "Reasons": ["FACE_NOT_FOUND"]})
        return {"UnsuccessfulFaceDeletions": failed}

    def create_user(self, asked: Asked) -> Raw | Refusal:
        """Add a user."""
        if asked.parameters["UserId"] in self.users:
            return Refusal("ConflictException", "A User with the same Id already exists")
        self.users.add(asked.parameters["UserId"])
        return {}

    def delete_user(self, asked: Asked) -> Raw:
        """Remove one."""
        self.users.discard(asked.parameters["UserId"])
        return {}

    def associate(self, asked: Asked) -> Raw | Refusal:
        """Give a user faces."""
        user = asked.parameters["UserId"]
        if user not in self.users:
            return Refusal("ResourceNotFoundException", "The user id does not exist")
        failed = []
        for key in asked.parameters["FaceIds"]:
            if key in self.faces:
                self.faces[key]["UserId"] = user
            else:
                failed.append({"FaceId": key, "Reasons": ["FACE_NOT_FOUND"]})
        return {"UnsuccessfulFaceAssociations": failed, "UserStatus": "UPDATING"}

    def disassociate(self, asked: Asked) -> Raw:
        """Take them away, now or a little later."""
        self.slow -= 1
        if self.slow < 0:
            for key in asked.parameters["FaceIds"]:
                self.faces[key].pop("UserId", None)
        return {}


@pytest.fixture
def collection(stage: Stage) -> Collection:
    return Collection(stage)


@pytest.fixture
def plain(client: Client) -> Iterator[RekognitionRecognizer]:
    """A recogniser of faces."""
    recognizer = RekognitionRecognizer(client)
    yield recognizer
    recognizer.close()


@pytest.fixture
def by_users(client: Client) -> Iterator[RekognitionRecognizer]:
    """A recogniser of users."""
    recognizer = RekognitionRecognizer(client, users=True)
    yield recognizer
    recognizer.close()


def learn(recognizer: RekognitionRecognizer, person: str = "José O'Brien") -> EnrolledFace:
    return recognizer.enrol("family", picture(), person, ASSET)


def test_a_face_is_learnt(
    plain: RekognitionRecognizer, collection: Collection, stage: Stage
) -> None:
    face = learn(plain)
    assert face.is_of("asset-1")
    (kept,) = plain.faces("family")
    assert (kept.face_id, kept.person) == (face.face_id, "José O'Brien")
    assert kept.is_of("asset-1")
    assert not kept.is_of("asset-2")
    (asked,) = stage.calls("IndexFaces")
    assert asked.parameters["MaxFaces"] == 1
    assert asked.parameters["QualityFilter"] == "AUTO"
    assert asked.data().startswith(b"\xff\xd8")


BACKGROUND = detail((0.0, 0.0, 0.05, 0.05), Confidence=99.0)
BLURRED = detail(Quality={"Sharpness": 1.0, "Brightness": 70.0})
DARK_AND_AWAY = detail(Quality={"Sharpness": 80.0, "Brightness": 1.0}, Pose={"Yaw": 70.0})


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ([], "no face was found"),
        ([detail(), detail((0.8, 0.1, 0.2, 0.3))], "2 faces were found"),
        ([BLURRED], "too blurred"),
        ([BLURRED, detail((0.8, 0.1, 0.15, 0.2))], "too blurred"),  # the label may mean it
        ([DARK_AND_AWAY], "too dark and turned too far away"),
    ],
)
def test_a_photo_that_cannot_be_learnt_from_is_never_indexed(
    plain: RekognitionRecognizer,
    collection: Collection,
    stage: Stage,
    details: Sequence[Raw],
    reason: str,
) -> None:
    stage.answers["DetectFaces"] = lambda _: {"FaceDetails": list(details)}
    with pytest.raises(UnusableFace, match=reason):
        learn(plain)
    assert stage.operations == ["DetectFaces"]


def test_poor_faces_may_stand_in_the_background(
    plain: RekognitionRecognizer, collection: Collection, stage: Stage
) -> None:
    stage.answers["DetectFaces"] = lambda _: {"FaceDetails": [detail(), BACKGROUND]}
    assert learn(plain).face_id in collection.faces


def test_amazon_may_find_a_face_too_poor(
    plain: RekognitionRecognizer, collection: Collection, stage: Stage
) -> None:
    unindexed = {"FaceDetail": detail(), "Reasons": ["LOW_SHARPNESS"]}
    stage.script["IndexFaces"] = [{"FaceRecords": [], "UnindexedFaces": [unindexed]}, {}]
    with pytest.raises(UnusableFace, match="too blurred"):
        learn(plain)
    with pytest.raises(UnusableFace, match="no face"):
        learn(plain)


def test_another_face_than_the_one_wanted_does_not_stay(
    plain: RekognitionRecognizer, collection: Collection
) -> None:
    collection.indexed_at = (0.8, 0.8, 0.1, 0.1)
    with pytest.raises(UnusableFace):
        learn(plain)
    assert list(plain.faces("family")) == []


def test_a_portrait_costs_one_call_where_our_own_detector_finds_its_face(
    client: Client, collection: Collection, stage: Stage
) -> None:
    """Whether it was learnt before is the ledger's to know, which asks for nothing."""
    face = parse.face(detail())
    recognizer = RekognitionRecognizer(client, detect=lambda _: [face])
    try:
        learn(recognizer)
    finally:
        recognizer.close()
    assert stage.operations == ["IndexFaces"]


def test_without_it_two(plain: RekognitionRecognizer, collection: Collection, stage: Stage) -> None:
    learn(plain)
    assert stage.operations == ["DetectFaces", "IndexFaces"]


def test_a_name_without_room_is_refused_before_anything_is_sent(
    plain: RekognitionRecognizer, stage: Stage
) -> None:
    with pytest.raises(LabelRefused, match="too long"):
        learn(plain, "李" * 80)
    assert stage.asked == []


def test_faces_are_listed_page_by_page(
    plain: RekognitionRecognizer, collection: Collection
) -> None:
    for number in range(5):
        collection.image_id = face_id(0xA00 + number)
        learn(plain, f"Person {number}")
    collection.faces["legacy"] = {"FaceId": face_id(77), "ExternalImageId": "John.-.-.-Doe"}
    collection.faces["nobody's"] = {"FaceId": face_id(78)}
    faces = list(plain.faces("family"))
    assert [face.person for face in faces] == [*(f"Person {n}" for n in range(5)), "John Doe"]
    assert faces[-1].asset_hash is None
    some = [faces[3].face_id, face_id(999), "no id at all", faces[0].face_id]
    assert {face.face_id for face in plain.faces("family", some)} == {some[0], some[3]}
    assert list(plain.faces("family", [])) == []


def test_thousands_are_forgotten_in_batches(
    plain: RekognitionRecognizer, collection: Collection, stage: Stage
) -> None:
    known = learn(plain)
    plain.forget("family", [*(face_id(number) for number in range(1000, 10000)), known.face_id])
    assert [len(asked.parameters["FaceIds"]) for asked in stage.calls("DeleteFaces")] == [
        4096, 4096, 809,
    ]  # fmt: skip
    assert collection.faces == {}


# ---- users


def test_a_person_is_a_user(by_users: RekognitionRecognizer, collection: Collection) -> None:
    first = learn(by_users)
    collection.image_id = face_id(0xB)
    second = learn(by_users)
    assert collection.users == {user_id("José O'Brien")}
    by_users.forget("family", [first.face_id])
    assert collection.users == {user_id("José O'Brien")}
    by_users.forget("family", [second.face_id, face_id(12345)])
    assert collection.users == set()
    assert collection.faces == {}


def test_a_long_name_is_a_user_whose_faces_tell_it(
    by_users: RekognitionRecognizer, collection: Collection, stage: Stage
) -> None:
    name = "李" * 50
    face = learn(by_users, name)
    (user,) = collection.users
    assert decode(user) != name
    match = {"Similarity": 99.0, "User": {"UserId": user, "UserStatus": "ACTIVE"}}
    stage.answers["SearchUsersByImage"] = lambda _: {
        "SearchedFace": {"FaceDetail": detail()}, "UserMatches": [match],
    }  # fmt: skip
    (hit,) = by_users.identify("family", picture()).faces[0].hits
    assert (hit.person, hit.face_id) == (name, face.face_id)


def test_a_forgotten_face_is_not_shown_for_its_user(
    by_users: RekognitionRecognizer, collection: Collection, stage: Stage
) -> None:
    first = learn(by_users)
    collection.image_id = face_id(0xB)
    second = learn(by_users)
    match = {"Similarity": 99.0, "User": {"UserId": user_id(first.person)}}
    stage.answers["SearchUsersByImage"] = lambda _: {
        "SearchedFace": {"FaceDetail": detail()}, "UserMatches": [match],
    }  # fmt: skip
    assert by_users.identify("family", picture()).faces[0].hits[0].face_id == first.face_id
    by_users.forget("family", [first.face_id])
    assert by_users.identify("family", picture()).faces[0].hits[0].face_id == second.face_id


def test_amazon_may_take_a_moment_to_free_a_face(
    by_users: RekognitionRecognizer, collection: Collection
) -> None:
    face = learn(by_users)
    collection.slow = 2
    by_users.forget("family", [face.face_id])
    assert collection.faces == {}
    face = learn(by_users)
    collection.slow = 100
    with pytest.raises(Unavailable):
        by_users.forget("family", [face.face_id])


def test_faces_of_users_are_forgotten_without_the_setting_too(
    plain: RekognitionRecognizer, by_users: RekognitionRecognizer, collection: Collection
) -> None:
    face = learn(by_users)
    plain.forget("family", [face.face_id])
    assert (collection.faces, collection.users) == ({}, set())


def test_a_user_made_by_another_process_will_do(
    by_users: RekognitionRecognizer, collection: Collection, stage: Stage
) -> None:
    collection.users.add(user_id("José O'Brien"))
    missing = Refusal("ResourceNotFoundException", "The user id does not exist")
    stage.script["AssociateFaces"] = [missing]
    learn(by_users)
    assert stage.operations.count("CreateUser") == 1
    (face,) = collection.faces.values()
    assert face["UserId"] == user_id("José O'Brien")


def test_a_user_removed_meanwhile_is_tried_again(
    by_users: RekognitionRecognizer, collection: Collection, stage: Stage
) -> None:
    missing = Refusal("ResourceNotFoundException", "The user id does not exist")
    stage.script["AssociateFaces"] = [missing, missing]
    with pytest.raises(Unavailable):
        learn(by_users)


def test_a_face_deleted_meanwhile_is_tried_again(
    by_users: RekognitionRecognizer, collection: Collection, stage: Stage
) -> None:
    gone = {"UnsuccessfulFaceAssociations": [{"FaceId": face_id(1), "Reasons": ["FACE_NOT_FOUND"]}]}
    stage.script["AssociateFaces"] = [gone]
    with pytest.raises(Unavailable):
        learn(by_users)


def test_a_user_has_no_room_for_ever_more_faces(
    by_users: RekognitionRecognizer, collection: Collection, stage: Stage
) -> None:
    stage.script["AssociateFaces"] = [Refusal("ServiceQuotaExceededException", "100 faces")]
    assert learn(by_users).face_id in collection.faces


# ---- collections


def test_a_collection_is_made_once(plain: RekognitionRecognizer, stage: Stage) -> None:
    exists = Refusal("ResourceAlreadyExistsException", "The collection id: family already exists")
    stage.script["CreateCollection"] = [{"StatusCode": 200}, exists]
    for _ in range(2):
        plain.create("family")
    missing = Refusal("ResourceNotFoundException", "The collection id: family does not exist")
    stage.script["DeleteCollection"] = [{"StatusCode": 200}, missing]
    for _ in range(2):
        plain.drop("family")
    stage.script["ListFaces"] = [missing]
    with pytest.raises(NotFound):
        list(plain.faces("family"))


def test_nothing_is_kept(plain: RekognitionRecognizer, stage: Stage) -> None:
    plain.discard("asset-1")
    assert plain.search_stored("family", []) == {}
    assert stage.asked == []


# ---- what runs in a small place

BARE = """
import io, sys
from PIL import Image
from facelabel.adapters.rekognition.client import Client
from facelabel.adapters.rekognition.recognizer import RekognitionRecognizer
from facelabel.core.model import Asset
client = Client("eu-west-1", endpoint=sys.argv[1], keys=("AKIDEXAMPLE", "secret"), rate=1000)
recognizer = RekognitionRecognizer(client, users=True)
for mode, kind in (("RGB", "PNG"), ("I;16", "PNG"), ("F", "TIFF"), ("CMYK", "JPEG")):
    out = io.BytesIO()
    Image.new(mode, (400, 300)).save(out, kind)
    recognizer.enrol("family", out.getvalue(), "Dad", Asset("a", "a", "", 1, "png", 1, ""))
recognizer.identify("family", out.getvalue())
recognizer.forget("family", [face.face_id for face in recognizer.faces("family")])
recognizer.close()
heavy = ("numpy", "sqlalchemy", "onnx", "onnxruntime", "pillow_heif", "starlette", "pydantic")
print(sorted(sys.modules.keys() & set(heavy)))
"""


def test_nothing_heavy_is_loaded(collection: Collection, stage: Stage) -> None:
    stage.answers["SearchUsersByImage"] = lambda _: {"UserMatches": []}
    done = subprocess.run(
        [sys.executable, "-c", BARE, stage.url], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
