"""Functions for AWS Lambda: a webhook that verifies and enqueues, and what works the jobs.

``worker`` is handed the messages of a queue of SQS. ``drain`` looks itself for what is due in a
database, whenever a schedule starts it.

What they need to know stands in the same environment variables as everywhere; the account's may
be kept by Secrets Manager or SSM instead (``CLOUDINARY_URL_SECRET``). Everything is built once,
at the first event, and used again as long as Lambda keeps the process.
"""

from __future__ import annotations

import base64
import collections
import functools
import json
import logging
import os
from typing import TYPE_CHECKING, Any, TypeAlias

from facelabel.cloudinary import notifications
from facelabel.cloudinary.notifications import Unverified
from facelabel.core.jobs import JobKind
from facelabel.errors import FacelabelError, Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools import Metrics
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from facelabel.bootstrap.app import App
    from facelabel.bootstrap.functions import WebhookApp, WorkerApp
    from facelabel.media.types import Delivery
    from facelabel.recognition.worker import Done

    #: What Lambda hands over and takes back: JSON.
    Event: TypeAlias = Mapping[str, Any]
    Answer: TypeAlias = dict[str, Any]

log = logging.getLogger(__name__)

#: Set to 1, it lets whoever may invoke the function hand it a notification as it is: the original
#: app's events, which nobody has signed.
DIRECT = "FACELABEL_ALLOW_DIRECT_EVENTS"
#: Kept free at the end of a function's time, for the job in hand: most take less. One that takes
#: longer is taken over by another when its lease ends.
RESERVE_SECONDS = 30.0
_UNAUTHORIZED, _BAD_REQUEST, _UNAVAILABLE = 401, 400, 503


def webhook(event: Event, _context: object) -> Answer:
    """Answer 200 once the jobs of a notification are in the queue.

    Takes the events of an HTTP API, of a REST API with proxy integration and of a function URL.
    """
    if "headers" not in event:
        return _direct(event)
    try:
        _webhook_app().take(_verified(event))
    except Unverified as refusal:
        return _answer(_UNAUTHORIZED, str(refusal))
    except Rejected as refusal:
        return _answer(_BAD_REQUEST, str(refusal))
    except FacelabelError as trouble:
        log.warning("a notification could not be taken: %s", trouble)
        return _answer(_UNAVAILABLE, "not now, try again later")
    return _answer(200)


def worker(event: Event, context: LambdaContext) -> Answer:
    """Work the jobs of a batch of SQS messages; name those that have to come again."""
    from aws_lambda_powertools import Metrics  # noqa: PLC0415 - the webhook starts sooner without
    from aws_lambda_powertools.utilities import batch  # noqa: PLC0415 - same

    processor = batch.BatchProcessor(batch.EventType.SQS, raise_on_entire_batch_failure=False)
    metrics = Metrics(namespace="Facelabel", service="worker")
    answer = batch.process_partial_response(
        event=dict(event),
        record_handler=functools.partial(_work, _worker_app(), metrics),
        processor=processor,
        context=context,
    )
    metrics.flush_metrics()
    return dict(answer)


def drain(event: Event, context: LambdaContext) -> Answer:
    """Work what is due in the database's queue, as long as there is time; say how many jobs.

    An event that is a job itself, as a schedule sends it, joins the queue first.
    """
    app = _app()
    if "kind" in event:
        app.queue.enqueue(JobKind(event["kind"]), str(event["key"]))
    seconds = context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS
    done = collections.Counter(_kind(one) for one in app.worker().due(seconds))
    log.info("worked: %s", dict(done))
    return dict(done)


class _Again(Exception):
    """A job that was given back to the queue."""


def _work(worker_app: WorkerApp, metrics: Metrics, record: SQSRecord) -> None:
    """Work one job; any exception has SQS hand the message out again."""
    done = worker_app.work(record.raw_event)
    kind = _kind(done)
    metrics.add_metric(name=kind, unit="Count", value=1)
    if kind == "again":
        raise _Again(done.error)


def _kind(done: Done) -> str:
    return done.outcome.kind.value if done.outcome else "buried" if done.buried else "again"


@functools.cache
def _webhook_app() -> WebhookApp:
    from facelabel.bootstrap.functions import webhook_app  # noqa: PLC0415 - at the first event

    return webhook_app()


@functools.cache
def _worker_app() -> WorkerApp:
    from facelabel.bootstrap.functions import worker_app  # noqa: PLC0415 - same

    return worker_app()


@functools.cache
def _app() -> App:
    from facelabel.bootstrap.functions import app  # noqa: PLC0415 - same

    return app()


def _direct(event: Event) -> Answer:
    """A notification that came by no gateway; its error goes to whoever invoked the function."""
    if os.environ.get(DIRECT) != "1":
        raise Rejected(f"the event comes from no gateway; {DIRECT}=1 lets it in")
    _webhook_app().take(notifications.read(json.dumps(event).encode()))
    return _answer(200)


def _verified(event: Event) -> Delivery:
    sent = event["headers"] or {}  # a REST API says null where there is none
    headers = {name.lower(): str(value) for name, value in sent.items()}
    timestamp, signature = (headers.get(f"x-cld-{part}", "") for part in ("timestamp", "signature"))
    return _webhook_app().intake.read(_body(event), timestamp, signature)


def _body(event: Event) -> bytes:
    """The body byte by byte, as it was signed."""
    body, is_encoded = str(event.get("body") or ""), event.get("isBase64Encoded")
    try:
        return base64.b64decode(body, validate=True) if is_encoded else body.encode()
    except ValueError as error:
        raise Rejected("the body is neither text nor base64") from error


def _answer(status: int, error: str = "") -> Answer:
    body = {"error": {"message": error}} if error else {"status": "ok"}
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(body),
    }
