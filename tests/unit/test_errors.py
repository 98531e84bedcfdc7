"""The error tree is the one drawn in its module."""

from __future__ import annotations

import re

import pytest

from facelabel import errors


def drawn() -> dict[str, str]:
    """Parent of each class, read off the drawing in the module's docstring."""
    parents, path = {}, ["Exception"]
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ((?:│   |    )*)([├└]── )?([A-Z]\w+)", line)
        if found and (found[2] or not found[1]):
            depth = len(found[1]) // 4 + (2 if found[2] else 1)
            path[depth:] = [found[3]]
            parents[found[3]] = path[depth - 1]
    return parents


def test_the_drawing_is_the_tree() -> None:
    classes = [c for c in vars(errors).values() if isinstance(c, type)]
    real = {c.__name__: c.__bases__[0].__name__ for c in classes if issubclass(c, Exception)}
    assert len(real) >= 9
    assert drawn() == real


def test_an_error_without_a_message_says_what_its_class_says() -> None:
    assert str(errors.UnreadableImage()) == "The file is not a picture that can be read."
    assert (
        str(errors.Unavailable()) == "Not possible right now; the same call may go through later."
    )
    assert str(errors.NotFound("no asset 7")) == "no asset 7"


def test_how_long_the_other_side_asked_us_to_wait_is_kept() -> None:
    assert errors.Unavailable("busy", retry_after=2.5).retry_after == 2.5
    with pytest.raises(errors.Unavailable) as caught:
        raise errors.Unavailable("busy")
    assert caught.value.retry_after is None
