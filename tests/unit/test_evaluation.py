"""Accuracy: numbers known beforehand, and the rule that what was not seen is a failure."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facelabel.core import calibration
from facelabel.core.calibration import FALSE_MATCH_RATES
from facelabel.core.model import Analysis, Asset, Box, Reason, Template
from facelabel.core.naming import Rules
from facelabel.core.quality import Comparable
from facelabel.errors import FacelabelError, Rejected, UnreadableImage, UnusableFace
from facelabel.evaluation import (
    fitting,
    identification,
    labelled,
    photos,
    plots,
    rates,
    verification,
)
from facelabel.evaluation.photos import Seen
from facelabel.evaluation.rates import ALWAYS, NEVER, Distances, share
from facelabel.gallery.recognizer import LocalRecognizer
from facelabel.testing import MemoryIndex, MemoryProbes, MemoryTemplates, some_face, vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facelabel.core.model import Face
    from facelabel.evaluation.identification import SheetReport

NOBODY = Seen(Analysis(100, 100, ()))


def turned(degrees: float) -> bytes:
    """Return a unit vector at this angle: its distance from another is 2 sin(half the angle)."""
    return vector(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))


def shows(*degrees: float) -> Seen:
    """Return a picture with good faces at these angles, side by side."""
    width = 1 / max(len(degrees), 1)
    faces = (some_face(left=at * width, width=width) for at in range(len(degrees)))
    return Seen(Analysis(100, 100, tuple(map(Template, faces, map(turned, degrees)))))


def falling(distance: float) -> float:
    """Similarity from 100 to 0."""
    return 100 - 50 * distance


class TestRates:
    """Counting and the rates that come of it."""

    @pytest.mark.parametrize(
        ("count", "of", "low", "high"),
        [(0, 50, 0.0, 0.0713), (50, 50, 0.9287, 1.0), (8, 10, 0.4902, 0.9433)],
    )
    def test_wilson(self, count: int, of: int, low: float, high: float) -> None:
        found = share(count, of)
        assert found
        assert found.rate == count / of
        assert [found.low, found.high] == pytest.approx([low, high], abs=1e-4)

    def test_nothing_to_count_has_no_rate(self) -> None:
        assert share(0, 0) is None

    @given(st.lists(st.floats(0, 2), min_size=1), st.floats(0, 2))
    def test_counted_as_by_hand(self, distances: list[float], threshold: float) -> None:
        """To a step of the grid."""
        within = Distances.of(distances).within(threshold)
        assert sum(d <= threshold - rates.STEP for d in distances) <= within
        assert within <= sum(d <= threshold + rates.STEP for d in distances)

    @given(st.lists(st.integers(0, 20_000)))
    def test_a_distance_on_the_grid_is_within_itself(self, steps: list[int]) -> None:
        """Whatever float arithmetic makes of it."""
        counted = Distances.of([step * rates.STEP for step in steps])
        for step in steps:
            assert counted.within(step * rates.STEP) == sum(other <= step for other in steps)

    def test_undetected_faces_fail_at_every_threshold(self) -> None:
        counted = Distances.of([ALWAYS, NEVER, 1.0])
        assert (counted.within(0.0), counted.within(2.0), counted.total) == (1, 2, 3)

    def test_widest_threshold_within_a_rate(self) -> None:
        impostor = Distances.of([0.5, 1.0, 1.5, 2.0])
        assert impostor.widest(0.25) == pytest.approx(1.0 - rates.STEP)
        assert impostor.widest(0.2) == pytest.approx(0.5 - rates.STEP)
        assert impostor.widest(1.0) == 2.0
        assert Distances.of([ALWAYS, 1.0]).widest(0.4) is None

    def test_equal_error_of_known_overlap(self) -> None:
        genuine, impostor = Distances.of([0.2, 0.3, 0.4, 1.1]), Distances.of([0.9, 1.2, 1.3, 1.4])
        found = rates.equal_error(genuine, impostor)
        assert found.rate == pytest.approx(0.25)
        assert 0.9 <= found.distance < 1.1

    def test_best_threshold_is_in_the_middle_of_the_gap(self) -> None:
        at = rates.best_threshold(Distances.of([0.4, 0.5]), Distances.of([1.0, 1.2]))
        assert rates.GRID[at] == pytest.approx(0.75, abs=0.001)


class TestVerification:
    """Pairs of one person and of two."""

    def scores(self, seen: dict[str, Seen], *lines: tuple[str, str, bool]) -> verification.Scores:
        looked = {Path(name): picture for name, picture in seen.items()}
        pairs = [
            verification.Pair(Path(left), Path(right), same, at // 2)
            for at, (left, right, same) in enumerate(lines)
        ]
        return verification.score(pairs, looked)

    def test_separable_pairs(self) -> None:
        seen = {"a1": shows(0), "a2": shows(10), "b1": shows(90), "b2": shows(100)}
        scores = self.scores(
            seen, ("a1", "a2", True), ("a1", "b1", False), ("b1", "b2", True), ("a2", "b2", False)
        )
        found = verification.report(scores, "m/1", {}, Path(), falling)
        assert found.accuracy.accuracy == 1.0
        assert found.accuracy.standard_error == 0.0
        assert 2 * math.sin(math.radians(5)) < found.accuracy.distance < math.sqrt(2)
        assert found.accuracy.similarity == pytest.approx(falling(found.accuracy.distance))
        assert found.equal_error.rate == 0.0

    def test_a_pair_without_a_face_is_an_error_of_either_kind(self) -> None:
        seen = {"a1": shows(0), "a2": shows(10), "b1": shows(90), "none": NOBODY}
        unread = Seen(None, "not an image")
        scores = self.scores(
            {**seen, "unread": unread},
            ("a1", "a2", True), ("a1", "b1", False),
            ("a1", "none", True), ("b1", "unread", False),
        )  # fmt: skip
        looked = {Path("none"): NOBODY, Path("unread"): unread, Path("a1"): shows(0)}
        found = verification.report(scores, "m/1", looked, Path(), None)
        assert found.accuracy.accuracy == 0.5
        assert found.accuracy.standard_error == pytest.approx(0.5)
        assert [(p.file, p.reason) for p in found.problems] == [
            ("none", "no face was found"), ("unread", "not an image"),
        ]  # fmt: skip

    def test_rates_beyond_the_number_of_pairs_stay_blank(self) -> None:
        genuine, impostor = Distances.of([0.5, 1.0]), Distances.of(np.linspace(1.0, 1.9, 10))
        measured = verification.operating_point(genuine, impostor, 1e-1, falling)
        assert (measured.tar, measured.reason) == (1.0, "")
        assert measured.distance == pytest.approx(1.1 - rates.STEP)
        blank = verification.operating_point(genuine, impostor, 1e-2, falling)
        assert blank.tar is None
        assert blank.reason == "needs 100 pairs of two people, there are 10"

    def test_the_subject_is_in_the_middle_not_the_largest(self) -> None:
        large = replace(some_face(), box=Box(0.0, 0.0, 0.4, 0.9))
        middle = replace(some_face(), box=Box(0.45, 0.4, 0.1, 0.2))
        seen = Seen(Analysis(9, 9, (Template(large, b"large"), Template(middle, b"middle"))))
        subject = photos.subject(seen)
        assert subject
        assert subject.vector == b"middle"
        assert photos.subject(NOBODY) is None


class TestIdentification:
    """Al at 0°, Bo at 40°; Cy's portrait has no face. Nobody else is known."""

    def evaluate(
        self, probes: dict[str, Seen], strangers: dict[str, Seen] | None = None,
        *, margin: float = 1.0, threshold: float = 80.0, calibrated: bool = True,
    ) -> identification.Identification:  # fmt: skip
        """Probes are named after the person and, where there are several, a number."""
        root = Path("set")
        parts = {
            "gallery": {"Al": shows(0), "Bo": shows(40), "Cy": NOBODY},
            "probe": probes,
            "strangers": strangers or {},
        }
        seen = {root / part / n: p for part, pictures in parts.items() for n, p in pictures.items()}
        gallery, probe, others = (
            tuple(labelled.Photo(root / part / name, name.rstrip("12")) for name in pictures)
            for part, pictures in parts.items()
        )
        people = labelled.LabelledSet(root, gallery, probe, others)
        scores = identification.score(people, seen)
        similarity = falling if calibrated else None
        return identification.report(
            people, seen, scores, Rules(threshold, margin), "m/1", similarity
        )

    def test_known_people_and_strangers(self) -> None:
        found = self.evaluate(
            {"Al1": shows(5), "Al2": shows(30), "Bo": shows(42), "Cy": shows(80)},
            {"X": shows(180), "Y": shows(3)},
        )
        assert found.people == 2
        assert found.rank_1
        assert (found.rank_1.count, found.rank_1.of) == (2, 4)
        assert found.rule
        assert found.rule.tpir
        assert found.rule.tpir.count == 2
        assert found.rule.misnamed
        assert found.rule.misnamed.count == 1
        assert found.rule.fpir
        assert (found.rule.fpir.count, found.rule.fpir.of) == (1, 2)
        assert [problem.file for problem in found.not_enrolled] == ["gallery/Cy"]

    def test_undetected_faces_are_failures_everywhere(self) -> None:
        found = self.evaluate({"Al": NOBODY, "Bo": shows(40)}, {"X": NOBODY, "Y": shows(180)})
        assert found.rank_1
        assert (found.rank_1.count, found.rank_1.of) == (1, 2)
        assert found.rule
        assert found.rule.tpir
        assert (found.rule.tpir.count, found.rule.tpir.of) == (1, 2)
        assert found.rule.fpir
        assert (found.rule.fpir.count, found.rule.fpir.of) == (1, 2)
        assert found.chosen is None  # no threshold keeps one in two strangers out
        assert [problem.file for problem in found.undetected] == ["probe/Al", "strangers/X"]

    def test_the_margin_is_the_products_own(self) -> None:
        probes = {"Al": shows(18)}
        for margin, named in ((1.0, 1), (1.5, 0)):
            rule = self.evaluate(probes, threshold=60.0, margin=margin).rule
            assert rule
            assert rule.tpir
            assert rule.tpir.count == named

    def test_the_chosen_threshold_keeps_strangers_out(self) -> None:
        strangers = {f"X{at}": shows(at) for at in range(60, 180, 2)}
        found = self.evaluate({"Al": shows(5), "Bo": shows(42)}, strangers)
        assert found.chosen
        assert found.chosen.similarity == pytest.approx(
            math.ceil(10 * falling(2 * math.sin(math.radians(10)))) / 10
        )
        assert found.chosen.fpir
        assert found.chosen.fpir.count == 0
        assert found.chosen.tpir
        assert found.chosen.tpir.rate == 1.0

    def test_open_set_points_need_enough_strangers(self) -> None:
        found = self.evaluate({"Al": shows(5)}, {f"X{at}": shows(60 + at) for at in range(10)})
        assert [point.reason for point in found.points] == [
            "", "needs 100 strangers, there are 10", "needs 1,000 strangers, there are 10",
        ]  # fmt: skip
        assert found.points[0].tpir
        assert found.points[0].tpir.rate == 1.0

    def test_false_matches_by_hand(self) -> None:
        """Al, Bo, the probe: two pairs of two people, 40° and 34° apart."""
        found = self.evaluate({"Al": shows(6)})
        assert (found.genuine_pairs, found.impostor_pairs) == (1, 2)
        measured = {line.similarity: line for line in found.false_matches}
        assert list(measured) == sorted(FALSE_MATCH_RATES)
        for level, count in ((50, 2), (70, 1), (80, 0)):
            line = measured[level]
            assert line.measured
            assert line.measured.count == count, level
            assert line.distance == pytest.approx((100 - level) / 50, abs=rates.STEP)
            assert line.expected == FALSE_MATCH_RATES[level]

    def test_without_calibration_there_are_distances_alone(self) -> None:
        found = self.evaluate({"Al": shows(5)}, {"X": shows(90)}, calibrated=False)
        assert found.rule is None
        assert found.false_matches == ()
        assert found.rank_1
        assert found.rank_1.rate == 1.0
        assert found.chosen
        assert found.chosen.similarity is None


