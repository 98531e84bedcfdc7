"""How likely it is that a stranger gets somebody's name, and what is asked of a face because of it.

A similarity of our own engine says how often two different people reach it. That is for one pair:
who is searched among a thousand portraits has a thousand chances. So the more portraits are known,
the more alike a face has to be.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: How often two strangers reach a similarity: 80 is reached by one pair in ten thousand.
FALSE_MATCH_RATES: Final[Mapping[float, float]] = MappingProxyType(
    {99: 1e-6, 90: 1e-5, 80: 1e-4, 70: 1e-3, 50: 1e-2}
)
#: The largest chance that a stranger gets some name, unless another one is asked for.
STRANGERS: Final = 0.01
#: Points of similarity beyond 99 for each further power of ten. With every pack the last measured
#: one takes less (0.087 to 0.116), and each next one less than the one before.
_BEYOND = 0.12
#: Where steps begin: 100, 150, 200, 300, 400, 600 …
_FIRST_STEPS = (100, 150)
#: (similarity, power of ten of the rate), falling.
_CURVE = tuple(
    (similarity, math.log10(rate)) for similarity, rate in {**FALSE_MATCH_RATES, 0: 1.0}.items()
)


def similarity_at(rate: float) -> float:
    """The similarity, 0..100, that two strangers reach at a rate of 0 to 1."""
    if rate <= 0:
        return 100.0
    power = math.log10(min(rate, 1.0))
    (last, least), *_ = _CURVE
    if power < least:
        return min(100.0, last + _BEYOND * (least - power))
    right = bisect_left(_CURVE, power, key=lambda point: point[1])
    (low, there) = _CURVE[right]
    if there == power:
        return low
    (high, before) = _CURVE[right - 1]
    return high + (low - high) * (power - before) / (there - before)


def false_match_rate(similarity: float) -> float:
    """How often two strangers reach a similarity of 0 to 100: :func:`similarity_at`, reversed."""
    (last, least), *_ = _CURVE
    if similarity >= last:
        return float(10 ** (least - (similarity - last) / _BEYOND))
    right = next(at for at, (low, _) in enumerate(_CURVE) if low <= similarity)
    (low, there), (high, before) = _CURVE[right], _CURVE[right - 1]
    return float(10 ** (there + (before - there) * (similarity - low) / (high - low)))


def named_strangers(similarity: float, portraits: int) -> float:
    """The chance, 0..1, that a stranger reaches a similarity with one of so many portraits."""
    return min(1.0, false_match_rate(similarity) * portraits)


def step(portraits: int) -> int:
    """The size that a gallery counts as: the next of 100, 150, 200, 300, 400, 600 and so on.

    Between two of them nothing has to be decided again.
    """
    return next(size for size in _steps() if size >= portraits)


def needed(portraits: int, strangers: float) -> float:
    """The similarity at which the chance of a stranger to get some name is ``strangers`` (0..1).

    Each portrait is a chance: two of one person are, where it matters, as good as two people
    (measured: 1.7 to 1.9 times the false matches of one), and the rarer the match the more so.
    """
    return similarity_at(strangers / step(portraits))


def is_extended(portraits: int, strangers: float) -> bool:
    """Whether what is asked lies beyond what was measured, and the curve goes on on its own."""
    return strangers / step(portraits) < min(FALSE_MATCH_RATES.values())


def _steps() -> Iterator[int]:
    for power in count():
        yield from (first << power for first in _FIRST_STEPS)
