"""What the functions on AWS Lambda are made of: no database, no face models."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel.adapters.aws import signed
from facelabel.adapters.aws.messages import from_record
from facelabel.adapters.aws.signed import SqsSender
from facelabel.adapters.clock import SystemClock
from facelabel.adapters.cloudinary.account import Account
from facelabel.bootstrap import account
from facelabel.errors import ConfigurationError
from facelabel.media import ApiKey

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from facelabel.adapters.aws.sqs import SqsQueue
    from facelabel.intake import Intake
    from facelabel.media import Delivery
    from facelabel.ports import Clock
    from facelabel.worker import Done, Worker

#: ARN of a secret of Secrets Manager, or of a parameter of SSM, that holds CLOUDINARY_URL; or
#: a JSON object of that and other variables.
SECRET_VARIABLE = "CLOUDINARY_URL_SECRET"  # noqa: S105 - a name
#: A job is tried so often over two hours or so. The queue's maxReceiveCount is higher: it is for
#: jobs whose function dies.
TRIES, FIRST_SECONDS, LONGEST_SECONDS = 8, 30.0, 1800.0


@dataclass(frozen=True, slots=True)
class Door:
    """Where notifications come in."""

    intake: Intake
    sender: SqsSender

    def take(self, delivery: Delivery) -> None:
        """Put the jobs into the queue; Unavailable if it does not take them.

        Cloudinary may send a notification twice: its jobs are then done twice, to the same end.
        """
        self.sender.enqueue_all(delivery.requests)


def door() -> Door:
    """What the webhook needs: so little that the settings are read without their library.

    The worker, which reads all of them, refuses what is wrong.
    """
    _take_secret()
    clock, own = SystemClock(), Account.parse(_variable("CLOUDINARY_URL"))
    more = ApiKey.several(os.environ.get("FACELABEL_NOTIFICATION_KEYS", ""))
    algorithm = os.environ.get("FACELABEL_SIGNATURE_ALGORITHM") or "any"
    url = _variable("FACELABEL_QUEUE")
    service = _service("sqs", url, clock)
    return Door(account.intake(own, more, algorithm, clock), SqsSender(service, url))


@dataclass(frozen=True, slots=True)
class Staff:
    """Who works the jobs that SQS hands to the function."""

    worker: Worker
    queue: SqsQueue

    def work(self, record: Mapping[str, Any]) -> Done:
        """Work one SQS record; Rejected if it holds no job, which is for the dead letters."""
        return self.worker.work(self.queue.begin(from_record(record)))


def staff() -> Staff:
    """What the worker needs."""
    from facelabel import settings as configuration  # noqa: PLC0415 - the webhook needs none of it
    from facelabel.bootstrap import amazon, aws, remote  # noqa: PLC0415 - same
    from facelabel.bootstrap.core import scheme  # noqa: PLC0415 - same
    from facelabel.pipeline import Pipeline  # noqa: PLC0415 - same
    from facelabel.worker import Backoff, Worker, handlers, one_at_a_time  # noqa: PLC0415 - same

    _take_secret()
    settings, clock = configuration.load(), SystemClock()
    stores = aws.build(settings, clock)
    pictures = remote.build(settings, stores.queue, clock)
    faces = amazon.build(settings, None)
    pipeline = Pipeline(
        pictures.quiet,
        faces.recognizer,
        stores.ledger,
        stores.queue,
        clock,
        scheme(settings),
        faces.thrift,
    )
    worker = Worker(
        stores.queue,
        one_at_a_time(handlers(pipeline), stores.locks.hold),
        clock,
        heartbeat=settings.lease / 3,
        backoff=Backoff(FIRST_SECONDS, LONGEST_SECONDS, TRIES),
    )
    return Staff(worker, stores.queue)


def _take_secret() -> None:
    """Put what is kept secret elsewhere where settings are looked for."""
    arn = os.environ.get(SECRET_VARIABLE, "")
    if not arn:
        return
    clock = SystemClock()
    if ":ssm:" in arn:
        text = signed.parameter(_service("ssm", "", clock), arn.partition(":parameter")[2])
    else:
        text = signed.secret(_service("secretsmanager", "", clock), arn)
    os.environ.update(_variables(text))


def _service(name: str, url: str, clock: Clock) -> signed.Service:
    """A service of this function's region, or where AWS's own variable says that it is."""
    region = _variable("AWS_REGION")
    own = os.environ.get("AWS_ENDPOINT_URL") or f"https://{name}.{region}.amazonaws.com"
    role = signed.Credentials(
        _variable("AWS_ACCESS_KEY_ID"),
        _variable("AWS_SECRET_ACCESS_KEY"),
        os.environ.get("AWS_SESSION_TOKEN", ""),
    )
    return signed.Service(name, url or own, region, role, clock)


def _variable(name: str) -> str:
    if not (value := os.environ.get(name)):
        raise ConfigurationError(f"{name} is not set")
    return value


def _variables(secret: str) -> dict[str, str]:
    """Environment variables of a secret."""
    if not secret.lstrip().startswith("{"):
        return {"CLOUDINARY_URL": secret.strip()}
    try:
        return {str(name): str(value) for name, value in json.loads(secret).items()}
    except ValueError:
        # Without the text: it is secret.
        raise ConfigurationError(f"the secret of {SECRET_VARIABLE} is no JSON object") from None
