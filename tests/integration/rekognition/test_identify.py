"""Every face of a photo: how many calls, with what images, and what is made of the answers."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageDraw

from facelabel.adapters.rekognition.client import Client
from facelabel.adapters.rekognition.rate import cost
from facelabel.adapters.rekognition.recognizer import RekognitionRecognizer
from facelabel.core.model import Box, Reason
from facelabel.errors import NotFound, UnreadableImage
from facelabel.rekognition import parse
from facelabel.rekognition.external_ids import encode
from facelabel.rekognition.types import QualityFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.integration.rekognition.conftest import Asked, Refusal, Stage

    from facelabel.core.model import Face

    Raw = dict[str, Any]
    Make = Callable[..., RekognitionRecognizer]

NOBODY = "There are no faces in the image. Should be at least 1."
WHOLE = (0.0, 0.0, 1.0, 1.0)
MIDDLE = (0.3, 0.3, 0.4, 0.4)
SIDE = 10
STEP = 25


def raw_box(left: float, top: float, width: float, height: float) -> Raw:
    return {"Left": left, "Top": top, "Width": width, "Height": height}


def detail(place: tuple[float, float, float, float], **changes: Any) -> Raw:  # noqa: ANN401 - JSON
    """A face as DetectFaces tells of it."""
    return {
        "BoundingBox": raw_box(*place),
        "Confidence": 99.9,
        "Quality": {"Sharpness": 80.0, "Brightness": 70.0},
        "Pose": {"Yaw": 1.0, "Pitch": -2.0, "Roll": 3.0},
        "Landmarks": [{"Type": "eyeLeft", "X": 0.4, "Y": 0.4}],
    } | changes


def match(person: str, similarity: float, number: int = 0) -> Raw:
    """A face of the collection that resembles the one searched for."""
    face_id = f"00000000-0000-4000-8000-{number:012x}"
    return {
        "Similarity": similarity,
        "Face": {"FaceId": face_id, "ImageId": face_id, "ExternalImageId": encode(person, person)},
    }


def searched(place: tuple[float, float, float, float], *matches: Raw) -> Raw:
    return {
        "SearchedFaceBoundingBox": raw_box(*place),
        "SearchedFaceConfidence": 99.0,
        "FaceMatches": list(matches),
        "FaceModelVersion": "7.0",
    }


def picture(width: int = 800, height: int = 600, kind: str = "PNG", **options: Any) -> bytes:  # noqa: ANN401
    """Grey, with a white left half."""
    image = Image.new("RGB", (width, height), "grey")
    ImageDraw.Draw(image).rectangle((0, 0, width // 2, height), fill="white")
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.fixture
def make(client: Client) -> Iterator[Make]:
    """Return what makes a recogniser."""
    made: list[RekognitionRecognizer] = []

    def recognizer(**options: Any) -> RekognitionRecognizer:  # noqa: ANN401 - the constructor's
        made.append(RekognitionRecognizer(options.pop("client", client), **options))
        return made[-1]

    yield recognizer
    for one in made:
        one.close()


def shows(stage: Stage, *details: Raw) -> None:
    """Have these faces detected."""
    stage.answers["DetectFaces"] = lambda _: {"FaceDetails": list(details)}


def finds(stage: Stage, *matches: Raw) -> None:
    """Have these faces match; the face searched for is in the middle of the crop."""
    stage.answers["SearchFacesByImage"] = lambda _: searched((0.22, 0.22, 0.56, 0.56), *matches)


def two_faces() -> tuple[Raw, Raw]:
    return detail((0.1, 0.1, 0.2, 0.3)), detail((0.6, 0.5, 0.2, 0.3))


def test_one_face_takes_two_calls(make: Make, stage: Stage, client: Client) -> None:
    shows(stage, detail(MIDDLE))
    finds(stage, match("Dad", 99.5), match("Mom", 3.0, 1))
    probe_result = make().identify("family", picture())
    (face,) = probe_result.faces
    assert [(hit.person, hit.similarity) for hit in face.hits] == [("Dad", 99.5), ("Mom", 3.0)]
    assert face.face.box == Box(*MIDDLE)
    assert (face.face.sharpness, face.face.pose.pitch) == (80.0, -2.0)
    assert probe_result.model == "rekognition/7.0"
    assert probe_result.calls == 2
    assert stage.operations == ["DetectFaces", "SearchFacesByImage"]
    assert stage.asked[0].data() == stage.asked[1].data()  # the whole image will do
    assert cost(client.calls) == pytest.approx(0.002)


def test_one_face_that_we_find_ourselves_takes_one_call(make: Make, stage: Stage) -> None:
    finds(stage, match("Dad", 99.5), match("Mom", 3.0, 1))
    given: list[bytes] = []

    def detect(image: bytes) -> Sequence[Face]:
        given.append(image)
        return [parse.face(detail(MIDDLE))]

    original = picture()
    probe_result = make(detect=detect).identify("family", original)
    assert probe_result.faces[0].hits[0].person == "Dad"
    assert stage.operations == ["SearchFacesByImage"]
    assert probe_result.calls == 1
    assert given == [original]


def test_a_face_that_amazon_overlooks_for_another_is_searched_on_a_crop(
    make: Make, stage: Stage
) -> None:
    finds(stage, match("Mom", 99.0))
    stage.script["SearchFacesByImage"] = [searched((0.8, 0.8, 0.2, 0.2), match("Another", 99.0))]
    recognizer = make(detect=lambda _: [parse.face(detail(MIDDLE))])
    probe_result = recognizer.identify("family", picture())
    assert probe_result.faces[0].hits[0].person == "Mom"
    assert len(stage.asked) == probe_result.calls == 2


def test_one_user_takes_one_call(make: Make, stage: Stage) -> None:
    stage.answers["SearchUsersByImage"] = lambda _: users_found(detail(MIDDLE), "Dad", "Mom")
    stage.answers["ListFaces"] = face_of_user
    recognizer = make(users=True)
    for _ in range(2):
        (face,) = recognizer.identify("family", picture()).faces
        assert [hit.person for hit in face.hits] == ["Dad", "Mom"]
        assert face.hits[0].face_id != face.hits[1].face_id
    assert stage.operations.count("SearchUsersByImage") == 2
    assert stage.operations.count("ListFaces") == 2  # free, and remembered for a while


def users_found(face: Raw | None, *people: str, others: Sequence[Raw] = ()) -> Raw:
    found = {"SearchedFace": {"FaceDetail": face}} if face else {}
    return found | {
        "UserMatches": [
            {"Similarity": 99.0 - at, "User": {"UserId": encode(person), "UserStatus": "ACTIVE"}}
            for at, person in enumerate(people)
        ],
        "UnsearchedFaces": list(others),
        "FaceModelVersion": "7.0",
    }


def face_of_user(asked: Asked) -> Raw:
    person = asked.parameters["UserId"].removeprefix("n1:")
    return {"Faces": [match(person, 0, len(person) + ord(person[0]))["Face"]]}


def test_other_faces_of_a_user_search_are_searched_on_crops(make: Make, stage: Stage) -> None:
    first, second = two_faces()
    poor = detail((0.4, 0.4, 0.02, 0.02))
    stage.answers["ListFaces"] = face_of_user
    stage.answers["SearchUsersByImage"] = lambda _: users_found(
        detail((0.22, 0.22, 0.56, 0.56)), "Mom"
    )
    stage.script["SearchUsersByImage"] = [
        users_found(
            first,
            "Dad",
            others=[
                {"FaceDetails": second, "Reasons": ["FACE_NOT_LARGEST"]},
                {"FaceDetails": poor, "Reasons": ["FACE_NOT_LARGEST", "LOW_SHARPNESS", "NEW"]},
            ],
        )
    ]
    probe_result = make(users=True).identify("family", picture())
    assert [face.hits[0].person for face in probe_result.faces] == ["Dad", "Mom"]
    (left,) = probe_result.left_out
    assert left.reasons == (Reason.LOW_SHARPNESS, Reason.LOW_FACE_QUALITY)
    assert len(stage.calls("SearchUsersByImage")) == probe_result.calls == 2


def test_nobody_for_users_is_a_result(make: Make, stage: Stage) -> None:
    stage.answers["SearchUsersByImage"] = lambda _: users_found(None)
    probe_result = make(users=True).identify("family", picture())
    assert (probe_result.faces, probe_result.calls) == ((), 1)


def test_a_user_without_faces_is_nobody(make: Make, stage: Stage) -> None:
    stage.answers["SearchUsersByImage"] = lambda _: users_found(detail(MIDDLE), "Dad")
    stage.answers["ListFaces"] = lambda _: {"Faces": []}
    assert make(users=True).identify("family", picture()).faces[0].hits == ()


def test_no_face_is_a_result(make: Make, stage: Stage) -> None:
    shows(stage)
    probe_result = make().identify("family", picture())
    assert (probe_result.faces, probe_result.left_out, probe_result.calls) == ((), (), 1)


def test_faces_are_searched_on_padded_crops(make: Make, stage: Stage) -> None:
    shows(stage, detail((0.5, 0.5, 0.1, 0.2)), detail((-0.05, 0.9, 0.1, 0.2)))
    finds(stage)
    make().identify("family", picture(1000, 500))
    sizes = {asked.image().size for asked in stage.calls("SearchFacesByImage")}
    # 100 x 100 pixels of face and 40 of surroundings on each side; the other is cut off.
    assert (180, 180) in sizes
    assert all(min(size) >= 160 for size in sizes)
    for asked in stage.calls("SearchFacesByImage"):
        assert asked.parameters["FaceMatchThreshold"] == 0
        assert asked.data().startswith(b"\xff\xd8")


def test_small_faces_are_enlarged_and_the_smallest_left_out(make: Make, stage: Stage) -> None:
    shows(stage, detail((0.1, 0.1, 0.02, 0.02)), detail((0.5, 0.5, 0.001, 0.001)))
    finds(stage)
    probe_result = make().identify("family", picture(1500, 1500))
    (asked,) = stage.calls("SearchFacesByImage")
    assert min(asked.image().size) == 160
    assert [face.reasons for face in probe_result.left_out] == [(Reason.SMALL_BOUNDING_BOX,)]


def test_a_larger_neighbour_on_the_crop_is_cut_away(make: Make, stage: Stage) -> None:
    first, second = two_faces()
    shows(stage, first, second)
    finds(stage, match("Mom", 99.0))
    neighbour = searched((0.0, 0.0, 0.2, 0.2), match("Somebody else", 99.0))
    stage.script["SearchFacesByImage"] = [neighbour, neighbour]
    probe_result = make(parallel=1).identify("family", picture())
    names = {face.face.box.left: face.hits[0].person for face in probe_result.faces}
    assert "Somebody else" not in names.values()
    # The first one's crop showed a neighbour twice, the second time with hardly any padding.
    sizes = [asked.image().size for asked in stage.calls("SearchFacesByImage")]
    assert sizes[1] < sizes[0]
    assert [face.reasons for face in probe_result.left_out] == [(Reason.LOW_FACE_QUALITY,)]
    assert names == {0.6: "Mom"}
    assert probe_result.calls == len(stage.asked) == 4


def test_a_tighter_crop_finds_the_face(make: Make, stage: Stage) -> None:
    shows(stage, *two_faces())
    stage.answers["SearchFacesByImage"] = lambda _: searched(
        (0.1, 0.1, 0.8, 0.8), match("Mom", 99.0)
    )
    stage.script["SearchFacesByImage"] = [searched((0.0, 0.0, 0.1, 0.1), match("Another", 99.0))]
    probe_result = make(parallel=1).identify("family", picture())
    assert [face.hits[0].person for face in probe_result.faces] == ["Mom", "Mom"]


def test_no_face_on_a_crop_is_a_result(make: Make, stage: Stage, refusal: type[Refusal]) -> None:
    shows(stage, *two_faces())
    finds(stage, match("Mom", 99.0))
    stage.script["SearchFacesByImage"] = [refusal("InvalidParameterException", NOBODY)]
    probe_result = make(parallel=1).identify("family", picture())
    assert [face.hits[0].person for face in probe_result.faces] == ["Mom"]
    assert [face.reasons for face in probe_result.left_out] == [(Reason.LOW_FACE_QUALITY,)]
    assert len(stage.calls("SearchFacesByImage")) == 2
    assert probe_result.calls == 3


def test_more_faces_are_asked_for_until_a_runner_up_shows(make: Make, stage: Stage) -> None:
    shows(stage, detail(MIDDLE))
    many = [match("Dad", 99.0 - at / 100, at) for at in range(100)]

    def answer(asked: Asked) -> Raw:
        more = asked.parameters["MaxFaces"] > 100
        return searched(MIDDLE, *many, *([match("Mom", 5.0, 1000)] if more else []))

    stage.answers["SearchFacesByImage"] = answer
    probe_result = make().identify("family", picture())
    assert {hit.person for hit in probe_result.faces[0].hits} == {"Dad", "Mom"}
    assert probe_result.calls == 3
    assert [a.parameters["MaxFaces"] for a in stage.calls("SearchFacesByImage")] == [100, 4096]


def test_a_face_of_nobody_is_no_hit(make: Make, stage: Stage) -> None:
    shows(stage, detail(MIDDLE))
    stranger = {"Similarity": 99.0, "Face": {"FaceId": "x", "ImageId": "y"}}
    finds(stage, stranger, match("Mom", 90.0))
    (face,) = make().identify("family", picture()).faces
    assert [hit.person for hit in face.hits] == ["Mom"]


def test_faces_below_the_quality_are_not_paid_for(make: Make, stage: Stage) -> None:
    good, poor = two_faces()
    poor |= {"Quality": {"Sharpness": 8.0, "Brightness": 2.0}, "Pose": {"Yaw": 80.0}}
    shows(stage, good, poor)
    finds(stage, match("Mom", 99.0))
    probe_result = make(quality=QualityFilter.MEDIUM).identify("family", picture())
    assert len(probe_result.faces) == 1
    (left,) = probe_result.left_out
    assert left.reasons == (Reason.LOW_SHARPNESS, Reason.LOW_BRIGHTNESS, Reason.EXTREME_POSE)
    (asked,) = stage.calls("SearchFacesByImage")
    assert asked.parameters["QualityFilter"] == "MEDIUM"
    assert len(make(quality=QualityFilter.NONE).identify("family", picture()).faces) == 2


def test_photos_are_sent_upright_and_without_metadata(make: Make, stage: Stage) -> None:
    shows(stage)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a camera"
    make().identify("family", picture(400, 200, "JPEG", exif=exif))
    sent = stage.asked[0].image()
    assert sent.size == (200, 400)
    assert not sent.getexif()
    assert sent.getpixel((100, 50)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("size", "sent"), [((60, 90), (80, 120)), ((8000, 400), (4096, 205)), ((300, 200), (300, 200))]
)
def test_photos_are_sent_within_the_limits(
    make: Make, stage: Stage, size: tuple[int, int], sent: tuple[int, int]
) -> None:
    shows(stage)
    make().identify("family", picture(*size, kind="WEBP"))
    assert stage.asked[0].image().size == sent
    assert stage.asked[0].image().format == "JPEG"


def test_photos_are_made_small_enough(make: Make, stage: Stage) -> None:
    shows(stage)
    noise = Image.effect_noise((2200, 2200), 200).convert("RGB")
    out = io.BytesIO()
    noise.save(out, "PNG", compress_level=0)
    make().identify("family", out.getvalue())
    assert 1 << 20 < len(stage.asked[0].data()) <= 5 << 20


def test_what_cannot_be_sent_is_refused(make: Make, stage: Stage) -> None:
    for data in (b"", b"no image", picture(4000, 50)):
        with pytest.raises(UnreadableImage):
            make().identify("family", data)
    assert stage.asked == []


def test_an_unknown_collection_ends_it(make: Make, stage: Stage, refusal: type[Refusal]) -> None:
    shows(stage, *[detail((0.1, at / 40, 0.02, 0.02)) for at in range(30)])
    missing = refusal("ResourceNotFoundException", "The collection id: family does not exist")
    stage.answers["SearchFacesByImage"] = lambda _: missing
    stage.delay = 0.2
    recognizer = make(parallel=2)
    with pytest.raises(NotFound):
        recognizer.identify("family", picture(2000, 2000))
    shows(stage, detail((0.1, 0.1, 0.2, 0.2)))
    with pytest.raises(NotFound):  # when its turn comes, whatever was left has had its own
        recognizer.identify("family", picture(2000, 2000))
    assert len(stage.calls("SearchFacesByImage")) < 15  # what had not begun was left


# ---- a hundred faces


def crowd() -> tuple[bytes, list[Raw]]:
    """Ten times ten faces, each in a colour of its own."""
    image = Image.new("RGB", (1600, 1600))
    draw = ImageDraw.Draw(image)
    faces = []
    for at in range(SIDE * SIDE):
        across, down = at % SIDE, at // SIDE
        colour = (across * STEP + 10, down * STEP + 10, 128)
        draw.rectangle((across * 160, down * 160, across * 160 + 159, down * 160 + 159), colour)
        place = ((across + 0.3) / SIDE, (down + 0.3) / SIDE, 0.4 / SIDE, 0.4 / SIDE)
        faces.append(detail(place))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue(), faces


def recognised_by_colour(asked: Asked) -> Raw:
    colour = asked.image().resize((1, 1)).getpixel((0, 0))
    assert isinstance(colour, tuple)
    red, green = colour[:2]
    person = f"Person {round((red - 10) / STEP)}-{round((green - 10) / STEP)}"
    return searched((0.22, 0.22, 0.56, 0.56), match(person, 99.0), match("Runner-up", 1.0, 1))


#: Calls a second.
RATE = 100.0


@pytest.fixture
def a_hundred_searches(
    make: Make, stage: Stage, refusal: type[Refusal], keys: tuple[str, str]
) -> list[float]:
    """Search for a hundred faces, one refused for the rate; when each call came, in seconds."""
    photo, faces = crowd()
    shows(stage, *faces)
    stage.answers["SearchFacesByImage"] = recognised_by_colour
    stage.delay = 0.03
    slow = refusal("ProvisionedThroughputExceededException", "Provisioned Rate exceeded.")
    stage.script["SearchFacesByImage"] = [slow]
    client = Client("us-east-1", endpoint=stage.url, keys=keys, rate=RATE)
    probe_result = make(client=client, parallel=8).identify("family", photo)
    expected = [f"Person {at % SIDE}-{at // SIDE}" for at in range(SIDE * SIDE)]
    assert [face.hits[0].person for face in probe_result.faces] == expected
    assert probe_result.left_out == ()
    assert probe_result.calls == 1 + SIDE * SIDE  # what was refused is not paid for
    return sorted(asked.at for asked in stage.calls("SearchFacesByImage"))


def test_a_hundred_faces_under_throttling_lose_no_name(
    a_hundred_searches: list[float], stage: Stage
) -> None:
    assert 2 <= stage.most <= 8
    assert len(a_hundred_searches) == SIDE * SIDE + 1


@pytest.mark.soak
def test_a_hundred_faces_keep_to_the_rate(a_hundred_searches: list[float]) -> None:
    times = a_hundred_searches
    assert (len(times) - 1) / (times[-1] - times[0]) <= RATE * 1.05
    assert max(sum(at <= other < at + 0.5 for other in times) for at in times) <= RATE / 2 * 1.3


def test_photos_of_several_workers_share_the_threads(make: Make, stage: Stage) -> None:
    photo, faces = crowd()
    shows(stage, *faces[:20])
    stage.answers["SearchFacesByImage"] = recognised_by_colour
    stage.delay = 0.02
    recognizer, seen = make(parallel=3), []

    def work() -> None:
        seen.append(len(recognizer.identify("family", photo).faces))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert seen == [20] * 4
    assert stage.most <= 6  # three searches, while the other three workers still detect
