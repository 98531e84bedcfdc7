"""Whose program is at the other end of a connection within this computer.

A proxy need not say that it passes somebody on: nginx 1.30 asks for 127.0.0.1 in HTTP/1.1 and
adds no header. But it runs under a user of its own, and Linux says whose a connection is
(sock_diag(7); /proc/net/tcp says the same, and takes 10 ms where there is much memory).
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
import sys
from typing import Final, TypeAlias

#: An address and a port, as sockets give them.
End: TypeAlias = tuple[str, int | None]

#: Nobody holds that end any more, so that it cannot be said whose it was.
NOBODY: Final = -1
#: linux/netlink.h, linux/sock_diag.h: the protocol, a question, and an answer that is an error.
_SOCK_DIAG, _BY_FAMILY, _ERROR, _REQUEST = 4, 20, 2, 1
#: struct nlmsghdr: length, kind, flags, number, process.
_HEADER = struct.Struct("=IHHII")
#: The two ends in struct inet_diag_sockid, which a question and its answer have in common: ports
#: in the network's order, 16 bytes for each address, an interface and a cookie (all ones: any).
_ENDS = struct.Struct("!HH16s16s12s")
_ANY = bytes(4) + b"\xff" * 8
#: The rest of struct inet_diag_req_v2: family, protocol, extensions, padding, states.
_QUESTION = struct.Struct("=BBBBI")
_ALL_STATES = (1 << 32) - 1
#: What of struct inet_diag_msg follows its ends: timer, two queues, user, number of the socket
#: (0: left behind by its program).
_ANSWER = struct.Struct("=IIIII")
_ANSWER_AT = _HEADER.size + 4 + _ENDS.size
#: Bytes of the largest answer, and the seconds that the kernel may take to give one.
_LARGEST, _PATIENCE = 4096, 1.0


def is_ours(end: End, ours: End) -> bool:
    """Whether a program of the user that we run as is at ``end``, connected to our ``ours``.

    Where the system does not say so (no Linux), nothing speaks against it.
    """
    if sys.platform != "linux":
        return True
    user = user_of(end, ours)
    return user is None or user == os.geteuid()


def user_of(end: End, ours: End) -> int | None:
    """The number of the user whose socket that is, :data:`NOBODY`, or None if it is not told."""
    try:
        return _read(_asked(_question(end, ours)))
    except (OSError, struct.error):
        return None


def _read(answer: bytes) -> int | None:
    _, kind, _, _, _ = _HEADER.unpack_from(answer)
    if kind == _ERROR:
        (error,) = struct.unpack_from("=i", answer, _HEADER.size)
        return NOBODY if -error == errno.ENOENT else None
    _, _, _, user, number = _ANSWER.unpack_from(answer, _ANSWER_AT)
    return int(user) if number else NOBODY


def _question(end: End, ours: End) -> bytes:
    source, target = (ipaddress.ip_address(host.partition("%")[0]) for host, _ in (end, ours))
    family = socket.AF_INET if source.version == 4 else socket.AF_INET6  # noqa: PLR2004 - of IP
    asked = _QUESTION.pack(family, socket.IPPROTO_TCP, 0, 0, _ALL_STATES) + _ENDS.pack(
        end[1] or 0, ours[1] or 0, source.packed, target.packed, _ANY
    )
    return _HEADER.pack(_HEADER.size + len(asked), _BY_FAMILY, _REQUEST, 1, 0) + asked


def _asked(question: bytes) -> bytes:
    """The kernel's answer. Raises OSError where it gives none."""
    family = getattr(socket, "AF_NETLINK", None)
    if family is None:
        raise OSError(errno.EAFNOSUPPORT, "only Linux tells")
    with socket.socket(family, socket.SOCK_RAW, _SOCK_DIAG) as kernel:
        kernel.settimeout(_PATIENCE)
        kernel.send(question)
        return kernel.recv(_LARGEST)
