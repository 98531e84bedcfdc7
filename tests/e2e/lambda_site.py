"""What is around a function on AWS: the runtime's API, the gateway, and what polls the queue."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.forked import Forked
from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:facelabel"


@dataclass
class Call:
    """One event on its way through a function."""

    event: Any
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    answer: Any = None
    failed: bool = False
    done: threading.Event = field(default_factory=threading.Event)


class Function:
    """A handler in a process of its own, under Lambda's own runtime client."""

    def __init__(
        self, handler: str, environment: Mapping[str, str], log: Path, *options: str
    ) -> None:
        """Start it, with options in an interpreter of its own; it waits for events."""
        self._waiting: queue.Queue[Call | None] = queue.Queue()
        self._under_way: dict[str, Call] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _runtime_api(self))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.process = _start(handler, options, log, {
            **environment,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": "facelabel",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        })  # fmt: skip

    def __call__(self, event: object) -> Any:  # noqa: ANN401 - JSON
        """Invoke it and return its answer; RuntimeError with its error."""
        call = Call(event)
        self._waiting.put(call)
        assert call.done.wait(PATIENCE), "the function does not answer"
        if call.failed:
            raise RuntimeError(call.answer.get("errorMessage"))
        return call.answer

    def next_call(self) -> Call | None:
        """The next event, for the runtime client; None when it is all over."""
        call = self._waiting.get(timeout=PATIENCE * 10)
        if call:
            self._under_way[call.request_id] = call
        return call

    def answered(self, request_id: str, answer: object, *, failed: bool) -> None:
        """What came of an event."""
        call = self._under_way.pop(request_id)
        call.answer, call.failed = answer, failed
        call.done.set()

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        self._waiting.put(None)
        self._server.shutdown()
        self._server.server_close()


def _start(
    handler: str, options: Sequence[str], log: Path, environment: Mapping[str, str]
) -> Forked | subprocess.Popen[bytes]:
    if not options:
        return Forked("awslambdaric", handler, env=environment, cwd=log.parent, output=log)
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, *options, "-m", "awslambdaric", handler], env=environment,
            cwd=log.parent, stdout=output, stderr=output,
        )  # fmt: skip


@contextlib.contextmanager
def function(
    handler: str, environment: Mapping[str, str], log: Path, *options: str
) -> Iterator[Function]:
    """Run a function for the time of the block."""
    with contextlib.closing(Function(handler, environment, log, *options)) as started:
        yield started


def _runtime_api(function: Function) -> type[BaseHTTPRequestHandler]:
    """The API that the runtime client asks: the next event, and where answers go."""

    class RuntimeApi(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # it would add 40 ms to every event

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # the function was ended
                super().handle()

        def do_GET(self) -> None:
            call = function.next_call()
            if call is None:
                self.close_connection = True
                return
            # Lambda's client is written in C++ and dies without one of these.
            self._send(200, json.dumps(call.event).encode(), {
                "Content-Type": "application/json",
                "Lambda-Runtime-Trace-Id": "Root=1-0-0;Parent=0;Sampled=0",
                "Lambda-Runtime-Aws-Request-Id": call.request_id,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + PATIENCE) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": ARN,
            })  # fmt: skip

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            _, request_id, what = self.path.rsplit("/", 2)
            function.answered(request_id, json.loads(data or b"null"), failed=what == "error")
            self._send(202, b"{}", {})

        def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return RuntimeApi


def http_api_event(path: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """What an HTTP API, or a function URL, makes of a request (payload format 2.0)."""
    return {
        "version": "2.0",
        "routeKey": f"POST {path}",
        "rawPath": path,
        "headers": {name.lower(): value for name, value in headers.items()},
        "requestContext": {"http": {"method": "POST", "path": path}, "stage": "$default"},
        "body": body.decode(),
        "isBase64Encoded": False,
    }


@contextlib.contextmanager
def gateway(invoke: Callable[[object], Any]) -> Iterator[str]:
    """Hand every POST to a function; its URL."""

    class Gateway(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = invoke(http_api_event(self.path, dict(self.headers), body))
            self.send_response(answer["statusCode"])
            self.end_headers()
            self.wfile.write(answer["body"].encode())

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def poll(sqs: Any, url: str, invoke: Callable[[object], Any], *, batch: int = 5) -> list[str]:  # noqa: ANN401 - boto3
    """Hand the function one batch of messages as Lambda does; return the bodies that failed."""
    received = sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=batch, WaitTimeSeconds=0, AttributeNames=["All"]
    ).get("Messages", [])
    if not received:
        return []
    records = [{
        "messageId": message["MessageId"], "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"], "attributes": message["Attributes"], "messageAttributes": {},
        "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-central-1:1:q",
        "awsRegion": "eu-central-1", "md5OfBody": message["MD5OfBody"],
    } for message in received]  # fmt: skip
    answer = invoke({"Records": records})
    failed = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
    for message in received:
        if message["MessageId"] not in failed:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [message["Body"] for message in received if message["MessageId"] in failed]
