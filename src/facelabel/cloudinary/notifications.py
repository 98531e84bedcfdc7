"""Cloudinary's notifications: what is sent when the library changes, and what one asks us to do.

Reading is tolerant, as Cloudinary documents no schema and adds fields: unknown types and fields
are passed over, ``resources`` may be an array or an object keyed by public_id, and what is
missing is missing. It never trusts what a notification says of an asset, which may be late or out
of order: a job names the asset, and whoever works the job looks at it as it is then.

``triggered_by.id`` may be somebody's e-mail address: no part of a body is ever repeated in an
error.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from facelabel.cloudinary import assets, signing
from facelabel.core.jobs import JobKind, JobRequest
from facelabel.core.names import ERROR_KEY
from facelabel.errors import Rejected
from facelabel.media.types import ChangeKind, Delivery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from facelabel.core.clock import Clock
    from facelabel.core.model import Asset, Json, JsonValue
    from facelabel.media.types import ApiKey, AssetChange, Change

#: Bytes of a body, and assets in one notification, that are read.
MAX_BODY = 10 << 20
MAX_RESOURCES = 10_000
#: Assets that one of ours is about; Cloudinary's bulk calls are about no more.
_MAX_TOLD = 1000
#: Characters of an id or a path.
_MAX_NAME = 1024

#: What not every database can hold: NUL, and halves of surrogate pairs.
_UNKEPT = re.compile("[\0\ud800-\udfff]")
#: Where notifications are taken; the second path is the original app's.
PATHS = ("/webhook", "/cloudinary-rekog")

#: Types after which an asset may have to be looked at again.
_ABOUT_ASSETS = frozenset(
    {
        ChangeKind.UPLOAD,
        ChangeKind.CONTEXT,
        ChangeKind.METADATA,
        ChangeKind.DISPLAY_NAME,
        ChangeKind.RENAME,
        ChangeKind.MOVE,
        ChangeKind.DELETE,
        "delete_by_token",
        "explicit",
        "moderation",
        "publish",
        "restore_asset_version",
    }
)


# ---- writing


def build(
    change: Change,
    *,
    cloud_name: str,
    base_url: str,
    api_key: str,
    at: float,
    fixed_folders: bool,
) -> list[Json]:
    """The bodies of the notifications that tell of a change.

    Several where Cloudinary sends one for each asset, and where assets of different kinds might
    share a public_id, which is the key they are listed by. ``api_key``: the one whose secret
    signs; ``at``: when it happened, seconds since the epoch.
    """
    events = [_Event(part, at, cloud_name, base_url, fixed_folders) for part in _parts(change)]
    return [
        {
            "notification_type": str(change.kind),
            **content,
            **event.batch,
            "notification_context": event.context,
            "signature_key": api_key,
        }
        for event in events
        for content in _CONTENTS[change.kind](event)
    ]


def _parts(change: Change) -> Sequence[Change]:
    """The change in parts that are small enough for one notification."""
    if change.kind is ChangeKind.MOVE_FOLDER:  # says nothing of what is in it
        return [change]
    starts = range(0, len(change.assets) or 1, _MAX_TOLD)
    return [replace(change, assets=change.assets[at : at + _MAX_TOLD]) for at in starts]


@dataclass(frozen=True, slots=True)
class _Event:
    """A change, and what every kind of it is told with."""

    change: Change
    at: float
    cloud_name: str
    base_url: str
    fixed_folders: bool

    @property
    def context(self) -> Json:
        """``notification_context``: when it happened, and by whom."""
        origin = self.change.origin
        when = datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {
            "triggered_at": when,
            "triggered_by": {"source": origin.source, "id": origin.id},
        }

    @property
    def batch(self) -> Json:
        """The batch that the caller gave, as a key of the body; empty without one."""
        batch_id = self.change.origin.batch_id
        return {"batch_id": batch_id} if batch_id else {}

    @property
    def source(self) -> Json:
        """Where the change came from, as a key of the body."""
        return {"source": self.change.origin.source}

    @property
    def request(self) -> Json:
        """Time in whole seconds, UTC, and the id of the call, as keys of the body."""
        when = datetime.fromtimestamp(int(self.at), UTC).isoformat()
        return {"timestamp": when, "request_id": self.change.origin.request_id}

    @property
    def pairs(self) -> Iterator[tuple[Asset | None, Asset]]:
        """Each asset that is there now, with what it was."""
        return ((one.before, one.after) for one in self.change.assets if one.after)

    def described(self, asset: Asset) -> Json:
        """Everything that an upload answers about the asset."""
        return assets.describe(
            asset,
            cloud_name=self.cloud_name,
            base_url=self.base_url,
            fixed_folders=self.fixed_folders,
        )

    def placed(self, asset: Asset) -> Json:
        """Where the asset lies, in the words of the folder mode."""
        return assets.place(asset, fixed_folders=self.fixed_folders)

    def grouped(self, describe: Callable[[Asset | None, Asset], Json]) -> Iterator[Json]:
        """Resources keyed by public_id, for each resource_type and type."""
        groups: dict[tuple[str, str], Json] = {}
        for before, after in self.pairs:
            group = groups.setdefault((after.resource_type, after.type), {})
            group[after.public_id] = describe(before, after)
        return ({"resources": group} for group in groups.values())


def _uploads(event: _Event) -> Iterator[Json]:
    api_key: Json = {"api_key": event.change.origin.id}
    return (event.request | event.described(asset) | api_key for _, asset in event.pairs)


def _renames(event: _Event) -> Iterator[Json]:
    for before, after in event.pairs:
        former = before.public_id if before else after.public_id
        names: Json = {"from_public_id": former, "to_public_id": after.public_id}
        yield event.request | _identity(after) | event.placed(after) | names


def _changes_of_tags(event: _Event) -> Iterator[Json]:
    tagged = [_tags(one, one.after) for one in event.change.assets if one.after]
    yield event.source | {"resources": [*tagged]}


def _changes_of_context(event: _Event) -> Iterator[Json]:
    return event.grouped(_context)


def _changes_of_metadata(event: _Event) -> Iterator[Json]:
    return event.grouped(_metadata)


def _changes_of_display_name(event: _Event) -> Iterator[Json]:
    return (event.request | event.source | group for group in event.grouped(_display_name))


def _moves(event: _Event) -> Iterator[Json]:
    return (event.source | group for group in event.grouped(_move))


def _deletions(event: _Event) -> Iterator[Json]:
    gone = [one.before for one in event.change.assets if one.before]
    yield {
        "resources": [
            _named(asset) | {"version": asset.version} | event.placed(asset) for asset in gone
        ]
    }


def _move_of_folder(event: _Event) -> Iterator[Json]:
    paths: Json = {"from_path": event.change.from_path, "to_path": event.change.to_path}
    yield event.source | paths | {"status": "success"}


def _folders(event: _Event) -> Iterator[Json]:
    path = event.change.to_path or event.change.from_path
    yield event.source | {"folder_path": path, "folder_name": path.rpartition("/")[2]}


_CONTENTS: Mapping[ChangeKind, Callable[[_Event], Iterator[Json]]] = {
    ChangeKind.UPLOAD: _uploads,
    ChangeKind.TAGS: _changes_of_tags,
    ChangeKind.CONTEXT: _changes_of_context,
    ChangeKind.METADATA: _changes_of_metadata,
    ChangeKind.DISPLAY_NAME: _changes_of_display_name,
    ChangeKind.RENAME: _renames,
    ChangeKind.MOVE: _moves,
    ChangeKind.DELETE: _deletions,
    ChangeKind.MOVE_FOLDER: _move_of_folder,
    ChangeKind.CREATE_FOLDER: _folders,
    ChangeKind.DELETE_FOLDER: _folders,
}


def _identity(asset: Asset) -> Json:
    return {"asset_id": asset.asset_id, "resource_type": asset.resource_type, "type": asset.type}


def _named(asset: Asset) -> Json:
    return _identity(asset) | {"public_id": asset.public_id}


def _tags(change: AssetChange, after: Asset) -> Json:
    changed: Json = {"added": [*change.added_tags], "removed": [*change.removed_tags]}
    return _named(after) | changed | {"updated": []}


def _context(before: Asset | None, after: Asset) -> Json:
    old, new = dict(before.context if before else {}), after.context
    changed = {key: value for key, value in new.items() if old.get(key, value) != value}
    return _identity(after) | {
        "added": _values({key: value for key, value in new.items() if key not in old}),
        "removed": _values({key: value for key, value in old.items() if key not in new}),
        "updated": _values(changed),
    }


def _values(values: Mapping[str, str]) -> list[JsonValue]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _metadata(before: Asset | None, after: Asset) -> Json:
    return _identity(after) | {
        "previous_metadata": dict(before.metadata if before else {}),
        "new_metadata": dict(after.metadata),
    }


def _display_name(before: Asset | None, after: Asset) -> Json:
    return _named(after) | {
        "asset_folder": after.folder,
        "previous_display_name": assets.display_name(before) if before else "",
        "new_display_name": assets.display_name(after),
    }


def _move(before: Asset | None, after: Asset) -> Json:
    return _identity(after) | {
        "from_asset_folder": before.folder if before else "",
        "to_asset_folder": after.folder,
        "display_name": assets.display_name(after),
    }


# ---- reading


class Unverified(Rejected):
    """The notification is not signed with a key of ours, or not of about now."""


@dataclass(frozen=True, slots=True)
class Intake:
    """Verifies notifications and reads them; the same for the web and for polling."""

    #: Every key whose signature is accepted; asked each time, as keys may be rotated. All are
    #: tried, whichever one the body names: it is not to be believed before it is verified.
    keys: Callable[[], Sequence[ApiKey]]
    clock: Clock
    #: The only hash accepted; None takes SHA-1 and SHA-256.
    algorithm: signing.Algorithm | None = None
    #: Seconds a notification may be old, or ahead of our clock.
    window: float = signing.WINDOW
    #: Keys that never change, besides those.
    more_keys: Sequence[ApiKey] = ()

    def read(self, body: bytes, timestamp: str, signature: str) -> Delivery:
        """Return what the notification asks for.

        ``body`` is what came, byte by byte. Raises Unverified without telling what is wrong,
        Rejected for a signed body that is none of Cloudinary's.
        """
        secrets = [key.secret for key in (*self.keys(), *self.more_keys)]
        if not signing.is_notification(
            body,
            timestamp,
            signature,
            secrets=secrets,
            now=self.clock.now(),
            window=self.window,
            algorithm=self.algorithm,
        ):
            raise Unverified
        return read(body)


def read(body: bytes) -> Delivery:
    """What a notification asks us to do; nothing, if it is of a type that does not concern us.

    Raises Rejected for what is no notification, or is larger than we read.
    """
    if len(body) > MAX_BODY:
        raise Rejected(f"the notification is larger than {MAX_BODY:,} bytes")
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):  # from None: its message would repeat the body
        raise Rejected("the notification is not JSON") from None
    if not isinstance(content, dict):
        raise Rejected("the notification is no JSON object")
    kind = content.get("notification_type")
    if not isinstance(kind, str):
        raise Rejected(
            "no notification_type: a trigger with a payload_template replaces the body we need; "
            "remove the template"
        )
    digest = hashlib.sha256(body).hexdigest()
    requests = {(one.kind, one.key): one for one in _requests(kind, content, digest)}
    return Delivery(digest, tuple(requests.values()))


def _requests(kind: str, content: Mapping[str, Any], digest: str) -> Iterator[JobRequest]:
    if kind == ChangeKind.MOVE_FOLDER and (path := _text(content, "to_path").strip("/")):
        yield JobRequest(JobKind.FOLDER, path)
    if kind not in _ABOUT_ASSETS and kind != ChangeKind.TAGS:
        return
    resources = _resources(content)
    images = [one for one in resources if _text(one, "resource_type") in {"", "image"}]
    for number, one in enumerate(images):
        if kind == ChangeKind.CONTEXT and _is_our_remark(one):
            continue
        asset_id = _text(one, "asset_id")
        changed = _changed_tags(one) if kind == ChangeKind.TAGS else None
        if asset_id and changed:
            # A job of its own for each: which tags changed tells whether to ask for the asset at
            # all.
            yield JobRequest(JobKind.TAGS, f"{digest}:{number}", {"asset_id": asset_id, **changed})
        elif asset_id:
            yield JobRequest(JobKind.ASSET, asset_id)
        elif public_id := _text(one, "to_public_id") or _text(one, "public_id"):
            yield JobRequest(JobKind.FIND, public_id)


def _resources(content: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The array, or the object keyed by public_id; a body without either is about one asset."""
    resources = content.get("resources")
    if resources is None:
        return [content]
    if not isinstance(resources, list | dict):
        raise Rejected("resources is neither an array nor an object")
    if len(resources) > MAX_RESOURCES:
        raise Rejected(f"the notification is about more than {MAX_RESOURCES:,} assets")
    entries = resources if isinstance(resources, list) else resources.values()
    if not all(isinstance(entry, dict) for entry in entries):
        raise Rejected("an entry of resources is no object")
    if isinstance(resources, list):
        return resources
    return [{"public_id": public_id} | entry for public_id, entry in resources.items()]


