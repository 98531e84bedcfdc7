"""The functions for AWS Lambda under Lambda's own runtime client, with everything around them."""

from __future__ import annotations

import json
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from tests.e2e.conftest import IDLE, Inside
from tests.e2e.lambda_site import Function, function, gateway, http_api_event, poll
from tests.e2e.served import Cloud, Served, serving, status, text_of
from tests.e2e.toll import Toll, toll
from tests.integration.aws.moto_server import REGION, client, moto_server, new_queues, new_table
from tests.photographs import PEOPLE
from tests.waiting import until

from facelabel.adapters.aws.leases import AssetLocks
from facelabel.adapters.aws.table import Table
from facelabel.adapters.clock import SystemClock
from facelabel.cloudinary import signing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Program

#: The original app's own variables.
ORIGINAL = {
    "trainingFolder": "people/known",
    "faceRecognitionFolder": "uploads",
    "rekognitionCollection": "cld-rekog-collection",
    "confidenceThreshold": "85",
    "faceLabelTagPrefix": "who",
    "transformationParams": "q_auto,w_900,h_900,c_limit",
}


@dataclass(frozen=True)
class Stack:
    """What the template makes, in processes of this computer."""

    #: Stands for Cloudinary and for Amazon Rekognition …
    account: Served
    #: … and counts what is asked of the latter.
    gate: Toll
    environment: dict[str, str]
    queue: str
    dead_letters: str
    webhook: Function
    worker: Function
    #: Where notifications are sent.
    url: str
    log: Path

    def work(self) -> list[str]:
        """One poll of the queue; the bodies that failed."""
        return poll(client("sqs"), self.queue, self.worker)

    @contextmanager
    def polled(self) -> Iterator[None]:
        """Poll the queue all the time, with two workers at once."""
        over = threading.Event()

        def run(worker: Function) -> None:
            while not over.wait(0.2):
                poll(client("sqs"), self.queue, worker)

        with function("facelabel.aws_lambda.worker", self.environment, self.log) as second:
            threads = [
                threading.Thread(target=run, args=(worker,)) for worker in (self.worker, second)
            ]
            for thread in threads:
                thread.start()
            try:
                yield
            finally:
                over.set()
                for thread in threads:
                    thread.join()

    @property
    def laptop(self) -> Inside:
        """The command line on somebody's computer, with the stack's settings."""
        return Inside(self.environment, self.account.program.folder)

    def jobs(self) -> list[dict[str, Any]]:
        """The dead letters."""
        listed: list[dict[str, Any]] = self.laptop.json("jobs", "list")
        return listed


@pytest.fixture
def stack(program: Program, tmp_path: Path) -> Iterator[Stack]:
    """Return everything that is deployed."""
    cloud = replace(program, environment={**program.environment, **IDLE})
    queue, dead = new_queues(most_receives=3)
    log = tmp_path / "functions.log"
    with ExitStack() as around:
        account = around.enter_context(serving(cloud, log=tmp_path / "account.log"))
        gate = around.enter_context(toll(account.url))
        secret = client("secretsmanager").create_secret(
            Name=tmp_path.name, SecretString=json.dumps({"CLOUDINARY_URL": account.cloudinary_url})
        )
        environment = {
            **program.environment, **ORIGINAL,
            "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_ENDPOINT_URL": moto_server(), "AWS_ENDPOINT_URL_REKOGNITION": gate.url,
            "CLOUDINARY_URL_SECRET": secret["ARN"], "CLOUDINARY_URL": account.cloudinary_url,
            "FACELABEL_LIBRARY": "cloudinary", "FACELABEL_FACES": "rekognition",
            "FACELABEL_STORE": f"dynamodb://{new_table().name}",
            "FACELABEL_QUEUE": queue, "FACELABEL_DEAD_LETTERS": dead,
            "FACELABEL_DATA": str(tmp_path / "laptop"),
        }  # fmt: skip
        deployed = {k: v for k, v in environment.items() if k != "CLOUDINARY_URL"}
        webhook = around.enter_context(function("facelabel.aws_lambda.webhook", deployed, log))
        worker = around.enter_context(function("facelabel.aws_lambda.worker", deployed, log))
        url = around.enter_context(gateway(webhook))
        yield Stack(account, gate, environment, queue, dead, webhook, worker, url, log)


def connected(stack: Stack) -> Cloud:
    """The account, which tells the stack of changes."""
    assert "connected" in stack.laptop("connect", "--public-url", stack.url)
    return stack.account.cloud()


