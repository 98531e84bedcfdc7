"""Sessions and clients of Amazon's SDK, and what their errors mean to us.

A session reads its descriptions of AWS once in a process. They are some megabytes of JSON, which
botocore reads anew for every session; the descriptions never change while a process runs, but
credentials, regions and endpoints may.

Errors are translated here, at the edge, and nowhere else. Whatever a person has to mend (a missing
table, a permission, credentials) is a ConfigurationError: it is not the picture's fault, and the
job is tried again until it is mended. What only one service says, whoever calls that service knows.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from botocore import exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.loaders import create_loader
from botocore.session import get_session

from facelabel.errors import ConfigurationError, FacelabelError, Throttled, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from botocore.session import Session

#: Kept by one client: as many as a process has threads that call.
_CONNECTIONS = 64
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


def new_session() -> Session:
    """Return botocore's session, which reads the environment and AWS's files as they are now."""
    session = get_session()
    session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
    return session


def check_region(subject: str) -> None:
    """ConfigurationError unless AWS's own variables or files name a region.

    As :func:`new_client` would find, without its descriptions of a service.
    """
    try:
        region = new_session().get_config_variable("region")
    except BotoCoreError as error:  # a profile that is not there, a file that cannot be read
        raise unusable(subject, error) from error
    if region is None:
        raise unusable(subject, exceptions.NoRegionError())


def new_client(
    session: Session,
    service: str,
    *,
    region: str | None = None,
    endpoint: str | None = None,
    keys: tuple[str, str] | None = None,
    connect: float = 10.0,
    read: float = 10.0,
    tries: int = 4,
) -> Any:  # noqa: ANN401 - botocore makes its classes at run time
    """A client of one service.

    ``region``, ``endpoint``, ``keys`` (id and secret): where they are not given, what AWS's own
    variables, files and roles say. ``connect``, ``read``: seconds for a connection and an answer,
    in each of so many ``tries``. Raises ConfigurationError.
    """
    key_id, secret = keys or (None, None)
    config = Config(
        connect_timeout=connect,
        read_timeout=read,
        retries={"mode": "standard", "total_max_attempts": tries},
        max_pool_connections=_CONNECTIONS,
    )
    try:
        return session.create_client(  # boto3 would bring what copies files to S3
            service, region, endpoint_url=endpoint, config=config,
            aws_access_key_id=key_id, aws_secret_access_key=secret,
        )  # fmt: skip
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is none
        raise unusable(f"Amazon's {service}", error) from error


@cache
def _loader(data_path: str | None) -> Any:  # noqa: ANN401 - botocore has no types
    return create_loader(data_path)


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
        exceptions.NoRegionError: " Set AWS_DEFAULT_REGION, or `aws configure`",
        exceptions.NoCredentialsError: " (see `aws configure`)",
        exceptions.PartialCredentialsError: " (see `aws configure`)",
    }.get(type(error), "")
    return ConfigurationError(f"{subject} cannot be used: {_line(error)}{advice}")


def _line(message: object) -> str:
    """One line: an error page comes whole."""
    text = " ".join(str(message).split())
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + " …"
