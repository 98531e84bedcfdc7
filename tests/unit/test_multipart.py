"""Forms with a file in them, in all the ways that clients write them."""

from __future__ import annotations

import asyncio
import encodings
import errno
import os
import tempfile
from io import BytesIO
from typing import TYPE_CHECKING

import pytest
from starlette.requests import Request

from facelabel.errors import NoRoom
from facelabel.web.http import multipart
from facelabel.web.http.budget import SMALL, Budget, Limits, bounded
from facelabel.web.http.multipart import MAX_TEXTS, Disposition, disposition, known_charset
from facelabel.web.http.refusals import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

    from starlette.types import Message

    from facelabel.web.http.multipart import Form

KIND = "multipart/form-data; boundary=b"
LIMITS = Limits(100 << 20)


def part(headers: str | bytes, content: bytes = b"x") -> bytes:
    head = headers if isinstance(headers, bytes) else headers.encode()
    return b"--b\r\n" + head + b"\r\n\r\n" + content + b"\r\n"


def field(name: str, content: bytes = b"x") -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"', content)


def file(disposition: str | bytes, content: bytes = b"x") -> bytes:
    given = disposition if isinstance(disposition, bytes) else disposition.encode()
    return part(b'Content-Disposition: form-data; name="file"; ' + given, content)


class Read:
    """A body as it was read: texts, and the file's name and bytes."""

    def __init__(self, form: Form) -> None:
        """Read the files before they are closed."""
        self.pairs = [*form.pairs]
        read = {name: (file.filename, file.file.read()) for name, file in form.files.items()}
        self.files = {name: it for name, it in read.items() if not form.files[name].is_text}
        self.texts = {name: it[1] for name, it in read.items() if form.files[name].is_text}
        self.sizes = {name: file.size for name, file in form.files.items()}


def read(
    *parts: bytes,
    kind: str = KIND,
    limits: Limits = LIMITS,
    piece: int = 1 << 16,
    end: bytes = b"--b--",
) -> Read:
    """Send a body in pieces."""
    body = b"".join(parts) + end
    pieces = [body[start : start + piece] for start in range(0, len(body), piece)]

    async def run() -> Read:
        async with bounded(sending(pieces), limits) as incoming:
            form = await multipart.read(incoming, kind)
            try:
                return Read(form)
            finally:
                form.close()

    return asyncio.run(run())


def sending(pieces: Iterable[bytes]) -> Request:
    rest = iter(pieces)

    async def receive() -> Message:
        piece = next(rest, None)
        return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


