"""A request to an ASGI application in this process, with a first line and headers of one's own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    #: Names in lower case.
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        """The body as JSON."""
        return json.loads(self.body)


async def ask(
    app: ASGIApp,
    method: str,
    path: str,
    headers: Mapping[str, str],
    *,
    peer: str = "127.0.0.1",
    http: str = "1.1",
    body: bytes = b"",
) -> Answer:
    """Send a request; it is whole at once, and nobody hangs up."""
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        said.append(message)

    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": http,
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()],
        "client": (peer, 50_000),
        "server": ("127.0.0.1", 8765),
    }
    await app(scope, receive, send)
    start = next(message for message in said if message["type"] == "http.response.start")
    pairs = [(k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in start["headers"]]
    assert len({name for name, _ in pairs}) == len(pairs), pairs
    whole = b"".join(m.get("body", b"") for m in said if m["type"] == "http.response.body")
    return Answer(start["status"], dict(pairs), whole)
