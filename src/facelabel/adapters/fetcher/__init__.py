"""Downloads from addresses that a user typed, without lending them our place in the network.

A URL in a file of labels may point anywhere: at a router, at a cloud's metadata service, at a
server that sends one byte a minute. So every host is resolved here, an address that is not on the
public internet is refused, and the connection goes to the very address that was checked, for each
redirect anew. Size and total time are limited. The query of a URL may hold secrets: no error
message contains it.
"""

from __future__ import annotations

import functools
import socket
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import quote, unquote, urljoin, urlsplit

import httpcore2

from facelabel.adapters.fetcher.public_addresses import is_public
from facelabel.errors import Denied, NotFound, Rejected, Unavailable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    #: The addresses of a host name, as text; OSError if there are none.
    Resolve: TypeAlias = Callable[[str], Sequence[str]]
    SocketOptions: TypeAlias = Iterable[httpcore2.SOCKET_OPTION] | None

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = {301, 302, 303, 307, 308}
#: Request Timeout, Enhance Your Calm (Cloudinary's), Locked (it is just making the image), Too
#: Early, Too Many Requests.
_NOT_NOW = {408, 420, 423, 425, 429}
_REFUSALS = {401: Denied, 403: Denied, 404: NotFound, 410: NotFound}
_DAY = 86_400.0
#: Bytes that are written at a time.
_PIECE = 1 << 14
#: How servers compress, asked or not; and what has zlib read the header of either.
_CODINGS = {"gzip", "x-gzip", "deflate"}
_ANY_HEADER = 32
_UNKNOWN_HOST = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
#: What may stand in a path or query as it is; "%" because the URL is encoded already.
_SAFE = "/%:@!$&'()*+,;=~?[]"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file from the web."""

    data: bytes
    #: Last part of the URL's path, without directories; "" if there is none.
    filename: str
    #: As the server says, "" if it does not.
    content_type: str


def addresses_of(host: str) -> Sequence[str]:
    """Ask the system's resolver; it also reads 0x7f.1 and 2130706433."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@functools.cache
def _tls() -> ssl.SSLContext:
    """Whom we believe; read once a process, for it takes longer than many a file."""
    return httpcore2.default_ssl_context()


class Fetcher:
    """Fetches a file over http or https."""

    def __init__(
        self,
        *,
        max_bytes: int,
        timeout: float,
        max_redirects: int = 5,
        allow_private: bool = False,
        allowed_hosts: frozenset[str] | None = None,
        resolve: Resolve = addresses_of,
        network: httpcore2.NetworkBackend | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``timeout``: seconds for everything, redirects included.

        ``allow_private``: also addresses of the local network, and every port. ``allowed_hosts``:
        only these hosts, a redirect's included: "host", at every port, or "host:port".
        ``resolve`` gives a host's addresses; ``network`` makes the connections to them. ``tls``:
        whom to believe; whomever the system believes, unless given.
        """
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._max_redirects = max_redirects
        self._allow_private = allow_private
        self._allowed_hosts = allowed_hosts
        self._resolve = resolve
        self._network = network or httpcore2.SyncBackend()
        self._tls = tls

    def fetch(self, url: str) -> Fetched:
        """Download a file.

        Raises Rejected where the address is not allowed or the file is too large, NotFound where
        there is none, Denied where the server does not give it to us;
        Unavailable where the server is slow, overloaded or out of order.
        """
        place = _Place.parse(url)
        with self._guarded() as pool:
            for _ in range(self._max_redirects + 1):
                answer = self._ask(pool, place)
                if isinstance(answer, Fetched):
                    return answer
                place = place.redirected(answer)
        raise Rejected(f"{place} was reached by more than {self._max_redirects} redirects")

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a body once; return the status answered, be it a redirect or an error.

        What else is answered is not read. Raises Rejected where the address is not allowed,
        Unavailable where nobody answers in time.
        """
        place = _Place.parse(url)
        self._check_allowed(place)
        all_headers = [("Host", place.headers["Host"]), *headers.items()]
        with (
            self._guarded() as pool,
            _translated(place),
            pool.stream("POST", place.url, headers=all_headers, content=body) as response,
        ):
            return response.status

    def _guarded(self) -> httpcore2.ConnectionPool:
        """Connections to checked addresses, which all end together."""
        deadline = _Deadline.after(self._timeout)
        guard = _Guard(self._resolve, self._network, deadline, self._allow_private)
        return httpcore2.ConnectionPool(self._tls or _tls(), network_backend=guard)

    def _ask(self, pool: httpcore2.ConnectionPool, place: _Place) -> Fetched | str:
        """Return the file, or where it is to be found instead."""
        self._check_allowed(place)
        with (
            _translated(place),
            pool.stream("GET", place.url, headers=place.headers) as response,
        ):
            said = {
                name.lower().decode(): value.decode(errors="replace")
                for name, value in response.headers
            }
            if response.status in _REDIRECTS and "location" in said:
                return said["location"]
            _check(place, response.status, said)
            data = self._body(place, response, said)
            return Fetched(data, place.filename, said.get("content-type", ""))

    def _check_allowed(self, place: _Place) -> None:
        if self._allowed_hosts is not None:
            if self._allowed_hosts.isdisjoint(place.names):
                raise Rejected(f"{place}: only {', '.join(sorted(self._allowed_hosts))} is asked")
        elif not self._allow_private and place.port not in _PORTS.values():
            raise Rejected(f"{place}: only the ports 80 and 443 are allowed")

    def _body(self, place: _Place, response: httpcore2.Response, said: Mapping[str, str]) -> bytes:
        """The file; one that was compressed unasked is unpacked, within the same limit."""
        announced = int(said.get("content-length", 0))
        chunks = _unpacked(place, response, said.get("content-encoding", ""), self._max_bytes)
        data = bytearray()
        while max(announced, len(data)) <= self._max_bytes:
            if (chunk := next(chunks, None)) is None:
                return bytes(data)
            data += chunk
        raise Rejected(f"{place} is larger than {self._max_bytes:,} bytes")


def _unpacked(
    place: _Place, response: httpcore2.Response, coding: str, most: int
) -> Iterator[bytes]:
    """The body as it was before a server compressed it: pieces of at most ``most`` + 1 bytes."""
    name = coding.strip().lower()
    if name in {"", "identity"}:
        yield from response.iter_stream()
        return
    if name not in _CODINGS:
        raise Rejected(f"{place} sends what it was not asked for: Content-Encoding {name[:40]}")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | _ANY_HEADER)
    try:
        for chunk in response.iter_stream():
            yield unpacker.decompress(chunk, most + 1)
        yield unpacker.flush()
    except zlib.error as error:
        raise Rejected(f"{place} says to send {name}, which it is not") from error
    if not unpacker.eof or unpacker.unused_data:
        raise Rejected(f"{place} sends {name} that does not end where it should")