def _is_our_remark(asset: Mapping[str, Any]) -> bool:
    """Whether nothing changed in the context but why the picture was refused, which we wrote."""
    lists = [asset.get(key) for key in ("added", "removed", "updated")]
    entries = [entry for found in lists if isinstance(found, list) for entry in found]
    return bool(entries) and all(
        isinstance(entry, dict) and entry.get("name") == ERROR_KEY for entry in entries
    )


def _changed_tags(asset: Mapping[str, Any]) -> Json | None:
    """What was added and removed; None where nothing is said of that."""
    added = [*_texts(asset, "added"), *_texts(asset, "updated")]
    removed = _texts(asset, "removed")
    return {"added": [*added], "removed": [*removed]} if added or removed else None


def _text(values: Mapping[str, Any], name: str) -> str:
    """A text, "" if it is missing."""
    value = values.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _MAX_NAME or _UNKEPT.search(value):
        raise Rejected(f"{name} is not a text that can be a name")
    return value


def _texts(values: Mapping[str, Any], name: str) -> list[str]:
    items = values.get(name)
    if items is None:
        return []
    if not isinstance(items, list) or not all(
        isinstance(item, str) and not _UNKEPT.search(item) for item in items
    ):
        raise Rejected(f"{name} is no array of texts")
    return items
