"""Users of a collection: their faces, and what becomes of faces that cannot be theirs.

A class for whoever is outside, and functions that work in the caller's transaction, which holds
the collection's row. Clients give their requests tokens, so that the same request again is not done
twice.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, exists, insert, select, update

from facelabel.adapters.store.faces import template_rows
from facelabel.adapters.store.sql import forgetting, schema
from facelabel.adapters.store.sql.database import batches
from facelabel.adapters.store.sql.schema import client_token
from facelabel.errors import AlreadyExists, NotFound, QuotaExceeded, TokenReused
from facelabel.rekognition.types import Association, FailedFace, Failure, User, UserStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, RowMapping

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.clock import Clock
    from facelabel.core.model import JsonValue

    #: How like two vectors are, 0..100.
    Similarity = Callable[[bytes, bytes], float]

#: Faces of one user.
MAX_FACES = 100
#: Seconds: longer than any client tries.
REMEMBER = 24 * 3600.0

_USER = schema.face_user.c
_TEMPLATE = schema.template.c


class StoreUsers:
    """Users in the database; implements :class:`facelabel.gallery.ports.FaceUsers`."""

    def __init__(self, database: Database, clock: Clock, own: str = "") -> None:
        """Share the database, and ``own``, with the collections."""
        self._database = database
        self._clock = clock
        self._own = own

    def create(self, collection: str, user_id: str, token: str | None) -> None:
        """See :meth:`facelabel.rekognition.ports.FaceCollections.create_user`."""
        request: JsonValue = ["create", user_id]
        self._once(collection, token, request, lambda into, held: create(into, held, user_id))

    def delete(self, collection: str, user_id: str, token: str | None) -> None:
        """Delete a user; the faces stay."""
        request: JsonValue = ["delete", user_id]
        self._once(collection, token, request, lambda of, held: remove(of, held["id"], user_id))

    def page(self, collection: str, after: str, limit: int) -> Sequence[User]:
        """The next users by id, those above ``after``."""
        with self._database.read() as connection:
            number = template_rows.found(connection, collection, self._own)["id"]
            return page(connection, number, after, limit)

    def named(self, users_number: int, rows: Sequence[int]) -> Mapping[int, str]:
        """Return the users of these row numbers of the users' vectors."""
        these = select(_TEMPLATE.row, _TEMPLATE.face_id).where(
            _TEMPLATE.collection_id == users_number
        )
        with self._database.read() as connection:
            return {
                row: user_id
                for some in batches(rows)
                for row, user_id in connection.execute(these.where(_TEMPLATE.row.in_(some)))
            }

    def vector(self, collection: str, user_id: str) -> tuple[int, bytes] | None:
        """Row number and vector of a user; None where it has no face."""
        with self._database.read() as connection:
            found = template_rows.found(connection, collection, self._own)
            require(connection, found["id"], user_id)
            this = (_TEMPLATE.collection_id == found["users_number"], _TEMPLATE.face_id == user_id)
            row = connection.execute(select(_TEMPLATE.row, _TEMPLATE.vector).where(*this)).first()
        return (row.row, bytes(row.vector)) if row else None

    def associate(
        self,
        collection: str,
        user_id: str,
        face_ids: Sequence[str],
        *,
        similarity: Similarity,
        threshold: float,
        token: str | None,
    ) -> Association:
        """Give faces to a user, if they are similar to its vector."""

        def act(connection: Connection, held: RowMapping) -> Any:  # noqa: ANN401 - JSON
            """Give them, in that transaction."""
            require(connection, held["id"], user_id)
            return asdict(
                associate(connection, held["id"], user_id, face_ids, similarity, threshold)
            )

        request: JsonValue = ["associate", user_id, list(face_ids), threshold]
        return _association(self._once(collection, token, request, act))

    def disassociate(
        self, collection: str, user_id: str, face_ids: Sequence[str], *, token: str | None
    ) -> Association:
        """Take faces from a user."""

        def act(connection: Connection, held: RowMapping) -> Any:  # noqa: ANN401 - JSON
            """Take them, in that transaction."""
            require(connection, held["id"], user_id)
            return asdict(disassociate(connection, held["id"], user_id, face_ids))

        request: JsonValue = ["disassociate", user_id, list(face_ids)]
        return _association(self._once(collection, token, request, act))

    def _once(
        self,
        collection: str,
        token: str | None,
        request: JsonValue,
        act: Callable[[Connection, RowMapping], Any],
    ) -> Any:  # noqa: ANN401 - JSON
        """Return what ``act`` comes to, or came to for the same token and request within a day.

        Raises TokenReused for the token of another request.
        """
        with self._database.transaction() as connection:
            held = template_rows.held(connection, collection, self._own)
            if token is None:
                return act(connection, held)
            digest = hashlib.sha256(json.dumps(request).encode()).hexdigest()
            now = self._clock.now()
            theirs = client_token.c.collection_id == held["id"]
            old = client_token.c.created_at < now - REMEMBER
            connection.execute(delete(client_token).where(theirs, old))
            this = select(client_token).where(theirs, client_token.c.token == token)
            if known := connection.execute(this).mappings().first():
                if known["request"] != digest:
                    raise TokenReused(f"the token {token!r} was used for another request")
                return known["answer"]
            row = {"collection_id": held["id"], "token": token, "request": digest}
            answer = act(connection, held)
            connection.execute(insert(client_token), [{**row, "answer": answer, "created_at": now}])
            return answer


