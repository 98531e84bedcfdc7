"""What the functions on Lambda make of events, and of AWS's services being away."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from facelabel import aws_lambda
from facelabel.adapters.aws.sqs_messages import from_message
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = "abcd"
ACCOUNT = f"cloudinary://123:{SECRET}@demo"
ARN = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:cloudinary"
UPLOAD = json.dumps({
    "notification_type": "upload", "asset_id": "a1", "public_id": "ä", "version": 1,
    "resource_type": "image", "type": "upload",
}, ensure_ascii=False)  # fmt: skip


class Amazon(ThreadingHTTPServer):
    """As much of AWS as the webhook calls."""

    def __init__(self) -> None:
        """Listen on loopback."""
        super().__init__(("127.0.0.1", 0), _Call)
        self.url = f"http://127.0.0.1:{self.server_port}"
        #: Status and body of the next answers, by the operation's last word.
        self.answers: dict[str, tuple[int, object]] = {}
        self.sent: list[dict[str, Any]] = []

    @property
    def jobs(self) -> list[tuple[str, str]]:
        """Kind and key of every job that was sent."""
        bodies = (json.loads(e["MessageBody"]) for call in self.sent for e in call["Entries"])
        return [(body["kind"], body["key"]) for body in bodies]


class _Call(BaseHTTPRequestHandler):
    server: Amazon

    def do_POST(self) -> None:
        operation = self.headers["x-amz-target"].rpartition(".")[2]
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = self.server.answers.get(operation, (200, {}))
        if operation == "SendMessageBatch" and status == 200:
            self.server.sent.append(body)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def amazon() -> Iterator[Amazon]:
    """AWS, on loopback."""
    with Amazon() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def fresh(amazon: Amazon, monkeypatch: pytest.MonkeyPatch) -> Iterator[Amazon]:
    """A function that starts with its first event, in the environment that Lambda gives it."""
    for name, value in {
        "CLOUDINARY_URL": ACCOUNT, "FACELABEL_QUEUE": f"{amazon.url}/queue",
        "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": amazon.url,
        "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "hidden",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    for name in ("CLOUDINARY_URL_SECRET", "FACELABEL_NOTIFICATION_KEYS", aws_lambda.DIRECT):
        monkeypatch.delenv(name, raising=False)
    aws_lambda._webhook_app.cache_clear()  # noqa: SLF001 - as in a new process
    yield amazon
    aws_lambda._webhook_app.cache_clear()  # noqa: SLF001 - same


def signed(body: str = UPLOAD, secret: str = SECRET) -> dict[str, str]:
    """The headers of a notification."""
    now = str(int(time.time()))
    signature = hashlib.sha1((body + now + secret).encode()).hexdigest()
    return {"X-Cld-Timestamp": now, "X-Cld-Signature": signature, "Content-Type": "text/plain"}


def http_api() -> dict[str, Any]:
    """Payload format 2.0: names in lower case."""
    headers = {name.lower(): value for name, value in signed().items()}
    return {"version": "2.0", "headers": headers, "body": UPLOAD, "isBase64Encoded": False}


def rest_api() -> dict[str, Any]:
    """Payload format 1.0: names as they were sent, and every value once more in a list."""
    headers = signed()
    lists = {name: [value] for name, value in headers.items()}
    return {"version": "1.0", "headers": headers, "multiValueHeaders": lists, "body": UPLOAD}


def function_url() -> dict[str, Any]:
    """A body that the gateway takes for binary."""
    encoded = base64.b64encode(UPLOAD.encode()).decode()
    return {"version": "2.0", "headers": signed(), "body": encoded, "isBase64Encoded": True}


@pytest.mark.parametrize("event", [http_api, rest_api, function_url])
def test_every_gateway_is_understood(fresh: Amazon, event: Callable[[], dict[str, Any]]) -> None:
    assert aws_lambda.webhook(event(), None)["statusCode"] == 200
    assert fresh.jobs == [("asset", "a1")]


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({"headers": None, "multiValueHeaders": None, "body": None}, 401),
        ({"headers": {}}, 401),
        ({"headers": {"X-Cld-Timestamp": None, "X-Cld-Signature": 5}, "body": "{}"}, 401),
        ({"headers": {"X-Cld-Timestamp": "nan", "X-Cld-Signature": "x"}, "body": "{}"}, 401),
        ({"headers": signed(secret="other"), "body": UPLOAD}, 401),
        ({"headers": signed(), "body": UPLOAD + " "}, 401),
        ({"headers": {}, "body": "@@@", "isBase64Encoded": True}, 400),
        ({"headers": {}, "body": "é", "isBase64Encoded": True}, 400),
        ({"headers": {}, "body": "\ud800"}, 400),
        ({"headers": signed("[]"), "body": "[]"}, 400),
        ({"headers": signed("[" * 100_000), "body": "[" * 100_000}, 400),
    ],
)
def test_what_is_no_notification_of_ours(fresh: Amazon, event: dict[str, Any], status: int) -> None:
    answer = aws_lambda.webhook(event, None)
    assert answer["statusCode"] == status
    assert json.loads(answer["body"])["error"]["message"]
    assert fresh.sent == []


def test_a_bare_event_only_where_it_is_let_in(
    fresh: Amazon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Rejected, match=aws_lambda.DIRECT):
        aws_lambda.webhook(json.loads(UPLOAD), None)
    monkeypatch.setenv(aws_lambda.DIRECT, "1")
    assert aws_lambda.webhook(json.loads(UPLOAD), None)["statusCode"] == 200
    assert fresh.jobs == [("asset", "a1")]


@pytest.mark.parametrize(
    "answer",
    [
        (500, {}),
        (400, {"__type": "com.amazonaws.sqs#QueueDoesNotExist"}),
        (200, {"Failed": [{"Id": "0"}]}),
        (200, "?"),
    ],
)
def test_a_queue_that_takes_nothing_is_for_later(fresh: Amazon, answer: tuple[int, object]) -> None:
    fresh.answers["SendMessageBatch"] = answer
    assert aws_lambda.webhook(rest_api(), None)["statusCode"] == 503
    del fresh.answers["SendMessageBatch"]
    assert aws_lambda.webhook(rest_api(), None)["statusCode"] == 200


@pytest.mark.parametrize("secret", [ACCOUNT, json.dumps({"CLOUDINARY_URL": ACCOUNT})])
def test_a_start_that_fails_is_tried_again_with_the_next_event(
    fresh: Amazon, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, secret: str
) -> None:
    monkeypatch.setenv("CLOUDINARY_URL_SECRET", ARN)
    monkeypatch.setenv("CLOUDINARY_URL", "")
    for answer in (
        (500, {"__type": "InternalServiceError"}),
        (400, {"__type": "AccessDeniedException"}),
        (200, {"SecretBinary": base64.b64encode(secret.encode()).decode()}),
        (200, {"SecretString": f"{{{ACCOUNT}"}),
        (200, {"SecretString": f"[{ACCOUNT}]"}),
    ):
        fresh.answers["GetSecretValue"] = answer
        assert aws_lambda.webhook(rest_api(), None)["statusCode"] == 503
    fresh.answers["GetSecretValue"] = (200, {"SecretString": secret})
    assert aws_lambda.webhook(rest_api(), None)["statusCode"] == 200
    assert fresh.jobs == [("asset", "a1")]
    assert SECRET not in caplog.text
    assert "hidden" not in caplog.text


@pytest.mark.parametrize(
    "body",
    [
        "", "null", "[]", "{}", "[" * 100_000, '{"kind":"dance","key":"a","payload":{}}',
        '{"kind":"asset","key":"a","payload":5}', '{"kind":"asset","key":"a"}',
        '{"kind":"asset","key":"a","payload":{},"tries":1e999}',
    ],
)  # fmt: skip
def test_messages_that_are_no_jobs(body: str) -> None:
    attributes = {"ApproximateReceiveCount": "1", "SentTimestamp": "1"}
    with pytest.raises(Rejected, match="is no job of ours"):
        from_message(
            body,
            attributes,
            message_id="6f0e1c34-6f0c-4b7e-9a53-2d7a0a1f6c11",
            receipt_handle="r",
        )
