"""How much may be gone before it is more likely that somebody looks at the wrong place."""

from __future__ import annotations

from typing import Final

#: That many, or that part of all, may be gone without anybody asking back.
FEW_GONE: Final = 10
PART_GONE: Final = 0.1


def deletion_limit(known: int) -> float:
    """How many of so many known things may vanish unasked."""
    return max(FEW_GONE, known * PART_GONE)
