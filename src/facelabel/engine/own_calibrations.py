"""What similarity means among the user's own people: measured by `eval gallery --calibrate`.

A file for each model in the data folder. Deleting it brings back what the pack says.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from facelabel import files
from facelabel.core import calibration
from facelabel.errors import ConfigurationError
from facelabel.inputs import reading

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    Points = tuple[tuple[float, float], ...]

#: Bytes of a fingerprint: there are few calibrations to tell apart.
_DIGEST = 4
#: Bytes of the largest calibration, as of the largest manifest.
_LARGEST = 1 << 20
#: Seconds since the epoch up to which every system knows the day: the year 3000.
_LATEST = 32_503_680_000.0
#: What reading such a file may end in: it is the user's, and may hold anything. Thousands of
#: brackets are a RecursionError, a number of hundreds of digits is an OverflowError.
_WRONG = (
    ValueError, TypeError, LookupError, ArithmeticError, RecursionError, ConfigurationError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class OwnCalibration:
    """A calibration measured on the user's own pictures."""

    #: (L2 distance, similarity).
    points: Points
    #: Of whom, and in how many pairs of two of them; 0 where it was not noted.
    people: int = 0
    pairs: int = 0
    #: When, in seconds since the epoch; 0 where it was not noted.
    measured_at: float = 0.0
    #: Whether it was held against the pack's own, than which it is nowhere looser; else it is for
    #: a pack that has none.
    stricter: bool = False
    #: Whether it is of before anybody marked by what pictures are named: those are named by it.
    unmarked: bool = field(default=False, compare=False)


class Calibrations:
    """The calibrations in a folder."""

    def __init__(self, folder: Path) -> None:
        """The folder need not be there."""
        self._folder = folder

    def path(self, model: str) -> Path:
        """Where a model's is, whether or not there is one."""
        return self._folder / f"{model.replace('/', '-')}.json"

    def of(self, model: str) -> OwnCalibration | None:
        """The calibration of a model as it is now; ConfigurationError where it cannot be used."""
        return _load(self.path(model))

    def every(self) -> Mapping[Path, OwnCalibration | ConfigurationError]:
        """Whatever is in the folder now, or why it cannot be used, by path.

        Raises ConfigurationError where the folder cannot be read.
        """
        try:
            paths = [path for path in self._folder.iterdir() if path.suffix == ".json"]
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise ConfigurationError(
                f"the calibrations in {self._folder} {reading.explain(error)}"
            ) from error
        return {path: found for path in paths if (found := _loaded(path)) is not None}

    def keep(self, model: str, own: OwnCalibration) -> Path:
        """Write a model's, in the place of the former one; return where it is."""
        path = self.path(model)
        files.folder(path.parent)
        files.replace(path, json.dumps(_written(own)).encode())
        return path


def fingerprint(used: Mapping[str, OwnCalibration | ConfigurationError | None]) -> str:
    """Tell apart what similarities mean by the calibrations used, by model.

    "" is as packs come. When, of whom and how often the same was measured is nothing that a
    similarity depends on, and not in it; nor are calibrations of before there was this, as
    pictures were named by them, too. By one that cannot be read nothing is named.
    """
    meanings = [
        (model, "" if isinstance(own, ConfigurationError) else own.points)
        for model, own in sorted(used.items())
        if own is not None and (isinstance(own, ConfigurationError) or not own.unmarked)
    ]
    if not meanings:
        return ""
    return hashlib.blake2b(json.dumps(meanings).encode(), digest_size=_DIGEST).hexdigest()


def _loaded(path: Path) -> OwnCalibration | ConfigurationError | None:
    try:
        return _load(path)
    except ConfigurationError as error:
        return error


def _load(path: Path) -> OwnCalibration | None:
    try:
        data = reading.read(path, _LARGEST)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigurationError(f"the calibration {path} {reading.explain(error)}") from error
    try:
        found = _read(json.loads(data.decode("utf-8")))
        calibration.validate(found.points)
    except _WRONG as error:
        raise ConfigurationError(
            f"the calibration {path} cannot be used: {error}; delete it, then run"
            " `facelabel eval gallery DIR --calibrate`"
        ) from error
    return found


def _written(own: OwnCalibration) -> dict[str, Any]:
    return {key: value for key, value in asdict(own).items() if key != "unmarked"}


def _read(data: Any) -> OwnCalibration:  # noqa: ANN401 - JSON
    """A list is what there was before people and pairs were noted."""
    if isinstance(data, list):
        return OwnCalibration(_points(data), unmarked=True)
    return OwnCalibration(
        points=_points(data["points"]),
        people=_count(data, "people"),
        pairs=_count(data, "pairs"),
        measured_at=_moment(data, "measured_at"),
        stricter=_truth(data, "stricter"),
    )


def _count(data: dict[str, Any], key: str) -> int:
    value = data.get(key, 0)
    if not _is(value, int) or value < 0:
        raise ValueError(f"{key} is no whole number from 0 up")
    return int(value)


def _moment(data: dict[str, Any], key: str) -> float:
    value = data.get(key, 0)
    if not (_is(value, int, float) and math.isfinite(value) and 0 <= value <= _LATEST):
        raise ValueError(f"{key} is no time in seconds since the epoch")
    return float(value)


def _truth(data: dict[str, Any], key: str) -> bool:
    value = data.get(key, False)
    if not isinstance(value, bool):
        raise TypeError(f"{key} is neither true nor false")
    return value


def _is(value: object, *kinds: type) -> bool:
    """Whether it is a number of these kinds; what is true or false counts as none."""
    return isinstance(value, kinds) and not isinstance(value, bool)


def _points(data: Any) -> Points:  # noqa: ANN401 - JSON
    return tuple((float(distance), float(similarity)) for distance, similarity in data)
