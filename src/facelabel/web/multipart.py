"""``multipart/form-data`` while it arrives: texts stay in memory, a file may go to disk."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool

from facelabel.inputs.scanning import MAX_PAIRS
from facelabel.web import dispositions
from facelabel.web.budget import SMALL
from facelabel.web.refusals import ApiError
from facelabel.web.storing import storing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from facelabel.core.model import JsonValue
    from facelabel.web.bodies import Incoming
    from facelabel.web.dispositions import Disposition

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


async def read(incoming: Incoming, content_type: str) -> Form:
    """The fields of a body; whoever calls closes the form.

    Raises ApiError for what is no such body, or too much of one; NoRoom where the disk is full.
    """
    reader = _Reader(content_type, incoming.limits.spool)
    try:
        async for piece in incoming.pieces():
            texts, files = reader.texts, reader.files
            if reader.announces(piece) > _FEW or reader.files > SMALL:
                await run_in_threadpool(reader.write, piece)
            else:
                reader.write(piece)
            await incoming.keep_in_memory(reader.texts - texts)
            await incoming.keep_on_disk(reader.files - files)
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
        self._is_complete = False
        self._announced = self._files = 0
        #: Bytes of texts and of what parts are called, and of files.
        self.texts = self.files = 0
        try:
            self._parser = MultipartParser(boundary, {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._note(0, data[start:end]),
                "on_header_value": lambda data, start, end: self._note(1, data[start:end]),
                "on_header_end": self._end_header,
                "on_headers_finished": self._name,
                "on_part_data": lambda data, start, end: self._add(data[start:end]),
                "on_end": self._end,
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
            self._parser.write(piece)
        except FormParserError:
            raise ApiError(400, "Invalid multipart data.") from None

    def form(self) -> Form:
        """What has come, each file at its beginning. Raises ApiError where the end has not come."""
        if not self._is_complete:
            raise ApiError(400, "The multipart body ends before its last delimiter")
        pairs: list[tuple[str, JsonValue]] = []
        files = {}
        for part in self._parts:
            if part.file:
                part.file.seek(0)
                name = dispositions.base_name(part.filename or "")
                is_text = part.filename is None
                files[part.name] = FilePart(name, part.file, part.size, is_text)
            else:
                pairs.append((part.name, dispositions.decoded(part.text, self._charset)))
        return Form(pairs, files)

    def close(self) -> None:
        """Delete what is on disk."""
        for part in self._parts:
            if part.file:
                part.file.close()

    def _begin(self) -> None:
        self._headers = {}

    def _note(self, place: int, data: bytes) -> None:
        self._header[place].extend(data)
        if len(self._header[place]) > _MAX_HEADER:
            raise ApiError(400, f"A header of a part has more than {_MAX_HEADER} bytes")

    def _end_header(self) -> None:
        name, value = (bytes(half) for half in self._header)
        self._header = (bytearray(), bytearray())
        if name.lower() in self._headers or len(self._headers) >= _MAX_HEADERS:
            raise ApiError(400, "A part has a header twice, or too many of them")
        self._headers[name.lower()] = value
        self._count(len(name) + len(value))

    def _name(self) -> None:
        header = self._headers.get(b"content-disposition", b"")
        try:
            found = dispositions.parse(header, self._charset)
        except ValueError as error:
            raise ApiError(400, str(error)) from None
        part = _Part(found.name, _filename(found, self._headers.get(b"content-type", b"")))
        is_file = part.filename is not None or part.name == FILE
        self._files += is_file
        if self._files > _MAX_FILES:
            raise ApiError(400, f"Too many files. Maximum number of files is {_MAX_FILES}.")
        if len(self._parts) >= MAX_PAIRS + _MAX_FILES:
            raise ApiError(400, f"A request has at most {MAX_PAIRS} parameters")
        self._parts.append(part)
        if is_file:
            with _temporary():
                part.file = self._spool()

    def _add(self, data: bytes) -> None:
        part = self._parts[-1]
        part.size += len(data)
        if part.file:
            self.files += len(data)
            with _temporary():
                part.file.write(data)
            return
        self._count(len(data))
        part.text += data

    def _count(self, size: int) -> None:
        self.texts += size
        if self.texts > MAX_TEXTS:
            raise ApiError(400, f"The parameters have more than {MAX_TEXTS} bytes beside the file")

    def _end(self) -> None:
        self._is_complete = True


def _temporary() -> AbstractContextManager[None]:
    return storing("a file that is being uploaded", tempfile.gettempdir())


def _filename(found: Disposition, content_type: bytes) -> str | None:
    """Some clients send a file without any name; what it is then tells it from a text."""
    is_text = not content_type or content_type.lstrip().lower().startswith(b"text/")
    if found.filename is None and found.name == FILE and not is_text:
        return ""
    return found.filename
