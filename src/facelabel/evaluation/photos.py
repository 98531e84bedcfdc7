"""Looking at the pictures of a set, each once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from facelabel.core.model import Reason
from facelabel.errors import UnreadableImage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from pathlib import Path

    import numpy.typing as npt

    from facelabel.core.model import Analysis, Face, Template
    from facelabel.gallery.ports import FaceEngine

    Vectors: TypeAlias = npt.NDArray[np.float32]

#: Where to take the subject of a picture for: middle of the frame, as ratios.
_CENTRE = (0.5, 0.5)


@dataclass(frozen=True, slots=True)
class Problem:
    """A picture that counts as a failure, and why."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen in a picture; without an analysis, why it could not be read."""

    analysis: Analysis | None
    error: str = ""

    @property
    def templates(self) -> tuple[Template, ...]:
        """The faces found, the largest first."""
        return self.analysis.templates if self.analysis else ()

    @property
    def failure(self) -> str | None:
        """Why there is no face to compare, None if there is one."""
        return None if self.templates else self.error or "no face was found"


def look(
    engine: FaceEngine,
    read: Callable[[Path], bytes],
    files: Collection[Path],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[Path, Seen]:
    """Analyse each file; what cannot be read is part of the answer, not an error."""
    seen = {}
    for file in files:
        seen[file] = _seen(engine, read, file)
        progress(len(seen), len(files))
    return seen


def _seen(engine: FaceEngine, read: Callable[[Path], bytes], file: Path) -> Seen:
    try:
        return Seen(engine.analyse(read(file)))
    except UnreadableImage as error:
        return Seen(None, str(error))


def problems(files: Iterable[Path], seen: Mapping[Path, Seen], root: Path) -> tuple[Problem, ...]:
    """The files without a face, by their path under ``root``."""
    return tuple(
        Problem(name_under(root, file), failure)
        for file in files
        if (failure := seen[file].failure)
    )


def name_under(root: Path, file: Path) -> str:
    """How a user calls a file of the set."""
    return file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)


def subject(seen: Seen) -> Template | None:
    """Return the face nearest the middle of the picture.

    Sets such as LFW are cut around the face they name; whoever else is on the picture may stand
    nearer to the camera, so that size tells less.
    """
    return min(seen.templates, key=lambda t: _off_centre(t.face), default=None)


def _off_centre(face: Face) -> float:
    box = face.box
    across = box.left + box.width / 2 - _CENTRE[0]
    down = box.top + box.height / 2 - _CENTRE[1]
    return across * across + down * down


def usable(seen: Seen) -> Template | str:
    """Return the face an enrolment would learn, or why it would be refused.

    The rule of training: one usable face, and no larger one that is too poor.
    """
    if seen.failure or seen.analysis is None:
        return seen.failure or ""
    clear = [t for t in seen.templates if Reason.LOW_CONFIDENCE not in t.face.reasons]
    good = [template for template in clear if not template.face.reasons]
    if (many := len(good) + len(seen.analysis.left_out)) > 1:
        return f"{many} faces were found where one is expected"
    largest = (clear or seen.templates)[0]
    return ", ".join(largest.face.reasons) or largest


def matrix(templates: Collection[Template]) -> Vectors:
    """The vectors as rows."""
    rows = [np.frombuffer(template.vector, "<f4") for template in templates]
    return np.stack(rows) if rows else np.empty((0, 0), np.float32)


def distances(left: Vectors, right: Vectors) -> Vectors:
    """L2 distances of the unit vectors in the rows of both, (rows of left, rows of right)."""
    if not left.size or not right.size:
        return np.empty((len(left), len(right)), np.float32)
    found: Vectors = np.sqrt(np.maximum(0.0, 2.0 - 2.0 * (left @ right.T)))
    return found
