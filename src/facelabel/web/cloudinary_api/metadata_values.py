"""Values of structured metadata on their way to an asset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facelabel.cloudinary import metadata_fields
from facelabel.errors import NotFound
from facelabel.media.types import DocumentKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from facelabel.core.model import Json, JsonValue
    from facelabel.ports import MediaLibrary


def settled(
    media: MediaLibrary,
    values: Mapping[str, JsonValue],
    *,
    clear_invalid: bool = False,
    is_new: bool = False,
) -> Mapping[str, JsonValue]:
    """What to set on an asset, checked; a list that is open for new values has them afterwards.

    See :func:`facelabel.cloudinary.metadata_fields.checked`, which this stores the result of.
    """
    if not values and not is_new:
        return {}
    fields = media.documents(DocumentKind.METADATA_FIELD)
    found = metadata_fields.checked(values, fields, clear_invalid=clear_invalid, is_new=is_new)
    for name, entries in found.new_entries.items():
        _grow(media, name, entries)
    return found.values


def _grow(media: MediaLibrary, name: str, entries: Sequence[str]) -> None:
    def change(field: Json | None) -> Json:
        if field is None:
            raise NotFound(f"Metadata field {name} does not exist")
        return metadata_fields.grown(field, entries)

    media.change_document(DocumentKind.METADATA_FIELD, name, change)
