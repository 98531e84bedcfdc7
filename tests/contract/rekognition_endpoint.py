"""Our engine behind its Rekognition endpoint, on this machine."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn
from tests.waiting import until

from facelabel.adapters.clock import SystemClock
from facelabel.adapters.store.faces.face_users import StoreUsers
from facelabel.adapters.store.faces.galleries import StoreGalleries
from facelabel.gallery import LocalCollections
from facelabel.gallery.matrix_index import MatrixIndex
from facelabel.media.types import ApiKey
from facelabel.web import rekognition_api
from facelabel.web.access.policy import Policy
from facelabel.web.app import guarded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from starlette.types import ASGIApp

    from facelabel.adapters.store.sql.database import Database
    from facelabel.gallery.ports import FaceEngine

KEY = ApiKey("AKIDEXAMPLE", "v3rySecretIndeed")


def site(engine: FaceEngine, database: Database, folder: Path) -> ASGIApp:
    """An endpoint over an empty database, for callers who have the key."""
    clock = SystemClock()
    galleries = StoreGalleries(database, clock)
    index = MatrixIndex(galleries, folder)
    context = rekognition_api.Context(
        collections=LocalCollections(
            lambda _: engine, galleries, StoreUsers(database, clock), index
        ),
        keys=lambda: [KEY],
        clock=clock,
    )
    return guarded(rekognition_api.routes(context), Policy(require_keys=True))


@contextmanager
def running(application: ASGIApp) -> Iterator[str]:
    """Serve on loopback; yield the URL."""
    server = uvicorn.Server(uvicorn.Config(application, port=0, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
