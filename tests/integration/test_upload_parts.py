"""Files that the official Python SDK uploads in parts."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudinary.exceptions
import pytest
from tests.integration.sdk_client import Client

from facelabel.media.types import DocumentKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import ApiServer

    from facelabel.core.model import JsonValue
    from facelabel.web.cloudinary_api.context import Context


@pytest.fixture
def client(api_server: ApiServer) -> Client:
    return Client(api_server)


def test_a_file_in_parts(client: Client) -> None:
    content = bytes(range(256)) * (50_000)  # 12.8 MB: three parts
    answer = client.upload_large(
        io.BytesIO(content), filename="a.bin", chunk_size=5 << 20, public_id="big", folder="in"
    )
    assert (answer["resource_type"], answer["done"]) == ("raw", True)
    media = client.server.context.media
    assert media.fetch(client.asset("in/big", resource_type="raw")) == content
    assert not [path for path in _scratch(client) if path.suffix != ".lock"]


def test_a_file_in_parts_without_its_size(client: Client) -> None:
    part = b"x" * (5 << 20)
    first = _part(client, part, f"bytes 0-{len(part) - 1}/-1")
    assert (first["done"], first["bytes"]) == (False, len(part))
    last = _part(client, b"end", f"bytes {len(part)}-{len(part) + 2}/{len(part) + 3}")
    assert (last["done"], last["bytes"]) == (True, len(part) + 3)


def test_a_part_may_be_sent_again(client: Client) -> None:
    part = b"x" * (5 << 20)
    for _ in range(2):
        assert _part(client, part, f"bytes 0-{len(part) - 1}/-1")["bytes"] == len(part)


@pytest.mark.parametrize(
    ("size", "content_range", "message"),
    [
        (10, "bytes 0-9/100", "larger than 5mb"),
        (10, "bytes 0-10/100", "does not fit 10 bytes"),
        (10, "bytes 95-104/100", "does not fit 10 bytes"),
        (10, "bytes 90-99/100", "out of order"),
        (10, "items 0-9/10", "Invalid Content-Range"),
        (10, "bytes 0-9/999999999999", "File size too large"),
    ],
)
def test_parts_that_do_not_fit(client: Client, size: int, content_range: str, message: str) -> None:
    with pytest.raises(cloudinary.exceptions.BadRequest, match=message):
        _part(client, b"x" * size, content_range)


def test_unfinished_files_have_a_limit(
    context: Context, serve: Callable[[Context], ApiServer]
) -> None:
    client = Client(serve(replace(context, max_file_bytes=6 << 20)))
    part = b"x" * (5 << 20)
    for number in range(12):
        _part(client, part, f"bytes 0-{len(part) - 1}/-1", upload_id=str(number))
    with pytest.raises(cloudinary.exceptions.GeneralError, match="too many unfinished uploads"):
        _part(client, part, f"bytes 0-{len(part) - 1}/{6 << 20}", upload_id="12")


def test_who_has_no_key_leaves_room_for_the_others(
    context: Context, serve: Callable[[Context], ApiServer]
) -> None:
    """Two files of theirs, for an hour, which are nobody else's business."""
    client = Client(serve(replace(context, max_file_bytes=6 << 20)))
    preset: dict[str, JsonValue] = {"name": "open", "unsigned": True, "settings": {}}
    media = client.server.context.media
    media.change_document(DocumentKind.UPLOAD_PRESET, "open", lambda _: preset)
    part = b"x" * (5 << 20)
    said = f"bytes 0-{len(part) - 1}/-1"
    for number in range(2):
        _open_part(client, part, said, str(number))
    with pytest.raises(cloudinary.exceptions.GeneralError, match="too many unfinished uploads"):
        _open_part(client, part, said, "2")
    for number in range(12):
        _part(client, part, said, upload_id=str(number))
    for path in (Path(client.server.context.scratch) / "open").iterdir():
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 2 * 3600))
    assert _open_part(client, part, said, "3")["bytes"] == len(part)
    assert len([path for path in _scratch(client) if path.suffix == ""]) == 12 + len(["open"])


def _open_part(client: Client, part: bytes, content_range: str, upload_id: str) -> Any:  # noqa: ANN401 - JSON
    headers = {"Content-Range": content_range, "X-Unique-Upload-Id": upload_id}
    options = {"unsigned": True, "upload_preset": "open", "resource_type": "raw"}
    return client.upload_large_part(("a.bin", part), http_headers=headers, **options)


def _part(
    client: Client, part: bytes, content_range: str, upload_id: str = "one", **options: str
) -> Any:  # noqa: ANN401 - JSON
    headers = {"Content-Range": content_range, "X-Unique-Upload-Id": upload_id}
    return client.upload_large_part(("a.bin", part), http_headers=headers, **options)


def _scratch(client: Client) -> list[Path]:
    return list(Path(client.server.context.scratch).iterdir())


def test_parts_sent_at_the_same_time_do_not_mix(client: Client) -> None:
    size = 5 << 20
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda n: _part(client, bytes([n]) * size, f"bytes 0-{size - 1}/-1"), range(4))
        )
    assert {answer["bytes"] for answer in answers} == {size}
    _part(client, b"end", f"bytes {size}-{size + 2}/{size + 3}", public_id="big")
    content = client.server.context.media.fetch(client.asset("big", resource_type="raw"))
    assert len(set(content[:size])) == 1
    assert content[size:] == b"end"


def test_abandoned_parts_are_deleted(client: Client) -> None:
    part = b"x" * (5 << 20)
    _part(client, part, f"bytes 0-{len(part) - 1}/-1", upload_id="abandoned")
    for path in _scratch(client):
        os.utime(path, (0, 0))
    _part(client, part, f"bytes 0-{len(part) - 1}/-1", upload_id="another")
    assert len([path for path in _scratch(client) if path.suffix != ".lock"]) == 1
