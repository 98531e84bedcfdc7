"""The ledger on one DynamoDB table.

======================  =============================  =========================================
pk                      sk                             attributes
======================  =============================  =========================================
``gallery``             ``live``                       live, generation, decided_by, configured,
                                                       learning, learning_configured
``collection#<name>``   ``enrolment#<asset_id>``       line: the enrolment as JSON
``collection#<name>``   ``face#<face_id>``             holders: asset_ids enrolled as this face
``collection#<name>``   ``digest#<digest>``            holders: asset_ids of this very picture
``collection#<name>``   ``intention#<asset_id>``       person
``collection#<name>``   ``leftover#<face_id>``
``asset#<asset_id>``    ``search``                     data: packed; version, generation, place
``asset#<asset_id>``    ``names``                      ``name:<name>``: its state
``searches``            place of a search: its         asset_id
                        generation, time, asset_id
======================  =============================  =========================================

What is asked for, and what it costs: a search, the names, an enrolment, the generation, who holds
a face or a picture: items by their key. Stale searches: the beginning of the partition
``searches``, which is in their order. Enrolments, leftovers, all searches: a partition by prefix.
Nothing scans the table.

A change reads what it depends on and writes under the condition that this still stands; if not,
it starts again. The live collection is among it: the generation counts exactly those changes
that were made while their collection was the live one.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING

from facelabel.adapters.aws.table import (
    MOST_CHANGES,
    NAME,
    attempts,
    check,
    chunks,
    delete,
    pack_search,
    put,
    read_enrolment,
    read_states,
    unpack_search,
    update,
    write_enrolment,
)
from facelabel.core import naming
from facelabel.core.model import GalleryState, OnRecord
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from facelabel.adapters.aws.table import Change, Item, Key, LiveName, Table
    from facelabel.core.model import Basis, Enrolment, NameState, Noted, Scope, SearchRecord

_GALLERY = ("gallery", "live")
_SEARCHES = "searches"
_ENROLMENT, _FACE, _DIGEST = "enrolment#", "face#", "digest#"
_INTENTION, _LEFTOVER = "intention#", "leftover#"
_TITLE = "the ledger"
#: Names changed in one update: the text of an update is limited to 4 kB.
_NAMES = 100
#: Searches read at a time while stale ones are looked for.
_PAGE = 100


class _Enrolments:
    """Who was learnt; implements :class:`facelabel.recognition.ports.Enrolments`."""

    def __init__(self, table: Table, live_name: LiveName | None = None) -> None:
        """Keep the ledger in this table, and the name of the live collection there, too."""
        self._table = table
        self._live_name = live_name

    def collection(self) -> str | None:
        """Return the live collection."""
        return self.gallery().collection

    def gallery(self) -> GalleryState:
        """Return the live collection with all that is known of the gallery as a whole."""
        return _gallery(self._table.get(_GALLERY))

    def begin(self, collection: str) -> str:
        """Make a collection the live one, in one step, if there is none; return the live one.

        In the place of a lost table an empty one begins with the collection that was live.
        """
        if live := self.collection():
            return live
        if self._live_name:
            collection = self._live_name.read() or collection
        self._make_live(collection, "attribute_not_exists(live)", ", weighs_strangers = :one")
        return self.collection() or collection

    def switch(self, collection: str) -> None:
        """Make a collection the live one, in one step; counts as a change of the gallery."""
        if self._live_name:
            self._live_name.write(collection)
        self._make_live(collection, "attribute_not_exists(live) OR live <> :live")

    def changed(self) -> None:
        """Count a change of the gallery that others made."""
        self._table.write(update(_GALLERY, "ADD generation :one", "", {"one": 1}))

    def decide_by(self, rules: str, configured: str) -> None:
        """Have names decided by these rules from now on, which may count as a change."""
        change = "SET decided_by = :rules, configured = :configured"
        values: Item = {"rules": rules, "configured": configured}
        others = "attribute_exists(decided_by) AND decided_by <> :rules"
        counted = update(_GALLERY, f"{change} ADD generation :one", others, {**values, "one": 1})
        same = "attribute_not_exists(decided_by) OR decided_by = :rules"
        for _ in attempts(_TITLE):
            if any(map(self._table.write, (counted, update(_GALLERY, change, same, values)))):
                break

    def learn_by(self, learning: str, configured: str) -> None:
        """Have people learnt by these folders and labels from now on."""
        change = "SET learning = :learning, learning_configured = :configured"
        values: Item = {"learning": learning, "configured": configured}
        self._table.write(update(_GALLERY, change, "", values))

    def enrolment(self, collection: str, asset_id: str) -> Enrolment | None:
        """Return the enrolment of a training image."""
        return _enrolment(self._table.get(_at(collection, _ENROLMENT, asset_id)))

    def enrolments(
        self, collection: str, face_ids: Sequence[str] | None = None
    ) -> Iterator[Enrolment]:
        """Every enrolment of the collection, by asset_id, or those that hold one of the faces."""
        if face_ids is None:
            for item in self._table.query(_partition(collection), _ENROLMENT):
                yield read_enrolment(item["line"])
            return
        held = self._held(collection, [_FACE + face_id for face_id in face_ids])
        yield from (line for line in held if line.face_id in set(face_ids))

    def holders(self, collection: str, digest: str) -> Sequence[Enrolment]:
        """Enrolments of the same picture, whatever their asset."""
        held = self._held(collection, [_DIGEST + digest])
        return [line for line in held if line.digest == digest]

    def intention(self, collection: str, asset_id: str) -> str | None:
        """Return whom a process that died in between was enrolling from this image."""
        noted = self._table.get(_at(collection, _INTENTION, asset_id))
        return noted["person"] if noted else None

    def begin_enrolment(self, collection: str, asset_id: str, person: str) -> None:
        """Note, before the recogniser is asked, whom we enrol."""
        self._table.write(put(_at(collection, _INTENTION, asset_id), {"person": person}))

    def enrol(
        self, collection: str, enrolment: Enrolment, *, instead_of: Enrolment | None = None
    ) -> bool:
        """Record an enrolment, replacing the asset's former one; the same again changes nothing.

        Changes the generation if the collection is the live one. In the same transaction a face
        that no enrolment holds any more becomes a leftover, and the intention is cleared.
        ``instead_of``: what the former one has to be; else nothing is done, and False returned.
        """
        former = self._replace(collection, enrolment.asset_id, enrolment, instead_of)
        return instead_of is None or former == instead_of

    def unenrol(self, collection: str, asset_id: str) -> Enrolment | None:
        """Delete and return the asset's enrolment, leaving a leftover if it was the last.

        Clears the intention. Changes the generation if the collection is the live one.
        """
        return self._replace(collection, asset_id, None)

    def faces_to_delete(self, collection: str) -> Sequence[str]:
        """Faces no enrolment holds, still to be forgotten by the recogniser."""
        left = self._table.query(_partition(collection), _LEFTOVER)
        return [item["sk"].removeprefix(_LEFTOVER) for item in left]

    def mark_deleted(self, collection: str, face_ids: Sequence[str]) -> None:
        """Note that faces were forgotten: leftovers among them are none any more.

        Changes the generation if the collection is the live one, as who looked since they were
        unenrolled may have seen them.
        """
        gone = (delete(_at(collection, _LEFTOVER, face_id)) for face_id in dict.fromkeys(face_ids))
        for some in chunks(gone, MOST_CHANGES - 1):
            for _ in attempts(_TITLE):
                if self._table.transact([*some, _counted(collection, self.collection())]):
                    break

    def purge(self, collection: str) -> None:
        """Delete every line about a collection that is not live; Rejected if it is.

        Searches stay: they are about pictures, and being stale they are made again.
        """
        keys = ((item["pk"], item["sk"]) for item in self._table.query(_partition(collection)))
        not_live = _counted(collection, None)
        for some in chunks(keys, MOST_CHANGES - 1):
            for _ in attempts(_TITLE):
                if self.collection() == collection:
                    raise Rejected(f"{collection!r} is the live collection")
                if self._table.transact([not_live, *map(delete, some)]):
                    break

    # ---- the gallery

    def _make_live(self, collection: str, condition: str, more: str = "") -> None:
        change = f"SET live = :live{more} ADD generation :one"
        self._table.write(update(_GALLERY, change, condition, {"live": collection, "one": 1}))

    def _replace(
        self, collection: str, asset_id: str, new: Enrolment | None,
        instead_of: Enrolment | None = None,
    ) -> Enrolment | None:  # fmt: skip
        """Put an enrolment, or none, in the place of the former one; return that.

        Nothing is done where it is another than ``instead_of``, if that is given.
        """
        place, noted = _at(collection, _ENROLMENT, asset_id), _at(collection, _INTENTION, asset_id)
        former = None
        for _ in attempts(_TITLE):
            found = self._table.get_many([place, _GALLERY])
            former = _enrolment(found.get(place))
            if instead_of is not None and former != instead_of:
                break
            if former == new:
                self._table.write(delete(noted))
                break
            # As long as the former one is as it was read.
            is_same = "line = :line" if former else "attribute_not_exists(pk)"
            read = {"line": found[place]["line"]} if former else {}
            line = {"line": write_enrolment(new)} if new else None
            changes = [
                delete(noted),
                put(place, line, is_same, read) if line else delete(place, is_same, read),
                *self._moved(collection, asset_id, _holds(former), _holds(new)),
                _counted(collection, _gallery(found.get(_GALLERY)).collection),
            ]
            if self._table.transact(changes):
                break
        return former

    def _moved(
        self, collection: str, asset_id: str, old: frozenset[str], new: frozenset[str]
    ) -> Iterator[Change]:
        """Make the asset a holder of what it holds now, and of nothing else."""
        pk, asset = _partition(collection), frozenset({asset_id})
        for sk in sorted(new - old):
            yield update((pk, sk), "ADD holders :asset", "", {"asset": asset})
            if sk.startswith(_FACE):
                yield delete((pk, _LEFTOVER + sk.removeprefix(_FACE)))
        held = self._table.get_many((pk, sk) for sk in sorted(old - new))
        for (_, sk), item in held.items():
            if item["holders"] == asset:
                yield delete((pk, sk), "holders = :asset", {"asset": asset})
                if sk.startswith(_FACE):  # a picture that nobody holds is not noted
                    yield put((pk, _LEFTOVER + sk.removeprefix(_FACE)), {})
            else:
                left: Item = {"asset": asset, "one": 1}
                yield update((pk, sk), "DELETE holders :asset", "size(holders) > :one", left)

    def _held(self, collection: str, sks: Iterable[str]) -> list[Enrolment]:
        """Enrolments of all who hold one of these, by asset_id."""
        pk = _partition(collection)
        found = self._table.get_many((pk, sk) for sk in sks).values()
        asset_ids = {asset_id for item in found for asset_id in item["holders"]}
        places = (_at(collection, _ENROLMENT, asset_id) for asset_id in sorted(asset_ids))
        return [read_enrolment(item["line"]) for item in self._table.get_many(places).values()]


class _Searches:
    """What was seen on pictures: :class:`facelabel.recognition.ports.Searches` but for one call."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def search(self, asset_id: str) -> SearchRecord | None:
        """Return the last search of a picture."""
        return self.searches([asset_id]).get(asset_id)

    def searches(self, asset_ids: Sequence[str]) -> Mapping[str, SearchRecord]:
        """Return the last searches of several pictures at once."""
        items = self._table.get_many(map(_search_key, asset_ids)).values()
        found = (unpack_search(item["data"]) for item in items)
        return {search.asset_id: search for search in found}

    def searched(self) -> Iterator[str]:
        """asset_ids of all pictures that were searched; of one searched meanwhile perhaps twice."""
        return (item["asset_id"] for item in self._table.query(_SEARCHES))

    def differing(self, rules: str, now: str = "", needed: float = 0.0) -> Iterator[str]:  # noqa: ARG002
        """asset_ids of pictures decided by other rules; what they rest on is not kept here."""
        for some in chunks(self.searched(), _PAGE):
            found = self.searches(some).values()
            yield from (search.asset_id for search in found if search.rules != rules)

    def marks(self, asset_ids: Sequence[str]) -> Mapping[str, Mapping[str, NameState]]:
        """Return the names of several pictures at once; those without any are absent."""
        found = self._table.get_many(map(_names_key, asset_ids))
        marked = {one: read_states(found.get(_names_key(one))) for one in asset_ids}
        return {asset_id: states for asset_id, states in marked.items() if states}

    def named(self, person: str) -> Sequence[str]:
        """asset_ids of the pictures that we wrote this name on, or are about to, or to take off.

        Reads the names of every picture that was searched.
        """
        pages = chunks(dict.fromkeys(self.searched()), _PAGE)
        marked = (pair for some in pages for pair in self.marks(some).items())
        return [asset_id for asset_id, states in marked if states.get(person) in naming.OURS]

    def record(
        self,
        search: SearchRecord,
        basis: Basis | None = None,  # noqa: ARG002 - see noted
        states: Mapping[str, NameState | None] = MappingProxyType({}),
    ) -> None:
        """Record a search, replacing the picture's former one, then the state of names.

        One older than what is on record, by (version, generation), is dropped.
        """
        self._record(search)
        self.mark(search.asset_id, states)

    def revise(self, searches: Sequence[tuple[SearchRecord, Basis | None]]) -> None:
        """Record several searches, each in a step of its own, in the place of older ones."""
        for search, _ in searches:
            self._record(search, revises=True)

    def noted(self, scope: Scope, needed: float, limit: int) -> Sequence[Noted]:  # noqa: ARG002
        """Nothing: what searches rest on is not kept here, so a sweep decides all of them again."""
        return ()

    def confirm(
        self,
        scope: Scope,
        portraits: int | None,
        searches: Sequence[Noted],
        unmoved: Mapping[str, bytes],
    ) -> None:
        """Nothing to do: none is ever noted."""

    def _record(self, search: SearchRecord, *, revises: bool = False) -> None:
        """``revises``: only what it is newer than; else somebody knew more, or forgot it."""
        key, place = _search_key(search.asset_id), (_SEARCHES, _place(search))
        item: Item = {
            "version": search.version, "generation": search.generation,
            "place": place[1], "data": pack_search(search),
        }  # fmt: skip
        for _ in attempts(_TITLE):
            former = self._table.get(key)
            if revises and (former is None or _age(item) <= _age(former)):
                return
            if former and _age(item) < _age(former):
                return
            changes = [put(key, item, *_unchanged(former))]
            if former is None or former["place"] != place[1]:
                changes.append(put(place, {"asset_id": search.asset_id}))
                changes += [delete((_SEARCHES, former["place"]))] if former else []
            if self._table.transact(changes):
                return

    def stale(self, generation: int, limit: int) -> Sequence[SearchRecord]:
        """Up to ``limit`` searches made before that generation of the gallery, oldest first."""
        page = min(limit, _PAGE)
        places = self._table.query(_SEARCHES, below=f"{generation:012}", page=page)
        pages = chunks((item["asset_id"] for item in places), page)
        known = ((some, self.searches(some)) for some in pages)
        found = (of[asset_id] for some, of in known for asset_id in some if asset_id in of)
        return list(islice((s for s in found if s.generation < generation), limit))

    def names(self, asset_id: str) -> Mapping[str, NameState]:
        """Return the names we wrote to a picture or are forbidden to write."""
        return read_states(self._table.get(_names_key(asset_id)))

    def mark(self, asset_id: str, states: Mapping[str, NameState | None]) -> None:
        """Set the state of names on a picture; None deletes the line."""
        for some in chunks(sorted(states.items()), _NAMES):
            self._table.write(_marking(asset_id, some))

    def forget_asset(self, asset_id: str) -> None:
        """Delete the search and the names of a picture that is gone."""
        key = _search_key(asset_id)
        for _ in attempts(_TITLE):
            former = self._table.get(key)
            changes = [delete(_names_key(asset_id))]
            if former:
                place = (_SEARCHES, former["place"])
                changes += [delete(place), delete(key, *_unchanged(former))]
            if self._table.transact(changes):
                return


