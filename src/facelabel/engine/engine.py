"""The local face engine: detection, alignment, quality and embedding with one model pack."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from facelabel.core import calibration
from facelabel.core.model import Analysis, Box, Reason, Template
from facelabel.engine.chips import Embeddings, measured
from facelabel.engine.detection import CenterFace, YuNet, find_faces
from facelabel.engine.devices import Device
from facelabel.engine.models.manifest import former_packs
from facelabel.errors import ConfigurationError
from facelabel.images import decoding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from facelabel.core.model import Face
    from facelabel.engine.models.manifest import Pack
    from facelabel.images import Limits

_DETECTORS: Mapping[str, type[CenterFace | YuNet]] = {"centerface": CenterFace, "yunet": YuNet}


class Engine:
    """A :class:`~facelabel.gallery.ports.FaceEngine` in this process; threads may share it.

    The networks are loaded when they are first needed.
    """

    def __init__(
        self,
        pack: Pack,
        detector: Path,
        embedders: Sequence[Path],
        *,
        limits: Limits,
        max_faces: int = 100,
        threads: int = 2,
        device: Device = Device.CPU,
    ) -> None:
        """Take a pack with its converted model files.

        ``max_faces``: how many faces of a picture, the largest, are embedded. ``threads``: how
        many cores one call uses, and how many pictures are looked at at once. The others wait:
        they would only take memory, and time from each other. ``device``: where faces are embedded,
        and found, too, if pictures of any size cost it nothing.
        """
        self._pack = pack
        points = pack.calibration
        self._calibration = None if points is None else calibration.curve(points)
        #: See :class:`~facelabel.gallery.ports.FaceEngine`.
        self.model, self.dimensions = pack.model, pack.dimensions
        self.comparable, self.curve = pack.comparable, repr(pack.calibration)
        self._detector = _DETECTORS[pack.detector.kind](
            detector,
            score=pack.detector.score,
            threads=threads,
            device=device if device.takes_any_size else Device.CPU,
        )
        self._embeddings = Embeddings(embedders, pack, threads=threads, device=device)
        self._limits = limits
        self._max_faces = max_faces
        self._turns = FairSemaphore(threads)

    def analyse(self, image: bytes) -> Analysis:
        """Decode, detect, measure, align and embed. Raises UnreadableImage."""
        with self._turns.taken():
            picture, size = decoding.decode(image, self._limits)
            found = find_faces(self._detector, picture)
            faces = measured(picture, size, found)
            vectors, norms = self._embeddings.embed(picture, found.landmarks[: self._max_faces])
            embedded = zip(faces[: self._max_faces], vectors, norms.tolist(), strict=True)
            return Analysis(
                width=size[0],
                height=size[1],
                templates=tuple(
                    Template(
                        face,
                        vector.astype("<f4").tobytes(),
                        tuple(round(length, 3) for length in lengths),
                    )
                    for face, vector, lengths in embedded
                ),
                left_out=tuple(map(_beyond_limit, faces[self._max_faces :])),
            )

    def faces(self, image: bytes) -> tuple[Face, ...]:
        """What :meth:`analyse` finds, largest first, without embedding. Raises UnreadableImage."""
        with self._turns.taken():
            picture, size = decoding.decode(image, self._limits)
            faces = measured(picture, size, find_faces(self._detector, picture))
        return (*faces[: self._max_faces], *map(_beyond_limit, faces[self._max_faces :]))

    def detect(self, image: bytes) -> tuple[Box, ...]:
        """Return the faces' boxes alone, the largest first. Raises UnreadableImage."""
        with self._turns.taken():
            picture, _ = decoding.decode(image, self._limits)
            found = find_faces(self._detector, picture)
        boxes = found.boxes / (picture.size * 2)
        return tuple(
            Box(left, top, right - left, bottom - top)
            for left, top, right, bottom in boxes.tolist()
        )

    def similarity(self, distance: float) -> float:
        """0..100 for the L2 distance of two unit vectors, calibrated to the false match rate.

        Raises ConfigurationError where the pack has no calibration.
        """
        if self._calibration is None:
            raise self._uncalibrated()
        return calibration.linear(self._calibration, distance)

    def _uncalibrated(self) -> ConfigurationError:
        if self._pack in former_packs():
            return ConfigurationError(
                f"the model pack {self._pack.model} was not calibrated: `facelabel index --rebuild"
                f" --pack {self._pack.name}` learns everybody with what it is now"
            )
        return ConfigurationError(
            f"the model pack {self._pack.name!r} has no calibration: run"
            " `facelabel eval gallery DIR --calibrate` on a labelled set of your own"
        )


def _beyond_limit(face: Face) -> Face:
    return replace(face, reasons=(Reason.EXCEEDS_MAX_FACES, *face.reasons))


class FairSemaphore:
    """Let so many threads in at once, the others in the order in which they came.

    A semaphore lets newcomers overtake: under load some would wait for as long as it lasts.
    """

    def __init__(self, at_once: int) -> None:
        """``at_once``: how many, 1 at least."""
        self._free = at_once
        self._lock = threading.Lock()
        #: One for each that waits; released when its turn has come.
        self._waiting: deque[threading.Lock] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for a turn, and have it until the block ends."""
        called = threading.Lock()
        with self._lock:
            if self._free:
                self._free -= 1
            else:
                called.acquire()
                self._waiting.append(called)
        called.acquire()  # at once, where nobody was before us
        try:
            yield
        finally:
            with self._lock:
                if self._waiting:
                    self._waiting.popleft().release()
                else:
                    self._free += 1
