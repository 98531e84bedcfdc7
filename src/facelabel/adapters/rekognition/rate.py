"""What Amazon allows and charges: calls a second by operation and region, dollars by call."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Default quotas of an account, in calls a second: AWS General Reference, "Amazon Rekognition
#: endpoints and quotas", read in November 2026. Three regions have more.
_LARGE_REGIONS = frozenset({"us-east-1", "us-west-2", "eu-west-1"})
_SEARCHES = frozenset(
    {
        "IndexFaces",
        "ListFaces",
        "SearchFacesByImage",
        "SearchUsers",
        "SearchUsersByImage",
    }
)
_DETECTIONS = frozenset({"CompareFaces", "DetectFaces"})
_ANY_OTHER = 5.0

#: Dollars for one call, whatever the size of the image: Amazon Rekognition pricing, first million
#: images of a month (later ones cost less), read in November 2026. Other operations are free;
#: each face or user kept costs 0.00001 a month.
PRICES: Mapping[str, float] = {
    "CompareFaces": 0.001,
    "DetectFaces": 0.001,
    "IndexFaces": 0.001,
    "SearchFacesByImage": 0.001,
    "SearchUsers": 0.001,
    "SearchUsersByImage": 0.001,
}

#: After a refusal the pace is this part of what it was, down to this part of the full one …
_SLOWER, _SLOWEST = 0.5, 1 / 32
#: … and every call that goes through gives back this part of the full one.
_EASE = 1 / 20


def quota(operation: str, region: str) -> float:
    """Return how many calls a second an account may make, unless Amazon granted it more."""
    large = region in _LARGE_REGIONS
    if operation in _SEARCHES:
        return 50.0 if large else 5.0
    if operation in _DETECTIONS:
        return 100.0 if large else 25.0
    return _ANY_OTHER


def cost(calls: Mapping[str, int]) -> float:
    """Return what calls cost, in dollars, by operation as :attr:`Client.calls` counts them."""
    return sum(PRICES.get(operation, 0.0) * count for operation, count in calls.items())


class Pace:
    """Lets so many calls a second pass, one after the other; all threads share it."""

    def __init__(
        self,
        rate: float,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``rate``: calls a second; the first passes at once, there are no bursts."""
        self._full = self._rate = rate
        self._now, self._sleep = now, sleep
        self._next = 0.0
        self._lock = threading.Lock()

    @property
    def rate(self) -> float:
        """Calls that pass in a second at present."""
        return self._rate

    def wait(self) -> None:
        """Return when it is the caller's turn."""
        with self._lock:
            now = self._now()
            turn = max(self._next, now)
            self._next = turn + 1 / self._rate
        if turn > now:
            self._sleep(turn - now)

    def slow(self) -> None:
        """Let fewer pass: the other side refused one for the number of calls."""
        with self._lock:
            self._rate = max(self._rate * _SLOWER, self._full * _SLOWEST)
            self._next = max(self._next, self._now() + 1 / self._rate)

    def ease(self) -> None:
        """Let more pass again, up to the full rate: a call went through."""
        with self._lock:
            self._rate = min(self._full, self._rate + self._full * _EASE)
