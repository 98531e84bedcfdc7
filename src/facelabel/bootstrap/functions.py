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
from facelabel.errors import ConfigurationError
from facelabel.media.types import ApiKey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from facelabel.adapters.aws.sqs import SqsQueue
    from facelabel.bootstrap.app import App
    from facelabel.cloudinary.notifications import Intake
    from facelabel.core.clock import Clock
    from facelabel.media.types import Delivery
    from facelabel.recognition.worker import Done, Worker
    from facelabel.settings import Settings

log = logging.getLogger(__name__)

#: ARN of a secret of Secrets Manager, or of a parameter of SSM, that holds CLOUDINARY_URL; or
#: a JSON object of that and other variables.
SECRET_VARIABLE = "CLOUDINARY_URL_SECRET"  # noqa: S105 - a name


@dataclass(frozen=True, slots=True)
class WebhookApp:
    """Where notifications come in."""

    intake: Intake
    #: Puts the jobs of a notification into the queue; Unavailable if it does not take them. One
    #: that Cloudinary sends twice is worked twice, to the same end.
    take: Callable[[Delivery], None]


def webhook_app() -> WebhookApp:
    """What the webhook needs: so little that the settings are read without their library.

    The worker, which reads all of them, refuses what is wrong.
    """
    known, clock = {**os.environ, **_prepared()}, SystemClock()
    own = Account.parse(_variable(known, "CLOUDINARY_URL"))
    more = ApiKey.several(known.get("FACELABEL_NOTIFICATION_KEYS", ""))
    algorithm = known.get("FACELABEL_SIGNATURE_ALGORITHM") or "any"
    queue = known.get("FACELABEL_QUEUE")
    take = _to_sqs(known, queue, clock) if queue else _to_database(known, clock)
    return WebhookApp(own.intake(more, algorithm, clock), take)


def _to_sqs(known: Mapping[str, str], url: str, clock: Clock) -> Callable[[Delivery], None]:
    region = _variable(known, "AWS_REGION")
    sender = SqsSender(_service(known, "sqs", region, url, clock), url)
    return lambda delivery: sender.enqueue_all(delivery.requests)


def _to_database(known: Mapping[str, str], clock: Clock) -> Callable[[Delivery], None]:
    from facelabel.adapters.store.jobs import StoreInbox, StoreQueue  # noqa: PLC0415 - same
    from facelabel.adapters.store.sql.database import Database  # noqa: PLC0415 - not where SQS is

    database = Database(_lasting(known.get("FACELABEL_STORE", "")))
    inbox = StoreInbox(database, StoreQueue(database, clock), clock)
    return lambda delivery: inbox.take([delivery])


def app() -> App:
    """What works the jobs in a database, with the local engine; open until the process ends."""
    from facelabel.bootstrap import rules_in_force  # noqa: PLC0415 - the webhook needs none of it
    from facelabel.bootstrap.app import opened  # noqa: PLC0415 - same

    settings = _settings()
    _lasting(settings.store_url)
    app = ExitStack().enter_context(opened(settings, serves=True))
    rules_in_force.serve_by_settings(app.pipeline)
    return app


def _lasting(store: str) -> str:
    """The database's URL; ConfigurationError if it is on Lambda's own disk, and so soon gone."""
    if not store.startswith("postgresql"):
        raise ConfigurationError("set FACELABEL_QUEUE, or FACELABEL_STORE to postgresql://…")
    return store


@dataclass(frozen=True, slots=True)
class WorkerApp:
    """Who works the jobs that SQS hands to the function."""

    worker: Worker
    queue: SqsQueue

    def work(self, record: Mapping[str, Any]) -> Done:
        """Work one SQS record; Rejected if it holds no job, which is for the dead letters."""
        from facelabel.recognition.worker import log_failure  # noqa: PLC0415 - same

        done = self.worker.work(self.queue.begin(from_record(record)))
        log_failure(done)
        return done


def worker_app() -> WorkerApp:
    """What the worker needs."""
    from facelabel.adapters.aws.clients import new_session  # noqa: PLC0415 - same
    from facelabel.bootstrap import (  # noqa: PLC0415 - same
        amazon,
        learning_in_force,
        remote,
        rules_in_force,
    )
    from facelabel.bootstrap.core import agreed_settings, label_policy  # noqa: PLC0415 - same
    from facelabel.recognition.pipeline import Pipeline  # noqa: PLC0415 - same
    from facelabel.recognition.worker import Worker, handlers, one_at_a_time  # noqa: PLC0415 - same

    settings, clock = _settings(), SystemClock()
    session = new_session()
    stores = amazon.stores(settings, clock, session)
    learning = stores.ledger.gallery().learning
    account = remote.build(agreed_settings(settings, learning), stores.queue, clock)
    faces = amazon.build(settings, None, session)
    ledger, queue = stores.ledger, stores.queue
    way = Pipeline(
        account.for_pipeline, faces.recognizer, ledger, queue, clock,
        label_policy(settings).learnt_by(learning), faces.paid_searches,
    )  # fmt: skip
    wanted = learning_in_force.asked(settings, way)
    if learning_in_force.serve_by_settings(way, wanted):
        way = wanted
    rules_in_force.serve_by_settings(way)
    every = one_at_a_time(handlers(way), stores.hold)
    return WorkerApp(Worker(queue, every, clock, heartbeat=settings.lease / 3), queue)


def _settings() -> Settings:
    """All settings, whether they are kept in the environment or in the secret."""
    from facelabel import settings as configuration  # noqa: PLC0415 - not for the webhook

    secret = _prepared()
    if unread := configuration.unknown(secret):
        log.warning("the secret has what is no setting, and is not read: %s", ", ".join(unread))
    settings = configuration.load(secret=secret)
    for said in configuration.unread(settings):
        log.warning("%s", said)
    return settings


def _prepared() -> Mapping[str, str]:
    """Log what is asked for, as Lambda's own choice is warnings alone; return the secret."""
    if level := os.environ.get("FACELABEL_LOG_LEVEL"):
        logging.getLogger("facelabel").setLevel(level.upper())
    return _secret(os.environ)


def _secret(environment: Mapping[str, str]) -> Mapping[str, str]:
    """The variables that are kept by AWS; they are handed on as values alone."""
    arn = environment.get(SECRET_VARIABLE, "")
    if not arn:
        return {}
    try:
        _, partition, name, region, _ = arn.split(":", 4)
    except ValueError:
        raise ConfigurationError(f"{SECRET_VARIABLE} is no ARN: {arn!r}") from None
    address = json_client.address(partition, name, region)
    service = _service(environment, name, region, address, SystemClock())
    read = json_client.parameter if name == "ssm" else json_client.secret
    return _variables(read(service, arn))


def _service(
    known: Mapping[str, str], name: str, region: str, url: str, clock: Clock
) -> json_client.Service:
    """A service at this address, unless AWS's own variables say that it is elsewhere."""
    own = "SECRETS_MANAGER" if name == "secretsmanager" else name.upper()
    elsewhere = known.get(f"AWS_ENDPOINT_URL_{own}") or known.get("AWS_ENDPOINT_URL")
    role = json_client.Credentials(
        _variable(known, "AWS_ACCESS_KEY_ID"),
        _variable(known, "AWS_SECRET_ACCESS_KEY"),
        known.get("AWS_SESSION_TOKEN", ""),
    )
    return json_client.Service(name, elsewhere or url, region, role, clock)


def _variable(known: Mapping[str, str], name: str) -> str:
    if not (value := known.get(name)):
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
