"""Which originals the rows need: those of assets, and of the deleted ones that can come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, union

from facelabel.adapters.store.sql import schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

_TABLES = (schema.asset, schema.backup)


def page(connection: Connection, after: str, count: int) -> list[str]:
    """The next digests that are needed, each once, in order."""
    firsts = [
        select(table.c.etag)
        .where(table.c.etag > after)
        .distinct()
        .order_by(table.c.etag)
        .limit(count)
        .subquery()
        for table in _TABLES
    ]
    both = union(*(select(first.c.etag) for first in firsts)).order_by("etag").limit(count)
    return list(connection.execute(both).scalars())


def newest(connection: Connection, count: int) -> list[str]:
    """The digests of the pictures made last, the newest first, each once."""
    asset = schema.asset.c
    last = select(asset.etag).order_by(asset.created_at.desc(), asset.asset_id.desc()).limit(count)
    return list(dict.fromkeys(connection.execute(last).scalars()))


def unused(connection: Connection, etags: Sequence[str]) -> list[str]:
    """Those of these digests that nobody needs."""
    used = union(*(select(table.c.etag).where(table.c.etag.in_(etags)) for table in _TABLES))
    held = set(connection.execute(used).scalars())
    return [etag for etag in etags if etag not in held]
