"""Which of an account's triggers this installation made: noted in a file of the data folder.

Cloudinary keeps no remark with a trigger, and its address may change.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from facelabel import files
from facelabel.errors import ConfigurationError
from facelabel.inputs import reading

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Connection:
    """How an account was last connected."""

    #: Where notifications go; "" if they go nowhere.
    uri: str = ""
    #: Of the triggers that are ours.
    ids: tuple[str, ...] = ()


class OwnTriggers:
    """The file, with a line for each account."""

    def __init__(self, path: Path, cloud_name: str) -> None:
        """``path``: the file, made at the first need; its folder must exist."""
        self._path = path
        self._cloud = cloud_name

    def read(self) -> Connection:
        """How the account was last connected; ConfigurationError if the file cannot be read."""
        line = self._lines().get(self._cloud)
        return Connection(line["uri"], tuple(line["ids"])) if line else Connection()

    def write(self, connection: Connection) -> None:
        """Note how it is connected now."""
        lines = {**self._lines(), self._cloud: asdict(connection)}
        files.replace(self._path, json.dumps(lines, indent=1).encode())

    def _lines(self) -> dict[str, dict[str, str]]:
        try:
            lines: dict[str, dict[str, str]] = json.loads(self._path.read_text("utf-8"))
            for line in lines.values():
                "".join((line["uri"], *line["ids"]))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigurationError(f"{self._path} {reading.explain(error)}") from None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ConfigurationError(
                f"{self._path} cannot be read; delete it, and name the address of triggers that"
                " were yours with `facelabel connect --former ADDRESS`"
            ) from None
        return lines
