"""Lines of the ledger as bytes: small, because DynamoDB bills kilobytes and takes 400 at most."""

from __future__ import annotations

import enum
import json
import types
import zlib
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from facelabel.errors import QuotaExceeded
from facelabel.model import Enrolment, Search

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Bytes of a packed search: an item may have 400 kB, keys and numbers included.
MOST = 390_000
#: How many candidates of each face stay where all of them are too much.
_FEWER = (10, 2)


def pack(search: Search) -> bytes:
    """A search as bytes, :data:`MOST` at most; a huge one loses what explains it least.

    First the candidates far from winning, then the faces that were not looked at.
    """
    for smaller in _smaller(search):
        data = zlib.compress(_dump(smaller))
        if len(data) <= MOST:
            return data
    raise QuotaExceeded(f"{search.public_id}: {len(search.faces)} faces are too many to record")


def unpack(data: bytes) -> Search:
    """The search that :func:`pack` made these bytes of."""
    search: Search = _built(Search, json.loads(zlib.decompress(data)))
    return search


def write(enrolment: Enrolment) -> str:
    """An enrolment as a line of text; equal ones are equal lines."""
    return _dump(enrolment).decode("ascii")


def read(line: str) -> Enrolment:
    """The enrolment of a line."""
    enrolment: Enrolment = _built(Enrolment, json.loads(line))
    return enrolment


def _smaller(search: Search) -> Iterator[Search]:
    yield search
    for count in _FEWER:
        faces = tuple(replace(f, candidates=f.candidates[:count]) for f in search.faces)
        yield replace(search, faces=faces)
    yield replace(search, faces=faces, left_out=())


def _dump(value: Enrolment | Search) -> bytes:
    return json.dumps(_plain(value), separators=(",", ":")).encode("ascii")


def _plain(value: object) -> object:
    """JSON of our words: an enumeration by its key, as its wording may change."""
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return value


def _built(kind: Any, data: dict[str, Any]) -> Any:  # noqa: ANN401 - a class and what it makes
    """The word of that kind; what a newer version added to it is passed over."""
    hints = _hints(kind)
    return kind(**{name: _value(hints[name], data[name]) for name in hints if name in data})


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _value(hint: Any, data: Any) -> Any:  # noqa: ANN401 - a type, and JSON
    if data is None:
        return None
    if get_origin(hint) is types.UnionType:
        hint = next(part for part in get_args(hint) if part is not type(None))
    if get_origin(hint) is tuple:
        part, *others = get_args(hint)
        parts = [part] * len(data) if others == [...] else [part, *others]
        return tuple(map(_value, parts, data))
    if is_dataclass(hint):
        return _built(hint, data)
    return hint[data] if issubclass(hint, enum.Enum) else data