@dataclass(frozen=True, slots=True)
class _Place:
    """A checked URL; printed without its query."""

    scheme: str
    host: str
    port: int
    path: str
    query: str

    @classmethod
    def parse(cls, url: str, base: str = "") -> _Place:
        """Read a URL, relative ones against ``base``; Rejected if it cannot be fetched."""
        try:
            parts = urlsplit(urljoin(base, url.strip()))
            host = (parts.hostname or "").encode("idna").decode()
            port = parts.port
        except ValueError:  # also what IDNA cannot encode; its message might repeat the query
            raise Rejected("that is no URL") from None
        if parts.scheme not in _PORTS or not host:
            raise Rejected("only http:// and https:// addresses can be fetched")
        if "@" in parts.netloc:
            raise Rejected(f"{parts.scheme}://{host}: user names and passwords are not allowed")
        return cls(
            parts.scheme,
            host,
            _PORTS[parts.scheme] if port is None else port,
            quote(parts.path or "/", safe=_SAFE),
            quote(parts.query, safe=_SAFE),
        )

    def __str__(self) -> str:
        return f"{self.scheme}://{self._netloc}{self.path}"

    @property
    def _netloc(self) -> str:
        host, full = self.names
        return host if self.port == _PORTS[self.scheme] else full

    @property
    def names(self) -> tuple[str, str]:
        """The host without and with its port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host, f"{host}:{self.port}"

    @property
    def url(self) -> httpcore2.URL:
        """As httpcore takes it."""
        target = f"{self.path}?{self.query}" if self.query else self.path
        return httpcore2.URL(
            scheme=self.scheme.encode(),
            host=self.host.encode(),
            port=self.port,
            target=target.encode(),
        )

    @property
    def headers(self) -> dict[bytes | str, bytes | str]:
        """What is sent with a request for it."""
        return {
            "Host": self._netloc,
            "User-Agent": "facelabel",
            "Accept": "image/*, */*;q=0.1",
            "Accept-Encoding": "identity",
        }

    @property
    def filename(self) -> str:
        """The last part of its path, decoded; "" where there is none."""
        return PurePosixPath(unquote(self.path).replace("\\", "/")).name

    def redirected(self, location: str) -> _Place:
        """Where it redirects to; Rejected from https to http."""
        place = _Place.parse(location, base=f"{self}?{self.query}")
        if self.scheme == "https" and place.scheme == "http":
            raise Rejected(f"{self} redirects from https to http")
        return place


def _check(place: _Place, status: int, said: dict[str, str]) -> None:
    """Raise what a status other than success means."""
    if status in _NOT_NOW or status >= 500:  # noqa: PLR2004 - HTTP's server errors
        raise Unavailable(f"{place} answered {status}", retry_after=_retry_after(said))
    if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's success
        reason = said.get("x-cld-error", "")  # where Cloudinary says what is wrong
        raise _REFUSALS.get(status, Rejected)(f"{place} answered {status} {reason[:200]}".strip())


def _retry_after(said: dict[str, str]) -> float | None:
    """Return seconds, a day at most, from seconds or a date."""
    value = said.get("retry-after", "")
    try:
        seconds = float(value) if value.isdecimal() else _until(value)
    except ValueError:
        return None
    return min(max(0.0, seconds), _DAY)


def _until(date: str) -> float:
    return parsedate_to_datetime(date).timestamp() - time.time()


@contextmanager
def _translated(place: _Place) -> Iterator[None]:
    """Turn httpcore2's errors into ours."""
    try:
        yield
    except httpcore2.TimeoutException as error:
        raise Unavailable(f"{place} took too long") from error
    except httpcore2.NetworkError as error:
        raise Unavailable(f"{place} cannot be reached: {error}") from error
    except httpcore2.LocalProtocolError as error:
        raise Rejected(f"{place} is no address that can be asked for") from error
    except httpcore2.RemoteProtocolError as error:
        raise Unavailable(f"{place} does not keep to HTTP, or broke off") from error


