"""What is forgotten is in no file of the data folder: byte by byte, while the server runs."""

from __future__ import annotations

import json
import sqlite3
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote, quote_plus, urlsplit

import boto3
import pytest
from tests.e2e.served import serving
from tests.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from botocore.client import BaseClient
    from tests.e2e.conftest import Program
    from tests.e2e.served import Served

#: Seconds for everything that workers do afterwards, on the slowest machine.
PATIENCE = 300.0
NAME = "Wvutsr Qpönm"
FORMER, OTHER = "Öpqrs Tuvwx", "Zyxwv Utsrq"
#: Rekognition's clients have fewer characters.
EXTERNAL = "Fedcba_Ihgfe"
#: One for each case.
COLLECTIONS = ("kjihg", "lmnop")


def spellings(name: str) -> set[bytes]:
    """How a name may stand in a file."""
    texts = {name, json.dumps(name)[1:-1], quote(name), quote_plus(name)}
    encodings = ("utf-8", "utf-16-le", "utf-16-be")
    return {text.encode(encoding) for text in texts for encoding in encodings}


@dataclass(frozen=True)
class Folder:
    """The data folder, searched byte by byte."""

    path: Path

    def traces(self, *needles: bytes) -> set[str]:
        """Names of the files that hold one of these, or are named so."""
        return {
            path.name
            for path in self.path.rglob("*")
            for needle in needles
            if needle in path.name.encode() or needle in _content(path)
        }

    def vectors(self, column: str, value: str) -> list[bytes]:
        """The vectors of the faces with that value, as they are stored."""
        with closing(sqlite3.connect(self.path / "facelabel.db")) as database:
            rows = database.execute(f"SELECT vector FROM template WHERE {column} = ?", [value])
            return [vector for (vector,) in rows]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:  # a lock, or a log, that went this moment
        return b""


@dataclass(frozen=True)
class Site:
    """A server at work."""

    served: Served
    program: Program
    folder: Folder
    photos: Path

    def learnt(self, photo: str, name: str) -> str:
        """Teach a person by a portrait; return its public_id."""
        portrait = f"training/{photo}"
        self.program("upload", self.photos / photo, "--label", name, "--public-id", portrait)
        until(lambda: name in self.people(), PATIENCE)
        return portrait

    def people(self) -> set[str]:
        """Who is known."""
        return {line["name"] for line in self.program.json("people")}

    def quiet(self) -> bool:
        """Whether no job waits."""
        jobs: list[object] = self.program.json("jobs", "list", "--all")
        return not jobs

    def aws(self) -> BaseClient:
        """Amazon's client."""
        key = urlsplit(self.served.cloudinary_url)
        return boto3.client(
            "rekognition", endpoint_url=self.served.url, region_name="us-east-1",
            aws_access_key_id=key.username, aws_secret_access_key=key.password,
        )  # fmt: skip


#: What must be nowhere in the end, and how it is forgotten.
Case: TypeAlias = "tuple[set[bytes], Callable[[], object]]"


def removed(site: Site) -> Case:
    """The portrait is deleted."""
    portrait = site.learnt("obama.jpg", NAME)
    vectors = site.folder.vectors("person", NAME)
    return spellings(NAME) | set(vectors), partial(site.program, "rm", portrait, "--yes")


def relabelled(site: Site) -> Case:
    """The portrait shows somebody else: the name goes, what was learnt stays."""
    portrait = site.learnt("obama.jpg", FORMER)

    def relabel() -> None:
        site.program("tag-add", portrait, f"faceLabel:{OTHER}")
        site.program("tag-remove", portrait, f"faceLabel:{FORMER}")

    return spellings(FORMER), relabel


def deleted_faces(site: Site) -> Case:
    """A client of the Rekognition endpoint takes its face back."""
    name = COLLECTIONS[0]
    face, needles = _indexed(site, name, {})
    return needles, partial(site.aws().delete_faces, CollectionId=name, FaceIds=[face])


def deleted_collection(site: Site) -> Case:
    """A client of the Rekognition endpoint deletes the whole collection."""
    name = COLLECTIONS[1]
    _, needles = _indexed(site, name, {"of": EXTERNAL})
    return needles, partial(site.aws().delete_collection, CollectionId=name)


def _indexed(site: Site, name: str, tags: dict[str, str]) -> tuple[str, set[bytes]]:
    aws: Any = site.aws()
    aws.create_collection(CollectionId=name, Tags=tags)
    image = {"Bytes": (site.photos / "biden.jpg").read_bytes()}
    answer = aws.index_faces(CollectionId=name, Image=image, ExternalImageId=EXTERNAL)
    face: str = answer["FaceRecords"][0]["Face"]["FaceId"]
    aws.search_faces(CollectionId=name, FaceId=face)  # the index on disk has it, too
    return face, spellings(EXTERNAL) | set(site.folder.vectors("external_image_id", EXTERNAL))


@pytest.mark.parametrize("killed", [False, True], ids=["running", "killed"])
def test_nothing_of_it_is_in_any_file(facelabel: Program, samples: Path, *, killed: bool) -> None:
    folder = Folder(facelabel.folder.parent / "data")
    facelabel.environment["FACELABEL_LEASE"] = "2"  # seconds, for what is in hand when it is killed
    with ExitStack() as stack:
        site = Site(stack.enter_context(serving(facelabel)), facelabel, folder, samples)
        for case in (removed, relabelled, deleted_faces, deleted_collection):
            needles, forget = case(site)
            assert folder.traces(*needles)
            forget()
            if killed:
                site.served.kill()
                site = replace(site, served=stack.enter_context(serving(facelabel)))
            until(lambda: site.quiet() and not folder.traces(*needles), PATIENCE)  # noqa: B023
