"""A small in-memory class for each port: for our tests and for those of our users.

They keep every promise of the contract suites except outliving the process. Images for
:class:`MemoryRecognizer` are written with :func:`portrait`: bytes that say who is on them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import struct
import threading
import uuid
from typing import TYPE_CHECKING

from facelabel.errors import (
    AlreadyExists,
    NotFound,
    Rejected,
    UnreadableImage,
    UnusableFace,
)
from facelabel.model import (
    Analysis,
    Asset,
    Box,
    EnrolledFace,
    Enrolment,
    Face,
    Hit,
    Job,
    JobKind,
    JobState,
    Json,
    NameState,
    Pose,
    Search,
    SearchedFace,
    Sighting,
    Template,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from facelabel.ports import Clock, Templates


class ManualClock:
    """A clock that stands still until told otherwise; sleeping moves it."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        """Start at ``now``, seconds since the epoch."""
        self.time = now

    def now(self) -> float:
        """The time set."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.time += seconds


def some_face(left: float = 0.3, width: float = 0.2) -> Face:
    """A plain good face, for tests that need one."""
    box = Box(left, 0.3, width, width)
    eyes_nose_mouth = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
    points = tuple((left + x * width, 0.3 + y * width) for x, y in eyes_nose_mouth)
    return Face(box, points, 99.0, 80.0, 60.0, Pose(0.0, 0.0, 0.0))


def portrait(*people: str) -> bytes:
    """An "image" that shows these people, for :class:`MemoryRecognizer`."""
    return json.dumps({"people": people}).encode()


class MemoryRecognizer:
    """Recognises the people an image of :func:`portrait` says it shows."""

    def __init__(self, model: str = "memory/1") -> None:
        """Start with no collection; new ones get ``model``."""
        self.new_model = model
        self._models: dict[str, str] = {}
        self._faces: dict[str, dict[str, EnrolledFace]] = {}
        self._shown: dict[tuple[str, str], str] = {}
        self._kept: dict[str, tuple[int, str, tuple[str, ...]]] = {}

    def create(self, collection: str) -> None:
        """See :class:`facelabel.ports.Recognizer`."""
        self._models.setdefault(collection, self.new_model)
        self._faces.setdefault(collection, {})

    def drop(self, collection: str) -> None:
        """See :class:`facelabel.ports.Recognizer`."""
        self._models.pop(collection, None)
        self._faces.pop(collection, None)

    def collections(self) -> Sequence[str]:
        """See :class:`facelabel.ports.Recognizer`."""
        return sorted(self._faces)

    def model(self, collection: str) -> str:
        """See :class:`facelabel.ports.Recognizer`."""
        self._gallery(collection)
        return self._models[collection]

    def enrol(self, collection: str, image: bytes, person: str, asset: Asset) -> EnrolledFace:
        """See :class:`facelabel.ports.Recognizer`."""
        gallery = self._gallery(collection)
        people = _people_on(image)
        if len(people) != 1:
            raise UnusableFace(f"{len(people) or 'no'} faces where one was expected")
        key = f"{collection}/{hashlib.sha256(image).hexdigest()}/{person}"
        face_id = str(uuid.uuid5(uuid.NAMESPACE_URL, key))
        self._shown[collection, face_id] = people[0]
        return gallery.setdefault(face_id, EnrolledFace(face_id, person, asset.asset_id))

    def forget(self, collection: str, face_ids: Sequence[str]) -> None:
        """See :class:`facelabel.ports.Recognizer`."""
        for face_id in face_ids:
            self._gallery(collection).pop(face_id, None)

    def faces(
        self, collection: str, face_ids: Sequence[str] | None = None
    ) -> Iterator[EnrolledFace]:
        """See :class:`facelabel.ports.Recognizer`."""
        gallery = self._gallery(collection)
        wanted = gallery if face_ids is None else [f for f in face_ids if f in gallery]
        return iter([gallery[face_id] for face_id in wanted])

    def identify(self, collection: str, image: bytes, asset: Asset | None = None) -> Sighting:
        """See :class:`facelabel.ports.Recognizer`."""
        people = _people_on(image)
        model = self.model(collection)
        if asset:
            self._kept[asset.asset_id] = (asset.version, model, people)
        return self._sighting(collection, people)

    def recall(self, collection: str, searches: Sequence[Search]) -> Mapping[str, Sighting]:
        """See :class:`facelabel.ports.Recognizer`."""
        model = self.model(collection)
        found = {}
        for search in searches:
            version, kept_model, people = self._kept.get(search.asset_id, (0, "", ()))
            if (version, kept_model) == (search.version, model):
                found[search.asset_id] = self._sighting(collection, people)
        return found

    def discard(self, asset_id: str) -> None:
        """See :class:`facelabel.ports.Recognizer`."""
        self._kept.pop(asset_id, None)

    def _gallery(self, collection: str) -> dict[str, EnrolledFace]:
        if collection not in self._faces:
            raise NotFound(f"there is no collection {collection!r}")
        return self._faces[collection]

    def _sighting(self, collection: str, people: Sequence[str]) -> Sighting:
        hits = [self._hits(collection, person) for person in people]
        faces = [
            SearchedFace(some_face(left=i / max(len(hits), 1)), hit) for i, hit in enumerate(hits)
        ]
        return Sighting(tuple(faces), (), self.model(collection))

    def _hits(self, collection: str, person: str) -> tuple[Hit, ...]:
        hits = [
            Hit(face.face_id, face.person, 99.0 if shown == person else 20.0)
            for face in self._faces[collection].values()
            for shown in [self._shown[collection, face.face_id]]
        ]
        return tuple(sorted(hits, key=lambda hit: -hit.similarity))


