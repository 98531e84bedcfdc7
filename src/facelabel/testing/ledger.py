"""A ledger in dictionaries."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from facelabel.core import naming
from facelabel.core.model import GalleryState, Noted, OnRecord
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from facelabel.core.model import Basis, Enrolment, NameState, Scope, SearchRecord


class _Enrolments:
    """Who was learnt."""

    def __init__(self) -> None:
        """Start with no live collection."""
        self._live: str | None = None
        self._generation = 0
        self._weighs_strangers = False
        self._rules: tuple[str | None, str | None] = None, None
        self._learning: tuple[str | None, str | None] = None, None
        self._enrolments: dict[tuple[str, str], Enrolment] = {}
        self._intents: dict[tuple[str, str], str] = {}
        self._leftovers: dict[str, list[str]] = {}

    def collection(self) -> str | None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        return self._live

    def gallery(self) -> GalleryState:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        known = self._live, self._generation, self._weighs_strangers
        return GalleryState(*known, *self._rules, *self._learning)

    def decide_by(self, rules: str, configured: str) -> None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        self._generation += self._rules[0] not in {None, rules}
        self._rules = rules, configured

    def learn_by(self, learning: str, configured: str) -> None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        self._learning = learning, configured

    def switch(self, collection: str) -> None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        if collection != self._live:
            self._live = collection
            self._generation += 1

    def begin(self, collection: str) -> str:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        if self._live is None:
            self.switch(collection)
            self._weighs_strangers = True
        return self._live or collection

    def enrolment(self, collection: str, asset_id: str) -> Enrolment | None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        return self._enrolments.get((collection, asset_id))

    def enrolments(
        self, collection: str, face_ids: Sequence[str] | None = None
    ) -> Iterator[Enrolment]:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        lines = [line for (name, _), line in sorted(self._enrolments.items()) if name == collection]
        return (line for line in lines if face_ids is None or line.face_id in face_ids)

    def holders(self, collection: str, digest: str) -> Sequence[Enrolment]:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        return [e for e in self.enrolments(collection) if e.digest == digest]

    def intention(self, collection: str, asset_id: str) -> str | None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        return self._intents.get((collection, asset_id))

    def begin_enrolment(self, collection: str, asset_id: str, person: str) -> None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        self._intents[collection, asset_id] = person

    def enrol(
        self, collection: str, enrolment: Enrolment, *, instead_of: Enrolment | None = None
    ) -> bool:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        key = (collection, enrolment.asset_id)
        old = self._enrolments.get(key)
        if instead_of is not None and old != instead_of:
            return False
        self._intents.pop(key, None)
        self._enrolments[key] = enrolment
        leftovers = self._leftovers.setdefault(collection, [])
        if enrolment.face_id in leftovers:
            leftovers.remove(enrolment.face_id)
        self._release(collection, old)
        self._changed(collection, changed=old != enrolment)
        return True

    def unenrol(self, collection: str, asset_id: str) -> Enrolment | None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        old = self._enrolments.pop((collection, asset_id), None)
        self._intents.pop((collection, asset_id), None)
        self._release(collection, old)
        self._changed(collection, changed=old is not None)
        return old

    def faces_to_delete(self, collection: str) -> Sequence[str]:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        return tuple(self._leftovers.get(collection, ()))

    def mark_deleted(self, collection: str, face_ids: Sequence[str]) -> None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        kept = [face for face in self.faces_to_delete(collection) if face not in face_ids]
        self._leftovers[collection] = kept
        self._changed(collection, changed=bool(face_ids))

    def purge(self, collection: str) -> None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        if collection == self._live:
            raise Rejected(f"the collection {collection!r} is live")
        self._enrolments = {k: e for k, e in self._enrolments.items() if k[0] != collection}
        self._intents = {k: p for k, p in self._intents.items() if k[0] != collection}
        self._leftovers.pop(collection, None)

    def _release(self, collection: str, old: Enrolment | None) -> None:
        if old and all(e.face_id != old.face_id for e in self.enrolments(collection)):
            self._leftovers.setdefault(collection, []).append(old.face_id)

    def _changed(self, collection: str, *, changed: bool) -> None:
        self._generation += changed and collection == self._live


class _Searches:
    """What was seen on pictures."""

    def __init__(self) -> None:
        """Start with no picture."""
        self._searches: dict[str, SearchRecord] = {}
        self._bases: dict[str, Basis] = {}
        self._names: dict[str, dict[str, NameState]] = {}

    def search(self, asset_id: str) -> SearchRecord | None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        return self._searches.get(asset_id)

    def searches(self, asset_ids: Sequence[str]) -> Mapping[str, SearchRecord]:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        return {i: self._searches[i] for i in asset_ids if i in self._searches}

    def searched(self) -> Iterator[str]:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        return iter(sorted(self._searches))

    def differing(self, rules: str, now: str = "", needed: float = 0.0) -> Iterator[str]:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        for asset_id, search in sorted(self._searches.items()):
            basis = self._bases.get(asset_id) if search.rules == now else None
            if search.rules != rules and not (basis and basis.below < needed <= basis.upto):
                yield asset_id

    def marks(self, asset_ids: Sequence[str]) -> Mapping[str, Mapping[str, NameState]]:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        return {asset_id: names for asset_id in asset_ids if (names := self.names(asset_id))}

    def record(
        self,
        search: SearchRecord,
        basis: Basis | None = None,
        states: Mapping[str, NameState | None] = MappingProxyType({}),
    ) -> None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        old = self._searches.get(search.asset_id, search)
        if (search.version, search.generation) >= (old.version, old.generation):
            self._put(search, basis)
        self.mark(search.asset_id, states)

    def revise(self, searches: Sequence[tuple[SearchRecord, Basis | None]]) -> None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        for search, basis in searches:
            old = self._searches.get(search.asset_id)
            if old and (search.version, search.generation) > (old.version, old.generation):
                self._put(search, basis)

    def noted(self, scope: Scope, needed: float, limit: int) -> Sequence[Noted]:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        found = [
            Noted(asset_id, self._searches[asset_id].version, basis.note)
            for asset_id, basis in self._bases.items()
            if basis.below < needed <= basis.upto and _is_in(self._searches[asset_id], scope)
        ]
        return found[:limit]

    def confirm(
        self,
        scope: Scope,
        portraits: int | None,
        searches: Sequence[Noted],
        unmoved: Mapping[str, bytes],
    ) -> None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        for one in searches:
            search, basis = self._searches.get(one.asset_id), self._bases.get(one.asset_id)
            if search is None or basis is None or not _is_in(search, scope):
                continue
            if (search.version, basis.note) == (one.version, one.note):
                if one.asset_id in unmoved:
                    new = replace(search, generation=scope.generation, portraits=portraits)
                    self._put(new, replace(basis, note=unmoved[one.asset_id]))
                else:
                    self._put(search, None)

    def stale(self, generation: int, limit: int) -> Sequence[SearchRecord]:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        found = [s for s in self._searches.values() if s.generation < generation]
        return sorted(found, key=lambda s: (s.generation, s.searched_at, s.asset_id))[:limit]

    def names(self, asset_id: str) -> Mapping[str, NameState]:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        return dict(self._names.get(asset_id, {}))

    def named(self, person: str) -> Sequence[str]:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        return [key for key, states in self._names.items() if states.get(person) in naming.OURS]

    def mark(self, asset_id: str, states: Mapping[str, NameState | None]) -> None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        before = self.names(asset_id)
        self._names[asset_id] = after = naming.marked(before, states)
        if naming.refused(before) != naming.refused(after):
            self._bases.pop(asset_id, None)

    def forget_asset(self, asset_id: str) -> None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        self._searches.pop(asset_id, None)
        self._bases.pop(asset_id, None)
        self._names.pop(asset_id, None)

    def _put(self, search: SearchRecord, basis: Basis | None) -> None:
        self._searches[search.asset_id] = search
        self._bases.pop(search.asset_id, None)
        if basis:
            self._bases[search.asset_id] = basis


class MemoryLedger(_Enrolments, _Searches):
    """The ledger in dictionaries."""

    def __init__(self) -> None:
        """Start empty."""
        _Enrolments.__init__(self)
        _Searches.__init__(self)

    def changed(self) -> None:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        self._generation += 1
        self._bases.clear()

    def has_stale(self) -> bool:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        return bool(self.stale(self._generation, 1))

    def about(self, asset_id: str) -> OnRecord:
        """See :class:`facelabel.recognition.ports.Ledger`."""
        live = self._live or ""
        return OnRecord(
            self.gallery(),
            self.enrolment(live, asset_id),
            self.intention(live, asset_id),
            bool(self.faces_to_delete(live)),
            self.search(asset_id),
            self.names(asset_id),
        )


def _is_in(search: SearchRecord, scope: Scope) -> bool:
    of = (search.collection, search.rules)
    return search.generation < scope.generation and of == (scope.collection, scope.rules)
