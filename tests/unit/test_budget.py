"""What all bodies may take together: counted, with a clock that the test sets."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from facelabel.testing import ManualClock
from facelabel.web.http.budget import (
    SLOW,
    SMALL,
    Body,
    Budget,
    Limits,
    Pace,
    Peers,
    Pool,
    peer,
)
from facelabel.web.http.refusals import Crowded

if TYPE_CHECKING:
    from starlette.types import Message, Scope

PHOTO = 3 << 20


async def silent() -> Message:
    """Nothing is read here."""
    raise AssertionError


def arriving(budget: Budget, peer: str) -> Body:
    return Body(peer, Limits(0, budget=budget), Pace(budget.clock, budget.clock()), 0.0, silent)


class Site:
    """A budget of 20 photos on disk, ten for each client, and its clock."""

    def __init__(self) -> None:
        """Nothing has come."""
        self.clock = ManualClock()
        self.budget = Budget(
            small=Pool(8 * SMALL),
            memory=Pool(8 * PHOTO),
            disk=Pool(20 * PHOTO),
            looks=0,
            clock=self.clock.now,
        )

    def body(self, peer: str) -> Body:
        """One that begins to arrive."""
        return arriving(self.budget, peer)

    def send(self, peer: str, *sizes: int, body: Body | None = None) -> Body:
        """Have pieces of a body come, a second apart; Crowded if there is no room for one."""
        body = body or self.body(peer)
        for size in sizes:
            body.pace.add(size)
            asyncio.run(body.keep(size, self.budget.disk))
            self.clock.sleep(1)
        return body

    def many(self, peer: str, number: int) -> list[Body]:
        """Photos that have come but for their last byte."""
        return [self.send(peer, PHOTO) for _ in range(number)]


@pytest.fixture
def site() -> Site:
    return Site()


def test_who_holds_on_to_room_and_sends_nothing_makes_room(site: Site) -> None:
    """From the same address, too: behind a proxy all have one."""
    holders = site.many("1.1.1.1", 10)
    for genuine in ("1.1.1.1", "2.2.2.2"):
        for _ in range(30):
            upload = site.send(genuine, PHOTO // 2, PHOTO // 2)
            upload.release()
    assert [holder.is_dropped for holder in holders] == [True] + [False] * 9


def test_a_byte_now_and_then_is_next_to_nothing(site: Site) -> None:
    holders = site.many("1.1.1.1", 10)
    for _ in range(5):
        for holder in holders:
            holder.pace.add(1)
        site.clock.sleep(4)
    assert all(holder.is_slow for holder in holders)
    site.send("1.1.1.1", PHOTO)
    assert sum(holder.is_dropped for holder in holders) == 1


def test_the_slowest_goes_first(site: Site) -> None:
    holders = site.many("1.1.1.1", 10)
    for _ in range(3):
        for number, holder in enumerate(holders):
            holder.pace.add(1000 * (10 - number))
        site.clock.sleep(1)
    site.send("1.1.1.1", PHOTO)
    assert [holder.is_dropped for holder in holders] == [False] * 9 + [True]


def test_nobody_who_keeps_sending_is_dropped(site: Site) -> None:
    """Then it is the next one that has to come again."""
    senders = site.many("1.1.1.1", 10)
    for _ in range(3):
        for sender in senders:
            sender.pace.add(SLOW * 2)
        site.clock.sleep(0.5)
    with pytest.raises(Crowded):
        site.send("1.1.1.1", PHOTO)
    assert not any(sender.is_dropped for sender in senders)
    site.send("2.2.2.2", PHOTO)


def test_what_has_come_is_not_dropped(site: Site) -> None:
    """It is our turn: how long the work takes is not the client's fault."""
    done = site.many("1.1.1.1", 10)
    for body in done:
        body.is_complete = True
    site.clock.sleep(100)
    with pytest.raises(Crowded):
        site.send("1.1.1.1", PHOTO)
    done[0].release()
    site.send("1.1.1.1", PHOTO)


def test_a_client_has_a_share(site: Site) -> None:
    bodies = [site.body("1.1.1.1") for _ in range(20)]

    async def keep(body: Body) -> bool:
        try:
            await body.keep(PHOTO, site.budget.disk)
        except Crowded:
            return False
        return True

    async def keep_all() -> list[bool]:
        return [await keep(body) for body in [*bodies, site.body("2.2.2.2")]]

    assert asyncio.run(keep_all()) == [True] * 10 + [False] * 10 + [True]