class DynamoLedger(_Enrolments, _Searches):
    """The ledger in DynamoDB; implements :class:`facelabel.recognition.ports.Ledger`."""

    def has_stale(self) -> bool:
        """Whether a search was made before the gallery last changed."""
        return bool(self.stale(self.gallery().generation, 1))

    def about(self, asset_id: str) -> OnRecord:
        """Return what is on record of an asset, the gallery read first."""
        gallery = self.gallery()
        own = self._table.get_many([_search_key(asset_id), _names_key(asset_id)])
        search = own.get(_search_key(asset_id))
        record = OnRecord(
            gallery,
            search=unpack_search(search["data"]) if search else None,
            marks=read_states(own.get(_names_key(asset_id))),
        )
        if (live := gallery.collection) is None:
            return record
        line, noted = _at(live, _ENROLMENT, asset_id), _at(live, _INTENTION, asset_id)
        found = self._table.get_many([line, noted])
        return replace(
            record,
            enrolment=_enrolment(found.get(line)),
            intention=found[noted]["person"] if noted in found else None,
            has_faces_to_delete=bool(self.faces_to_delete(live)),
        )


def _partition(collection: str) -> str:
    return f"collection#{collection}"


def _at(collection: str, kind: str, name: str) -> Key:
    return _partition(collection), kind + name