class TestSheets:
    """Two people known, a stranger beside them."""

    def report(self, picture: Seen) -> SheetReport:
        root = Path()
        tiles = (
            labelled.Tile("Al", (0, 0, 30, 100)), labelled.Tile("Bo", (30, 0, 30, 100)),
            labelled.Tile(None, (60, 0, 30, 100)),
        )  # fmt: skip
        gallery = (labelled.Photo(Path("al"), "Al"), labelled.Photo(Path("bo"), "Bo"))
        sheet = labelled.Sheet(Path("sheet"), tiles)
        people = labelled.LabelledSet(root, gallery, (), (), (sheet,))
        seen = {Path("al"): shows(0), Path("bo"): shows(40), Path("sheet"): picture}
        scores = identification.score(people, seen)
        found = identification.report(people, seen, scores, Rules(80.0), "m/1", falling)
        assert found.sheets
        return found.sheets

    def placed(self, *faces: tuple[float, float]) -> Seen:
        """Faces by left edge and angle."""
        return Seen(Analysis(100, 100, tuple(
            Template(some_face(left=left, width=0.2), turned(degrees)) for left, degrees in faces
        )))  # fmt: skip

    def test_everybody_right(self) -> None:
        found = self.report(self.placed((0.05, 2), (0.35, 41), (0.65, 120)))
        assert (found.faces, found.found, found.extra) == (3, 3, 0)
        assert (found.known_named, found.strangers_named, found.wrong_names) == (2, 0, 0)

    def test_wrong_names_and_strangers(self) -> None:
        """Al's tile shows Bo, the stranger resembles Al, and a face lies in no tile."""
        found = self.report(self.placed((0.05, 41), (0.65, 2), (0.9, 120)))
        assert (found.found, found.extra, found.known_named) == (2, 1, 0)
        assert (found.strangers_named, found.wrong_names) == (1, 1)

    def test_a_sheet_without_faces(self) -> None:
        found = self.report(Seen(None, "not an image"))
        assert (found.faces, found.found, found.known, found.known_named) == (3, 0, 2, 0)


