"""``facelabel``, run by a process that has loaded it already: see tests/documents/loaded.py.

A script of its own, that loads next to nothing::

    python -S client.py SOCKET ARGUMENT …
"""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path


def run(address: str, arguments: list[str], streams: list[int], environment: dict[str, str]) -> int:
    """Have a command run with our streams, in our folder; its exit status, 137 if it was killed."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        told = json.dumps([arguments, str(Path.cwd()), environment]).encode()
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))
        connection.sendmsg([len(told).to_bytes(4, "big")], [rights])
        connection.sendall(told)
        pid = int.from_bytes(connection.recv(4), "big")

        def pass_on(number: int, _: object) -> None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

        signal.signal(signal.SIGTERM, pass_on)
        signal.signal(signal.SIGINT, pass_on)
        status = connection.recv(1)
    return status[0] if status else 137


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[2:], [0, 1, 2], dict(os.environ)))
