"""The local library: pictures on this computer, with Cloudinary's words and rules.

Rows are in the database, files in :mod:`~facelabel.adapters.store.originals`. Whoever changes the
library holds its lock, so a change and the job that follows it up are one transaction, and what
is decided from a row (is the name free, is this the original's last user) still holds when it
is written.
"""

from __future__ import annotations

import hashlib
import re
import string
import time
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import and_, delete, func, insert, or_, select, true, update

from facelabel.adapters.store import rules, schema
from facelabel.adapters.store.database import batches
from facelabel.adapters.store.originals import Originals
from facelabel.errors import AlreadyExists, NotFound, Rejected
from facelabel.model import Asset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import ColumnElement, Connection, RowMapping

    from facelabel.adapters.store.database import Database
    from facelabel.ports import Clock

_ASSET = schema.asset.c
_TAG = schema.asset_tag.c
#: Characters of content hash that tell pictures of one file name apart, and how many such tries.
_SUFFIX = 6
_SUFFIXES = 8
_BASE36 = string.digits + string.ascii_lowercase
_DAY = 86_400.0
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """What the header of an image file says."""

    format: str
    width: int
    height: int


class Check(Protocol):
    """Reads an image's header."""

    def __call__(self, data: bytes, /) -> ImageInfo:
        """Format, width and height in pixels; raises UnreadableImage."""


class OnChange(Protocol):
    """Told of every change, inside its transaction."""

    def __call__(self, connection: Connection, asset_id: str, /) -> None:
        """Follow the change up, for example with a job that commits together with it."""


