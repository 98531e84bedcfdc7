"""Downloads from real servers on this machine, and from places that are none of our business."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpcore2
import pytest
from tests.certificates import self_signed, server_side
from tests.waiting import PATIENCE

from facelabel.adapters.fetcher import Fetched, Fetcher
from facelabel.adapters.fetcher.public_addresses import is_public
from facelabel.errors import Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

IMAGE = b"\xff\xd8" + bytes(5000)
LIMIT = 10_000
PUBLIC = "93.184.216.34"
SECRET = "signature=hush"


class Site(BaseHTTPRequestHandler):
    """Answers by the path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Call the method of the path's first part."""
        answer = getattr(self, "at_" + self.path.split("?")[0].split("/")[1], self.at_status)
        answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Say nothing."""

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send a whole answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def at_image(self) -> None:
        self.reply(200, IMAGE, Content_Type="image/jpeg")

    def at_packed(self) -> None:
        """Send so many zeros, compressed as the query says: "/packed/100?gzip&cut"."""
        path, _, query = self.path.partition("?")
        coding, _, how = query.partition("&")
        packer = zlib.compressobj(wbits=zlib.MAX_WBITS | (16 if "gzip" in coding else 0))
        body = packer.compress(bytes(int(path.rpartition("/")[2]))) + packer.flush()
        damaged = {"": body, "cut": body[:-9], "more": body + b"more", "plain": b"plain"}
        self.reply(200, damaged[how], Content_Encoding=coding)

    def at_headers(self) -> None:
        self.reply(200, str(self.headers).encode())

    def at_target(self) -> None:
        self.reply(200, self.path.encode())

    def at_to(self) -> None:
        """Redirect to whatever follows in the path."""
        self.reply(302, Location=self.path.removeprefix("/to/"))

    def at_loop(self) -> None:
        self.reply(301, Location="/loop")

    def at_busy(self) -> None:
        self.reply(429, Retry_After="7")

    def at_later(self) -> None:
        self.reply(503, Retry_After=self.date_time_string(int(time.time()) + 100))

    def at_status(self) -> None:
        """Answer with the status that the path names."""
        self.reply(int(self.path.split("?")[0].strip("/")))

    def at_large(self) -> None:
        self.reply(200, bytes(LIMIT + 1))

    def at_exact(self) -> None:
        self.reply(200, bytes(LIMIT))

    def at_endless(self) -> None:
        """Send without an end."""
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.drip(bytes(1000), pause=0)

    def at_drip(self) -> None:
        """Send a byte now and then."""
        self.send_response(200)
        self.send_header("Content-Length", str(LIMIT))
        self.end_headers()
        self.drip(b"x", pause=0.05)

    def at_slowhead(self) -> None:
        """Send a header's letters now and then."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        self.drip(b"x", pause=0.05)

    def at_broken(self) -> None:
        """Promise more than comes."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"half")
        self.close_connection = True

    def drip(self, data: bytes, pause: float) -> None:
        """Send until nobody listens."""
        self.close_connection = True
        try:
            while True:
                self.wfile.write(data)
                time.sleep(pause)
        except OSError:
            pass


class Wire(httpcore2.NetworkStream):
    """A connection that takes TLS for granted, so that https can be spoken with a plain server."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        """Speak over this one."""
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        return self

    def get_extra_info(self, info: str) -> object:
        return None


class Switchboard(httpcore2.NetworkBackend):
    """A little internet: every connection to PUBLIC ends at our server; the others are noted."""

    def __init__(self, port: int) -> None:
        """Know our server's port."""
        self._port = port
        self.called: list[tuple[str, int]] = []

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        self.called.append((host, port))
        if host != PUBLIC:
            raise httpcore2.ConnectError(f"no route to {host}")
        return Wire(httpcore2.SyncBackend().connect_tcp("127.0.0.1", self._port, timeout))


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a server on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[int, ssl.SSLContext]]:
    """The port of a server that proves to be example.com, and what believes its certificate."""
    certificate = self_signed(tmp_path, "example.com")
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        server.daemon_threads = True
        server.socket = server_side(certificate).wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1], ssl.create_default_context(cafile=str(certificate))
        server.shutdown()
        thread.join()


@pytest.fixture
def internet(port: int) -> Switchboard:
    return Switchboard(port)


def private(timeout: float = PATIENCE) -> Fetcher:
    """Return a fetcher that may speak to this machine."""
    return Fetcher(max_bytes=LIMIT, timeout=timeout, allow_private=True)


def public(internet: Switchboard, resolve: Callable[[str], Sequence[str]] | None = None) -> Fetcher:
    """Return a guarded fetcher whose every host name is our server's."""
    return Fetcher(
        max_bytes=LIMIT, timeout=PATIENCE, resolve=resolve or (lambda _: [PUBLIC]), network=internet
    )


