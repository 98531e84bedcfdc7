"""How many examples a property is tried on: few in ``make test``, many in ``make soak``."""

from __future__ import annotations

from hypothesis import settings

#: The same examples on every machine, however slow it is today.
settings.register_profile("quick", deadline=None, database=None, derandomize=True, max_examples=100)
#: New ones each time; `pytest --hypothesis-profile thorough`.
settings.register_profile("thorough", deadline=None, database=None, max_examples=1_000)


def examples(number: int) -> settings:
    """So many in the long run; a hundred at most in the quick one."""
    profile = settings.get_profile("quick")
    is_quick = settings.get_current_profile_name() == "quick"
    return settings(max_examples=min(number, profile.max_examples) if is_quick else number)
