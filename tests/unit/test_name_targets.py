"""Names in tags, in a metadata field, in the context; and labels in a metadata field."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest
from tests.unit.conftest import Bench, Overtaken

if TYPE_CHECKING:
    from facelabel.recognition.pipeline import Pipeline

from facelabel.core import label_policy as schemes
from facelabel.core.jobs import JobKind
from facelabel.core.label_policy import LabelPolicy, NameTargets
from facelabel.core.model import Asset, NameState
from facelabel.core.naming import NamesPresent
from facelabel.recognition.worker import Worker, handlers

EVERYWHERE = NameTargets(tags=True, prefix="person:", field="people", context="who")


def asset(*tags: str, field: object = None, context: str = "") -> Asset:
    """A picture with these tags, values and context."""
    metadata = {} if field is None else {"people": field}
    return Asset(
        "1", "p", "assets", 1, "jpg", 1, "e", tags=tags,
        context={"who": context} if context else {}, metadata=metadata,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("targets", "picture", "everywhere", "anywhere"),
    [
        (NameTargets(), asset("Ann", "beach"), {"Ann", "beach"}, {"Ann", "beach"}),
        (NameTargets(prefix="p:"), asset("p:Ann", "beach", "p:"), {"Ann"}, {"Ann"}),
        (NameTargets(tags=False, field="people"), asset("Ann", field=["Ben"]), {"Ben"}, {"Ben"}),
        (NameTargets(tags=False, field="people"), asset(field="Ben"), {"Ben"}, {"Ben"}),
        (NameTargets(tags=False, context="who"), asset(context="Ann, Ben"), {"Ann", "Ben"},
         {"Ann", "Ben"}),
        (EVERYWHERE, asset("person:Ann", "person:Ben", field=["Ann"], context="Ann, Cid"),
         {"Ann"}, {"Ann", "Ben", "Cid"}),
        (EVERYWHERE, asset(), set(), set()),
    ],
)  # fmt: skip
def test_names_are_read_off_every_place(
    targets: NameTargets, picture: Asset, everywhere: set[str], anywhere: set[str]
) -> None:
    assert targets.seen(picture) == NamesPresent(frozenset(everywhere), frozenset(anywhere))


def test_a_fingerprint_tells_rules_and_places_apart() -> None:
    plain, other = LabelPolicy(), LabelPolicy(targets=EVERYWHERE)
    assert plain.fingerprint == plain.rules.fingerprint  # as in data folders of before
    assert plain.same_targets(plain.fingerprint)
    assert plain.same_targets(schemes.undecided(plain.fingerprint))
    assert not plain.same_targets(other.fingerprint)
    assert other.same_targets(schemes.undecided(other.fingerprint))
    for label_policy in (plain, other):
        assert schemes.is_decided(label_policy.fingerprint)
        assert not schemes.is_decided(schemes.undecided(label_policy.fingerprint))


@pytest.fixture
def bench() -> Bench:
    """Return a bench whose names go everywhere."""
    return Bench(LabelPolicy(label_field="people", targets=EVERYWHERE))


def standing(bench: Bench, asset_id: str) -> tuple[set[str], object, str | None]:
    """The names in tags, field and context."""
    now = bench.asset(asset_id)
    return (
        {tag for tag in now.tags if tag.startswith("person:")},
        now.metadata.get("people", []),
        now.context.get("who"),
    )


def test_names_go_everywhere_and_go_again(bench: Bench) -> None:
    portraits = {who: bench.learn(who) for who in ("ann", "ben")}
    photo = bench.upload("ann", "ben", tags=["beach"])
    bench.library.set_metadata(photo, "people", ["Granny"])
    bench.work()
    assert standing(bench, photo) == (
        {"person:Ann", "person:Ben"}, ["Granny", "Ann", "Ben"], "Ann, Ben",
    )  # fmt: skip
    bench.library.delete(portraits["ben"])
    bench.work()
    assert standing(bench, photo) == ({"person:Ann"}, ["Granny", "Ann"], "Ann")
    bench.library.delete(portraits["ann"])
    bench.work()
    assert standing(bench, photo) == (set(), ["Granny"], None)


def test_a_name_taken_from_one_place_goes_from_all_and_stays_away(bench: Bench) -> None:
    bench.learn("ann")
    photo = bench.upload("ann")
    bench.work()
    bench.library.remove_tags(photo, ["person:Ann"])
    bench.work()
    assert standing(bench, photo) == (set(), [], None)
    assert bench.ledger.names(photo) == {"Ann": NameState.REFUSED}
    bench.learn("ben")
    assert standing(bench, photo) == (set(), [], None)
    bench.library.set_metadata(photo, "people", ["Ann"])  # typed back, in one place
    bench.work()
    assert standing(bench, photo) == (set(), ["Ann"], None)
    assert bench.ledger.names(photo) == {}


def test_where_names_do_not_go_to_tags_no_tag_is_ours_to_remove() -> None:
    bench = Bench(LabelPolicy(targets=NameTargets(tags=False, context="who")))
    learnt = bench.learn("ann")
    photo = bench.upload("ann", tags=["Ann", "beach"])
    other = bench.upload("ann")
    bench.work()
    assert bench.asset(other).tags == ()
    assert bench.asset(photo).context["who"] == "Ann"
    bench.library.delete(learnt)
    bench.work()
    assert "who" not in bench.asset(photo).context
    assert bench.asset(photo).tags == ("Ann", "beach")


def test_what_others_write_while_a_picture_is_looked_at_stays() -> None:
    bench = Bench(LabelPolicy(targets=NameTargets(tags=False, context="who")))
    quiet = bench.library.silently()
    bench.recognizer = Overtaken(lambda: quiet.set_context(photo, {"who": "Zoe"}))
    bench.pipeline = dataclasses.replace(bench.pipeline, recognizer=bench.recognizer)
    bench.worker = Worker(bench.queue, handlers(bench.pipeline), bench.clock)
    bench.learn("ann")
    photo = bench.upload("ann")
    bench.work()
    assert bench.asset(photo).context["who"] == "Zoe, Ann"


def test_other_places_from_now_on_are_nobodys_decision(bench: Bench) -> None:
    bench.learn("ann")
    photo = bench.upload("ann")
    bench.work()
    moved = dataclasses.replace(
        bench.pipeline.label_policy, targets=NameTargets(tags=False, context="names")
    )
    pipeline = dataclasses.replace(bench.pipeline, label_policy=moved)
    assert pipeline.identifier.unsearched([bench.asset(photo)])
    look(pipeline, bench, photo)
    assert bench.asset(photo).context["names"] == "Ann"
    assert bench.ledger.names(photo) == {"Ann": NameState.WRITTEN}
    bench.library.set_context(photo, {"names": None})
    look(pipeline, bench, photo)
    assert bench.ledger.names(photo) == {"Ann": NameState.REFUSED}


def look(pipeline: Pipeline, bench: Bench, asset_id: str) -> None:
    """Have that pipeline look at a picture."""
    job = bench.queue.jobs()
    assert not job or all(j.key == asset_id for j in job)
    pipeline.queue.enqueue(JobKind.ASSET, asset_id)
    claimed = bench.queue.claim()
    assert claimed is not None
    pipeline.examine(claimed)
    bench.queue.finish(claimed)


# ---- labels in the metadata field


def test_the_field_labels_a_portrait_and_relabels_it(bench: Bench) -> None:
    portrait = bench.upload("ann", folder="training")
    bench.library.set_metadata(portrait, "people", ["Ann"])
    bench.work()
    assert bench.people() == ["Ann"]
    bench.library.set_metadata(portrait, "people", ["Anne"])
    bench.work()
    assert bench.people() == ["Anne"]
    bench.library.set_metadata(portrait, "people", [])
    bench.work()
    assert bench.people() == []


def test_field_and_tag_must_not_contradict_each_other(bench: Bench) -> None:
    portrait = bench.upload("ann", folder="training", tags=["faceLabel:Ann"])
    bench.library.set_metadata(portrait, "people", ["Ann"])
    bench.work()
    assert bench.people() == ["Ann"]
    bench.library.set_metadata(portrait, "people", ["Ben"])
    bench.work()
    assert bench.error(portrait) == "two labels: Ann and Ben"
    assert bench.people() == ["Ann"]


def test_names_we_wrote_are_no_labels_when_the_picture_becomes_a_portrait(bench: Bench) -> None:
    bench.learn("ann")
    photo = bench.upload("ann")
    bench.work()
    assert standing(bench, photo)[1] == ["Ann"]
    bench.library.move(photo, "training")
    bench.work()
    assert standing(bench, photo) == (set(), [], None)
    assert bench.people() == ["Ann"]
    assert len(bench.enrolled()) == 1


def test_without_the_setting_a_field_is_no_label() -> None:
    bench = Bench()
    portrait = bench.upload("ann", folder="training")
    bench.library.set_metadata(portrait, "people", ["Ann"])
    bench.work()
    assert bench.people() == []
