"""What a request is refused with, and why a body was not read to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class ApiError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        """``message``: what the client is told."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


class TooLarge(ApiError):
    """The body has too many bytes."""

    def __init__(self, largest: int) -> None:
        """``largest``: bytes that it may have."""
        message = f"File size too large. Maximum is {largest} bytes for this request."
        super().__init__(400, message)


class TooSlow(ApiError):
    """The body came too slowly, or not at all."""

    def __init__(self) -> None:
        """The client is told to start anew, and on another connection."""
        message = "Request timed out: the body came too slowly"
        super().__init__(400, message, {"Connection": "close"})


class Crowded(ApiError):
    """There are too many other bodies, and this one is not among the quick ones."""

    def __init__(self) -> None:
        """The client is told to come again."""
        message = "Too many large requests at once, try again later"
        super().__init__(429, message, {"Connection": "close"})
