"""What the endpoint works with."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from facelabel.core.clock import Clock
    from facelabel.media.types import ApiKey
    from facelabel.rekognition.ports import FaceCollections

    #: Bytes of an object in S3, by bucket, key and version. Raises NotFound or Denied, Rejected
    #: for one that is too large, Unavailable.
    FetchObject: TypeAlias = Callable[[str, str, str | None], bytes]

#: What is served is in no region and of no account; clients want to see some.
REGION = "us-east-1"
ACCOUNT = "000000000000"


@dataclass(frozen=True, slots=True)
class Context:
    """Everything the operations need."""

    collections: FaceCollections
    #: Access key ids and secrets that are active.
    keys: Callable[[], Sequence[ApiKey]]
    clock: Clock
    #: Calls a second answered, of each operation; 0: any number.
    throttle: float = 0.0
    fetch_object: FetchObject | None = None
    region: str = REGION
    account: str = ACCOUNT
    #: Signs pagination tokens: they are good until the server is started anew.
    token_key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
