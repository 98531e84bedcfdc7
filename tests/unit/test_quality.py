"""Quality is measured the way Rekognition words it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from facelabel.core.model import Box, Face, Pose, Reason, Template
from facelabel.core.quality import SHARP, Comparable
from facelabel.engine import chips

if TYPE_CHECKING:
    import numpy.typing as npt

#: A head in millimetres: x right, y down, z towards the viewer.
HEAD = np.array([(-32.0, 0, 0), (32, 0, 0), (0, 36, 26), (-28, 63, 2), (28, 63, 2)], np.float64)
SIZE = (100, 100)
GOOD = Face(
    box=Box(0.25, 0.25, 0.5, 0.5),
    landmarks=((0.4, 0.4), (0.6, 0.4), (0.5, 0.5), (0.4, 0.6), (0.6, 0.6)),
    confidence=95,
    sharpness=85,
    brightness=55,
    pose=Pose(0, 0, 0),
)


def seen(
    *, yaw: float = 0, pitch: float = 0, roll: float = 0, scale: float = 1.0
) -> npt.NDArray[np.float32]:
    """Return where the landmarks of a head turned like this appear."""
    y, p, r = (math.radians(angle) for angle in (yaw, pitch, roll))
    nod = np.array([[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]])
    turn = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    tilt = np.array([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    points = HEAD @ (tilt @ turn @ nod).T
    seen_from_afar: npt.NDArray[np.float32] = (points[:, :2] * scale + 500).astype(np.float32)
    return seen_from_afar


@pytest.mark.parametrize("angle", [-60, -30, 0, 30, 60])
def test_yaw_is_positive_to_the_viewers_right(angle: float) -> None:
    found = chips.pose(seen(yaw=angle))
    assert found.yaw == pytest.approx(angle, abs=6)
    assert found.roll == pytest.approx(0, abs=3)


@pytest.mark.parametrize("angle", [-40, -20, 0, 20, 40])
def test_pitch_is_positive_upwards(angle: float) -> None:
    found = chips.pose(seen(pitch=angle))
    assert found.pitch == pytest.approx(angle, abs=6)
    assert found.yaw == pytest.approx(0, abs=1)


@pytest.mark.parametrize("angle", [-170, -90, -20, 0, 20, 90, 170])
def test_roll_is_clockwise(angle: float) -> None:
    assert chips.pose(seen(roll=angle)).roll == pytest.approx(angle, abs=1)


def test_pose_does_not_depend_on_size() -> None:
    large, small = (chips.pose(seen(yaw=25, pitch=-10, scale=s)) for s in (10, 0.2))
    assert (large.yaw, large.pitch) == pytest.approx((small.yaw, small.pitch), abs=0.1)


def test_pose_of_landmarks_that_all_coincide_is_a_number() -> None:
    found = chips.pose(np.full((5, 2), 3, np.float32))
    assert all(math.isfinite(angle) for angle in (found.yaw, found.pitch, found.roll))


def test_sharpness_falls_with_blur_and_stays_within_0_and_100() -> None:
    noise = np.random.default_rng(0).uniform(0, 255, (81, 81)).astype(np.float32)
    blurs = [noise]
    for _ in range(4):
        last = blurs[-1]
        blurs.append(
            (last[:-1, :-1] + last[1:, :-1] + last[:-1, 1:] + last[1:, 1:]) / np.float32(4)
        )
    values = [chips.sharpness(light) for light in blurs]
    assert values == sorted(values, reverse=True)
    assert 0 < values[-1] < values[0] < 100
    assert chips.sharpness(np.full((80, 72), 128, np.float32)) == 0


def test_sharpness_is_of_the_picture_not_of_its_light() -> None:
    noise = np.random.default_rng(0).uniform(0, 255, (80, 72)).astype(np.float32)
    assert chips.sharpness(noise / np.float32(4) + np.float32(20)) == pytest.approx(
        chips.sharpness(noise)
    )


def test_a_good_face_has_no_reasons() -> None:
    assert list(chips.GOOD.reasons(GOOD, SIZE)) == []


@pytest.mark.parametrize(
    ("face", "reason"),
    [
        (replace(GOOD, sharpness=chips.GOOD.sharpness - 1), Reason.LOW_SHARPNESS),
        (replace(GOOD, brightness=chips.GOOD.brightness - 1), Reason.LOW_BRIGHTNESS),
        (replace(GOOD, confidence=chips.GOOD.confidence - 1), Reason.LOW_CONFIDENCE),
        (replace(GOOD, pose=Pose(chips.GOOD.yaw + 1, 0, 0)), Reason.EXTREME_POSE),
        (replace(GOOD, pose=Pose(0, -chips.GOOD.pitch - 1, 0)), Reason.EXTREME_POSE),
        (replace(GOOD, box=Box(0.5, 0.5, 0.29, 0.5)), Reason.SMALL_BOUNDING_BOX),
        (replace(GOOD, box=Box(0.5, 0.5, 0.5, 0.29)), Reason.SMALL_BOUNDING_BOX),
    ],
)
def test_each_fault_has_its_reason(face: Face, reason: Reason) -> None:
    assert list(chips.GOOD.reasons(face, SIZE)) == [reason]


def test_a_face_just_at_the_bar_is_good_enough() -> None:
    bar = chips.GOOD
    just = replace(
        GOOD, confidence=bar.confidence, sharpness=bar.sharpness, brightness=bar.brightness,
        pose=Pose(bar.yaw, bar.pitch, 0),
    )  # fmt: skip
    assert list(bar.reasons(just, SIZE)) == []


def test_a_face_upside_down_can_still_be_enrolled() -> None:
    assert list(chips.GOOD.reasons(replace(GOOD, pose=Pose(0, 0, 180)), SIZE)) == []


class TestComparable:
    """Whether a face can be compared with faces that nobody enrolled."""

    rule = Comparable(norms=(12.0, 0.0, 3.0))

    def reasons(self, norms: tuple[float, ...], sharpness: float = SHARP) -> list[Reason]:
        return list(self.rule.reasons(Template(replace(GOOD, sharpness=sharpness), b"", norms)))

    def test_a_face_just_at_its_limits_is_good_enough(self) -> None:
        assert self.reasons((12.0, 0.1, 3.0)) == []

    @pytest.mark.parametrize("norms", [(11.9, 9.0, 9.0), (99.0, 9.0, 2.9), (1.0, 1.0, 1.0)])
    def test_one_embedder_that_sees_nobody_is_enough(self, norms: tuple[float, ...]) -> None:
        assert self.reasons(norms) == [Reason.LOW_FACE_QUALITY]

    def test_blur_is_told_whatever_the_norm(self) -> None:
        assert self.reasons((12.0, 1.0, 3.0), SHARP - 1) == [Reason.LOW_SHARPNESS]
        both = [Reason.LOW_SHARPNESS, Reason.LOW_FACE_QUALITY]
        assert self.reasons((1.0, 1.0, 1.0), SHARP - 1) == both

    def test_of_what_was_stored_before_norms_were_sharpness_decides(self) -> None:
        assert self.reasons(()) == []
        assert self.reasons((), SHARP - 1) == [Reason.LOW_SHARPNESS]

    def test_a_pack_without_limits_goes_by_sharpness(self) -> None:
        face = Template(GOOD, b"", (0.1,))
        assert (
            list(Comparable().reasons(face)) == list(Comparable(norms=(0.0,)).reasons(face)) == []
        )

    def test_a_portrait_is_sharp_where_it_can_be_compared(self) -> None:
        assert chips.GOOD.sharpness == Comparable().sharpness
