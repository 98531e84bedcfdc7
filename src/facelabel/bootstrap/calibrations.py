"""What similarity means among the user's own people: measured by `eval gallery --calibrate`.

A file for each model in the data folder. Deleting it brings back what the pack says.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from facelabel.adapters import files
from facelabel.adapters.engine import calibration
from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    Points = tuple[tuple[float, float], ...]

#: Bytes of a fingerprint: there are few calibrations to tell apart.
_DIGEST = 4


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
        if not path.exists():
            return None
        try:
            found = _read(json.loads(path.read_text("utf-8")))
            calibration.validate(found.points)
        except (OSError, ValueError, TypeError, LookupError, ConfigurationError) as error:
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
        people=int(data.get("people", 0)),
        pairs=int(data.get("pairs", 0)),
        measured_at=float(data.get("measured_at", 0)),
        stricter=bool(data.get("stricter", False)),
    )


def _points(data: Any) -> Points:  # noqa: ANN401 - JSON
    return tuple((float(distance), float(similarity)) for distance, similarity in data)
