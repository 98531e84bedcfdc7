"""DynamoDB, SQS and the like as moto plays them, over HTTP on loopback, once per process."""

from __future__ import annotations

import json
import threading
import uuid
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

from facelabel.adapters.aws.table import EXPIRES, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

REGION = "eu-central-1"


class OneAtATime:
    """Answers one request after the other: what is one step at AWS is none in moto's threads."""

    def __init__(self, site: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]) -> None:
        """Guard this application."""
        self._site = site
        self._turn = threading.Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        with self._turn:
            return list(self._site(environ, start_response))


class Handler(WSGIRequestHandler):
    """Keeps connections, and says nothing."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Say nothing."""


@cache
def moto_server() -> str:
    """URL of the server; it ends with the process."""
    site = OneAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, site, threaded=True, request_handler=Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


@cache
def client(service: str) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
    """A client of boto3 that talks to the server, and to nobody else."""
    return boto3.client(
        service,
        endpoint_url=moto_server(),
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"max_attempts": 1}, max_pool_connections=20),
    )


def new_table() -> Table:
    """An empty table, as the template makes it."""
    name, dynamodb = f"facelabel-{uuid.uuid4().hex}", client("dynamodb")
    keys = [("pk", "HASH"), ("sk", "RANGE")]
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n, _ in keys],
        KeySchema=[{"AttributeName": n, "KeyType": kind} for n, kind in keys],
    )
    dynamodb.update_time_to_live(
        TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRES}
    )
    return Table(dynamodb, name)


def new_queues(*, most_receives: int = 1000) -> tuple[str, str]:
    """URLs of an empty queue and of its dead letters, as the template makes them."""
    name, sqs = f"facelabel-{uuid.uuid4().hex}", client("sqs")
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])
    redrive = {
        "deadLetterTargetArn": arn["Attributes"]["QueueArn"],
        "maxReceiveCount": most_receives,
    }
    attributes = {"RedrivePolicy": json.dumps(redrive)}
    return sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"], dead
