"""``multipart/form-data`` while it arrives: texts stay in memory, a file may go to disk."""

from __future__ import annotations

import codecs
import logging
import re
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header
from encodings import aliases, normalize_encoding
from functools import lru_cache, partial
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, MultipartState, parse_options_header
from starlette.concurrency import run_in_threadpool

from facelabel.inputs.scanning import MAX_PAIRS
from facelabel.web.http.budget import SMALL, storing
from facelabel.web.http.refusals import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import BinaryIO

    from facelabel.core.model import JsonValue
    from facelabel.web.http.budget import Body

#: The one field that may be a file, or a text of any length: an URL, or a whole file in base64.
FILE = "file"
#: Bytes of all other texts.
MAX_TEXTS = 4 << 20
_MAX_FILES = 1
#: Bytes of a part's header, and headers of a part.
_MAX_HEADER = 4096
_MAX_HEADERS = 8
#: Parts of one piece that are read on the spot; more are read where they hold up nobody else.
_FEW = 20
#: What forms and file names come in. Python knows others, one of which takes minutes for a megabyte
#: (punycode), and some are no encodings of text at all.
_CHARSETS = re.compile(
    r"utf-8|utf-16(-[bl]e)?|ascii|iso8859-\d+|cp\d+|koi8-[ru]"
    r"|big5|euc_jp|euc_kr|gb18030|gb2312|gbk|iso2022_jp|shift_jis"
)
#: What they may be called. Python remembers for ever whatever name it is asked for, known or not.
_CODECS = frozenset({
    *aliases.aliases.values(),
    *("cp720", "cp737", "cp856", "cp874", "cp875", "cp1006", "koi8_u"),
})  # fmt: skip
_PARAMETER = re.compile(
    r';\s*(?P<name>[^\s=;"]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^;]*))', re.DOTALL
)
_QUOTED_PAIR = re.compile(r'\\(["\\])')
#: ``utf-8'en'M%C3%BCller.jpg`` of RFC 5987.
_EXTENDED = re.compile(r"(?P<charset>[\w!#$%&+^`{}~-]*)'[^']*'(?P<text>.*)", re.DOTALL)
#: ``=?utf-8?B?TcO8bGxlci5qcGc=?=`` of RFC 2047, as .NET writes what is not ASCII.
_ENCODED_WORDS = re.compile(r"(=\?[^?\s]+\?[BbQq]\?[^?\s]*\?=\s*)+")
_UPLOADED = "a file that is being uploaded"
_LOUD = logging.getLogger("python_multipart.multipart")
_LOUD.setLevel(logging.ERROR)  # it warns of every malformed body; its sender is told


@dataclass(frozen=True, slots=True)
class FilePart:
    """A file in a multipart body; large ones are on disk."""

    #: Without directories; "" if there is none.
    filename: str
    file: BinaryIO = field(repr=False)
    #: Bytes.
    size: int
    #: Whether it is no file but a text that says where one is, or is one in base64. It stays where
    #: it is until somebody knows whose it is.
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """Fields of a form."""

    pairs: Sequence[tuple[str, JsonValue]] = ()
    files: Mapping[str, FilePart] = field(default_factory=dict)

    def close(self) -> None:
        """Delete what is on disk."""
        for part in self.files.values():
            part.file.close()


async def read(body: Body, content_type: str) -> Form:
    """The fields of a body; whoever calls closes the form.

    Raises ApiError for what is no such body, or too much of one; NoRoom where the disk is full.
    """
    budget = body.limits.budget
    reader = _Reader(content_type, body.limits.spool)
    try:
        while piece := await body.piece():
            texts, files = reader.texts, reader.files
            if reader.announces(piece) > _FEW or reader.files > SMALL:
                await run_in_threadpool(reader.write, piece)
            else:
                reader.write(piece)
            await body.keep(reader.texts - texts, budget.memory)
            if reader.files > files:
                await body.keep(reader.files - files, budget.disk)
        return await run_in_threadpool(reader.form)
    except BaseException:
        reader.close()
        raise


@dataclass
class _Part:
    """A field that has begun."""

    name: str
    #: None of a text.
    filename: str | None
    #: Where its bytes are, if not in ``text``.
    file: BinaryIO | None = None
    text: bytearray = field(default_factory=bytearray)
    #: Bytes so far.
    size: int = 0


