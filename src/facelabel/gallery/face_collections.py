"""Rekognition's face operations with an engine, the galleries and an index over their vectors.

Which faces of an image are good enough is a filter's to say. AUTO is what the engine itself calls
good enough to enrol. The other bars are steps around it: MEDIUM about the same, LOW takes faces
that a person still recognises, HIGH only those as good as a plain portrait. Every bar but NONE
refuses the faces that the engine finds too small.

A search compares with faces that passed a bar when they were indexed. Where two images are
compared, and among faces on their way into an index, nobody has chosen either side: there a filter
asks for :class:`facelabel.core.quality.Comparable` as well. Whoever asks for LOW takes less sharp
faces than that rule does, but none in which the embedder sees nobody.
"""

from __future__ import annotations

import hashlib
import math
import struct
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from facelabel.core.model import Reason
from facelabel.core.quality import QualityThresholds
from facelabel.errors import NotFound, UnusableFace
from facelabel.gallery.recognizer import LocalGallery
from facelabel.rekognition import external_ids
from facelabel.rekognition.types import (
    ComparedFace,
    Comparison,
    FaceMatch,
    ImageSearch,
    ImageUserSearch,
    Indexed,
    IndexedFace,
    NewFace,
    QualityFilter,
    User,
    UserMatch,
    UserStatus,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from facelabel.core.model import Analysis, Face, Template
    from facelabel.core.quality import Comparable
    from facelabel.gallery.ports import FaceEngine, FaceUsers, Galleries, VectorIndex
    from facelabel.rekognition.types import (
        Association,
        Deletion,
        FaceCollection,
        FaceRecord,
        Gallery,
    )

#: Faces of one image that are indexed, detected or compared.
MAX_FACES = 100

#: Of the ids of faces that clients index. Enrolled ones have another one, as their ids come of a
#: person's name where these come of an external id and a place in the picture.
_FACES = uuid.UUID("c2a4b8de-1d63-5f0a-9c1e-6b0f4a7e2d35")
#: The engine has judged the size by now.
_NO_MATTER = (0, 0)
_BARS = {
    QualityFilter.LOW: QualityThresholds(
        confidence=60, sharpness=25, brightness=10, yaw=60, pitch=50
    ),
    QualityFilter.MEDIUM: QualityThresholds(
        confidence=70, sharpness=40, brightness=15, yaw=45, pitch=40
    ),
    QualityFilter.HIGH: QualityThresholds(
        confidence=85, sharpness=55, brightness=25, yaw=30, pitch=25
    ),
}


class LocalCollections:
    """Implements :class:`facelabel.rekognition.ports.FaceCollections`; threads may share it."""

    def __init__(
        self,
        engine: Callable[[str | None], FaceEngine],
        galleries: Galleries,
        users: FaceUsers,
        index: VectorIndex,
    ) -> None:
        """``engine`` gives the engine of a model, and for None the one of new collections."""
        self._local = LocalGallery(engine, galleries, index)
        self._galleries = galleries
        self._users = users

    def create(self, collection: str, tags: Mapping[str, str]) -> FaceCollection:
        """Make an empty collection for the engine's present model; AlreadyExists."""
        return self._local.create(collection, tags)

    def describe(self, collection: str) -> FaceCollection:
        """Return a collection as it is now."""
        return self._galleries.describe(collection)

    def model(self, collection: str) -> str:
        """Return the model of a collection's vectors, for which nothing has to be counted."""
        return self._galleries.find(collection).model

    def collections(self, after: str, limit: int) -> Sequence[FaceCollection]:
        """Return the next collections by name, those above ``after``."""
        return self._galleries.collections(after, limit)

    def delete(self, collection: str) -> None:
        """Delete a collection with its faces, users and tags."""
        self._local.drop(collection)

    def index(
        self,
        collection: str,
        image: bytes,
        external_image_id: str | None,
        *,
        max_faces: int | None,
        quality: QualityFilter,
    ) -> Indexed:
        """Add the faces of an image; the same image and external id again adds nothing.

        Beyond ``max_faces`` (100 at most) the poorest are left out first, then the smallest.
        """
        model = self._galleries.find(collection).model
        engine = self._local.engine(model)
        limit = min(max_faces or MAX_FACES, MAX_FACES)
        chosen, unindexed = _selected(engine.analyse(image), quality, limit, engine.comparable)
        new = _new_faces(collection, image, external_image_id, chosen)
        records = self._galleries.add(collection, new)
        faces = zip(records, (template.face for _, template in chosen), strict=True)
        return Indexed(tuple(IndexedFace(*face) for face in faces), tuple(unindexed), model)

    def faces(
        self,
        collection: str,
        after: int,
        limit: int,
        *,
        face_ids: Sequence[str] | None = None,
        user_id: str | None = None,
    ) -> tuple[Sequence[FaceRecord], int | None]:
        """The next faces in the order added, and what to give as ``after`` for more; None: no more.

        Only those of ``face_ids`` or of the user, where given.
        """
        return self._galleries.faces(collection, after, limit, face_ids=face_ids, user_id=user_id)

    def delete_faces(self, collection: str, face_ids: Sequence[str]) -> Deletion:
        """Delete faces for good; those of a user are left."""
        deletion = self._galleries.delete_unowned(collection, face_ids)
        self._local.erase(collection)
        return deletion

    def search(
        self, collection: str, face_id: str, *, threshold: float, limit: int
    ) -> Sequence[FaceMatch]:
        """Other faces of the collection like this one, most similar first."""
        gallery = self._galleries.find(collection)
        own, vector = _vector(self._galleries, gallery, face_id)
        near = self._local.nearest(gallery.model, gallery.number, vector, threshold, limit + 1)
        return _face_matches(
            self._galleries, gallery, [found for found in near if found[0] != own][:limit]
        )

    def search_image(
        self,
        collection: str,
        image: bytes,
        *,
        threshold: float,
        limit: int,
        quality: QualityFilter,
    ) -> ImageSearch:
        """Search for the largest face of an image; UnusableFace if it shows none."""
        gallery = self._galleries.find(collection)
        analysis = self._local.engine(gallery.model).analyse(image)
        probe = _usable(analysis, _passing(analysis, quality))[0]
        near = self._local.nearest(gallery.model, gallery.number, probe.vector, threshold, limit)
        return ImageSearch(probe.face, _face_matches(self._galleries, gallery, near), gallery.model)

    def detect(self, image: bytes) -> Sequence[Face]:
        """The faces of an image, the 100 largest, largest first."""
        return self._local.engine(None).faces(image)[:MAX_FACES]

    def compare(
        self, source: bytes, target: bytes, *, threshold: float, quality: QualityFilter
    ) -> Comparison:
        """Compare the largest face of one image with all of another.

        Nobody enrolled either, so with a filter faces that cannot be compared are left out.
        Raises UnusableFace where either shows no face.
        """
        engine = self._local.engine(None)
        (probe, *_), faces = (
            _usable(seen, _comparable(seen, quality, engine.comparable))[:MAX_FACES]
            for seen in (engine.analyse(source), engine.analyse(target))
        )
        compared = [
            ComparedFace(_similarity(engine)(probe.vector, face.vector), face.face)
            for face in faces
        ]
        matches = [face for face in compared if face.similarity >= threshold]
        return Comparison(
            source=probe.face,
            matches=tuple(sorted(matches, key=lambda face: -face.similarity)),
            unmatched=tuple(face.face for face in compared if face.similarity < threshold),
        )

    def create_user(self, collection: str, user_id: str, token: str | None) -> None:
        """Make a user without faces; AlreadyExists, but not for the same token again."""
        self._users.create(collection, user_id, token)

    def delete_user(self, collection: str, user_id: str, token: str | None) -> None:
        """Delete a user; the faces stay."""
        self._users.delete(collection, user_id, token)
        self._local.erase(collection)

    def users(self, collection: str, after: str, limit: int) -> Sequence[User]:
        """The next users by id, those above ``after``."""
        return self._users.page(collection, after, limit)

    def associate(
        self,
        collection: str,
        user_id: str,
        face_ids: Sequence[str],
        *,
        threshold: float,
        token: str | None,
    ) -> Association:
        """Give faces to a user, if they resemble those it has; QuotaExceeded above 100."""
        engine = self._local.engine(self._galleries.find(collection).model)
        return self._users.associate(
            collection,
            user_id,
            face_ids,
            similarity=_similarity(engine),
            threshold=threshold,
            token=token,
        )

    def disassociate(
        self, collection: str, user_id: str, face_ids: Sequence[str], *, token: str | None
    ) -> Association:
        """Take faces from a user."""
        association = self._users.disassociate(collection, user_id, face_ids, token=token)
        self._local.erase(collection)
        return association

    def search_users(
        self,
        collection: str,
        *,
        face_id: str | None = None,
        user_id: str | None = None,
        threshold: float,
        limit: int,
    ) -> Sequence[UserMatch]:
        """Users like this face, or other users like this user; most similar first."""
        gallery = self._galleries.find(collection)
        if face_id is not None:
            _, vector = _vector(self._galleries, gallery, face_id)
        elif found := self._users.vector(collection, user_id or ""):
            _, vector = found
        else:
            return ()
        matches = self._user_matches(gallery, vector, threshold, limit + 1)
        return [match for match in matches if match.user.user_id != user_id][:limit]

    def search_users_image(
        self,
        collection: str,
        image: bytes,
        *,
        threshold: float,
        limit: int,
        quality: QualityFilter,
    ) -> ImageUserSearch:
        """Search users for the largest face of an image; none in it is a result."""
        gallery = self._galleries.find(collection)
        analysis = self._local.engine(gallery.model).analyse(image)
        probe = next(iter(_passing(analysis, quality)), None)
        matches = self._user_matches(gallery, probe.vector, threshold, limit) if probe else ()
        unsearched = _others(analysis, probe, quality)
        return ImageUserSearch(probe.face if probe else None, matches, unsearched, gallery.model)

    def tags(self, collection: str) -> Mapping[str, str]:
        """Return the tags of a collection."""
        return self._galleries.tags(collection)

    def tag(self, collection: str, tags: Mapping[str, str]) -> None:
        """Add or change tags; QuotaExceeded above 200."""
        self._galleries.change_tags(collection, lambda present: {**present, **tags})

    def untag(self, collection: str, keys: Sequence[str]) -> None:
        """Remove tags; those not there are no error."""
        gone = set(keys)
        self._galleries.change_tags(
            collection, lambda tags: {key: tags[key] for key in tags if key not in gone}
        )

    def _user_matches(
        self, gallery: Gallery, vector: bytes, threshold: float, limit: int
    ) -> tuple[UserMatch, ...]:
        if gallery.users_number is None:
            return ()
        near = self._local.nearest(gallery.model, gallery.users_number, vector, threshold, limit)
        user_ids = self._users.named(gallery.users_number, [row for row, _ in near])
        return tuple(
            UserMatch(similarity, User(user_ids[row], UserStatus.ACTIVE))
            for row, similarity in near
            if row in user_ids
        )


def _vector(galleries: Galleries, gallery: Gallery, face_id: str) -> tuple[int, bytes]:
    """Row number and vector of a face; NotFound without it."""
    if found := galleries.vectors_of(gallery.number, [face_id]).get(face_id):
        return found
    raise NotFound(f"there is no face {face_id!r} in the collection")


def _face_matches(
    galleries: Galleries, gallery: Gallery, near: Sequence[tuple[int, float]]
) -> tuple[FaceMatch, ...]:
    """Put faces for row numbers, leaving out those deleted since the search."""
    records = galleries.records(gallery.number, [row for row, _ in near])
    return tuple(FaceMatch(similarity, records[row]) for row, similarity in near if row in records)


def _new_faces(
    collection: str,
    image: bytes,
    external_image_id: str | None,
    chosen: Sequence[tuple[int, Template]],
) -> list[NewFace]:
    """Give faces their ids: the same for the same face of the same image and external id."""
    digest = hashlib.sha256(image).hexdigest()
    person = external_ids.decode(external_image_id) if external_image_id else ""
    source = f"{collection}/{digest}/{external_image_id or ''}"
    return [
        NewFace(
            str(uuid.uuid5(_FACES, f"{source}/{at}")), digest, external_image_id, person, template
        )
        for at, template in chosen
    ]


def _usable(analysis: Analysis, passed: list[Template]) -> list[Template]:
    """Return the faces of an image that passed a filter; UnusableFace if there is none."""
    if not passed:
        raise UnusableFace(
            "no usable face was found" if analysis.templates else "no face was found"
        )
    return passed


def _similarity(engine: FaceEngine) -> Callable[[bytes, bytes], float]:
    def similarity(one: bytes, other: bytes) -> float:
        """0..100 of two vectors, little-endian float32; struct.error for another length."""
        layout = struct.Struct(f"<{engine.dimensions}f")
        return engine.similarity(math.dist(layout.unpack(one), layout.unpack(other)))

    return similarity


# ---- what a filter lets pass


def _reasons(face: Face, quality: QualityFilter) -> tuple[Reason, ...]:
    """Return what is too poor in a face for this filter; nothing where it passes."""
    if quality is QualityFilter.NONE:
        return ()
    if quality is QualityFilter.AUTO:
        return face.reasons
    return tuple(_below(_BARS[quality], face))


def _passing(analysis: Analysis, quality: QualityFilter) -> list[Template]:
    """Return the faces to search for that pass, largest first."""
    return [template for template in analysis.templates if not _reasons(template.face, quality)]


def _comparable(analysis: Analysis, quality: QualityFilter, rule: Comparable) -> list[Template]:
    """Return the faces that pass and can be compared with those of another image, largest first."""
    return [one for one in analysis.templates if not _against(one, quality, rule)]


def _selected(
    analysis: Analysis, quality: QualityFilter, limit: int, rule: Comparable
) -> tuple[list[tuple[int, Template]], list[Face]]:
    """Return up to ``limit`` faces with their places in the analysis, and the others with reasons.

    Of too many the poorest are left out first, then the smallest.
    """
    templates = analysis.templates
    against = [_against(template, quality, rule) for template in templates]
    good = [at for at, why in enumerate(against) if not why]
    ranked = sorted((len(templates[at].face.reasons), at) for at in good)
    best = {at for _, at in ranked[:limit]}
    left = [at for at in range(len(templates)) if at not in best]
    return (
        [(at, templates[at]) for at in good if at in best],
        [
            *(_with(templates[at].face, against[at]) for at in left),
            *(_with(face, ()) for face in analysis.left_out),
        ],
    )


def _against(template: Template, quality: QualityFilter, rule: Comparable) -> tuple[Reason, ...]:
    """What the filter and the rule have against a face; each reason once."""
    if quality is QualityFilter.NONE:
        return ()
    if quality is QualityFilter.LOW:
        rule = replace(rule, sharpness=_BARS[quality].sharpness)
    return tuple(dict.fromkeys((*_reasons(template.face, quality), *rule.reasons(template))))


def _others(
    analysis: Analysis, searched: Template | None, quality: QualityFilter
) -> tuple[Face, ...]:
    """Return the faces that were not searched for, with the filter's reasons."""
    unsearched = (template.face for template in analysis.templates if template is not searched)
    return (
        *(replace(face, reasons=_reasons(face, quality)) for face in unsearched),
        *(_with(face, ()) for face in analysis.left_out),
    )


def _with(face: Face, why: tuple[Reason, ...]) -> Face:
    return replace(face, reasons=why or (Reason.EXCEEDS_MAX_FACES,))


def _below(bar: QualityThresholds, face: Face) -> Iterator[Reason]:
    if Reason.SMALL_BOUNDING_BOX in face.reasons:
        yield Reason.SMALL_BOUNDING_BOX
    yield from bar.reasons(face, _NO_MATTER)
