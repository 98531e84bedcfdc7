"""What Amazon's own Python SDK is answered, each answer held against Amazon's own model."""

from __future__ import annotations

import http.client
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.integration.amazon_shapes import strict
from tests.integration.face_collections import ALIKE, MemoryCollections, picture
from tests.waiting import PATIENCE

from facelabel.errors import (
    ConfigurationError,
    Denied,
    NotFound,
    Rejected,
    Throttled,
    TokenReused,
    Unavailable,
)
from facelabel.media.types import ApiKey
from facelabel.rekognition import serialize
from facelabel.testing.clock import ManualClock
from facelabel.web import rekognition_api
from facelabel.web.access.policy import Policy
from facelabel.web.app import guarded
from facelabel.web.http.budget import Budget, Limits, Pool
from facelabel.web.rekognition_api.context import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.client import BaseClient
    from tests.integration.conftest import Switch

    from facelabel.core.model import Face

KEY = ApiKey("AKIDEXAMPLE", "wJalrXUtnFEMI")
LOCAL = Policy()
TARGET = "RekognitionService."
NOBODY = "00000000-0000-4000-8000-000000000000"


class Objects:
    """A bucket in memory."""

    def __init__(self) -> None:
        """Begin without objects."""
        self.objects: dict[str, bytes | Exception] = {}

    def __call__(self, bucket: str, key: str, version: str | None) -> bytes:
        """An object, or what was put there to be raised."""
        found = self.objects.get(f"{bucket}/{key}@{version}", NotFound("none"))
        if isinstance(found, Exception):
            raise found
        return found