def _people_on(image: bytes) -> tuple[str, ...]:
    try:
        return tuple(json.loads(image)["people"])
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableImage from error


class MemoryLibrary:
    """Pictures in a dictionary; ``on_change`` is told the asset_id after every change."""

    def __init__(
        self, clock: Clock | None = None, on_change: Callable[[str], None] | None = None
    ) -> None:
        """Start empty."""
        self._clock = clock or ManualClock()
        self._assets: dict[str, Asset] = {}
        self._data: dict[str, bytes] = {}
        self._on_change = on_change or (lambda _: None)

    def silently(self) -> MemoryLibrary:
        """The same pictures, changed without telling anyone: what the pipeline gets."""
        twin = MemoryLibrary(self._clock)
        twin._assets, twin._data = self._assets, self._data
        return twin

    def asset(self, asset_id: str) -> Asset | None:
        """See :class:`facelabel.ports.Library`."""
        return self._assets.get(asset_id)

    def find(self, public_id: str) -> Asset | None:
        """See :class:`facelabel.ports.EditableLibrary`."""
        return next((a for a in self._assets.values() if a.public_id == public_id), None)

    def assets(self, folder: str) -> Iterator[Asset]:
        """See :class:`facelabel.ports.Library`."""
        found = [asset for asset in self._assets.values() if asset.in_folder(folder)]
        return iter(sorted(found, key=lambda asset: asset.public_id))

    def fetch(self, asset: Asset) -> bytes:
        """See :class:`facelabel.ports.Library`."""
        self._need(asset.asset_id)
        return self._data[asset.asset_id]

    def add_tags(self, asset_id: str, tags: Sequence[str]) -> None:
        """See :class:`facelabel.ports.Library`."""
        old = self._need(asset_id).tags
        self._replace(asset_id, tags=old + tuple(tag for tag in tags if tag not in old))

    def remove_tags(self, asset_id: str, tags: Sequence[str]) -> None:
        """See :class:`facelabel.ports.Library`."""
        old = self._need(asset_id).tags
        self._replace(asset_id, tags=tuple(tag for tag in old if tag not in tags))

    def set_context(self, asset_id: str, values: Mapping[str, str | None]) -> None:
        """See :class:`facelabel.ports.Library`."""
        merged = {**self._need(asset_id).context, **values}
        self._replace(asset_id, context={k: v for k, v in merged.items() if v is not None})

    def upload(
        self,
        data: bytes,
        *,
        folder: str = "",
        filename: str = "",
        public_id: str | None = None,
        tags: Sequence[str] | None = None,
        context: Mapping[str, str] | None = None,
    ) -> Asset:
        """See :class:`facelabel.ports.EditableLibrary`."""
        digest = hashlib.sha256(data).hexdigest()
        wanted = public_id or "/".join(filter(None, [folder, filename.partition(".")[0] or digest]))
        old = self.find(wanted)
        if old and public_id is None and old.etag != digest:
            wanted = f"{wanted}_{digest[:6]}"
            old = self.find(wanted)
        if old and old.etag == digest:
            self._replace(old.asset_id, tags=old.tags if tags is None else tuple(tags))
            return self._assets[old.asset_id]
        asset = Asset(
            asset_id=old.asset_id if old else uuid.uuid4().hex,
            public_id=wanted,
            folder=folder,
            version=max(old.version + 1 if old else 1, int(self._clock.now())),
            format="json",
            bytes=len(data),
            etag=digest,
            created_at=old.created_at if old else self._clock.now(),
            filename=filename,
            tags=tuple(dict.fromkeys((old.tags if old else ()) if tags is None else tags)),
            context=dict(context or (old.context if old else {})),
        )
        self._data[asset.asset_id] = data
        self._store(asset)
        return asset

    def move(self, asset_id: str, folder: str) -> Asset:
        """See :class:`facelabel.ports.EditableLibrary`."""
        return self._replace(asset_id, folder=folder)

    def rename(self, asset_id: str, public_id: str) -> Asset:
        """See :class:`facelabel.ports.EditableLibrary`."""
        taken = self.find(public_id)
        if taken and taken.asset_id != asset_id:
            raise AlreadyExists(f"there is an asset {public_id!r} already")
        return self._replace(asset_id, public_id=public_id)

    def delete(self, asset_id: str) -> None:
        """See :class:`facelabel.ports.EditableLibrary`."""
        if self._assets.pop(asset_id, None):
            self._data.pop(asset_id)
            self._on_change(asset_id)

    def _need(self, asset_id: str) -> Asset:
        if asset_id not in self._assets:
            raise NotFound(f"there is no asset {asset_id!r}")
        return self._assets[asset_id]

    def _replace(self, asset_id: str, **changes: object) -> Asset:
        old = self._need(asset_id)
        asset = dataclasses.replace(old, **changes)  # type: ignore[arg-type] # our own fields
        if asset != old:
            self._store(asset)
        return asset

    def _store(self, asset: Asset) -> None:
        if any("," in tag for tag in asset.tags):
            raise Rejected("a tag has no comma")
        self._assets[asset.asset_id] = asset
        self._on_change(asset.asset_id)


