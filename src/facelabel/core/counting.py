"""How a count is said: "1 picture", "2 pictures"."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """A number with what is counted, such as "1 picture" or "1,200 people"."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
