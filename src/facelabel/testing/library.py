"""A library in a dictionary."""

from __future__ import annotations

import dataclasses
import hashlib
import uuid
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from facelabel.core.model import Asset
from facelabel.errors import AlreadyExists, NotFound, OriginalMissing, Rejected
from facelabel.testing.clock import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from facelabel.core.clock import Clock
    from facelabel.core.model import JsonValue


class MemoryLibrary:
    """Pictures in a dictionary; ``on_change`` is told the asset_id after every change."""

    def __init__(
        self, clock: Clock | None = None, on_change: Callable[[str], None] | None = None
    ) -> None:
        """Start empty."""
        self._clock = clock or ManualClock()
        self._assets: dict[str, Asset] = {}
        self._data: dict[str, bytes] = {}
        self._on_change = on_change or (lambda _: None)
        #: asset_ids whose files are not to be found for now.
        self.away: set[str] = set()

    def silently(self) -> MemoryLibrary:
        """The same pictures, changed without telling anyone: what the pipeline gets."""
        twin = MemoryLibrary(self._clock)
        twin._assets, twin._data, twin.away = self._assets, self._data, self.away
        return twin

    def asset(self, asset_id: str) -> Asset | None:
        """See :class:`facelabel.media.ports.Library`."""
        return self._assets.get(asset_id)

    def find(self, public_id: str) -> Asset | None:
        """See :class:`facelabel.media.ports.Library`."""
        return next((a for a in self._assets.values() if a.public_id == public_id), None)

    def assets(self, folder: str) -> Iterator[Asset]:
        """See :class:`facelabel.media.ports.Library`."""
        found = [asset for asset in self._assets.values() if asset.in_folder(folder)]
        return iter(sorted(found, key=lambda asset: asset.public_id))

    def beginning(self, text: str, limit: int) -> Sequence[Asset]:
        """See :class:`facelabel.media.ports.Directory`."""
        return [
            asset
            for asset in self.assets("")
            if asset.public_id.startswith(text) or asset.asset_id.startswith(text)
        ][:limit]

    def subfolders(self, parent: str = "") -> Sequence[str]:
        """See :class:`facelabel.media.ports.Directory`."""
        above = f"{parent.strip('/')}/".lstrip("/")
        names = {
            asset.folder.removeprefix(above).partition("/")[0]
            for asset in self._assets.values()
            if asset.folder.startswith(above) and asset.folder
        }
        return sorted(above + name for name in names)

    def fetch(self, asset: Asset) -> bytes:
        """See :class:`facelabel.media.ports.Library`."""
        self._need(asset.asset_id)
        if asset.asset_id in self.away:
            raise OriginalMissing(f"the original of {asset.public_id!r} is away")
        return self._data[asset.asset_id]

    def add_tags(self, asset_id: str, tags: Sequence[str]) -> None:
        """See :class:`facelabel.media.ports.Library`."""
        old = self._need(asset_id).tags
        self._replace(asset_id, tags=old + tuple(tag for tag in tags if tag not in old))

    def remove_tags(self, asset_id: str, tags: Sequence[str]) -> None:
        """See :class:`facelabel.media.ports.Library`."""
        old = self._need(asset_id).tags
        self._replace(asset_id, tags=tuple(tag for tag in old if tag not in tags))

    def set_context(self, asset_id: str, values: Mapping[str, str | None]) -> None:
        """See :class:`facelabel.media.ports.Library`."""
        merged = {**self._need(asset_id).context, **values}
        self._replace(asset_id, context={k: v for k, v in merged.items() if v is not None})

    def set_metadata(self, asset_id: str, field: str, values: Sequence[str]) -> None:
        """See :class:`facelabel.media.ports.Library`."""
        others = {k: v for k, v in self._need(asset_id).metadata.items() if k != field}
        unique: list[JsonValue] = list(dict.fromkeys(values))
        self._replace(asset_id, metadata=others | ({field: unique} if unique else {}))

    def upload(
        self,
        data: bytes,
        *,
        folder: str = "",
        filename: str = "",
        public_id: str | None = None,
        tags: Sequence[str] | None = None,
        context: Mapping[str, str] | None = None,
        on_existing: Callable[[], None] | None = None,
    ) -> Asset:
        """See :class:`facelabel.media.ports.EditableLibrary`."""
        digest = hashlib.sha256(data).hexdigest()
        name = public_id or self._name(folder.strip("/"), filename, digest)
        old = self.find(name) or self._blank(name)
        newer = max(old.version + 1, int(self._clock.now()))
        kept = old.tags if tags is None or public_id is None else ()
        asset = dataclasses.replace(
            old,
            folder=folder.strip("/") or old.folder,
            filename=filename or old.filename,
            version=old.version if old.etag == digest else newer,
            bytes=len(data),
            etag=digest,
            tags=tuple(dict.fromkeys((*kept, *(tags or ())))),
            context={**old.context, **(context or {})},
        )
        if asset != old:
            self._store(asset, data)
        if on_existing and old.etag == digest:
            on_existing()
        return asset

    def move(self, asset_id: str, folder: str) -> Asset:
        """See :class:`facelabel.media.ports.EditableLibrary`."""
        return self._replace(asset_id, folder=folder.strip("/"))

    def rename(self, asset_id: str, public_id: str) -> Asset:
        """See :class:`facelabel.media.ports.EditableLibrary`."""
        taken = self.find(public_id)
        if taken and taken.asset_id != asset_id:
            raise AlreadyExists(f"there is an asset {public_id!r} already")
        return self._replace(asset_id, public_id=public_id)

    def delete(self, asset_id: str) -> None:
        """See :class:`facelabel.media.ports.EditableLibrary`."""
        if self._assets.pop(asset_id, None):
            self._data.pop(asset_id)
            self._on_change(asset_id)

    def _need(self, asset_id: str) -> Asset:
        if asset_id not in self._assets:
            raise NotFound(f"there is no asset {asset_id!r}")
        return self._assets[asset_id]

    def _replace(self, asset_id: str, **changes: object) -> Asset:
        old = self._need(asset_id)
        asset = dataclasses.replace(old, **changes)  # type: ignore[arg-type] # our own fields
        if asset != old:
            self._store(asset)
        return asset

    def _store(self, asset: Asset, data: bytes | None = None) -> None:
        if any("," in tag for tag in asset.tags):
            raise Rejected("a tag has no comma")
        self._assets[asset.asset_id] = asset
        if data is not None:
            self._data[asset.asset_id] = data
        self._on_change(asset.asset_id)

    def _name(self, folder: str, filename: str, digest: str) -> str:
        name = "/".join(filter(None, [folder, PurePosixPath(filename).stem or "image"]))
        holder = self.find(name)
        return name if holder is None or holder.etag == digest else f"{name}_{digest[:6]}"

    def _blank(self, public_id: str) -> Asset:
        return Asset(
            uuid.uuid4().hex, public_id, "", 0, "json", 0, "", created_at=self._clock.now()
        )
