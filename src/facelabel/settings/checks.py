"""What a setting may look like: each returns the value in its one form, or raises ValueError.

The error says what is allowed, in words for whoever set it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from facelabel.core.names import FACE_ID_PREFIX
from facelabel.settings import addresses
from facelabel.settings.addresses import origin_of

if TYPE_CHECKING:
    from pydantic import SecretStr

#: Where the names of the people on a picture can go.
NAME_PLACES = ("tags", "metadata", "context")


def place(value: object) -> object:
    """A path; an empty one would be the current folder."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        raise ValueError("a path, and it is empty")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError("a path, and no home folder is known for ~") from None


def store(value: SecretStr) -> SecretStr:
    """An address; an empty one says nothing."""
    if not value.get_secret_value().strip():
        raise ValueError("an address such as sqlite:///path, and it is empty")
    return value


def folder(value: str) -> str:
    """A path without slashes around it."""
    folder = value.strip("/")
    if any(part in {"", ".", ".."} for part in folder.split("/")) and folder:
        raise ValueError("a folder path like training or people/training")
    return folder


def collection(value: str) -> str:
    """What Rekognition takes as a collection's name, with room for a date."""
    if not re.fullmatch(r"[a-zA-Z0-9_.\-]{1,240}", value):
        raise ValueError("1 to 240 of the characters A-Z a-z 0-9 _ . -")
    return value


def tag_prefix(value: str) -> str:
    """What may stand before the colon."""
    if not re.fullmatch(r"[^:,\s][^:,]{0,99}", value):
        raise ValueError("1 to 100 characters without colon and comma")
    return value


def cloudinary_url(value: SecretStr) -> SecretStr:
    """An account."""
    if not re.fullmatch(
        r"cloudinary://[^:@/]+:[^:@/]+@[\w.-]+(/.*)?(\?.*)?", value.get_secret_value()
    ):
        raise ValueError("cloudinary://key:secret@cloud")
    return value


def cloud_name(value: str) -> str:
    """What every SDK takes as one."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,62}", value):
        raise ValueError("1 to 63 of the characters a-z 0-9 _ - (an SDK lowers capitals)")
    return value


def names_to(value: str) -> str:
    """Places, each once."""
    places = [place.strip() for place in value.split(",") if place.strip()]
    if not places or not {*places} <= {*NAME_PLACES}:
        raise ValueError("one or several of " + ", ".join(NAME_PLACES) + ", with commas between")
    return ",".join(dict.fromkeys(places))


def names_prefix(value: str) -> str:
    """What may stand before a name in a tag."""
    if "," in value or len(value) > 100 or value.startswith(FACE_ID_PREFIX):  # noqa: PLR2004 - of 255
        raise ValueError("at most 100 characters, no comma")
    return value


def external_id(value: str) -> str:
    """Of a metadata field; empty for none."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{0,255}", value):
        raise ValueError("the external_id of a metadata field: letters, digits, _ and -")
    return value


def notification_keys(value: SecretStr) -> SecretStr:
    """Keys with their secrets."""
    pairs = value.get_secret_value().split(",")
    if not all(re.fullmatch(r"\s*[^:,\s]+:[^:,\s]+\s*", pair) for pair in pairs):
        raise ValueError("key:secret, several with commas between")
    return value


def origins(value: str) -> str:
    """Origins in the form in which browsers send them."""
    return ",".join(dict.fromkeys(map(_checked_origin, _parts(value))))


def _checked_origin(text: str) -> str:
    if "*" in text:
        raise ValueError("* would let the pages of every site use the keys: name each origin")
    found = origin_of(text)
    if not found or urlsplit(text).path.strip("/") or set(text) & {"?", "#", "@"}:
        raise ValueError(f"{text[:80]!r} is no origin: write https://app.example.com, no path")
    return found


def networks(value: str) -> str:
    """Addresses or networks of them."""
    try:
        return ",".join(dict.fromkeys(map(str, addresses.networks(value))))
    except ValueError as error:
        raise ValueError(f"{error}: write 10.0.0.1 or 10.0.0.0/8") from None


def hosts(value: str) -> str:
    """Names or addresses of hosts, in lower case."""
    found = [host.lower() for host in _parts(value)]
    for host in found:
        if not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*|[0-9a-f:.]*:[0-9a-f:.]*", host):
            raise ValueError(f"{host[:80]!r} is no host: write hooks.example.com, no port, no path")
    return ",".join(dict.fromkeys(found))


def _parts(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def channel(value: str) -> str:
    """A polling channel; empty for none."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{0,64}", value):
        raise ValueError("at most 64 letters, digits, _ and -")
    return value


def pack(value: str) -> str:
    """A pack, whatever it is."""
    if not value.strip():
        raise ValueError("auto, the name of a pack (`facelabel models list`) or a manifest file")
    return value.strip()
