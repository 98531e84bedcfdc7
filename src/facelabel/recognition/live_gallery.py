"""The live collection: which one it is, what searches of it go by, and which of them stand.

Most of the pictures that were searched before the gallery changed need not be decided again. A
search rests on a few reference faces and on what a name takes. Where neither is touched by what
changed, looking again would end in the same row, so the row is brought to the present generation
as it stands. What remains stale is decided again by the sweep, whatever the reason: nothing that
was not considered is ever taken for settled.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel.core.jobs import JobKind
from facelabel.core.model import Scope
from facelabel.errors import ConfigurationError, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from facelabel.core.label_policy import LabelPolicy
    from facelabel.core.model import GalleryState
    from facelabel.core.naming import Rules
    from facelabel.recognition.ports import Ledger, Queue, Recognizer

SWEEP_KEY = "all"
#: Seconds a sweep waits, so that several portraits learnt together cost one sweep.
SWEEP_DELAY = 1.0
#: Searches considered in one step: some tenths of a second, and of others' waiting to write.
AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class PaidSearchPolicy:
    """How to save searches where each is paid for.

    A picture is decided again from what its last search saw, as long as the faces that gave its
    names stand. Who was learnt since then is only found by another search.
    """

    #: Seconds after its last search in which a picture with unnamed faces is searched again when
    #: the gallery changes: portraits and pictures often come at the same time.
    look_back: float = 3600.0
    #: Seconds a sweep waits, so that few of them meet a long row of portraits.
    delay: float = 300.0
    #: Seconds that a collection stays when another one has taken its place.
    grace: float = 600.0


@dataclass(frozen=True, slots=True)
class LiveGallery:
    """Everybody who can be named: the collection that is live, made at the first need."""

    recognizer: Recognizer
    ledger: Ledger
    queue: Queue
    label_policy: LabelPolicy
    #: None: searching costs nothing but time.
    paid_searches: PaidSearchPolicy | None = None

    def collection(self) -> str:
        """Return the live collection, made at the first need."""
        live = self.ledger.collection()
        if live is None:
            self.recognizer.create(self.label_policy.collection)
            live = self.ledger.begin(self.label_policy.collection)
        return live

    def searched(
        self, state: GalleryState | None = None, *, for_nobody: bool = False
    ) -> tuple[Scope, Rules]:
        """What is searched now, and when a face gets a name; a first collection is made.

        ``state``: the gallery's, where it is known. It has to be older than the search.
        ``for_nobody``: nothing is kept of what is found, which is decided by the settings.
        """
        state = state or self.ledger.gallery()
        collection = state.collection
        if collection is None:
            collection = self.collection()
            state = self.ledger.gallery()
        # Of one moment with the generation, as another process may switch at any.
        policy = self.label_policy if for_nobody else self.label_policy.under(state.rules)
        scope = Scope(state.generation, state.collection or collection, policy.fingerprint)
        return scope, policy.rules.begun(weighs_strangers=state.weighs_strangers)

    def policy(self, state: GalleryState | None = None) -> LabelPolicy:
        """By what names are decided: the rules in force, else those of the settings.

        ``state``: the gallery's, where it is known.
        """
        return self.label_policy.under((state or self.ledger.gallery()).rules)

    def rules(self) -> Rules:
        """When a face gets a name on a picture of the library."""
        state = self.ledger.gallery()
        return self.policy(state).rules.begun(weighs_strangers=state.weighs_strangers)

    def confirm(self, scope: Scope, rules: Rules, limit: int) -> bool:
        """Bring up to ``limit`` searches that stand to the generation of the scope.

        Those that do not lose their basis, so that nobody considers them again before they were
        decided anew. Whether there may be more to consider. Raises NotFound without the
        collection.
        """
        portraits = self.recognizer.portraits(scope.collection)
        searches = self.ledger.noted(scope, rules.needed(portraits), limit)
        if searches:
            unmoved = self.recognizer.unmoved(scope.collection, searches)
            counted = portraits if rules.strangers else None
            self.ledger.confirm(scope, counted, searches, unmoved)
        return len(searches) == limit

    def portraits(self) -> int | None:
        """How many portraits a face is compared with; None where it is not known what that means.

        None, too, where nobody was learnt yet.
        """
        live = self.ledger.collection()
        if live is None or live not in self.recognizer.collections():
            return None
        return self.recognizer.portraits(live)

    @contextmanager
    def expected(self, live: str | None) -> Iterator[None]:
        """The collection found live, if one was, is to be there until the block ends.

        Where it is not: Unavailable if everybody was learnt anew meanwhile, else
        ConfigurationError.
        """
        try:
            yield
        except NotFound as error:
            if live is None:
                raise
            if live != self.ledger.collection():
                raise Unavailable("everybody was learnt anew meanwhile") from error
            if live in self.recognizer.collections():
                raise
            raise ConfigurationError(
                f"the collection {live!r}, in which everybody was learnt, is not there: it was"
                " deleted, or somebody else knows faces now (setting faces, AWS's credentials)."
                " If that is meant, `facelabel index --rebuild` learns everybody anew"
            ) from error

    def schedule_sweep(self) -> None:
        """Have pictures searched again that were searched before the gallery last changed.

        Every job about an asset ends with this: it, or another one at the same time, may have
        changed the gallery, and a process that died before this line runs the job again.
        """
        if self.ledger.has_stale():
            delay = self.paid_searches.delay if self.paid_searches else SWEEP_DELAY
            self.queue.enqueue(JobKind.SWEEP, SWEEP_KEY, delay=delay)
