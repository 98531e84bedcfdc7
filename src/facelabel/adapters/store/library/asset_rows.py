"""Assets as rows: how they are read and written.

Only to be written by who holds the library's lock: what is replaced was read under it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, update

from facelabel.adapters.store.library import values
from facelabel.adapters.store.sql import forgetting, schema
from facelabel.adapters.store.sql.database import PAGE, batches
from facelabel.core.model import Asset
from facelabel.media.types import is_asset_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, RowMapping

    from facelabel.media.types import AssetChange, AssetKey

#: Held by who changes the library: no two changes of it happen at once.
LOCK = "library"
_ASSET = schema.asset.c
_TAG = schema.asset_tag.c
#: Made once: it is asked with every asset.
_TAGS = (
    select(_TAG.asset_id, _TAG.tag)
    .where(_TAG.asset_id.in_(bindparam("asset_ids", expanding=True)))
    .order_by(_TAG.asset_id, _TAG.position)
)
#: The same of what most calls begin with; where several assets match, the uploaded one.
_ONE = select(schema.asset).order_by(_ASSET.type.desc()).limit(1)
_NAMED = _ONE.where(
    *(_ASSET[name] == bindparam(name) for name in ("public_id", "resource_type", "type"))
)
_OF_ID = _ONE.where(_ASSET.asset_id == bindparam("asset_id"))
_COLUMNS = tuple(_ASSET.keys())
#: Columns with words of people's.
_WRITTEN = ("public_id", "folder", "filename", "display_name")


def named(connection: Connection, key: AssetKey) -> Asset | None:
    """Return the asset of that name."""
    name = {"public_id": key.public_id, "resource_type": key.resource_type, "type": key.type}
    rows = connection.execute(_NAMED, name).mappings().all()
    return read(connection, rows)[0] if rows else None


def of_id(connection: Connection, asset_id: str) -> Asset | None:
    """Return the asset of that id."""
    rows = connection.execute(_OF_ID, {"asset_id": asset_id}).mappings().all()
    return read(connection, rows)[0] if rows else None


def found(connection: Connection, condition: ColumnElement[bool]) -> Asset | None:
    """Return the asset for which the condition holds: where several do, the uploaded one."""
    rows = connection.execute(_ONE.where(condition)).mappings().all()
    return read(connection, rows)[0] if rows else None


def of_ids(connection: Connection, asset_ids: Iterable[str]) -> list[Asset]:
    """The assets of these ids that exist, each once, in the order of the ids."""
    wanted = [asset_id for asset_id in dict.fromkeys(asset_ids) if is_asset_id(asset_id)]
    assets = {
        asset.asset_id: asset
        for some in batches(wanted)
        for asset in matching(connection, _ASSET.asset_id.in_(some))
    }
    return [assets[asset_id] for asset_id in wanted if asset_id in assets]


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
    if any(_forgets(change.before, change.after) for change in changes if change.before):
        forgetting.note(connection)
    gone = [change.before.asset_id for change in changes if change.before and not change.after]
    for some in batches(gone) if gone else ():
        connection.execute(delete(schema.asset).where(_ASSET.asset_id.in_(some)))
    changed = [(one.before, one.after) for one in changes if one.before and one.after]
    if changed:
        _update(connection, changed)
    new = [_row(change.after) for change in changes if change.after and not change.before]
    if new:
        connection.execute(insert(schema.asset), new)
    former = [(one.before, one.after) for one in changes if one.after]
    tagged = [(old, new) for old, new in former if new.tags != (old.tags if old else ())]
    if tagged:
        _write_tags(connection, tagged)
    values.write(connection, [change for change in changes if change.after])


def _forgets(before: Asset, after: Asset | None) -> bool:
    """Whether words of somebody's go, that may be a name: those of an asset, or a tag of it."""
    return after is None or bool(_words(before) - _words(after))


def _words(asset: Asset) -> set[tuple[str, str]]:
    """All that people wrote, each with where it stands: what is only added takes nothing away."""
    words = {(name, getattr(asset, name)) for name in _WRITTEN} | {("tag", t) for t in asset.tags}
    for kind, given in (("context", asset.context), ("metadata", asset.metadata)):
        for key, value in given.items():
            several = value if isinstance(value, list) else [value]
            words |= {(f"{kind} {key}", str(one)) for one in several}
    return words - {(name, "") for name in _WRITTEN}


def _update(connection: Connection, changes: Sequence[tuple[Asset, Asset]]) -> None:
    """Write the columns that differ, those of one sort together."""
    rows: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for before, after in changes:
        old = _row(before)
        new = {name: value for name, value in _row(after).items() if value != old[name]}
        if new:
            # By names that an UPDATE does not take for its columns.
            bound = {f"new_{name}": value for name, value in new.items()}
            rows[tuple(new)].append(bound | {"this": after.asset_id})
    for names, parameters in rows.items():
        this = update(schema.asset).where(_ASSET.asset_id == bindparam("this"))
        set_ = {name: bindparam(f"new_{name}", type_=_ASSET[name].type) for name in names}
        connection.execute(this.values(set_), parameters)


def _row(asset: Asset) -> dict[str, Any]:
    return {name: getattr(asset, name) for name in _COLUMNS}


def _write_tags(connection: Connection, retagged: Sequence[tuple[Asset | None, Asset]]) -> None:
    """Write the tags anew where they differ: their order is kept, too."""
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
