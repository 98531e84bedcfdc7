"""The faces kept of every searched picture."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, delete, select

from facelabel.adapters.store.sql import forgetting, schema
from facelabel.adapters.store.sql.database import batches
from facelabel.core.serial import decode_analysis, encode_analysis

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Table
    from sqlalchemy.dialects.postgresql import Insert

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.model import Analysis, Asset

_KEPT = schema.kept.c
_THESE = (_KEPT.model == bindparam("model"), _KEPT.asset_id.in_(bindparam("some", expanding=True)))
_SEEN = select(schema.kept).where(*_THESE)
_VECTORS = select(_KEPT.asset_id, _KEPT.version, _KEPT.vectors).where(*_THESE)


class StoreProbes:
    """Probes in the database; implements :class:`facelabel.gallery.ports.Probes`."""

    def __init__(self, database: Database) -> None:
        """Keep them in this database."""
        self._database = database

    def keep(self, asset: Asset, model: str, analysis: Analysis) -> None:
        """Keep the faces seen in a picture, replacing what was kept of it."""
        values = {
            "asset_id": asset.asset_id,
            "version": asset.version,
            "model": model,
            "analysis": encode_analysis(analysis),
            "vectors": b"".join(template.vector for template in analysis.templates),
        }
        # Not waited for: without it the picture is looked at again, that is all.
        with self._database.transaction(durable=False) as connection:
            connection.execute(_keeping(self._database.insert), values)

    def kept(self, asset_ids: Sequence[str], model: str) -> Mapping[str, tuple[int, Analysis]]:
        """Version and faces of each picture kept for that model, by asset_id."""
        with self._database.read() as connection:
            return {
                row.asset_id: (row.version, decode_analysis(row.analysis, bytes(row.vectors)))
                for some in batches(asset_ids)
                for row in connection.execute(_SEEN, {"model": model, "some": some})
            }

    def kept_vectors(self, asset_ids: Sequence[str], model: str) -> Mapping[str, tuple[int, bytes]]:
        """Version and vectors, end to end, of each picture kept for that model, by asset_id."""
        with self._database.read() as connection:
            return {
                asset_id: (version, bytes(vectors))
                for some in batches(asset_ids)
                for asset_id, version, vectors in connection.execute(
                    _VECTORS, {"model": model, "some": some}
                )
            }

    def discard(self, asset_id: str) -> None:
        """Delete what was kept of a picture."""
        with self._database.transaction() as connection:
            forgetting.note(connection)
            connection.execute(delete(schema.kept).where(_KEPT.asset_id == asset_id))


@functools.cache
def _keeping(inserting: Callable[[Table], Insert]) -> Insert:
    """Put what was seen in a picture in the place of what was there; made once."""
    new = inserting(schema.kept)
    values = {column.name: new.excluded[column.name] for column in _KEPT}
    return new.on_conflict_do_update(index_elements=[_KEPT.asset_id], set_=values)
