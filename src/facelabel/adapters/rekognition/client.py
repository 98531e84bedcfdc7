"""Calls of Amazon's SDK: at the pace the quota allows, tried again where that helps, counted.

The SDK's own repetitions are turned off: they would not wait for their turn, and nobody would
count them. Every error leaves as one of ours.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore import exceptions, xform_name

from facelabel.adapters.aws import clients
from facelabel.adapters.aws.clients import new_client, new_session
from facelabel.adapters.rekognition.rate import Pace, quota
from facelabel.core.clock import backoff
from facelabel.errors import (
    AlreadyExists,
    Denied,
    FacelabelError,
    NotFound,
    QuotaExceeded,
    Rejected,
    Throttled,
    Unavailable,
    UnreadableImage,
    UnusableFace,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from botocore.session import Session

    #: An answer, as JSON has it.
    Raw: TypeAlias = dict[str, Any]

SERVICE = "rekognition"
_TITLE = "Amazon Rekognition"
TRIES = 5
#: Seconds before the second try.
FIRST_PAUSE = 0.2
#: Seconds to stay away when all tries were refused for their number.
BUSY_SECONDS = 10.0
CONNECT_SECONDS = 5.0
#: Of the quota that is used: calls do not arrive as evenly as they leave.
HEADROOM = 0.95
_NO_FACE = "no faces in the image"
#: A user that exists has no error of its own.
_USER_EXISTS = ("CreateUser", "ConflictException")
_REJECTIONS: Mapping[str, type[Rejected]] = {
    "AccessDeniedException": Denied,
    "ImageTooLargeException": UnreadableImage,
    "InvalidImageFormatException": UnreadableImage,
    "ResourceAlreadyExistsException": AlreadyExists,
    "ResourceNotFoundException": NotFound,
    "ServiceQuotaExceededException": QuotaExceeded,
}


class NoFace(UnusableFace):
    """No face was found in the image that was to be searched for."""


class Client:
    """Calls on behalf of one account in one region; used by all threads of a process."""

    def __init__(
        self,
        region: str | None = None,
        *,
        endpoint: str | None = None,
        keys: tuple[str, str] | None = None,
        rate: float = 0.0,
        timeout: float = 30.0,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        session: Session | None = None,
    ) -> None:
        """Connect when first called.

        ``region``, ``endpoint``, ``keys`` (id and secret): where they are not given, what AWS's
        own variables, files and roles say. ``rate``: calls a second of each operation; 0: the
        default quota of the region. ``timeout``: seconds one try may take to be answered.
        ``session``: botocore's, if there is one already. Raises ConfigurationError.
        """
        self._sdk = new_client(
            session or new_session(),
            SERVICE,
            region=region,
            endpoint=endpoint,
            keys=keys,
            connect=CONNECT_SECONDS,
            read=timeout,
            tries=1,
        )
        self.region = str(self._sdk.meta.region_name)
        self._rate = rate
        self._now, self._sleep = now, sleep
        self._paces: dict[str, Pace] = {}
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def calls(self) -> Counter[str]:
        """How many requests were made so far, by operation, refused ones included."""
        with self._lock:
            return self._calls.copy()

    def call(self, operation: str, **parameters: object) -> Raw:
        """Call, and call again while that may help; Rejected, Unavailable, ConfigurationError."""
        for tries in range(1, TRIES):
            try:
                return self._once(operation, parameters)
            except Unavailable:
                self.pause(tries)
        return self._once(operation, parameters)

    def pages(self, operation: str, **parameters: object) -> Iterator[Raw]:
        """Every page of a listing."""
        answer = self.call(operation, **parameters)
        yield answer
        while token := answer.get("NextToken"):
            answer = self.call(operation, NextToken=token, **parameters)
            yield answer

    def pause(self, tries: int) -> None:
        """Wait before the next try, spread so that many workers do not come back at once."""
        self._sleep(backoff(tries, FIRST_PAUSE))

    def _once(self, operation: str, parameters: Mapping[str, object]) -> Raw:
        pace = self._pace(operation)
        pace.wait()
        with self._lock:
            self._calls[operation] += 1
        try:
            answer: Raw = getattr(self._sdk, xform_name(operation))(**parameters)
        except exceptions.ClientError as error:
            raise self._refused(operation, pace, error) from error
        except exceptions.ParamValidationError:
            raise  # a bug of ours
        except exceptions.BotoCoreError as error:
            raise clients.unanswered(_TITLE, error) from error
        pace.ease()
        return answer

    def _pace(self, operation: str) -> Pace:
        with self._lock:
            if operation not in self._paces:
                rate = self._rate or quota(operation, self.region) * HEADROOM
                self._paces[operation] = Pace(rate, now=self._now, sleep=self._sleep)
            return self._paces[operation]

    def _refused(self, operation: str, pace: Pace, error: exceptions.ClientError) -> FacelabelError:
        refusal = clients.Refusal.of(error)
        message = f"{operation}: {refusal.message or refusal.code}"
        if (operation, refusal.code) == _USER_EXISTS:
            return AlreadyExists(f"{_TITLE}: {message}")
        meaning = refusal.meaning(f"{_TITLE}, {operation}", busy_seconds=BUSY_SECONDS)
        if isinstance(meaning, Throttled):
            pace.slow()
        return meaning or _rejected(refusal.code, message)


def _rejected(code: str, message: str) -> Rejected:
    if _NO_FACE in message:
        return NoFace(message)
    kind = _REJECTIONS.get(code, Rejected)
    if kind is Denied:
        return Denied(f"AWS does not allow rekognition:{message}")
    return kind(f"{_TITLE}: {message}")