class LocalLibrary:
    """The pictures in the data folder; implements :class:`facelabel.ports.EditableLibrary`."""

    def __init__(
        self,
        database: Database,
        root: Path,
        clock: Clock,
        *,
        on_change: OnChange | None,
        check: Check,
    ) -> None:
        """``root``: folder of the originals. Without ``on_change`` nothing follows a change."""
        self._database = database
        self._originals = Originals(root)
        self._clock = clock
        self._on_change = on_change
        self._check = check

    def asset(self, asset_id: str) -> Asset | None:
        """Return the asset as it is now, None if there is none."""
        if not _ID.fullmatch(asset_id):  # whatever was typed: a driver may choke on it
            return None
        with self._database.read() as connection:
            return _first(connection, _ASSET.asset_id == asset_id)

    def find(self, public_id: str) -> Asset | None:
        """Return the asset of that public_id."""
        try:
            public_id = rules.public_id(public_id)
        except Rejected:
            return None
        with self._database.read() as connection:
            return _first(connection, _ASSET.public_id == public_id)

    def assets(self, folder: str) -> Iterator[Asset]:
        """Every image in ``folder`` and below, by public_id, fetched page by page."""
        inside = select(schema.asset).where(_is_inside(rules.folder(folder)))
        return self._database.pages(inside, _ASSET.public_id, _assets)

    def fetch(self, asset: Asset) -> bytes:
        """Return the image file; NotFound if it is gone, Rejected if it is damaged."""
        data = self._originals.read(asset.etag)
        if data is None:
            raise NotFound(f"the original of {asset.public_id!r} is gone")
        if hashlib.sha256(data).hexdigest() != asset.etag:
            raise Rejected(f"the original of {asset.public_id!r} is damaged: upload it again")
        return data

    def add_tags(self, asset_id: str, tags: Sequence[str]) -> None:
        """Add tags atomically; those already there stay. NotFound if the asset is gone."""
        wanted = rules.tags(tags)
        self._edit(asset_id, lambda connection, _: self._tag(connection, asset_id, wanted))

    def remove_tags(self, asset_id: str, tags: Sequence[str]) -> None:
        """Remove tags atomically; those not there are no error. NotFound if the asset is gone."""
        unwanted = rules.tags(tags)
        self._edit(asset_id, lambda connection, _: _untag(connection, asset_id, unwanted))

    def set_context(self, asset_id: str, values: Mapping[str, str | None]) -> None:
        """Set contextual metadata keys; None removes a key. NotFound if the asset is gone."""
        self._edit(asset_id, lambda connection, row: self._set_context(connection, row, values))

    def upload(
        self,
        data: bytes,
        *,
        folder: str = "",
        filename: str = "",
        public_id: str | None = None,
        tags: Sequence[str] | None = None,
        context: Mapping[str, str] | None = None,
    ) -> Asset:
        """Store an image; same public_id replaces content, and tags where given.

        Without a public_id one is made from folder and file name, made unique unless the same
        content already stands there; that asset gets the tags in addition. An asset that stands
        there keeps the folder and the file name that are not given.
        """
        content = self._content(data)
        place = {"folder": rules.folder(folder), "filename": rules.file_name(filename)}
        names = _names(public_id, place, content["etag"])
        wanted = None if tags is None else rules.tags(tags)
        put_tags = self._tag if public_id is None else self._retag

        with self._originals.staged(content["etag"], data) as original, self._alone() as connection:
            row, is_new = self._standing(connection, names, content | place)
            changed = self._set(connection, row, content | _given(place))
            changed |= self._set_context(connection, row, context or {})
            changed |= wanted is not None and put_tags(connection, row["asset_id"], wanted)
            original.place()
            asset = self._followed_up(connection, row["asset_id"], changed=changed or is_new)
        if row["etag"] != asset.etag:
            self._release(row["etag"])
        return asset

    def move(self, asset_id: str, folder: str) -> Asset:
        """Put the asset into another folder; its asset_id and its public_id stay."""
        place = {"folder": rules.folder(folder)}
        return self._edit(asset_id, lambda connection, row: self._set(connection, row, place))

    def rename(self, asset_id: str, public_id: str) -> Asset:
        """Give the asset another public_id; AlreadyExists if it is taken."""
        name = rules.public_id(public_id)

        def edit(connection: Connection, row: RowMapping) -> bool:
            holder = _row(connection, _ASSET.public_id == name)
            if holder and holder["asset_id"] != asset_id:
                raise AlreadyExists(f"there is a picture {name!r} already")
            return self._set(connection, row, {"public_id": name})

        return self._edit(asset_id, edit)

    def delete(self, asset_id: str) -> None:
        """Delete the asset and, with its last user, the original; no error if it is gone."""
        gone = delete(schema.asset).where(_ASSET.asset_id == asset_id).returning(_ASSET.etag)
        with self._alone() as connection:
            etag = connection.execute(gone).scalar()
            if etag and self._on_change:
                self._on_change(connection, asset_id)
        if etag:
            self._release(etag)

    def sweep_orphans(self, min_age: float = _DAY) -> int:
        """Delete files of no asset that dead processes left; returns how many.

        ``min_age``: seconds; an upload that is under way has files without an asset, too.
        """
        before = time.time() - min_age  # the file system's clock, whatever ours says
        removed = sum(
            self._release(etag)
            for some in batches(self._originals.settled(before))
            for etag in self._unused(some)
        )
        return removed + self._originals.remove_unplaced(before)

    def _alone(self) -> AbstractContextManager[Connection]:
        return self._database.transaction(alone="library")

    def _edit(self, asset_id: str, edit: Callable[[Connection, RowMapping], bool]) -> Asset:
        """Change an asset that must exist; ``edit`` says whether it changed anything."""
        with self._alone() as connection:
            row = _required(connection, asset_id)
            return self._followed_up(connection, asset_id, changed=edit(connection, row))

    def _followed_up(self, connection: Connection, asset_id: str, *, changed: bool) -> Asset:
        if changed and self._on_change:
            self._on_change(connection, asset_id)
        row = _required(connection, asset_id)
        return _assets(connection, [row])[0]

    def _content(self, data: bytes) -> dict[str, Any]:
        """The columns that describe a file."""
        etag = hashlib.sha256(data).hexdigest()
        return asdict(self._check(data)) | {"bytes": len(data), "etag": etag}

    def _standing(
        self, connection: Connection, names: Sequence[str], values: Mapping[str, Any]
    ) -> tuple[RowMapping, bool]:
        """The asset that an upload is for, and whether it was made just now.

        The asset of the first name is replaced if that is the only one. Of several names the
        one that holds the same content is taken, else the first that is free.
        """
        rows = _named(connection, names)
        same = [row for row in rows.values() if row["etag"] == values["etag"]]
        if len(names) == 1:
            same = list(rows.values())
        if same:
            return same[0], False
        free = next((name for name in names if name not in rows), None)
        if free is None:
            raise AlreadyExists(f"there are too many pictures {names[0]!r}")
        return self._insert(connection, free, values), True

    def _insert(self, connection: Connection, name: str, values: Mapping[str, Any]) -> RowMapping:
        now = self._clock.now()
        new = insert(schema.asset).values(
            asset_id=uuid.uuid4().hex,
            public_id=name,
            version=int(now),
            created_at=now,
            context={},
            **values,
        )
        return connection.execute(new.returning(schema.asset)).mappings().one()

    def _set(self, connection: Connection, row: RowMapping, values: Mapping[str, Any]) -> bool:
        """Write the columns that differ; new content grows the version."""
        changes = {name: value for name, value in values.items() if row[name] != value}
        if "etag" in changes:
            changes["version"] = max(row["version"] + 1, int(self._clock.now()))
        if changes:
            this = update(schema.asset).where(_ASSET.asset_id == row["asset_id"])
            connection.execute(this.values(changes))
        return bool(changes)

    def _set_context(
        self, connection: Connection, row: RowMapping, values: Mapping[str, str | None]
    ) -> bool:
        return self._set(connection, row, {"context": rules.merged_context(row["context"], values)})

    def _tag(self, connection: Connection, asset_id: str, tags: Sequence[str]) -> bool:
        """Add the tags that are not there yet; whether there were any."""
        this = _TAG.asset_id == asset_id
        last = connection.execute(select(func.max(_TAG.position)).where(this)).scalar() or 0
        rows = [
            {"asset_id": asset_id, "tag": tag, "position": position}
            for position, tag in enumerate(tags, last + 1)
        ]
        new = self._database.insert(schema.asset_tag).on_conflict_do_nothing().returning(_TAG.tag)
        added = [tag for some in batches(rows) for tag in connection.execute(new.values(some))]
        count = connection.execute(select(func.count()).where(this)).scalar_one()
        if count > rules.TAGS:
            raise Rejected(f"an asset has at most {rules.TAGS} tags")
        return bool(added)

    def _retag(self, connection: Connection, asset_id: str, tags: Sequence[str]) -> bool:
        """Make these the asset's tags; whether that changed any."""
        former = _tags(connection, [asset_id])[asset_id]
        removed = _untag(connection, asset_id, [tag for tag in former if tag not in tags])
        return self._tag(connection, asset_id, tags) or removed

    def _unused(self, etags: Sequence[str]) -> list[str]:
        used = select(_ASSET.etag).where(_ASSET.etag.in_(etags))
        with self._database.read() as connection:
            held = set(connection.execute(used).scalars())
        return [etag for etag in etags if etag not in held]

    def _release(self, etag: str) -> bool:
        """Remove an original that no asset uses; whether it was removed.

        Looked up anew under the lock: since the row went, another upload may have come to
        rely on the file.
        """
        with self._alone() as connection:
            if _row(connection, _ASSET.etag == etag):
                return False
            self._originals.remove(etag)
            return True