def test_a_file_is_fetched_with_its_name_and_type(port: int) -> None:
    fetched = private().fetch(f"http://127.0.0.1:{port}/image/Tal%20Admon.jpg?{SECRET}")
    assert fetched == Fetched(IMAGE, "Tal Admon.jpg", "image/jpeg")


@pytest.mark.parametrize(
    ("path", "filename"),
    [
        ("/image/", "image"),
        ("/image/..%2f..%2fetc%2fpasswd", "passwd"),
        ("/image/c%3A%5Ctemp%5Cx.png", "x.png"),
        ("/image/J%C3%BCrgen.jpg", "Jürgen.jpg"),
        ("/image/Jürgen.jpg", "Jürgen.jpg"),
    ],
)
def test_the_name_has_no_directories(port: int, path: str, filename: str) -> None:
    assert private().fetch(f"http://127.0.0.1:{port}{path}").filename == filename


def test_a_url_is_asked_for_as_it_is_written(port: int) -> None:
    asked = private().fetch(f"http://127.0.0.1:{port}/target/a%2Fb;c=1?x=%26&y=a b#part").data
    assert asked == b"/target/a%2Fb;c=1?x=%26&y=a%20b"


def test_nothing_of_ours_is_told(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    sent = private().fetch(f"http://127.0.0.1:{port}/headers").data.decode()
    names = {line.split(":")[0] for line in sent.split("\n") if line}
    assert names == {"Host", "User-Agent", "Accept", "Accept-Encoding"}


def test_redirects_are_followed(port: int) -> None:
    fetched = private().fetch(f"http://127.0.0.1:{port}/to//to//image/a.jpg")
    assert fetched.data == IMAGE
    assert fetched.filename == "a.jpg"


def test_a_redirect_loop_ends(port: int) -> None:
    with pytest.raises(Rejected, match="more than 5 redirects"):
        private().fetch(f"http://127.0.0.1:{port}/loop")


def test_the_size_is_limited(port: int) -> None:
    assert len(private().fetch(f"http://127.0.0.1:{port}/exact").data) == LIMIT
    for path in ("large", "endless"):
        with pytest.raises(Rejected, match=r"is larger than 10,000 bytes"):
            private().fetch(f"http://127.0.0.1:{port}/{path}")


@pytest.mark.parametrize("path", ["drip", "slowhead"])
def test_the_total_time_is_limited_however_slowly_bytes_come(port: int, path: str) -> None:
    with pytest.raises(Unavailable, match="took too long"):
        private(timeout=0.4).fetch(f"http://127.0.0.1:{port}/{path}")


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "DEFLATE", "identity&plain"])
def test_what_is_compressed_unasked_is_unpacked(port: int, coding: str) -> None:
    answer = private().fetch(f"http://127.0.0.1:{port}/packed/{LIMIT}?{coding}")
    assert answer.data == (b"plain" if "plain" in coding else bytes(LIMIT))


@pytest.mark.parametrize("size", [LIMIT + 1, LIMIT * 1000])
@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_unpacked_the_size_is_limited_too(port: int, coding: str, size: int) -> None:
    with pytest.raises(Rejected, match=f"larger than {LIMIT:,} bytes"):
        private().fetch(f"http://127.0.0.1:{port}/packed/{size}?{coding}")


@pytest.mark.parametrize(
    ("coding", "reason"),
    [
        ("br", "was not asked for: Content-Encoding br"),
        ("gzip,gzip", "was not asked for: Content-Encoding gzip,gzip"),
        ("gzip&cut", "does not end where it should"),
        ("gzip&more", "does not end where it should"),
        ("gzip&plain", "says to send gzip, which it is not"),
        ("deflate&plain", "says to send deflate, which it is not"),
    ],
)
def test_what_cannot_be_unpacked_is_said(port: int, coding: str, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        private().fetch(f"http://127.0.0.1:{port}/packed/100?{coding}")


def test_the_total_time_is_limited_however_slowly_a_body_is_taken() -> None:
    """By a server that takes a little now and then: it does not get all of it."""
    body, taken = bytes(32 << 20), [0]

    def take(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while piece := connection.recv(1 << 18):
                taken[0] += len(piece)
                time.sleep(0.02)

    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        taker = threading.Thread(target=lambda: take(server.accept()[0]))
        taker.start()
        fetcher = Fetcher(max_bytes=LIMIT, timeout=0.3, allow_private=True)
        with pytest.raises(Unavailable, match="took too long"):
            fetcher.post(url, body, {"Content-Length": str(len(body))})
        taker.join()
    assert 0 < taken[0] < len(body)


def test_a_slow_resolver_is_limited_too(internet: Switchboard) -> None:
    gate = threading.Event()
    fetcher = Fetcher(max_bytes=LIMIT, timeout=0.2, resolve=lambda _: [str(gate.wait(PATIENCE))])
    try:
        with pytest.raises(Unavailable, match="took too long"):
            fetcher.fetch("http://example.com/image")
    finally:
        gate.set()


def test_a_broken_answer_may_be_asked_for_again(port: int) -> None:
    with pytest.raises(Unavailable, match="broke off"):
        private().fetch(f"http://127.0.0.1:{port}/broken")


def test_a_server_that_is_down_may_be_asked_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        free = unused.getsockname()[1]
    with pytest.raises(Unavailable, match="cannot be reached"):
        private().fetch(f"http://127.0.0.1:{free}/")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 304, 300])
