"""Definitions of structured metadata fields and the lists they offer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from facelabel.cloudinary import metadata_fields as fields
from facelabel.errors import NotFound
from facelabel.media.types import Compare, DocumentKind, Edit, Where
from facelabel.web.cloudinary_api.admin import calls
from facelabel.web.http import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from facelabel.core.model import Json
    from facelabel.web.access.gate import ApiRoute
    from facelabel.web.cloudinary_api.context import Context
    from facelabel.web.http import Params, Received

_KIND = DocumentKind.METADATA_FIELD


def routes(context: Context) -> list[ApiRoute]:
    """The calls about fields; names come before placeholders."""
    route = partial(calls.route, context)
    one = "metadata_fields/{external_id}"
    return [
        route("GET", "metadata_fields", _list),
        route("POST", "metadata_fields", _create),
        route("PUT", "metadata_fields/order", _order),
        route("GET", one, _show),
        route("PUT", one, _update),
        route("DELETE", one, _delete),
        route("GET", f"{one}/datasource", _list_entries),
        route("PUT", f"{one}/datasource", _put_entries),
        route("DELETE", f"{one}/datasource", _delete_entries),
        route("GET", f"{one}/datasource/search", _search_entries),
        route("POST", f"{one}/datasource/order", _order_entries),
        route("POST", f"{one}/datasource_restore", _restore_entries),
    ]


def _list(context: Context, _received: Received) -> Json:
    documents = context.media.documents.all(_KIND).values()
    ordered = sorted(documents, key=lambda field: int(str(field.get("_position", 0))))
    return {"metadata_fields": [fields.shown(field) for field in ordered]}


def _create(context: Context, received: Received) -> Json:
    new = fields.created(received.params.values)
    if len(context.media.documents.all(_KIND)) >= fields.MAX_FIELDS:
        raise ApiError(400, f"There may be {fields.MAX_FIELDS} metadata fields")

    def create(existing: Json | None) -> Json:
        """The new field, unless there is one of that id: ApiError."""
        if existing is not None:
            raise ApiError(400, f"external id {new['external_id']} already exists")
        return {**new, "_created_at": context.clock.now()}

    return _stored(context, str(new["external_id"]), create)


def _show(context: Context, received: Received) -> Json:
    return fields.shown(_field(context, received))


def _update(context: Context, received: Received) -> Json:
    return _changed(context, received, lambda field: fields.updated(field, received.params.values))


def _delete(context: Context, received: Received) -> Json:
    """Delete the field, and then its values on all assets."""
    name = received.path["external_id"]

    def delete(field: Json | None) -> None:
        """Nothing in its place; ApiError where there is none."""
        if field is None:
            raise _missing(name)

    context.media.documents.change(_KIND, name, delete)
    having = Where(f"metadata.{name}", Compare.EXISTS)
    while assets := context.media.select(having, limit=calls.MAX_PAGE).assets:
        ids = [asset.asset_id for asset in assets]
        context.media.edit(ids, Edit(set_metadata={name: None}), origin=received.origin)
    return {"message": "ok"}


def _order(context: Context, received: Received) -> Json:
    """Put all fields into an order, which new ones follow."""
    key = fields.order_key(received.params.required("order_by"))
    descending = fields.is_descending(received.params.text("direction", "asc"))
    ordered = sorted(context.media.documents.all(_KIND).values(), key=key, reverse=descending)
    for position, field in enumerate(ordered, -len(ordered)):
        _place(context, str(field["external_id"]), position)
    return _list(context, received)


def _place(context: Context, name: str, position: int) -> None:
    def place(field: Json | None) -> Json | None:
        """The field in that place; None where it is gone."""
        return field and {**field, "_position": position}

    context.media.documents.change(_KIND, name, place)


def _list_entries(context: Context, received: Received) -> Json:
    return fields.datasource(_field(context, received))


def _put_entries(context: Context, received: Received) -> Json:
    entries = fields.entries(received.params.values.get("values"))
    return _changed_list(context, received, lambda field: fields.with_entries(field, entries))


def _delete_entries(context: Context, received: Received) -> Json:
    names = _names(received.params)
    return _changed_list(context, received, lambda field: fields.without_entries(field, names))


def _restore_entries(context: Context, received: Received) -> Json:
    names = _names(received.params)
    return _changed_list(context, received, lambda field: fields.with_restored(field, names))


def _order_entries(context: Context, received: Received) -> Json:
    order_by = received.params.required("order_by")
    direction = received.params.text("direction", "asc")
    return _changed_list(
        context, received, lambda field: fields.with_order(field, order_by, direction)
    )


def _search_entries(context: Context, received: Received) -> Json:
    term = received.params.required("term")
    found = fields.found(_field(context, received), term)
    return {"values": [*found], "total_count": len(found)}


def _changed_list(context: Context, received: Received, change: Callable[[Json], Json]) -> Json:
    return fields.datasource(_changed(context, received, change))


def _changed(context: Context, received: Received, change: Callable[[Json], Json]) -> Json:
    name = received.path["external_id"]

    def run(field: Json | None) -> Json:
        """The changed field; ApiError where there is none."""
        if field is None:
            raise _missing(name)
        return change(field)

    return _stored(context, name, run)


def _stored(context: Context, name: str, change: Callable[[Json | None], Json]) -> Json:
    stored = context.media.documents.change(_KIND, name, change)
    return fields.shown(stored or {})


def _field(context: Context, received: Received) -> Json:
    name = received.path["external_id"]
    field = context.media.documents.get(_KIND, name)
    if field is None:
        raise _missing(name)
    return field


def _missing(name: str) -> NotFound:
    return NotFound(f"External id {name} does not exist")


def _names(params: Params) -> list[str]:
    names = params.texts("external_ids")
    if not names or len(names) > fields.MAX_ENTRIES:
        raise ApiError(400, f"Give external_ids, at most {fields.MAX_ENTRIES}")
    return names
