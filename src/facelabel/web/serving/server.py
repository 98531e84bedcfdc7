"""The process behind ``facelabel serve``: web server, workers, and what runs by the clock."""

from __future__ import annotations

import logging
import math
import os
import signal
import socket
import threading
import time
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import uvicorn

from facelabel.bootstrap import rules_in_force
from facelabel.bootstrap.data_folder import PRIVATE_UMASK
from facelabel.core.jobs import JobKind
from facelabel.errors import ConfigurationError, FacelabelError
from facelabel.settings.addresses import networks
from facelabel.web.app import create
from facelabel.web.http.budget import Peers
from facelabel.web.serving.connections import (
    Acceptor,
    Connection,
    Lobby,
    Unrepeated,
    connections,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from facelabel.bootstrap.app import App
    from facelabel.settings import Settings

log = logging.getLogger(__name__)

#: Faces: one picture after the other, as each uses all threads.
FACE_WORK = (
    JobKind.TAGS,
    JobKind.FIND,
    JobKind.ASSET,
    JobKind.SWEEP,
    JobKind.REBUILD,
)
#: What asks for whole folders, and must not keep pictures waiting …
FOLDER_WORK = (JobKind.FOLDER, JobKind.RECONCILE)
#: … and what waits for subscribers, who may never answer.
NOTICE_WORK = (JobKind.NOTIFY,)
RECONCILE_KEY = "all"
#: At the same time, as far as the system allows; more wait for their turn in its queue.
MAX_CONNECTIONS = 1_000
BACKLOG = 1024
#: Seconds for requests under way, and at the same time for the jobs in hand, when told to stop;
#: whoever told us often waits for no more than ten.
GRACE = 5
MINUTE, HOUR = 60.0, 3600.0
#: Seconds before a task that broke down starts again.
PAUSE = 5.0


def bind(settings: Settings) -> socket.socket:
    """Take the address and port; ConfigurationError if they are not to be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server(
            (settings.host, settings.port), family=family, backlog=BACKLOG
        )
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}"
        ) from error
    # asyncio sees to it for sockets of its own; else an answer may wait 40 ms for the client's
    # delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def serve(app: App, listener: socket.socket) -> None:
    """Answer requests and work until told to stop (Ctrl-C, SIGTERM)."""
    check_keys(app)
    os.umask(PRIVATE_UMASK)
    with background_workers(app) as stop:
        config = uvicorn.Config(
            create(app, stop.is_complete),
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=GRACE,
        )
        peers = Peers(networks(app.settings.trusted_proxies))
        lobby = Lobby(connections(MAX_CONNECTIONS), peers=peers)
        server = _Server(config, lobby, stop)
        logging.getLogger("uvicorn.error").addFilter(Unrepeated())
        for number in (signal.SIGINT, signal.SIGTERM):
            # What comes before uvicorn listens must not be lost; what comes after it is told again.
            signal.signal(number, server.handle_exit)
        server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """Accepts as many as there is room for.

    Told to stop, it tells the staff at once and not only after the last answer.
    """

    def __init__(self, config: uvicorn.Config, lobby: Lobby, stop: threading.Event) -> None:
        super().__init__(config)
        self._lobby = lobby
        self._stop = stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, but that we accept ourselves."""
        await self.lifespan.startup()
        connect = partial(
            Connection,
            lobby=self._lobby,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        self.servers = [
            Acceptor(one, self._lobby, connect)  # type: ignore[misc] # closed as asyncio's are
            for one in sockets or ()
        ]
        self.started = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Have everything stop that the server itself does not know of."""
        self._stop.set()
        super().handle_exit(sig, frame)


def check_keys(app: App) -> None:
    """ConfigurationError where keys are needed and there is none."""
    settings = app.settings
    keys = (*app.intake.keys(), *app.intake.more_keys)
    if not settings.serves_only_here and not keys:
        where = settings.public_url or settings.host
        raise ConfigurationError(f"{where} needs keys, and there is no key: `facelabel keys add`")


class BackgroundWorkers(threading.Event):
    """Who works beside the web server; set, it tells them to stop, and knows since when."""

    since = math.inf
    threads: Sequence[threading.Thread] = ()

    def is_complete(self) -> bool:
        """Whether everybody is at work."""
        return bool(self.threads) and all(thread.is_alive() for thread in self.threads)

    def set(self) -> None:
        """Tell them to stop."""
        self.since = min(self.since, time.monotonic())
        super().set()


@contextmanager
def background_workers(app: App) -> Iterator[BackgroundWorkers]:
    """Run everything that works beside the web server, until the event is set or the block ends.

    A job that takes longer than the grace returns to the queue.
    """
    rules_in_force.serve_by_settings(app.pipeline)
    stop = BackgroundWorkers()
    workers = {
        "faces": app.worker(FACE_WORK),
        "folders": app.worker(FOLDER_WORK),
        "notices": app.worker(NOTICE_WORK),
    }
    tasks = {name: partial(worker.run, stop) for name, worker in workers.items()}
    threads = [
        threading.Thread(target=_kept_up, args=(task, stop), name=name, daemon=True)
        for name, task in {**tasks, **_by_the_clock(app, stop)}.items()
    ]
    stop.threads = threads
    for thread in threads:
        thread.start()
    try:
        app.tidy()
        yield stop
    finally:
        stop.set()
        end = stop.since + GRACE
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        for worker in workers.values():
            worker.give_back()


def _kept_up(task: Callable[[], None], stop: threading.Event) -> None:
    """Run a task to its end; one that a bug ended starts again, or nobody would notice."""
    while not stop.is_set():
        try:
            task()
        except FacelabelError as error:  # such as a right that was taken away
            log.error("%s: %s; it starts again", threading.current_thread().name, error)  # noqa: TRY400 - told
            stop.wait(PAUSE)
        except Exception:
            log.exception("%s broke down; it starts again", threading.current_thread().name)
            stop.wait(PAUSE)
        else:
            return


def _by_the_clock(app: App, stop: threading.Event) -> dict[str, Callable[[], None]]:
    tasks: dict[str, Callable[[], None]] = {}
    if app.settings.reconcile_hours:
        tasks["reconcile"] = partial(_reconcile, app, stop)
    tasks["tidy"] = partial(_tidy, app, stop)
    if app.remote and app.settings.poll_channel:
        poller = app.remote.poller(app.settings.poll_channel, app.inbox)
        tasks["poll"] = partial(poller.run, stop)
    return tasks


def _tidy(app: App, stop: threading.Event) -> None:
    """Erase what others left to erase: killed processes, and machines with folders of their own."""
    for minute in count(1):
        if stop.wait(MINUTE):
            return
        if minute * MINUTE % HOUR:
            app.settle()
        else:
            app.tidy()


def _reconcile(app: App, stop: threading.Event) -> None:
    """Look for what was missed: while nobody served, and from time to time.

    Changes of a library of our own cannot be missed; there it is only a precaution.
    """
    if app.remote:
        _request(app)
    while not stop.wait(app.settings.reconcile_hours * HOUR):
        _request(app)


def _request(app: App) -> None:
    try:
        app.queue.enqueue(JobKind.RECONCILE, RECONCILE_KEY)
    except FacelabelError:
        log.warning("the queue is not available; the next look is in %g hours",
                    app.settings.reconcile_hours)  # fmt: skip
