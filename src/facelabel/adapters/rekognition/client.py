"""Calls of Amazon's SDK: at the pace the quota allows, tried again where that helps, counted.

The SDK's own repetitions are turned off: they would not wait for their turn, and nobody would
count them. Every error leaves as one of ours.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore import exceptions, xform_name
from botocore.config import Config
from botocore.session import get_session

from facelabel.adapters.rekognition.rate import Pace, quota
from facelabel.errors import (
    AlreadyExists,
    ConfigurationError,
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
TRIES = 5
#: Seconds before the second try; each further one waits twice as long.
FIRST_PAUSE = 0.2
#: Seconds to stay away when all tries were refused for their number.
BUSY_SECONDS = 10.0
CONNECT_SECONDS = 5.0
#: Of the quota that is used: calls do not arrive as evenly as they leave.
HEADROOM = 0.95
_LONGEST_MESSAGE = 300
_SERVER_ERROR = 500
_NO_FACE = "no faces in the image"

_THROTTLING = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
#: Somebody else is changing the same user or collection at this moment.
_PASSING = frozenset({"ConflictException", "ResourceInUseException"})
#: … but this one has no name of its own.
_USER_EXISTS = ("CreateUser", "ConflictException")
_BAD_KEYS = frozenset(
    {
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_REJECTIONS: Mapping[str, type[Rejected]] = {
    "AccessDeniedException": Denied,
    "ImageTooLargeException": UnreadableImage,
    "InvalidImageFormatException": UnreadableImage,
    "ResourceAlreadyExistsException": AlreadyExists,
    "ResourceNotFoundException": NotFound,
    "ServiceQuotaExceededException": QuotaExceeded,
}
#: What stands for wrong settings on this side.
_MISCONFIGURED = (
    exceptions.ConfigNotFound,
    exceptions.ConfigParseError,
    exceptions.InvalidConfigError,
    exceptions.InvalidRegionError,
    exceptions.NoCredentialsError,
    exceptions.NoRegionError,
    exceptions.PartialCredentialsError,
    exceptions.ProfileNotFound,
)


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
        self._sdk = _sdk(session or get_session(), region, endpoint, keys, timeout)
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
        self._sleep(FIRST_PAUSE * 2 ** (tries - 1) * random.uniform(0.5, 1.5))  # noqa: S311 - no secret

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
            raise _unanswered(error) from error
        pace.ease()
        return answer

    def _pace(self, operation: str) -> Pace:
        with self._lock:
            if operation not in self._paces:
                rate = self._rate or quota(operation, self.region) * HEADROOM
                self._paces[operation] = Pace(rate, now=self._now, sleep=self._sleep)
            return self._paces[operation]

    def _refused(self, operation: str, pace: Pace, error: exceptions.ClientError) -> FacelabelError:
        told = error.response.get("Error", {})
        code = str(told.get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        message = f"{operation}: {_line(told.get('Message') or code)}"
        if code in _THROTTLING:
            pace.slow()
            return Throttled(
                f"Amazon's quota of calls is used up ({message})", retry_after=BUSY_SECONDS
            )
        if (operation, code) == _USER_EXISTS:
            return AlreadyExists(f"Amazon Rekognition: {message}")
        return _translated(code, status, message)


def _sdk(
    session: Session,
    region: str | None,
    endpoint: str | None,
    keys: tuple[str, str] | None,
    timeout: float,
) -> Any:  # noqa: ANN401 - made at run time, without a class
    key_id, secret = keys or (None, None)
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=timeout,
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=64,
    )
    try:
        return session.create_client(  # boto3 would bring what copies files to S3
            SERVICE, region, endpoint_url=endpoint, config=config,
            aws_access_key_id=key_id, aws_secret_access_key=secret,
        )  # fmt: skip
    except (exceptions.BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is none
        raise _unusable(error) from error


def _translated(code: str, status: int, message: str) -> FacelabelError:
    if code in _PASSING or status >= _SERVER_ERROR:
        return Unavailable(f"Amazon Rekognition: {message}")
    if code in _BAD_KEYS:
        return ConfigurationError(f"AWS does not take the credentials ({message})")
    if _NO_FACE in message:
        return NoFace(message)
    kind = _REJECTIONS.get(code, Rejected)
    if kind is Denied:
        return Denied(f"AWS does not allow rekognition:{message}")
    return kind(f"Amazon Rekognition: {message}")


def _unanswered(error: exceptions.BotoCoreError) -> FacelabelError:
    if isinstance(error, _MISCONFIGURED):
        return _unusable(error)
    return Unavailable(f"Amazon Rekognition does not answer: {_line(error)}")


def _unusable(error: Exception) -> ConfigurationError:
    advice = " (AWS_DEFAULT_REGION)" if isinstance(error, exceptions.NoRegionError) else ""
    return ConfigurationError(f"Amazon Rekognition cannot be used: {_line(error)}{advice}")


def _line(message: object) -> str:
    """One line: an error page comes whole."""
    text = " ".join(str(message).split())
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + " …"
