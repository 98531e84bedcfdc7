"""Assets as rows: how they are read and written, and their backups.

Only to be written by who holds the library's lock: what is replaced was read under it.

What they can be found by are the lines of ``asset_value``, derived from the assets. Fields that
have columns are there for their words; tags, too. Context, metadata and details are there with
every value, numbers as numbers, a list with one line for each of its items.

A backup is a deleted asset that can come back, the last one of each name.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, bindparam, delete, insert, select, update

from facelabel.adapters.store.sql import forgetting, schema
from facelabel.adapters.store.sql.database import PAGE, batches
from facelabel.core.model import Asset
from facelabel.media.types import ASSET_ID, AssetKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, RowMapping

    from facelabel.media.types import AssetChange


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
#: Grows whenever other lines are derived from the same asset: all are then derived anew.
EDITION = 1
#: Columns whose words can be looked for.
WORDED = ("public_id", "display_name", "filename", "folder")

_VALUE = schema.asset_value.c
_WORD = re.compile(r"[^\W_]+")
_BACKUP = schema.backup.c


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
    wanted = [asset_id for asset_id in dict.fromkeys(asset_ids) if ASSET_ID.fullmatch(asset_id)]
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
    # Of each asset in the order they were added.
    tags: dict[str, list[str]] = {row["asset_id"]: [] for row in rows}
    for asset_id, tag in connection.execute(_TAGS, {"asset_ids": list(tags)}):
        tags[asset_id].append(tag)
    return [
        Asset(**{name: row[name] for name in _COLUMNS}, tags=tuple(tags[row["asset_id"]]))
        for row in rows
    ]


def write(connection: Connection, changes: Sequence[AssetChange]) -> None:
    """Make the rows of the assets before those of the assets after."""
    # Whether words of somebody's go, that may be a name: those of an asset, or a tag of it.
    if any(
        change.after is None or _words(change.before) - _words(change.after)
        for change in changes
        if change.before
    ):
        forgetting.note(connection)
    gone = [change.before.asset_id for change in changes if change.before and not change.after]
    for some in batches(gone) if gone else ():
        connection.execute(delete(schema.asset).where(_ASSET.asset_id.in_(some)))
    changed = [(one.before, one.after) for one in changes if one.before and one.after]
    if changed:
        _update(connection, changed)
    new = [change.after for change in changes if change.after and not change.before]
    if new:
        rows = [{name: getattr(asset, name) for name in _COLUMNS} for asset in new]
        connection.execute(insert(schema.asset), rows)
    former = [(one.before, one.after) for one in changes if one.after]
    tagged = [(old, new) for old, new in former if new.tags != (old.tags if old else ())]
    if tagged:
        _write_tags(connection, tagged)
    _write_values(connection, former)


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
        new = {name: getattr(after, name) for name in _COLUMNS}
        names = tuple(name for name, value in new.items() if value != getattr(before, name))
        if names:
            # By names that an UPDATE does not take for its columns.
            bound = {f"new_{name}": new[name] for name in names}
            rows[names].append(bound | {"this": after.asset_id})
    for names, parameters in rows.items():
        this = update(schema.asset).where(_ASSET.asset_id == bindparam("this"))
        set_ = {name: bindparam(f"new_{name}", type_=_ASSET[name].type) for name in names}
        connection.execute(this.values(set_), parameters)


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


class _Line(NamedTuple):
    asset_id: str
    field: str
    position: int
    text: str
    number: float | None
    words: str


def words(text: str) -> str:
    """The words in lower case between spaces, also before the first and behind the last."""
    found = _WORD.findall(text.casefold())
    return f" {' '.join(found)} " if found else ""


def _write_values(connection: Connection, changes: Sequence[tuple[Asset | None, Asset]]) -> None:
    """Write the lines that differ for assets that are there afterwards."""
    old = {line for before, _ in changes if before for line in _lines(before)}
    new = {line for _, after in changes for line in _lines(after)}
    if gone := old - new:
        key = (_VALUE.asset_id, _VALUE.field, _VALUE.position)
        this = and_(*(column == bindparam(f"this_{column.name}") for column in key))
        rows = [{f"this_{c.name}": getattr(line, c.name) for c in key} for line in gone]
        connection.execute(delete(schema.asset_value).where(this), rows)
    if added := new - old:
        connection.execute(insert(schema.asset_value), [line._asdict() for line in added])


def derive_values(connection: Connection, assets: Sequence[Asset]) -> None:
    """Derive every line of these assets anew."""
    gone = delete(schema.asset_value).where(_VALUE.asset_id.in_([a.asset_id for a in assets]))
    connection.execute(gone)
    if lines := {line for asset in assets for line in _lines(asset)}:
        connection.execute(insert(schema.asset_value), [line._asdict() for line in lines])


def _lines(asset: Asset) -> Iterator[_Line]:
    """What can be looked for: a field, the place in its list, and a plain value."""
    values: list[tuple[str, int, bool | float | str]] = [
        *((name, 0, getattr(asset, name)) for name in WORDED),
        *(("tags", position, tag) for position, tag in enumerate(asset.tags)),
    ]
    for group in ("context", "metadata", "details"):
        for key, value in getattr(asset, group).items():
            items = value if isinstance(value, list) else [value]
            plain = (item for item in items if isinstance(item, bool | int | float | str))
            values += [(f"{group}.{key}", position, item) for position, item in enumerate(plain)]
    for field, position, value in values:
        if isinstance(value, bool):
            text = "true" if value else "false"
        else:
            # Without what PostgreSQL's text cannot hold.
            text = str(value).replace("\0", "").encode("utf-8", "replace").decode()
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        is_number = math.isfinite(number)
        yield _Line(
            asset.asset_id, field, position, text, number if is_number else None, words(text)
        )


def keep_backups(connection: Connection, assets: Iterable[Asset]) -> set[str]:
    """Keep assets that are being deleted; return the etags of what they take the place of."""
    named = [(asset, AssetKey.of(asset)) for asset in assets]
    replaced = {former.etag for _, key in named if (former := take_backup(connection, key))}
    rows = [
        dataclasses.asdict(key) | {"etag": asset.etag, "body": dataclasses.asdict(asset)}
        for asset, key in named
    ]
    if rows:
        connection.execute(insert(schema.backup), rows)
    return replaced


def backup(connection: Connection, key: AssetKey) -> Asset | None:
    """Return the backup of that name."""
    return _backed_up(connection.execute(select(_BACKUP.body).where(_is_backup_of(key))).scalar())


def take_backup(connection: Connection, key: AssetKey) -> Asset | None:
    """Remove and return the backup of that name."""
    gone = delete(schema.backup).where(_is_backup_of(key)).returning(_BACKUP.body)
    return _backed_up(connection.execute(gone).scalar())


def _backed_up(body: dict[str, Any] | None) -> Asset | None:
    return Asset(**body | {"tags": tuple(body["tags"])}) if body else None


def _is_backup_of(key: AssetKey) -> ColumnElement[bool]:
    return (
        (_BACKUP.public_id == key.public_id)
        & (_BACKUP.resource_type == key.resource_type)
        & (_BACKUP.type == key.type)
    )