REASONS = st.lists(st.sampled_from(list(Reason)), max_size=2, unique=True).map(tuple)


@given(st.lists(REASONS, max_size=3), st.integers(0, 2))
def test_enrols_what_the_product_enrols(reasons: list[tuple[Reason, ...]], left_out: int) -> None:
    """For every combination of good and poor faces."""
    faces = tuple(
        Template(replace(some_face(), reasons=each), turned(at)) for at, each in enumerate(reasons)
    )
    analysis = Analysis(9, 9, faces, (some_face(),) * left_out)
    found = photos.usable(Seen(analysis))
    assert (None if isinstance(found, str) else found) == _enrolled(analysis)


def _enrolled(analysis: Analysis) -> Template | None:
    """What the recogniser learns from a picture like that."""

    class Engine:
        model, dimensions, comparable = "m/1", 2, Comparable()
        curve = "falling"

        def analyse(self, image: bytes) -> Analysis:
            del image
            return analysis

        def faces(self, image: bytes) -> Sequence[Face]:
            return [template.face for template in self.analyse(image).templates]

        def similarity(self, distance: float) -> float:
            return falling(distance)

    templates = MemoryTemplates()
    index, probes = MemoryIndex(templates), MemoryProbes()
    recognizer = LocalRecognizer(lambda _: Engine(), templates, index, probes)
    recognizer.create("people")
    try:
        recognizer.enrol("people", b"", "Al", Asset("a", "a", "", 1, "jpg", 1, ""))
    except UnusableFace:
        return None
    ((_, learnt),) = templates.vectors(templates.find("people").number, 0, 9)
    return next(template for template in analysis.templates if template.vector == learnt)


