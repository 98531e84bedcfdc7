"""What stands for Amazon S3: a folder, or anything that speaks S3 and lets anybody read.

Both are called with bucket, key and version, and return the object's bytes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx2

from facelabel.errors import Denied, NotFound, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

#: Bytes of an object, as Rekognition has it.
MAX_BYTES = 15 << 20
#: Seconds for one object …
PATIENCE = 30.0
#: … and between two pieces of it.
PAUSE = 10.0
_NOWHERE = "no object has such a key"


class FolderObjects:
    """Buckets are folders of one folder; there are no versions."""

    def __init__(self, root: Path, max_bytes: int = MAX_BYTES) -> None:
        """``root``: the folder; nothing outside is read, whatever a key or a link says."""
        self._root = root.resolve()
        self._max_bytes = max_bytes

    def __call__(self, bucket: str, key: str, version: str | None = None) -> bytes:
        """Read an object. Raises NotFound, or Rejected for one that is too large."""
        try:
            path = self._path(bucket, key)
            if version is not None or path is None or not path.is_file():
                raise NotFound(f"there is no object {key[:100]!r} in {bucket[:100]!r}")
            with path.open("rb") as file:
                return _limited(iter(lambda: file.read(1 << 20), b""), self._max_bytes)
        except (OSError, ValueError):  # ValueError: characters that no path has
            raise NotFound(f"the object {key[:100]!r} cannot be read") from None

    def _path(self, bucket: str, key: str) -> Path | None:
        """Where the object would be; None if that is not inside its bucket."""
        folder = self._root / bucket
        path = (folder / key).resolve()
        is_inside = folder.parent == self._root and folder.name == bucket
        return path if is_inside and path.is_relative_to(folder) else None


class HttpObjects:
    """Objects of an S3-compatible endpoint, read without a signature: ``<endpoint>/bucket/key``."""

    def __init__(
        self, endpoint: str, max_bytes: int = MAX_BYTES, *, patience: float = PATIENCE
    ) -> None:
        """``endpoint``: such as ``http://127.0.0.1:9000``; ``patience``: seconds for an object."""
        self._endpoint = endpoint.rstrip("/")
        self._max_bytes = max_bytes
        self._patience = patience
        self._client = httpx2.Client(
            headers={"Accept-Encoding": "identity"},
            timeout=PAUSE,
            follow_redirects=False,
            trust_env=False,
        )

    def __call__(self, bucket: str, key: str, version: str | None = None) -> bytes:
        """Fetch an object.

        Raises NotFound, Denied, Rejected for one that is too large, Unavailable.
        """
        url = self._url(bucket, key, version)
        try:
            with self._client.stream("GET", url) as response:
                _check(response, key)
                return _limited(self._pieces(response), self._max_bytes)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unavailable(f"the S3 endpoint does not answer: {error}") from None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _url(self, bucket: str, key: str, version: str | None) -> str:
        """The object's address; steps up would lead into other buckets."""
        try:
            parts = [quote(part, safe="") for part in (bucket, *key.split("/"))]
            query = f"?versionId={quote(version, safe='')}" if version else ""
        except UnicodeEncodeError:
            raise NotFound(_NOWHERE) from None
        if {".", ".."} & set(parts):
            raise NotFound(_NOWHERE)
        return "/".join((self._endpoint, *parts)) + query

    def _pieces(self, response: httpx2.Response) -> Iterable[bytes]:
        end = time.monotonic() + self._patience
        for piece in response.iter_raw():
            if time.monotonic() > end:
                raise Unavailable("the object came too slowly")
            yield piece


def _check(response: httpx2.Response, key: str) -> None:
    match response.status_code:
        case 200:
            return
        case 401 | 403:
            raise Denied(f"the object {key[:100]!r} may not be read")
        case status if status >= httpx2.codes.INTERNAL_SERVER_ERROR:
            raise Unavailable(f"the S3 endpoint answered {status}")
        case _:
            raise NotFound(f"there is no object {key[:100]!r}")


def _limited(pieces: Iterable[bytes], max_bytes: int) -> bytes:
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) > max_bytes:
            raise Rejected(f"the object has more than {max_bytes} bytes")
    return bytes(data)
