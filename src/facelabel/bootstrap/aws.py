"""Ledger and queue on Amazon's services: DynamoDB and SQS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError

from facelabel.adapters.aws.collection_parameter import LiveName
from facelabel.adapters.aws.leases import AssetLocks, Receipts, Waiting
from facelabel.adapters.aws.ledger import DynamoLedger
from facelabel.adapters.aws.sqs import SqsInbox, SqsQueue
from facelabel.adapters.aws.table import Table
from facelabel.bootstrap.sessions import new_session
from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
    from botocore.session import Session

    from facelabel.ports import Clock, Inbox, Ledger
    from facelabel.settings import Settings

#: Seconds for an answer; and tries in all.
_PATIENCE, _TRIES = 10, 4


@dataclass(frozen=True, slots=True)
class AwsStores:
    """Everything that is kept, kept by Amazon."""

    ledger: Ledger
    queue: SqsQueue
    inbox: Inbox
    #: Several workers may get jobs about one asset at the same time.
    locks: AssetLocks


def build(settings: Settings, clock: Clock, session: Session | None = None) -> AwsStores:
    """Connect, with the region and credentials that AWS's own variables and files name.

    ``session``: botocore's, which reads its descriptions of AWS once for all clients.
    """
    session = session or new_session()
    table = Table(_client(session, "dynamodb"), settings.table)
    queue = SqsQueue(
        _client(session, "sqs"),
        settings.queue,
        settings.dead_letters,
        clock,
        waiting=Waiting(table, clock),
        lease=settings.lease,
    )
    return AwsStores(
        DynamoLedger(table, _live_name(session, settings.collection_parameter)),
        queue,
        SqsInbox(queue, Receipts(table, clock)),
        AssetLocks(table, clock, lease=settings.lease),
    )


def _live_name(session: Session, parameter: str) -> LiveName | None:
    return LiveName(_client(session, "ssm"), parameter) if parameter else None


def _client(session: Session, service: str) -> Any:  # noqa: ANN401 - botocore makes its classes at run time
    """A client of one service; ConfigurationError if no region is set."""
    config = Config(
        connect_timeout=_PATIENCE,
        read_timeout=_PATIENCE,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
    )
    try:
        return session.create_client(service, config=config)
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(f"Amazon's {service} cannot be used: {error}") from error