def create(connection: Connection, collection: RowMapping, user_id: str) -> None:
    """Make a user without faces; AlreadyExists."""
    if _is_there(connection, collection["id"], user_id):
        raise AlreadyExists(f"there is a user {user_id!r} already")
    user = {"collection_id": collection["id"], "user_id": user_id}
    connection.execute(insert(schema.face_user), [user])
    if template_rows.users_number(connection, collection["id"]) is None:
        template_rows.create_hidden(connection, collection)


def remove(connection: Connection, collection_id: int, user_id: str) -> None:
    """Delete a user; the faces stay."""
    require(connection, collection_id, user_id)
    forgetting.note(connection)
    theirs = (_TEMPLATE.collection_id == collection_id, _TEMPLATE.user_id == user_id)
    connection.execute(update(schema.template).where(*theirs).values(user_id=None))
    template_rows.follow(connection, collection_id, [user_id])
    this = (_USER.collection_id == collection_id, _USER.user_id == user_id)
    connection.execute(delete(schema.face_user).where(*this))


def require(connection: Connection, collection_id: int, user_id: str) -> None:
    """Raise NotFound where the collection has no such user."""
    if not _is_there(connection, collection_id, user_id):
        raise NotFound(f"there is no user {user_id!r}")


def page(connection: Connection, collection_id: int, after: str, limit: int) -> list[User]:
    """The next users by id, those above ``after``."""
    has_faces = exists().where(
        _TEMPLATE.collection_id == collection_id, _TEMPLATE.user_id == _USER.user_id
    )
    following = (
        select(_USER.user_id, has_faces)
        .where(_USER.collection_id == collection_id, _USER.user_id > after)
        .order_by(_USER.user_id)
        .limit(limit)
    )
    return [User(user_id, _status(full)) for user_id, full in connection.execute(following)]


def associate(
    connection: Connection,
    collection_id: int,
    user_id: str,
    face_ids: Sequence[str],
    similarity: Similarity,
    threshold: float,
) -> Association:
    """Give faces to a user, if they resemble those it has; QuotaExceeded above 100."""
    present = _vectors(connection, collection_id, user_id)
    faces, strange = _sorted(connection, collection_id, user_id, face_ids)
    new = {
        face_id: bytes(row["vector"]) for face_id, row in faces.items() if row["user_id"] is None
    }
    unlike = _unlike(new, present, similarity, threshold)
    taken = [face_id for face_id in new if face_id not in {face.face_id for face in unlike}]
    if len(present) + len(taken) > MAX_FACES:
        raise QuotaExceeded(f"a user has {MAX_FACES} faces at most")
    _give(connection, collection_id, taken, user_id)
    return _changed(connection, collection_id, user_id, taken, [*strange, *unlike])


