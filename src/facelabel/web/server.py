"""The process behind ``facelabel serve``: web server, workers, and what runs by the clock."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import uvicorn

from facelabel.errors import ConfigurationError, FacelabelError
from facelabel.model import JobKind
from facelabel.settings import is_loopback
from facelabel.web.app import create

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from facelabel.bootstrap import App
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
#: What mostly waits for others, and must not keep pictures waiting.
SLOW_WORK = (JobKind.NOTIFY, JobKind.FOLDER, JobKind.RECONCILE)
RECONCILE_KEY = "all"
#: Requests answered at the same time; more wait for their turn in the system's queue.
MAX_CONNECTIONS = 1_000
BACKLOG = 1024
#: Seconds for requests under way, and then for the picture in hand, when told to stop.
GRACE = 10
HOUR = 3600.0
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
    config = uvicorn.Config(
        create(app),
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=GRACE,
    )
    with staff(app):
        for number in (signal.SIGINT, signal.SIGTERM):
            # uvicorn ends by itself when told to, and then tells its caller once more.
            signal.signal(number, lambda _number, _frame: None)
        uvicorn.Server(config).run(sockets=[listener])


def check_keys(app: App) -> None:
    """ConfigurationError if anybody in the network could come in without a key."""
    if not is_loopback(app.settings.host) and not app.intake.keys():
        raise ConfigurationError(
            f"{app.settings.host} can be reached by others, and there is no key:"
            " `facelabel keys add`"
        )


@contextmanager
def staff(app: App) -> Iterator[None]:
    """Run everything that works beside the web server; stop it at the end."""
    stop = threading.Event()
    threads = [
        threading.Thread(target=_kept_up, args=(task, stop), name=name)
        for name, task in _tasks(app, stop)
    ]
    with ExitStack() as stack:
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        stack.callback(stop.set)
        app.tidy()
        yield


def _kept_up(task: Callable[[], None], stop: threading.Event) -> None:
    """Run a task to its end; one that a bug ended starts again, or nobody would notice."""
    while not stop.is_set():
        try:
            task()
        except Exception:
            log.exception("%s broke down; it starts again", threading.current_thread().name)
            stop.wait(PAUSE)
        else:
            return


def _tasks(app: App, stop: threading.Event) -> Iterator[tuple[str, Callable[[], None]]]:
    yield "faces", lambda: app.worker(FACE_WORK).run(stop)
    yield "errands", lambda: app.worker(SLOW_WORK).run(stop)
    if app.settings.reconcile_hours:
        yield "reconcile", lambda: _reconcile(app, stop)
    if app.remote and app.settings.poll_channel:
        poller = app.remote.poller(app.settings.poll_channel, app.inbox)
        yield "poll", lambda: poller.run(stop)


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
        app.pipeline.queue.enqueue(JobKind.RECONCILE, RECONCILE_KEY)
    except FacelabelError:
        log.warning("the queue is not available; the next look is in %g hours",
                    app.settings.reconcile_hours)  # fmt: skip
