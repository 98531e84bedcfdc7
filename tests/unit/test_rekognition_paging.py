"""Page tokens, and quotas."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.integration.face_collections import MemoryCollections

from facelabel.rekognition.error_codes import Refusal
from facelabel.testing.clock import ManualClock
from facelabel.web.rekognition_api import tokens
from facelabel.web.rekognition_api.context import Context
from facelabel.web.rekognition_api.endpoint import Throttle

CONTEXT = Context(MemoryCollections(), tuple, ManualClock())
NAMES = st.from_regex(r"[a-zA-Z0-9_.:-]{1,255}", fullmatch=True)
GIVEN = {"CollectionId": "people", "MaxResults": 2}


def begins(token: str, operation: str = "ListFaces", **given: object) -> str:
    """After what the page of a token begins; "refused" if the token is."""
    try:
        return tokens.after(CONTEXT, operation, {**GIVEN, "NextToken": token, **given})
    except Refusal as error:
        return "refused" if error.code == "InvalidPaginationTokenException" else error.code


@given(NAMES | st.sampled_from([":" * 255, "a" * 255, "0", "9" * 19]))
def test_a_token_says_where_the_page_begins(name: str) -> None:
    token = tokens.token(CONTEXT, "ListFaces", GIVEN, name)
    assert len(token) <= 255
    assert begins(token) == name
    assert begins(token, MaxResults=9) == name
    assert begins(token, "ListUsers") == "refused"
    assert begins(token, CollectionId="other") == "refused"
    assert begins(token, UserId="Ann") == "refused"


def test_tokens_of_another_server_are_refused() -> None:
    other = replace(CONTEXT, token_key=b"another")
    assert begins(tokens.token(other, "ListFaces", GIVEN, "7")) == "refused"


@given(st.text(max_size=255))
def test_any_text_is_refused(text: str) -> None:
    assert begins(text) == "refused"


def test_every_change_of_a_token_is_noticed() -> None:
    token = tokens.token(CONTEXT, "ListFaces", GIVEN, "Ann.Lee")
    for place, character in enumerate(token):
        changed = "1" if character == "0" else "0"
        assert begins(token[:place] + changed + token[place + 1 :]) == "refused"
        assert begins(token[:place]) == "refused"


def answered(throttle: Throttle, operation: str, calls: int) -> int:
    """How many of so many calls are let through."""
    return sum(is_answered(throttle, operation) for _ in range(calls))


def is_answered(throttle: Throttle, operation: str) -> bool:
    """Whether a call is let through."""
    try:
        throttle.take(operation)
    except Refusal as error:
        return error.code != "ProvisionedThroughputExceededException"
    return True


def test_each_operation_has_a_seconds_worth_and_then_its_rate() -> None:
    clock = ManualClock()
    throttle = Throttle(2.0, clock)
    assert answered(throttle, "ListFaces", 9) == 2
    assert answered(throttle, "ListUsers", 9) == 2
    through = 0
    for _ in range(80):
        clock.sleep(0.125)
        through += answered(throttle, "ListFaces", 3)
    assert through == 20
    clock.sleep(3600)
    assert answered(throttle, "ListFaces", 9) == 2
    clock.time -= 60
    assert answered(throttle, "ListFaces", 9) == 0
    clock.sleep(1)
    assert answered(throttle, "ListFaces", 9) == 2


@pytest.mark.parametrize(("rate", "through"), [(0.0, 1000), (0.1, 1), (50.0, 50)])
def test_rates_below_one_let_one_through(rate: float, through: int) -> None:
    assert answered(Throttle(rate, ManualClock()), "ListFaces", 1000) == through
