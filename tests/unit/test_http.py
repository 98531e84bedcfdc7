"""Reading requests within limits, answering in Cloudinary's shape."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request

from facelabel.errors import (
    AlreadyExists,
    ConfigurationError,
    NotFound,
    OriginalMissing,
    Rejected,
    Unavailable,
)
from facelabel.web import http
from facelabel.web.http import ApiError, Held, Limits, Params

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

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
    limits: Limits | None = None,
    unavailable: int = 503,
) -> Response:
    """Answer one request, the body of which may come in pieces."""
    headers = [(b"content-type", KINDS[kind].encode())]
    scope = {"type": "http", "method": "POST", "query_string": query, "headers": headers}
    pieces = _whole(body) if isinstance(body, bytes) else body

    async def receive() -> Message:
        piece = await anext(pieces, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    answer = http.endpoint(
        action, limits or Limits(1000), headers=lambda: {"X-Also": "1"}, unavailable=unavailable
    )

    async def run() -> Response:
        return await answer(Request(scope, receive))

    return asyncio.run(run())


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


def test_a_slow_body_is_not_waited_for() -> None:
    class Slow:
        async def __anext__(self) -> bytes:
            await asyncio.sleep(60)
            return b"a=1"

        def __aiter__(self) -> Slow:
            return self

    for limits in (Limits(1000, pause=0.01, linger=0.01), Limits(1000, patience=0.01, linger=0.01)):
        response = ask(lambda _: {}, Slow(), limits=limits)
        assert message(response) == "Request timed out: the body came too slowly"
        assert response.headers["connection"] == "close"


def test_a_body_has_a_limit_and_its_rest_is_dropped() -> None:
    taken = 0

    async def large() -> AsyncIterator[bytes]:
        nonlocal taken
        while taken < 10:
            taken += 1
            yield b"x" * 100

    assert "File size too large" in message(ask(lambda _: {}, large(), limits=Limits(250)))
    assert taken == 10


def test_all_bodies_together_have_a_limit() -> None:
    limits = Limits(100, held=Held(150))

    def nested(received: Received) -> Answer:
        inner = ask(lambda _: {}, b"b=" + b"x" * 90, limits=limits)
        return {"status": inner.status_code, "size": len(received.params.text("a"))}

    answer = json.loads(bytes(ask(nested, b"a=" + b"x" * 90, limits=limits).body))
    assert answer == {"status": 429, "size": 90}
    assert ask(lambda _: {}, b"b=" + b"x" * 90, limits=limits).status_code == 200


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ApiError(420, "Rate Limit Exceeded"), 420),
        (Rejected("no"), 400),
        (AlreadyExists("taken"), 400),
        (NotFound("gone"), 404),
        (Unavailable("later"), 503),
        (ConfigurationError("wrong"), 500),
    ],
)
def test_every_error_has_its_status(error: Exception, status: int) -> None:
    response = ask(fails(error))
    assert (response.status_code, message(response)) == (status, str(error))
    assert response.headers["x-cld-error"] == str(error)
    assert response.headers["x-also"] == "1"


def test_not_now_may_say_when_and_be_said_differently() -> None:
    response = ask(fails(Unavailable("later", retry_after=1.5)), unavailable=500)
    assert (response.status_code, response.headers["retry-after"]) == (500, "2")


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
        lambda: params.needed("empty"),
        lambda: params.needed("absent"),
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
