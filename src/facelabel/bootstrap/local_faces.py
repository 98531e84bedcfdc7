"""Faces with engines of our own: for the pipeline, and for those who speak Rekognition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from facelabel.adapters.objects import FolderObjects, HttpObjects
from facelabel.adapters.store.faces.face_users import StoreUsers
from facelabel.adapters.store.faces.galleries import StoreGalleries
from facelabel.adapters.store.faces.template_rows import StoreProbes
from facelabel.gallery import LocalCollections
from facelabel.gallery.matrix_index import MatrixIndex
from facelabel.gallery.recognizer import LocalRecognizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

    from facelabel.adapters.store.sql.database import Database
    from facelabel.core.clock import Clock
    from facelabel.core.model import Hit
    from facelabel.engine.engines import Engines
    from facelabel.recognition.ports import Recognizer
    from facelabel.rekognition.ports import FaceCollections
    from facelabel.settings import Settings

    #: Bytes of an object in S3 by bucket, key and version.
    FetchObject: TypeAlias = Callable[[str, str, str | None], bytes]


@dataclass(frozen=True, slots=True)
class LocalFaces:
    """The same faces from two sides."""

    recognizer: Recognizer
    collections: FaceCollections
    #: The references nearest to a face of an embedding, in a collection.
    search: Callable[[str, bytes], Sequence[Hit]]
    #: Where Rekognition's clients keep images, if anywhere.
    fetch_object: FetchObject | None
    #: Erases from the index on disk what killed processes had yet to erase.
    settle: Callable[[], None]


def build(
    settings: Settings,
    database: Database,
    engines: Engines,
    clock: Clock,
    on_create: Callable[[], None] = lambda: None,
) -> LocalFaces:
    """Wire engines, the gallery and the index over its vectors.

    ``on_create``: called before the pipeline's recogniser makes a collection.
    """
    galleries = StoreGalleries(database, clock)
    index = MatrixIndex(galleries, settings.data / "vectors", threads=settings.threads)
    own = settings.rekognition_collection
    recognizer = LocalRecognizer(
        engines, galleries, index, StoreProbes(database), on_create=on_create
    )
    return LocalFaces(
        recognizer,
        LocalCollections(
            engines,
            StoreGalleries(database, clock, own),
            StoreUsers(database, clock, own),
            index,
        ),
        recognizer.search,
        _objects(settings),
        index.settle,
    )


def _objects(settings: Settings) -> FetchObject | None:
    if settings.s3_folder:
        return FolderObjects(settings.s3_folder)
    return HttpObjects(settings.s3_endpoint) if settings.s3_endpoint else None
