"""What commands print at terminals of several widths, into a file, to a shell: word by word.

``make transcripts`` writes them anew; whoever changes what is printed looks at the difference.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import struct
import subprocess
import termios
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.e2e.conftest import Inside
from tests.waiting import PATIENCE

from facelabel.adapters.store.ledger.ledger import StoreLedger
from facelabel.adapters.store.sql import schema
from facelabel.adapters.store.sql.database import Database
from facelabel.cli import wrapping
from facelabel.core.model import Candidate, FaceDecision, NameState, SearchRecord, Verdict
from facelabel.testing.faces import some_face

if TYPE_CHECKING:
    from tests.e2e.conftest import Program

KEPT = Path(__file__).parent / "transcripts"
#: Set by ``make transcripts``.
REWRITE = os.environ.get("TRANSCRIPTS") == "write"
#: Where what is printed goes, and the columns of the terminal there.
PLACES = {"40": 40, "60": 60, "80": 80, "200": 200, "piped": None, "quiet": None}
COMMANDS = [
    "library",
    'library assets --person "John Doe"',
    "people",
    "show assets/party",
    "show assets/party --verbose",
    "show training/Family1-Dad1-baa8501d66",
    "jobs list --all",
    "jobs retry 99",
]
#: What a terminal obeys: a name with an escape in it, and one that turns what follows.
TAGS = {
    "assets/party": ["John Doe", "שרה לוי", "山田 花子", "summer", "2026"],
    "assets/\u65e5\u672c/\u5bcc\u58eb\u5c71-4f1e2d3c4b": ["holiday"],
    "assets/a-very-long-name-that-somebody-gave-to-a-picture-of-the-whole-class-of-2026": [],
    "assets/hostile": ["Eve\x1b[2J", "Eve\u202ecod", "Zoe\u0308"],
    "training/Family1-Dad1-baa8501d66": ["faceLabel:Family Dad"],
}
PEOPLE = ["Family Dad", "John Doe", "山田 花子", "שרה לוי", "Zoë Müller"]


def prepare(folder: Path) -> None:
    """A small library, as it is in the database: people, pictures, one of them searched."""
    with closing(Database(f"sqlite:///{folder / 'facelabel.db'}")) as database:
        with database.transaction() as connection:
            for number, (public_id, tags) in enumerate(TAGS.items()):
                asset_id = f"{number:032x}"
                parent = public_id.rpartition("/")[0]
                row: dict[str, object] = {
                    "asset_id": asset_id, "public_id": public_id, "resource_type": "image",
                    "type": "upload", "folder": parent, "display_name": "", "version": 1,
                    "format": "jpg", "bytes": 123_456, "width": 1600, "height": 1200, "etag": "e",
                    "created_at": 0.0, "updated_at": 0.0, "filename": "IMG_0815.JPG",
                    "context": {}, "metadata": {}, "details": {},
                }  # fmt: skip
                connection.execute(schema.asset.insert(), [row])
                lines = [{"asset_id": asset_id, "tag": tag, "position": position}
                         for position, tag in enumerate(tags)]  # fmt: skip
                if lines:
                    connection.execute(schema.asset_tag.insert(), lines)
            learnt = [
                {"collection": "live", "asset_id": f"{4 + number:032x}",
                 "public_id": f"training/{person}", "version": 1, "digest": "", "person": person,
                 "face_id": f"face-{number}"}
                for number, person in enumerate(PEOPLE)
            ]  # fmt: skip
            connection.execute(schema.enrolment.insert(), learnt)
            connection.execute(schema.gallery.update().values(collection="live"))
            failed = {"kind": "asset", "payload": {}, "tries": 1, "run_at": 0.0, "enqueued_at": 0.0}
            connection.execute(schema.job.insert(), [
                {**failed, "key": f"{4:032x}", "state": "dead",
                 "reason": "the face is turned too far away: a portrait looks at the camera"},
                {**failed, "key": f"{2:032x}", "state": "ready", "reason": ""},
            ])  # fmt: skip
        record(StoreLedger(database))


def record(ledger: StoreLedger) -> None:
    """What was found on the party's picture."""
    john, sara = Candidate("John Doe", 97.5, "face-1"), Candidate("שרה לוי", 88.1, "face-3")
    faces = (
        FaceDecision(
            some_face(), "John Doe", Verdict.NAMED, (john, Candidate("Zoë Müller", 31.0, "face-4"))
        ),
        FaceDecision(some_face(0.1), "שרה לוי", Verdict.NAMED, (sara,)),
        FaceDecision(
            some_face(0.6), None, Verdict.BELOW_THRESHOLD, (Candidate("山田 花子", 61.2, "face-2"),)
        ),
        FaceDecision(some_face(0.8), None, Verdict.NO_CANDIDATE),
    )
    search = SearchRecord(
        f"{0:032x}", "assets/party", 1, "live", 0, "80/1.5", "facelabel classic/1", faces
    )
    ledger.record(search, None, {"John Doe": NameState.WRITTEN, "Mary Roe": NameState.REFUSED})


