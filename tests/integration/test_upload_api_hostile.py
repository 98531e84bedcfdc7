"""What the Upload API does with requests that mean no good, or too much of it."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import loopback
from tests.examples import examples
from tests.integration.conftest import KEY, ApiServer
from tests.waiting import PATIENCE, until

from facelabel.adapters.fetcher import Fetcher
from facelabel.cloudinary import signing
from facelabel.errors import Unavailable
from facelabel.media.types import AssetKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from facelabel.core.model import Json
    from facelabel.web.cloudinary_api.context import Context

BOUNDARY = "----boundary"
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


class Caller:
    """Signs whatever it is told to send."""

    def __init__(self, server: ApiServer) -> None:
        """Connect to a server."""
        self.server = server
        self.http = loopback.client()

    def post(self, action: str, files: Any = None, **params: Any) -> httpx.Response:  # noqa: ANN401 - as httpx's
        """Call with these parameters; a list is sent as ``name[]``."""
        return self.http.post(self.server.at(action), data=self.signed(params), files=files)

    def upload(self, data: bytes, name: str = "a.jpg", **params: Any) -> httpx.Response:  # noqa: ANN401 - as above
        """Upload a file."""
        return self.post("image/upload", {"file": (name, data)}, **params)

    def signed(self, params: Json) -> dict[str, Any]:
        """The parameters with a signature, as form fields."""
        values: Json = {"timestamp": str(int(self.server.context.clock.now())), **params}
        values |= {"signature": signing.sign(values, KEY.secret), "api_key": KEY.key}
        return {f"{k}[]" if isinstance(v, list) else k: v for k, v in values.items()}

    def raw(self, head: str, body: Iterator[bytes]) -> bytes:
        """Send bytes until the server does not want any more; return what it said."""
        parts = urlsplit(self.server.url)
        address = (str(parts.hostname), parts.port or 80)
        with socket.create_connection(address, timeout=PATIENCE) as connection:
            connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
            answer = connection.makefile("rb")
            try:
                for chunk in body:
                    connection.sendall(chunk)
            except OSError:  # it hung up
                pass
            with answer:
                return answer.read()


@pytest.fixture
def caller(api_server: ApiServer) -> Iterator[Caller]:
    caller = Caller(api_server)
    with caller.http:
        yield caller


def error(response: httpx.Response, status: int = 400) -> str:
    """The message of a refusal, which has to be where both SDKs look for it."""
    assert response.status_code == status, response.text
    message: str = response.json()["error"]["message"]
    assert response.headers["x-cld-error"].isascii()
    assert len(response.headers["x-request-id"]) == 32
    assert KEY.secret not in response.text + str(response.headers)
    return message


# ---- bodies


def test_a_file_that_is_too_large_is_refused_in_words(caller: Caller) -> None:
    message = error(caller.upload(b"\0" * (101 << 20)))
    assert message == f"File size too large. Maximum is {100 << 20} bytes for this request."
    assert caller.server.context.media.usage()["objects"] == 0


def test_a_body_that_never_ends_is_cut_off(
    context: Context, serve: Callable[[Context], ApiServer]
) -> None:
    caller = Caller(serve(replace(context, max_body_bytes=1 << 20)))
    head = "POST /v1_1/local/image/upload HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n"
    head += f"Content-Type: multipart/form-data; boundary={BOUNDARY}"
    part = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'

    def body() -> Iterator[bytes]:
        yield _chunk(part.encode())
        while True:
            yield _chunk(b"x" * 65536)

    # The reason may get lost with a connection that is broken while we send; not the end of it.
    answer = caller.raw(head, body())
    assert not answer or b"File size too large" in answer
    assert not answer or b"connection: close" in answer.lower()
    with caller.http:
        assert caller.upload(b"x").status_code == 400  # it still answers


def test_a_chunked_body_slightly_too_large_is_refused_in_words(
    context: Context, serve: Callable[[Context], ApiServer]
) -> None:
    caller = Caller(serve(replace(context, max_body_bytes=1 << 20)))

    def body() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    with caller.http:
        url = caller.server.at("image/upload")
        message = error(caller.http.post(url, content=body(), headers=kind))
    assert "too large" in message or "multipart" in message


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip"])
def test_compressed_bodies_are_not_unpacked(caller: Caller, encoding: str) -> None:
    bomb = gzip.compress(b"\0" * (50 << 20))
    response = caller.http.post(
        caller.server.at("image/upload"), content=bomb, headers={"Content-Encoding": encoding}
    )
    assert "Content-Encoding" in error(response)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[" * 100_000),
        ("application/json", b'{"a":' * 900 + b"1" + b"}" * 900),
        ("application/json", b"[1]"),
        ("application/json", b'{"timestamp": NaN}'),
        ("application/json", b'{"a": ' + b"9" * 5000 + b"}"),
        ("application/json", b'{"public_id": "\\ud800"}'),
        ("application/json", b'{"public_id": "a\\u0000b"}'),
        ("application/json", json.dumps({str(n): n for n in range(2001)}).encode()),
        ("application/json", b"\xff\xfe\xff"),
        ("text/plain", b"file=x"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"--b\r\nx\r\n"),
        ("multipart/form-data; boundary=b", b"--b--\r\n"),
        ("multipart/form-data; boundary=b; charset=zip", b"--b--\r\n"),
        ("application/x-www-form-urlencoded", b"a=1&a=2"),
        ("application/x-www-form-urlencoded", b"a[]=1&a=2"),
        ("application/x-www-form-urlencoded", b"&".join(b"a%d=1" % n for n in range(2001))),
        ("application/x-www-form-urlencoded", b"public_id=a%00b"),
        ("application/x-www-form-urlencoded", b"public_id=" + b"a" * (3 << 20)),
        ("application/x-www-form-urlencoded", b"\xff%ff=%zz"),
    ],
)
def test_nonsense_is_refused(caller: Caller, kind: str, body: bytes) -> None:
    url = caller.server.at("image/explicit")
    response = caller.http.post(url, content=body, headers={"Content-Type": kind})
    assert response.status_code in {400, 401}
    error(response, response.status_code)


@given(
    body=st.one_of(st.binary(max_size=300), st.text(max_size=100).map(str.encode)),
    kind=st.sampled_from(
        ["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"]
    ),
)
@settings(examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes_is_answered(caller: Caller, body: bytes, kind: str) -> None:
    url = caller.server.at("image/tags")
    response = caller.http.post(url, content=body, headers={"Content-Type": kind})
    assert response.status_code in {400, 401}


@given(
    params=st.dictionaries(
        st.sampled_from(
            ["public_id", "tags", "context", "metadata", "folder", "face_coordinates", "type",
             "eager", "format", "transformation", "overwrite", "use_filename", "display_name",
             "asset_folder", "moderation", "upload_preset", "allowed_formats", "faces"]
        ),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    )
)  # fmt: skip
@settings(examples(100), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_asked_for_is_done_or_refused(
    caller: Caller, photos: Path, params: dict[str, str]
) -> None:
    photo = (photos / "people" / "Hopper1.jpg").read_bytes()
    response = caller.upload(photo, **params)
    assert response.status_code in {200, 400}
    if response.status_code == 400:
        assert error(response)


# ---- names


@pytest.mark.parametrize(
    "public_id",
    [
        "../../etc/passwd", "a/../b", "/etc/passwd", "a//b", "a/./b", "a/", " a", "a\\b", "a?b",
        "a#b", "a%2e%2e", "<a>", "a\nb", "a\x7fb", "a" * 256, "v12/a", "C:\\x",
    ],
)  # fmt: skip
def test_public_ids_that_are_refused(caller: Caller, photos: Path, public_id: str) -> None:
    photo = (photos / "people" / "Hopper1.jpg").read_bytes()
    assert error(caller.upload(photo, public_id=public_id))
    assert caller.server.context.media.usage()["objects"] == 0


@pytest.mark.parametrize(
    "filename", ["/home/ann/x.jpg", "C:\\Users\\ann\\x.jpg", "../../x.jpg", "..\\..\\x.jpg"]
)
def test_where_a_file_lay_is_not_kept(caller: Caller, photos: Path, filename: str) -> None:
    photo = (photos / "people" / "Hopper1.jpg").read_bytes()
    answer = caller.upload(photo, filename, use_filename="1", unique_filename="0").json()
    assert (answer["public_id"], answer["original_filename"]) == ("x", "x")
    assert "ann" not in json.dumps(answer)


@pytest.mark.parametrize("name", ["..", ".", "%2e", "...", ".jpg", "   ", "\\", "a" * 5000])
def test_odd_file_names_get_an_ordinary_public_id(caller: Caller, photos: Path, name: str) -> None:
    photo = (photos / "people" / "Hopper1.jpg").read_bytes()
    response = caller.upload(photo, name, use_filename="1")
    assert response.status_code == 200 or error(response)


def test_ten_thousand_tags_are_refused(caller: Caller, photos: Path) -> None:
    photo = (photos / "people" / "Hopper1.jpg").read_bytes()
    tags = ",".join(f"t{number}" for number in range(10_000))
    assert "at most 1000 tags" in error(caller.upload(photo, public_id="a", tags=tags))
    caller.upload(photo, public_id="a", tags="Ann")
    many = caller.post("image/tags", command="add", tag=tags, public_ids=["a"])
    assert "at most 1000" in error(many)
    asset = caller.server.context.media.get(AssetKey("a"))
    assert asset is not None
    assert asset.tags == ("Ann",)


@pytest.mark.parametrize(
    "tag", ['O"Brien', "Zoë 👩‍🎤", "נועה בן-דוד", "a'b; DROP TABLE asset", "%"]
)
def test_odd_tags_stay_what_they_are(caller: Caller, photos: Path, tag: str) -> None:
    photo = (photos / "people" / "Hopper1.jpg").read_bytes()
    assert caller.upload(photo, public_id="a", tags=tag).json()["tags"] == [tag]
    caller.post("image/tags", command="remove", tag=tag, public_ids=["a"])
    asset = caller.server.context.media.get(AssetKey("a"))
    assert asset is not None
    assert asset.tags == ()


def test_two_hundred_tags_at_the_same_time(caller: Caller, photos: Path) -> None:
    caller.upload((photos / "people" / "Hopper1.jpg").read_bytes(), public_id="a")
    tags = [f"person {number}" for number in range(200)]

    def add(tag: str) -> int:
        return caller.post("image/tags", command="add", tag=tag, public_ids=["a"]).status_code

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(add, tags)) == {200}
    asset = caller.server.context.media.get(AssetKey("a"))
    assert asset is not None
    assert sorted(asset.tags) == sorted(tags)


# ---- files


def test_files_that_cannot_be_read(caller: Caller, photos: Path) -> None:
    for name in ("bomb.gif", "drawing.svg", "corrupt_header.jpg", "bomb.jpg", "bomb.heic"):
        message = error(caller.upload((photos / "hostile" / name).read_bytes(), name))
        assert message.startswith("Invalid image file: "), name


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost/a.jpg", "http://[::1]/", "http://0x7f.1/",
        "http://2130706433/", "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/",
        "http://192.168.1.1/", "http://[::ffff:127.0.0.1]/", "http://[fd00::1]/",
    ],
)  # fmt: skip
def test_addresses_of_our_own_network_are_not_fetched(caller: Caller, url: str) -> None:
    assert error(caller.post("image/upload", file=url)).startswith(f"Error in loading {url} - ")


def test_who_waits_for_slow_servers_holds_up_nobody(
    context: Context, serve: Callable[[Context], ApiServer]
) -> None:
    """More of them than there are threads for everything; each of them ends."""
    waiting: list[str] = []
    may_end = threading.Event()

    def fetch(url: str) -> tuple[bytes, str]:
        waiting.append(url)
        assert may_end.wait(PATIENCE)
        raise Unavailable("example.com took too long")

    caller = Caller(serve(replace(context, fetch=fetch)))
    slow = "http://example.com/a.jpg?secret"
    with caller.http, ThreadPoolExecutor(50) as pool:
        answers = [pool.submit(caller.post, "image/upload", file=slow) for _ in range(25)]
        as_file = {"file": (None, slow)}
        answers += [pool.submit(caller.post, "image/upload", as_file) for _ in range(25)]
        until(lambda: len(waiting) == 4)
        assert caller.upload(GIF, "a.gif", public_id="quick").status_code == 200
        assert len(waiting) == 4
        may_end.set()
    told = {error(answer.result(), 500) for answer in answers}
    assert told == {"Error in loading http://example.com/a.jpg - example.com took too long"}


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1"])
def test_names_that_lead_to_our_own_network_are_not_fetched(
    context: Context, serve: Callable[[Context], ApiServer], address: str
) -> None:
    fetcher = Fetcher(max_bytes=1000, timeout=PATIENCE, resolve=lambda _: [address])

    def fetch(url: str) -> tuple[bytes, str]:
        fetched = fetcher.fetch(url)
        return fetched.data, fetched.filename

    caller = Caller(serve(replace(context, fetch=fetch)))
    with caller.http:
        message = error(caller.post("image/upload", file="http://example.com/a.jpg"))
    assert message.startswith("Error in loading http://example.com/a.jpg - ")


@pytest.mark.parametrize(
    "source",
    ["ftp://example.com/a.jpg", "file:///etc/passwd", "s3://bucket/a.jpg", "/etc/passwd", "data:x"],
)
def test_other_sources_are_refused(caller: Caller, source: str) -> None:
    assert "Unsupported source URL" in error(caller.post("image/upload", file=source))


def test_data_uris_that_are_none(caller: Caller) -> None:
    assert "Invalid base64" in error(caller.post("image/upload", file="data:;base64,@@@"))
    assert "Empty file" in error(caller.post("image/upload", file="data:image/png;base64,"))


def test_large_data_uris_go_into_multipart_bodies(caller: Caller) -> None:
    uri = f"data:;base64,{base64.b64encode(bytes(20 << 20)).decode()}"
    response = caller.post("raw/upload", {"file": (None, uri)})
    assert response.json()["bytes"] == 20 << 20
    assert "File size too large" in error(caller.post("raw/upload", file=uri))


def test_a_second_file_is_refused(caller: Caller, photos: Path) -> None:
    photo = (photos / "people" / "Hopper1.jpg").read_bytes()
    two = [("file", ("a.jpg", photo)), ("other", ("b.jpg", photo))]
    assert "Too many files" in error(caller.post("image/upload", two))


# ---- who asks


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("Basic " + base64.b64encode(b"x:y").decode(), "unknown api_key"),
        ("Basic " + base64.b64encode(f"{KEY.key}:y".encode()).decode(), "api_secret mismatch"),
        ("Basic ###", "Invalid Authorization header"),
        ("Basic /w==", "Invalid Authorization header"),
        ("Bearer token", "HTTP Basic authentication is required"),
    ],
)
def test_basic_authentication(caller: Caller, header: str, message: str) -> None:
    for method, path in (("GET", "ping"), ("POST", "image/destroy")):
        url = caller.server.at(path)
        response = caller.http.request(method, url, headers={"Authorization": header})
        assert error(response, 401) == message
        assert response.headers["www-authenticate"].startswith("Basic")


def test_the_admin_api_wants_to_know_who_asks(caller: Caller) -> None:
    assert "required" in error(caller.http.get(caller.server.at("resources/image")), 401)


@pytest.mark.parametrize("version", [1, 2])
def test_a_restriction_cannot_be_hidden_in_a_name_or_a_value(caller: Caller, version: int) -> None:
    """Of a call that the page's server signed, and the page sends."""
    signed: Json = {
        "allowed_formats": "png", "asset_folder": "inbox", "context": "a=b", "overwrite": "false",
        "public_id": "x", "timestamp": str(int(caller.server.context.clock.now())),
    }  # fmt: skip
    known: Json = {
        "file": f"data:image/gif;base64,{base64.b64encode(GIF).decode()}",
        "api_key": KEY.key, "signature": signing.sign(signed, KEY.secret, version=version),
    }  # fmt: skip

    def sent(params: Json) -> httpx.Response:
        return caller.http.post(caller.server.at("image/upload"), data={**params, **known})

    rest = {name: signed[name] for name in ("public_id", "timestamp")}
    named = {"allowed_formats=png&asset_folder": "inbox", "context": "a=b", "overwrite": "false"}
    valued = {"allowed_formats": "png&asset_folder=inbox", "context": "a=b&overwrite=false"}
    assert "gif not allowed" in error(sent(signed))
    for folded in (named, valued):
        assert error(sent({**rest, **folded}), 401).startswith("Invalid Signature ")


def test_a_call_may_carry_the_secret_itself(caller: Caller) -> None:
    response = caller.http.post(
        caller.server.at("image/destroy"), data={"public_id": "a"}, auth=(KEY.key, KEY.secret)
    )
    assert response.json() == {"result": "not found"}


def test_nothing_of_a_call_is_in_the_log(
    context: Context, serve: Callable[[Context], ApiServer], caplog: pytest.LogCaptureFixture
) -> None:
    def fetch(_: str) -> tuple[bytes, str]:
        raise RuntimeError("boom")

    caller = Caller(serve(replace(context, fetch=fetch)))
    with caller.http, caplog.at_level(logging.DEBUG, "facelabel"):
        message = error(caller.post("image/upload", file="http://example.com/?token=abc"), 500)
    ours = [record for record in caplog.records if record.name.startswith("facelabel")]
    assert len(ours) == 1
    assert ours[0].exc_info
    assert message.removeprefix("Internal server error, see the server's log for request ") in (
        ours[0].getMessage()
    )
    assert "boom" not in message
    for secret in (KEY.secret, "token=abc", "signature"):
        assert secret not in caplog.text
