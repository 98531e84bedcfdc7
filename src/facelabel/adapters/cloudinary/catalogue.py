"""What is on Cloudinary: reading assets, by the Admin API, which answers so many calls an hour.

What Cloudinary's API says of an asset is read into ours. Of structured metadata people see the
labels of a list's values; the API speaks of external_ids.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import quote

from cloudinary import api

from facelabel.core.model import Asset
from facelabel.errors import AlreadyExists, NotFound, Rejected, Unavailable
from facelabel.media.types import ASSET_ID, DELIVERY_TYPES, AssetKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from facelabel.adapters.cloudinary.client import Client, Raw, SdkCall
    from facelabel.core.clock import Clock
    from facelabel.core.model import Json, JsonValue

FolderMode: TypeAlias = Literal["auto", "fixed", "dynamic"]

#: Seconds for which we take it that an asset still has the public_id we saw.
KEY_SECONDS = 60.0
KEYS = 10_000
_DETAILS = {"tags": True, "context": True, "metadata": True}
#: Seconds before the fields are asked for again because of a value that we do not know.
FRESH_SECONDS = 60.0
_LISTS = frozenset({"enum", "set"})


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
        asset = _asset(raw, dynamic=self.is_dynamic, metadata=metadata)
        self.keys.remember(asset)
        return asset

    def details(self, asset_id: str) -> Raw | None:
        """What Cloudinary says of an asset, None if there is none."""
        if not ASSET_ID.fullmatch(asset_id):  # the same address lists assets by their resource type
            return None
        try:
            raw = self._client.admin(api.resource_by_asset_id, asset_id)
        except NotFound:
            return None
        return raw if _is_there(raw) else None

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
            for raw in filter(_is_there, found.get("resources", ())):
                return self.read(raw)
        return None

    def images(self, folder: str) -> Iterator[Asset]:
        """Every image in a folder and below, each once, fetched page by page."""
        walked = folder and self.is_dynamic
        seen: set[str] = set()
        for raw in self._below(folder) if walked else self._beginning(folder):
            if raw.get("resource_type", "image") != "image" or not _is_there(raw):
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
        there = filter(_is_there, found.get("resources", ()))
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
        """Know for a while under which name the asset was seen."""
        with self._lock:
            self._seen[asset.asset_id] = (AssetKey.of(asset), self._clock.now() + KEY_SECONDS)
            self._seen.move_to_end(asset.asset_id)
            while len(self._seen) > KEYS:
                self._seen.popitem(last=False)

    def get(self, asset_id: str) -> AssetKey | None:
        """The name it was seen under a moment ago; None after that."""
        with self._lock:
            key, expires = self._seen.get(asset_id, (None, 0.0))
        return key if self._clock.now() < expires else None


def _asset(raw: Mapping[str, Any], *, dynamic: bool, metadata: Json) -> Asset:
    """The asset that an answer describes.

    ``dynamic``: whether its folder is told apart from its public_id. ``metadata``: the answer's
    own, with labels for the external_ids of list values.
    """
    try:
        return Asset(
            asset_id=raw["asset_id"],
            public_id=raw["public_id"],
            folder=_folder(raw, dynamic=dynamic),
            version=int(raw["version"]),
            format=raw.get("format") or "",
            bytes=int(raw.get("bytes") or 0),
            etag=raw.get("etag") or "",
            width=int(raw.get("width") or 0),
            height=int(raw.get("height") or 0),
            created_at=_time(raw.get("created_at")),
            filename=_filename(raw),
            resource_type=raw.get("resource_type") or "image",
            type=raw.get("type") or "upload",
            tags=tuple(raw.get("tags") or ()),
            context=_context(raw),
            display_name=raw.get("display_name") or "",
            metadata=metadata,
            updated_at=_time(raw.get("updated_at") or raw.get("created_at")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unavailable(f"Cloudinary describes an asset in a way of its own: {error}") from error


def _folder(raw: Mapping[str, Any], *, dynamic: bool) -> str:
    """The folder an asset lies in."""
    if dynamic:
        return str(raw.get("asset_folder") or "").strip("/")
    return str(raw["public_id"]).rpartition("/")[0]


def _context(raw: Mapping[str, Any]) -> dict[str, str]:
    """Contextual metadata: below "custom", but flat in what a search finds."""
    values = raw.get("context") or {}
    return {key: str(value) for key, value in values.get("custom", values).items()}


def _is_there(raw: Mapping[str, Any]) -> bool:
    """Whether it is an asset, and not what is left of a deleted one that has a backup."""
    return not raw.get("placeholder")


def _filename(raw: Mapping[str, Any]) -> str:
    stem = raw.get("original_filename") or ""
    ending = raw.get("original_extension") or raw.get("format") or ""
    return f"{stem}.{ending}" if stem and ending else stem


def _time(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


class MetadataFields:
    """The account's fields, read once and again when something unknown turns up."""

    def __init__(self, client: Client, clock: Clock) -> None:
        """Nothing is read before it is needed."""
        self._client = client
        self._clock = clock
        self._fields: dict[str, Json] = {}
        self._read_at = float("-inf")
        self._lock = threading.Lock()

    def labels(self, metadata: Mapping[str, JsonValue]) -> Json:
        """Metadata of an asset with the labels of its list values, so far as they have one."""
        if any(self._has_unknown(name, value) for name, value in metadata.items()):
            self._refresh()
        return {name: self._labelled(name, value) for name, value in metadata.items()}

    def exists(self, name: str) -> bool:
        """Whether there is a field of that external_id."""
        return self._field(name) is not None

    def values(self, name: str, labels: Sequence[str]) -> JsonValue:
        """What to write so that a field holds these values, made ready to take them.

        A field that does not exist is made, a set open for new values; a closed list is given
        the entries it lacks. Raises Rejected if the field cannot hold them.
        """
        field = self._field(name) or self._make(name, labels)
        kind = str(field["type"])
        if kind not in _LISTS | {"string"}:
            raise Rejected(f"the metadata field {name!r} is a {kind} and cannot hold names")
        if kind != "set" and len(labels) > 1:
            raise Rejected(f"the metadata field {name!r} holds one value, not {len(labels)}")
        values = self._entries(name, field, labels) if kind in _LISTS else list(labels)
        return [*values] if kind == "set" else next(iter(values), "")

    def _field(self, name: str) -> Json | None:
        if name not in self._fields:
            self._refresh()
        return self._fields.get(name)

    def _has_unknown(self, name: str, value: JsonValue) -> bool:
        field = self._fields.get(name)
        if field is None:
            return True
        known = {entry["external_id"] for entry in _datasource(field)}
        return field["type"] in _LISTS and not known.issuperset(_listed(value))

    def _labelled(self, name: str, value: JsonValue) -> JsonValue:
        labels = {e["external_id"]: e["value"] for e in _datasource(self._fields.get(name, {}))}
        if isinstance(value, list):
            return [labels.get(item, item) for item in value]
        return labels.get(value, value) if isinstance(value, str) else value

    def _refresh(self, *, at_once: bool = False) -> None:
        with self._lock:
            if not at_once and self._clock.now() < self._read_at + FRESH_SECONDS:
                return
            fields = self._client.admin(api.list_metadata_fields)["metadata_fields"]
            self._fields = {field["external_id"]: field for field in fields}
            self._read_at = self._clock.now()

    def _make(self, name: str, labels: Sequence[str]) -> Json:
        """Make the field, with its first values, unless somebody else just did."""
        field = {
            "external_id": name,
            "label": name,
            "type": "set",
            "allow_dynamic_list_values": True,
            "datasource": {"values": [_entry(label) for label in labels]},
        }
        try:
            made: Json = self._client.admin(api.add_metadata_field, field)
        except AlreadyExists:
            self._refresh(at_once=True)
            if name not in self._fields:
                raise
        else:
            self._fields[name] = made
        return self._fields[name]

    def _entries(self, name: str, field: Json, labels: Sequence[str]) -> list[str]:
        """The external_ids of these labels in a list; an open list takes a new label itself."""
        ids = {entry["value"]: entry for entry in _datasource(field)}
        asleep = [ids[label]["external_id"] for label in labels if _is_asleep(ids.get(label))]
        missing = [label for label in labels if label not in ids]
        if asleep:
            self._client.admin(api.restore_metadata_field_datasource, _as_one_part(name), asleep)
        if missing and not field.get("allow_dynamic_list_values"):
            new = [_entry(label) for label in missing]
            self._client.admin(api.update_metadata_field_datasource, _as_one_part(name), new)
            ids.update({entry["value"]: entry for entry in new})
        if asleep or missing:
            self._read_at = float("-inf")
        return [ids[label]["external_id"] if label in ids else label for label in labels]


def _as_one_part(name: str) -> str:
    """A name as one part of a path, whatever slashes are in it; as :func:`escaped` otherwise."""
    return quote(name, safe="")


def _entry(label: str) -> dict[str, Any]:
    """A value of a list; its id is made of the label, so that adding it twice adds it once."""
    return {"external_id": hashlib.sha256(label.encode()).hexdigest()[:32], "value": label}


def _datasource(field: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    return (field.get("datasource") or {}).get("values") or ()


def _is_asleep(entry: Mapping[str, Any] | None) -> bool:
    """Whether a value was deleted: it keeps its place, and can be brought back."""
    return entry is not None and entry.get("state", "active") != "active"


def _listed(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else [value]