@pytest.fixture
def site(program: Program) -> Program:
    """The program with that library."""
    prepare(program.folder.parent / "data")
    Inside.of(program)("adopt", "--force")  # there are no originals
    return program


def transcript(site: Program, place: str) -> str:
    """All commands with what they print there, on both streams."""
    inside = Inside.of(site)
    inside.environment.update({"NO_COLOR": "1"})
    parts = []
    for command in COMMANDS:
        words, status = shlex.split(command), 1 if "99" in command else 0
        if columns := PLACES[place]:
            shown = AtTerminal(site, *words, columns=columns, NO_COLOR="1")
            assert shown.status == status
            said = shown.said
        else:
            words += ["--quiet"] if place == "quiet" else []
            said = inside(*words, status=status)
        parts.append(f"$ facelabel {shlex.join(words)}\n{said}\n")
    return "".join(parts)


@pytest.mark.parametrize("place", PLACES)
def test_what_is_printed(site: Program, place: str) -> None:
    """As it is kept."""
    said = transcript(site, place)
    kept = KEPT / f"{place}.txt"
    if REWRITE:
        kept.write_text(said, "utf-8", newline="\n")
    assert said == kept.read_text("utf-8")


@pytest.mark.parametrize("place", PLACES)
def test_ids_and_names_are_whole(place: str) -> None:
    """Wherever they are shown; nothing that a terminal obeys is, and no line ends in spaces."""
    text = (KEPT / f"{place}.txt").read_text("utf-8")
    listed = text.partition("$ facelabel library assets")[0]
    for public_id in TAGS:
        assert re.search(rf"^{re.escape(public_id)}(\s|$)", listed, re.MULTILINE)
    for line in text.splitlines():
        assert line.isprintable() or "\t" in line
        assert not line.endswith(" ")
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize("width", [60, 80, 200])
def test_tables_are_as_wide_as_the_terminal(width: int) -> None:
    """But for an id that is wider than it."""
    text = (KEPT / f"{width}.txt").read_text("utf-8")
    listed = text.partition("$ facelabel people")[0].splitlines()
    ids = {*TAGS}
    assert all(wrapping.text_width(line) <= width for line in listed if line.strip() not in ids)


class AtTerminal:
    """A command at a terminal of some size, without anybody saying how wide it is."""

    def __init__(self, site: Program, *arguments: str, columns: int, **environment: str) -> None:
        """Run it."""
        reader, writer = pty.openpty()
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        kept = {k: v for k, v in site.environment.items() if k not in {"COLUMNS", "NO_COLOR"}}
        with subprocess.Popen(
            site.command(*arguments), env={**kept, "TERM": "xterm", **environment},
            cwd=site.folder, stdin=writer, stdout=writer, stderr=writer,
        ) as process:  # fmt: skip
            os.close(writer)
            self.said = self._read(reader)
            self.status = process.wait(PATIENCE)
        os.close(reader)

    def _read(self, reader: int) -> str:
        printed = b""
        while select.select([reader], [], [], PATIENCE)[0]:
            try:
                more = os.read(reader, 1 << 16)
            except OSError:  # how Linux says that nobody writes any more
                break
            if not more:
                break
            printed += more
        return printed.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("width", [60, 200])
def test_a_terminal_says_how_wide_it_is(site: Program, width: int) -> None:
    """With NO_COLOR it gets what is kept for that width; else the same, and colours."""
    text = (KEPT / f"{width}.txt").read_text("utf-8")
    kept = text.partition("$ facelabel show assets/party\n")[2].partition("\n$")[0]
    plain = AtTerminal(site, "show", "assets/party", columns=width, NO_COLOR="1")
    assert (plain.status, plain.said) == (0, kept)
    coloured = AtTerminal(site, "show", "assets/party", columns=width).said
    assert "\x1b[32mJohn Doe\x1b[0m" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == kept
