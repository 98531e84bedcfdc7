"""Transformation strings: read as documented, refused where they ask for what we have not."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from typing import Any

import pytest
from cloudinary.utils import cloudinary_url
from hypothesis import given
from hypothesis import strategies as st

from facelabel.cloudinary.steps import Border, Crop, Effect, Gravity, Length, Rotation, Step
from facelabel.cloudinary.transformations import (
    MAX_LENGTH,
    MAX_STEPS,
    Transformation,
    looks_like_step,
    parse,
)
from facelabel.errors import Rejected


def only(text: str) -> Step:
    (step,) = parse(text).steps
    return step


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("w_100", Step(width=Length(100))),
        ("w_0.5,h_1.0", Step(width=Length(0.5, is_ratio=True), height=Length(1.0, is_ratio=True))),
        (
            "c_fill,g_face,h_150,w_100",
            Step(Length(100), Length(150), None, Crop.FILL, Gravity.FACE),
        ),
        ("ar_16:9,c_fill", Step(aspect_ratio=1.777778, crop=Crop.FILL)),
        ("ar_1.5", Step(aspect_ratio=1.5)),
        ("x_-10,y_0.25", Step(x=Length(-10), y=Length(0.25, is_ratio=True))),
        ("dpr_2.0,z_0.7", Step(dpr=2.0, zoom=0.7)),
        ("dpr_auto", Step()),
        ("g_faces:center", Step(gravity=Gravity.FACES)),
        ("g_auto:subject", Step(gravity=Gravity.AUTO)),
        ("g_custom:face", Step(gravity=Gravity.CUSTOM_FACE)),
        ("g_xy_center", Step(gravity=Gravity.XY_CENTER)),
        ("a_90", Step(turns=(90.0,))),
        ("a_-22.5", Step(turns=(-22.5,))),
        ("a_auto_right.hflip", Step(turns=(Rotation.AUTO_RIGHT, Rotation.HFLIP))),
        ("a_90.vflip", Step(turns=(90.0, Rotation.VFLIP))),
        ("e_pixelate_faces:15", Step(effect=Effect.PIXELATE_FACES, strength=15)),
        ("e_grayscale", Step(effect=Effect.GRAYSCALE)),
        ("r_20", Step(radius=(20, 20, 20, 20))),
        ("r_1:2", Step(radius=(1, 2, 1, 2))),
        ("r_1:2:3", Step(radius=(1, 2, 3, 2))),
        ("r_1:2:3:4", Step(radius=(1, 2, 3, 4))),
        ("r_max", Step(radius=(float("inf"),) * 4)),
        ("bo_5px_solid_rgb:FF8800", Step(border=Border(5, "#ff8800"))),
        ("b_Red,o_30", Step(background="red", opacity=30)),
        ("q_auto", Step(quality=80)),
        ("q_auto:best", Step(quality=90)),
        ("q_auto:eco:444", Step(quality=70)),
        ("q_auto:low", Step(quality=50)),
        ("q_35", Step(quality=35)),
        ("f_jpeg", Step(format="jpg")),
        ("fl_attachment:my file", Step(attachment="my file")),
        ("fl_progressive.lossy", Step()),
    ],
)
def test_each_parameter_is_read(text: str, expected: Step) -> None:
    assert only(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "l_logo",
        "l_text:Arial_20:hello,w_10",
        "u_paper",
        "$size_100",
        "$size_100,w_$size",
        "if_w_gt_100,w_100",
        "if_end",
        "fn_remote:abc",
        "co_red",
        "w_auto",
        "w_iw",
        "h_ih_div_2",
        "c_imagga_crop",
        "c_fill_pad",
        "c_",
        "g_cat",
        "e_cartoonify",
        "e_grayscale:5",
        "a_sideways",
        "b_auto",
        "bo_thick",
        "q_110",
        "q_jpegmini",
        "f_pdf",
        "fl_layer_apply",
        "fl_attachment:../x",
        "pg_2",
        "so_1",
        "w_0",
        "w_-5",
        "w_1,w_2",
        "dpr_99",
        "r_1:2:3:4:5",
        "o_101",
        "e_blur:0",
        "nonsense",
        "t_unknown",
        "w_٣",
    ],
)
def test_what_is_wrong_or_not_supported_is_refused(text: str) -> None:
    with pytest.raises(Rejected):
        parse(text)


@pytest.mark.parametrize("text", ["l_logo", "u_paper", "$a_1", "if_w_gt_1", "e_cartoonify"])
def test_the_reason_says_unsupported(text: str) -> None:
    with pytest.raises(Rejected, match="unsupported"):
        parse(text)


def test_steps_are_done_one_after_the_other() -> None:
    chained = parse("c_fit,w_400/e_blur//a_90/")

    assert [step.crop for step in chained.steps] == [Crop.FIT, Crop.SCALE, Crop.SCALE]
    assert [step.effect for step in chained.steps] == [None, Effect.BLUR, None]
    assert parse("") == Transformation()


def test_the_last_word_on_format_and_quality_counts() -> None:
    chained = parse("b_red,f_png,q_10/f_webp/w_10")

    assert (chained.format, chained.quality, chained.background) == ("webp", 10, "red")
    assert chained.in_format("JPG").format == "jpg"
    assert parse("w_10").quality is None
    with pytest.raises(Rejected, match="format 'exe' is unsupported"):
        chained.in_format("exe")


def test_it_is_known_whether_faces_matter() -> None:
    assert parse("w_10/e_blur_faces").needs_faces
    assert parse("c_thumb,g_custom:faces,w_10").needs_faces
    assert not parse("c_thumb,g_custom,w_10/e_blur").needs_faces


def test_only_a_download_keeps_the_file() -> None:
    assert parse("fl_attachment:portrait").keeps_file
    assert parse("").keeps_file
    assert not parse("fl_attachment,w_10").keeps_file


def test_a_named_transformation_stands_for_its_steps() -> None:
    known = {"small": "c_fit,w_100", "both": "t_small/e_grayscale", "loop": "t_loop"}

    assert parse("t_small,h_50", known.get) == parse("c_fit,w_100/h_50")
    assert parse("a_90/t_both", known.get) == parse("a_90/c_fit,w_100/e_grayscale")
    assert parse("t_small.both", known.get) == parse("c_fit,w_100/c_fit,w_100/e_grayscale")
    with pytest.raises(Rejected, match="no named transformation 'loop'"):
        parse("t_loop", known.get)


def test_there_are_limits() -> None:
    many = "/".join(["w_10"] * MAX_STEPS)

    assert len(parse(many).steps) == MAX_STEPS
    with pytest.raises(Rejected, match="at most 20 steps"):
        parse(f"{many}/w_10")
    with pytest.raises(Rejected, match="at most 20 steps"):
        parse("t_many/w_10", {"many": many}.get)
    with pytest.raises(Rejected, match="at most 4096 characters"):
        parse("w_1" + "0" * MAX_LENGTH)


def test_names_that_name_many_others_stay_within_the_limit() -> None:
    names = {"a": "/".join(["t_b"] * MAX_STEPS), "b": "/".join(["w_1"] * MAX_STEPS)}

    with pytest.raises(Rejected, match="at most 20 steps"):
        parse("/".join(["t_a"] * MAX_STEPS), names.get)


PARTS = st.sampled_from(
    ["w_", "h_", "c_", "a_", "e_", "r_", "bo_", "b_", "t_", "g_", "l_", ",", "/"]
)


@given(st.lists(st.one_of(PARTS, st.text(max_size=6)), max_size=12).map("".join))
def test_any_text_is_read_or_rejected(text: str) -> None:
    with contextlib.suppress(Rejected):
        parse(text)


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "width": st.one_of(st.integers(1, 9999), st.floats(0.1, 0.9).map(lambda x: round(x, 2))),
        "height": st.integers(1, 9999),
        "crop": st.sampled_from([str(crop) for crop in Crop]),
        "gravity": st.sampled_from([str(gravity) for gravity in Gravity]),
        "aspect_ratio": st.sampled_from(["16:9", 1.5, Fraction(4, 3)]),
        "x": st.integers(-50, 50),
        "y": st.integers(-50, 50),
        "zoom": st.sampled_from([0.5, 1.2, 2]),
        "angle": st.sampled_from([0, 90, -45, "hflip", ["auto_right", "hflip"], "ignore"]),
        "effect": st.sampled_from(["pixelate_faces", "blur_faces:300", ["blur", 50], "sepia"]),
        "radius": st.sampled_from([0, 20, "max", [10, 20], "10:20:30:40"]),
        "border": st.sampled_from(["4px_solid_black", {"width": 3, "color": "#ff0000"}]),
        "background": st.sampled_from(["red", "#00ff00", "transparent"]),
        "opacity": st.integers(0, 100),
        "quality": st.sampled_from([1, 80, "auto", "auto:best", "80:420"]),
        "fetch_format": st.sampled_from(["auto", "jpg", "png", "webp"]),
        "dpr": st.sampled_from([1.0, 2, "auto"]),
        "flags": st.sampled_from(["progressive", ["lossy", "attachment"]]),
    },
)


@given(st.lists(OPTIONS, min_size=1, max_size=3))
def test_what_the_official_sdk_writes_is_read(steps: list[dict[str, Any]]) -> None:
    url, _ = cloudinary_url("x", cloud_name="local", transformation=[dict(step) for step in steps])
    text = url.partition("/upload/")[2].rpartition("/")[0]

    read = parse(text)

    assert len(read.steps) == len([step for step in steps if step])
    widths = [step["width"] for step in steps if "width" in step]
    assert [step.width.value for step in read.steps if step.width] == widths
    assert all(looks_like_step(segment) for segment in filter(None, text.split("/")))


@pytest.mark.parametrize(
    "segment", ["people", "summer_2024", "w_", "my,photos", "_x", "v12", "s--abc--"]
)
def test_a_folder_is_no_step(segment: str) -> None:
    assert not looks_like_step(segment)


@pytest.mark.parametrize(
    "segment", ["w_100", "l_logo,x_5", "$a_1", "if_w_gt_5", "if_end", "t_small"]
)
def test_a_step_is_one_even_if_it_is_refused(segment: str) -> None:
    assert looks_like_step(segment)


@pytest.mark.parametrize(
    ("text", "public_id"),
    [
        ("d_avatar.png", "avatar"),
        ("d_people:nobody.v2.png,w_100", "people/nobody.v2"),
        ("w_100/d_avatar", "avatar"),
        ("w_100", ""),
    ],
)
def test_what_is_shown_instead(text: str, public_id: str) -> None:
    assert parse(text).placeholder == public_id
    assert parse(text).keeps_file == (text == "d_avatar.png")


@pytest.mark.parametrize("text", ["f_auto:image", "f_auto:animated", "f_auto"])
def test_what_the_format_is_chosen_for_may_be_said(text: str) -> None:
    assert parse(text).format == "auto"
    assert parse(text).only_writes


@pytest.mark.parametrize(
    "text", ["f_auto:video", "f_jpg:image", "q_auto:sensitive", "a_auto", "fl_animated"]
)
def test_what_nobody_can_do_here_is_refused(text: str) -> None:
    with pytest.raises(Rejected):
        parse(text)


def test_who_accepts_what_changes_nothing_else() -> None:
    plain = parse("w_10/f_auto")
    assert plain.accepting("webp") != plain
    assert plain.accepting("webp").in_format("png") == parse("w_10/f_auto/f_png").accepting("webp")
    assert not plain.only_writes
    assert parse("fl_no_overflow").keeps_file
