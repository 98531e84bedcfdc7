"""What holds for a while only: locks on assets, receipts of notifications, jobs known to wait.

======================  ==========  ==============================
pk                      sk          attributes
======================  ==========  ==============================
``lock#<asset_id>``     ``lock``    holder, ends
``receipt#<digest>``    ``receipt`` ends
``waiting#<kind>``      ``<key>``   due, sender, ends
======================  ==========  ==============================

``ends`` (epoch seconds) decides. DynamoDB deletes such an item some day after ``expires``, which
is later, so that nothing is lost where clocks differ.

The AWS SDK repeats a call whose answer was lost: whoever finds its own holder or sender in the
item was the one who wrote it.
"""

from __future__ import annotations

import logging
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING

from facelabel.adapters.aws.table import EXPIRES, delete, put
from facelabel.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from facelabel.adapters.aws.table import Key, Table, Value
    from facelabel.core.clock import Clock
    from facelabel.core.jobs import JobKind

log = logging.getLogger(__name__)

#: Seconds between the end of an item and its deletion.
_SLACK = 3600
#: Seconds between two looks at a lock that somebody else holds.
_LOOK = 0.2
#: Seconds: twice the window of a notification, which may be early as well as late.
REMEMBER = 4 * 3600.0


class AssetLocks:
    """One worker at a time for each asset, where the queue does not see to it.

    A lock is a lease: one whose holder died is free again ``lease`` seconds after it was taken.
    So nobody may work longer than that with it: on Lambda, the timeout of the function.
    """

    def __init__(self, table: Table, clock: Clock, *, lease: float, patience: float = 5.0) -> None:
        """Wait up to ``patience`` seconds for a lock."""
        self._table = table
        self._clock = clock
        self._lease = lease
        self._patience = patience

    @contextmanager
    def hold(self, asset_id: str) -> Iterator[None]:
        """Hold the lock on an asset; Unavailable if somebody else does, and goes on doing so."""
        key, holder = (f"lock#{asset_id}", "lock"), uuid.uuid4().hex
        give_up = self._clock.now() + self._patience
        while not self._take(key, holder):
            if self._clock.now() >= give_up:
                raise Unavailable(f"another worker has {asset_id} in hand", retry_after=_LOOK)
            self._clock.sleep(_LOOK)
        try:
            yield
        finally:
            if not self._table.write(delete(key, "holder = :holder", {"holder": holder})):
                log.warning("%s: the work took longer than its lock", asset_id)

    def _take(self, key: Key, holder: str) -> bool:
        now = self._clock.now()
        free = "attribute_not_exists(pk) OR ends <= :now OR holder = :holder"
        item = _item(now + self._lease) | {"holder": holder}
        return self._table.write(put(key, item, free, {"now": now, "holder": holder}))


class Receipts:
    """Which notifications were taken; see :class:`facelabel.adapters.aws.sqs.SqsInbox`."""

    def __init__(self, table: Table, clock: Clock, remember: float = REMEMBER) -> None:
        """``remember``: seconds for which a notification that comes again is known."""
        self._table = table
        self._clock = clock
        self._remember = remember

    def known(self, digests: Iterable[str]) -> frozenset[str]:
        """Those of the digests that were noted."""
        found = self._table.get_many(_receipt(digest) for digest in digests)
        now = self._clock.now()
        return frozenset(
            pk.removeprefix("receipt#") for (pk, _), item in found.items() if item["ends"] >= now
        )

    def note(self, digests: Iterable[str]) -> None:
        """Know these from now on."""
        ends = self._clock.now() + self._remember
        for digest in digests:
            self._table.write(put(_receipt(digest), _item(ends)))


class Waiting:
    """Jobs that need not be sent, because one like them is known to wait in the queue.

    A note comes before its message, and holds for longer only when that was sent: whoever dies
    in between is run again, a lease later, and by then finds no note in the way. It ends
    ``trust`` seconds after the job was due, however long the queue: then another one is sent.
    """

    def __init__(self, table: Table, clock: Clock, trust: float = 30.0) -> None:
        """Note what waits in this table."""
        self._table = table
        self._clock = clock
        self._trust = trust

    def note(self, kind: JobKind, key: str, due: float) -> bool:
        """Whether a job due at that time has to be sent: none is known that starts as soon."""
        now = self._clock.now()
        news = "attribute_not_exists(pk) OR ends <= :now OR due > :due OR sender = :sender"
        ours: dict[str, Value] = {"due": due, "sender": uuid.uuid4().hex}
        item = _item(now + self._trust) | ours
        return self._table.write(put(_waiting(kind, key), item, news, {"now": now, **ours}))

    def sent(self, kind: JobKind, key: str, due: float) -> None:
        """Note that it was sent, unless it has begun already."""
        item = _item(due + self._trust) | {"due": due}
        self._table.write(put(_waiting(kind, key), item, "due = :due", {"due": due}))

    def clear(self, kind: JobKind, key: str) -> None:
        """Note that a job begins: who asks for it from now on is not answered by it."""
        self._table.write(delete(_waiting(kind, key)))


def _item(ends: float) -> dict[str, Value]:
    return {"ends": ends, EXPIRES: int(ends) + _SLACK}


def _receipt(digest: str) -> Key:
    return f"receipt#{digest}", "receipt"


def _waiting(kind: JobKind, key: str) -> Key:
    return f"waiting#{kind}", key
