"""How many examples a property is tried on: few in ``make test``, many in ``make soak``."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

#: The same examples on every machine, however slow it is today.
settings.register_profile("quick", deadline=None, database=None, derandomize=True, max_examples=50)
#: New ones each time; `pytest --hypothesis-profile thorough`.
settings.register_profile("thorough", deadline=None, database=None, max_examples=1_000)
#: A fault that is planted shows soon or not at all. Every test runs twice in one process then,
#: with two instances of its class.
settings.register_profile(
    "mutants", settings.get_profile("quick"), max_examples=30,
    suppress_health_check=[HealthCheck.differing_executors],
)  # fmt: skip


def examples(number: int) -> settings:
    """So many in the long run; as many as the profile has, at most, in a quicker one."""
    profile = settings.get_profile(settings.get_current_profile_name())
    return settings(max_examples=min(number, profile.max_examples))