class _Reader:
    """Reads the parts as they come."""

    def __init__(self, content_type: str, spool: Callable[[], BinaryIO]) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise ApiError(400, "Missing boundary in multipart.")
        self._charset = options.get(b"charset", b"utf-8").decode("latin-1")
        self._delimiter = b"\r\n--" + boundary
        self._spool = spool
        self._parts: list[_Part] = []
        self._header = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._announced = self._files = 0
        #: Bytes of texts and of what parts are called, and of files.
        self.texts = self.files = 0
        try:
            self._parser = MultipartParser(boundary, {
                "on_header_field": partial(self._note, 0),
                "on_header_value": partial(self._note, 1),
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin,
                "on_part_data": self._add,
            })  # fmt: skip
        except FormParserError as error:
            raise ApiError(400, str(error)) from None

    def announces(self, piece: bytes) -> int:
        """Count the delimiters of a piece before anything of it is read. Raises ApiError."""
        found = piece.count(self._delimiter)
        self._announced += found
        if self._announced > MAX_PAIRS + _MAX_FILES + 1:
            raise ApiError(400, f"A request has at most {MAX_PAIRS} parameters")
        return found

    def write(self, piece: bytes) -> None:
        """Read a piece. Raises ApiError, NoRoom."""
        try:
            with storing(_UPLOADED, tempfile.gettempdir()):
                self._parser.write(piece)
        except FormParserError:
            raise ApiError(400, "Invalid multipart data.") from None

    def form(self) -> Form:
        """What has come, each file at its beginning.

        Raises ApiError where the end has not come, NoRoom.
        """
        if self._parser.state is not MultipartState.END:
            raise ApiError(400, "The multipart body ends before its last delimiter")
        pairs: list[tuple[str, JsonValue]] = []
        files = {}
        for part in self._parts:
            if part.file:
                with storing(_UPLOADED, tempfile.gettempdir()):
                    part.file.seek(0)  # writes what is still in a buffer
                name = base_name(part.filename or "")
                is_text = part.filename is None
                files[part.name] = FilePart(name, part.file, part.size, is_text)
            else:
                pairs.append((part.name, _decoded(part.text, self._charset)))
        return Form(pairs, files)

    def close(self) -> None:
        """Delete what is on disk."""
        for part in self._parts:
            if part.file:
                with suppress(OSError):  # what is in a buffer has no room, and is not wanted
                    part.file.close()

    def _note(self, place: int, data: bytes, start: int, end: int) -> None:
        self._header[place].extend(data[start:end])
        if len(self._header[place]) > _MAX_HEADER:
            raise ApiError(400, f"A header of a part has more than {_MAX_HEADER} bytes")

    def _end_header(self) -> None:
        name, value = (bytes(half) for half in self._header)
        self._header = (bytearray(), bytearray())
        if name.lower() in self._headers or len(self._headers) >= _MAX_HEADERS:
            raise ApiError(400, "A part has a header twice, or too many of them")
        self._headers[name.lower()] = value
        self._count(len(name) + len(value))

    def _begin(self) -> None:
        """A part whose headers have come."""
        headers, self._headers = self._headers, {}
        try:
            found = disposition(headers.get(b"content-disposition", b""), self._charset)
        except ValueError as error:
            raise ApiError(400, str(error)) from None
        part = _Part(found.name, found.filename)
        if part.filename is None and part.name == FILE:
            kind = headers.get(b"content-type", b"")
            if kind and not kind.lstrip().lower().startswith(b"text/"):
                part.filename = ""  # some clients send a file without any name
        is_file = part.filename is not None or part.name == FILE
        self._files += is_file
        if self._files > _MAX_FILES:
            raise ApiError(400, f"Too many files. Maximum number of files is {_MAX_FILES}.")
        if len(self._parts) >= MAX_PAIRS + _MAX_FILES:
            raise ApiError(400, f"A request has at most {MAX_PAIRS} parameters")
        self._parts.append(part)
        if is_file:
            part.file = self._spool()

    def _add(self, data: bytes, start: int, end: int) -> None:
        part = self._parts[-1]
        part.size += end - start
        if part.file:
            self.files += end - start
            part.file.write(data[start:end])
            return
        self._count(end - start)
        part.text += data[start:end]

    def _count(self, size: int) -> None:
        self.texts += size
        if self.texts > MAX_TEXTS:
            raise ApiError(400, f"The parameters have more than {MAX_TEXTS} bytes beside the file")


# ---- ``Content-Disposition`` of a part, in all the forms that clients send it in


@dataclass(frozen=True, slots=True)
class Disposition:
    """What a part of a form is called."""

    name: str
    #: None of a part that is no file.
    filename: str | None = None


def disposition(header: bytes, charset: str) -> Disposition:
    """Read the header; ValueError where it names no field, or several.

    Bytes are in ``charset``, else in Latin-1. A file's name in several forms is taken from
    ``filename*``, unless that cannot be read.
    """
    found: dict[str, str] = {}
    for parameter in _PARAMETER.finditer(";" + _decoded(header, charset).partition(";")[2]):
        name = parameter["name"].lower()
        if name in found:
            raise ValueError(f"the Content-Disposition of a part has several {name[:40]}")
        quoted = parameter["quoted"]
        plain = parameter["plain"].strip() if quoted is None else _QUOTED_PAIR.sub(r"\1", quoted)
        found[name] = plain
    if "name" not in found:
        raise ValueError('The Content-Disposition header field "name" must be provided.')
    filename = found.get("filename")
    if filename and "=?" in filename:
        filename = _unworded(filename)
    if "filename*" in found:
        text = _extended(found["filename*"])
        if text is not None or filename is None:
            filename = found["filename*"] if text is None else text
    return Disposition(found["name"], filename)


@lru_cache(64)
def known_charset(name: str) -> str | None:
    """Python's name of a charset that is read here; None of others."""
    plain, known = normalize_encoding(name).lower(), aliases.aliases
    module = known.get(plain) or known.get(plain.replace(".", "_")) or plain
    if module not in _CODECS:
        return None
    try:
        found = codecs.lookup(module).name
    except LookupError:  # of another system
        return None
    return found if _CHARSETS.fullmatch(found) else None


def _decoded(data: bytes | bytearray, charset: str) -> str:
    """Text of a part; in Latin-1 where it is not in ``charset``."""
    try:
        return data.decode(known_charset(charset) or "latin-1")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def base_name(path: str) -> str:
    """The last part of a path of any system: some clients send where the file lay."""
    return re.split(r"[/\\]", path)[-1]


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
        words = decode_header(value)
        return "".join(str(word, known_charset(name) or "") for word, name in words) or value
    except (HeaderParseError, UnicodeDecodeError, LookupError, ValueError):
        return value
