"""Pagination tokens: where the next page begins, of use in the same call alone.

A token has at most 255 characters, as many as the longest name of a collection it may have to
carry. So names are packed: as a number whose digits are the characters a name may have.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import string
from typing import TYPE_CHECKING

from facelabel.rekognition.error_codes import bad_token

if TYPE_CHECKING:
    from facelabel.rekognition.validation import Parameters
    from facelabel.web.rekognition_api.context import Context

#: Every character of a collection's name, a user's id and a number; its place is its digit.
_DIGITS = string.ascii_letters + string.digits + "_.-:"
_BASE = len(_DIGITS) + 1
#: Bytes of the signature: with it the longest token has 255 characters.
_TAG = 10
#: May change from page to page.
_FREE = ("NextToken", "MaxResults")


def token(context: Context, operation: str, params: Parameters, after: str) -> str:
    """A token for what comes after that name or number."""
    packed = _packed(after)
    return base64.b85encode(_tag(context, operation, params, packed) + packed).decode()


def after(context: Context, operation: str, params: Parameters) -> str:
    """The name or number after which the page begins; "" for the first page.

    Raises:
        Refusal: InvalidPaginationTokenException.

    """
    if "NextToken" not in params:
        return ""
    try:
        data = base64.b85decode(params["NextToken"].encode("ascii"))
    except (ValueError, binascii.Error):
        raise bad_token() from None
    tag, packed = data[:_TAG], data[_TAG:]
    if not hmac.compare_digest(tag, _tag(context, operation, params, packed)):
        raise bad_token()
    return _unpacked(packed)


def _tag(context: Context, operation: str, params: Parameters, packed: bytes) -> bytes:
    bound = {name: value for name, value in params.items() if name not in _FREE}
    text = json.dumps([operation, bound], sort_keys=True)
    return hmac.digest(context.token_key, text.encode() + b"\0" + packed, "sha256")[:_TAG]


def _packed(text: str) -> bytes:
    number = 0
    for character in text:
        number = number * _BASE + _DIGITS.index(character) + 1
    return number.to_bytes((number.bit_length() + 7) // 8)


def _unpacked(data: bytes) -> str:
    number, characters = int.from_bytes(data), []
    while number:
        number, digit = divmod(number, _BASE)
        characters.append(_DIGITS[digit - 1])
    return "".join(reversed(characters))