def _search_key(asset_id: str) -> Key:
    return f"asset#{asset_id}", "search"


def _names_key(asset_id: str) -> Key:
    return f"asset#{asset_id}", "names"


def _gallery(item: Item | None) -> GalleryState:
    if item is None:
        return GalleryState()
    weighs, generation = bool(item.get("weighs_strangers")), item.get("generation", 0)
    said = map(item.get, ("decided_by", "configured", "learning", "learning_configured"))
    return GalleryState(item.get("live"), generation, weighs, *said)


def _enrolment(item: Item | None) -> Enrolment | None:
    return read_enrolment(item["line"]) if item else None


def _counted(collection: str, live: str | None) -> Change:
    """Count a change of the gallery, if the collection is the live one, as it was when read."""
    values: Item = {"collection": collection}
    if live == collection:
        one: Item = {**values, "one": 1}
        return update(_GALLERY, "ADD generation :one", "live = :collection", one)
    return check(_GALLERY, "attribute_not_exists(live) OR live <> :collection", values)


def _holds(enrolment: Enrolment | None) -> frozenset[str]:
    """Sort keys of what an enrolment holds: a face and a picture."""
    if enrolment is None:
        return frozenset()
    return frozenset({_FACE + enrolment.face_id, _DIGEST + enrolment.digest})


def _place(search: SearchRecord) -> str:
    """Sort key that puts searches into the order in which stale ones are looked at."""
    return f"{search.generation:012}#{search.searched_at:018.6f}#{search.asset_id}"


def _age(search: Item) -> tuple[int, int]:
    return search["version"], search["generation"]


def _unchanged(search: Item | None) -> tuple[str, Item]:
    """Condition that the search on record is the one that was read."""
    if search is None:
        return "attribute_not_exists(pk)", {}
    same: Item = {"place": search["place"], "version": search["version"]}
    return "place = :place AND version = :version", same


def _marking(asset_id: str, states: Iterable[tuple[str, NameState | None]]) -> Change:
    """One update of the item that has the names as its attributes."""
    sets, removes = [], []
    values: Item = {}
    names: dict[str, str] = {}
    for number, (name, state) in enumerate(states):
        names[f"n{number}"] = NAME + name
        if state is None:
            removes.append(f"#n{number}")
        else:
            sets.append(f"#n{number} = :s{number}")
            values[f"s{number}"] = str(state)
    clauses = [f"{verb} {', '.join(of)}" for verb, of in (("SET", sets), ("REMOVE", removes)) if of]
    return replace(update(_names_key(asset_id), " ".join(clauses), "", values), names=names)