def disassociate(
    connection: Connection, collection_id: int, user_id: str, face_ids: Sequence[str]
) -> Association:
    """Take faces from a user; those that are nobody's stay so."""
    faces, strange = _sorted(connection, collection_id, user_id, face_ids)
    taken = [face_id for face_id, row in faces.items() if row["user_id"] == user_id]
    _give(connection, collection_id, taken, None)
    return _changed(connection, collection_id, user_id, taken, strange)


def _sorted(
    connection: Connection, collection_id: int, user_id: str, face_ids: Sequence[str]
) -> tuple[dict[str, RowMapping], list[FailedFace]]:
    """The faces that are the user's or nobody's, and why the others cannot be touched."""
    columns = (_TEMPLATE.face_id, _TEMPLATE.user_id, _TEMPLATE.vector)
    these = (_TEMPLATE.collection_id == collection_id, _TEMPLATE.face_id.in_(face_ids))
    rows = connection.execute(select(*columns).where(*these)).mappings()
    known = {row["face_id"]: row for row in rows}
    faces, strange = {}, []
    for face_id in dict.fromkeys(face_ids):
        if (row := known.get(face_id)) is None:
            strange.append(FailedFace(face_id, (Failure.FACE_NOT_FOUND,)))
        elif row["user_id"] in {None, user_id}:
            faces[face_id] = row
        else:
            reasons = (Failure.ASSOCIATED_TO_A_DIFFERENT_USER,)
            strange.append(FailedFace(face_id, reasons, user_id=row["user_id"]))
    return faces, strange


def _unlike(
    new: Mapping[str, bytes], present: Sequence[bytes], similarity: Similarity, threshold: float
) -> list[FailedFace]:
    """The new faces that do not resemble the present ones, or the first where there is none."""
    if not new:
        return []
    user = template_rows.centre(present) if present else next(iter(new.values()))
    alike = {face_id: similarity(user, vector) for face_id, vector in new.items()}
    return [
        FailedFace(face_id, (Failure.LOW_MATCH_CONFIDENCE,), confidence=confidence)
        for face_id, confidence in alike.items()
        if confidence < threshold
    ]


def _give(
    connection: Connection, collection_id: int, face_ids: Sequence[str], user_id: str | None
) -> None:
    these = (_TEMPLATE.collection_id == collection_id, _TEMPLATE.face_id.in_(face_ids))
    connection.execute(update(schema.template).where(*these).values(user_id=user_id))


def _changed(
    connection: Connection,
    collection_id: int,
    user_id: str,
    face_ids: Sequence[str],
    failed: Sequence[FailedFace],
) -> Association:
    """Let the user's vector follow its faces."""
    if face_ids:
        template_rows.follow(connection, collection_id, [user_id])
    status = _status(bool(_vectors(connection, collection_id, user_id)))
    return Association(tuple(face_ids), tuple(failed), status)


def _vectors(connection: Connection, collection_id: int, user_id: str) -> list[bytes]:
    theirs = (_TEMPLATE.collection_id == collection_id, _TEMPLATE.user_id == user_id)
    vectors = select(_TEMPLATE.vector).where(*theirs).order_by(_TEMPLATE.row)
    return [bytes(vector) for vector in connection.execute(vectors).scalars()]


def _is_there(connection: Connection, collection_id: int, user_id: str) -> bool:
    this = (_USER.collection_id == collection_id, _USER.user_id == user_id)
    return connection.execute(select(_USER.user_id).where(*this)).first() is not None


def _status(has_faces: bool) -> UserStatus:  # noqa: FBT001 - it is the only thing that counts
    return UserStatus.ACTIVE if has_faces else UserStatus.CREATED


def _association(answer: Any) -> Association:  # noqa: ANN401 - JSON
    """The association that was made a dictionary, fresh or from the database."""
    failed = (
        FailedFace(
            failed["face_id"],
            tuple(map(Failure, failed["reasons"])),
            failed["user_id"],
            failed["confidence"],
        )
        for failed in answer["failed"]
    )
    return Association(tuple(answer["face_ids"]), tuple(failed), UserStatus(answer["status"]))
