"""What the errors of AWS mean to us: translated here, at the edge, and nowhere else.

Whatever a person has to mend (a missing table, a permission, credentials) is a
ConfigurationError: it is not the picture's fault, and the job is tried again until it is mended.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
)

from facelabel.errors import ConfigurationError, FacelabelError, Throttled, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

_SERVER_ERROR = 500
_THROTTLED = {
    "KmsThrottled",
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
_PASSING = {"InternalServerError", "ServiceUnavailable", "TransactionInProgressException"}
_MISSING = {
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
    "ResourceNotFoundException",
}
_DENIED = {"AccessDenied", "AccessDeniedException", "KmsAccessDenied"}
_STRANGER = {
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}


@contextmanager
def translated(resource: str) -> Iterator[None]:
    """Raise our errors for AWS's own troubles with a resource, such as "table x"; bugs pass.

    Raises Throttled, Unavailable, or ConfigurationError, which says what to do.
    """
    try:
        yield
    except ClientError as error:
        if (meaning := _meaning(error, resource)) is None:
            raise
        raise meaning from error
    except ParamValidationError:
        raise
    except (NoCredentialsError, PartialCredentialsError, NoRegionError) as error:
        raise ConfigurationError(f"{resource}: {error}: see `aws configure`") from error
    except (HTTPClientError, BotoCoreError) as error:
        raise Unavailable(f"{resource} cannot be reached: {error}") from error


def code(error: ClientError) -> str:
    """The error's short name."""
    return str(error.response.get("Error", {}).get("Code", ""))


def by_code(name: str, resource: str, message: str = "") -> FacelabelError | None:
    """The meaning of an error's short name, None for one that is a bug of ours."""
    if name in _THROTTLED:
        return Throttled(f"{resource} is asked too often: {name}")
    if name in _PASSING:
        return Unavailable(f"{resource}: {name}")
    if name in _MISSING:
        return ConfigurationError(
            f"{resource} does not exist in this account and region:"
            " deploy first, or look at AWS_REGION and at the credentials"
        )
    if name in _DENIED:
        return ConfigurationError(f"{resource}: AWS denies access, mend the policy: {message}")
    if name in _STRANGER:
        return ConfigurationError(f"{resource}: AWS refuses the credentials: {name}")
    return None


def _meaning(error: ClientError, resource: str) -> FacelabelError | None:
    known = by_code(code(error), resource, str(error.response["Error"].get("Message", "")))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if known is None and status >= _SERVER_ERROR:
        return Unavailable(f"{resource}: HTTP {status} {code(error)}")
    return known
