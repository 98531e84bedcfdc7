"""What the functions on AWS Lambda are made of.

With a queue of SQS: no database and no face models. Without one everything is in PostgreSQL, and
the faces are known by the local engine.
"""

from __future__ import annotations

import json
import logging
import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel.adapters.aws import json_client
from facelabel.adapters.aws.json_client import SqsSender
from facelabel.adapters.aws.sqs_messages import from_record
from facelabel.adapters.clock import SystemClock
from facelabel.adapters.cloudinary.account import Account
from facelabel.bootstrap import account
from facelabel.errors import ConfigurationError
from facelabel.media.types import ApiKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from facelabel.adapters.aws.sqs import SqsQueue
    from facelabel.bootstrap.app import App
    from facelabel.cloudinary.intake import Intake
    from facelabel.media.types import Delivery
    from facelabel.ports import Clock
    from facelabel.recognition.worker import Done, Worker

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
    #: Puts the jobs of a notification into the queue; Unavailable if it does not take them. One
    #: that Cloudinary sends twice is worked twice, to the same end.
    take: Callable[[Delivery], None]


def door() -> Door:
    """What the webhook needs: so little that the settings are read without their library.

    The worker, which reads all of them, refuses what is wrong.
    """
    _prepare()
    clock, own = SystemClock(), Account.parse(_variable("CLOUDINARY_URL"))
    more = ApiKey.several(os.environ.get("FACELABEL_NOTIFICATION_KEYS", ""))
    algorithm = os.environ.get("FACELABEL_SIGNATURE_ALGORITHM") or "any"
    queue = os.environ.get("FACELABEL_QUEUE")
    take = _to_sqs(queue, clock) if queue else _to_database(clock)
    return Door(account.intake(own, more, algorithm, clock), take)


def _to_sqs(url: str, clock: Clock) -> Callable[[Delivery], None]:
    sender = SqsSender(_service("sqs", _variable("AWS_REGION"), url, clock), url)
    return lambda delivery: sender.enqueue_all(delivery.requests)


def _to_database(clock: Clock) -> Callable[[Delivery], None]:
    from facelabel.adapters.store.jobs.inbox import StoreInbox  # noqa: PLC0415 - same
    from facelabel.adapters.store.jobs.queue import StoreQueue  # noqa: PLC0415 - same
    from facelabel.adapters.store.sql.database import Database  # noqa: PLC0415 - not where SQS is

    database = Database(_lasting(os.environ.get("FACELABEL_STORE", "")))
    inbox = StoreInbox(database, StoreQueue(database, clock), clock)
    return lambda delivery: inbox.take([delivery])


def app() -> App:
    """What works the jobs in a database, with the local engine; open until the process ends."""
    from facelabel import settings as configuration  # noqa: PLC0415 - the webhook needs none of it
    from facelabel.bootstrap.app import opened  # noqa: PLC0415 - same

    _prepare()
    settings = configuration.load()
    _lasting(settings.store_url)
    return ExitStack().enter_context(opened(settings))


def _lasting(store: str) -> str:
    """The database's URL; ConfigurationError if it is on Lambda's own disk, and so soon gone."""
    if not store.startswith("postgresql"):
        raise ConfigurationError("set FACELABEL_QUEUE, or FACELABEL_STORE to postgresql://…")
    return store


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
    from facelabel.bootstrap.sessions import new_session  # noqa: PLC0415 - same
    from facelabel.recognition.pipeline import Pipeline  # noqa: PLC0415 - same
    from facelabel.recognition.worker import Backoff, Worker, handlers, one_at_a_time  # noqa: PLC0415 - same

    _prepare()
    settings, clock = configuration.load(), SystemClock()
    session = new_session()
    stores = aws.build(settings, clock, session)
    pictures = remote.build(settings, stores.queue, clock)
    faces = amazon.build(settings, None, session)
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


def _prepare() -> None:
    """Take the secret, and log what is asked for: Lambda's own choice is warnings alone."""
    if level := os.environ.get("FACELABEL_LOG_LEVEL"):
        logging.getLogger("facelabel").setLevel(level.upper())
    _take_secret()


def _take_secret() -> None:
    """Put what is kept secret elsewhere where settings are looked for."""
    arn = os.environ.get(SECRET_VARIABLE, "")
    if not arn:
        return
    try:
        _, partition, name, region, _ = arn.split(":", 4)
    except ValueError:
        raise ConfigurationError(f"{SECRET_VARIABLE} is no ARN: {arn!r}") from None
    service = _service(name, region, json_client.address(partition, name, region), SystemClock())
    read = json_client.parameter if name == "ssm" else json_client.secret
    os.environ.update(_variables(read(service, arn)))


def _service(name: str, region: str, url: str, clock: Clock) -> json_client.Service:
    """A service at this address, unless AWS's own variables say that it is elsewhere."""
    own = "SECRETS_MANAGER" if name == "secretsmanager" else name.upper()
    elsewhere = os.environ.get(f"AWS_ENDPOINT_URL_{own}") or os.environ.get("AWS_ENDPOINT_URL")
    role = json_client.Credentials(
        _variable("AWS_ACCESS_KEY_ID"),
        _variable("AWS_SECRET_ACCESS_KEY"),
        os.environ.get("AWS_SESSION_TOKEN", ""),
    )
    return json_client.Service(name, elsewhere or url, region, role, clock)


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
