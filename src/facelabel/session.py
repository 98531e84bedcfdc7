"""A session on a library: what a Python program can have Facelabel do.

A call about one picture raises what is wrong with it; a call about many returns what became of
each.
"""

from __future__ import annotations

import logging
import math
import os
import struct
import threading
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from facelabel import absence, actions, people
from facelabel.bootstrap import learning_in_force, rules_in_force
from facelabel.bootstrap.app import opened
from facelabel.core import names
from facelabel.core.jobs import Outcome, OutcomeKind
from facelabel.core.model import Template
from facelabel.errors import Rejected, UnreadableImage
from facelabel.inputs import portraits as labelled
from facelabel.inputs import reading
from facelabel.inputs.reading import BinaryFile
from facelabel.inputs.walking import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from facelabel.bootstrap.app import App
    from facelabel.core.model import (
        Analysis,
        Asset,
        Candidate,
        FaceDecision,
        Identification,
        Person,
    )
    from facelabel.inputs.portraits import Portrait
    from facelabel.recognition.worker import Done
    from facelabel.settings import Settings

log = logging.getLogger(__name__)


#: A picture: a path, an http(s) URL, the bytes of an image file, or a file opened in binary mode.
Picture: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryFile
_PICTURE_TYPES = (str, os.PathLike, bytes, bytearray, memoryview, BinaryFile)
#: What became of a picture that nobody looks at yet.
_LEFT = Outcome(OutcomeKind.WAITING, note="left to a worker")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a call about many pictures is."""

    #: Steps done so far …
    done: int
    #: … and in all.
    total: int
    #: What became of the picture of this step, where something did.
    outcome: Outcome | None = None


class Session:
    """An open library: made by :func:`facelabel.open`, to be closed.

    Any number of threads may share one; several processes may each have one on the same data
    folder, opened after they were forked. Calls that look at pictures of the library
    (:meth:`index`, :meth:`learn`, :meth:`upload`, :meth:`tag`, :meth:`forget`) take turns within a
    session; all but :meth:`forget` do whatever else waits in the queue. All raise Unavailable where
    something cannot be done now and may be later, and RuntimeError after :meth:`close`.
    """

    def __init__(
        self,
        settings: Settings,
        on_download: Callable[[str, int, int | None], None] | None = None,
    ) -> None:
        """See :func:`facelabel.open`."""
        self._resources = ExitStack()
        progress = on_download or (lambda _name, _done, _total: None)
        self._opened = partial(opened, settings, progress, log.warning)
        self._app: App | None = self._resources.enter_context(self._opened())
        rules_in_force.warn(self._app.pipeline)
        learning_in_force.warn(self._app.pipeline, self._app.asked.label_policy)
        # Reentrant: who is told of progress may call back.
        self._working = threading.RLock()

    def __enter__(self) -> Self:
        self._active()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def settings(self) -> Settings:
        """What the session was opened with."""
        return self._active().settings

    @property
    def closed(self) -> bool:
        """Whether the session was closed."""
        return self._app is None

    def close(self) -> None:
        """Give everything back; again, it does nothing. No other call may be under way."""
        self._app = None
        self._resources.close()

    # ---- nothing is stored

    def identify(self, picture: Picture) -> Identification:
        """Say who is on a picture; nothing is stored.

        Returns:
            One decision for each face, largest first, with whom it resembles and why it got its
            name, or none.

        Raises:
            UnreadableImage: it is no picture that can be read, or there is none.

        """
        app = self._active()
        data, _ = _read(app, picture)
        return actions.identify(app, data)

    def search(self, face: Picture | Template | Iterable[float]) -> tuple[Candidate, ...]:
        """Say whom a face resembles, near enough for a name or not; nothing is stored.

        Args:
            face: a picture, of which the largest face is taken; or an embedding, as
                :meth:`analyse` returns it or as numbers, which need not be of length one.

        Returns:
            People, most similar first: two at least where so many are known, and as many as the
            nearest portraits show.

        Raises:
            UnusableFace: there is no face on the picture.
            UnreadableImage: it is no picture that can be read, or there is none.
            Rejected: the embedding is none of the models that the people were learnt with.
            ConfigurationError: an embedding, while Amazon Rekognition knows the faces.

        """
        app = self._active()
        if isinstance(face, Template):
            return actions.search_embedding(app, face.vector)
        if isinstance(face, _PICTURE_TYPES):
            data, _ = _read(app, face)
            return actions.search(app, data)
        return actions.search_embedding(app, _unit_vector(face))

    def analyse(self, picture: Picture) -> Analysis:
        """Find the faces of a picture, largest first, each with its embedding; nothing is stored.

        The embeddings can be compared with those of the people who are known, except where Amazon
        Rekognition knows them: it gives out none.

        Raises:
            UnreadableImage: it is no picture that can be read, or there is none.

        """
        app = self._active()
        data, _ = _read(app, picture)
        return app.engine().analyse(data)

    def draw(self, picture: Picture, faces: Iterable[FaceDecision]) -> bytes:
        """Draw boxes and names on a picture, such as :meth:`identify` found; return a JPEG file.

        Raises:
            UnreadableImage: it is no picture that can be read, or there is none.

        """
        app = self._active()
        data, _ = _read(app, picture)
        return app.annotate(data, tuple(faces))

    # ---- the library changes

    def learn(self, picture: Picture, person: str, *, wait: bool = True) -> Outcome:
        """Upload a portrait to the training folder, labelled, and learn whom it shows.

        The same picture again changes nothing, or moves to another person.

        Args:
            picture: an image with one face.
            person: the name, or the label ``faceLabel:name``.
            wait: False leaves the learning to a worker, or to the next call that waits.

        Raises:
            LabelRefused: the name cannot be one.
            Rejected: with the reason, if the picture cannot be learnt. It stays in the library,
                where ``facelabel_error`` in its context says the same.

        """
        app = self._active()
        data, filename = _read(app, picture)
        with self._turn(wait=wait):
            asset = actions.store_portrait(app, data, filename, person)
            return self._looked_at(asset, picture, wait=wait)

    def upload(
        self,
        picture: Picture,
        folder: str | None = None,
        *,
        public_id: str | None = None,
        tags: Sequence[str] = (),
        wait: bool = True,
    ) -> Outcome:
        """Put a picture into the library; in the recognition folder it gets names.

        Args:
            picture: an image.
            folder: of the library; "" is its root, None the recognition folder.
            public_id: its name in the library; a picture of that name is replaced. None makes one
                of folder and file name.
            tags: tags besides the names of people.
            wait: False leaves the looking to a worker, or to the next call that waits.

        Returns:
            What became of it, with the names that are on it now.

        Raises:
            Rejected: the library does not take it (UnreadableImage, a bad name or tag), or it
                cannot be looked at.

        """
        app = self._active()
        app.label_policy.check_tags([tags] if isinstance(tags, str) else tags)
        data, filename = _read(app, picture)
        with self._turn(wait=wait):
            asset = app.library.upload(
                data,
                folder=app.label_policy.recognition if folder is None else folder.strip("/"),
                filename=filename,
                public_id=public_id,
                tags=([tags] if isinstance(tags, str) else list(tags)) or None,
            )
            return self._looked_at(asset, picture, wait=wait)

    def index(
        self,
        portraits: str | os.PathLike[str] | Iterable[Portrait] | None = None,
        *,
        spaces: bool | None = None,
        by_settings: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> list[Outcome]:
        """Learn many labelled portraits; again, it changes nothing.

        Args:
            portraits: a folder with one folder per person, or with files and a ``labels.csv``
                (lines of url-or-path,label); such a list; or portraits. They are uploaded to the
                training folder. None: those that are labelled there already.
            spaces: whether ``_`` in the names of people's folders is read as a space; None: where
                somebody is known with spaces alone.
            by_settings: learn by the folders and labels of this session from now on, not by those
                that were the first, or were agreed to since. Who is not learnt by it is forgotten.
            progress: told of each step; a portrait takes one to be uploaded, one to be learnt.

        Returns:
            What became of each portrait, in their order; before them what of a folder could not
            be read. ``note`` says why one was refused or waits, ``source`` which it is.

        Raises:
            NotFound: there is no such folder or list.
            Rejected: folder or list name nobody.

        """
        app = self._active()
        if by_settings:
            learning_in_force.learn_by_settings(app.pipeline, app.asked)
            app = self._app = self._resources.enter_context(self._opened())
        if portraits is None:
            folder = app.label_policy.training
            ids = [asset.asset_id for asset in actions.labelled(app, folder)]
            if not ids:
                log.warning("%s", absence.why_nothing_labelled(app, folder))
            return self._work(ids, progress)
        if not isinstance(portraits, str | os.PathLike):
            return self._learn(list(portraits), progress)
        walk = Walk()
        found = labelled.read(Path(portraits), app.label_policy.prefix, walk, spaces=bool(spaces))
        if spaces is None:
            found = labelled.as_known(found, actions.portraits_by_person(app))
        unread = [
            Outcome(OutcomeKind.REFUSED, note=left.detail, source=str(left.path))
            for left in walk.left_out
            if left.fault
        ]
        return unread + self._learn(found, progress)

    def tag(
        self,
        folder: str | None = None,
        *,
        again: bool = False,
        by_settings: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> list[Outcome]:
        """Search a folder's pictures that were not yet, write names; what became of each picture.

        Args:
            folder: of the library; None: all pictures that are searched.
            again: those searched before, too, as if for the first time. What people decided about
                names stays.
            by_settings: decide all names by the settings of this session from now on, not by those
                that were the first, or were agreed to since.
            progress: told of each picture.

        Raises:
            Rejected: the folder is not one that is searched.

        """
        app = self._active()
        place = app.label_policy.recognition if folder is None else folder.strip("/")
        with self._working:
            if by_settings:
                actions.decide_by_settings(app)
            ids = actions.enqueue_unsearched(app, place, again=again)
            return actions.drain(app, ids, _Follower(ids, progress))

    def forget(self, person: str, *, keep_portraits: bool = False) -> list[Outcome]:
        """Delete somebody's portraits for good: face, embedding and the names that were written.

        Names that people typed stay. Again, it goes on where it was stopped.

        Args:
            person: the name.
            keep_portraits: leave the pictures, and take off their labels alone.

        Returns:
            What became of each portrait; ``note`` says why one is still there, or waits.

        Raises:
            NotFound: nobody is known by that name.

        """
        app = self._active()
        with self._working:
            found = people.to_forget(app, person, exactly=True)
            ids = [portrait.asset_id for portrait in found.portraits]
            follow = _Follower(ids, None)
            return people.forget(app, found, keep_portraits=keep_portraits, on_done=follow)

    # ---- what there is

    def people(self) -> list[Person]:
        """Return everybody who is known, by name, with the portraits they were learnt from."""
        return people.known(self._active())

    def pictures(self, folder: str = "", *, person: str | Collection[str] = ()) -> Iterator[Asset]:
        """Go through the pictures of the library, page by page, as they are now.

        Args:
            folder: this one and those below; "" is the whole library.
            person: only pictures that are named after this person; of several, after all of them.

        Raises:
            NotFound: there is no such folder. Said with the first picture.

        """
        people = [person] if isinstance(person, str) else person
        wanted = frozenset(map(names.normalise, people))
        return self._pictures(folder.strip("/"), wanted, self._active())

    def _pictures(self, folder: str, wanted: frozenset[str], app: App) -> Iterator[Asset]:
        asset, targets = None, app.gallery.policy().targets
        for asset in app.library.assets(folder):
            self._active()
            if wanted <= targets.seen(asset).in_any:
                yield asset
        if asset is None:
            absence.check_folder(app.library, folder, app.label_policy)

    def _active(self) -> App:
        if self._app is None:
            raise RuntimeError("the session is closed: facelabel.open() opens another one")
        return self._app

    def _learn(
        self, portraits: Sequence[Portrait], progress: Callable[[Progress], None] | None
    ) -> list[Outcome]:
        """Upload portraits and learn them, each a step of its own; what became of each."""

        def uploaded(done: int, total: int) -> None:
            if progress:
                progress(Progress(done, 2 * total))

        with self._working:
            stored = actions.upload_portraits(self._active(), portraits, uploaded)
            assets = {one.asset_id: one for one in stored if not isinstance(one, Outcome)}
            before = 2 * len(portraits) - len(assets)
            outcomes = self._work(list(assets), progress, before=before)
        became = {
            asset.asset_id: _about(outcome, asset)
            for asset, outcome in zip(assets.values(), outcomes, strict=True)
        }
        return [
            replace(
                one if isinstance(one, Outcome) else became[one.asset_id], source=portrait.source
            )
            for portrait, one in zip(portraits, stored, strict=True)
        ]

    def _turn(self, *, wait: bool) -> AbstractContextManager[object]:
        """To be held from before a picture is stored: who works meanwhile would look at it.

        What became of it would be told to them, and to who stored it that nothing changed.
        """
        return self._working if wait else nullcontext()

    def _looked_at(self, asset: Asset, picture: Picture, *, wait: bool) -> Outcome:
        """What became of a picture that was uploaded; Rejected if it is at fault."""
        outcome = self._work([asset.asset_id])[0] if wait else _LEFT
        if outcome.kind is OutcomeKind.REFUSED:
            raise Rejected(outcome.note)
        source = os.fspath(picture) if isinstance(picture, str | os.PathLike) else ""
        return replace(_about(outcome, asset), source=source)

    def _work(
        self,
        asset_ids: Sequence[str],
        progress: Callable[[Progress], None] | None = None,
        *,
        before: int = 0,
    ) -> list[Outcome]:
        """Look at pictures; ``before``: steps done already."""
        with self._working:
            return actions.work(self._active(), asset_ids, _Follower(asset_ids, progress, before))


class _Follower:
    """Tells of the pictures that somebody waits for, and gives up where nothing goes on."""

    def __init__(
        self,
        asset_ids: Collection[str],
        progress: Callable[[Progress], None] | None,
        before: int = 0,
    ) -> None:
        self._left = set(asset_ids)
        self._progress = progress
        self._total = before + len(asset_ids)
        self._breaker = actions.CircuitBreaker()

    def __call__(self, done: Done) -> None:
        if self._progress and done.job.key in self._left:
            self._left.remove(done.job.key)
            step = self._total - len(self._left)
            self._progress(Progress(step, self._total, actions.outcome_of(done)))
        self._breaker(done)


def _about(outcome: Outcome, asset: Asset) -> Outcome:
    """The outcome, also where it does not say which picture it is about."""
    return replace(outcome, asset_id=asset.asset_id, public_id=asset.public_id)


def _read(app: App, picture: Picture) -> tuple[bytes, str]:
    """The bytes and the file name, where there is one."""
    if isinstance(picture, bytes | bytearray | memoryview):
        return bytes(picture), ""
    if isinstance(picture, str | os.PathLike):
        try:
            return actions.read(app, os.fspath(picture))
        except UnreadableImage as error:
            error.add_note(f"picture: {os.fspath(picture)}")
            raise
    largest = app.settings.max_image_mb << 20
    data = reading.at_most(picture, largest + 1)
    if len(data) > largest:  # said here, as what was read is a part: not every library would see
        raise UnreadableImage(f"cannot be read: it is larger than {largest >> 20} MB")
    name = getattr(picture, "name", "")
    return data, Path(name).name if isinstance(name, str) else ""


def _unit_vector(embedding: Iterable[float]) -> bytes:
    """An embedding as the gallery keeps it; Rejected if it points nowhere."""
    numbers = [float(number) for number in embedding]
    length = math.hypot(*numbers)
    if not 0 < length < math.inf:
        raise Rejected("an embedding is finite numbers that are not all zero")
    return struct.pack(f"<{len(numbers)}f", *(number / length for number in numbers))
