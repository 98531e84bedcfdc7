"""Errors in Amazon Rekognition's words: its codes, its messages, its status codes.

Where Amazon documents a message, or clients are known to compare with it, it is given verbatim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facelabel.errors import (
    AlreadyExists,
    Denied,
    NotFound,
    QuotaExceeded,
    Rejected,
    Throttled,
    Unavailable,
    UnreadableImage,
    UnusableFace,
)

if TYPE_CHECKING:
    from collections.abc import Callable

INVALID = "Request has invalid parameters"
_NO_FACE = "There are no faces in the image. Should be at least 1."
_NOT_NOW = "Amazon Rekognition is temporarily unable to process the request. Try your call again."
_TOO_FAST = "Provisioned Rate exceeded."
#: Status of an error that is ours.
FAULT = 500
_USER_EXISTS = "A User with the same Id already exists within the collection."


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        """``code``: the exception's name in Amazon's model, or one of those of every service."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def invalid(message: str = INVALID) -> Refusal:
    """A parameter is wrong in a way that Amazon's model of the call does not say."""
    return Refusal("InvalidParameterException", message)


def missing_collection(name: str) -> Refusal:
    """There is no collection of that name."""
    return Refusal("ResourceNotFoundException", f"The collection id: {name} does not exist")


def existing_collection(name: str) -> Refusal:
    """There is a collection of that name already."""
    return Refusal("ResourceAlreadyExistsException", f"The collection id: {name} already exists")


def missing_face() -> Refusal:
    """The face to search for is not in the collection."""
    return invalid("faceId was not found in the collection.")


def reused(token: str) -> Refusal:
    """The client's token came before, with another request."""
    return Refusal(
        "IdempotentParameterMismatchException",
        f"The ClientRequestToken: {token} you have supplied is already in use.",
    )


def missing_object() -> Refusal:
    """The image in S3 cannot be had."""
    return Refusal(
        "InvalidS3ObjectException",
        "Unable to get object metadata from S3. "
        "Check object key, region and/or access permissions.",
    )


def bad_format() -> Refusal:
    """The image is neither JPEG nor PNG, or is broken."""
    return Refusal("InvalidImageFormatException", "Request has invalid image format")


def too_large() -> Refusal:
    """The image in S3 has too many bytes."""
    return Refusal("ImageTooLargeException", "Image size is too large")


def bad_token() -> Refusal:
    """The pagination token is not one of ours, or of another call."""
    return Refusal("InvalidPaginationTokenException", "Invalid Pagination Token")


def throttled() -> Refusal:
    """Too many calls; every client tries again by itself."""
    return Refusal("ProvisionedThroughputExceededException", _TOO_FAST)


def internal() -> Refusal:
    """A fault of ours; every client tries again by itself."""
    return Refusal("InternalServerError", "Internal server error", FAULT)


def refusal(operation: str, error: Exception) -> Refusal | None:
    """How Amazon says what went wrong in a call; None for what nobody foresaw."""
    if isinstance(error, UnusableFace):
        return invalid(INVALID if operation == "CompareFaces" else _NO_FACE)
    made = (make for kind, make in _REFUSALS if isinstance(error, kind))
    return next((make(error) for make in made), None)


_REFUSALS: tuple[tuple[type[Exception], Callable[[Any], Refusal]], ...] = (
    (Refusal, lambda error: error),
    (UnreadableImage, lambda _: bad_format()),
    (AlreadyExists, lambda _: Refusal("ConflictException", _USER_EXISTS)),
    (QuotaExceeded, lambda error: Refusal("ServiceQuotaExceededException", str(error))),
    (NotFound, lambda error: Refusal("ResourceNotFoundException", str(error))),
    (Denied, lambda error: Refusal("AccessDeniedException", str(error))),
    (Rejected, lambda error: invalid(str(error))),
    (Throttled, lambda _: throttled()),
    (Unavailable, lambda _: Refusal("ThrottlingException", _NOT_NOW, FAULT)),
)
