"""Lines of the ledger as bytes: small, because DynamoDB bills kilobytes and takes 400 at most."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING

from facelabel.core.model import Enrolment
from facelabel.core.serial import decode_search, encode_search
from facelabel.errors import QuotaExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from facelabel.core.model import Json, SearchRecord

#: Bytes of a packed search: an item may have 400 kB, keys and numbers included.
MOST = 390_000
#: How many candidates of each face stay where all of them are too much.
_FEWER = (10, 2)


def pack(search: SearchRecord) -> bytes:
    """A search as bytes, :data:`MOST` at most; a huge one loses what explains it least.

    First the candidates far from winning, then the faces that were not looked at.
    """
    for smaller in _smaller(search):
        data = zlib.compress(_dump(encode_search(smaller)))
        if len(data) <= MOST:
            return data
    raise QuotaExceeded(f"{search.public_id}: {len(search.faces)} faces are too many to record")


def unpack(data: bytes) -> SearchRecord:
    """The search that :func:`pack` made these bytes of."""
    return decode_search(json.loads(zlib.decompress(data)))


def write(enrolment: Enrolment) -> str:
    """An enrolment as a line of text; equal ones are equal lines."""
    return _dump(asdict(enrolment)).decode("ascii")


def read(line: str) -> Enrolment:
    """The enrolment of a line."""
    data = json.loads(line)  # a newer version may have put more into it
    return Enrolment(**{field.name: data[field.name] for field in fields(Enrolment)})


def _smaller(search: SearchRecord) -> Iterator[SearchRecord]:
    yield search
    for count in _FEWER:
        faces = tuple(replace(f, candidates=f.candidates[:count]) for f in search.faces)
        yield replace(search, faces=faces)
    yield replace(search, faces=faces, left_out=())


def _dump(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")
