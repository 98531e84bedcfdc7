"""What similarity means among the user's own people: measured by `eval gallery --calibrate`.

A file for each model in the data folder. Deleting it brings back what the pack says.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from facelabel import reading
from facelabel.adapters import files
from facelabel.adapters.engine import calibration
from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
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


class Calibrations:
    """The calibrations in a folder."""

    def __init__(self, folder: Path) -> None:
        """The folder need not be there."""
        self._folder = folder

    def path(self, model: str) -> Path:
        """Where a model's is, whether or not there is one."""
        return self._folder / f"{model.replace('/', '-')}.json"

    def of(self, model: str) -> OwnCalibration | None:
        """The calibration of a model; ConfigurationError where it cannot be used."""
        path = self.path(model)
        try:
            data = reading.read(path, _LARGEST)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ConfigurationError(f"the calibration {path} {reading.why(error)}") from error
        try:
            found = _read(json.loads(data.decode("utf-8")))
            calibration.validate(found.points)
        except _WRONG as error:
            raise ConfigurationError(
                f"the calibration {path} cannot be used: {error}; delete it, then run"
                " `facelabel eval gallery DIR --calibrate`"
            ) from error
        return found

    def keep(self, model: str, own: OwnCalibration) -> Path:
        """Write a model's, in the place of the former one; return where it is."""
        path = self.path(model)
        files.folder(path.parent)
        files.replace(path, json.dumps(asdict(own)).encode())
        return path

    @property
    def fingerprint(self) -> str:
        """Tell one state of the folder from another; "" is as packs come.

        Calibrations of before there was this are not in it: pictures were named by them, too.
        Raises ConfigurationError where one cannot be read.
        """
        digest = hashlib.blake2b(digest_size=_DIGEST)
        try:
            found = [(path.name, data) for path in sorted(self._folder.glob("*.json"))
                     if (data := path.read_bytes()).lstrip().startswith(b"{")]  # fmt: skip
        except OSError as error:
            raise ConfigurationError(
                f"the calibrations in {self._folder} cannot be read: {error.strerror or error}"
            ) from error
        for name, data in found:
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
        return digest.hexdigest() if found else ""


def _read(data: Any) -> OwnCalibration:  # noqa: ANN401 - JSON
    """A list is what there was before people and pairs were noted."""
    if isinstance(data, list):
        return OwnCalibration(_points(data))
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
