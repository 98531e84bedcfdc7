"""Tokens that clients give their requests, so that the same request again is not done twice."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from facelabel.adapters.store.sql.schema import client_token as table
from facelabel.errors import TokenReused

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from facelabel.core.model import JsonValue

#: Seconds: longer than any client tries.
REMEMBER = 24 * 3600.0


def once(
    connection: Connection,
    collection_id: int,
    token: str | None,
    request: JsonValue,
    now: float,
    act: Callable[[], Any],
) -> Any:  # noqa: ANN401 - JSON
    """Return what ``act`` comes to, or came to for the same token and request within a day.

    In the caller's transaction, which holds the collection's row. Raises TokenReused for the
    token of another request.
    """
    if token is None:
        return act()
    digest = hashlib.sha256(json.dumps(request).encode()).hexdigest()
    old = (table.c.collection_id == collection_id, table.c.created_at < now - REMEMBER)
    connection.execute(delete(table).where(*old))
    this = (table.c.collection_id == collection_id, table.c.token == token)
    known = connection.execute(select(table).where(*this)).mappings().first()
    if known and known["request"] != digest:
        raise TokenReused(f"the token {token!r} was used for another request")
    return known["answer"] if known else _done(connection, collection_id, token, digest, now, act)


def _done(
    connection: Connection,
    collection_id: int,
    token: str,
    digest: str,
    now: float,
    act: Callable[[], Any],
) -> Any:  # noqa: ANN401 - JSON
    answer = act()
    row = {
        "collection_id": collection_id,
        "token": token,
        "request": digest,
        "answer": answer,
        "created_at": now,
    }
    connection.execute(insert(table), [row])
    return answer
