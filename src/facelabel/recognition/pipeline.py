"""The way of a picture: fetch, enrol or identify, write names, record.

A job never says what happened, only which asset to look at: the asset is read as it is now, and
everything about it is brought to what it should be. So jobs may come twice, late or out of
order. The order of the steps lets a process die between any two of them:

* enrol: note whom we enrol, ask the recogniser, record. A face found enrolled and not recorded is
  recorded by the next job. A face that nobody holds any more is first a *leftover* in the ledger,
  then forgotten, then cleared, which counts as a change: who looked until then may have seen it.
* identify: read the generation of the gallery, search, record, mark and write the names. If the
  gallery changed meanwhile the recorded generation is too old, and a sweep looks again.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from facelabel.core import false_matches, label_policy, matching, names, naming
from facelabel.core.model import (
    Enrolment,
    JobKind,
    JobRequest,
    NameState,
    Outcome,
    OutcomeKind,
    Scope,
    Search,
)
from facelabel.errors import ConfigurationError, LabelRefused, NotFound, Rejected, Unavailable
from facelabel.recognition import doubts, lookback

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from facelabel.core.label_policy import Scheme
    from facelabel.core.model import Asset, Basis, Job, NamedFace, Sighting
    from facelabel.ports import Clock, Ledger, Library, Queue, Recognizer

#: Context key that tells the owner of an image why it was refused.
ERROR_KEY = "facelabel_error"
#: Characters of it; context values are limited.
MAX_REASON = 500
SWEEP_KEY = "all"
#: Seconds a sweep waits, so that several portraits learnt together cost one sweep.
SWEEP_DELAY = 1.0
#: Of an enrolment that nobody knows the image of any more; real ones are greater.
_NO_VERSION = 0


@dataclass(frozen=True, slots=True)
class Thrift:
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
class Pipeline:
    """Handles the jobs; all state is behind its ports."""

    library: Library
    recognizer: Recognizer
    ledger: Ledger
    queue: Queue
    clock: Clock
    scheme: Scheme
    #: None: searching costs nothing but time.
    thrift: Thrift | None = None
    #: Pictures one turn of the sweep decides again; other jobs come between two turns.
    sweep_batch: int = 256
    #: Pictures of which one turn finds out whether they have to be.
    confirm_batch: int = lookback.AT_ONCE

    def examine(self, job: Job) -> Outcome:
        """Bring one asset to what it should be; Rejected is also written on the image."""
        asset = self.library.asset(job.key)
        if asset is None:
            return self._gone(job.key)
        try:
            with self.one_collection() as live:
                trains = self.scheme.trains(asset)
                outcome = self._train(asset) if trains else self._look(asset, live)
            self._report(asset, None)
        except Rejected as rejection:
            if self.library.asset(job.key) is None:  # deleted while we worked
                return self._gone(job.key)
            self._report(asset, str(rejection)[:MAX_REASON])
            self.schedule_sweep()
            raise
        self.schedule_sweep()
        return replace(outcome, asset_id=asset.asset_id, public_id=asset.public_id)

    def sweep(self, _job: Job) -> Outcome:
        """Decide again about pictures searched before the gallery last changed in their sight.

        Needs no image. A picture whose names change gets a job of its own, so that names are
        written in one place only.
        """
        generation, collection, rules = self.ledger.generation(), self.collection(), self.rules()
        searches: Sequence[Search] = ()
        with self.one_collection():
            scope = Scope(generation, collection, self.scheme.fingerprint)
            more = lookback.confirm(self.ledger, self.recognizer, scope, rules, self.confirm_batch)
            if not more:
                searches = self.ledger.stale(generation, self.sweep_batch)
                sightings = self._recall(collection, searches)
                self._revisit(searches, sightings, scope, rules)
        if more or len(searches) == self.sweep_batch:
            self.queue.enqueue(JobKind.SWEEP, SWEEP_KEY)
        return Outcome(OutcomeKind.SWEPT, note=f"{len(searches)} pictures")

    def collection(self) -> str:
        """Return the live collection, made at the first need."""
        live = self.ledger.collection()
        if live is None:
            self.recognizer.create(self.scheme.collection)
            live = self.ledger.begin(self.scheme.collection)
        return live

    def needs_search(self, asset: Asset) -> bool:
        """Whether an image of the recognition folder was not searched yet, or is out of date."""
        last = self.ledger.search(asset.asset_id)
        return last is None or not self.is_fresh(last, asset)

    def is_fresh(self, last: Search, asset: Asset) -> bool:
        """Whether searching again would see the same image, the same people, the same rules."""
        return self._fresh(last, asset, self.ledger.generation())

    def look_anew(self, asset_ids: Sequence[str]) -> None:
        """Have pictures searched as if for the first time when they are looked at next.

        What people decided about their names stays.
        """
        for last in self.ledger.searches(asset_ids).values():
            self.recognizer.discard(last.asset_id)
            self.ledger.record(replace(last, rules=label_policy.undecided(last.rules)))

    def schedule_sweep(self) -> None:
        """Have pictures searched again that were searched before the gallery last changed.

        Every job about an asset ends with this: it, or another one at the same time, may have
        changed the gallery, and a process that died before this line runs the job again.
        """
        if self.ledger.stale(self.ledger.generation(), 1):
            delay = self.thrift.delay if self.thrift else SWEEP_DELAY
            self.queue.enqueue(JobKind.SWEEP, SWEEP_KEY, delay=delay)

    # ---- training images

    def _train(self, asset: Asset) -> Outcome:
        """Make the index mirror the label."""
        asset = self._withdraw(asset)
        collection = self.collection()
        current = self._current(asset, collection)
        person = self._person(asset, current, collection)
        if person is None:
            gone = self._expel(asset, collection)
            return Outcome(OutcomeKind.UNENROLLED if gone else OutcomeKind.IGNORED, note="no label")
        if current and (current.person, current.version) == (person, asset.version):
            kind, enrolment = OutcomeKind.UNCHANGED, self._renamed(current, asset, collection)
        else:
            kind, enrolment = OutcomeKind.ENROLLED, self._enrol(asset, person, collection)
        self._forget_leftovers(collection)
        self._tag_face(asset, enrolment.face_id)
        threshold = self.scheme.rules.threshold
        asked = doubts.about(self.ledger, self.recognizer, collection, enrolment, threshold)
        return Outcome(kind, names=(person,), note=asked)

    def _renamed(self, line: Enrolment, asset: Asset, collection: str) -> Enrolment:
        """The enrolment under the image's present public_id, by which people know it."""
        if line.public_id == asset.public_id:
            return line
        renamed = replace(line, public_id=asset.public_id)
        self.ledger.enrol(collection, renamed)
        return renamed

    def _current(self, asset: Asset, collection: str) -> Enrolment | None:
        """The image's enrolment; one whose face the collection has lost is ended."""
        self._adopt_abandoned(asset.asset_id, collection)
        current = self.ledger.enrolment(collection, asset.asset_id)
        if current and not self._stands(current, collection):
            self._unenrol(asset.asset_id, collection)
            return None
        return current

    def _stands(self, enrolment: Enrolment, collection: str) -> bool:
        return any(True for _ in self.recognizer.faces(collection, [enrolment.face_id]))

    def _person(self, asset: Asset, current: Enrolment | None, collection: str) -> str | None:
        """Whom the labels name; where they cannot be obeyed, end what they no longer say."""
        try:
            return self.scheme.person(asset)
        except LabelRefused:
            # Between two labels the old enrolment stays, as long as its label does.
            if not (current and self.scheme.still_says(asset, current.person)):
                self._expel(asset, collection)
            raise

    def _enrol(self, asset: Asset, person: str, collection: str) -> Enrolment:
        image = self.library.fetch(asset)
        digest = hashlib.sha256(image).hexdigest()
        face_id = self.copy(digest, person, collection)
        if face_id is None:
            self.ledger.intend(collection, asset.asset_id, person)
            try:
                face_id = self.recognizer.enrol(collection, image, person, asset).face_id
            except Rejected:
                self._expel(asset, collection)
                raise
        enrolment = Enrolment(
            asset.asset_id, asset.public_id, asset.version, digest, person, face_id
        )
        self.ledger.enrol(collection, enrolment)
        if not self._stands(enrolment, collection):
            # Another worker forgot the same picture's face between our two steps.
            raise Unavailable("the face was forgotten while it was enrolled again")
        return enrolment

    def copy(self, digest: str, person: str, collection: str) -> str | None:
        """The face that a picture of that content was enrolled as, if it stands: that is free."""
        for line in self.ledger.holders(collection, digest):
            if line.person == person and self._stands(line, collection):
                return line.face_id
        return None

    def _expel(self, asset: Asset, collection: str) -> bool:
        """Un-enrol an image that is still there; its tag goes while the ledger tells of it."""
        self._tag_face(asset, None)
        return self._unenrol(asset.asset_id, collection)

    def _unenrol(self, asset_id: str, collection: str) -> bool:
        intended = self._adopt_abandoned(asset_id, collection)
        gone = None
        # Most pictures were never learnt from: to find that out nothing need be written.
        if intended or self.ledger.enrolment(collection, asset_id):
            gone = self.ledger.unenrol(collection, asset_id)
        self._forget_leftovers(collection)
        return gone is not None

    def _forget_leftovers(self, collection: str) -> None:
        leftovers = self.ledger.leftovers(collection)
        if leftovers:
            self.recognizer.forget(collection, leftovers)
            self._restore(leftovers, collection)
            self.ledger.cleared(collection, leftovers)

    def _restore(self, forgotten: Sequence[str], collection: str) -> None:
        """Have faces enrolled again that another worker enrolled just before we forgot them."""
        for enrolment in self.ledger.enrolments(collection, forgotten):
            self.queue.enqueue(JobKind.ASSET, enrolment.asset_id)

    def _adopt_abandoned(self, asset_id: str, collection: str) -> bool:
        """Record what a process enrolled for this asset and died before recording.

        From then on it is an out-of-date enrolment like any other: pictures may already have
        been named by it. Returns whether a process had noted that it would enrol.
        """
        person = self.ledger.intention(collection, asset_id)
        if person is None:
            return False
        enrolled = [
            face.face_id
            for face in self.recognizer.faces(collection)
            if face.person == person and face.is_of(asset_id)
        ]
        held = {line.face_id for line in self.ledger.enrolments(collection, enrolled)}
        for face_id in enrolled:
            if face_id not in held:
                self.adopt(asset_id, face_id, person, collection)
        current = self.ledger.enrolment(collection, asset_id)
        if current:
            self.ledger.enrol(collection, current)  # clears the intention
        return True

    def adopt(self, asset_id: str, face_id: str, person: str, collection: str) -> None:
        """Record a face of which no more is known; the next job finds it out of date."""
        line = Enrolment(asset_id, "", _NO_VERSION, face_id, person, face_id)
        self.ledger.enrol(collection, line)

    def _tag_face(self, asset: Asset, face_id: str | None) -> None:
        """Leave exactly the tag of this face on the image."""
        wanted = frozenset({names.face_id_tag(face_id)} if face_id else ())
        present = names.face_id_tags(asset.tags)
        if wanted - present:
            self.library.add_tags(asset.asset_id, sorted(wanted - present))
        if present - wanted:
            self._forget_former(present - wanted)
            self.library.remove_tags(asset.asset_id, sorted(present - wanted))

    def _forget_former(self, tags: Collection[str]) -> None:
        """Forget what another program, such as the original app, learnt from an image of ours."""
        if (live := self.ledger.collection()) is None:
            return
        ids = [tag.removeprefix(names.FACE_ID_PREFIX) for tag in tags]
        former = [f.face_id for f in self.recognizer.faces(live, ids) if not f.is_traced]
        if former:
            self.recognizer.forget(live, former)
            self.ledger.cleared(live, former)

    # ---- pictures to search

    def _look(self, asset: Asset, live: str | None) -> Outcome:
        """Un-enrol what is no training image any more; search what is to be searched."""
        tagged = names.face_id_tags(asset.tags)
        if live and tagged and self.ledger.enrolment(live, asset.asset_id):
            self._tag_face(asset, None)
        unenrolled = live is not None and self._unenrol(asset.asset_id, live)
        if self.scheme.searches(asset) or self.ledger.search(asset.asset_id):
            return self._identify(asset)
        kind = OutcomeKind.UNENROLLED if unenrolled else OutcomeKind.IGNORED
        return Outcome(kind, note="outside our folders")

    def _identify(self, asset: Asset) -> Outcome:
        generation, collection = self.ledger.generation(), self.collection()
        last = self.ledger.search(asset.asset_id)
        new_content = last is not None and last.version != asset.version
        marks, decided = self._decisions(asset, last)
        calls, basis = 0, None
        if last and not decided and self._fresh(last, asset, generation):
            search = last
        else:
            try:
                sighting = self._sighting(asset, last, collection)
            except Rejected:
                if new_content:  # our names are about a picture that is gone
                    self._write(asset, naming.plan(marks, self._seen(asset), frozenset()))
                raise
            calls, rules = sighting.calls, self.rules()
            search = self._decide(asset, sighting, collection, generation, marks, rules)
            basis = lookback.basis(sighting, rules)
        plan = naming.plan(marks, self._seen(asset), search.names)
        if search is not last:
            self.ledger.record(search, basis)
        self._write(asset, plan)
        same = search is last and not (plan.add or plan.remove)
        return Outcome(
            OutcomeKind.UNCHANGED if same else OutcomeKind.IDENTIFIED,
            names=tuple(sorted(search.names)), added=plan.add, removed=plan.remove,
            note=f"{calls} paid calls" if calls else "", left_out=len(search.left_out),
        )  # fmt: skip

    def _decisions(self, asset: Asset, last: Search | None) -> tuple[Mapping[str, NameState], bool]:
        """Record what people decided about our names; return the marks and whether any changed."""
        marks = self.ledger.names(asset.asset_id)
        changes = self.decisions(asset, last, marks)
        if changes:
            self.ledger.mark(asset.asset_id, changes)
            marks = self.ledger.names(asset.asset_id)
        return marks, bool(changes)

    def decisions(
        self, asset: Asset, last: Search | None, marks: Mapping[str, NameState]
    ) -> Mapping[str, NameState | None]:
        """What people decided about our names since the last search."""
        return naming.decisions(
            marks,
            self._seen(asset),
            new_content=last is not None and last.version != asset.version,
            moved=last is not None and not self.scheme.same_places(last.rules),
        )

    def _seen(self, asset: Asset) -> naming.Seen:
        return self.scheme.places.seen(asset)

    def _fresh(self, last: Search, asset: Asset, generation: int) -> bool:
        seen = (last.version, last.generation, last.rules)
        return seen == (asset.version, generation, self.scheme.fingerprint)

    def _sighting(self, asset: Asset, last: Search | None, collection: str) -> Sighting:
        """Recall the faces of the picture, or fetch it and look."""
        if last and last.version == asset.version:
            recalled = self._recall(collection, [last]).get(asset.asset_id)
            if recalled:
                return recalled
        return self.recognizer.identify(collection, self.library.fetch(asset), asset)

    def _recall(self, collection: str, searches: Sequence[Search]) -> Mapping[str, Sighting]:
        """Search again without images, or where that is paid for, remember the last search."""
        recalled = dict(self.recognizer.recall(collection, searches))
        if self.thrift:
            known = [
                search
                for search in searches
                if search.asset_id not in recalled
                and search.collection == collection
                and label_policy.is_decided(search.rules)
            ]
            recalled.update(self._remembered(collection, known))
        return recalled

    def _remembered(self, collection: str, searches: Sequence[Search]) -> Mapping[str, Sighting]:
        """What these searches saw, where the faces that gave names stand."""
        faces = frozenset(seen.face_id for search in searches for seen in search.candidates)
        standing = {face.face_id for face in self.recognizer.faces(collection, sorted(faces))}
        return {
            search.asset_id: search.remembered(standing)
            for search in searches
            if search.winners <= standing
        }

    def _due(self, search: Search) -> bool:
        """Whether somebody learnt just now may be on a picture whose last search we remember."""
        if self.thrift is None or search.searched_at < self.clock.now() - self.thrift.look_back:
            return False
        return any(face.name is None for face in search.faces)

    def _decide(
        self,
        asset: Asset | Search,
        sighting: Sighting,
        collection: str,
        generation: int,
        marks: Mapping[str, NameState],
        rules: matching.Rules,
    ) -> Search:
        faces = matching.assign(sighting.faces, rules, naming.refused(marks), sighting.portraits)
        return Search(
            asset.asset_id, asset.public_id, asset.version, collection, generation,
            self.scheme.fingerprint, sighting.model, faces, sighting.left_out, self.clock.now(),
            sighting.portraits if rules.strangers else None,
        )  # fmt: skip

    def named(self, sighting: Sighting) -> tuple[NamedFace, ...]:
        """Decide who is who in a picture that is not ours."""
        return matching.assign(sighting.faces, self.rules(), portraits=sighting.portraits)

    def portraits(self) -> int | None:
        """How many portraits a face is compared with; None where it is not known what that means.

        None, too, where nobody was learnt yet.
        """
        live = self.ledger.collection()
        if live is None or live not in self.recognizer.collections():
            return None
        return self.recognizer.portraits(live)

    def rules(self) -> matching.Rules:
        """When a face gets a name: what was asked for, else what the gallery was begun with."""
        rules = self.scheme.rules
        if rules.strangers is not None:
            return rules
        begun_with = false_matches.STRANGERS if self.ledger.weighs_strangers() else 0.0
        return replace(rules, strangers=begun_with)

    def _write(self, asset: Asset, plan: naming.NamePlan) -> None:
        """Change the names, marked before and after."""
        if plan.before:
            self.ledger.mark(asset.asset_id, plan.before)
        if plan.add or plan.remove:
            self._write_names(asset, plan)
        if plan.after:
            self.ledger.mark(asset.asset_id, plan.after)

    def _write_names(self, asset: Asset, plan: naming.NamePlan) -> None:
        places = self.scheme.places
        if places.tags and plan.add:
            self.library.add_tags(asset.asset_id, [places.prefix + name for name in plan.add])
        if places.tags and plan.remove:
            self.library.remove_tags(asset.asset_id, [places.prefix + n for n in plan.remove])
        if places.field or places.context:
            # Neither can be added to in one step: what others put there is read just before.
            self._write_values(self.library.asset(asset.asset_id) or asset, plan)

    def _write_values(self, asset: Asset, plan: naming.NamePlan) -> None:
        places = self.scheme.places
        if places.field:
            old = label_policy.field_values(asset, places.field)
            self.library.set_metadata(asset.asset_id, places.field, plan.applied(old))
        if places.context:
            text = ", ".join(plan.applied(label_policy.context_values(asset, places.context)))
            self.library.set_context(asset.asset_id, {places.context: text or None})

    def _revisit(
        self,
        searches: Sequence[Search],
        sightings: Mapping[str, Sighting],
        scope: Scope,
        rules: matching.Rules,
    ) -> None:
        """Record what is decided now; what must be left to the picture's own job gets that first.

        Two steps for all of them, as writing is most of the work. A picture that its own job was
        quicker with is left as that job left it.
        """
        marks = self.ledger.marks([search.asset_id for search in searches])
        jobs: list[JobRequest] = []
        lines: list[tuple[Search, Basis | None]] = []
        for search in searches:
            sighting = sightings.get(search.asset_id)
            again = self._again(search, sighting, scope, marks.get(search.asset_id, {}), rules)
            if again and sighting:
                lines.append((again, lookback.basis(sighting, rules)))
            else:
                jobs.append(JobRequest(JobKind.ASSET, search.asset_id))
                undecided = label_policy.undecided(search.rules)
                line = replace(search, generation=scope.generation, rules=undecided)
                lines.append((line, None))
        self.queue.enqueue_all(jobs)
        self.ledger.revise(lines)

    def _again(
        self,
        search: Search,
        sighting: Sighting | None,
        scope: Scope,
        marks: Mapping[str, NameState],
        rules: matching.Rules,
    ) -> Search | None:
        """The search as decided now, if its names stay; None where its own job is needed."""
        if sighting is None or self._due(search) or not label_policy.is_decided(search.rules):
            return None
        again = self._decide(search, sighting, scope.collection, scope.generation, marks, rules)
        return again if again.names == search.names else None

    def _withdraw(self, asset: Asset) -> Asset:
        """A picture that became a training image: take the names back that we wrote."""
        marks = self.ledger.names(asset.asset_id)
        if marks or self.ledger.search(asset.asset_id):
            self._write(asset, naming.plan(marks, self._seen(asset), frozenset()))
            self.recognizer.discard(asset.asset_id)
            self.ledger.forget_asset(asset.asset_id)
            # A metadata field that held our names may be the one that labels portraits.
            return self.library.asset(asset.asset_id) or asset
        return asset

    # ---- both

    def _gone(self, asset_id: str) -> Outcome:
        """A deleted asset: nothing of it stays."""
        live = self.ledger.collection()
        if live:
            with self.one_collection():
                self._unenrol(asset_id, live)
        self.recognizer.discard(asset_id)
        self.ledger.forget_asset(asset_id)
        self.schedule_sweep()
        return Outcome(OutcomeKind.GONE, asset_id=asset_id)

    @contextmanager
    def one_collection(self) -> Iterator[str | None]:
        """With the live one: where that is not found, Unavailable or a ConfigurationError.

        Unavailable if the index was rebuilt meanwhile.
        """
        live = self.ledger.collection()
        try:
            yield live
        except NotFound as error:
            if live is None:
                raise
            if live != self.ledger.collection():
                raise Unavailable("the index was rebuilt meanwhile") from error
            if live in self.recognizer.collections():
                raise
            raise ConfigurationError(
                f"the collection {live!r}, in which everybody was learnt, is not there: it was"
                " deleted, or somebody else knows faces now (setting faces, AWS's credentials)."
                " If that is meant, `facelabel index --rebuild` learns everybody anew"
            ) from error

    def _report(self, asset: Asset, reason: str | None) -> None:
        """Show the owner of the image why it was refused, or that it no longer is."""
        if asset.context.get(ERROR_KEY) != reason:
            try:
                self.library.set_context(asset.asset_id, {ERROR_KEY: reason})
            except NotFound:
                return  # deleted meanwhile: a job for that is on its way
