"""What is on Cloudinary: reading assets, by the Admin API, which answers so many calls an hour."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import quote

from cloudinary import api

from facelabel.adapters.cloudinary import asset_reader
from facelabel.adapters.cloudinary.metadata import MetadataFields
from facelabel.errors import NotFound
from facelabel.media.types import DELIVERY_TYPES, AssetKey, is_asset_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from facelabel.adapters.cloudinary.client import Client, Raw, SdkCall
    from facelabel.core.clock import Clock
    from facelabel.core.model import Asset

FolderMode: TypeAlias = Literal["auto", "fixed", "dynamic"]

#: Seconds for which we take it that an asset still has the public_id we saw.
KEY_SECONDS = 60.0
KEYS = 10_000
_DETAILS = {"tags": True, "context": True, "metadata": True}


class Catalogue:
    """The assets of an account."""

    def __init__(self, client: Client, clock: Clock, folder_mode: FolderMode, page: int) -> None:
        """``folder_mode``: "auto" asks the account, when it is first needed.

        ``page``: assets asked for in one call, 500 at most.
        """
        self.fields = MetadataFields(client, clock)
        self.keys = _Keys(clock)
        self._client = client
        self._mode = folder_mode
        self._page = page

    @property
    def is_dynamic(self) -> bool:
        """Whether an asset's folder is told apart from its public_id."""
        if self._mode == "auto":
            settings = self._client.admin(api.config, settings=True).get("settings") or {}
            self._mode = "fixed" if settings.get("folder_mode") == "fixed" else "dynamic"
        return self._mode == "dynamic"

    def read(self, raw: Raw) -> Asset:
        """The asset an answer describes; its name is remembered."""
        metadata = self.fields.labels(raw.get("metadata") or {})
        asset = asset_reader.asset(raw, dynamic=self.is_dynamic, metadata=metadata)
        self.keys.remember(asset)
        return asset

    def details(self, asset_id: str) -> Raw | None:
        """What Cloudinary says of an asset, None if there is none."""
        if not is_asset_id(asset_id):  # the same address lists assets by their resource type
            return None
        try:
            raw = self._client.admin(api.resource_by_asset_id, asset_id)
        except NotFound:
            return None
        return raw if asset_reader.is_there(raw) else None

    def asset(self, asset_id: str) -> Asset | None:
        """Return the asset as it is now, None if there is none."""
        raw = self.details(asset_id)
        return None if raw is None else self.read(raw)

    def required(self, asset_id: str) -> Asset:
        """Return the asset as it is now; NotFound if there is none."""
        asset = self.asset(asset_id)
        if asset is None:
            raise NotFound(f"there is no asset {asset_id!r}")
        return asset

    def find(self, public_id: str) -> Asset | None:
        """Return the image of that public_id, whatever its delivery type."""
        if not public_id.strip():  # nameless, it would be a list of all
            return None
        for kind in DELIVERY_TYPES:
            found = self._client.admin(api.resources_by_ids, [public_id], type=kind, **_DETAILS)
            for raw in filter(asset_reader.is_there, found.get("resources", ())):
                return self.read(raw)
        return None

    def images(self, folder: str) -> Iterator[Asset]:
        """Every image in a folder and below, each once, fetched page by page."""
        walked = folder and self.is_dynamic
        seen: set[str] = set()
        for raw in self._below(folder) if walked else self._beginning(folder):
            if raw.get("resource_type", "image") != "image" or not asset_reader.is_there(raw):
                continue
            asset = self.read(raw)
            if asset.asset_id not in seen:
                seen.add(asset.asset_id)
                yield asset

    def beginning(self, text: str, limit: int) -> list[Asset]:
        """Uploaded images whose public_id begins so, so many at most."""
        prefix = {"prefix": text} if text else {}
        found = self._client.admin(
            api.resources, type=DELIVERY_TYPES[0], max_results=limit, **prefix, **_DETAILS
        )
        there = filter(asset_reader.is_there, found.get("resources", ()))
        return sorted(map(self.read, there), key=lambda asset: asset.public_id)

    def subfolders(self, parent: str) -> list[str]:
        """Paths of the folders right below a parent, or of the root's."""
        where = (api.subfolders, escaped(parent)) if parent else (api.root_folders,)
        return sorted(folder["path"] for folder in self._pages("folders", *where))

    def _beginning(self, folder: str) -> Iterator[Raw]:
        """Images whose public_id begins with a folder; of the root: all there are."""
        prefix = {"prefix": f"{folder}/"} if folder else {}
        for kind in DELIVERY_TYPES:
            yield from self._pages("resources", api.resources, type=kind, **prefix, **_DETAILS)

    def _below(self, folder: str) -> Iterator[Raw]:
        """Assets in an asset folder and, folder by folder, in those below."""
        yield from self._pages("resources", api.resources_by_asset_folder, folder, **_DETAILS)
        for inner in self._pages("folders", api.subfolders, escaped(folder)):
            yield from self._below(inner["path"])

    def _pages(self, what: str, call: SdkCall, *args: str, **options: object) -> Iterable[Raw]:
        """All pages of a listing; none where its folder does not exist."""
        cursor: dict[str, str] = {}
        while True:
            try:
                page = self._client.admin(call, *args, max_results=self._page, **cursor, **options)
            except NotFound:
                return
            yield from page.get(what, ())
            if not page.get("next_cursor"):
                return
            cursor = {"next_cursor": page["next_cursor"]}


def escaped(name: str) -> str:
    """A public_id or folder as part of a path; the SDK unquotes before it quotes."""
    return quote(name, safe="/")


class _Keys:
    """The public_ids of assets seen a moment ago, which the Upload API names them by."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: OrderedDict[str, tuple[AssetKey, float]] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, asset: Asset) -> None:
        with self._lock:
            self._seen[asset.asset_id] = (AssetKey.of(asset), self._clock.now() + KEY_SECONDS)
            self._seen.move_to_end(asset.asset_id)
            while len(self._seen) > KEYS:
                self._seen.popitem(last=False)

    def get(self, asset_id: str) -> AssetKey | None:
        with self._lock:
            key, expires = self._seen.get(asset_id, (None, 0.0))
        return key if self._clock.now() < expires else None