def _names(public_id: str | None, place: Mapping[str, str], etag: str) -> list[str]:
    """The public_ids that an upload may get, best first.

    The ends that tell pictures of one file name apart come from their content, so that whoever
    uploads a folder twice finds every picture where it was.
    """
    if public_id is not None:
        return [rules.public_id(public_id)]
    name = rules.default_public_id(place["folder"], place["filename"], suffix=_SUFFIX + 1)
    digits = _base36(int(etag, 16))
    ends = [digits[at : at + _SUFFIX] for at in range(0, _SUFFIXES * _SUFFIX, _SUFFIX)]
    return [name, *(f"{name}_{end}" for end in ends)]


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits += _BASE36[digit]
    return digits.ljust(_SUFFIXES * _SUFFIX, "0")


def _given(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _is_inside(folder: str) -> ColumnElement[bool]:
    """In the folder or below. "0" follows "/": LIKE would take A for a on SQLite."""
    if not folder:
        return true()
    below = and_(_ASSET.folder > f"{folder}/", _ASSET.folder < f"{folder}0")
    return or_(_ASSET.folder == folder, below)


def _row(connection: Connection, condition: ColumnElement[bool]) -> RowMapping | None:
    return connection.execute(select(schema.asset).where(condition).limit(1)).mappings().first()


def _required(connection: Connection, asset_id: str) -> RowMapping:
    row = _row(connection, _ASSET.asset_id == asset_id)
    if row is None:
        raise NotFound(f"there is no asset {asset_id!r}")
    return row


def _named(connection: Connection, names: Sequence[str]) -> dict[str, RowMapping]:
    """The assets of these names, by name, in the order of the names."""
    rows = connection.execute(select(schema.asset).where(_ASSET.public_id.in_(names))).mappings()
    found = {row["public_id"]: row for row in rows}
    return {name: found[name] for name in names if name in found}


def _first(connection: Connection, condition: ColumnElement[bool]) -> Asset | None:
    row = _row(connection, condition)
    return _assets(connection, [row])[0] if row else None


def _assets(connection: Connection, rows: Sequence[RowMapping]) -> list[Asset]:
    tags = _tags(connection, [row["asset_id"] for row in rows])
    return [Asset(**row, tags=tuple(tags[row["asset_id"]])) for row in rows]


def _tags(connection: Connection, asset_ids: Sequence[str]) -> dict[str, list[str]]:
    """The tags of each asset, in the order they were added."""
    tags = select(_TAG.asset_id, _TAG.tag).where(_TAG.asset_id.in_(asset_ids))
    found: dict[str, list[str]] = {asset_id: [] for asset_id in asset_ids}
    for asset_id, tag in connection.execute(tags.order_by(_TAG.asset_id, _TAG.position)):
        found[asset_id].append(tag)
    return found


def _untag(connection: Connection, asset_id: str, tags: Sequence[str]) -> bool:
    """Remove the tags that are there; whether there were any."""
    this = delete(schema.asset_tag).where(_TAG.asset_id == asset_id)
    counts = [connection.execute(this.where(_TAG.tag.in_(some))).rowcount for some in batches(tags)]
    return sum(counts) > 0
