"""How likely it is that a stranger gets somebody's name, and what is asked of a face because of it.

A similarity of our own engine says how often two different people reach it. That is for one pair:
who is searched among a thousand portraits has a thousand chances. So the more portraits are known,
the more alike a face has to be.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING, Final

from facelabel.core.calibration import FALSE_MATCH_RATES, linear

if TYPE_CHECKING:
    from collections.abc import Iterator

#: The largest chance that a stranger gets some name, unless another one is asked for.
STRANGERS: Final = 0.01
#: Points of similarity beyond 99 for each further power of ten. With every pack the last measured
#: one takes less (0.087 to 0.116), and each next one less than the one before.
_BEYOND = 0.12
#: Where steps begin: 100, 150, 200, 300, 400, 600 …
_FIRST_STEPS = (100, 150)
#: (similarity, power of ten of the rate), rising; and turned round.
_POWERS = sorted(
    (similarity, math.log10(rate)) for similarity, rate in {**FALSE_MATCH_RATES, 0: 1.0}.items()
)
_SIMILARITIES = [(power, similarity) for similarity, power in reversed(_POWERS)]
#: The rarest that was measured.
_LAST, _LEAST = _POWERS[-1]


def similarity_at(rate: float) -> float:
    """The similarity, 0..100, that two strangers reach at a rate of 0 to 1."""
    if rate <= 0:
        return 100.0
    power = math.log10(min(rate, 1.0))
    if power < _LEAST:
        return min(100.0, _LAST + _BEYOND * (_LEAST - power))
    return linear(_SIMILARITIES, power)


def false_match_rate(similarity: float) -> float:
    """How often two strangers reach a similarity of 0 to 100: :func:`similarity_at`, reversed."""
    if similarity >= _LAST:
        return float(10 ** (_LEAST - (similarity - _LAST) / _BEYOND))
    return float(10 ** linear(_POWERS, similarity))


def named_strangers(similarity: float, portraits: int) -> float:
    """The chance, 0..1, that a stranger reaches a similarity with one of so many portraits."""
    return min(1.0, false_match_rate(similarity) * portraits)


def step(portraits: int) -> int:
    """The size that a gallery counts as: the next of 100, 150, 200, 300, 400, 600 and so on.

    Between two of them nothing has to be decided again.
    """
    return next(size for size in _steps() if size >= portraits)


@lru_cache(maxsize=16)
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