class MemoryLedger:
    """The ledger in dictionaries."""

    def __init__(self) -> None:
        """Start with no live collection."""
        self._live: str | None = None
        self._generation = 0
        self._enrolments: dict[tuple[str, str], Enrolment] = {}
        self._intents: dict[tuple[str, str], str] = {}
        self._leftovers: dict[str, list[str]] = {}
        self._searches: dict[str, Search] = {}
        self._names: dict[str, dict[str, NameState]] = {}

    def collection(self) -> str | None:
        """See :class:`facelabel.ports.Ledger`."""
        return self._live

    def switch(self, collection: str) -> None:
        """See :class:`facelabel.ports.Ledger`."""
        if collection != self._live:
            self._live = collection
            self._generation += 1

    def generation(self) -> int:
        """See :class:`facelabel.ports.Ledger`."""
        return self._generation

    def enrolment(self, collection: str, asset_id: str) -> Enrolment | None:
        """See :class:`facelabel.ports.Ledger`."""
        return self._enrolments.get((collection, asset_id))

    def enrolments(self, collection: str) -> Iterator[Enrolment]:
        """See :class:`facelabel.ports.Ledger`."""
        return iter([e for (name, _), e in sorted(self._enrolments.items()) if name == collection])

    def holders(self, collection: str, digest: str) -> Sequence[Enrolment]:
        """See :class:`facelabel.ports.Ledger`."""
        return [e for e in self.enrolments(collection) if e.digest == digest]

    def intention(self, collection: str, asset_id: str) -> str | None:
        """See :class:`facelabel.ports.Ledger`."""
        return self._intents.get((collection, asset_id))

    def intend(self, collection: str, asset_id: str, person: str) -> None:
        """See :class:`facelabel.ports.Ledger`."""
        self._intents[collection, asset_id] = person

    def enrol(self, collection: str, enrolment: Enrolment) -> None:
        """See :class:`facelabel.ports.Ledger`."""
        key = (collection, enrolment.asset_id)
        old = self._enrolments.get(key)
        self._intents.pop(key, None)
        self._enrolments[key] = enrolment
        leftovers = self._leftovers.setdefault(collection, [])
        if enrolment.face_id in leftovers:
            leftovers.remove(enrolment.face_id)
        self._release(collection, old)
        self._changed(collection, changed=old != enrolment)

    def unenrol(self, collection: str, asset_id: str) -> Enrolment | None:
        """See :class:`facelabel.ports.Ledger`."""
        old = self._enrolments.pop((collection, asset_id), None)
        self._intents.pop((collection, asset_id), None)
        self._release(collection, old)
        self._changed(collection, changed=old is not None)
        return old

    def leftovers(self, collection: str) -> Sequence[str]:
        """See :class:`facelabel.ports.Ledger`."""
        return tuple(self._leftovers.get(collection, ()))

    def cleared(self, collection: str, face_ids: Sequence[str]) -> None:
        """See :class:`facelabel.ports.Ledger`."""
        kept = [face for face in self.leftovers(collection) if face not in face_ids]
        self._leftovers[collection] = kept

    def purge(self, collection: str) -> None:
        """See :class:`facelabel.ports.Ledger`."""
        if collection == self._live:
            raise Rejected(f"the collection {collection!r} is live")
        self._enrolments = {k: e for k, e in self._enrolments.items() if k[0] != collection}
        self._intents = {k: p for k, p in self._intents.items() if k[0] != collection}
        self._leftovers.pop(collection, None)

    def search(self, asset_id: str) -> Search | None:
        """See :class:`facelabel.ports.Ledger`."""
        return self._searches.get(asset_id)

    def searches(self, asset_ids: Sequence[str]) -> Mapping[str, Search]:
        """See :class:`facelabel.ports.Ledger`."""
        return {i: self._searches[i] for i in asset_ids if i in self._searches}

    def record(self, search: Search) -> None:
        """See :class:`facelabel.ports.Ledger`."""
        old = self._searches.get(search.asset_id, search)
        if (search.version, search.generation) >= (old.version, old.generation):
            self._searches[search.asset_id] = search

    def stale(self, generation: int, limit: int) -> Sequence[Search]:
        """See :class:`facelabel.ports.Ledger`."""
        found = [s for s in self._searches.values() if s.generation < generation]
        return sorted(found, key=lambda s: (s.generation, s.asset_id))[:limit]

    def names(self, asset_id: str) -> Mapping[str, NameState]:
        """See :class:`facelabel.ports.Ledger`."""
        return dict(self._names.get(asset_id, {}))

    def mark(self, asset_id: str, states: Mapping[str, NameState | None]) -> None:
        """See :class:`facelabel.ports.Ledger`."""
        merged = {**self.names(asset_id), **states}
        self._names[asset_id] = {n: state for n, state in merged.items() if state is not None}

    def forget_asset(self, asset_id: str) -> None:
        """See :class:`facelabel.ports.Ledger`."""
        self._searches.pop(asset_id, None)
        self._names.pop(asset_id, None)

    def _release(self, collection: str, old: Enrolment | None) -> None:
        if old and all(e.face_id != old.face_id for e in self.enrolments(collection)):
            self._leftovers.setdefault(collection, []).append(old.face_id)

    def _changed(self, collection: str, *, changed: bool) -> None:
        self._generation += changed and collection == self._live


