"""One request of the SDK, bounded, and what was answered to it.

The SDK hands its requests to urllib3 pools of its own and takes no others. They repeat a request
by themselves, sleep for as long as a server's Retry-After says, and wait for every byte of a slow
answer; and of an answer that is an error the SDK tells neither status nor headers. So whoever
builds what calls Cloudinary wraps its pools first (:func:`install`): a call that has an
:class:`Exchange` for its timeout is one request, over at its deadline and noted down. All other
calls, of whoever else uses the SDK in this process, go the way they always did.

The pools are the SDK's own business, which is why its version has an upper bound (pyproject.toml).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cloudinary
import urllib3
from cloudinary import uploader
from cloudinary.api_client import call_api

from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

#: Of an answer; a page of 500 assets with everything about them is a few megabytes.
MAX_BYTES = 32 << 20
_PIECE = 1 << 16
#: Seconds for a connection to be made: a network that is away answers nothing at all.
CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said; read by the SDK."""

    status: int
    headers: Mapping[str, str]
    data: bytes = field(repr=False)


class Exchange:
    """One request and its answer, to be given to a function of the SDK as its ``timeout``."""

    def __init__(self, deadline: float) -> None:
        """``deadline``: by the monotonic clock, in seconds."""
        self._deadline = deadline
        self.answer: Answer | None = None

    @property
    def status(self) -> int:
        """HTTP status of the answer, 0 if none came."""
        return self.answer.status if self.answer else 0

    def header(self, name: str) -> str:
        """A header of the answer, "" if it has none."""
        return self.answer.headers.get(name, "") if self.answer else ""

    def perform(self, pool: urllib3.PoolManager, method: str, url: str, **options: Any) -> Answer:  # noqa: ANN401 - urllib3's
        """Send the request; urllib3's errors go through."""
        left = max(0.001, self._left)
        response = pool.request(
            method,
            url,
            retries=False,
            preload_content=False,
            timeout=urllib3.Timeout(total=left, connect=min(left, CONNECT_SECONDS)),
            **options,
        )
        try:
            data = self._read(response)
        finally:
            response.close()
        self.answer = Answer(response.status, response.headers, data)
        return self.answer

    @property
    def _left(self) -> float:
        return self._deadline - time.monotonic()

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytes:
        data = bytearray()
        while piece := response.read1(_PIECE):
            data += piece
            if len(data) > MAX_BYTES:
                raise urllib3.exceptions.HTTPError(f"the answer is over {MAX_BYTES:,} bytes")
            if self._left <= 0:
                raise urllib3.exceptions.HTTPError("the answer takes too long")
        return bytes(data)


class _Pool:
    """A pool of the SDK's that knows exchanges."""

    def __init__(self, theirs: urllib3.PoolManager) -> None:
        self._theirs = theirs

    def request(self, method: str, url: str, **options: Any) -> Any:  # noqa: ANN401 - urllib3's
        if isinstance(options.get("timeout"), Exchange):
            return options.pop("timeout").perform(self._theirs, method, url, **options)
        return self._theirs.request(method, url, **options)


def install(modules: Iterable[ModuleType] = (uploader, call_api)) -> None:
    """Wrap the SDK's pools, once in a process; doing it again changes nothing.

    ConfigurationError for an SDK that has none.
    """
    for module in modules:
        pool: Any = getattr(module, "_http", None)
        if not hasattr(pool, "request"):
            raise ConfigurationError(
                f"Cloudinary's SDK {cloudinary.VERSION} sends its requests in another way than the"
                " one that Facelabel knows: install the version that it asks for"
            )
        if not isinstance(pool, _Pool):
            vars(module)["_http"] = _Pool(pool)
