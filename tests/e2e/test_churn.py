"""What was answered 200 holds, whenever the server was killed; two servers are as good as one."""

from __future__ import annotations

import itertools
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select
from tests.e2e.churn import Client
from tests.e2e.served import Served, serving
from tests.waiting import until

from facelabel.adapters.clock import SystemClock
from facelabel.adapters.store.jobs import StoreQueue
from facelabel.adapters.store.library.library import LocalLibrary
from facelabel.adapters.store.sql import schema
from facelabel.adapters.store.sql.database import Database
from facelabel.core.jobs import JobState
from facelabel.media.types import ImageHeader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.e2e.conftest import Program

CLIENTS = 6


def _clients(servers: Sequence[Served], seed: int) -> list[Client]:
    clouds = [server.cloud() for server in servers]
    return [
        Client(clouds[number % len(clouds)], [f"assets/{number}-{slot}" for slot in range(4)],
               random.Random(seed + number))
        for number in range(CLIENTS)
    ]  # fmt: skip


def _run(clients: Sequence[Client], goes_on: Callable[[], bool]) -> None:
    with ThreadPoolExecutor(len(clients)) as pool:
        for running in [pool.submit(client.run, goes_on) for client in clients]:
            running.result()


def _times(calls: int) -> Callable[[], bool]:
    number = itertools.count()
    return lambda: next(number) < calls


def _settled(clients: Sequence[Client]) -> None:
    """Each client finds what it was promised, or that and the change it got no answer to."""
    for client in clients:
        seen = client.seen()
        assert seen in (client.pictures, client.after)
        client.pictures = seen


def _assert_whole(database: Database, data: Path) -> None:
    """Every job was worked, every picture searched as it is, every original in use."""
    queue = StoreQueue(database, SystemClock())
    until(lambda: not queue.pending())
    assert queue.jobs(JobState.DEAD) == []
    with database.read() as connection:
        asset, search = schema.asset.c, schema.standing.c
        assets = set(connection.execute(select(asset.asset_id, asset.version)))
        searched = set(connection.execute(select(search.asset_id, search.version)))
        etags = set(connection.execute(select(asset.etag)).scalars())
    assert assets
    assert assets == searched
    library = LocalLibrary(
        database, data / "originals", SystemClock(), on_change=None,
        check=lambda _: ImageHeader("png", 1, 1),
    )  # fmt: skip
    orphans = library.unused.sweep(min_age=0)
    print(f"{len(assets)} pictures, {orphans} orphans of killed servers")  # noqa: T201
    assert {path.name for path in (data / "originals").glob("*/*")} == etags


def _kill_again_and_again(program: Program, data: Path, kills: int) -> None:
    program.environment["FACELABEL_LEASE"] = "2"
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    moment, port = random.Random(seed), 0
    clients: list[Client] = []
    for _ in range(kills):
        with serving(program, port=port) as server:
            clients = clients or _clients([server], seed)
            port = server.port
            _settled(clients)
            killer = threading.Timer(moment.uniform(0.1, 1.5), server.kill)
            killer.start()
            try:
                _run(clients, lambda: True)
            finally:
                killer.join()
    with serving(program, port=port), closing(Database(f"sqlite:///{data / 'facelabel.db'}")) as db:
        _settled(clients)
        _assert_whole(db, data)
    print(f"{sum(client.calls for client in clients)} calls were answered")  # noqa: T201


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The program's data folder."""
    return tmp_path / "data"


def test_a_few_kills(program: Program, data: Path) -> None:
    """The short version."""
    _kill_again_and_again(program, data, kills=2)


@pytest.mark.soak
def test_fifty_kills(program: Program, data: Path) -> None:
    """The long version."""
    _kill_again_and_again(program, data, kills=50)


def _two_servers(program: Program, data: Path, database: Database, calls: int) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(serving(program)) for _ in range(2)]
        clients = _clients(servers, random.randrange(1 << 32))
        _run(clients, _times(calls))
        _settled(clients)
        _assert_whole(database, data)
    assert sum(client.calls for client in clients) == calls
    assert "Traceback" not in (program.folder / "serve.log").read_text()


@pytest.mark.soak
def test_two_servers_on_one_folder(program: Program, data: Path) -> None:
    with closing(Database(f"sqlite:///{data / 'facelabel.db'}")) as database:
        _two_servers(program, data, database, 3000)


@pytest.mark.soak
def test_two_servers_on_postgresql(program: Program, data: Path, postgresql: Database) -> None:
    program.environment["FACELABEL_STORE"] = postgresql.url
    _two_servers(program, data, postgresql, 3000)
