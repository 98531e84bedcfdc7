"""Whose program is at the other end of a connection; the system itself says so."""

from __future__ import annotations

import os
import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from facelabel.web.access import neighbours

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform != "linux":
    pytest.skip("only Linux tells", allow_module_level=True)


@contextmanager
def connected(
    listens: str, asks: str, family: int = socket.AF_INET
) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection: the end of who asked, and ours."""
    kind = socket.AF_INET6 if ":" in listens else socket.AF_INET
    with (
        socket.create_server((listens, 0), family=kind) as listener,
        socket.socket(family) as client,
    ):
        client.connect((asks, listener.getsockname()[1]))
        server, _ = listener.accept()
        with server:
            yield client, server


@pytest.mark.parametrize(
    ("listens", "asks", "family"),
    [
        ("127.0.0.1", "127.0.0.1", socket.AF_INET),
        ("::1", "::1", socket.AF_INET6),
        ("127.0.0.1", "::ffff:127.0.0.1", socket.AF_INET6),
    ],
)
def test_our_own_programs_are_ours(listens: str, asks: str, family: int) -> None:
    if ":" in asks and not socket.has_dualstack_ipv6():
        pytest.skip("this computer has no IPv6")
    with connected(listens, asks, family) as (_, server):
        end, ours = server.getpeername()[:2], server.getsockname()[:2]
        assert neighbours.user_of(end, ours) == os.geteuid()
        assert neighbours.is_ours(end, ours)


def test_who_has_gone_is_nobody() -> None:
    with connected("127.0.0.1", "127.0.0.1") as (client, server):
        end, ours = server.getpeername(), server.getsockname()
        client.close()
        assert neighbours.user_of(end, ours) == neighbours.NOBODY
        assert not neighbours.is_ours(end, ours)


def test_another_port_is_another_connection() -> None:
    with connected("127.0.0.1", "127.0.0.1") as (_, server):
        (host, port), ours = server.getpeername(), server.getsockname()
        assert neighbours.user_of((host, port - 1), ours) == neighbours.NOBODY
