"""Reading requests within limits, answering in Cloudinary's shape."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request

from facelabel.errors import (
    AlreadyExists,
    Busy,
    ConfigurationError,
    NoRoom,
    NotFound,
    OriginalMissing,
    Rejected,
    Unavailable,
)
from facelabel.testing import ManualClock
from facelabel.web import http
from facelabel.web.http import ApiError, Limits, Params
from facelabel.web.http.budget import Budget, Pool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from starlette.responses import Response
    from starlette.types import Message

    from facelabel.web.http import Answer, Received

KINDS = {
    "form": "application/x-www-form-urlencoded",
    "json": "application/json",
    "multipart": "multipart/form-data; boundary=b",
}


def ask(
    action: Callable[[Received], Answer],
    body: bytes | AsyncIterator[bytes] = b"",
    *,
    kind: str = "form",
    query: bytes = b"",
    headers: Mapping[bytes, bytes] | None = None,
    limits: Limits | None = None,
    unavailable: int = 503,
) -> Response:
    """Answer one request, the body of which may come in pieces."""
    answer = http.Endpoint(
        action, limits or Limits(1000), headers=lambda: {"X-Also": "1"}, unavailable=unavailable
    ).answer

    async def run() -> Response:
        return await answer(request(body, kind=kind, query=query, headers=headers))

    return asyncio.run(run())


def request(
    body: bytes | AsyncIterator[bytes],
    *,
    kind: str = "form",
    query: bytes = b"",
    headers: Mapping[bytes, bytes] | None = None,
) -> Request:
    """A request, the body of which may come in pieces."""
    given = {b"content-type": KINDS[kind].encode(), **(headers or {})}
    scope = {"type": "http", "method": "POST", "query_string": query, "headers": [*given.items()]}
    pieces = _whole(body) if isinstance(body, bytes) else body

    async def receive() -> Message:
        piece = await anext(pieces, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    return Request(scope, receive)


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body


def seen(body: bytes = b"", **options: Any) -> dict[str, Any]:  # noqa: ANN401 - as ask's
    """The parameters that a request arrives with."""
    response = ask(lambda received: dict(received.params.values), body, **options)
    assert response.status_code == 200, bytes(response.body)
    values: dict[str, Any] = json.loads(bytes(response.body))
    return values


def message(response: Response) -> str:
    """What an error says."""
    text: str = json.loads(bytes(response.body))["error"]["message"]
    return text


def fails(error: Exception) -> Callable[[Received], Answer]:
    """An action that raises an error."""

    def action(_: Received) -> Answer:
        raise error

    return action


def test_parameters_of_every_kind_are_merged() -> None:
    assert seen(b"a=1&ids[]=x&ids%5B%5D=y", query=b"b=2") == {"a": "1", "ids": ["x", "y"], "b": "2"}
    assert seen(b'{"a": [1, {"b": null}]}', kind="json") == {"a": [1, {"b": None}]}
    assert seen(b"", kind="json", query=b"tags=true&ids[]=x") == {"tags": "true", "ids": ["x"]}
    part = b'--b\r\nContent-Disposition: form-data; name="t[]"\r\n\r\n\xc3\xa9\r\n'
    assert seen(part * 2 + b"--b--", kind="multipart") == {"t": ["é", "é"]}


@pytest.mark.parametrize("body", [b"a=1&a=1", b"a=1&a[]=1"])
def test_what_is_given_twice_is_refused(body: bytes) -> None:
    assert ask(lambda _: {}, body).status_code == 400
    assert ask(lambda _: {}, b"a=1", query=b"a=2").status_code == 400


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    class Silent:
        async def __anext__(self) -> bytes:
            await asyncio.Event().wait()
            return b""

        def __aiter__(self) -> Silent:
            return self

    for limits in (Limits(1000, window=0.01), Limits(1000, patience=0.01)):
        response = ask(lambda _: {}, Silent(), limits=limits)
        assert message(response) == "Request timed out: the body came too slowly"
        assert response.headers["connection"] == "close"


class Sender:
    """Sends pieces of a form, each after some seconds on a clock of its own; notes how many."""

    def __init__(
        self, piece: bytes, seconds: float, number: int = 100_000, first: bytes = b""
    ) -> None:
        """``number`` of pieces, the ``first`` before them; nobody waits for real."""
        self.clock = ManualClock()
        self.limits = Limits(10 << 20, budget=Budget(clock=self.clock.now))
        self.sent = 0
        self._piece, self._seconds, self._number = piece, seconds, number
        self._first = first

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.sent < self._number:
            self.clock.sleep(self._seconds)
            self.sent += 1
            yield (self._first if self.sent == 1 else b"") or self._piece

    def ask(self) -> Response:
        return ask(lambda _: {}, aiter(self), limits=self.limits)


@pytest.mark.parametrize(
    ("piece", "seconds", "sent"),
    [(b"a", 4.0, 5), (b"a", 19.0, 2), (b"a" * 1000, 4.0, 5), (b"a" * 20_000, 30.0, 20)],
    ids=["a byte now and then", "as seldom as can be", "250 bytes a second", "the whole time"],
)
def test_a_slow_body_is_not_read_to_its_end(piece: bytes, seconds: float, sent: int) -> None:
    sender = Sender(piece, seconds)
    assert message(sender.ask()) == "Request timed out: the body came too slowly"
    assert sender.sent == sent


def test_a_good_beginning_does_not_count_for_ever() -> None:
    sender = Sender(b"a", 4.0, first=b"a" * 100_000)
    assert message(sender.ask()) == "Request timed out: the body came too slowly"
    assert sender.sent == 10


def test_a_body_at_a_poor_line_s_pace_is_read() -> None:
    """5,000 bytes a second for three minutes."""
    assert Sender(b"a" * 10_000, 2.0, 90).ask().status_code == 200


def test_a_body_has_a_limit_and_its_rest_is_dropped() -> None:
    taken = 0

    async def large() -> AsyncIterator[bytes]:
        nonlocal taken
        while taken < 10:
            taken += 1
            yield b"x" * 100

    assert "File size too large" in message(ask(lambda _: {}, large(), limits=Limits(250)))
    assert taken == 10


def test_a_body_without_room_is_read_no_further() -> None:
    """Its rest would come all the same, and there is too much already."""
    taken = 0

    async def large() -> AsyncIterator[bytes]:
        nonlocal taken
        while taken < 10:
            taken += 1
            yield b"x" * 100

    budget = Budget(small=Pool(0), memory=Pool(250, share=250), looks=0)
    response = ask(lambda _: {}, large(), limits=Limits(1000, budget=budget))
    assert message(response) == "Too many large requests at once, try again later"
    assert taken == 3
    assert budget.memory.held == 0


def test_all_bodies_together_have_a_limit() -> None:
    budget = Budget(small=Pool(300, share=150), memory=Pool(0), looks=0)
    limits = Limits(100, budget=budget)
    statuses = []

    async def one(held: asyncio.Event | None = None) -> None:
        """A request; one that is held is worked on until the others are done."""
        async with http.receiving(request(b"a=" + b"x" * 90), limits):
            statuses.append(200)
            if held:
                await held.wait()

    async def run() -> None:
        held = asyncio.Event()
        first = asyncio.create_task(one(held))
        await asyncio.sleep(0.01)
        with pytest.raises(ApiError, match="Too many large requests at once") as raised:
            await one()
        statuses.append(raised.value.status)
        held.set()
        await first
        await one()

    asyncio.run(run())
    assert statuses == [200, 429, 200]
    assert budget.small.held == 0


def test_what_headers_tell_is_refused_before_the_body_is_read() -> None:
    taken = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            await asyncio.sleep(0)
            yield b"x"

    for headers, expected in (
        ({b"content-length": b"2000"}, "File size too large"),
        ({b"content-length": b"9" * 5000}, "File size too large"),
        ({b"content-length": b"-1"}, "File size too large"),
        ({b"content-length": b"10", b"content-type": b"text/html"}, "text/html is not supported"),
        ({b"content-encoding": b"gzip"}, "gzip is not supported"),
    ):
        taken = 0
        response = ask(lambda _: {}, body(), headers=headers, limits=Limits(1000, linger=0))
        assert expected in message(response)
        assert response.headers["connection"] == "close"
        assert taken <= 1


def test_a_full_disk_is_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Where it is, is told there alone."""
    response = ask(fails(NoRoom("an upload cannot be kept: No space left", where="/tmp/ann")))
    assert response.status_code == 507
    assert message(response) == "an upload cannot be kept: No space left"
    assert caplog.messages == ["an upload cannot be kept: No space left (/tmp/ann)"]
    assert [record.exc_info for record in caplog.records] == [None]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ApiError(420, "Rate Limit Exceeded"), 420),
        (Rejected("no"), 400),
        (AlreadyExists("taken"), 400),
        (NotFound("gone"), 404),
        (Busy("later"), 503),
    ],
)
def test_every_error_has_its_status(error: Exception, status: int) -> None:
    response = ask(fails(error))
    assert (response.status_code, message(response)) == (status, str(error))
    assert response.headers["x-cld-error"] == str(error)
    assert response.headers["x-also"] == "1"


