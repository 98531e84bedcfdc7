"""A library elsewhere, whose changes made here are followed up without waiting to be told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.core.jobs import JobKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from facelabel.core.model import Asset
    from facelabel.media.ports import EditableLibrary
    from facelabel.recognition.ports import Queue


class EnqueuingLibrary:
    """Another library; every change made through this one enqueues a look at the asset.

    The notification that comes later finds nothing left to do, and need not come at all.
    Implements :class:`facelabel.media.ports.EditableLibrary`.
    """

    def __init__(self, library: EditableLibrary, queue: Queue) -> None:
        """Follow the changes of ``library`` up in ``queue``."""
        self._library = library
        self._queue = queue

    def asset(self, asset_id: str) -> Asset | None:
        """See :class:`facelabel.media.ports.Library`."""
        return self._library.asset(asset_id)

    def find(self, public_id: str) -> Asset | None:
        """See :class:`facelabel.media.ports.Library`."""
        return self._library.find(public_id)

    def assets(self, folder: str) -> Iterator[Asset]:
        """See :class:`facelabel.media.ports.Library`."""
        return self._library.assets(folder)

    def beginning(self, text: str, limit: int) -> Sequence[Asset]:
        """See :class:`facelabel.media.ports.Directory`."""
        return self._library.beginning(text, limit)

    def subfolders(self, parent: str = "") -> Sequence[str]:
        """See :class:`facelabel.media.ports.Directory`."""
        return self._library.subfolders(parent)

    def fetch(self, asset: Asset) -> bytes:
        """See :class:`facelabel.media.ports.Library`."""
        return self._library.fetch(asset)

    def add_tags(self, asset_id: str, tags: Sequence[str]) -> None:
        """See :class:`facelabel.media.ports.Library`."""
        self._library.add_tags(asset_id, tags)
        self._follow(asset_id)

    def remove_tags(self, asset_id: str, tags: Sequence[str]) -> None:
        """See :class:`facelabel.media.ports.Library`."""
        self._library.remove_tags(asset_id, tags)
        self._follow(asset_id)

    def set_context(self, asset_id: str, values: Mapping[str, str | None]) -> None:
        """See :class:`facelabel.media.ports.Library`."""
        self._library.set_context(asset_id, values)
        self._follow(asset_id)

    def set_metadata(self, asset_id: str, field: str, values: Sequence[str]) -> None:
        """See :class:`facelabel.media.ports.Library`."""
        self._library.set_metadata(asset_id, field, values)
        self._follow(asset_id)

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
        asset = self._library.upload(
            data, folder=folder, filename=filename, public_id=public_id, tags=tags,
            context=context, on_existing=on_existing,
        )  # fmt: skip
        return self._followed(asset)

    def move(self, asset_id: str, folder: str) -> Asset:
        """See :class:`facelabel.media.ports.EditableLibrary`."""
        return self._followed(self._library.move(asset_id, folder))

    def rename(self, asset_id: str, public_id: str) -> Asset:
        """See :class:`facelabel.media.ports.EditableLibrary`."""
        return self._followed(self._library.rename(asset_id, public_id))

    def delete(self, asset_id: str) -> None:
        """See :class:`facelabel.media.ports.EditableLibrary`."""
        self._library.delete(asset_id)
        self._follow(asset_id)

    def _followed(self, asset: Asset) -> Asset:
        self._follow(asset.asset_id)
        return asset

    def _follow(self, asset_id: str) -> None:
        self._queue.enqueue(JobKind.ASSET, asset_id)