def test_what_cannot_be_read_is_part_of_the_answer(tmp_path: Path) -> None:
    class Engine:
        model, dimensions, comparable = "m/1", 2, Comparable()
        curve = "falling"

        def analyse(self, image: bytes) -> Analysis:
            if image == b"bad":
                raise UnreadableImage("not an image")
            return Analysis(9, 9, ())

        def faces(self, image: bytes) -> Sequence[Face]:
            return [template.face for template in self.analyse(image).templates]

        def similarity(self, distance: float) -> float:
            return falling(distance)

    (tmp_path / "bad").write_bytes(b"bad")
    (tmp_path / "empty").write_bytes(b"")
    paths = [tmp_path / "bad", tmp_path / "empty"]
    calls: list[tuple[int, int]] = []
    seen = photos.look(Engine(), Path.read_bytes, paths, lambda done, of: calls.append((done, of)))
    assert [seen[path].failure for path in paths] == ["not an image", "no face was found"]
    assert calls == [(1, 2), (2, 2)]


class TestFit:
    """Calibration on a set of one's own."""

    @staticmethod
    def gaussian(count: int, mean: float = 1.4, deviation: float = 0.085) -> Distances:
        """Distances of strangers, about as they lie for one of our packs."""
        return Distances.of(np.random.default_rng(5).normal(mean, deviation, count))

    @pytest.mark.parametrize(("mean", "deviation"), [(1.4, 0.085), (0.56, 0.065)])
    def test_measured_rates_are_quantiles(self, mean: float, deviation: float) -> None:
        impostor = self.gaussian(100_000, mean, deviation)
        points = {point.rate: point for point in fitting.fit(impostor)}
        for rate in (1e-2, 1e-3, 1e-4):
            assert points[rate].measured
            assert impostor.within(points[rate].distance) / impostor.total == pytest.approx(
                rate, rel=0.05
            )
        assert not points[1e-5].measured

    def test_what_is_extended_asks_for_more_than_is_needed(self) -> None:
        """Against the true quantiles, from 100 times as many pairs."""
        truth = self.gaussian(3_000_000)
        for point in fitting.fit(self.gaussian(30_000)):
            if not point.measured:
                assert truth.within(point.distance) / truth.total <= 1.3 * point.rate

    def test_the_least_number_of_pairs(self) -> None:
        with pytest.raises(Rejected, match="there are 999: pictures of 46 different people"):
            fitting.fit(self.gaussian(999))
        assert [point.measured for point in fitting.fit(self.gaussian(1_000))] == [False] * 4 + [
            True
        ]

    def test_46_different_people_are_enough(self) -> None:
        assert 46 * 45 / 2 >= fitting.LEAST_PAIRS > 45 * 44 / 2

    @given(st.lists(st.floats(0, 2), min_size=1, max_size=20))
    def test_always_a_valid_calibration(self, distances: list[float]) -> None:
        """One that the engine takes and reads as we do, whatever the faces."""
        points = fitting.fit(Distances.of(distances * 1_000))
        kept = fitting.pairs(points)
        calibration.validate(kept)
        similarity = fitting.curve(points)
        for distance in np.linspace(0, 2, 41):
            assert similarity(distance) == pytest.approx(calibration.similarity(kept, distance))


