"""Requests byte by byte: where they end, what their paths and their headers alone tell."""

from __future__ import annotations

import base64
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests import loopback
from tests.integration.conftest import KEY
from tests.waiting import PATIENCE

from facelabel.cloudinary import signing

if TYPE_CHECKING:
    from tests.integration.conftest import ApiServer

    from facelabel.core.model import Json

PING = "GET /v1_1/local/ping HTTP/1.1\r\nHost: localhost\r\n\r\n"
#: Chunked it is empty, and a request follows; by its length it is one body.
SMUGGLED = f"0\r\n\r\n{PING}"
GIF = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def exchanged(server: ApiServer, text: str) -> bytes:
    """Send it, and read until the server has closed, or has nothing more to say."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as connection:
        connection.sendall(text.encode("latin-1"))
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def posted(server: ApiServer, *headers: str, body: str = "", version: str = "1.1") -> bytes:
    head = [f"POST /v1_1/local/image/destroy HTTP/{version}", "Host: localhost", *headers, "", body]
    return exchanged(server, "\r\n".join(head))


def statuses(answer: bytes) -> list[int]:
    return [int(rest[:3]) for rest in answer.split(b"HTTP/1.1 ")[1:]]


LENGTH = f"Content-Length: {len(SMUGGLED)}"
AMBIGUOUS = {
    "both": (LENGTH, "Transfer-Encoding: chunked"),
    "both, the other way round": ("Transfer-Encoding: chunked", LENGTH),
    "both, and a length of nothing": ("Content-Length: 0", "Transfer-Encoding: chunked"),
    "capitals": (LENGTH.upper(), "TRANSFER-ENCODING: Chunked"),
    "folded": (LENGTH, "Transfer-Encoding:\r\n chunked"),
    "two lengths": ("Content-Length: 5", LENGTH),
    "two lengths in one": (f"Content-Length: 5, {len(SMUGGLED)}",),
    "a length with a sign": ("Content-Length: +5",),
    "a length that is none": ("Content-Length: 0x5",),
    "a long length": ("Content-Length: " + "9" * 30,),
    "chunked twice": ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
    "chunked twice in one": ("Transfer-Encoding: chunked, chunked",),
    "identity": (LENGTH, "Transfer-Encoding: identity"),
    "gzip": ("Transfer-Encoding: gzip, chunked",),
    "a tab": ("Transfer-Encoding: chunked\t,x",),
    "a vertical tab": ("Transfer-Encoding: \x0bchunked",),
    "a space before the colon": (LENGTH, "Transfer-Encoding : chunked"),
    "a name with a NUL": (LENGTH, "Transfer-Encoding\x00: chunked"),
}


@pytest.mark.parametrize("headers", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_has_two_ends_is_refused_and_nothing_behind_it_is_read(
    api_server: ApiServer, headers: tuple[str, ...]
) -> None:
    answer = posted(api_server, *headers, body=SMUGGLED)
    assert len(statuses(answer)) == 1
    assert statuses(answer)[0] in {400, 501}
    assert b"connection: close" in answer.lower()


def test_chunks_are_of_a_later_version(api_server: ApiServer) -> None:
    answer = posted(api_server, "Transfer-Encoding: chunked", body=SMUGGLED, version="1.0")
    assert statuses(answer) == [400]


@pytest.mark.parametrize(
    "chunks",
    ["x\r\n", "-1\r\n", "5\r\nab\r\n0\r\n\r\n", "1 1\r\na\r\n", "FFFFFFFFFFFFFFFFFFFFFF\r\n"],
)
def test_chunks_that_are_none(api_server: ApiServer, chunks: str) -> None:
    answer = posted(api_server, "Transfer-Encoding: chunked", body=chunks + PING)
    assert len(statuses(answer)) <= 1
    assert b"200 OK" not in answer


@pytest.mark.parametrize(
    "headers",
    [
        (LENGTH, LENGTH),
        (f"content-length:{len(SMUGGLED)}",),
        (f"Content-Length:\t {len(SMUGGLED)} ",),
        (f"X-Folded: a\r\n b\r\n{LENGTH}",),
    ],
)
def test_what_has_one_end_is_one_request(api_server: ApiServer, headers: tuple[str, ...]) -> None:
    """A length said twice, and a line folded as long ago, are one to everybody."""
    assert len(statuses(posted(api_server, *headers, body=SMUGGLED))) == 1


def test_a_bare_line_feed_ends_a_line_for_all_lines(api_server: ApiServer) -> None:
    """Allowed (RFC 9112, 2.2); the request ends where its length says."""
    text = f"POST /v1_1/local/image/destroy HTTP/1.1\nHost: localhost\n{LENGTH}\n\n{SMUGGLED}"
    assert len(statuses(exchanged(api_server, text))) == 1


PATHS = [
    "/v1_1/local/image/upload/", "/v1_1/local/image/upload//", "//v1_1/local/image/upload",
    "/v1_1//local//image//upload", "/v1_1/local/raw/upload/", "/v1_1/local/auto/upload/",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_slashes_do_not_matter_to_uploads(api_server: ApiServer, path: str) -> None:
    timestamp = str(int(api_server.context.clock.now()))
    signed: Json = {"timestamp": timestamp, "public_id": "a"}
    call = {**signed, "api_key": KEY.key, "signature": signing.sign(signed, KEY.secret)}
    answer = loopback.post(api_server.url + path, data={**call, "file": GIF})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "action",
    ["image/explicit", "image/rename", "image/destroy", "image/tags", "image/context",
     "image/metadata", "raw/destroy", "video/destroy", "asset/destroy", "image/text"],
)  # fmt: skip
def test_slashes_do_not_matter_to_other_calls(api_server: ApiServer, action: str) -> None:
    """Each refuses an empty call in words of its own, and as without them."""
    url = f"{api_server.url}/v1_1/local/{action}"
    answers = [loopback.post(url + end, auth=(KEY.key, KEY.secret)) for end in ("", "/", "//")]
    assert answers[0].status_code != 404
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1


def test_a_path_that_is_none_stays_none(api_server: ApiServer) -> None:
    for path in ("/v1_1/local/image/nothing/", "/v1_1/local/image/upload/x", "/v1_1/local/image/"):
        answer = loopback.post(api_server.url + path, auth=(KEY.key, KEY.secret))
        assert answer.status_code in {404, 405}


def basic(name: str, secret: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


TOLD = {
    "no key": ("POST", "resources/image/upload/a", "X: 1", 401),
    "unknown key": ("POST", "resources/image/upload/a", basic("x", "y"), 401),
    "wrong secret": ("POST", "image/upload", basic(KEY.key, "y"), 401),
    "no Basic": ("POST", "image/upload", "Authorization: Bearer x", 401),
    "too long": ("POST", "image/upload", "Content-Length: 999999999999", 400),
    "an unknown kind": ("POST", "image/upload", "Content-Type: text/html", 400),
    "no such call": ("POST", "nothing", "X: 1", 404),
    "no such method": ("PATCH", "image/upload", "X: 1", 405),
}


@pytest.mark.parametrize("case", TOLD.values(), ids=TOLD)
def test_what_headers_tell_is_answered_without_the_body(
    api_server: ApiServer, case: tuple[str, str, str, int]
) -> None:
    """Which does not come: whoever waits for it answers that it came too slowly."""
    method, path, header, status = case
    length = "" if header.startswith("Content-Length") else "Content-Length: 1000\r\n"
    kind = "" if header.startswith("Content-Type") else "Content-Type: application/json\r\n"
    head = (
        f"{method} /v1_1/local/{path} HTTP/1.1\r\nHost: localhost\r\n{length}{kind}{header}\r\n\r\n"
    )
    parts = urlsplit(api_server.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as connection:
        connection.sendall(head.encode())
        answer = connection.recv(65536)
    assert statuses(answer) == [status]
    assert b"too slowly" not in answer
