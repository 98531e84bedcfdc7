"""Conditions, orders and pages of a library of its own, on either database."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from tests.contract.media_bench import EVERYTHING, Bench, equals, prefix, word

from facelabel.errors import Rejected
from facelabel.media.types import And, AssetKey, Compare, Edit, Not, Or, Order, Where
from facelabel.testing import ManualClock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.media.types import Condition


@pytest.fixture
def gallery(bench: Bench) -> Bench:
    """Return a library with pictures that differ in everything one can ask for."""
    bench.put("Zoë", tags=["Zoë Müller", "red"], folder="people", context={"alt": "At the SEA"})
    bench.clock.sleep(10)
    bench.put("zoo", tags=["zoo", "Red"], folder="people/animals", width=200, height=100)
    bench.clock.sleep(10)
    bench.put("ann", tags=["red"], folder="peoples", metadata={"people": ["Ann", "Bob"], "n": 5})
    bench.clock.sleep(10)
    bench.put("bob", b"1234", display_name="Bob at 100%_", metadata={"n": 40, "on": "2024-05-01"})
    bench.clock.sleep(10)
    bench.put("clip", resource_type="video", type="private", format="mp4", filename="Clip A.mp4")
    return bench


BEGIN = ManualClock().now()


#: Conditions, and what they hold for in the gallery.
EXAMPLES: list[tuple[Condition, str]] = [
    (EVERYTHING, "Zoë ann bob clip zoo"),
    (Or(()), ""),
    (Not(Or(())), "Zoë ann bob clip zoo"),
    (equals("public_id", "Zoë"), "Zoë"),
    (equals("public_id", "Zoe\u0308"), "Zoë"),
    (equals("public_id", "zoë"), ""),
    (prefix("public_id", "zo"), "zoo"),
    (prefix("public_id", "Zo"), "Zoë"),
    (prefix("public_id", "z%"), ""),
    (prefix("public_id", ""), "Zoë ann bob clip zoo"),
    (word("public_id", "zOË"), "Zoë"),
    (Where("public_id", Compare.LESS, "b"), "Zoë ann"),
    (Where("public_id", Compare.GREATER_OR_EQUAL, "clip"), "clip zoo"),
    (Where("filename", Compare.EXISTS), "clip"),
    (word("filename", "a"), "clip"),
    (word("filename", "clip a"), "clip"),
    (word("filename", "a clip"), ""),
    (equals("filename", "clip a.mp4"), ""),
    (equals("resource_type", "video"), "clip"),
    (equals("type", "private"), "clip"),
    (word("format", "MP4"), "clip"),
    (equals("display_name", "Bob at 100%_"), "bob"),
    (word("display_name", "100"), "bob"),
    (word("display_name", "%"), ""),
    (equals("folder", "people"), "Zoë"),
    (prefix("folder", "people"), "Zoë zoo"),
    (prefix("folder", "people/"), "Zoë zoo"),
    (prefix("folder", ""), "Zoë ann bob clip zoo"),
    (word("folder", "animals"), "zoo"),
    (Where("folder", Compare.EXISTS), "Zoë ann zoo"),
    (equals("tags", "red"), "Zoë ann"),
    (word("tags", "red"), "Zoë ann zoo"),
    (word("tags", "müller"), "Zoë"),
    (word("tags", "mü"), ""),
    (prefix("tags", "Zoë M"), "Zoë"),
    (prefix("tags", "R"), "zoo"),
    (Where("tags", Compare.EXISTS), "Zoë ann zoo"),
    (equals("context.alt", "At the SEA"), "Zoë"),
    (equals("context.alt", "at the sea"), ""),
    (word("context.alt", "sea"), "Zoë"),
    (prefix("context.alt", "At"), "Zoë"),
    (Where("context.alt", Compare.EXISTS), "Zoë"),
    (equals("context.unknown", ""), ""),
    (equals("metadata.people", "Bob"), "ann"),
    (Where("metadata.n", Compare.GREATER, 5), "bob"),
    (Where("metadata.n", Compare.GREATER_OR_EQUAL, 5), "ann bob"),
    (equals("metadata.n", "5"), "ann"),
    (equals("metadata.n", 5.0), "ann"),
    (Where("metadata.on", Compare.LESS, "2024-06"), "bob"),
    (equals("details.x", 1), ""),
    (equals("bytes", 4), "bob"),
    (equals("bytes", "4"), "bob"),
    (Where("width", Compare.EXISTS), "zoo"),
    (equals("aspect_ratio", 2), "zoo"),
    (Where("aspect_ratio", Compare.LESS, 1), "Zoë ann bob clip"),
    (Where("pixels", Compare.GREATER, 19_999), "zoo"),
    (Where("created_at", Compare.GREATER, BEGIN + 10), "ann bob clip"),
    (Where("uploaded_at", Compare.LESS_OR_EQUAL, BEGIN + 10), "Zoë zoo"),
    (Where("updated_at", Compare.LESS, BEGIN + 10), "Zoë"),
    (Where("version", Compare.GREATER, 0), "Zoë ann bob clip zoo"),
    (word("", "zoë"), "Zoë"),
    (word("", "sea"), "Zoë"),
    (word("", "red"), "Zoë ann zoo"),
    (word("", "bob"), "bob"),
    (word("", "animals"), "zoo"),
    (Not(equals("context.alt", "x")), "Zoë ann bob clip zoo"),
    (Not(equals("metadata.n", 5)), "Zoë bob clip zoo"),
    (Not(Where("metadata.n", Compare.LESS, 10)), "Zoë bob clip zoo"),
    (Not(Where("aspect_ratio", Compare.GREATER, 0)), "Zoë ann bob clip"),
    (Not(equals("tags", "red")), "bob clip zoo"),
    (Not(Where("tags", Compare.EXISTS)), "bob clip"),
    (Not(Not(equals("tags", "red"))), "Zoë ann"),
    (And((word("tags", "red"), Not(equals("tags", "red")))), "zoo"),
    (Or((equals("public_id", "bob"), prefix("folder", "peoples"))), "ann bob"),
]


class TestSelect:
    """Conditions."""

    def test_a_condition_holds_for(self, gallery: Bench) -> None:
        found = [(condition, " ".join(gallery.find(condition))) for condition, _ in EXAMPLES]
        assert found == EXAMPLES

    @pytest.mark.parametrize(
        "condition",
        [
            equals("unknown", "x"),
            equals("context.", "x"),
            equals("bytes", "many"),
            equals("public_id", "a\0b"),
            equals("tags", "a\udc80b"),
            equals("context.a\0b", "x"),
            word("", "a\0b"),
        ],
    )
    def test_what_cannot_be_asked_is_refused(self, bench: Bench, condition: Condition) -> None:
        with pytest.raises(Rejected):
            bench.find(condition)

    def test_a_condition_without_end_is_refused(self, bench: Bench) -> None:
        deep: Condition = EVERYTHING
        for _ in range(5_000):
            deep = Not(deep)
        for condition in (deep, Or((equals("public_id", "x"),) * 500)):
            with pytest.raises(Rejected, match="too"):
                bench.find(condition)

    def test_a_long_and_deep_condition_is_asked(self, bench: Bench) -> None:
        bench.put("me")
        condition: Condition = Or((equals("tags", "x"),) * 300)
        for number in range(38):
            condition = And((Or((condition, equals("public_id", f"{number}"))),))
        assert bench.find(condition) == []
        assert bench.find(Or((condition, equals("public_id", "me")))) == ["me"]

    def test_what_can_be_typed_can_be_asked(self, bench: Bench) -> None:
        for value in ("'", '"', "%", "_", "\\", "*", "🎉", "\u202e", "a" * 10_000):
            assert bench.find(Or((word("", value), prefix("public_id", value)))) == []

    def test_what_changed_is_found_by_what_it_is_now(self, gallery: Bench) -> None:
        asset = gallery.library.find("ann")
        assert asset is not None
        edit = Edit(remove_tags=["red"], add_tags=["blue"], set_metadata={"people": ["Cid"]})
        gallery.library.edit([asset.asset_id], edit)
        assert gallery.find(word("tags", "red")) == ["Zoë", "zoo"]
        assert gallery.find(word("", "blue")) == ["ann"]
        assert gallery.find(equals("metadata.people", "Bob")) == []
        assert gallery.find(equals("metadata.people", "Cid")) == ["ann"]
        gallery.library.delete(asset.asset_id)
        assert gallery.find(word("", "blue")) == []

    def test_the_newest_come_first(self, gallery: Bench) -> None:
        page = gallery.library.select(EVERYTHING, limit=3)
        assert [asset.public_id for asset in page.assets] == ["clip", "bob", "ann"]
        assert page.total == -1
        page = gallery.library.select(EVERYTHING, limit=3, cursor=page.cursor)
        assert [asset.public_id for asset in page.assets] == ["zoo", "Zoë"]
        assert page.cursor is None

    @pytest.mark.parametrize(
        ("order", "expected"),
        [
            ([Order("bytes", descending=True), Order("public_id")], "bob Zoë ann clip zoo"),
            ([Order("bytes"), Order("public_id", descending=True)], "zoo clip ann Zoë bob"),
            ([Order("metadata.n", descending=True), Order("public_id")], "bob ann Zoë clip zoo"),
            ([Order("context.alt"), Order("public_id")], "ann bob clip zoo Zoë"),
            ([Order("folder"), Order("created_at", descending=True)], "clip bob Zoë zoo ann"),
        ],
    )
    def test_an_order_goes_on_from_page_to_page(
        self, gallery: Bench, order: list[Order], expected: str
    ) -> None:
        assert listed(gallery, order, limit=1) == expected.split()
        assert listed(gallery, order, limit=2) == expected.split()
        assert gallery.find(EVERYTHING, *order) == expected.split()

    def test_ties_are_broken(self, bench: Bench) -> None:
        names = [f"p{number}" for number in range(30)]
        for name in names:
            bench.put(name)
        for order in ([], [Order("bytes")], [Order("folder", descending=True), Order("format")]):
            assert sorted(listed(bench, order, limit=4)) == sorted(names)

    def test_nothing_is_skipped_while_assets_come_and_go(self, bench: Bench) -> None:
        chance = random.Random(1)
        for number in range(60):
            bench.put(f"p{number:03}")
        seen: list[str] = []
        doomed = [f"p{number:03}" for number in range(60)]
        chance.shuffle(doomed)
        cursor, staying = None, set(doomed[30:])
        for name in doomed[:30]:
            page = bench.library.select(EVERYTHING, [Order("public_id")], limit=5, cursor=cursor)
            seen += [asset.public_id for asset in page.assets]
            gone = bench.library.get(AssetKey(name))
            assert gone is not None
            bench.library.delete(gone.asset_id)
            bench.put(f"p{chance.randrange(60):03}x")
            cursor = page.cursor
            if cursor is None:
                break
        assert cursor is None
        assert len(seen) == len(set(seen))
        assert staying <= set(seen)

    @pytest.mark.parametrize(
        "cursor",
        [
            "",
            "nonsense",
            "é",
            "bnVsbA",
            "W10",
            "WzEsMl0",
            "e30",
            "=",
            "[" * 10_000,
            "W1siLWNyZWF0ZWRfYXQiXSxbMSwyXV0",
        ],  # the order, with a number for an asset_id
    )
    def test_a_cursor_that_is_none_of_ours_is_refused(self, bench: Bench, cursor: str) -> None:
        with pytest.raises(Rejected, match="next_cursor"):
            bench.library.select(EVERYTHING, limit=1, cursor=cursor)

    def test_a_cursor_of_another_order_is_refused(self, gallery: Bench) -> None:
        cursor = gallery.library.select(EVERYTHING, [Order("bytes")], limit=1).cursor
        for order in ([], [Order("version")], [Order("bytes", descending=True)]):
            with pytest.raises(Rejected, match="next_cursor"):
                gallery.library.select(EVERYTHING, order, limit=1, cursor=cursor)

    def test_a_page_is_not_empty_on_purpose(self, bench: Bench) -> None:
        with pytest.raises(Rejected, match="at least one"):
            bench.library.select(EVERYTHING, limit=0)

    def test_some_fields_are_not_sorted_by(self, bench: Bench) -> None:
        for order in ([Order("tags")], [Order("")], [Order("x")], [Order("bytes")] * 11):
            with pytest.raises(Rejected, match="sorted"):
                bench.library.select(EVERYTHING, order, limit=1)

    def test_values_are_counted(self, gallery: Bench) -> None:
        library = gallery.library
        assert library.tally(EVERYTHING, "resource_type") == {"image": 4, "video": 1}
        counts = {"Red": 1, "Zoë Müller": 1, "red": 2, "zoo": 1}
        assert library.tally(EVERYTHING, "tags") == counts
        assert library.tally(prefix("folder", "peoples"), "metadata.people") == {"Ann": 1, "Bob": 1}
        assert library.tally(EVERYTHING, "bytes") == {"2": 4, "4": 1}
        with pytest.raises(Rejected, match="unknown"):
            library.tally(EVERYTHING, "unknown")

    def test_tags_are_listed_by_the_alphabet(self, gallery: Bench) -> None:
        assert gallery.library.tags("image") == ["Red", "Zoë Müller", "red", "zoo"]
        assert gallery.library.tags("image", "z") == ["zoo"]
        assert gallery.library.tags("video") == []

    def test_usage_is_counted(self, gallery: Bench) -> None:
        assert gallery.library.usage() == {"objects": 5, "bytes": 12}


def listed(bench: Bench, order: Sequence[Order], limit: int) -> list[str]:
    """Go through all pages."""
    names: list[str] = []
    cursor: str | None = None
    while True:
        page = bench.library.select(EVERYTHING, order, limit=limit, cursor=cursor)
        assert len(page.assets) <= limit
        names += [asset.public_id for asset in page.assets]
        cursor = page.cursor
        if cursor is None:
            return names
