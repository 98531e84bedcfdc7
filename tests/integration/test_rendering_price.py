"""What a transformation costs is known before it is begun, and a file is one that can hold it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pytest
from PIL import Image, ImageFilter

from facelabel.cloudinary.transformations import Regions, parse
from facelabel.core.model import Box
from facelabel.errors import Rejected
from facelabel.images import Limits
from facelabel.rendering import effects, pricing
from facelabel.rendering.renderer import PillowRenderer, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

SMALL, LARGEST = (400, 300), (5000, 5000)
HEAVY = "c_scale,h_5000,w_5000,e_blur:2000"


def never(_: bytes) -> NoReturn:
    pytest.fail("faces were looked for")


def file_of(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photo(width: int = 400, height: int = 300) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / 31) * np.cos(y / 17), np.sin((x + y) / 40), np.cos(x / 50 - y / 9)]
    return Image.fromarray((np.stack(waves, -1) * 120 + 128).astype(np.uint8))


class Clock:
    """Goes on by a second each time somebody looks."""

    def __init__(self) -> None:
        """Start at nothing."""
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


class TestPrice:
    """The work of a whole chain, before its first step."""

    @pytest.mark.parametrize(
        "text",
        [
            "/".join([HEAVY] * 20),
            "/".join([HEAVY] * 19) + "/c_scale,w_10",
            "c_scale,h_5000,w_5000/" + "/".join(["e_blur:100"] * 6),
            "c_scale,h_5000,w_5000/" + "/".join(["e_blur:2000"] * 19),
            "c_scale,h_5000,w_5000/" + "/".join(["a_1/c_crop,h_5000,w_5000"] * 3),
            "c_scale,h_5000,w_5000/" + "/".join(["e_sepia"] * 19),
            "/".join(["c_scale,h_5000,w_5000/c_scale,w_2500,h_2500"] * 10),
            "c_scale,h_5000,w_5000,e_blur:100/f_gif",
            "/".join(["c_scale,h_4900,w_4900,bo_40px_solid_red,r_max"] * 6),
        ],
    )
    def test_too_much_is_refused_before_anything_is_done(self, text: str) -> None:
        renderer = PillowRenderer(Limits(), never)
        with pytest.raises(Rejected, match="too much work: ask for a smaller picture"):
            renderer.price(parse(text), SMALL)
        with pytest.raises(Rejected, match="too much work"):
            renderer.render(file_of(photo()), parse(text))

    @pytest.mark.parametrize(
        "text",
        [
            "c_fill,h_5000,w_5000",
            "c_fill,h_5000,w_5000/f_avif",
            "c_fill,h_5000,w_5000/f_webp",
            "c_scale,h_2500,w_10000/e_blur:2000/f_jpg",
            "c_scale,h_5000,w_5000/e_blur:100",
            "c_fit,h_4000,w_4000/e_sepia/a_45/c_fill,w_2000,h_2000,r_max,bo_9px_solid_red/f_png",
            "/".join(["c_scale,h_1500,w_1500,e_blur:2000"] * 20),
            "/".join(["c_scale,w_1000,e_sepia,r_20,o_90"] * 20),
        ],
    )
    @pytest.mark.parametrize("size", [SMALL, LARGEST])
    def test_what_somebody_may_want_is_not(self, text: str, size: tuple[int, int]) -> None:
        assert 0 < PillowRenderer(Limits(), never).price(parse(text), size) <= pricing.MOST

    @pytest.mark.parametrize(
        "text", ["c_limit,w_1000", "c_thumb,g_face,w_200,h_200", "f_jpg", "a_90"]
    )
    def test_the_largest_original_may_be_delivered(self, text: str) -> None:
        PillowRenderer(Limits(), never).price(parse(text), (20_000, 10_000))

    def test_more_pixels_steps_and_blur_cost_more(self) -> None:
        def price(text: str, size: tuple[int, int] = SMALL) -> int:
            return PillowRenderer(Limits(), never).price(parse(text), size)

        assert price("w_100") < price("w_200") < price("w_800")
        assert price("w_200") < price("w_200/e_blur") < price("w_200/e_blur/e_blur")
        once, twice, often = (price("/".join(["e_blur:2000"] * n), LARGEST) for n in (1, 2, 10))
        assert twice - once == (often - once) // 9 > 0  # each is paid for
        assert price("e_blur:2000") < price("e_blur:100")  # that is made of a smaller picture
        assert price("e_grayscale") < price("e_grayscale", LARGEST)
        assert price("a_90") < price("a_45")
        assert price("w_200/f_jpg") < price("w_200/f_png") < price("w_200/f_gif")

    def test_faces_that_somebody_names_are_paid_one_by_one(self) -> None:
        data = file_of(Image.new("RGB", (1500, 1000)), "JPEG")
        everywhere = tuple(Box(0, 0, 1, 1) for _ in range(1000))
        here = tuple(Box(number / 100, 0.2, 0.01, 0.02) for number in range(100))
        renderer = PillowRenderer(Limits(), never)

        for effect in ("e_blur_faces", "e_pixelate_faces"):
            renderer.render(data, parse(effect), Regions(here))
            with pytest.raises(Rejected, match="too much work"):
                renderer.render(data, parse(effect), Regions(everywhere))

    def test_time_is_looked_at_between_two_steps(self) -> None:
        data, steps = file_of(photo()), "/".join(f"w_{300 - number}" for number in range(9))
        clock = Clock()
        PillowRenderer(Limits(), never, clock=clock, deadline=11).render(data, parse(steps))
        assert clock.now == 11  # at the start, before each step, and before the file is written
        slow = PillowRenderer(Limits(), never, clock=Clock(), deadline=6)
        with pytest.raises(Rejected, match="takes too long: ask for a smaller picture"):
            slow.render(data, parse(steps))


class TestStrongBlur:
    """A strong blur is made of a smaller picture, and looks the same."""

    @pytest.mark.parametrize("radius", [15.9, 16, 17.7, 25, 60, 100])
    @pytest.mark.parametrize("mode", ["RGB", "RGBA"])
    def test_it_looks_as_the_plain_one(self, radius: float, mode: str) -> None:
        image = photo(700, 500)
        image.paste(Image.new("RGB", (150, 90), "red"), (300, 200))
        image = image.convert(mode)
        if mode == "RGBA":
            image.putalpha(Image.linear_gradient("L").resize(image.size))

        plain = np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), dtype=int)
        coarse = np.asarray(effects._gaussian(image, radius), dtype=int)  # noqa: SLF001 - the same

        difference = np.abs(plain - coarse)
        assert difference.max() <= 8  # at the edges; elsewhere half of it
        assert difference.mean() < 1

    @pytest.mark.parametrize("size", [(1, 1), (3, 900), (40, 7), (101, 53)])
    def test_any_size(self, size: tuple[int, int]) -> None:
        assert effects._gaussian(Image.new("RGB", size, "teal"), 40.0).getpixel((0, 0)) == (  # noqa: SLF001
            0,
            128,
            128,
        )


class TestAutomaticFormat:
    """A format that is chosen for somebody can hold the picture; one asked for by name has to."""

    RENDERER = PillowRenderer(Limits(), never)

    def rendered(self, image: Image.Image, text: str, *accepts: str) -> str:
        wanted = parse(text).accepting(*accepts)
        made = self.RENDERER.render(file_of(image), wanted)
        assert Image.open(io.BytesIO(made.data)).size == image.size
        return made.format

    @pytest.mark.parametrize("text", ["f_auto", "f_auto,q_auto", "q_auto/f_auto", "f_auto:image"])
    def test_it_is_chosen_with_a_quality_too(self, text: str) -> None:
        assert self.rendered(Image.new("RGB", (4, 16_384)), text, "webp") == "jpg"
        assert self.rendered(Image.new("RGB", (4, 16_383)), text, "webp") == "webp"

    @pytest.mark.parametrize(
        ("size", "mode", "accepts", "chosen"),
        [
            ((6, 16_383), "RGB", ["webp"], "webp"),
            ((6, 16_384), "RGB", ["webp"], "jpg"),
            ((16_500, 6), "RGB", ["avif", "webp"], "avif"),
            ((60, 16_384), "RGBA", ["webp"], "png"),
            ((60, 16_383), "RGBA", ["webp"], "webp"),
            ((4, 65_500), "RGB", [], "jpg"),
            ((4, 65_501), "RGB", [], "png"),
            ((4, 65_535), "RGB", ["webp"], "png"),
            ((60, 40), "RGBA", [], "png"),
        ],
    )
    def test_the_first_that_can(
        self, size: tuple[int, int], mode: str, accepts: Sequence[str], chosen: str
    ) -> None:
        image = Image.new(mode, size, "teal")
        if mode == "RGBA":
            image.putpixel((0, 0), (0, 0, 0, 0))
        assert self.rendered(image, "f_auto", *accepts) == chosen

    def test_by_name_it_may_be_refused(self) -> None:
        for name, length in (("webp", 16_384), ("jpg", 65_501)):
            with pytest.raises(Rejected, match=f"cannot be written as {name}"):
                self.rendered(Image.new("RGB", (4, length)), f"f_{name}", "webp")

    def test_the_pictures_own_format_is_no_choice_of_anybody(self) -> None:
        image = Image.new("RGB", (60, 16_384))
        assert encode(image, ["webp", "auto"], None, "").format == "jpg"

    def test_what_an_encoder_refuses_goes_to_the_next(self) -> None:
        image = Image.new("RGB", (4, 65_535))
        assert encode(image, ["jpg", "webp", "png"], None, "").format == "png"

    @pytest.mark.parametrize(
        ("kind", "text", "accepts", "stays"),
        [
            ("GIF", "f_auto", [], True),
            ("GIF", "f_auto,q_auto", ["webp"], True),
            ("GIF", "f_auto:animated", [], True),
            ("GIF", "q_auto", [], True),
            ("GIF", "f_gif", [], True),
            ("GIF", "f_jpg", [], False),
            ("GIF", "f_auto,w_50", [], False),
            ("PNG", "f_auto", [], True),
            ("WEBP", "f_auto", ["webp"], True),
            ("WEBP", "f_auto", [], False),
            ("WEBP", "q_80", [], True),
        ],
    )
    def test_frames_are_not_lost_to_a_choice(
        self, kind: str, text: str, accepts: Sequence[str], *, stays: bool
    ) -> None:
        frames = [photo(64, 48).rotate(turn) for turn in (0, 90, 180)]
        data = file_of(frames[0], kind, save_all=True, append_images=frames[1:])
        made = self.RENDERER.render(data, parse(text).accepting(*accepts))

        assert (made.data == data) == stays
        assert getattr(Image.open(io.BytesIO(made.data)), "is_animated", False) == stays

    def test_a_still_picture_is_written_anew(self) -> None:
        data = file_of(photo(64, 48), "GIF")
        assert self.RENDERER.render(data, parse("f_auto")).format == "jpg"