FILENAMES = {
    "plain": (b'filename="a.jpg"', "a.jpg"),
    "no quotes": (b"filename=a.jpg", "a.jpg"),
    "empty": (b'filename=""', ""),
    "UTF-8": ('filename="Müller.jpg"'.encode(), "Müller.jpg"),
    "Latin-1": ('filename="Müller.jpg"'.encode("latin-1"), "Müller.jpg"),
    "extended": (b"filename*=utf-8''M%C3%BCller.jpg", "Müller.jpg"),
    "extended in quotes": (b"filename*=\"utf-8''M%C3%BCller.jpg\"", "Müller.jpg"),
    "extended, with a language": (b"filename*=UTF-8'de'M%C3%BCller.jpg", "Müller.jpg"),
    "extended, Latin-1": (b"filename*=iso-8859-1''M%FCller.jpg", "Müller.jpg"),
    "extended, cp1251": (b"filename*=windows-1251''%CC%E0%F0%E8%FF.jpg", "Мария.jpg"),
    "extended, no charset": (b"filename*=''M%C3%BCller.jpg", "Müller.jpg"),
    "both": (b"filename=\"M_ller.jpg\"; filename*=utf-8''M%C3%BCller.jpg", "Müller.jpg"),
    "both, the other way round": (b"filename*=utf-8''M%C3%BCller.jpg; filename=x", "Müller.jpg"),
    "extended wrongly": (b"filename*=utf-8''M%FCller.jpg; filename=x.jpg", "x.jpg"),
    "in a charset that is none": (b"filename*=klingon''M.jpg; filename=x.jpg", "x.jpg"),
    "extended wrongly, and nothing else": (b"filename*=utf-8''M%FC.jpg", "utf-8''M%FC.jpg"),
    "not extended at all": (b"filename*=a.jpg", "a.jpg"),
    ".NET's base64": (b'filename="=?utf-8?B?TcO8bGxlci5qcGc=?="', "Müller.jpg"),
    ".NET's quoted-printable": (b'filename="=?iso-8859-1?Q?M=FCller.jpg?="', "Müller.jpg"),
    "several words": (b'filename="=?utf-8?B?TcO8?= =?utf-8?B?bGxlci5qcGc=?="', "Müller.jpg"),
    "no base64": (b'filename="=?utf-8?B?%%%?="', "=?utf-8?B?%%%?="),
    "a charset that is none": (b'filename="=?klingon?B?TcO8?="', "=?klingon?B?TcO8?="),
    "a semicolon": (b'filename="a;b=c.jpg"', "a;b=c.jpg"),
    "quotes": (b'filename="a\\"b\\".jpg"', 'a"b".jpg'),
    "a path": (b'filename="C:\\fakepath\\a.jpg"', "a.jpg"),
    "a path of Unix": (b'filename="/home/ann/a.jpg"', "a.jpg"),
    "capitals, space": (b' FileName = "a.jpg" ', "a.jpg"),
}


@pytest.mark.parametrize(("given", "expected"), FILENAMES.values(), ids=FILENAMES)
def test_a_file_has_the_name_that_was_meant(given: bytes, expected: str) -> None:
    found = read(field("tags", "ä".encode()), file(given, b"\0\xff\r\n-"), field("a"))
    assert found.files == {"file": (expected, b"\0\xff\r\n-")}
    assert found.pairs == [("tags", "ä"), ("a", "x")]


def test_a_file_without_any_name_is_known_by_what_it_is() -> None:
    """Of text it is a parameter: a URL, or a file in base64."""
    headers = 'Content-Disposition: form-data; name="file"\r\nContent-Type: '
    assert read(part(headers + "image/jpeg", b"\0")).files == {"file": ("", b"\0")}
    for kind in ("text/plain", "TEXT/plain; charset=utf-8"):
        assert read(part(headers + kind, b"http://x.test")).texts == {"file": b"http://x.test"}
    assert read(field("file", b"http://x.test")).texts == {"file": b"http://x.test"}
    other = part('Content-Disposition: form-data; name="context"\r\nContent-Type: application/json')
    assert read(other).pairs == [("context", "x")]


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000])
def test_a_body_may_come_in_any_pieces(piece: int) -> None:
    content = b"\r\n--\r\n--a\r\n--bb" * 5
    found = read(field("t[]"), file('filename="a.jpg"', content), field("t[]"), piece=piece)
    assert found.files == {"file": ("a.jpg", content)}
    assert found.sizes == {"file": len(content)}
    assert found.pairs == [("t[]", "x"), ("t[]", "x")]


