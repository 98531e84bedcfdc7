"""A pooler of PostgreSQL's connections: pgbouncer."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def pgbouncer(program: str, behind: str, mode: str, folder: Path) -> Iterator[str]:
    """Pool connections to a database on this machine, in this mode; the URL to come in by."""
    url = make_url(behind)
    host, name, role = str(url.query["host"]), url.database, url.username
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    file = folder / "pgbouncer.ini"
    file.write_text(
        f"[databases]\n{name} = host={host} user={role}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = any\npool_mode = {mode}\n",
        "utf-8",
    )
    # It refuses to be root; the socket is open to the server's user alone.
    user = ["-u", Path(host).owner()] if os.geteuid() == 0 else []
    with (folder / "pgbouncer.log").open("ab") as log:
        process = subprocess.Popen([program, *user, str(file)], stdout=log, stderr=log)
    try:
        until(lambda: _answers(port, process))
        yield f"postgresql://{role}@127.0.0.1:{port}/{name}"
    finally:
        process.kill()
        process.wait()


def _answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "pgbouncer ended"
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