@dataclass(frozen=True, slots=True)
class _Deadline:
    """When all has to be done; unlike a timeout for each read, no slow drip gets around it."""

    ends: float

    @classmethod
    def after(cls, seconds: float) -> _Deadline:
        """The end of so many seconds from now."""
        return cls(time.monotonic() + seconds)

    def left(self, expired: type[Exception]) -> float:
        """Return the seconds left, more than none."""
        if (seconds := self.ends - time.monotonic()) <= 0:
            raise expired
        return seconds


class _Guard(httpcore2.NetworkBackend):
    """Connects only to addresses it has checked itself."""

    def __init__(
        self,
        resolve: Resolve,
        network: httpcore2.NetworkBackend,
        deadline: _Deadline,
        allow_private: bool,  # noqa: FBT001 - one caller, three lines above
    ) -> None:
        self._resolve = resolve
        self._network = network
        self._deadline = deadline
        self._allow_private = allow_private

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline rules
        local_address: str | None = None,
        socket_options: SocketOptions = None,
    ) -> httpcore2.NetworkStream:
        """Try the host's addresses in turn, if every one of them is allowed."""
        addresses = self._addresses(host)
        for at, address in enumerate(addresses, 1):
            left = self._deadline.left(httpcore2.ConnectTimeout) / (len(addresses) - at + 1)
            try:
                stream = self._network.connect_tcp(
                    address, port, left, local_address, socket_options
                )
                return _Timed(stream, self._deadline)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if at == len(addresses):
                    raise
        raise Rejected(f"the host {host} has no address")

    def _addresses(self, host: str) -> Sequence[str]:
        addresses = self._looked_up(host)
        if not self._allow_private and not all(is_public(address) for address in addresses):
            raise Rejected(f"the host {host} is not on the public internet")
        return addresses

    def _looked_up(self, host: str) -> Sequence[str]:
        """Resolve in a thread: the system's resolver knows no deadline."""
        pool = ThreadPoolExecutor(1, "resolve")
        try:
            left = self._deadline.left(httpcore2.ConnectTimeout)
            return pool.submit(self._resolve, host).result(left)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout from error
        except (OSError, ValueError) as error:
            if isinstance(error, socket.gaierror) and error.errno not in _UNKNOWN_HOST:
                raise Unavailable(f"the host {host} cannot be looked up right now") from error
            raise Rejected(f"there is no host {host}") from error
        finally:
            pool.shutdown(wait=False)


class _Timed(httpcore2.NetworkStream):
    """A connection whose every step ends at the deadline."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - same
        """Wait for some bytes."""
        return self._stream.read(max_bytes, self._deadline.left(httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - same
        """Send all of these."""
        # A write goes on as long as the other side takes a little now and then: so piece by piece.
        for at in range(0, len(buffer), _PIECE):
            piece = buffer[at : at + _PIECE]
            self._stream.write(piece, self._deadline.left(httpcore2.WriteTimeout))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - same
    ) -> httpcore2.NetworkStream:
        """Speak TLS from now on, under the same deadline."""
        left = self._deadline.left(httpcore2.ConnectTimeout)
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> object:
        """What is known of the connection, as httpcore asks for it."""
        return self._stream.get_extra_info(info)