def learn(cloud: Cloud, pictures: Path) -> None:
    """Upload four labelled portraits."""
    for person in PEOPLE:
        portrait = str(pictures / f"{person}1.jpg")
        cloud.upload(portrait, asset_folder="people/known", tags=f"who:{person}")


def test_from_a_signed_notification_to_the_four_names(stack: Stack, photos: Path) -> None:
    cloud = connected(stack)
    with stack.polled():
        learn(cloud, photos / "people")
        until(lambda: len(stack.laptop.json("people")) == len(PEOPLE))
        photo = str(photos / "people/party.jpg")
        group = str(cloud.upload(photo, asset_folder="uploads", tags="summer")["public_id"])
        until(lambda: cloud.tags(group) == {"summer", *PEOPLE})
        portrait = cloud.call("resources_by_tag", "who:Hopper")["resources"][0]["public_id"]
        cloud.call("destroy", portrait)
        until(lambda: len(stack.laptop.json("people")) == len(PEOPLE) - 1)
    assert stack.jobs() == []
    log = text_of(stack.log)
    assert cloud.options["api_secret"] not in log
    assert "Traceback" not in log


def test_bulk_work_from_a_laptop(stack: Stack, photos: Path) -> None:
    pictures = photos / "people"
    portraits = stack.log.parent / "labels.csv"
    portraits.write_text("".join(f"{pictures}/{p}1.jpg,{p}\n" for p in PEOPLE))
    assert "4 portraits of 4 people" in stack.laptop("index", "--dry-run", portraits)
    assert "4 portraits learnt; 4 people known" in stack.laptop("index", portraits)
    cloud = stack.account.cloud()
    group = cloud.upload(str(pictures / "party.jpg"), asset_folder="uploads")["public_id"]
    assert "paid calls of Amazon Rekognition" in stack.laptop("tag", "--dry-run")
    assert "1 picture searched, 1 with names (4 names)" in stack.laptop("tag")
    assert cloud.tags(group) == set(PEOPLE)
    assert "what is learnt and the training folder agree" in stack.laptop("index", "--check")
    assert "0 to look at" in stack.laptop("reconcile")
    assert "4 people known" in stack.laptop("index", "--rebuild")
    stack.laptop("doctor")


def test_a_laptop_leaves_alone_what_a_function_has_in_hand(stack: Stack, photos: Path) -> None:
    cloud, photo = stack.account.cloud(), str(photos / "people/party.jpg")
    asset_id = cloud.upload(photo, asset_folder="uploads")["asset_id"]
    table = Table(client("dynamodb"), stack.environment["FACELABEL_STORE"].rpartition("/")[2])
    with AssetLocks(table, SystemClock(), lease=60).hold(asset_id):
        assert f"another worker has {asset_id} in hand" in stack.laptop("tag", status=75)
    assert waiting(stack) == 1


def test_a_function_has_no_models_and_pays_for_faces_to_be_found(
    stack: Stack, photos: Path
) -> None:
    """One call more for each picture than where our own detector is, whatever is installed here."""
    cloud, pictures = stack.account.cloud(), photos / "people"

    def paid(photo: str, folder: str, tags: str = "") -> int:
        before = stack.gate.paid
        asset = cloud.upload(str(pictures / photo), asset_folder=folder, tags=tags)
        job = json.dumps({"kind": "asset", "key": asset["asset_id"], "payload": {}})
        client("sqs").send_message(QueueUrl=stack.queue, MessageBody=job)
        assert drained(stack) == []
        return stack.gate.paid - before

    assert paid("Obama1.jpg", "people/known", "who:Obama") == 2
    assert paid("Obama1.jpg", "people/known", "who:Obama") == 0  # a copy: another picture
    assert paid("Obama2.jpg", "uploads") == 2
    assert paid("party.jpg", "uploads") == 1 + 4
    calls = stack.gate.calls
    assert (calls["DetectFaces"], calls["IndexFaces"], calls["SearchFacesByImage"]) == (3, 1, 5)
    assert [len(person["portraits"]) for person in stack.laptop.json("people")] == [2]
    assert stack.jobs() == []


