"""Images wait for their turn: every client's first one first."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from facelabel.errors import Rejected, Unavailable
from facelabel.web.cloudinary_api.delivery.render_queue import RenderQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


class Kitchen:
    """Makes what it is asked for when it may, and remembers the order."""

    def __init__(self, at_once: int = 1, places: int = 64, slow: str = "") -> None:
        """As the queue's; ``slow``: names of images that are ready when they alone may be."""
        self.queue = RenderQueue(at_once, places)
        self.begun: list[str] = []
        self.may_go, self.slow_may_go = threading.Event(), threading.Event()
        self._slow = slow.split()

    def ask(self, client: str, name: str) -> asyncio.Task[bytes]:
        return asyncio.get_running_loop().create_task(
            self.queue.make(client, name, lambda: self._made(name))
        )

    def _made(self, name: str) -> bytes:
        self.begun.append(name)
        assert (self.slow_may_go if name in self._slow else self.may_go).wait(120)
        if "bad" in name:
            raise Rejected(name)
        return name.encode()


def run(story: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 120))


async def asked(*tasks: asyncio.Task[bytes]) -> list[bytes | BaseException]:
    """Let everybody ask before anything is made."""
    return await asyncio.gather(*tasks, return_exceptions=True)


def test_one_clients_many_images_hold_nobody_up() -> None:
    async def story() -> None:
        kitchen = Kitchen()
        tasks = [kitchen.ask("a", f"a{number}") for number in range(20)]
        await asyncio.sleep(0)
        tasks += [kitchen.ask("b", f"b{number}") for number in range(2)] + [kitchen.ask("c", "c0")]
        await asyncio.sleep(0)
        kitchen.may_go.set()

        assert all(isinstance(made, bytes) for made in await asked(*tasks))
        assert kitchen.begun[:6] == ["a0", "a1", "b0", "c0", "a2", "b1"]
        assert kitchen.begun[6:] == [f"a{number}" for number in range(3, 20)]

    run(story)


def test_a_newcomer_goes_before_who_has_images_in_the_making() -> None:
    async def story() -> None:
        kitchen = Kitchen(at_once=3, slow="a1 a2")  # one place gets free, or two would race
        tasks = [kitchen.ask("a", f"a{number}") for number in range(6)]
        await asyncio.sleep(0)
        tasks += [kitchen.ask("b", f"b{number}") for number in range(2)]
        await asyncio.sleep(0)
        kitchen.may_go.set()

        assert await tasks[6] == b"b0"
        assert set(kitchen.begun[:3]) == {"a0", "a1", "a2"}
        assert kitchen.begun[3] == "b0"
        kitchen.slow_may_go.set()
        await asked(*tasks)

    run(story)


def test_what_is_made_already_is_waited_for() -> None:
    async def story() -> None:
        kitchen = Kitchen()
        tasks = [kitchen.ask(client, "same") for client in "abcabc"]
        await asyncio.sleep(0)
        kitchen.may_go.set()

        assert await asked(*tasks) == [b"same"] * 6
        assert kitchen.begun == ["same"]
        assert await kitchen.ask("a", "same") == b"same"
        assert kitchen.begun == ["same"] * 2

    run(story)


def test_a_full_queue_takes_from_who_has_most() -> None:
    async def story() -> None:
        kitchen = Kitchen(places=6)
        greedy = [kitchen.ask("a", f"a{number}") for number in range(8)]
        await asyncio.sleep(0)
        others = [kitchen.ask("b", f"b{number}") for number in range(3)]
        await asyncio.sleep(0)
        kitchen.may_go.set()

        made, theirs = await asked(*greedy), await asked(*others)
        # One is being made and five wait, of which the other client gets as many as are fair.
        assert [name.decode() for name in made if isinstance(name, bytes)] == [
            "a0",
            "a1",
            "a2",
            "a3",
        ]
        assert theirs[:2] == [b"b0", b"b1"]
        refused = [error for error in (*made, *theirs) if not isinstance(error, bytes)]
        assert len(refused) == 5
        for error in refused:
            assert isinstance(error, Unavailable)
            assert error.retry_after == 5

    run(story)


@pytest.mark.parametrize("at_once", [1, 2])
def test_what_cannot_be_made_leaves_its_place(at_once: int) -> None:
    async def story() -> None:
        kitchen = Kitchen(at_once, places=3)
        kitchen.may_go.set()
        for number in range(10):
            with pytest.raises(Rejected, match="bad"):
                await kitchen.ask("a", f"bad{number}")
        assert await kitchen.ask("a", "good") == b"good"

    run(story)


def test_who_goes_away_leaves_the_others_theirs() -> None:
    async def story() -> None:
        kitchen = Kitchen()
        gone, stays = kitchen.ask("a", "same"), kitchen.ask("b", "same")
        nobody_waits = kitchen.ask("a", "bad")
        await asyncio.sleep(0)
        gone.cancel()
        nobody_waits.cancel()
        kitchen.may_go.set()

        assert await stays == b"same"
        assert await kitchen.ask("c", "next") == b"next"
        assert kitchen.begun == ["same", "bad", "next"]

    run(story)
