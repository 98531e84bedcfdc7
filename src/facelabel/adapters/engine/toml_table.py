"""Reading a TOML table strictly: every mistake is a ConfigurationError that names its key."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final, TypeVar

from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_T = TypeVar("_T")
_REQUIRED: Final = object()


class Table:
    """One table of a TOML document; :meth:`finish` refuses keys that nobody asked for."""

    def __init__(self, values: Mapping[str, object], where: str) -> None:
        """Read ``values``, found at ``where`` (shown in errors)."""
        self._values = values
        self._where = where
        self._read: set[str] = set()

    def error(self, key: str, problem: str) -> ConfigurationError:
        """Return the error to raise about a key."""
        return ConfigurationError(f"{self._where}: {key}: {problem}")

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self._values

    def is_text(self, key: str) -> bool:
        """Whether the key is there and holds a string."""
        return isinstance(self._values.get(key), str)

    def finish(self) -> None:
        """Refuse keys that were never asked for: most likely they are misspelt."""
        for key in self._values:
            if key not in self._read:
                raise self.error(key, "no such key here")

    def table(self, key: str) -> Table:
        """Return the table under a key."""
        value = self._get(key)
        if not isinstance(value, dict):
            raise self.error(key, "must be a table")
        return Table(value, f"{self._where}: {key}")

    def text(self, key: str, *, default: str | None = None, pattern: str = r".+") -> str:
        """Return a string that matches ``pattern`` as a whole."""
        value = self._get(key, _REQUIRED if default is None else default)
        if value == default:
            return str(value)
        if not isinstance(value, str) or not re.fullmatch(pattern, value, re.DOTALL):
            raise self.error(key, f"{value!r} must be a string like {pattern}")
        return value

    def sha256(self, key: str) -> str:
        """Return a checksum: 64 hexadecimal digits, in lower case."""
        return self.text(key, pattern=r"[0-9a-fA-F]{64}").lower()

    def flag(self, key: str) -> bool:
        """Return true or false; false where the key is missing."""
        value = self._get(key, default=False)
        if not isinstance(value, bool):
            raise self.error(key, f"{value!r} must be true or false")
        return value

    def whole(self, key: str, *, low: int, high: int) -> int:
        """Return a whole number of that range."""
        value = self._get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.error(key, f"{value!r} must be a whole number from {low} to {high}")
        return value

    def number(self, key: str, *, low: float, high: float) -> float:
        """Return a number of that range."""
        value = _number(self._get(key))
        if value is None or not low <= value <= high:
            raise self.error(key, f"must be a number from {low:g} to {high:g}")
        return value

    def choice(self, key: str, choices: Mapping[str, _T]) -> _T:
        """Return what the string under the key stands for."""
        value = self._get(key)
        if not isinstance(value, str) or value not in choices:
            raise self.error(key, f"{value!r} must be one of {', '.join(choices)}")
        return choices[value]

    def numbers(self, key: str, *, count: int) -> tuple[float, ...]:
        """Return an array of exactly ``count`` numbers."""
        value = self._get(key)
        numbers = [_number(item) for item in value] if isinstance(value, list) else []
        found = tuple(number for number in numbers if number is not None)
        if len(found) != count or len(numbers) != count:
            raise self.error(key, f"must be an array of {count} numbers")
        return found

    def points(
        self, key: str, *, low: float, high: float, count: int | None = None
    ) -> tuple[tuple[float, float], ...]:
        """Return an array of pairs of numbers of that range."""
        value = self._get(key)
        pairs = [_pair(item) for item in value] if isinstance(value, list) else [None]
        points = tuple(pair for pair in pairs if pair and all(low <= n <= high for n in pair))
        if len(points) != len(pairs) or count not in (None, len(points)):
            many = f"{count} " if count else ""
            raise self.error(key, f"must be an array of {many}pairs of numbers, {low:g}..{high:g}")
        return points

    def _get(self, key: str, default: object = _REQUIRED) -> object:
        self._read.add(key)
        value = self._values.get(key, default)
        if value is _REQUIRED:
            raise self.error(key, "missing")
        return value


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _pair(value: object) -> tuple[float, float] | None:
    if not isinstance(value, list) or len(value) != 2:  # noqa: PLR2004 - a pair
        return None
    first, second = (_number(item) for item in value)
    return None if first is None or second is None else (first, second)