@pytest.mark.soak
def test_duplicates_and_what_comes_at_once_have_one_effect(stack: Stack, photos: Path) -> None:
    cloud = connected(stack)
    portrait = cloud.upload(str(photos / "people/Obama1.jpg"), asset_folder="people/known",
                            tags="who:Obama")  # fmt: skip
    job = json.dumps({"kind": "asset", "key": portrait["asset_id"], "payload": {}})
    for _ in range(6):
        client("sqs").send_message(QueueUrl=stack.queue, MessageBody=job)
    with stack.polled():
        until(lambda: len(stack.laptop.json("people")) == 1)
        until(lambda: not waiting(stack))
    faces = client_of_rekognition(stack).list_faces(CollectionId="cld-rekog-collection")["Faces"]
    assert len(faces) == 1
    assert cloud.tags(portrait["public_id"]) == {"who:Obama", f"faceId:{faces[0]['FaceId']}"}


def test_only_the_poisoned_message_comes_again(stack: Stack, photos: Path) -> None:
    cloud = stack.account.cloud()
    good = cloud.upload(str(photos / "people/Obama1.jpg"), asset_folder="people/known",
                        tags="who:Obama")  # fmt: skip
    broken = cloud.upload(str(photos / "people/party.jpg"), asset_folder="people/known",
                          tags="who:Nobody")  # fmt: skip
    sqs = client("sqs")
    sqs.set_queue_attributes(QueueUrl=stack.queue, Attributes={"VisibilityTimeout": "1"})
    for key in (good["asset_id"], broken["asset_id"]):
        job = json.dumps({"kind": "asset", "key": key, "payload": {}})
        sqs.send_message(QueueUrl=stack.queue, MessageBody=job)
    sqs.send_message(QueueUrl=stack.queue, MessageBody="no job")
    assert stack.work() == ["no job"]
    dead = stack.jobs()  # four faces teach nobody: that will not change by itself
    assert [one["job"]["key"] for one in dead] == [broken["asset_id"]]
    assert "4 faces" in dead[0]["job"]["reason"]
    assert drained(stack) == ["no job"] * 2  # the third time SQS lays it aside
    cloud.call("remove_tag", "who:Nobody", [broken["public_id"]])
    number = str(dead[0]["job"]["job_id"])
    assert "1 job will be tried again" in stack.laptop("jobs", "retry", number)
    assert drained(stack) == []
    assert [one["job"]["key"] for one in stack.jobs()] == []
    assert cloud.tags(good["public_id"]) > {"who:Obama"}


def drained(stack: Stack) -> list[str]:
    """Poll until nothing is left; what failed meanwhile."""
    failed: list[str] = []

    def work() -> bool:
        failed.extend(stack.work())
        return not waiting(stack)

    until(work)
    return failed


def waiting(stack: Stack) -> int:
    """How many messages are in the queue, in hand or not."""
    attributes = client("sqs").get_queue_attributes(
        QueueUrl=stack.queue, AttributeNames=["All"]
    )["Attributes"]  # fmt: skip
    return sum(int(attributes[name]) for name in (
        "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible",
    ))  # fmt: skip


def client_of_rekognition(stack: Stack) -> Any:  # noqa: ANN401 - boto3
    """The SDK at the account's own faces."""
    return boto3.client("rekognition", endpoint_url=stack.account.url, region_name=REGION,
                        aws_access_key_id="a", aws_secret_access_key="b")  # fmt: skip


def test_who_signs_with_another_key_is_turned_away(stack: Stack) -> None:
    body = json.dumps({"notification_type": "upload"}).encode()
    now = str(int(time.time()))
    for signature in ("", "0" * 40, signing.sign_notification(body, now, "guessed")):
        headers = {"X-Cld-Timestamp": now, "X-Cld-Signature": signature}
        assert stack.webhook(http_api_event("/webhook", headers, body))["statusCode"] == 401
    assert status(f"{stack.url}/webhook", body) == 401
    with pytest.raises(RuntimeError, match="FACELABEL_ALLOW_DIRECT_EVENTS"):
        stack.webhook({"notification_type": "upload", "resources": []})
    assert not waiting(stack)


def test_the_originals_bare_events(stack: Stack) -> None:
    event = {"notification_type": "delete", "resources": [{"asset_id": "a" * 32, "public_id": "x"}]}
    allowed = {**stack.environment, "FACELABEL_ALLOW_DIRECT_EVENTS": "1"}
    with function("facelabel.aws_lambda.webhook", allowed, stack.log) as webhook:
        assert webhook(event)["statusCode"] == 200
    assert waiting(stack) == 1