BROKEN = {
    "no end": (field("a") + b"--b\r\n", b""),
    "no end of a part": (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx', b""),
    "nothing": (b"", b""),
    "no delimiter": (b"x" * 100, b""),
    "no name": (part("Content-Disposition: form-data"), b"--b--"),
    "no disposition": (part("X-Other: 1"), b"--b--"),
    "two names": (part('Content-Disposition: form-data; name="a"; name="b"'), b"--b--"),
    "two dispositions": (
        part("Content-Disposition: x; name=a\r\nContent-Disposition: x; name=b"), b"--b--",
    ),
    "two file names": (file('filename="a"; filename="b"'), b"--b--"),
    "two files": (file('filename="a"') + file('filename="b"'), b"--b--"),
    "a long header": (part("X: " + "x" * 8000), b"--b--"),
    "a header without end": (b"--b\r\nX: " + b"x" * 500_000, b""),
    "a header's name without end": (b"--b\r\n" + b"x" * 500_000, b""),
    "many headers": (part("\r\n".join(f"X{n}: 1" for n in range(100))), b"--b--"),
    "100,000 parts": (field("a") * 100_000, b"--b--"),
    "100,000 delimiters": (b"--b\r\n" * 100_000, b"--b--"),
    "long texts": (field("a", b"x" * (5 << 20)), b"--b--"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "end"), BROKEN.values(), ids=BROKEN)
def test_what_is_no_form_is_refused(body: bytes, end: bytes) -> None:
    with pytest.raises(ApiError) as raised:
        read(body, end=end)
    assert raised.value.status == 400


def test_parts_are_counted_before_they_are_read() -> None:
    made = 0

    def spool() -> BinaryIO:
        nonlocal made
        made += 1
        return BytesIO()

    with pytest.raises(ApiError, match="at most 2000 parameters"):
        read(
            field("file") + field("a") * 3000, limits=Limits(100 << 20, spool=spool), piece=1 << 20
        )
    assert made == 0


@pytest.mark.parametrize(
    "kind", ["multipart/form-data", "multipart/form-data; boundary=" + "b" * 9999]
)
def test_a_boundary_is_needed(kind: str) -> None:  # fmt: skip
    with pytest.raises(ApiError, match=r"[Bb]oundary"):
        read(field("a"), kind=kind)


def test_files_are_closed_whatever_happens() -> None:
    files: list[BinaryIO] = []

    def spool() -> BinaryIO:
        files.append(BytesIO())
        return files[-1]

    limits = Limits(1000, spool=spool, budget=Budget())
    read(file('filename="a"'), limits=limits)
    for broken in (field("file") + part("X: 1"), file('filename="a"', b"x" * 2000)):
        with pytest.raises(ApiError):
            read(broken, limits=limits, piece=100)
    with pytest.raises(ApiError):
        read(file('filename="a"'), limits=limits, end=b"")
    assert len(files) == 4
    assert all(file.closed for file in files)
    assert all(pool.held == 0 for pool in limits.budget.pools)


def test_what_is_on_disk_counts_apart_from_what_is_in_memory() -> None:
    limits = Limits(100 << 20, budget=Budget())
    body = [field("a", b"x" * 1000), file('filename="a"', b"x" * (3 * SMALL)), field("c"), b"--b--"]
    held: list[int] = []

    async def run() -> None:
        async with bounded(sending(body), limits) as incoming:
            form = await multipart.read(incoming, KIND)
            held.extend(pool.held for pool in limits.budget.pools)
            form.close()

    asyncio.run(run())
    names = [b'Content-Disposition form-data; name="%s"' % name for name in (b"a", b"c")]
    names.append(b'Content-Disposition form-data; name="file"; filename="a"')
    called = sum(len(name) - 1 for name in names)
    # What was small has moved to where it grew, with what it was called.
    assert (held[0], held[1] + held[2]) == (0, called + 1001 + 3 * SMALL)
    assert all(pool.held == 0 for pool in limits.budget.pools)


def test_a_file_sent_as_text_is_not_in_memory_before_anybody_needs_it() -> None:
    limits = Limits(100 << 20, budget=Budget())

    async def run() -> tuple[int, int]:
        body = [field("file", b"x" * (4 * SMALL)), b"--b--"]
        async with bounded(sending(body), limits) as incoming:
            form = await multipart.read(incoming, KIND)
            kept = form.files["file"]
            assert kept.is_text
            assert not form.pairs
            form.close()
            return limits.budget.disk.held, limits.budget.memory.held

    disk, memory = asyncio.run(run())
    assert disk >= 4 * SMALL > memory


def test_what_parts_are_called_counts_as_what_is_in_them() -> None:
    """A thousand long names would be held, and no limit would know."""
    names = [field("n" * 4000 + str(number)) for number in range(MAX_TEXTS // 4000 + 1)]
    with pytest.raises(ApiError, match="The parameters have more than"):
        read(*names)


@pytest.mark.parametrize("charset", ["punycode", "idna", "undefined", "unicode_escape", "zip"])
def test_what_is_no_encoding_of_forms_is_not_used(charset: str) -> None:
    """One of them takes time as the square of a text's length, others raise what nobody expects."""
    assert known_charset(charset) is None
    kind = f"{KIND}; charset={charset}"
    assert read(field("a", b"x-\xe4\\u0041"), kind=kind).pairs == [("a", "x-\xe4\\u0041")]
    extended = f"filename*={charset}''x%2dy; filename=a.jpg"
    assert read(file(extended), kind=kind).files == {"file": ("a.jpg", b"x")}


def test_no_name_of_a_charset_is_remembered() -> None:
    """Python keeps whatever it is asked for, and who sends a form need not say who they are."""
    remembered = vars(encodings)["_cache"]
    before = 0
    for number in range(300):
        kind = f"{KIND}; charset=klingon{number}"
        parts = [
            field("a", b"\xe4"),
            file(f"filename*=romulan{number}''x%2dy; filename=a.jpg"),
            file(f'filename="=?vulcan{number}?B?TcO8?="'),
        ]
        for part in parts:
            read(part, kind=kind)
        before = before or len(remembered)  # what every body needs is loaded by the first
    assert len(remembered) == before


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("UTF-8", "utf-8"),
        ("us-ascii", "ascii"),
        ("ANSI_X3.4-1968", "ascii"),
        ("iso-8859-15", "iso8859-15"),
        ("latin1", "iso8859-1"),
        ("windows-1252", "cp1252"),
        ("cp874", "cp874"),
        ("KOI8-U", "koi8-u"),
        ("shift-jis", "shift_jis"),
        ("GB18030", "gb18030"),
        ("utf-16LE", "utf-16-le"),
    ],
)
def test_the_names_of_charsets(name: str, codec: str) -> None:
    assert known_charset(name) == codec


class FullDisk(BytesIO):
    """A file that the disk has no room for."""

    def __init__(self, error: int) -> None:
        """``error``: what the system says."""
        super().__init__()
        self.error = error

    def write(self, _: object) -> int:
        raise OSError(self.error, os.strerror(self.error))


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG])
def test_a_full_disk_is_told_with_its_name(error: int) -> None:
    limits = Limits(1000, spool=lambda: FullDisk(error), budget=Budget())
    with pytest.raises(NoRoom, match=rf"uploaded cannot be kept: {os.strerror(error)}") as raised:
        read(file('filename="a"'), limits=limits)
    assert raised.value.where == tempfile.gettempdir()
    assert all(pool.held == 0 for pool in limits.budget.pools)


def test_a_folder_that_takes_no_files_is_told_with_its_name() -> None:
    def spool() -> BinaryIO:
        raise PermissionError(errno.EACCES, "Permission denied")

    with pytest.raises(NoRoom, match="Permission denied"):
        read(file('filename="a"'), limits=Limits(1000, spool=spool))


def test_a_bug_is_no_full_disk() -> None:
    with pytest.raises(OSError, match="Bad file") as raised:
        read(file('filename="a"'), limits=Limits(1000, spool=lambda: FullDisk(errno.EBADF)))
    assert not isinstance(raised.value, NoRoom)


def test_a_disposition_of_nothing() -> None:
    assert disposition(b"form-data; name=a", "utf-8") == Disposition("a")
    assert disposition(b"name=a; name=b", "utf-8") == Disposition("b")
    with pytest.raises(ValueError, match='field "name" must be provided'):
        disposition(b"", "utf-8")
