"""A process that has loaded the program and forks for each command that a client asks for.

Pages have a hundred commands, and loading the program takes a second of a core for each. It is
forked itself from the one that tests/forked.py keeps. What is asked: ``facelabel`` with arguments,
or ``-c`` and the source of a program.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import socket
import sys
import traceback
from contextlib import suppress
from typing import NoReturn


def main() -> None:
    """Listen at the address that is the first argument, until SIGTERM; then end all commands."""
    running: set[int] = set()
    signal.signal(signal.SIGTERM, lambda *_: _stop(running))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen(16)
        while True:
            connection, _ = listener.accept()
            running -= {pid for pid in running if os.waitpid(pid, os.WNOHANG)[0]}
            pid = os.fork()
            if pid == 0:
                listener.close()
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                _serve(connection)
            running.add(pid)
            connection.close()


def _stop(running: set[int]) -> NoReturn:
    for pid in running:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    for pid in running:
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
    os._exit(0)


def _serve(connection: socket.socket) -> NoReturn:
    """Be the command that is asked for."""
    size, streams, _, _ = socket.recv_fds(connection, 4, 3)
    left, told = int.from_bytes(size, "big"), b""
    while len(told) < left:
        told += connection.recv(left - len(told))
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    status = 1
    try:
        arguments, folder, environment = json.loads(told)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        connection.sendall(os.getpid().to_bytes(4, "big"))
        status = _run(arguments)
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        with suppress(OSError):
            connection.sendall(bytes([status]))
        os._exit(status)


def _run(arguments: list[str]) -> int:
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - until the end
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - same
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - same
    try:
        if arguments[:1] == ["-c"]:
            sys.argv = ["-c", *arguments[2:]]
            for name in [name for name in sys.modules if name.partition(".")[0] == "cloudinary"]:
                del sys.modules[name]  # it reads its settings when it is loaded
            exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv = ["facelabel", *arguments]
            runpy.run_module("facelabel", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:  # noqa: BLE001 - said as an interpreter says it
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main()