class TestStricter:
    """Calibration of a pack that has one, on people who are more alike."""

    #: About what gaussian strangers at 1.4 ± 0.085 come to.
    published = tuple(
        (1.4 - 0.085 * deviations, level)
        for level, deviations in ((99.0, 4.753), (90.0, 4.265), (80.0, 3.719), (70.0, 3.09),
                                  (50.0, 2.326))
    )  # fmt: skip

    @staticmethod
    def people(count: int, mean: float) -> Distances:
        return Distances.of(np.random.default_rng(7).normal(mean, 0.085, count))

    @pytest.mark.parametrize("count", [5_000, 30_000, 1_000_000])
    @pytest.mark.parametrize("mean", [1.37, 1.34])
    def test_no_similarity_is_reached_more_often_than_it_says(
        self, count: int, mean: float
    ) -> None:
        points = fitting.stricter(self.people(count, mean), self.published)
        assert [point.measured for point in points] == [
            point.rate * count >= fitting.LEAST_COUNT for point in points
        ]
        for point in points:
            true = NormalDist(mean, 0.085).cdf(point.distance)
            assert true <= point.rate * 1.5  # few pairs; lines between the points of a curve

    @pytest.mark.parametrize("mean", [1.38, 1.2, 0.3])
    def test_it_is_nowhere_looser_than_the_packs_own(self, mean: float) -> None:
        for published in (self.published, ((0.9, 99.0), (1.1, 85.0), (1.3, 20.0))):
            points = fitting.stricter(self.people(20_000, mean), published)
            assert points
            calibration.validate(own := fitting.pairs(points))
            for distance in np.linspace(0, 2, 301):
                ours = calibration.similarity(own, distance)
                assert ours <= calibration.similarity(published, distance) + 1e-9

    @pytest.mark.parametrize("mean", [1.4, 1.5])
    def test_who_is_not_more_alike_gets_none(self, mean: float) -> None:
        assert fitting.stricter(self.people(30_000, mean), self.published) == ()

    def test_it_says_how_many_it_takes(self) -> None:
        with pytest.raises(Rejected, match="there are 999: pictures of 46 different people"):
            fitting.stricter(self.people(999, 1.3), self.published)
        points = fitting.stricter(self.people(30_000, 1.3), self.published)
        needs = {point.similarity: (point.needs, point.people) for point in points}
        assert needs[50] == (1_000, 46)
        assert needs[80] == (100_000, 448)


class TestPlots:
    """Pictures of the numbers."""

    def test_a_picture_is_saved(self, tmp_path: Path) -> None:
        accepted, rejected = Distances.of([0.5, 0.6]), Distances.of([1.2, 1.3, 1.4])
        plots.save(tmp_path / "roc.png", "m/1", ("same", accepted), ("others", rejected))
        assert (tmp_path / "roc.png").read_bytes().startswith(b"\x89PNG")

    def test_without_matplotlib_it_says_what_to_install(self) -> None:
        program = (
            "import sys; sys.modules['matplotlib'] = None\n"
            "from facelabel.evaluation import plots; plots.check()"
        )
        result = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        assert "ConfigurationError: --plot needs matplotlib: install facelabel[plot]" in (
            result.stderr
        )

    def test_a_file_that_cannot_be_written(self, tmp_path: Path) -> None:
        some = ("some", Distances.of([1.0]))
        for path in (tmp_path / "nowhere" / "roc.png", tmp_path / "roc.xyz"):
            with pytest.raises(FacelabelError, match="cannot be written"):
                plots.save(path, "m/1", some, some)
