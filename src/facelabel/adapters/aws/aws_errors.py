"""What the errors of AWS mean to us: translated here, at the edge, and nowhere else.

Whatever a person has to mend (a missing table, a permission, credentials) is a
ConfigurationError: it is not the picture's fault, and the job is tried again until it is mended.
What only one service says, whoever calls that service knows.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from facelabel.errors import ConfigurationError, FacelabelError, Throttled, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

_SERVER_ERROR = 500
_LONGEST_MESSAGE = 300
_THROTTLED = frozenset(
    {
        "KmsThrottled",
        "LimitExceededException",
        "OverLimit",
        "ProvisionedThroughputExceeded",  # a reason for cancelling a transaction
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ThrottledException",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TooManyRequestsException",
        "TooManyUpdates",
    }
)
_PASSING = frozenset(
    {
        # Somebody else is changing the same thing at this moment …
        "ConflictException",
        "ResourceInUseException",
        "TransactionInProgressException",
        # … or AWS is.
        "InternalServerError",
        "ServiceUnavailable",
    }
)
_MISSING = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
    }
)
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "KmsAccessDenied"})
_BAD_CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
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


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as AWS says it: its short name, HTTP status (0 without one), and one line."""

    code: str
    status: int = 0
    message: str = ""

    @classmethod
    def of(cls, error: ClientError) -> Refusal:
        """Read it from the SDK's error."""
        told: Mapping[str, Any] = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return cls(str(told.get("Code", "")), int(status), _line(told.get("Message", "")))

    def meaning(self, subject: str, *, busy_seconds: float | None = None) -> FacelabelError | None:
        """What it means from whichever service; None for what is the service's own.

        ``subject``: who was asked. ``busy_seconds``: to stay away if that was too often.
        """
        said = f"{self.code}: {self.message}" if self.message else self.code
        if self.code in _THROTTLED:
            return Throttled(f"{subject} is asked too often: {said}", retry_after=busy_seconds)
        if self.code in _PASSING or self.status >= _SERVER_ERROR:
            return Unavailable(f"{subject}: {said or self.status}")
        if self.code in _BAD_CREDENTIALS:
            return ConfigurationError(f"{subject}: AWS refuses the credentials: {said}")
        return None

    def meaning_for_store(self, resource: str) -> FacelabelError | None:
        """What it means from a table, a queue or a parameter; None for a bug of ours."""
        if self.code in _MISSING:
            return ConfigurationError(
                f"{resource} does not exist in this account and region:"
                " deploy first, or look at AWS_REGION and at the credentials"
            )
        if self.code in _DENIED:
            return ConfigurationError(
                f"{resource}: AWS denies access, mend the policy: {self.message}"
            )
        return self.meaning(resource)


@contextmanager
def translated(resource: str) -> Iterator[None]:
    """Raise our errors for AWS's own troubles with a resource, such as "table x"; bugs pass.

    Raises Throttled, Unavailable, or ConfigurationError, which says what to do.
    """
    try:
        yield
    except ClientError as error:
        if (meaning := Refusal.of(error).meaning_for_store(resource)) is None:
            raise
        raise meaning from error
    except ParamValidationError:
        raise
    except BotoCoreError as error:
        raise unanswered(resource, error) from error


def unanswered(subject: str, error: BotoCoreError) -> FacelabelError:
    """What it means that the SDK has no answer."""
    if isinstance(error, _MISCONFIGURED):
        return unusable(subject, error)
    return Unavailable(f"{subject} does not answer: {_line(error)}")


def unusable(subject: str, error: Exception) -> ConfigurationError:
    """Something is wrong with what is set on this side."""
    advice = {
        exceptions.NoRegionError: " (AWS_DEFAULT_REGION)",
        exceptions.NoCredentialsError: " (see `aws configure`)",
        exceptions.PartialCredentialsError: " (see `aws configure`)",
    }.get(type(error), "")
    return ConfigurationError(f"{subject} cannot be used: {_line(error)}{advice}")


def _line(message: object) -> str:
    """One line: an error page comes whole."""
    text = " ".join(str(message).split())
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + " …"
