r"""People's names as Amazon Rekognition keeps them: ExternalImageIds and UserIds, and back.

Both take ``[a-zA-Z0-9_.\-:]`` alone. A name is written so that a person can still read it; one
that gets too long that way is packed; and behind either may stand which image the face came from::

    n1:Jos:c3:a9.O:27Brien              letters as they are, "." a space, ":xx" any other byte
    b1:5p2O6Zu3                         base64url, without padding
    n1:Mary.Smith::1f9c03b2a4d5e687     with the hash of an asset's id

An id of neither form was given by another program, Cloudinary's own sample among them, which
writes a space as ``.-.-.-``. It is read that way.
"""

from __future__ import annotations

import base64
import hashlib
import re

from facelabel.core.model import asset_hash
from facelabel.core.names import normalise
from facelabel.errors import LabelRefused

__all__ = ["asset_hash", "decode", "encode", "hash_of", "person_of_user", "user_id"]

MAX_EXTERNAL_ID = 255
MAX_USER_ID = 128
_READABLE, _PACKED, _DIGEST = "n1:", "b1:", "h1:"
#: A colon within a name is always followed by two digits, so two in a row end it.
_HASH = r"(?:::([0-9a-f]{16}))?"
_FORMS = re.compile(rf"(?:n1:((?:[\w.\-]|:[0-9a-f]{{2}})+)|b1:([\w\-]+)){_HASH}", re.ASCII)
_ODD = re.compile(r"[^a-zA-Z0-9_\- ]+")
_BYTES = re.compile(r"(?::[0-9a-f]{2})+")
#: Control characters and halves of characters.
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LEGACY_SPACE = ".-.-.-"


def encode(person: str, asset_id: str | None = None) -> str:
    """Return the ExternalImageId of a person's face, with the image it came from where known.

    Raises LabelRefused where there is no room for the name: 234 characters of ASCII letters,
    87 of two bytes each, 58 of three or 43 of four fit in any case.
    """
    suffix = f"::{asset_hash(asset_id)}" if asset_id else ""
    spelt = _spelt(person, MAX_EXTERNAL_ID - len(suffix))
    if spelt is None:
        raise LabelRefused(
            f"the name {person[:40]!r}… is too long for Amazon Rekognition, which keeps"
            f" {MAX_EXTERNAL_ID} characters of its own alphabet; shorten it"
        )
    return spelt + suffix


def decode(external_id: str) -> str:
    """Return the person an ExternalImageId names, in the one spelling that names have."""
    found = _FORMS.fullmatch(external_id)
    person = _person(found) if found else None
    return person or normalise(external_id.replace(_LEGACY_SPACE, " ")) or external_id


def hash_of(external_id: str) -> str | None:
    """Return the hash of the asset's id that an ExternalImageId carries; None: it has none."""
    found = _FORMS.fullmatch(external_id)
    return found[3] if found and _person(found) else None


def user_id(person: str) -> str:
    """Return the UserId of a person: the name, or its digest where there is no room for it.

    93 bytes of UTF-8 always have room. Raises LabelRefused for no name.
    """
    digest = hashlib.blake2b(_checked(person).encode(), digest_size=16).hexdigest()
    return _spelt(person, MAX_USER_ID) or _DIGEST + digest


def person_of_user(user_id: str) -> str | None:
    """Return the person a UserId names; None where it is a digest, and only the faces know."""
    return None if user_id.startswith(_DIGEST) else decode(user_id)


def _spelt(person: str, room: int) -> str | None:
    """The name, readable if it fits, else packed; None if it fits neither way."""
    name = _checked(person)
    readable = _READABLE + _ODD.sub(_hexadecimal, name).replace(" ", ".")
    if len(readable) <= room:
        return readable
    packed = _PACKED + base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
    return packed if len(packed) <= room else None


def _hexadecimal(odd: re.Match[str]) -> str:
    return ":" + odd[0].encode().hex(":")


def _checked(person: str) -> str:
    name = normalise(person)
    if not name or _UNUSABLE.search(name):
        raise LabelRefused(f"the name {name!r} is empty or has characters that are no text")
    return name


def _person(found: re.Match[str]) -> str | None:
    """The name in an id of our form; None where somebody else's only looks like one."""
    readable, packed, _ = found.groups()
    try:
        person = _spelt_out(readable) if readable else _unpacked(packed)
    except ValueError:
        return None
    return person if person == normalise(person) and not _UNUSABLE.search(person) else None


def _spelt_out(body: str) -> str:
    # Bytes of one character are never apart, as none of them is a letter by itself.
    return _BYTES.sub(lambda run: _characters(run[0]), body.replace(".", " "))


def _characters(run: str) -> str:
    return bytes.fromhex(run.replace(":", "")).decode()


def _unpacked(body: str) -> str:
    return base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