@dataclasses.dataclass
class _Row:
    """A job as it stands in the queue."""

    job: Job
    again: bool = False


class MemoryQueue:
    """The queue in a dictionary, safe between threads."""

    def __init__(self, clock: Clock | None = None, lease: float = 60.0) -> None:
        """Lease jobs for ``lease`` seconds of ``clock``."""
        self._clock = clock or ManualClock()
        self._lease = lease
        self._rows: dict[tuple[JobKind, str], _Row] = {}
        self._ids = itertools.count(1)
        self._lock = threading.RLock()

    def enqueue(
        self, kind: JobKind, key: str, payload: Json | None = None, *, delay: float = 0.0
    ) -> None:
        """See :class:`facelabel.ports.Queue`."""
        now = self._clock.now()
        with self._lock:
            row = self._rows.get((kind, key))
            if row is None:
                job = Job(
                    next(self._ids), kind, key, payload or {}, JobState.READY, 0, now + delay,
                    enqueued_at=now,
                )  # fmt: skip
                self._rows[kind, key] = _Row(job)
            elif row.job.state is JobState.DEAD:
                row.job = self._fresh(row.job, now + delay, payload or {})
            elif row.job.token:
                row.again = True
                row.job = dataclasses.replace(row.job, payload=payload or {})
            else:
                run_at = min(row.job.run_at, now + delay)
                row.job = dataclasses.replace(row.job, run_at=run_at, payload=payload or {})

    def claim(self) -> Job | None:
        """See :class:`facelabel.ports.Queue`."""
        now = self._clock.now()
        with self._lock:
            due = [row for row in self._ready() if row.job.run_at <= now]
            if not due:
                return None
            row = min(due, key=lambda row: (row.job.run_at, row.job.job_id))
            row.job = dataclasses.replace(
                row.job, tries=row.job.tries + 1, run_at=now + self._lease, token=uuid.uuid4().hex
            )
            return row.job

    def heartbeat(self, job: Job) -> bool:
        """See :class:`facelabel.ports.Queue`."""
        return self._settle(job, run_at=self._clock.now() + self._lease)

    def finish(self, job: Job) -> bool:
        """See :class:`facelabel.ports.Queue`."""
        with self._lock:
            row = self._held(job)
            if row and row.again:
                self._again(row)
            elif row:
                del self._rows[job.kind, job.key]
            return row is not None

    def retry(self, job: Job, reason: str, delay: float) -> bool:
        """See :class:`facelabel.ports.Queue`."""
        run_at = self._clock.now() + delay
        return self._settle(job, run_at=run_at, token=None, reason=reason)

    def bury(self, job: Job, reason: str) -> bool:
        """See :class:`facelabel.ports.Queue`."""
        with self._lock:
            row = self._held(job)
            if row and row.again:
                self._again(row)
                return True
            return self._settle(job, state=JobState.DEAD, token=None, reason=reason)

    def pending(self) -> int:
        """See :class:`facelabel.ports.Queue`."""
        return len(self._ready())

    def next_due(self) -> float | None:
        """See :class:`facelabel.ports.Queue`."""
        return min((row.job.run_at for row in self._ready()), default=None)

    def jobs(self, state: JobState | None = None, limit: int = 100) -> Sequence[Job]:
        """See :class:`facelabel.ports.Queue`."""
        found = [row.job for row in self._rows.values() if state in {None, row.job.state}]
        return sorted(found, key=lambda job: job.job_id)[:limit]

    def revive(self, job_ids: Iterable[int] | None = None) -> int:
        """See :class:`facelabel.ports.Queue`."""
        dead = self._dead(job_ids)
        for row in dead:
            row.job = self._fresh(row.job, self._clock.now(), row.job.payload)
        return len(dead)

    def drop(self, job_ids: Iterable[int] | None = None) -> int:
        """See :class:`facelabel.ports.Queue`."""
        dead = self._dead(job_ids)
        for row in dead:
            del self._rows[row.job.kind, row.job.key]
        return len(dead)

    def _ready(self) -> list[_Row]:
        return [row for row in self._rows.values() if row.job.state is JobState.READY]

    def _dead(self, job_ids: Iterable[int] | None) -> list[_Row]:
        dead = [row for row in self._rows.values() if row.job.state is JobState.DEAD]
        wanted = None if job_ids is None else set(job_ids)
        return [row for row in dead if wanted is None or row.job.job_id in wanted]

    def _held(self, job: Job) -> _Row | None:
        row = self._rows.get((job.kind, job.key))
        return row if row and row.job.token == job.token and job.token else None

    def _settle(self, job: Job, **changes: object) -> bool:
        with self._lock:
            row = self._held(job)
            if row:
                row.job = dataclasses.replace(row.job, **changes)  # type: ignore[arg-type] # ours
            return row is not None

    def _again(self, row: _Row) -> None:
        row.again = False
        row.job = self._fresh(row.job, self._clock.now(), row.job.payload)

    @staticmethod
    def _fresh(job: Job, run_at: float, payload: Json) -> Job:
        return dataclasses.replace(
            job, state=JobState.READY, tries=0, run_at=run_at, payload=payload, token=None,
            reason="",
        )  # fmt: skip


