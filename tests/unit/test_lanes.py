"""Threads of which each client has a share."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

from tests.waiting import PATIENCE

from facelabel.web.http.budget import Lanes


class Work:
    """Something that takes until it is told to end; notes who began."""

    def __init__(self) -> None:
        """Nothing has begun."""
        self.begun: list[str] = []
        self.may_end = threading.Event()

    def of(self, name: str) -> str:
        self.begun.append(name)
        assert self.may_end.wait(PATIENCE)
        return name

    async def has_begun(self, number: int) -> None:
        while len(self.begun) < number:  # noqa: ASYNC110 - it is a thread that says so
            await asyncio.sleep(0.001)


def test_a_client_has_its_share_and_others_have_theirs() -> None:
    work = Work()

    async def run() -> list[str]:
        lanes = Lanes(total=3, share=2)
        ann = [asyncio.create_task(lanes.run("ann", partial(work.of, "ann"))) for _ in range(4)]
        await work.has_begun(2)
        ben = asyncio.create_task(lanes.run("ben", partial(work.of, "ben")))
        await work.has_begun(3)
        assert sorted(work.begun) == ["ann", "ann", "ben"]
        work.may_end.set()
        return await asyncio.gather(*ann, ben)

    assert asyncio.run(run()) == ["ann", "ann", "ann", "ann", "ben"]


def test_all_together_have_no_more_than_there_is() -> None:
    work = Work()

    async def run() -> None:
        lanes = Lanes(total=2, share=2)
        tasks = [asyncio.create_task(lanes.run(name, partial(work.of, name))) for name in "abc"]
        await work.has_begun(2)
        assert len(work.begun) == 2
        work.may_end.set()
        await asyncio.gather(*tasks)

    asyncio.run(run())
    assert sorted(work.begun) == ["a", "b", "c"]


def test_what_fails_gives_its_place_back() -> None:
    def fail() -> None:
        raise ValueError

    async def run() -> int:
        lanes = Lanes(total=1, share=1)
        for _ in range(3):
            (failed,) = await asyncio.gather(lanes.run("a", fail), return_exceptions=True)
            assert isinstance(failed, ValueError)
        return await lanes.run("a", lambda: 1)

    assert asyncio.run(run()) == 1
