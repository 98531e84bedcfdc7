"""Ledger and queue on Amazon's services: DynamoDB and SQS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from facelabel.adapters.aws.leases import AssetLocks, Receipts, Waiting
from facelabel.adapters.aws.ledger import DynamoLedger
from facelabel.adapters.aws.sqs import SqsInbox, SqsQueue
from facelabel.adapters.aws.table import Table
from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
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


def build(settings: Settings, clock: Clock) -> AwsStores:
    """Connect, with the region and credentials that AWS's own variables and files name."""
    table = Table(client("dynamodb"), settings.table)
    queue = SqsQueue(
        client("sqs"),
        settings.queue,
        settings.dead_letters,
        clock,
        waiting=Waiting(table, clock),
        lease=settings.lease,
    )
    return AwsStores(
        DynamoLedger(table),
        queue,
        SqsInbox(queue, Receipts(table, clock)),
        AssetLocks(table, clock, lease=settings.lease),
    )


def client(service: str) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
    """A client of one service; ConfigurationError if no region is set."""
    config = Config(
        connect_timeout=_PATIENCE,
        read_timeout=_PATIENCE,
        retries={"mode": "standard", "total_max_attempts": _TRIES},
    )
    try:
        return boto3.client(service, config=config)
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(f"Amazon's {service} cannot be used: {error}") from error