def test_what_is_not_there_is_rejected(port: int, status: int) -> None:
    with pytest.raises(Rejected, match=f"answered {status}"):
        private().fetch(f"http://127.0.0.1:{port}/{status}")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_unavailable(port: int, status: int) -> None:
    with pytest.raises(Unavailable, match=f"answered {status}") as error:
        private().fetch(f"http://127.0.0.1:{port}/{status}")
    assert error.value.retry_after is None


def test_the_server_says_when_to_come_back(port: int) -> None:
    with pytest.raises(Unavailable) as busy:
        private().fetch(f"http://127.0.0.1:{port}/busy")
    assert busy.value.retry_after == 7
    with pytest.raises(Unavailable) as later:
        private().fetch(f"http://127.0.0.1:{port}/later")
    assert 0 < (later.value.retry_after or 0) <= 100


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.com/image",
        "gopher://example.com/",
        "//example.com/image",
        "image.jpg",
        "",
        "http://",
        "http:///image",
        "http://[::1",
        "http://example.com:99999/",
        "http://example.com:port/",
        f"http://{'a' * 64}.com/",
        "http://user@example.com/",
        "http://user:hush@example.com/",
        "http://example.com\\@127.0.0.1/",
    ],
)
def test_what_is_no_plain_web_address_is_rejected(internet: Switchboard, url: str) -> None:
    with pytest.raises(Rejected) as error:
        public(internet).fetch(url)
    assert "hush" not in str(error.value)
    assert internet.called == []


@pytest.mark.parametrize("url", ["http://example.com:22/", "https://example.com:8443/"])
def test_other_ports_are_rejected(internet: Switchboard, url: str) -> None:
    with pytest.raises(Rejected, match="only the ports 80 and 443"):
        public(internet).fetch(url)
    assert internet.called == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "0",
        "0.0.0.0",
        "localhost",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fd00::1]",
        "168.63.129.16",
        "0xa83f8110",
        "[fd00:ec2::254]",
    ],
)
def test_this_machine_and_its_network_are_out_of_reach_in_any_spelling(
    internet: Switchboard, host: str
) -> None:
    guarded = Fetcher(max_bytes=LIMIT, timeout=PATIENCE, network=internet)
    with pytest.raises(Rejected):
        guarded.fetch(f"http://{host}/")
    assert internet.called == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::808:808", True),
        ("64:ff9b:1::808:808", False),
        ("2002:808:808::", True),
        ("2002:a00:1::", False),
        ("2001::1", False),
        ("::127.0.0.1", False),
        ("::8.8.8.8", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("2001:db8::1", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("192.168.1.1", False),
        ("172.16.0.1", False),
        ("198.18.0.1", False),
        ("192.0.2.1", False),
        ("fe80::1%lo", False),
        ("2606:4700::1111%eth0", False),
        # What clouds have at hand for their own machines.
        ("168.63.129.16", False),
        ("168.63.129.15", True),
        ("169.254.169.254", False),
        ("169.254.170.2", False),
        ("100.100.100.200", False),
        ("192.0.0.192", False),
        ("fd00:ec2::254", False),
        ("fd20:ce::254", False),
        # The same, inside other addresses.
        ("::ffff:168.63.129.16", False),
        ("64:ff9b::a83f:8110", False),
        ("2002:a83f:8110::1", False),
        ("2001:0:a83f:8110:0:0:57c0:7eef", False),
        ("2606:4700::5efe:168.63.129.16", False),
        ("2606:4700::200:5efe:a00:1", False),
        ("2606:4700::5efe:8.8.8.8", True),
        ("192.31.196.1", False),
        ("192.88.99.1", False),
        ("203.0.113.7", False),
        ("2001:2::1", False),
        ("2001:4860:4860::8888", True),
        ("3fff::1", False),
        ("5f00::1", False),
        ("100::1", False),
    ],
)
def test_public_addresses(address: str, expected: bool) -> None:  # noqa: FBT001 - a table
    assert is_public(address) is expected