def test_small_bodies_have_room_of_their_own(site: Site) -> None:
    for body in site.many("1.1.1.1", 10) + site.many("2.2.2.2", 10):
        body.is_complete = True
    for client in ("1.1.1.1", "2.2.2.2", "3.3.3.3"):
        with pytest.raises(Crowded):
            site.send(client, PHOTO)
        notification = site.send(client, SMALL)
        notification.release()


def test_large_bodies_that_have_only_begun_do_not_wait_for_each_other(site: Site) -> None:
    """Those that the room of the small has no place for begin where they belong."""
    many = [site.body("1.1.1.1") for _ in range(6)]
    for body in many:
        asyncio.run(body.keep(SMALL, site.budget.disk))
    assert (site.budget.small.held, site.budget.disk.held) == (4 * SMALL, 2 * SMALL)
    for body in many:
        asyncio.run(body.keep(PHOTO - SMALL, site.budget.disk))
    assert (site.budget.small.held, site.budget.disk.held) == (0, 6 * PHOTO)


def test_a_body_that_grows_leaves_the_room_of_the_small(site: Site) -> None:
    body = site.send("1.1.1.1", SMALL)
    assert (site.budget.small.held, site.budget.disk.held) == (SMALL, 0)
    site.send("1.1.1.1", 1, body=body)
    assert (site.budget.small.held, site.budget.disk.held) == (0, SMALL + 1)
    body.release()
    assert site.budget.disk.held == 0


def test_a_body_that_finds_no_room_to_grow_keeps_what_it_has(site: Site) -> None:
    for other in site.many("1.1.1.1", 10):
        other.is_complete = True
    body = site.send("1.1.1.1", SMALL)
    with pytest.raises(Crowded):
        site.send("1.1.1.1", 1, body=body)
    assert site.budget.small.held == SMALL
    body.release()
    assert site.budget.small.held == 0


def test_what_is_on_disk_leaves_memory_free(site: Site) -> None:
    site.many("1.1.1.1", 10)
    body = site.body("1.1.1.1")
    asyncio.run(body.keep(PHOTO, site.budget.memory))
    assert (site.budget.memory.held, site.budget.disk.held) == (PHOTO, 10 * PHOTO)


def test_who_was_dropped_gets_nothing_more(site: Site) -> None:
    body = site.send("1.1.1.1", PHOTO)
    told = []
    body.on_drop = lambda: told.append(body)
    body.drop()
    assert told == [body]
    assert site.budget.disk.held == 0
    with pytest.raises(Crowded):
        site.send("1.1.1.1", 1, body=body)


def test_a_body_waits_for_room_that_becomes_free() -> None:
    budget = Budget(disk=Pool(2 * PHOTO, share=PHOTO))
    first, second = arriving(budget, "1.1.1.1"), arriving(budget, "1.1.1.1")

    async def run() -> None:
        await first.keep(PHOTO, budget.disk)
        waiting = asyncio.create_task(second.keep(PHOTO, budget.disk))
        await asyncio.sleep(0)
        assert budget.waiting.total() == 1
        assert not second.is_slow
        first.release()
        await waiting

    asyncio.run(run())
    assert (budget.waiting.total(), budget.disk.of(second)) == (0, PHOTO)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
        ("nobody", ""),
    ],
)
def test_a_client_is_an_address_or_a_customers_network(host: str, expected: str) -> None:
    assert peer(host) == expected


def scope(host: str | None, *forwarded: str) -> Scope:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    return {"type": "http", "client": host and (host, 1), "headers": headers}


@pytest.mark.parametrize(
    ("host", "forwarded", "expected"),
    [
        ("10.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.7, 203.0.113.9"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.7", "203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        ("10.0.0.1", ["198.51.100.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.2"], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["", 'é, "x"'], "10.0.0.1"),
        ("::1", ["2001:db8::7"], "2001:db8::/64"),
        ("203.0.113.9", ["198.51.100.7"], "203.0.113.9"),
        (None, ["198.51.100.7"], ""),
    ],
)  # fmt: skip
def test_a_proxy_of_ours_is_believed_and_nobody_else(
    host: str | None, forwarded: list[str], expected: str
) -> None:
    peers = Peers([ip_network("10.0.0.0/8"), ip_network("::1")])
    assert peers.of(scope(host, *forwarded)) == expected
    assert Peers().of(scope(host, *forwarded)) == peer(host or "")
