"""``Content-Disposition`` of a part of a form, in all the forms that clients send it in."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from functools import lru_cache
from urllib.parse import unquote_to_bytes

#: What forms and file names come in. Python knows others, one of which takes minutes for a megabyte
#: (punycode), and some are no encodings of text at all.
_CHARSETS = re.compile(
    r"utf-8|utf-16(-[bl]e)?|ascii|iso8859-\d+|cp\d+|koi8-[ru]"
    r"|big5|euc_jp|euc_kr|gb18030|gb2312|gbk|iso2022_jp|shift_jis"
)
_PARAMETER = re.compile(
    r';\s*(?P<name>[^\s=;"]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^;]*))', re.DOTALL
)
_QUOTED_PAIR = re.compile(r'\\(["\\])')
#: ``utf-8'en'M%C3%BCller.jpg`` of RFC 5987.
_EXTENDED = re.compile(r"(?P<charset>[\w!#$%&+^`{}~-]*)'[^']*'(?P<text>.*)", re.DOTALL)
#: ``=?utf-8?B?TcO8bGxlci5qcGc=?=`` of RFC 2047, as .NET writes what is not ASCII.
_ENCODED_WORDS = re.compile(r"(=\?[^?\s]+\?[BbQq]\?[^?\s]*\?=\s*)+")


@dataclass(frozen=True, slots=True)
class Disposition:
    """What a part of a form is called."""

    name: str
    #: None of a part that is no file.
    filename: str | None = None


def parse(header: bytes, charset: str) -> Disposition:
    """Read the header; ValueError where it names no field, or several.

    Bytes are in ``charset``, else in Latin-1. A file's name in several forms is taken from
    ``filename*``, unless that cannot be read.
    """
    found: dict[str, str] = {}
    for parameter in _PARAMETER.finditer(";" + decoded(header, charset).partition(";")[2]):
        name = parameter["name"].lower()
        if name in found:
            raise ValueError(f"the Content-Disposition of a part has several {name[:40]}")
        quoted = parameter["quoted"]
        plain = parameter["plain"].strip() if quoted is None else _QUOTED_PAIR.sub(r"\1", quoted)
        found[name] = plain
    if "name" not in found:
        raise ValueError('The Content-Disposition header field "name" must be provided.')
    return Disposition(found["name"], _filename(found))


@lru_cache(64)
def known_charset(name: str) -> str | None:
    """Python's name of a charset that is read here; None of others."""
    try:
        found = codecs.lookup(name).name
    except (LookupError, ValueError):
        return None
    return found if _CHARSETS.fullmatch(found) else None


def decoded(data: bytes | bytearray, charset: str) -> str:
    """Text of a part; in Latin-1 where it is not in ``charset``."""
    try:
        return data.decode(known_charset(charset) or "latin-1")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def base_name(path: str) -> str:
    """The last part of a path of any system: some clients send where the file lay."""
    return re.split(r"[/\\]", path)[-1]


def _filename(found: dict[str, str]) -> str | None:
    plain, extended = found.get("filename"), found.get("filename*")
    if extended is not None:
        text = _extended(extended)
        if text is not None:
            return text
        return extended if plain is None else _unworded(plain)
    return None if plain is None else _unworded(plain)


def _extended(value: str) -> str | None:
    """What RFC 5987 encoded; None if it did not."""
    parts = _EXTENDED.fullmatch(value)
    charset = known_charset(parts["charset"] or "utf-8") if parts else None
    if not parts or not charset:
        return None
    try:
        return unquote_to_bytes(parts["text"]).decode(charset)
    except UnicodeDecodeError:
        return None


def _unworded(value: str) -> str:
    """What RFC 2047 encoded, and everything else as it is."""
    if not _ENCODED_WORDS.fullmatch(value):
        return value
    try:
        return str(make_header(decode_header(value))) or value
    except (HeaderParseError, UnicodeDecodeError, LookupError, ValueError):
        return value
