"""What is kept by Amazon, in DynamoDB and SQS; faces with its Rekognition, and what that costs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError

from facelabel.adapters.aws.clients import new_client, new_session
from facelabel.adapters.aws.leases import AssetLocks, Receipts, Waiting
from facelabel.adapters.aws.ledger import DynamoLedger
from facelabel.adapters.aws.sqs import SqsInbox, SqsQueue
from facelabel.adapters.aws.table import LiveName, Table
from facelabel.adapters.rekognition.client import Client
from facelabel.adapters.rekognition.rate import PRICES, cost
from facelabel.adapters.rekognition.recognizer import RekognitionRecognizer
from facelabel.bootstrap.core import USUAL_FACES, Stores, limits
from facelabel.recognition.live_gallery import PaidSearchPolicy
from facelabel.rekognition.types import QualityFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from botocore.session import Session

    from facelabel.core.clock import Clock
    from facelabel.core.model import Face
    from facelabel.settings import Settings

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Amazon:
    """Amazon Rekognition as the recogniser."""

    recognizer: RekognitionRecognizer
    client: Client
    #: Whether Amazon finds the faces, too …
    detects: bool
    #: … and people are searched as users: the first such search tells of a picture's other faces.
    users: bool
    look_back: float

    @property
    def paid_searches(self) -> PaidSearchPolicy:
        """Searches are paid for."""
        return PaidSearchPolicy(look_back=self.look_back)

    def spent(self) -> tuple[int, float]:
        """Paid calls of this process so far, and what they cost in dollars."""
        calls = self.client.calls
        return sum(calls[operation] for operation in PRICES), cost(calls)

    def estimate(self, portraits: int, faces: Sequence[int | None]) -> tuple[int, float]:
        """Paid calls, and dollars, for so many portraits and for pictures with so many faces.

        None stands for a picture whose faces nobody has counted.
        """
        counts = [USUAL_FACES if count is None else count for count in faces]
        calls = Counter(IndexFaces=portraits, SearchFacesByImage=sum(counts))
        if self.detects:
            calls["DetectFaces"] = portraits if self.users else portraits + len(counts)
            calls["SearchFacesByImage"] += counts.count(0) if self.users else 0
        return calls.total(), cost(calls)


def has_credentials() -> bool:
    """Whether AWS's own variables, files or this container's role have credentials.

    An instance's role is not asked for: everywhere else that takes seconds to fail.
    """
    try:
        providers = new_session().get_component("credential_provider")
        providers.remove("iam-role")
        return providers.load_credentials() is not None
    except BotoCoreError:  # a profile that is not there, a file that cannot be read
        return False


def build(
    settings: Settings,
    detect: Callable[[bytes], Sequence[Face]] | None = None,
    session: Session | None = None,
) -> Amazon:
    """Connect to Rekognition; nothing is asked of it yet.

    Region, credentials and endpoint are what AWS's own variables and files say. ``detect``: finds
    faces with a model of our own, instead of Rekognition. ``session``: botocore's,
    if there is one already.
    """
    client = Client(rate=settings.rekognition_rate, session=session or new_session())
    recognizer = RekognitionRecognizer(
        client,
        limits=limits(settings),
        quality=QualityFilter(settings.quality_filter),
        detect=detect,
        users=settings.rekognition_users,
    )
    return Amazon(
        recognizer,
        client,
        detects=detect is None,
        users=settings.rekognition_users,
        look_back=settings.look_again_hours * HOUR,
    )


@dataclass(frozen=True, slots=True)
class AwsStores(Stores):
    """Everything that is kept, kept by Amazon."""

    queue: SqsQueue


def stores(settings: Settings, clock: Clock, session: Session | None = None) -> AwsStores:
    """Connect ledger and queue, with region and credentials as AWS's own variables and files say.

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
    parameter = settings.collection_parameter
    ledger = DynamoLedger(
        table, LiveName(new_client(session, "ssm"), parameter) if parameter else None
    )
    return AwsStores(
        ledger,
        queue,
        SqsInbox(queue, Receipts(table, clock)),
        reach=ledger.collection,
        hold=AssetLocks(table, clock, lease=settings.lease).hold,
    )