@pytest.mark.parametrize("kind", [Unavailable, Busy])
def test_not_now_may_say_when_and_be_said_differently(kind: type[Unavailable]) -> None:
    response = ask(fails(kind("later", retry_after=1.5)), unavailable=500)
    assert (response.status_code, response.headers["retry-after"]) == (500, "2")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unavailable("role ann may not write to /srv/faces"), 503),
        (ConfigurationError("the keys in /srv/faces/keys.json cannot be read"), 500),
    ],
)
def test_what_is_wrong_here_is_told_in_the_log_only(
    error: Exception, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    response = ask(fails(error))
    request_id = response.headers["x-request-id"]
    assert response.status_code == status
    assert message(response).endswith(f"see the server's log for request {request_id}")
    assert "faces" not in message(response) + response.headers["x-cld-error"]
    assert caplog.messages == [f"request {request_id}: {error}"]
    assert [record.exc_info for record in caplog.records] == [None]


def test_a_bug_is_told_in_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    response = ask(fails(KeyError("inside")))
    assert response.status_code == 500
    assert "inside" not in message(response)
    assert response.headers["x-request-id"] in message(response)
    assert response.headers["x-request-id"] in caplog.text
    assert "inside" in caplog.text


def test_an_error_fits_into_a_header() -> None:
    response = ask(fails(Rejected("Zoë\r\nSet-Cookie: x" + "x" * 2000)))
    assert response.headers["x-cld-error"].startswith("Zo???Set-Cookie: x")
    assert len(response.headers["x-cld-error"]) == 1000
    assert "set-cookie" not in response.headers


def test_single_values() -> None:
    params = Params({"a": "x", "n": 3, "yes": True, "no": "0", "nothing": None, "ids": ["x", 1]})
    assert "a" in params
    assert "nothing" not in params
    assert "absent" not in params
    assert (params.text("a"), params.text("n"), params.text("absent", "d")) == ("x", "3", "d")
    assert params.flag("yes")
    assert not params.flag("no", default=True)
    assert params.flag("absent", default=True)
    assert (params.texts("ids"), params.texts("a"), params.texts("absent")) == (
        ["x", "1"], ["x"], [],
    )  # fmt: skip


@pytest.mark.parametrize("value", ["0", "11", "x", "1.5", "9" * 30, "٣"])
def test_numbers_have_bounds(value: str) -> None:
    assert Params({"n": "10"}).number("n", 1, low=1, high=10) == 10
    assert Params({}).number("n", 1, low=1, high=10) == 1
    with pytest.raises(ApiError, match="Invalid value"):
        Params({"n": value}).number("n", 1, low=1, high=10)


def test_values_of_the_wrong_kind_are_refused() -> None:
    params = Params({"list": ["a"], "object": {"a": "b"}, "empty": ""})
    for read in (
        lambda: params.text("list"),
        lambda: params.texts("object"),
        lambda: params.required("empty"),
        lambda: params.required("absent"),
    ):
        with pytest.raises(ApiError, match="parameter"):
            read()


@pytest.mark.parametrize("path", ["/home/ann/x.jpg", "C:\\Users\\x.jpg", "x.jpg", "../x.jpg"])
def test_only_the_name_of_a_file_is_kept(path: str) -> None:
    assert http.base_name(path) == "x.jpg"


def test_where_an_original_was_looked_for_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """A path of the server is for its log; a cache, or a browser, comes again."""
    error = OriginalMissing("the original of 'a' is not in /srv/data/originals")
    answer = http.failed(error, "")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert b"/srv" not in bytes(answer.body) + answer.headers["X-Cld-Error"].encode()
    assert "/srv/data/originals" in caplog.text
