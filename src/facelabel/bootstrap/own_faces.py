"""Faces with engines of our own: for the pipeline, and for those who speak Rekognition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel.adapters.objects import FolderObjects, HttpObjects
from facelabel.adapters.store.faces.galleries import StoreGalleries
from facelabel.adapters.store.faces.templates import StoreTemplates
from facelabel.gallery import LocalCollections
from facelabel.gallery.matrix_index import MatrixIndex
from facelabel.gallery.recognizer import LocalRecognizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from facelabel.adapters.store.sql.database import Database
    from facelabel.bootstrap.engines import Engines
    from facelabel.ports import Clock, FaceCollections, Recognizer
    from facelabel.settings import Settings

    #: Bytes of an object in S3 by bucket, key and version.
    FetchObject: TypeAlias = Callable[[str, str, str | None], bytes]


@dataclass(frozen=True, slots=True)
class OwnFaces:
    """The same faces from two sides."""

    recognizer: Recognizer
    collections: FaceCollections
    #: Where Rekognition's clients keep images, if anywhere.
    fetch_object: FetchObject | None
    #: Erases from the index on disk what killed processes had yet to erase.
    settle: Callable[[], None]


def build(settings: Settings, database: Database, engines: Engines, clock: Clock) -> OwnFaces:
    """Wire engines, templates and the index over their vectors."""
    templates = StoreTemplates(database)
    index = MatrixIndex(templates, settings.data / "vectors", threads=settings.threads)
    return OwnFaces(
        LocalRecognizer(engines, templates, index),
        LocalCollections(
            engines, StoreGalleries(database, clock, settings.rekognition_collection), index
        ),
        _objects(settings),
        index.settle,
    )


def _objects(settings: Settings) -> FetchObject | None:
    if settings.s3_folder:
        return FolderObjects(settings.s3_folder)
    return HttpObjects(settings.s3_endpoint) if settings.s3_endpoint else None
