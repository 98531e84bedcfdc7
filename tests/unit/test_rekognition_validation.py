"""Requests against Amazon's model, with botocore's own validator as a second opinion."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import examples

from facelabel.rekognition import validation
from facelabel.rekognition.error_codes import Refusal

if TYPE_CHECKING:
    from botocore.model import Shape

    from facelabel.core.model import Json, JsonValue

SERVICE = botocore.session.get_session().get_service_model("rekognition")
FACE = "11111111-2222-4333-8444-555555555555"
GENERATOR = Path(__file__).parents[2] / "scripts" / "rekognition_model.py"
LOCKED = Path(__file__).parents[2] / "requirements" / "dev.txt"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def refused(operation: str, request: JsonValue) -> tuple[str, str]:
    """The code and the message of the refusal."""
    with pytest.raises(Refusal) as caught:
        validation.check(operation, request)
    assert caught.value.status == 400
    return caught.value.code, caught.value.message


def outcome(operation: str, request: JsonValue) -> object:
    """What is read, or the code of the refusal."""
    try:
        return validation.check(operation, request)
    except Refusal as error:
        return error.code


def violation(request: Json, operation: str = "IndexFaces") -> str:
    """What is said of the one thing that is wrong."""
    image: Json = {"CollectionId": "c", "Image": {"Bytes": "YQ=="}}
    kind, message = refused(operation, image | request)
    assert kind == "ValidationException"
    intro, _, rest = message.partition(": ")
    assert intro == "1 validation error detected"
    return rest


def test_the_table_is_what_the_installed_botocore_says() -> None:
    """Regenerate it with ``python scripts/rekognition_model.py`` after an update."""
    if f"botocore=={botocore.__version__} " not in LOCKED.read_text():
        pytest.skip("the table is that of the botocore in requirements/dev.txt")
    result = subprocess.run([sys.executable, GENERATOR, "--check"], check=False)
    assert result.returncode == 0


def test_every_operation_of_rekognition_is_known() -> None:
    model = validation.model()
    assert set(model.operations) | model.others == set(SERVICE.operation_names)
    assert (len(model.operations), len(model.others)) == (21, 54)
    assert "documentation" not in json.dumps([str(shape) for shape in model.shapes.values()])


def test_every_operation_and_parameter_is_in_the_compatibility_page() -> None:
    page = (GENERATOR.parents[1] / "docs" / "compatibility.md").read_text("utf-8")
    rows = [row.split("|") for row in page.partition("## Amazon Rekognition")[2].splitlines()]
    model = validation.model()
    for name, operation in model.operations.items():
        (row,) = (row for row in rows if len(row) > 3 and name in row[1].strip().split(", "))
        for parameter in model.shapes[operation.input].members or {}:
            assert f"`{parameter}`" in row[2], f"{name}: {parameter}"


def test_a_request_is_read_as_the_model_has_it() -> None:
    picture = bytes(range(256))
    request: Json = {
        "CollectionId": "c-1_.",
        "Image": {"Bytes": base64.b64encode(picture).decode(), "S3Object": None},
        "MaxFaces": 3,
        "ExternalImageId": None,
        "Unheard": {"of": 1},
        "DetectionAttributes": ["ALL", "SMILE"],
    }
    assert validation.check("IndexFaces", request) == {
        "CollectionId": "c-1_.",
        "Image": {"Bytes": picture},
        "MaxFaces": 3,
        "DetectionAttributes": ["ALL", "SMILE"],
    }
    assert validation.check("ListCollections", {}) == {}
    assert validation.check("DetectFaces", {"Image": {}}) == {"Image": {}}


def test_constraints_in_amazons_words() -> None:
    failed = "failed to satisfy constraint:"
    empty = refused("DeleteCollection", {"CollectionId": ""})[1]
    assert empty.startswith("2 validation errors detected: Value '' at 'collectionId' failed")
    assert violation({"CollectionId": None}) == (
        f"Value null at 'collectionId' {failed} Member must not be null"
    )
    assert violation({"CollectionId": "a" * 256}) == (
        f"Value '{'a' * 256}' at 'collectionId' {failed} "
        "Member must have length less than or equal to 255"
    )
    assert violation({"CollectionId": "a\n"}).endswith(r"pattern: [a-zA-Z0-9_.\-]+")
    assert violation({"MaxFaces": 0}) == (
        f"Value '0' at 'maxFaces' {failed} Member must have value greater than or equal to 1"
    )
    assert violation({"QualityFilter": "auto"}) == (
        f"Value 'auto' at 'qualityFilter' {failed} "
        "Member must satisfy enum value set: [NONE, AUTO, LOW, MEDIUM, HIGH]"
    )
    assert violation({"Image": {"S3Object": {"Bucket": "ab", "Name": "x"}}}).startswith(
        "Value 'ab' at 'image.s3Object.bucket' failed"
    )
    assert violation({"FaceIds": [FACE, FACE.upper()[:-1] + "A"]}, "DeleteFaces").startswith(
        f"Value '{FACE[:-1]}A' at 'faceIds.2.member' failed"
    )
    assert violation({"FaceIds": [FACE] * 4097}, "ListFaces").endswith(
        "' at 'faceIds' failed to satisfy constraint: "
        "Member must have length less than or equal to 4096"
    )
    assert violation({"Tags": {"aws:x": "y"}}, "CreateCollection").startswith(
        "Value 'aws:x' at 'tags.key' failed"
    )
    assert violation({"FaceId": FACE, "FaceMatchThreshold": 100.5}, "SearchFaces").startswith(
        "Value '100.5' at 'faceMatchThreshold'"
    )
    both = refused("SearchFaces", {"CollectionId": "ä"})[1]
    assert both.startswith("2 validation errors detected: Value null at 'faceId'")
    assert "; Value 'ä' at 'collectionId'" in both


def test_the_limits_themselves_are_let_through() -> None:
    largest = base64.b64encode(bytes(5 << 20)).decode()
    validation.check("DetectFaces", {"Image": {"Bytes": largest}})
    assert "less than or equal to 5242880" in violation({"Image": {"Bytes": largest[:-2] + "AA"}})
    faces: JsonValue = [FACE] * 4096
    validation.check("DeleteFaces", {"CollectionId": "x" * 255, "FaceIds": faces})
    for number in (0, 100, 0.5):
        request: Json = {"CollectionId": "c", "FaceId": FACE, "FaceMatchThreshold": number}
        validation.check("SearchFaces", request)


def test_wrong_types() -> None:
    image: Json = {"Bytes": "YQ=="}
    face: Json = {"CollectionId": "c", "Image": image}
    expected: list[tuple[JsonValue, str]] = [
        (None, "null can not be converted to an object"),
        ([], "START_ARRAY can not be converted to an object"),
        (face | {"CollectionId": 7}, "NUMBER_VALUE can not be converted to a String"),
        (face | {"MaxFaces": "3"}, "STRING_VALUE can not be converted to an Integer"),
        (face | {"MaxFaces": True}, "BOOLEAN_VALUE can not be converted to an Integer"),
        (face | {"MaxFaces": 1.5}, "NUMBER_VALUE can not be converted to an Integer"),
        (face | {"DetectionAttributes": "ALL"}, "STRING_VALUE can not be converted to a list"),
        (face | {"DetectionAttributes": [None]}, "null can not be converted to a String"),
        (face | {"Image": {"Bytes": [1]}}, "START_ARRAY can not be converted to a Blob"),
    ]
    for request, message in expected:
        assert refused("IndexFaces", request) == ("SerializationException", message)
    wrong: Json = {"CollectionId": "c", "FaceId": FACE, "FaceMatchThreshold": "80"}
    assert refused("SearchFaces", wrong)[1] == "STRING_VALUE can not be converted to a Float"
    wrong["FaceMatchThreshold"] = True
    assert refused("SearchFaces", wrong)[1] == "BOOLEAN_VALUE can not be converted to a Float"
    assert refused("CreateCollection", {"CollectionId": "c", "Tags": []})[0] == (
        "SerializationException"
    )


@pytest.mark.parametrize("text", ["YQ", "YQ=", "Y-_=", "YQ==\n", " YQ==", "YQ==YQ==", "ä"])
def test_base64_is_taken_strictly(text: str) -> None:
    request: Json = {"Image": {"Bytes": text}}
    kind, message = refused("DetectFaces", request)
    assert (kind, message) == ("SerializationException", "The value at 'image.bytes' is not base64")


def test_hostile_sizes_are_not_repeated() -> None:
    many: JsonValue = ["x"] * 500_000
    deep: JsonValue = []
    for _ in range(2000):
        deep = [deep]
    requests: list[Json] = [
        {"CollectionId": "a" * 1_000_000},
        {"DetectionAttributes": many},
        {"MaxFaces": -(10**4000)},
    ]
    for request in requests:
        face: Json = {"CollectionId": "c", "Image": {"Bytes": "YQ=="}}
        kind, message = refused("IndexFaces", face | request)
        assert kind == "ValidationException"
        assert len(message) < 20_000
    kind, message = refused("DeleteFaces", {"CollectionId": "c", "FaceIds": [deep] * 5000})
    assert kind == "ValidationException"
    assert "'[[...], [...], " in message


def test_tags_are_matched_as_java_does() -> None:
    r"""``\p{L}``, ``\p{N}``, ``\p{Z}`` of every character there is."""
    shape = validation.model().shapes["TagValue"]
    for number in range(sys.maxunicode + 1):
        character = chr(number)
        kind = unicodedata.category(character)
        is_allowed = kind[0] in "LNZ" or character in "_.:/=+-@"
        assert shape.fits(character) == is_allowed, (hex(number), kind)


def _value(shape: Shape) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one for each type
    """A value that may be of this shape: mostly right, often at a limit or beyond."""
    low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 6)
    match shape.type_name:
        case "structure":
            members = {name: _value(of) for name, of in shape.members.items()}
            needed = {name: members.pop(name) for name in shape.required_members}
            return st.fixed_dictionaries(needed, optional=members)
        case "list":
            return st.lists(_value(shape.member), max_size=3)
        case "map":
            return st.dictionaries(_value(shape.key), _value(shape.value), max_size=3)
        case "blob":
            return st.binary(max_size=5)
        case "integer":
            return st.integers(low - 2, high + 2)
        case "float":
            return st.floats(low - 1, high + 1) | st.sampled_from([low, high])
        case _:
            return _text(shape)


def _text(shape: Shape) -> st.SearchStrategy[Any]:
    texts = st.text(max_size=5) | st.integers()
    if shape.enum:
        return st.sampled_from(shape.enum) | texts
    pattern = shape.metadata.get("pattern", "")
    if pattern and r"\p" not in pattern:
        return st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True) | texts
    return texts


def _as_json(value: Any) -> Any:  # noqa: ANN401 - JSON
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case dict():
            return {str(name): _as_json(item) for name, item in value.items()}
        case list():
            return [_as_json(item) for item in value]
    return value


@examples(400)
@given(st.data())
def test_what_botocore_refuses_is_refused(data: st.DataObject) -> None:
    """And what is let through keeps its values."""
    operation = data.draw(st.sampled_from(sorted(validation.model().operations)))
    shape = SERVICE.operation_model(operation).input_shape
    request = data.draw(_value(shape))
    report = ParamValidator().validate(request, shape)
    read = outcome(operation, _as_json(request))
    if isinstance(read, str):
        assert read in {"SerializationException", "ValidationException"}
    else:
        assert read == request
        assert not report.has_errors(), report.generate_report()


@examples(400)
@given(st.sampled_from(sorted(validation.model().operations)), JSON)
def test_any_json_is_read_or_refused(operation: str, request: JsonValue) -> None:
    read = outcome(operation, request)
    assert isinstance(read, dict) or read in {"SerializationException", "ValidationException"}
