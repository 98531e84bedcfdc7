"""Assets as rows: how they are read and written.

Only to be written by who holds the library's lock: what is replaced was read under it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, delete, insert, select, update

from facelabel.adapters.store.library import values
from facelabel.adapters.store.sql import forgetting, schema
from facelabel.adapters.store.sql.database import PAGE, batches
from facelabel.core.model import Asset
from facelabel.media.types import AssetKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, RowMapping

    from facelabel.media.types import AssetChange

_ASSET = schema.asset.c
_TAG = schema.asset_tag.c
#: Made once: it is asked with every asset.
_TAGS = (
    select(_TAG.asset_id, _TAG.tag)
    .where(_TAG.asset_id.in_(bindparam("asset_ids", expanding=True)))
    .order_by(_TAG.asset_id, _TAG.position)
)
_COLUMNS = tuple(_ASSET.keys())
#: Columns with words of people's.
_WRITTEN = ("public_id", "folder", "filename", "display_name")
_ID = re.compile(r"[0-9a-f]{32}")


def key_of(asset: Asset) -> AssetKey:
    """What names the asset."""
    return AssetKey(asset.public_id, asset.resource_type, asset.type)


def is_named(key: AssetKey) -> ColumnElement[bool]:
    """The condition for a row to be the asset of that name."""
    return and_(
        _ASSET.public_id == key.public_id,
        _ASSET.resource_type == key.resource_type,
        _ASSET.type == key.type,
    )


def found(connection: Connection, condition: ColumnElement[bool]) -> Asset | None:
    """Return the asset for which the condition holds: where several do, the uploaded one."""
    this = select(schema.asset).where(condition).order_by(_ASSET.type.desc()).limit(1)
    rows = connection.execute(this).mappings().all()
    return read(connection, rows)[0] if rows else None


def of_ids(connection: Connection, asset_ids: Iterable[str]) -> list[Asset]:
    """The assets of these ids that exist, each once, in the order of the ids."""
    wanted = [asset_id for asset_id in dict.fromkeys(asset_ids) if is_id(asset_id)]
    assets = {
        asset.asset_id: asset
        for some in batches(wanted)
        for asset in matching(connection, _ASSET.asset_id.in_(some))
    }
    return [assets[asset_id] for asset_id in wanted if asset_id in assets]


def is_id(text: str) -> bool:
    """Whether it can be an asset_id, whatever was typed: a driver may choke on the rest."""
    return bool(_ID.fullmatch(text))


def matching(connection: Connection, condition: ColumnElement[bool]) -> list[Asset]:
    """Every asset for which the condition holds."""
    rows = connection.execute(select(schema.asset).where(condition)).mappings().all()
    return [asset for some in batches(rows) for asset in read(connection, some)]


def every(connection: Connection) -> Iterator[list[Asset]]:
    """All assets, a page at a time: who holds a lock may not be silent for as long as all take."""
    last = ""
    while True:
        page = select(schema.asset).where(_ASSET.asset_id > last).order_by(_ASSET.asset_id)
        rows = connection.execute(page.limit(PAGE)).mappings().all()
        if not rows:
            return
        last = rows[-1]["asset_id"]
        yield read(connection, rows)


def read(connection: Connection, rows: Sequence[RowMapping]) -> list[Asset]:
    """The assets of these rows, which are no more than a page of them."""
    tags = _tags(connection, [row["asset_id"] for row in rows])
    return [
        Asset(**{name: row[name] for name in _COLUMNS}, tags=tuple(tags[row["asset_id"]]))
        for row in rows
    ]


def write(connection: Connection, changes: Sequence[AssetChange]) -> None:
    """Make the rows of the assets before those of the assets after."""
    if any(map(_forgets, changes)):
        forgetting.note(connection)
    gone = [change.before.asset_id for change in changes if change.before and not change.after]
    for some in batches(gone):
        connection.execute(delete(schema.asset).where(_ASSET.asset_id.in_(some)))
    _update(connection, changes)
    new = [_row(change.after) for change in changes if change.after and not change.before]
    if new:
        connection.execute(insert(schema.asset), new)
    _write_tags(connection, changes)
    values.write(connection, [change for change in changes if change.after])


def _forgets(change: AssetChange) -> bool:
    """Whether words of somebody's go, that may be a name: those of an asset, or a tag of it."""
    before, after = change.before, change.after
    return before is not None and (after is None or bool(_words(before) - _words(after)))


def _words(asset: Asset) -> set[tuple[str, str]]:
    """All that people wrote, each with where it stands: what is only added takes nothing away."""
    words = {(name, getattr(asset, name)) for name in _WRITTEN} | {("tag", t) for t in asset.tags}
    for kind, given in (("context", asset.context), ("metadata", asset.metadata)):
        for key, value in given.items():
            several = value if isinstance(value, list) else [value]
            words |= {(f"{kind} {key}", str(one)) for one in several}
    return words - {(name, "") for name in _WRITTEN}


def _update(connection: Connection, changes: Sequence[AssetChange]) -> None:
    """Write the columns that differ, those of one sort together."""
    rows: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for change in changes:
        if change.before and change.after:
            before, after = _row(change.before), _row(change.after)
            new = {name: value for name, value in after.items() if value != before[name]}
            if new:
                rows[tuple(new)].append(_bound(new) | {"this": change.after.asset_id})
    for names, parameters in rows.items():
        this = update(schema.asset).where(_ASSET.asset_id == bindparam("this"))
        bound = {name: bindparam(f"new_{name}", type_=_ASSET[name].type) for name in names}
        connection.execute(this.values(bound), parameters)


def _bound(values: dict[str, Any]) -> dict[str, Any]:
    """The values by names that an UPDATE does not take for its columns."""
    return {f"new_{name}": value for name, value in values.items()}


def _row(asset: Asset) -> dict[str, Any]:
    return {name: getattr(asset, name) for name in _COLUMNS}


def _write_tags(connection: Connection, changes: Sequence[AssetChange]) -> None:
    """Write the tags anew where they differ: their order is kept, too."""
    retagged = [
        (change.before, change.after)
        for change in changes
        if change.after and change.after.tags != (change.before.tags if change.before else ())
    ]
    for some in batches(before.asset_id for before, _ in retagged if before):
        connection.execute(delete(schema.asset_tag).where(_TAG.asset_id.in_(some)))
    rows = [
        {"asset_id": asset.asset_id, "tag": tag, "position": position}
        for _, asset in retagged
        for position, tag in enumerate(asset.tags)
    ]
    if rows:
        connection.execute(insert(schema.asset_tag), rows)


def _tags(connection: Connection, asset_ids: Sequence[str]) -> dict[str, list[str]]:
    """The tags of each asset, in the order they were added."""
    found: dict[str, list[str]] = {asset_id: [] for asset_id in asset_ids}
    for asset_id, tag in connection.execute(_TAGS, {"asset_ids": asset_ids}):
        found[asset_id].append(tag)
    return found
