"""Amazon's own clients talk to ``facelabel serve`` as they do to Rekognition."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.e2e.conftest import program_in
from tests.e2e.served import serving
from tests.integration.amazon_shapes import strict
from tests.photographs import PEOPLE
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from botocore.client import BaseClient
    from tests.e2e.served import Served

    from facelabel.engine.models.model_store import ModelStore

#: Calls a second that the server answers, of each operation.
RATE = 5


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that stands for S3."""
    return tmp_path_factory.mktemp("s3")


@pytest.fixture(scope="module")
def served(
    s3: Path,
    tmp_path_factory: pytest.TempPathFactory,
    model_cache: Path,
    classic_pack_store: ModelStore,
) -> Iterator[Served]:
    """A server with a limit to its patience."""
    program = program_in(tmp_path_factory.mktemp("rekognition"), model_cache)
    program.environment.update(
        FACELABEL_REKOGNITION_THROTTLE=str(RATE), FACELABEL_S3_FOLDER=str(s3)
    )
    with serving(program) as running:
        yield running


@pytest.fixture
def portraits(photos: Path) -> Path:
    """Folder of portraits; everybody is in gallery/ and in probe/."""
    return photos / "portraits"


@pytest.fixture(scope="module")
def aws(served: Served) -> dict[str, str]:
    """What an AWS client finds in its environment; nothing else is different from Amazon."""
    key = urlsplit(served.cloudinary_url)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ENDPOINT_URL_REKOGNITION": served.url,
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": key.username or "",
        "AWS_SECRET_ACCESS_KEY": key.password or "",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def client(aws: dict[str, str], **changes: str) -> BaseClient:
    """boto3, refusing answers that are not as Amazon's model says."""
    known = aws | changes
    config = Config(retries={"mode": "standard", "total_max_attempts": 8})
    return strict(
        boto3.client(
            "rekognition", endpoint_url=known["AWS_ENDPOINT_URL_REKOGNITION"],
            region_name=known["AWS_REGION"], config=config,
            aws_access_key_id=known["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=known["AWS_SECRET_ACCESS_KEY"],
        )
    )  # fmt: skip


def test_boto3(aws: dict[str, str], portraits: Path, s3: Path) -> None:
    """The life of a collection, users and S3 included, with the retries it takes."""
    rekognition = client(aws)
    rekognition.create_collection(CollectionId="people")
    faces = {}
    for person in PEOPLE:
        image = {"Bytes": (portraits / "gallery" / f"{person}.jpg").read_bytes()}
        answer = rekognition.index_faces(
            CollectionId="people", Image=image, ExternalImageId=person, DetectionAttributes=["ALL"]
        )
        (record,) = answer["FaceRecords"]
        again = rekognition.index_faces(CollectionId="people", Image=image, ExternalImageId=person)[
            "FaceRecords"
        ]
        assert again[0]["Face"]["FaceId"] == record["Face"]["FaceId"]
        faces[person] = record["Face"]["FaceId"]
        rekognition.create_user(CollectionId="people", UserId=person)
        rekognition.associate_faces(CollectionId="people", UserId=person, FaceIds=[faces[person]])
    described = rekognition.describe_collection(CollectionId="people")
    assert (described["FaceCount"], described["UserCount"]) == (4, 4)

    (s3 / "photos").mkdir()
    for person in PEOPLE:
        name = f"{person}.jpg"
        shutil.copy(portraits / "probe" / name, s3 / "photos" / name)
        place = {"S3Object": {"Bucket": "photos", "Name": name}}
        found = rekognition.search_faces_by_image(CollectionId="people", Image=place)
        assert [match["Face"]["ExternalImageId"] for match in found["FaceMatches"]] == [person]
        users = rekognition.search_users_by_image(CollectionId="people", Image=place)
        assert [match["User"]["UserId"] for match in users["UserMatches"]] == [person]
    with pytest.raises(rekognition.exceptions.InvalidS3ObjectException):
        rekognition.detect_faces(Image={"S3Object": {"Bucket": "photos", "Name": "../x"}})

    pages = rekognition.get_paginator("list_faces").paginate(
        CollectionId="people", PaginationConfig={"PageSize": 3}
    )
    listed = [face for page in pages for face in page["Faces"]]
    assert [face["UserId"] for face in listed] == [*PEOPLE]
    rekognition.disassociate_faces(
        CollectionId="people", UserId=PEOPLE[0], FaceIds=[faces[PEOPLE[0]]]
    )
    gone = rekognition.delete_faces(CollectionId="people", FaceIds=[*faces.values()])
    assert gone["DeletedFaces"] == [faces[PEOPLE[0]]]
    assert len(gone["UnsuccessfulFaceDeletions"]) == 3
    rekognition.delete_user(CollectionId="people", UserId=PEOPLE[1])
    rekognition.delete_collection(CollectionId="people")
    with pytest.raises(rekognition.exceptions.ResourceNotFoundException):
        rekognition.list_users(CollectionId="people")


def test_group_photos(aws: dict[str, str], portraits: Path) -> None:
    """Faces by size; what is beyond the number asked for is told with its reason."""
    rekognition = client(aws)
    rekognition.create_collection(CollectionId="groups")
    labels = json.loads((portraits / "groups" / "labels.json").read_text("utf-8"))
    name, tiles = max(labels.items(), key=lambda item: len(item[1]))
    image = {"Bytes": (portraits / "groups" / name).read_bytes()}
    found = rekognition.detect_faces(Image=image)["FaceDetails"]
    assert len(found) == len(tiles)
    sizes = [face["BoundingBox"]["Width"] * face["BoundingBox"]["Height"] for face in found]
    assert sizes == sorted(sizes, reverse=True)
    done = rekognition.index_faces(CollectionId="groups", Image=image, MaxFaces=2)
    assert len(done["FaceRecords"]) == 2
    assert len(done["UnindexedFaces"]) == len(tiles) - 2
    assert all("EXCEEDS_MAX_FACES" in face["Reasons"] for face in done["UnindexedFaces"])


def test_who_may_call(aws: dict[str, str]) -> None:
    """On loopback anybody, but nobody under a name of ours without its secret."""
    assert client(aws, AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test").list_collections()
    with pytest.raises(ClientError, match="InvalidSignatureException"):
        client(aws, AWS_SECRET_ACCESS_KEY="wrong").list_collections()


def test_throttled_calls_get_through_in_the_end(aws: dict[str, str]) -> None:
    rekognition = client(aws)
    answers = [rekognition.list_collections() for _ in range(3 * RATE)]
    assert sum(answer["ResponseMetadata"]["RetryAttempts"] for answer in answers) > 0


def test_the_command_line(aws: dict[str, str], portraits: Path) -> None:
    """Version 1, in processes of their own."""
    ann, bob = (portraits / "gallery" / f"{person}.jpg" for person in PEOPLE[:2])
    probe = portraits / "probe" / ann.name

    def run(*arguments: str | Path, status: int = 0, **changes: str) -> Any:  # noqa: ANN401 - JSON
        command = [sys.executable, "-m", "awscli", "rekognition", *map(str, arguments)]
        result = subprocess.run(
            command,
            env=aws | changes,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert result.returncode == status, result.stderr
        if status:
            return result.stderr
        return json.loads(result.stdout) if result.stdout.strip() else None

    people = ("--collection-id", "people")
    assert run("create-collection", *people)["StatusCode"] == 200
    indexed = [
        run("index-faces", *people, "--image-bytes", f"fileb://{photo}",
            "--external-image-id", photo.stem)
        for photo in (ann, bob)
    ]  # fmt: skip
    face = indexed[0]["FaceRecords"][0]["Face"]["FaceId"]
    run("create-user", *people, "--user-id", "Ann")
    run("associate-faces", *people, "--user-id", "Ann", "--face-ids", face)
    found = run("search-users-by-image", *people, "--image-bytes", f"fileb://{probe}")
    assert [match["User"]["UserId"] for match in found["UserMatches"]] == ["Ann"]
    listed = run("list-faces", *people, "--page-size", "1")
    assert [one["ExternalImageId"] for one in listed["Faces"]] == [ann.stem, bob.stem]
    refused = run("search-faces", *people, "--face-id", face[::-1].replace("-", "0"), status=255)
    assert "ValidationException" in refused
    refused = run("list-collections", status=255, AWS_SECRET_ACCESS_KEY="wrong")
    assert "InvalidSignatureException" in refused
    run("delete-collection", *people)


def test_the_javascript_sdk(aws: dict[str, str], node_sdk: Path, portraits: Path) -> None:
    result = subprocess.run(
        ["node", "rekognition.mjs", str(portraits), *PEOPLE[:3]], cwd=node_sdk,
        env=aws, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "all as it should be" in result.stdout