@dataclass
class Amazon:
    """The endpoint, behind a server."""

    url: str
    collections: MemoryCollections
    objects: Objects
    clock: ManualClock

    def client(self, key: ApiKey = KEY, attempts: int = 1) -> BaseClient:
        """The SDK, refusing answers that are not as Amazon's model says."""
        config = Config(retries={"mode": "standard", "total_max_attempts": attempts})
        return strict(
            boto3.client(
                "rekognition", endpoint_url=self.url, region_name="eu-west-1", config=config,
                aws_access_key_id=key.key, aws_secret_access_key=key.secret,
            )
        )  # fmt: skip

    def post(self, body: bytes, path: str = "/", **headers: str) -> tuple[int, dict[str, Any]]:
        """A call by hand: its status and answer."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=PATIENCE)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request("POST", path, body, sent)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        return response.status, json.loads(content) if content else {}

    def call(self, operation: str, given: object, **headers: str) -> tuple[int, dict[str, Any]]:
        """A call by hand, of an operation."""
        return self.post(json.dumps(given).encode(), X_Amz_Target=TARGET + operation, **headers)


@pytest.fixture
def start(shared: Switch) -> Callable[..., Amazon]:
    """Return what puts an endpoint behind the server; its arguments change the context."""

    def serve(
        collections: MemoryCollections | None = None,
        policy: Policy = LOCAL,
        **changes: Any,  # noqa: ANN401 - fields of Context
    ) -> Amazon:
        memory, objects, clock = (
            collections or MemoryCollections(),
            Objects(),
            ManualClock(time.time()),
        )
        context = Context(memory, lambda: [KEY], clock, fetch_object=objects)
        shared.site = guarded(rekognition_api.routes(replace(context, **changes)), policy)
        return Amazon(shared.url, memory, objects, clock)

    return serve


@pytest.fixture
def amazon(start: Callable[..., Amazon]) -> Amazon:
    """An endpoint on loopback, without collections."""
    return start()


@pytest.fixture
def sdk(amazon: Amazon) -> Iterator[BaseClient]:
    """The SDK without a key of ours, and a collection "people"."""
    client = amazon.client(ApiKey("test", "test"))
    client.create_collection(CollectionId="people", Tags={"team": "A B"})
    yield client
    client.close()


def code(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    """What an error says."""
    said = error.value.response["Error"]
    return said["Code"], said["Message"]


def test_the_life_of_a_collection(sdk: BaseClient) -> None:
    version = serialize.model_version("memory/7")
    described = sdk.describe_collection(CollectionId="people")
    assert (
        described["CollectionARN"] == "arn:aws:rekognition:us-east-1:000000000000:collection/people"
    )
    assert (described["FaceCount"], described["UserCount"]) == (0, 0)
    assert described["CreationTimestamp"].timestamp() == 1.7e9 + 0.25
    other = sdk.create_collection(CollectionId="Other.1")
    assert other["CollectionArn"] == "aws:rekognition:us-east-1:000000000000:collection/Other.1"
    assert (other["StatusCode"], other["FaceModelVersion"]) == (200, version)
    listed = sdk.list_collections()
    assert listed["CollectionIds"] == ["Other.1", "people"]
    assert listed["FaceModelVersions"] == [version] * 2
    assert sdk.delete_collection(CollectionId="Other.1")["StatusCode"] == 200
    assert sdk.list_collections()["CollectionIds"] == ["people"]


def test_tags_by_both_forms_of_the_name(sdk: BaseClient) -> None:
    full = sdk.describe_collection(CollectionId="people")["CollectionARN"]
    sdk.tag_resource(ResourceArn=full.removeprefix("arn:"), Tags={"städte": "Köln/1"})
    assert sdk.list_tags_for_resource(ResourceArn=full)["Tags"] == {
        "team": "A B", "städte": "Köln/1",
    }  # fmt: skip
    sdk.untag_resource(ResourceArn=full, TagKeys=["team", "never"])
    assert sdk.list_tags_for_resource(ResourceArn=full)["Tags"] == {"städte": "Köln/1"}
    with pytest.raises(ClientError) as error:
        sdk.tag_resource(ResourceArn=full, Tags={f"k{n}": "" for n in range(200)})
    assert code(error)[0] == "ServiceQuotaExceededException"
    for elsewhere in (full.replace("us-east-1", "eu-west-1"), full + "2"):
        with pytest.raises(sdk.exceptions.ResourceNotFoundException):
            sdk.list_tags_for_resource(ResourceArn=elsewhere)
    with pytest.raises(sdk.exceptions.InvalidParameterException):
        sdk.list_tags_for_resource(ResourceArn=full.replace("collection", "project"))


def test_faces_from_an_image_to_their_end(sdk: BaseClient) -> None:
    image = {"Bytes": picture("Ann", "Bob", "Cem")}
    done = sdk.index_faces(
        CollectionId="people", Image=image, ExternalImageId="a:1.jpg", MaxFaces=2,
        DetectionAttributes=["ALL"],
    )  # fmt: skip
    ann, bob = (record["Face"] for record in done["FaceRecords"])
    assert ann["ExternalImageId"] == bob["ExternalImageId"] == "a:1.jpg"
    assert ann["ImageId"] == bob["ImageId"]
    assert done["UnindexedFaces"][0]["Reasons"] == ["EXCEEDS_MAX_FACES"]
    detail = done["FaceRecords"][0]["FaceDetail"]
    assert detail["BoundingBox"]["Left"] == -0.05
    assert detail["Pose"] == {"Yaw": -12.5, "Pitch": 3.0, "Roll": 0.5}
    assert detail["Quality"] == {"Brightness": 70.0, "Sharpness": 60.0}
    kinds = [mark["Type"] for mark in detail["Landmarks"]]
    assert kinds == ["eyeLeft", "eyeRight", "nose", "mouthLeft", "mouthRight"]

    again = sdk.index_faces(CollectionId="people", Image={"Bytes": picture("Ann")})
    other = again["FaceRecords"][0]["Face"]
    assert "ExternalImageId" not in other
    found = sdk.search_faces(CollectionId="people", FaceId=ann["FaceId"])
    assert [match["Face"] for match in found["FaceMatches"]] == [other]
    assert found["SearchedFaceId"] == ann["FaceId"]
    by_image = sdk.search_faces_by_image(
        CollectionId="people", Image={"Bytes": picture("Bob")}, FaceMatchThreshold=0, MaxFaces=2
    )
    assert [match["Similarity"] for match in by_image["FaceMatches"]] == [ALIKE, 1.0]
    assert by_image["SearchedFaceConfidence"] == 99.0
    assert len(sdk.detect_faces(Image=image)["FaceDetails"]) == 3

    gone = sdk.delete_faces(CollectionId="people", FaceIds=[bob["FaceId"], NOBODY])
    assert gone["DeletedFaces"] == [bob["FaceId"]]
    assert gone["UnsuccessfulFaceDeletions"] == [{"FaceId": NOBODY, "Reasons": ["FACE_NOT_FOUND"]}]
    listed = sdk.list_faces(CollectionId="people", FaceIds=[ann["FaceId"], bob["FaceId"]])
    assert [face["FaceId"] for face in listed["Faces"]] == [ann["FaceId"]]


def test_faces_of_two_images_compared(sdk: BaseClient) -> None:
    compared = sdk.compare_faces(
        SourceImage={"Bytes": picture("Ann")}, TargetImage={"Bytes": picture("Bob", "Ann")}
    )
    assert compared["SourceImageFace"]["Confidence"] == 99.0
    assert [match["Similarity"] for match in compared["FaceMatches"]] == [ALIKE]
    assert len(compared["UnmatchedFaces"]) == 1


def test_users(sdk: BaseClient) -> None:
    one, two = (
        sdk.index_faces(CollectionId="people", Image={"Bytes": picture("Ann", side=side)})
        for side in (80, 90)
    )
    faces = [answer["FaceRecords"][0]["Face"]["FaceId"] for answer in (one, two)]
    for name in ("n1:Ann.Lee", "n1:Bob"):
        sdk.create_user(CollectionId="people", UserId=name)
    with pytest.raises(sdk.exceptions.ConflictException):
        sdk.create_user(CollectionId="people", UserId="n1:Bob")
    joined = sdk.associate_faces(
        CollectionId="people", UserId="n1:Ann.Lee", FaceIds=[*faces, NOBODY]
    )
    assert [face["FaceId"] for face in joined["AssociatedFaces"]] == faces
    assert joined["UnsuccessfulFaceAssociations"][0]["Reasons"] == ["FACE_NOT_FOUND"]
    assert joined["UserStatus"] == "UPDATING"
    listed = sdk.list_faces(CollectionId="people", UserId="n1:Ann.Lee")["Faces"]
    assert {face["UserId"] for face in listed} == {"n1:Ann.Lee"}
    kept = sdk.delete_faces(CollectionId="people", FaceIds=faces)["UnsuccessfulFaceDeletions"]
    assert kept[0]["UserId"] == "n1:Ann.Lee"

    by_face = sdk.search_users(CollectionId="people", FaceId=faces[0])
    assert by_face["UserMatches"][0]["User"] == {"UserId": "n1:Ann.Lee", "UserStatus": "ACTIVE"}
    assert by_face["SearchedFace"] == {"FaceId": faces[0]}
    by_user = sdk.search_users(CollectionId="people", UserId="n1:Bob")
    assert by_user["SearchedUser"] == {"UserId": "n1:Bob"}
    by_image = sdk.search_users_by_image(
        CollectionId="people", Image={"Bytes": picture("Ann", "Cem")}
    )
    assert by_image["UserMatches"][0]["Similarity"] == ALIKE
    assert by_image["UnsearchedFaces"][0]["Reasons"] == ["FACE_NOT_LARGEST"]
    nobody = sdk.search_users_by_image(CollectionId="people", Image={"Bytes": picture()})
    assert nobody["UserMatches"] == []
    assert "SearchedFace" not in nobody

    left = sdk.disassociate_faces(CollectionId="people", UserId="n1:Ann.Lee", FaceIds=faces[:1])
    assert left["DisassociatedFaces"] == [{"FaceId": faces[0]}]
    assert left["UserStatus"] == "ACTIVE"
    sdk.delete_user(CollectionId="people", UserId="n1:Ann.Lee")
    assert [user["UserId"] for user in sdk.list_users(CollectionId="people")["Users"]] == ["n1:Bob"]


def test_pages_in_the_sdks_own_words(sdk: BaseClient) -> None:
    longest = ["z" * 255, "." * 255, ":-"[1] * 200 + "_" * 55]
    for name in longest:
        sdk.create_collection(CollectionId=name)
    for number in range(5):
        sdk.create_user(CollectionId="people", UserId=f"{number}" * 128)
        sdk.index_faces(CollectionId="people", Image={"Bytes": picture(f"p{number}")})

    def all_of(operation: str, key: str, **given: object) -> list[object]:
        pages = sdk.get_paginator(operation).paginate(PaginationConfig={"PageSize": 1}, **given)
        return [item for page in pages for item in page[key]]

    assert all_of("list_collections", "CollectionIds") == sorted(["people", *longest])
    assert len(all_of("list_users", "Users", CollectionId="people")) == 5
    faces = all_of("list_faces", "Faces", CollectionId="people")
    assert faces == sdk.list_faces(CollectionId="people", MaxResults=0)["Faces"]


def test_a_token_is_good_for_its_call_alone(sdk: BaseClient) -> None:
    for person in ("Ann", "Bob", "Cem"):
        sdk.index_faces(CollectionId="people", Image={"Bytes": picture(person)})
        sdk.create_user(CollectionId="people", UserId=person)
    sdk.create_collection(CollectionId="other")
    token = sdk.list_faces(CollectionId="people", MaxResults=1)["NextToken"]
    assert len(sdk.list_faces(CollectionId="people", MaxResults=9, NextToken=token)["Faces"]) == 2
    changed = "A" if token[0] != "A" else "B"  # the last one may have bits that mean nothing
    refused: list[dict[str, str]] = [
        {"CollectionId": "people", "NextToken": changed + token[1:]},
        {"CollectionId": "people", "NextToken": ""},
        {"CollectionId": "people", "NextToken": "Grüße"},
        {"CollectionId": "other", "NextToken": token},
        {"CollectionId": "people", "NextToken": token, "UserId": "Ann"},
    ]
    for given in refused:
        with pytest.raises(sdk.exceptions.InvalidPaginationTokenException) as error:
            sdk.list_faces(**given)
        assert code(error)[1] == "Invalid Pagination Token"
    with pytest.raises(sdk.exceptions.InvalidPaginationTokenException):
        sdk.list_users(CollectionId="people", NextToken=token)


def test_errors_clients_compare_with(sdk: BaseClient) -> None:
    empty, tiny = {"Bytes": picture()}, {"Bytes": picture("Ann", side=79)}
    people = {"CollectionId": "people"}
    ann = {"Bytes": picture("Ann")}
    expected: list[tuple[str, dict[str, Any], str, str]] = [
        ("create_collection", people, "ResourceAlreadyExistsException",
         "The collection id: people already exists"),
        ("describe_collection", {"CollectionId": "none"}, "ResourceNotFoundException",
         "The collection id: none does not exist"),
        ("list_users", {"CollectionId": "none"}, "ResourceNotFoundException",
         "The collection id: none does not exist"),
        ("search_faces", people | {"FaceId": NOBODY}, "InvalidParameterException",
         "faceId was not found in the collection."),
        ("search_users", people | {"FaceId": NOBODY}, "InvalidParameterException",
         "faceId was not found in the collection."),
        ("search_users", people | {"UserId": "x"}, "ResourceNotFoundException",
         "The user id: x does not exist"),
        ("search_users", people, "InvalidParameterException", "Request has invalid parameters"),
        ("search_users", people | {"UserId": "x", "FaceId": NOBODY}, "InvalidParameterException",
         "Request has invalid parameters"),
        ("search_faces_by_image", people | {"Image": empty}, "InvalidParameterException",
         "There are no faces in the image. Should be at least 1."),
        ("compare_faces", {"SourceImage": ann, "TargetImage": empty}, "InvalidParameterException",
         "Request has invalid parameters"),
        ("detect_faces", {"Image": {}}, "InvalidParameterException",
         "Request has invalid parameters"),
        ("detect_faces", {"Image": ann | {"S3Object": {}}}, "InvalidParameterException",
         "Request has invalid parameters"),
        ("detect_faces", {"Image": {"Bytes": b"GIF89a"}}, "InvalidImageFormatException",
         "Request has invalid image format"),
        ("detect_faces", {"Image": tiny}, "InvalidParameterException",
         "Image dimensions must be at least 80 x 80 pixels"),
        ("detect_labels", {"Image": ann}, "AccessDeniedException",
         ("User: arn:aws:iam::000000000000:root is not authorized to perform: "
         "rekognition:DetectLabels on resource: *: Facelabel has the face operations only")),
        ("index_faces", people | {"Image": ann, "ExternalImageId": "José P"}, "ValidationException",
         ("1 validation error detected: Value 'José P' at 'externalImageId' failed to satisfy "
         "constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.\\-:]+")),
        ("detect_faces", {"Image": {"Bytes": bytes(5242881)}}, "ValidationException",
         ("1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=5242881 "
         "cap=5242881]' at 'image.bytes' failed to satisfy constraint: Member must have length "
         "less than or equal to 5242880")),
    ]  # fmt: skip
    for operation, given, name, message in expected:
        with pytest.raises(ClientError) as error:
            getattr(sdk, operation)(**given)
        assert code(error) == (name, message), operation
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_objects_of_s3(amazon: Amazon, sdk: BaseClient) -> None:
    objects = amazon.objects.objects
    objects["photos/a b.jpg@None"] = picture("Ann")
    objects["photos/a b.jpg@2"] = picture("Ann", "Bob")
    objects["photos/large@None"] = Rejected("too large")
    objects["photos/larger@None"] = picture("Ann") + bytes(15 << 20)
    objects["photos/shut@None"] = Denied("shut")
    objects["photos/later@None"] = Unavailable("later")

    def detected(**place: str) -> int:
        answer = sdk.detect_faces(Image={"S3Object": {"Bucket": "photos"} | place})
        return len(answer["FaceDetails"])

    assert detected(Name="a b.jpg") == 1
    assert detected(Name="a b.jpg", Version="2") == 2
    expected = {
        "none": "InvalidS3ObjectException", "shut": "InvalidS3ObjectException",
        "large": "ImageTooLargeException", "larger": "ImageTooLargeException",
        "later": "ThrottlingException",
    }  # fmt: skip
    for name, kind in expected.items():
        with pytest.raises(ClientError) as error:
            detected(Name=name)
        assert code(error)[0] == kind, name
    with pytest.raises(sdk.exceptions.InvalidS3ObjectException, match="Unable to get object"):
        detected()


def test_without_anything_for_s3(start: Callable[..., Amazon]) -> None:
    client = start(fetch_object=None).client()
    with pytest.raises(client.exceptions.InvalidS3ObjectException):
        client.detect_faces(Image={"S3Object": {"Bucket": "photos", "Name": "a.jpg"}})


class Recording(MemoryCollections):
    """Remembers what the last call asked for by name."""

    def __init__(self) -> None:
        """Begin with a collection."""
        super().__init__()
        self.asked: dict[str, object] = {}

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 - any method
        method = super().__getattribute__(name)
        if name not in {"index", "search_image", "search_users_image", "compare", "associate",
                        "search", "search_users", "faces"}:  # fmt: skip
            return method

        def call(*args: object, **named: object) -> object:
            self.asked = named
            return method(*args, **named)

        return call


def test_what_is_not_given_is_as_amazon_documents(start: Callable[..., Amazon]) -> None:
    memory = Recording()
    client = start(memory).client()
    client.create_collection(CollectionId="people")
    client.create_user(CollectionId="people", UserId="Ann")
    people, ann = {"CollectionId": "people"}, {"Bytes": picture("Ann")}

    def asked(operation: str, **given: object) -> dict[str, object]:
        getattr(client, operation)(**given)
        return memory.asked

    assert asked("index_faces", Image=ann, **people) == {"max_faces": None, "quality": "AUTO"}
    face = next(iter(memory.stored["people"].faces))
    search = {"threshold": 80.0, "limit": 4096}
    assert asked("search_faces", FaceId=face, **people) == search
    assert asked("search_faces_by_image", Image=ann, **people) == search | {"quality": "NONE"}
    compared = asked("compare_faces", SourceImage=ann, TargetImage=ann)
    assert compared == {"threshold": 80.0, "quality": "NONE"}
    joined = asked("associate_faces", UserId="Ann", FaceIds=[face], **people)
    assert joined["threshold"] == 75.0
    assert joined["token"]
    users = {"threshold": 80.0, "limit": 500}
    by_image = asked("search_users_by_image", Image=ann, **people)
    assert by_image == users | {"quality": "NONE"}
    by_face = asked("search_users", FaceId=face, **people)
    assert by_face == users | {"face_id": face, "user_id": None}
    given: dict[str, Any] = {"QualityFilter": "HIGH", "MaxFaces": 3}
    assert asked("index_faces", Image=ann, **people, **given) == {"max_faces": 3, "quality": "HIGH"}
    found = asked("search_faces_by_image", Image=ann, FaceMatchThreshold=0, **people, **given)
    assert found == {"threshold": 0, "limit": 3, "quality": "HIGH"}


class Remembering(MemoryCollections):
    """Has seen every token before."""

    def create_user(self, collection: str, user_id: str, token: str | None) -> None:
        raise TokenReused


def test_a_token_of_another_request_is_refused(start: Callable[..., Amazon]) -> None:
    client = start(Remembering()).client()
    client.create_collection(CollectionId="people")
    with pytest.raises(client.exceptions.IdempotentParameterMismatchException) as error:
        client.create_user(CollectionId="people", UserId="Ann", ClientRequestToken="t-1")
    assert code(error)[1] == "The ClientRequestToken: t-1 you have supplied is already in use."


class Moody(MemoryCollections):
    """Raises what it is told to."""

    def __init__(self, error: Exception) -> None:
        """``error``: what detection raises."""
        super().__init__()
        self.error = error

    def detect(self, image: bytes) -> list[Face]:
        raise self.error


def test_every_fault_has_its_answer(
    start: Callable[..., Amazon], caplog: pytest.LogCaptureFixture
) -> None:
    expected = [
        (Throttled("no"), "ProvisionedThroughputExceededException", 400),
        (Unavailable("busy"), "ThrottlingException", 500),
        (ZeroDivisionError("a bug"), "InternalServerError", 500),
        (Denied("no"), "AccessDeniedException", 400),
        (Rejected("no"), "InvalidParameterException", 400),
    ]
    for raised, name, status in expected:
        client = start(Moody(raised)).client()
        with pytest.raises(ClientError) as error:
            client.detect_faces(Image={"Bytes": picture("Ann")})
        assert code(error)[0] == name
        assert "a bug" not in code(error)[1]
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert "a bug" in caplog.text


def test_keys(start: Callable[..., Amazon]) -> None:
    """Where keys are needed, and where they are not."""
    wrong, unknown = ApiKey(KEY.key, "wrong"), ApiKey("AKIDOTHER", KEY.secret)
    amazon = start(policy=Policy(require_keys=True))
    assert amazon.client().list_collections()["CollectionIds"] == []
    for key, name in (
        (wrong, "InvalidSignatureException"),
        (unknown, "UnrecognizedClientException"),
    ):
        with pytest.raises(ClientError) as error:
            amazon.client(key).list_collections()
        assert code(error)[0] == name
    status, answer = amazon.call("ListCollections", {})
    assert (status, answer["Code"]) == (403, "MissingAuthenticationTokenException")
    answer = amazon.call("ListCollections", {}, Authorization="Basic eDp5")[1]
    assert answer["Code"] == "IncompleteSignatureException"
    for seconds in (-901, 901):
        amazon.clock.time = time.time() + seconds
        with pytest.raises(ClientError) as error:
            amazon.client().list_collections()
        assert code(error)[0] == "InvalidSignatureException"

    open_to_all = start()
    assert open_to_all.call("ListCollections", {})[0] == 200
    for key in (KEY, unknown):
        assert open_to_all.client(key).list_collections()["CollectionIds"] == []
    with pytest.raises(ClientError) as error:
        open_to_all.client(wrong).list_collections()
    assert code(error)[0] == "InvalidSignatureException"


def test_keys_that_cannot_be_read_are_our_fault_and_nobodys_business(
    start: Callable[..., Amazon], caplog: pytest.LogCaptureFixture
) -> None:
    def keys() -> list[ApiKey]:
        raise ConfigurationError("the keys in /srv/keys.json cannot be read")

    amazon = start(keys=keys)
    with pytest.raises(ClientError) as error:
        amazon.client().list_collections()
    assert code(error) == ("InternalServerError", "Internal server error")
    assert error.value.response["ResponseMetadata"]["RequestId"] in caplog.text
    assert "/srv/keys.json" in caplog.text


def test_throttled_calls_are_tried_again_by_the_sdk(start: Callable[..., Amazon]) -> None:
    """A clock that moves with every look at it lets the second attempt through."""
    amazon = start(throttle=2.0)
    once, thrice = amazon.client(), amazon.client(attempts=3)
    for _ in range(2):
        once.list_collections()
    with pytest.raises(once.exceptions.ProvisionedThroughputExceededException) as error:
        once.list_collections()
    assert code(error)[1] == "Provisioned Rate exceeded."
    with pytest.raises(thrice.exceptions.ResourceNotFoundException):
        thrice.describe_collection(CollectionId="another-operation-has-its-own-quota")
    thrice.meta.events.register(
        "needs-retry.rekognition", lambda **_: amazon.clock.sleep(0.5), unique_id="time-goes-by"
    )
    answer = thrice.list_collections()
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1


def test_requests_no_sdk_would_send(amazon: Amazon) -> None:
    target = {"X_Amz_Target": TARGET + "ListCollections"}
    for body in (
        b"{",
        b"[" * 100_000,
        b"\xff",
        b'{"a": NaN}',
        b'{"a":1,"a":1}',
        b"{}," * 100_000,
        b"1" * 5000,
        b"",
        b"[]",
        b"7",
    ):
        status, answer = amazon.post(body, **target)
        assert (status, answer["Code"]) == (400, "SerializationException"), body[:9]
    for name in ("", "ListCollections", TARGET, TARGET + "Nothing", "Other.ListCollections"):
        status, answer = amazon.post(b"{}", X_Amz_Target=name)
        assert (status, answer["Code"]) == (400, "UnknownOperationException"), name
    assert amazon.post(b"{}")[1]["Code"] == "UnknownOperationException"
    status, answer = amazon.post(b" " * ((8 << 20) + 1), **target)
    assert (status, answer["Code"]) == (413, "RequestEntityTooLargeException")
    status, answer = amazon.post(b"{}", Content_Encoding="gzip", **target)
    assert (status, answer["Code"]) == (400, "SerializationException")
    for path in ("/rekognition", "/rekognition/"):
        assert amazon.post(b"{}", path, **target)[0] == 200
    lone = {"ResourceArn": "\ud800" * 20}
    assert amazon.call("ListTagsForResource", lone)[1]["Code"] == "InvalidParameterException"


def test_bodies_that_come_too_slowly_or_too_many_at_once(shared: Switch) -> None:
    context = Context(MemoryCollections(), tuple, ManualClock())
    amazon = Amazon(shared.url, MemoryCollections(), Objects(), ManualClock())
    few = Limits(body=100, budget=Budget(small=Pool(10), memory=Pool(10), looks=0))
    shared.site = guarded(rekognition_api.routes(context, few), LOCAL)
    status, answer = amazon.call("ListCollections", {"Unheard": "of"})
    assert (status, answer["Code"]) == (400, "ThrottlingException")
    assert answer["Message"] == "Slow down; sudden increase in rate of requests."
    slow = Limits(body=100, window=0.1)
    shared.site = guarded(rekognition_api.routes(context, slow), LOCAL)
    lines = ("POST / HTTP/1.1", "Host: localhost", "Content-Length: 9", f"X-Amz-Target: {TARGET}")
    head = "\r\n".join([*lines, "", "{"])
    address = urlsplit(shared.url)
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.settimeout(PATIENCE)
        connection.sendall(head.encode())
        said = b"".join(iter(lambda: connection.recv(4096), b""))
    assert b"SerializationException" in said
    assert b"too slowly" in said


def test_sixteen_at_once(amazon: Amazon, sdk: BaseClient) -> None:
    def work(number: int) -> int:
        image = {"Bytes": picture(f"p{number}")}
        sdk.index_faces(CollectionId="people", Image=image)
        return len(sdk.search_faces_by_image(CollectionId="people", Image=image)["FaceMatches"])

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(work, range(48))) == {1}
    assert sdk.describe_collection(CollectionId="people")["FaceCount"] == 48