@dataclasses.dataclass
class _Collection:
    number: int
    model: str
    rows: dict[int, tuple[EnrolledFace, Template, str]]
    deletions: list[tuple[int, int]]


class MemoryTemplates:
    """Templates in dictionaries."""

    def __init__(self) -> None:
        """Start with no collection."""
        self._numbers = itertools.count(1)
        self._rows = itertools.count(1)
        self._collections: dict[str, _Collection] = {}
        self._kept: dict[str, tuple[int, str, Analysis]] = {}

    def create(self, collection: str, model: str, dimensions: int) -> None:  # noqa: ARG002 - port
        """See :class:`facelabel.ports.Templates`."""
        if collection not in self._collections:
            self._collections[collection] = _Collection(next(self._numbers), model, {}, [])

    def collections(self) -> Sequence[str]:
        """See :class:`facelabel.ports.Templates`."""
        return sorted(self._collections)

    def drop(self, collection: str) -> None:
        """See :class:`facelabel.ports.Templates`."""
        self._collections.pop(collection, None)

    def model(self, collection: str) -> str | None:
        """See :class:`facelabel.ports.Templates`."""
        found = self._collections.get(collection)
        return found.model if found else None

    def collection_id(self, collection: str) -> int | None:
        """See :class:`facelabel.ports.Templates`."""
        found = self._collections.get(collection)
        return found.number if found else None

    def add(self, collection: str, face: EnrolledFace, template: Template, digest: str) -> None:
        """See :class:`facelabel.ports.Templates`."""
        rows = self._need(collection).rows
        if all(known.face_id != face.face_id for known, _, _ in rows.values()):
            rows[next(self._rows)] = (face, template, digest)

    def delete(self, collection: str, face_ids: Sequence[str]) -> None:
        """See :class:`facelabel.ports.Templates`."""
        found = self._need(collection)
        for row in [row for row, (face, _, _) in found.rows.items() if face.face_id in face_ids]:
            del found.rows[row]
            found.deletions.append((len(found.deletions) + 1, row))

    def faces(
        self, collection: str, face_ids: Sequence[str] | None = None
    ) -> Iterator[EnrolledFace]:
        """See :class:`facelabel.ports.Templates`."""
        known = [face for face, _, _ in self._need(collection).rows.values()]
        return iter([f for f in known if face_ids is None or f.face_id in face_ids])

    def labels(self, collection_id: int, rows: Sequence[int]) -> Mapping[int, EnrolledFace]:
        """See :class:`facelabel.ports.Templates`."""
        known = self._numbered(collection_id).rows
        return {row: known[row][0] for row in rows if row in known}

    def vectors(self, collection_id: int, after: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """See :class:`facelabel.ports.Templates`."""
        known = self._numbered(collection_id).rows
        return [(row, known[row][1].vector) for row in sorted(known) if row > after][:limit]

    def deleted(self, collection_id: int, after: int) -> Sequence[tuple[int, int]]:
        """See :class:`facelabel.ports.Templates`."""
        return [entry for entry in self._numbered(collection_id).deletions if entry[0] > after]

    def keep(self, asset: Asset, model: str, analysis: Analysis) -> None:
        """See :class:`facelabel.ports.Templates`."""
        self._kept[asset.asset_id] = (asset.version, model, analysis)

    def kept(self, asset_ids: Sequence[str], model: str) -> Mapping[str, tuple[int, Analysis]]:
        """See :class:`facelabel.ports.Templates`."""
        found = {i: self._kept[i] for i in asset_ids if i in self._kept}
        return {i: (version, seen) for i, (version, m, seen) in found.items() if m == model}

    def discard(self, asset_id: str) -> None:
        """See :class:`facelabel.ports.Templates`."""
        self._kept.pop(asset_id, None)

    def _need(self, collection: str) -> _Collection:
        if collection not in self._collections:
            raise NotFound(f"there is no collection {collection!r}")
        return self._collections[collection]

    def _numbered(self, number: int) -> _Collection:
        nothing = _Collection(number, "", {}, [])
        return next((c for c in self._collections.values() if c.number == number), nothing)


class MemoryIndex:
    """Nearest neighbours by looking at every vector."""

    def __init__(self, templates: Templates) -> None:
        """Search the vectors of ``templates``."""
        self._templates = templates

    def search(
        self, collection_id: int, vectors: Sequence[bytes], count: int
    ) -> Sequence[Sequence[tuple[int, float]]]:
        """See :class:`facelabel.ports.VectorIndex`."""
        rows = self._templates.vectors(collection_id, 0, 1 << 30)
        return [
            sorted(((row, _distance(vector, other)) for row, other in rows), key=lambda r: r[1])[
                :count
            ]
            for vector in vectors
        ]

    def drop(self, collection_id: int) -> None:
        """See :class:`facelabel.ports.VectorIndex`; nothing is derived here."""


def vector(*numbers: float) -> bytes:
    """The numbers as the bytes of a unit vector."""
    length = math.hypot(*numbers)
    return struct.pack(f"<{len(numbers)}f", *(number / length for number in numbers))


def _distance(one: bytes, other: bytes) -> float:
    pairs = zip(struct.iter_unpack("<f", one), struct.iter_unpack("<f", other), strict=True)
    return math.sqrt(sum((a - b) ** 2 for (a,), (b,) in pairs))
