"""Ledger and queue on Amazon's services: DynamoDB and SQS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel.adapters.aws.clients import new_client, new_session
from facelabel.adapters.aws.collection_parameter import LiveName
from facelabel.adapters.aws.leases import AssetLocks, Receipts, Waiting
from facelabel.adapters.aws.ledger import DynamoLedger
from facelabel.adapters.aws.sqs import SqsInbox, SqsQueue
from facelabel.adapters.aws.table import Table
from facelabel.bootstrap.core import Stores

if TYPE_CHECKING:
    from botocore.session import Session

    from facelabel.core.clock import Clock
    from facelabel.settings import Settings


@dataclass(frozen=True, slots=True)
class AwsStores(Stores):
    """Everything that is kept, kept by Amazon."""

    queue: SqsQueue


def build(settings: Settings, clock: Clock, session: Session | None = None) -> AwsStores:
    """Connect, with the region and credentials that AWS's own variables and files name.

    ``session``: botocore's, which reads its descriptions of AWS once for all clients.
    """
    session = session or new_session()
    table = Table(new_client(session, "dynamodb"), settings.table)
    queue = SqsQueue(
        new_client(session, "sqs"),
        settings.queue,
        settings.dead_letters,
        clock,
        waiting=Waiting(table, clock),
        lease=settings.lease,
    )
    ledger = DynamoLedger(table, _live_name(session, settings.collection_parameter))
    return AwsStores(
        ledger,
        queue,
        SqsInbox(queue, Receipts(table, clock)),
        reach=ledger.collection,
        hold=AssetLocks(table, clock, lease=settings.lease).hold,
    )


def _live_name(session: Session, parameter: str) -> LiveName | None:
    return LiveName(new_client(session, "ssm"), parameter) if parameter else None
