"""People and pictures that are in the database alone: by their rows, in a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.adapters.store.sql import schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from facelabel.adapters.store.sql.database import Database


def learn(database: Database, people: Iterable[str], collection: str = "live") -> None:
    """Have people known, each by a portrait."""
    rows = [
        {"collection": collection, "asset_id": f"{collection}{number}",
         "public_id": f"portrait/{name}", "version": 1, "digest": "", "person": name,
         "face_id": str(number)}
        for number, name in enumerate(people)
    ]  # fmt: skip
    with database.transaction() as connection:
        connection.execute(schema.enrolment.insert(), rows)


def fill(database: Database, public_ids: Iterable[str]) -> None:
    """Put pictures into the library, by their rows alone."""
    empty: dict[str, object] = {"context": {}, "metadata": {}, "details": {}}
    rows = [
        {"asset_id": f"{number:032x}", "public_id": public_id, "resource_type": "image",
         "type": "upload", "folder": "", "display_name": "", "version": 1, "format": "jpg",
         "bytes": 1, "width": 1, "height": 1, "etag": "", "created_at": 0.0, "updated_at": 0.0,
         "filename": "", **empty}
        for number, public_id in enumerate(public_ids)
    ]  # fmt: skip
    with database.transaction() as connection:
        connection.execute(schema.asset.insert(), rows)


def go_live(database: Database, collection: str = "live") -> None:
    """Make a collection the one that counts."""
    with database.transaction() as connection:
        connection.execute(schema.gallery.update().values(collection=collection))
