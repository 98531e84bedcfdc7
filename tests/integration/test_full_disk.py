"""A disk that is full, outside of the stores: what was asked for is refused, in a line."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.waiting import PATIENCE

if TYPE_CHECKING:
    from pathlib import Path

#: The system lets this process write no file of more than a megabyte, as a disk with no more room.
PROGRAM = """
import asyncio, io, json, resource, sys
from pathlib import Path
from starlette.requests import Request
from facelabel.web import http
from facelabel.web.cloudinary_api.upload.sources import Place, Span

resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

def ask(body, action=lambda received: {}):
    pieces = [body[start : start + 65536] for start in range(0, len(body), 65536)]
    async def receive():
        piece = pieces.pop(0) if pieces else b""
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}
    headers = [(b"content-type", b"multipart/form-data; boundary=b")]
    scope = {"type": "http", "method": "POST", "query_string": b"", "headers": headers}
    response = asyncio.run(http.Endpoint(action, limits).answer(Request(scope, receive)))
    return response.status_code, json.loads(response.body).get("error", {}).get("message")

def body(size):
    head = b'--b\\r\\nContent-Disposition: form-data; name="file"; filename="a"\\r\\n\\r\\n'
    return head + b"x" * size + b"\\r\\n--b--"

def part(received):
    span = Span(0, 2 << 20, 9 << 20)
    Place(Path(sys.argv[1]), 90 << 20, 60.0).add("a", span, io.BytesIO(bytes(2 << 20)))

limits = http.Limits(10 << 20, linger=0)
over = [ask(body((1 << 20) + 1000)), ask(body(3 << 20))]
print(json.dumps([*over, ask(body(1000)), ask(body(1000), part)]))
"""


def test_an_upload_that_the_disk_has_no_room_for_is_refused_and_others_are_not(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "uploads")]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=PATIENCE,
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": ":".join(filter(None, sys.path))},
    )  # fmt: skip
    slightly, large, small, part = json.loads(done.stdout)
    assert slightly == [507, "a file that is being uploaded cannot be kept: File too large"]
    assert large == [507, "a file that is being uploaded cannot be kept: File too large"]
    assert small == [200, None]
    assert part == [507, "a part of an upload cannot be kept: File too large"]
    assert done.stderr.splitlines() == [
        *[f"a file that is being uploaded cannot be kept: File too large ({tmp_path})"] * 2,
        f"a part of an upload cannot be kept: File too large ({tmp_path / 'uploads'})",
    ]
