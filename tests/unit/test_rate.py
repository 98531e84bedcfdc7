"""Amazon's quotas and prices."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from facelabel.adapters.rekognition.rate import Pace, cost, quota


class Time:
    """Time that passes by sleeping."""

    seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.seconds += seconds


@pytest.fixture
def time_() -> Time:
    return Time()


@pytest.fixture
def pace(time_: Time) -> Pace:
    """Five calls a second."""
    return Pace(5.0, now=time_.now, sleep=time_.sleep)


def test_calls_pass_at_the_rate(pace: Pace, time_: Time) -> None:
    passed = []
    for _ in range(26):
        pace.wait()
        passed.append(time_.now())
    assert passed[0] == 0.0
    assert passed[-1] == pytest.approx(5.0)
    for start in passed:
        assert sum(start <= at < start + 1 - 1e-9 for at in passed) <= 5


def test_idle_time_is_not_saved_up(pace: Pace, time_: Time) -> None:
    pace.wait()
    time_.sleep(60)
    for _ in range(6):
        pace.wait()
    assert time_.now() == pytest.approx(61)


def test_a_refusal_slows_down_and_success_brings_it_back(pace: Pace, time_: Time) -> None:
    pace.slow()
    assert pace.rate == 2.5
    pace.wait()
    assert time_.now() == pytest.approx(0.4)  # not at once
    for _ in range(9):
        pace.ease()
    assert pace.rate < 5
    for _ in range(9):
        pace.ease()
    assert pace.rate == 5


def test_it_never_stops_altogether(pace: Pace, time_: Time) -> None:
    for _ in range(100):
        pace.slow()
    assert pace.rate == pytest.approx(5 / 32)
    pace.wait()
    assert time_.now() < 10


def test_threads_share_the_pace() -> None:
    waited: list[float] = []
    pace = Pace(100.0, now=lambda: 0.0, sleep=waited.append)

    def work() -> None:
        for _ in range(5):
            pace.wait()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waited) == pytest.approx([turn / 100 for turn in range(1, 40)])


@pytest.mark.parametrize(
    ("operation", "region", "calls"),
    [
        ("SearchFacesByImage", "us-east-1", 50),
        ("SearchFacesByImage", "eu-central-1", 5),
        ("IndexFaces", "eu-west-1", 50),
        ("DetectFaces", "us-west-2", 100),
        ("DetectFaces", "ap-southeast-2", 25),
        ("DeleteFaces", "us-east-1", 5),
        ("AssociateFaces", "us-east-1", 5),
    ],
)
def test_quotas_are_those_of_the_region(operation: str, region: str, calls: float) -> None:
    assert quota(operation, region) == calls


def test_calls_cost_dollars() -> None:
    calls = Counter(DetectFaces=1000, SearchFacesByImage=2000, ListFaces=5000)
    assert cost(calls) == pytest.approx(3.0)
    assert cost({}) == 0
