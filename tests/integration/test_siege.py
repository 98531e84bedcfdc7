"""Somebody without a key who takes all the room there is; those who have one are answered."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests import loopback
from tests.integration.conftest import KEY
from tests.waiting import PATIENCE, until

from facelabel.web.http.budget import Budget, Pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import ApiServer

    from facelabel.web.cloudinary_api.context import Context

MEGABYTE = 1 << 20
HEAD = (
    b"POST /v1_1/local/image/upload HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 99000000\r\n\r\n"
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
)


def test_six_connections_that_hold_all_the_room_keep_nobody_out(
    context: Context, serve: Callable[[Context], ApiServer]
) -> None:
    """Though all come from one address, as behind a proxy."""
    budget = Budget(small=Pool(MEGABYTE), disk=Pool(12 * MEGABYTE, share=6 * MEGABYTE))
    server = serve(replace(context, budget=budget))
    parts = urlsplit(server.url)
    photo, genuine = (b"\xff\xd8" + bytes(size * MEGABYTE - 100) for size in (1, 2))
    with ExitStack() as stack:
        for _ in range(6):
            slow = socket.create_connection((parts.hostname, parts.port), PATIENCE)
            stack.enter_context(slow).sendall(HEAD + photo)
        # All of them, or all but one that had to give way to another.
        until(lambda: budget.disk.held > 4.5 * MEGABYTE)
        for number in range(12):
            answer = loopback.post(
                server.at("raw/upload"),
                data={"public_id": f"photo {number}"},
                files={"file": ("a.jpg", genuine)},
                auth=(KEY.key, KEY.secret),
                timeout=PATIENCE,
            )
            assert answer.status_code == 200, answer.text
            ping = loopback.get(server.at("ping"), auth=(KEY.key, KEY.secret))
            assert ping.status_code == 200
    until(lambda: all(pool.held == 0 for pool in budget.pools))
