"""Faces come out upright, at the same place and free of moire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from facelabel.engine.chips import Similarity, chips
from facelabel.engine.models.manifest import ARCFACE_TEMPLATE

if TYPE_CHECKING:
    import numpy.typing as npt

    Points: TypeAlias = npt.NDArray[np.float32]

TEMPLATE = np.array(ARCFACE_TEMPLATE, np.float32)


def pairs(points: npt.NDArray[np.complexfloating[Any, Any]]) -> Points:
    return np.stack([points.real, points.imag], axis=1).astype(np.float32)


def placed(factor: complex, shift: complex) -> Points:
    """Return the template's points somewhere else in the plane."""
    return pairs(factor * (TEMPLATE @ [1, 1j]) + shift)


@given(
    st.floats(0.1, 20.0), st.floats(-3.1, 3.1), st.floats(-500.0, 5000.0), st.floats(-500.0, 5000.0)
)
def test_fit_recovers_turn_scale_and_shift(
    scale: float, angle: float, right: float, down: float
) -> None:
    factor, shift = scale * np.exp(1j * angle), complex(right, down)
    found = Similarity.fit(TEMPLATE, placed(factor, shift))
    assert found.factor == pytest.approx(factor, rel=1e-2, abs=1e-2)
    assert found(TEMPLATE) == pytest.approx(factor * (TEMPLATE @ [1, 1j]) + shift, abs=0.05)


def test_fit_is_the_least_squares_answer_for_a_face_that_is_not_the_template() -> None:
    rng = np.random.default_rng(0)
    points = placed(2 + 1j, 30) + rng.normal(0, 3, (5, 2)).astype(np.float32)
    rows = [[(x, -y, 1, 0), (y, x, 0, 1)] for x, y in points]
    a, b, right, down = np.linalg.lstsq(np.concatenate(rows), TEMPLATE.reshape(-1), rcond=None)[0]
    found = Similarity.fit(points, TEMPLATE)
    assert found.factor == pytest.approx(complex(a, b))
    assert found.shift == pytest.approx(complex(right, down))


def test_fit_never_mirrors() -> None:
    mirrored = np.stack([112 - TEMPLATE[:, 0], TEMPLATE[:, 1]], axis=1)
    z = Similarity.fit(mirrored, TEMPLATE)([(0, 0), (1, 0), (0, 1)])
    assert ((z[1] - z[0]).conjugate() * (z[2] - z[0])).imag > 0


def test_fit_of_landmarks_that_all_coincide_keeps_the_size() -> None:
    assert Similarity.fit(np.full((5, 2), 7.0, np.float32), TEMPLATE).factor == 1


def dotted(landmarks: Points, radius: float) -> Image.Image:
    """Return a dark picture with a soft spot on each landmark."""
    y, x = np.mgrid[:1000, :1200] + 0.5
    spots = [np.exp(-((x - u) ** 2 + (y - v) ** 2) / radius**2) for u, v in landmarks]
    return Image.fromarray((255 * sum(spots)).clip(0, 255).astype(np.uint8)).convert("RGB")


@pytest.mark.parametrize("factor", [0.7 + 0j, 1 + 0j, 3 + 1j, 6j, -5 + 2j])
def test_landmarks_land_on_the_template(factor: complex) -> None:
    landmarks = placed(factor, 600 + 500j - factor * (56 + 56j))
    (chip,) = chips(dotted(landmarks, 2 * abs(factor)), landmarks[None], TEMPLATE, 112)
    light = chip[:, :, 0].astype(np.float64)
    for x, y in TEMPLATE:
        rows, columns = np.mgrid[int(y) - 6 : int(y) + 7, int(x) - 6 : int(x) + 7]
        weight = light[rows, columns]
        centre = (columns + 0.5) * weight, (rows + 0.5) * weight
        assert centre[0].sum() / weight.sum() == pytest.approx(x, abs=0.2)
        assert centre[1].sum() / weight.sum() == pytest.approx(y, abs=0.2)


def test_a_large_face_is_averaged_not_sampled() -> None:
    stripes = np.zeros((1200, 1200, 3), np.uint8)
    stripes[:, ::2] = 255
    (chip,) = chips(Image.fromarray(stripes), placed(8, 100 + 100j)[None], TEMPLATE, 112)
    assert chip.std() < 3
    assert chip.mean() == pytest.approx(127.5, abs=2)


def test_what_lies_outside_the_picture_is_black() -> None:
    white = Image.new("RGB", (100, 100), "white")
    half, outside = chips(white, np.stack([placed(1, -56), placed(1, 500)]), TEMPLATE, 112)
    assert (half[:, :52] == 0).all()
    assert (half[:96, 60:] == 255).all()
    assert (outside == 0).all()


def test_no_faces_no_chips() -> None:
    none = chips(Image.new("RGB", (9, 9)), np.empty((0, 5, 2), np.float32), TEMPLATE, 112)
    assert none.shape == (0, 112, 112, 3)