def test_one_bad_address_among_good_ones_is_enough(internet: Switchboard) -> None:
    with pytest.raises(Rejected, match="not on the public internet"):
        public(internet, lambda _: [PUBLIC, "10.0.0.1"]).fetch("http://example.com/image")
    assert internet.called == []


def test_the_address_that_was_checked_is_the_one_connected_to(internet: Switchboard) -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"]])
    asked: list[str] = []

    def rebinding(host: str) -> Sequence[str]:
        asked.append(host)
        return next(answers)

    fetcher = public(internet, rebinding)
    assert fetcher.fetch("http://example.com/image").data == IMAGE
    assert (asked, internet.called) == (["example.com"], [(PUBLIC, 80)])
    with pytest.raises(Rejected, match="not on the public internet"):
        fetcher.fetch("http://example.com/image")
    assert internet.called == [(PUBLIC, 80)]


def test_the_next_address_is_tried_where_one_is_down(internet: Switchboard) -> None:
    fetcher = public(internet, lambda _: ["8.8.8.8", PUBLIC])
    assert fetcher.fetch("http://example.com/image").data == IMAGE
    assert internet.called == [("8.8.8.8", 80), (PUBLIC, 80)]


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1/image",
        "http://169.254.169.254/latest/meta-data/",
        "//localhost/image",
        "http://example.com:8080/image",
        "file:///etc/passwd",
        "http://user:hush@example.com/",
        "http://[",
    ],
)
def test_a_redirect_is_checked_like_a_url(internet: Switchboard, target: str) -> None:
    hosts = {"example.com": [PUBLIC]}
    fetcher = public(internet, lambda host: hosts.get(host, ["127.0.0.1"]))
    with pytest.raises(Rejected):
        fetcher.fetch(f"http://example.com/to/{target}")
    assert internet.called == [(PUBLIC, 80)]


def test_https_is_not_left_for_http(internet: Switchboard) -> None:
    fetcher = public(internet)
    assert fetcher.fetch("http://example.com/to/https://example.com/image").data == IMAGE
    assert [port for _, port in internet.called] == [80, 443]
    with pytest.raises(Rejected, match="redirects from https to http"):
        fetcher.fetch("https://example.com/to/http://example.com/image")


def over_tls(port: int, tls: ssl.SSLContext | None) -> Fetcher:
    """Return a fetcher whose every host name is this machine's."""
    return Fetcher(
        max_bytes=LIMIT, timeout=PATIENCE, allow_private=True, tls=tls,
        resolve=lambda _: ["127.0.0.1"],
    )  # fmt: skip


def test_a_server_proves_to_be_the_host_not_the_address(
    secure: tuple[int, ssl.SSLContext],
) -> None:
    port, tls = secure
    assert over_tls(port, tls).fetch(f"https://example.com:{port}/image").data == IMAGE
    for host in ("other.example", "127.0.0.1"):
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            over_tls(port, tls).fetch(f"https://{host}:{port}/image")


def test_a_server_that_nobody_vouches_for_is_not_believed(
    secure: tuple[int, ssl.SSLContext],
) -> None:
    port, _ = secure
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
        over_tls(port, None).fetch(f"https://example.com:{port}/image")


@pytest.mark.parametrize(
    "path",
    ["404", "500", "large", "drip", "broken", "loop", "to/ftp://example.com/", "to/http://[::1]/"],
)
def test_no_error_contains_the_query(internet: Switchboard, path: str) -> None:
    fetcher = Fetcher(
        max_bytes=LIMIT, timeout=0.3, resolve=lambda host: [PUBLIC if "." in host else host],
        network=internet,
    )  # fmt: skip
    with pytest.raises((Rejected, Unavailable)) as error:
        fetcher.fetch(f"http://example.com/{path}?{SECRET}")
    assert str(error.value)
    assert "hush" not in str(error.value)


def test_an_unknown_host_is_rejected_and_a_failing_resolver_is_not_blamed_on_it(
    internet: Switchboard,
) -> None:
    def failing(number: int) -> Callable[[str], Sequence[str]]:
        def resolve(host: str) -> Sequence[str]:
            raise socket.gaierror(number, "no")

        return resolve

    with pytest.raises(Rejected, match=r"there is no host example\.com"):
        public(internet, failing(socket.EAI_NONAME)).fetch("http://example.com/")
    with pytest.raises(Unavailable, match="cannot be looked up right now"):
        public(internet, failing(socket.EAI_AGAIN)).fetch("http://example.com/")
    with pytest.raises(Rejected, match="has no address"):
        public(internet, lambda _: []).fetch("http://example.com/")
