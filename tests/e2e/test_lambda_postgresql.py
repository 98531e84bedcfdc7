"""The functions with the local engine: everything in PostgreSQL, no service of Amazon's."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.conftest import Inside
from tests.e2e.lambda_site import Function, function, gateway, http_api_event
from tests.e2e.served import Cloud, Served, serving, status, text_of
from tests.photographs import PEOPLE
from tests.waiting import until

from facelabel.cloudinary import signing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.conftest import Program

    from facelabel.adapters.store.sql.database import Database


@dataclass(frozen=True)
class Stack:
    """What deploy/aws/container makes, in processes of this computer."""

    account: Served
    environment: dict[str, str]
    worker: Function
    #: Where notifications are sent.
    url: str
    log: Path

    @property
    def laptop(self) -> Inside:
        """The command line on somebody's computer, with the stack's settings."""
        return Inside(self.environment, self.account.program.folder)


@pytest.fixture
def stack(program: Program, postgresql: Database, tmp_path: Path) -> Iterator[Stack]:
    """Return everything that is deployed; its schedule is the test itself."""
    idle = {"trainingFolder": "no-training", "faceRecognitionFolder": "no-assets"}
    cloud = replace(program, environment={**program.environment, **idle})
    log = tmp_path / "functions.log"
    with ExitStack() as around:
        account = around.enter_context(serving(cloud, log=tmp_path / "account.log"))
        environment = {
            **program.environment,
            "CLOUDINARY_URL": account.cloudinary_url,
            "FACELABEL_LIBRARY": "cloudinary", "FACELABEL_FACES": "local",
            "FACELABEL_LOG_LEVEL": "info", "FACELABEL_STORE": postgresql.url,
        }  # fmt: skip

        def start(name: str) -> Function:
            own = {**environment, "FACELABEL_DATA": str(tmp_path / name)}
            return around.enter_context(function(f"facelabel.aws_lambda.{name}", own, log))

        webhook, worker = start("webhook"), start("drain")
        assert webhook({"headers": {}})["statusCode"] == 401  # it has started
        yield Stack(account, environment, worker, around.enter_context(gateway(webhook)), log)


def test_from_a_signed_notification_to_the_four_names(stack: Stack, photos: Path) -> None:
    assert "connected" in stack.laptop("connect", "--public-url", stack.url)
    cloud = stack.account.cloud()
    pictures = photos / "people"
    for person in PEOPLE:
        upload(cloud, pictures / f"{person}1.jpg", "training", f"faceLabel:{person}")
    group = upload(cloud, pictures / "party.jpg", "assets", "summer")

    def found() -> bool:
        worked(stack)
        return cloud.tags(group) == {"summer", *PEOPLE}

    until(found)
    assert {one["name"] for one in stack.laptop.json("people")} == {*PEOPLE}
    assert stack.laptop.json("jobs", "list") == []
    log = text_of(stack.log)
    assert log.count(": learnt ") == len(PEOPLE)
    assert cloud.options["api_secret"] not in log
    assert "Traceback" not in log


def test_the_schedule_finds_what_no_notification_told_of(stack: Stack, photos: Path) -> None:
    cloud = stack.account.cloud()
    upload(cloud, photos / "people" / "Obama1.jpg", "training", "faceLabel:Obama")
    assert worked(stack) == {}
    first = worked(stack, {"kind": "reconcile", "key": "all"})
    assert first["learnt"] == 1, first
    assert [one["name"] for one in stack.laptop.json("people")] == ["Obama"]


def test_a_notification_that_comes_again_is_worked_once(stack: Stack, photos: Path) -> None:
    cloud = stack.account.cloud()
    public_id = upload(cloud, photos / "people/Obama1.jpg", "training", "faceLabel:Obama")
    asset = cloud.call("resource", public_id)
    body = json.dumps({"notification_type": "upload", **asset}).encode()
    now = str(int(time.time()))
    headers = {
        "X-Cld-Timestamp": now,
        "X-Cld-Signature": signing.sign_notification(body, now, cloud.options["api_secret"]),
    }
    assert [status(f"{stack.url}/webhook", body, **headers) for _ in range(3)] == [200] * 3
    assert worked(stack)["learnt"] == 1
    assert worked(stack) == {}
    forged = http_api_event("/webhook", {**headers, "X-Cld-Signature": "0" * 40}, body)
    assert status(f"{stack.url}/webhook", body, **forged["headers"]) == 401


def worked(stack: Stack, event: object = None) -> dict[str, Any]:
    """What one start by the schedule came to."""
    answer: dict[str, Any] = stack.worker(event or {})
    return answer


def upload(cloud: Cloud, photo: Path, folder: str, tag: str) -> str:
    """Upload a picture; return its public_id."""
    return str(cloud.upload(str(photo), asset_folder=folder, tags=tag)["public_id"])
