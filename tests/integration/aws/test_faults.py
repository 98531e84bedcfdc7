"""What AWS's errors become: a server on loopback that answers with each of them."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError
from tests.integration.aws.moto_server import REGION, client
from tests.waiting import PATIENCE

from facelabel.adapters.aws import clients
from facelabel.adapters.aws.leases import Waiting
from facelabel.adapters.aws.ledger import DynamoLedger
from facelabel.adapters.aws.sqs import SqsQueue
from facelabel.adapters.aws.table import Table, delete
from facelabel.adapters.clock import SystemClock
from facelabel.core.jobs import JobKind
from facelabel.core.model import Enrolment
from facelabel.errors import ConfigurationError, Throttled, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

DYNAMODB = "com.amazonaws.dynamodb.v20120810#"
SQS = "com.amazonaws.sqs#"


class Server(HTTPServer):
    """Answers every call alike."""

    status = 400
    answer: bytes = b"{}"

    def fail(self, status: int, kind: str, **more: object) -> None:
        """Answer with this error from now on."""
        self.status = status
        self.answer = json.dumps({"__type": kind, "message": "so it is", **more}).encode()

    def say(self, **answer: object) -> None:
        """Answer with this from now on."""
        self.status, self.answer = 200, json.dumps(answer).encode()


class Handler(BaseHTTPRequestHandler):
    """Gives the answer of its server."""

    server: Server

    def do_POST(self) -> None:
        """Read the request, answer."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def at(server: Server, service: str) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(
            retries={"total_max_attempts": 1}, connect_timeout=PATIENCE, read_timeout=PATIENCE
        ),
    )


@pytest.fixture
def ledger(server: Server) -> DynamoLedger:
    return DynamoLedger(Table(at(server, "dynamodb"), "facelabel"))


@pytest.fixture
def queue(server: Server, table: Table) -> SqsQueue:
    clock, url = SystemClock(), f"http://127.0.0.1:{server.server_port}/1234/facelabel"
    waiting = Waiting(table, clock)
    return SqsQueue(at(server, "sqs"), url, f"{url}-dead", clock, waiting=waiting, wait=0)


ERRORS = [
    (400, "ThrottlingException", Throttled),
    (400, "ProvisionedThroughputExceededException", Throttled),
    (400, "RequestLimitExceeded", Throttled),
    (500, "InternalServerError", Unavailable),
    (503, "Whatever", Unavailable),
    (400, "ResourceNotFoundException", ConfigurationError),
    (400, "AccessDeniedException", ConfigurationError),
    (400, "UnrecognizedClientException", ConfigurationError),
    (400, "ExpiredTokenException", ConfigurationError),
    # What another service of Amazon's is known to say.
    (400, "LimitExceededException", Throttled),
    (400, "ResourceInUseException", Unavailable),
    (400, "MissingAuthenticationTokenException", ConfigurationError),
]


@pytest.mark.parametrize(("status", "name", "meaning"), ERRORS)
def test_errors_of_dynamodb(
    server: Server, ledger: DynamoLedger, status: int, name: str, meaning: type[Exception]
) -> None:
    server.fail(status, DYNAMODB + name)
    with pytest.raises(meaning, match="the DynamoDB table 'facelabel'") as read:
        ledger.gallery()
    assert type(read.value) is meaning
    with pytest.raises(meaning):
        ledger.begin_enrolment("people", "a", "Ann")
    with pytest.raises(meaning):
        ledger.enrol("people", Enrolment("a", "a", 1, "d", "Ann", "f"))


@pytest.mark.parametrize(
    ("status", "name", "meaning"),
    [
        (400, "QueueDoesNotExist", ConfigurationError),
        (403, "AccessDenied", ConfigurationError),
        (403, "RequestThrottled", Throttled),
        (403, "OverLimit", Throttled),
        (500, "InternalFailure", Unavailable),
    ],
)
def test_errors_of_sqs(
    server: Server, queue: SqsQueue, status: int, name: str, meaning: type[Exception]
) -> None:
    server.fail(status, SQS + name)
    with pytest.raises(meaning, match="the SQS queue 'facelabel'") as sent:
        queue.enqueue(JobKind.ASSET, "a")
    assert type(sent.value) is meaning
    with pytest.raises(meaning):
        queue.claim()
    with pytest.raises(meaning, match="'facelabel-dead'"):
        queue.jobs()


def test_an_error_says_what_to_do(server: Server, ledger: DynamoLedger) -> None:
    server.fail(400, DYNAMODB + "ResourceNotFoundException")
    with pytest.raises(ConfigurationError, match="deploy first, or look at AWS_REGION"):
        ledger.gallery()
    server.fail(400, DYNAMODB + "AccessDeniedException")
    with pytest.raises(ConfigurationError, match="mend the policy: so it is"):
        ledger.gallery()


@pytest.mark.parametrize(
    ("reason", "meaning"),
    [("ThrottlingError", Throttled), ("ProvisionedThroughputExceeded", Throttled)],
)
def test_a_transaction_cancelled_for_a_reason_of_its_own(
    server: Server, reason: str, meaning: type[Exception]
) -> None:
    table = Table(at(server, "dynamodb"), "facelabel")
    cancelled = DYNAMODB + "TransactionCanceledException"
    server.fail(400, cancelled, CancellationReasons=[{"Code": "None"}, {"Code": reason}])
    with pytest.raises(meaning):
        table.transact([delete(("a", "b"))])
    server.fail(400, cancelled, CancellationReasons=[{"Code": "TransactionConflict"}])
    assert not table.transact([delete(("a", "b"))])


def test_a_write_that_a_transaction_is_in_the_way_of(server: Server, ledger: DynamoLedger) -> None:
    server.fail(400, DYNAMODB + "TransactionConflictException")
    with pytest.raises(Unavailable, match="too many others"):
        ledger.begin_enrolment("people", "a", "Ann")


def test_letters_that_sqs_did_not_take_are_no_success(server: Server, queue: SqsQueue) -> None:
    failed = {"Id": "0", "SenderFault": False, "Code": "InternalError", "Message": "no"}
    server.say(Successful=[], Failed=[failed])
    with pytest.raises(Unavailable, match="1 letters failed: InternalError"):
        queue.enqueue(JobKind.ASSET, "a")


def test_what_batches_leave_is_asked_for_again_but_not_for_ever(
    server: Server, ledger: DynamoLedger
) -> None:
    key = {"pk": {"S": "asset#a"}, "sk": {"S": "search"}}
    server.say(Responses={}, UnprocessedKeys={"facelabel": {"Keys": [key]}})
    with pytest.raises(Unavailable):
        ledger.searches(["a"])


def test_a_bug_of_ours_is_none_of_these(server: Server, ledger: DynamoLedger) -> None:
    server.fail(400, DYNAMODB + "ValidationException")
    with pytest.raises(ClientError, match="ValidationException"):
        ledger.gallery()
    with pytest.raises(ParamValidationError), clients.translated("x"):
        client("dynamodb").get_item(TableName="x")


def test_a_server_that_is_not_there(server: Server, ledger: DynamoLedger, queue: SqsQueue) -> None:
    server.server_close()
    with pytest.raises(Unavailable, match="does not answer"):
        ledger.gallery()
    with pytest.raises(Unavailable, match="does not answer"):
        queue.pending()
