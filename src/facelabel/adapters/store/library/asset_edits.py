"""What becomes of an asset: pure functions from the asset as it is to the one it shall be."""

from __future__ import annotations

import dataclasses
import uuid
from typing import TYPE_CHECKING

from facelabel.adapters.store.library import naming_rules
from facelabel.core.model import Asset
from facelabel.media.types import AssetChange, ChangeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from facelabel.media.types import AssetKey, Edit, Upload


def parent(path: str) -> str:
    """The folder that a path lies in."""
    return path.rpartition("/")[0]


def uploaded(before: Asset | None, upload: Upload, etag: str, now: float) -> Asset:
    """The asset after an upload; new content grows the version."""
    base = before or _blank(upload.key, now)
    is_new = base.etag != etag
    return dataclasses.replace(
        base,
        folder=naming_rules.folder(upload.folder) or base.folder,
        filename=naming_rules.file_name(upload.filename) or base.filename,
        display_name=naming_rules.display_name(upload.display_name) or base.display_name,
        format=upload.format,
        width=upload.width,
        height=upload.height,
        bytes=len(upload.data),
        etag=etag,
        version=max(base.version + 1, int(now)) if is_new else base.version,
        tags=base.tags
        if upload.tags is None
        else naming_rules.all_tags(naming_rules.tags(upload.tags)),
        context=(
            base.context
            if upload.context is None
            else naming_rules.merged_context({}, upload.context)
        ),
        metadata=naming_rules.merged_values(base.metadata, upload.metadata),
        details=naming_rules.merged_values(base.details, upload.details),
    )


def edited(asset: Asset, edit: Edit) -> Asset:
    """The asset after an edit."""
    return dataclasses.replace(
        asset,
        tags=_edited_tags(asset.tags, edit),
        context=naming_rules.merged_context(
            asset.context if edit.context is None else edit.context, edit.set_context
        ),
        metadata=naming_rules.merged_values(asset.metadata, edit.set_metadata),
        details=naming_rules.merged_values(asset.details, edit.set_details),
        folder=asset.folder if edit.folder is None else naming_rules.folder(edit.folder),
        display_name=(
            asset.display_name
            if edit.display_name is None
            else naming_rules.display_name(edit.display_name)
        ),
        public_id=asset.public_id
        if edit.public_id is None
        else naming_rules.public_id(edit.public_id),
        type=asset.type if edit.type is None else naming_rules.delivery_type(edit.type),
    )


def in_fixed_folder(before: Asset | None, after: Asset) -> Asset:
    """The asset where the folder is a part of the public_id: whichever changed decides."""
    if before and before.public_id == after.public_id and before.folder != after.folder:
        name = "/".join(filter(None, [after.folder, after.public_id.rpartition("/")[2]]))
        return dataclasses.replace(after, public_id=naming_rules.public_id(name))
    return dataclasses.replace(after, folder=parent(after.public_id))


def changes_by_kind(
    changes: Sequence[AssetChange],
) -> Iterator[tuple[ChangeKind, tuple[AssetChange, ...]]]:
    """What is to be told of edits: each kind with the assets it happened to."""
    for kind, aspect in _ASPECTS:
        concerned = tuple(change for change in changes if _differs(change, aspect))
        if concerned:
            yield kind, concerned


def _blank(key: AssetKey, now: float) -> Asset:
    return Asset(
        uuid.uuid4().hex,
        key.public_id,
        folder="",
        version=0,
        format="",
        bytes=0,
        etag="",
        created_at=now,
        resource_type=key.resource_type,
        type=key.type,
        display_name=key.public_id.rpartition("/")[2],
    )


def _edited_tags(tags: Iterable[str], edit: Edit) -> tuple[str, ...]:
    kept = tags if edit.tags is None else naming_rules.tags(edit.tags)
    removed = set(naming_rules.tags(edit.remove_tags))
    wanted = (*kept, *naming_rules.tags(edit.add_tags))
    return naming_rules.all_tags(tag for tag in wanted if tag not in removed)


_ASPECTS: tuple[tuple[ChangeKind, Callable[[Asset], object]], ...] = (
    (ChangeKind.RENAME, lambda asset: (asset.public_id, asset.type)),
    (ChangeKind.MOVE, lambda asset: asset.folder),
    (ChangeKind.DISPLAY_NAME, lambda asset: asset.display_name),
    (ChangeKind.TAGS, lambda asset: frozenset(asset.tags)),
    (ChangeKind.CONTEXT, lambda asset: asset.context),
    (ChangeKind.METADATA, lambda asset: asset.metadata),
)


def _differs(change: AssetChange, aspect: Callable[[Asset], object]) -> bool:
    if change.before is None or change.after is None:
        return False
    return aspect(change.before) != aspect(change.after)
