"""Backups: deleted assets that can come back, the last one of each name."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from facelabel.adapters.store.library.assets import key_of
from facelabel.adapters.store.sql import schema
from facelabel.core.model import Asset

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Connection

    from facelabel.media.types import AssetKey

_BACKUP = schema.backup.c


def keep(connection: Connection, assets: Iterable[Asset]) -> set[str]:
    """Keep assets that are being deleted; return the etags of what they take the place of."""
    replaced = {former.etag for asset in assets if (former := take(connection, key_of(asset)))}
    rows = [
        dataclasses.asdict(key_of(asset)) | {"etag": asset.etag, "body": dataclasses.asdict(asset)}
        for asset in assets
    ]
    if rows:
        connection.execute(insert(schema.backup), rows)
    return replaced


def read(connection: Connection, key: AssetKey) -> Asset | None:
    """Return the backup of that name."""
    return _asset(connection.execute(select(_BACKUP.body).where(_is_of(key))).scalar())


def take(connection: Connection, key: AssetKey) -> Asset | None:
    """Remove and return the backup of that name."""
    gone = delete(schema.backup).where(_is_of(key)).returning(_BACKUP.body)
    return _asset(connection.execute(gone).scalar())


def _asset(body: dict[str, Any] | None) -> Asset | None:
    return Asset(**body | {"tags": tuple(body["tags"])}) if body else None


def _is_of(key: AssetKey) -> ColumnElement[bool]:
    return (
        (_BACKUP.public_id == key.public_id)
        & (_BACKUP.resource_type == key.resource_type)
        & (_BACKUP.type == key.type)
    )
