"""Transformations carried out: sizes, places and pixels."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from tests.examples import examples

from facelabel.cloudinary.transformations import Regions, Rendered, parse
from facelabel.core.model import Box
from facelabel.errors import Rejected, UnreadableImage
from facelabel.images import Limits
from facelabel.rendering.geometry import MAX_PIXELS, MAX_SIDE
from facelabel.rendering.renderer import PillowRenderer

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    from tests.engines import Remembering

    from facelabel.gallery.ports import FaceEngine

    Pixels = npt.NDArray[np.uint8]


def never(_: bytes) -> NoReturn:
    pytest.fail("faces were looked for, and nobody needs them")


RENDERER = PillowRenderer(Limits(), never)


def plain(width: int, height: int) -> Pixels:
    """Pixels that all differ from their neighbours, and say where they are."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([x % 256, y % 256, (x // 256 * 16 + y // 256)], axis=-1).astype(np.uint8)


def file_of(pixels: Pixels | Image.Image, name: str = "PNG", **options: object) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def render(data: bytes, text: str, regions: Regions | None = None) -> Rendered:
    return RENDERER.render(data, parse(text), regions)


def opened(rendered: Rendered) -> Image.Image:
    image = Image.open(io.BytesIO(rendered.data))
    assert image.size == (rendered.width, rendered.height)
    return image


def pixels_of(rendered: Rendered, mode: str = "RGB") -> Pixels:
    return np.asarray(opened(rendered).convert(mode))


PICTURE = plain(400, 200)
DATA = file_of(PICTURE)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("w_100", (100, 50)),
        ("h_100", (200, 100)),
        ("w_0.5", (200, 100)),
        ("w_2.0,c_scale", (800, 400)),
        ("c_scale,h_100,w_100", (100, 100)),
        ("ar_1.0,c_scale,w_100", (100, 100)),
        ("w_101", (101, 51)),
        ("w_100,dpr_2.0", (200, 100)),
        ("c_fit,h_100,w_100", (100, 50)),
        ("c_fit,h_1000,w_1000", (1000, 500)),
        ("c_limit,h_1000,w_1000", (400, 200)),
        ("c_limit,h_100,w_1000", (200, 100)),
        ("c_limit,w_1000", (400, 200)),
        ("c_mfit,h_100,w_100", (400, 200)),
        ("c_mfit,h_1000,w_1000", (1000, 500)),
        ("c_fill,h_100,w_100", (100, 100)),
        ("c_fill,h_1000,w_100", (100, 1000)),
        ("c_fill,w_100", (100, 50)),
        ("ar_1:1,c_fill", (200, 200)),
        ("ar_4:1,c_fill,w_100", (100, 25)),
        ("ar_4:1,c_crop", (400, 100)),
        ("c_lfill,h_100,w_100", (100, 100)),
        ("c_lfill,h_1000,w_1000", (400, 200)),
        ("c_lfill,h_1000,w_100", (100, 200)),
        ("c_lfill,w_1000", (400, 200)),
        ("c_pad,h_100,w_100", (100, 100)),
        ("c_pad,h_1000,w_1000", (1000, 1000)),
        ("c_lpad,h_1000,w_1000", (1000, 1000)),
        ("c_mpad,h_100,w_1000", (1000, 200)),
        ("c_mpad,h_100,w_100", (400, 200)),
        ("c_crop,h_50,w_60", (60, 50)),
        ("c_crop,h_1000,w_1000", (400, 200)),
        ("c_crop,w_0.25", (100, 200)),
        ("c_thumb,g_face,h_80,w_80", (80, 80)),
        ("a_90", (200, 400)),
        ("a_180", (400, 200)),
        ("a_-90,w_100", (50, 100)),
        ("a_45", (426, 426)),
        ("a_auto_right,c_fill,h_200,w_100", (100, 200)),
        ("a_auto_left,c_fill,h_100,w_200", (200, 100)),
        ("bo_5px_solid_red", (410, 210)),
        ("c_fit,w_100/a_90/c_pad,h_200,w_200", (200, 200)),
    ],
)
def test_sizes_are_those_that_cloudinary_documents(text: str, size: tuple[int, int]) -> None:
    rendered = render(DATA, text, Regions(faces=()))

    # A tilted picture may gain a pixel of edge.
    assert opened(rendered).size == pytest.approx(size, abs=2 if "a_45" in text else 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c_crop,h_50,w_60,x_10,y_20", PICTURE[20:70, 10:70]),
        ("c_crop,h_50,w_60", PICTURE[75:125, 170:230]),
        ("c_crop,g_south_east,h_50,w_60", PICTURE[150:, 340:]),
        ("c_crop,g_south_east,h_50,w_60,x_5,y_7", PICTURE[143:193, 335:395]),
        ("c_crop,g_north,h_50,w_60,x_5,y_7", PICTURE[7:57, 175:235]),
        ("c_crop,g_xy_center,h_50,w_60,x_100,y_100", PICTURE[75:125, 70:130]),
        ("c_crop,g_xy_center,h_50,w_60,x_0,y_0", PICTURE[:50, :60]),
        ("c_crop,h_50,w_60,x_390,y_190", PICTURE[150:, 340:]),
        ("c_fill,h_200,w_100", PICTURE[:, 150:250]),
        ("c_fill,g_west,h_200,w_100", PICTURE[:, :100]),
        ("c_fill,g_east,h_200,w_100,x_10", PICTURE[:, 290:390]),
        ("c_lfill,g_north_west,h_1000,w_150", PICTURE[:, :150]),
        ("c_limit,w_4000", PICTURE),
        ("a_90", np.rot90(PICTURE, -1)),
        ("a_270", np.rot90(PICTURE)),
        ("a_-180", PICTURE[::-1, ::-1]),
        ("a_hflip", PICTURE[:, ::-1]),
        ("a_vflip", PICTURE[::-1]),
        ("a_90.hflip", np.rot90(PICTURE, -1)[:, ::-1]),
        ("a_0", PICTURE),
        ("a_auto_right,c_crop,h_400,w_200", np.rot90(PICTURE, -1)),
    ],
)
def test_no_pixel_is_lost_where_nothing_is_resized(text: str, expected: Pixels) -> None:
    np.testing.assert_array_equal(pixels_of(render(DATA, text)), expected)


FACES = Regions(faces=(Box(0.7, 0.1, 0.1, 0.2), Box(0.05, 0.55, 0.2, 0.4)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c_crop,g_face", PICTURE[110:190, 20:100]),
        ("c_crop,g_faces", PICTURE[20:190, 20:320]),
        ("c_crop,g_face,h_20,w_20", PICTURE[140:160, 50:70]),
        ("c_crop,g_face,h_20,w_20,x_5,y_-5", PICTURE[135:155, 55:75]),
        ("c_crop,g_face,z_2", PICTURE[130:170, 40:80]),
        ("c_crop,g_face,z_0.5", PICTURE[40:200, 0:160]),
        ("c_crop,g_face,h_200,w_100", PICTURE[:, 10:110]),
        ("c_fill,g_face,h_200,w_100", PICTURE[:, 10:110]),
        ("c_fill,g_auto,h_200,w_300", PICTURE[:, 20:320]),
        ("c_fill,g_face,h_200,w_100,x_30", PICTURE[:, 40:140]),
        ("c_thumb,g_face,z_1.5", PICTURE[110:190, 20:100]),
        ("c_thumb,g_face,h_80,w_80,z_1.5", PICTURE[110:190, 20:100]),
        ("c_crop,g_face/c_crop,g_north_west,h_10,w_10", PICTURE[110:120, 20:30]),
        ("a_hflip/c_crop,g_face", PICTURE[110:190, 20:100][:, ::-1]),
        ("a_90/c_crop,g_face", np.rot90(PICTURE[110:190, 20:100], -1)),
        ("a_270.vflip/c_crop,g_face", np.rot90(PICTURE[110:190, 20:100])[::-1]),
        ("bo_7px_solid_red/c_crop,g_face", PICTURE[110:190, 20:100]),
        ("c_crop,g_west,w_200/c_crop,g_faces", PICTURE[110:190, 20:100]),
    ],
)
def test_faces_are_found_again_after_every_step(text: str, expected: Pixels) -> None:
    np.testing.assert_array_equal(pixels_of(render(DATA, text, FACES)), expected)


def test_an_offset_from_a_face_is_measured_on_the_resized_picture() -> None:
    """Half the size: 15 pixels there are 30 of the original."""
    moved, twice = (
        pixels_of(render(DATA, f"c_fill,g_face,{text}", FACES))
        for text in ("h_100,w_50,x_15", "h_200,w_100,x_30/c_scale,w_50")
    )
    assert np.abs(moved.astype(int) - twice).max() <= 2


def test_without_a_face_the_middle_is_taken() -> None:
    nobody = Regions(faces=())

    for text in ("c_fill,g_face,h_200,w_100", "c_thumb,g_faces,h_200,w_100"):
        np.testing.assert_array_equal(pixels_of(render(DATA, text, nobody)), PICTURE[:, 150:250])


def test_an_area_of_ones_own_comes_before_faces() -> None:
    regions = Regions(FACES.faces, custom=Box(0.5, 0.5, 0.1, 0.2))

    for gravity in ("custom", "custom:face", "custom:faces"):
        rendered = render(DATA, f"c_crop,g_{gravity}", regions)
        np.testing.assert_array_equal(pixels_of(rendered), PICTURE[100:140, 200:240])
    rendered = render(DATA, "c_crop,g_custom:face", FACES)
    np.testing.assert_array_equal(pixels_of(rendered), PICTURE[110:190, 20:100])


def test_a_thumbnail_shows_what_is_around_the_face() -> None:
    near = pixels_of(render(DATA, "c_thumb,g_face,z_2", FACES))
    far = pixels_of(render(DATA, "c_thumb,g_face", FACES))

    assert near.shape == (60, 60, 3)
    assert far.shape == (120, 120, 3)
    np.testing.assert_array_equal(far, PICTURE[80:200, 0:120])


def test_padding_has_the_colour_asked_for() -> None:
    padded = pixels_of(render(DATA, "b_rgb:ff8800,c_pad,h_400,w_400"))
    np.testing.assert_array_equal(padded[100:300], PICTURE)
    assert (padded[:100] == (255, 136, 0)).all()

    south = pixels_of(render(DATA, "c_lpad,g_south,h_400,w_400"))
    np.testing.assert_array_equal(south[200:], PICTURE)
    assert (south[:200] == 255).all()


def test_a_lying_colour_name_is_refused() -> None:
    with pytest.raises(Rejected, match="no colour 'blurple'"):
        render(DATA, "b_blurple,c_pad,h_400,w_400")


def with_hole() -> Image.Image:
    image = Image.new("RGBA", (40, 40), (10, 200, 30, 255))
    image.paste((0, 0, 0, 0), (0, 0, 20, 40))
    return image


@pytest.mark.parametrize("name", ["png", "webp", "gif", "avif"])
def test_transparency_stays_where_the_format_has_it(name: str) -> None:
    alpha = pixels_of(render(file_of(with_hole()), f"c_limit,w_100/f_{name}"), "RGBA")[..., 3]

    assert (alpha[:, :18] == 0).all()
    assert (alpha[:, 22:] == 255).all()


def test_transparency_becomes_a_colour_where_it_has_not() -> None:
    white = pixels_of(render(file_of(with_hole()), "f_jpg,q_100"))
    blue = pixels_of(render(file_of(with_hole()), "b_blue,f_jpg,q_100"))
    flat = opened(render(file_of(with_hole()), "b_blue"))

    np.testing.assert_allclose(white[:, :16], 255, atol=3)
    np.testing.assert_allclose(blue[:, :16], np.broadcast_to((0, 0, 255), (40, 16, 3)), atol=3)
    assert flat.mode == "RGB"


def test_corners_are_round() -> None:
    alpha = pixels_of(render(DATA, "r_40"), "RGBA")[..., 3]
    circle = pixels_of(render(DATA, "c_fill,h_100,w_100/r_max"), "RGBA")[..., 3]
    one = pixels_of(render(DATA, "r_0:40:0:0"), "RGBA")[..., 3]

    assert alpha[[0, 0, -1, -1], [0, -1, 0, -1]].tolist() == [0, 0, 0, 0]
    assert (alpha[40:-40] == 255).all()
    assert (alpha[:, 40:-40] == 255).all()
    assert (circle > 127).mean() == pytest.approx(np.pi / 4, abs=0.01)
    assert one[[0, 0, -1, -1], [0, -1, 0, -1]].tolist() == [255, 0, 255, 255]


def test_a_frame_follows_the_corners() -> None:
    framed = pixels_of(render(DATA, "bo_10px_solid_red,r_max"), "RGBA")

    assert framed[0, 0, 3] == 0
    assert framed[5, 210].tolist() == [255, 0, 0, 255]
    np.testing.assert_array_equal(framed[110, 210, :3], PICTURE[100, 200])


def test_opacity() -> None:
    alpha = pixels_of(render(DATA, "o_40"), "RGBA")[..., 3]

    assert (alpha == 102).all()


def test_colour_effects() -> None:
    grey = pixels_of(render(DATA, "e_grayscale"))
    brown = pixels_of(render(file_of(np.full((4, 4, 3), 100, np.uint8)), "e_sepia:100"))

    assert (grey[..., 0] == grey[..., 1]).all()
    assert (grey[..., 0] == grey[..., 2]).all()
    np.testing.assert_allclose(brown[0, 0], (135, 120, 94), atol=1)
    hole = pixels_of(render(file_of(with_hole()), "e_grayscale"), "RGBA")
    assert (hole[:, :20, 3] == 0).all()


def test_pixelating_makes_squares() -> None:
    squares = pixels_of(render(DATA, "e_pixelate:50"))

    assert len(np.unique(squares.reshape(-1, 3), axis=0)) == 8 * 4
    assert (squares[:50, :50] == squares[0, 0]).all()


def test_blurring_a_picture() -> None:
    rough = np.random.default_rng(1).integers(0, 256, (200, 300, 3), np.uint8)

    weak, strong = (pixels_of(render(file_of(rough), f"e_blur:{n}")).std() for n in (30, 300))

    assert rough.std() > 2 * weak > 4 * strong


def resemblance(engine: FaceEngine, image: bytes, original: bytes) -> float:
    """How much the faces still found resemble those of the original, 0..100."""
    seen, known = (
        [np.frombuffer(face.vector, "<f4") for face in engine.analyse(picture).templates]
        for picture in (image, original)
    )
    return max(
        (engine.similarity(float(np.linalg.norm(a - b))) for a in seen for b in known), default=0.0
    )


def contrast(pixels: Pixels) -> float:
    """How much neighbouring pixels differ."""
    return float(np.abs(np.diff(pixels.astype(np.int16), axis=1)).mean())


@pytest.mark.parametrize("effect", ["pixelate_faces", "blur_faces"])
def test_faces_of_a_real_photo_are_hidden_and_nothing_else(
    classic_engine: Remembering, photos: Path, effect: str
) -> None:
    photo = (photos / "people" / "party.jpg").read_bytes()
    renderer = PillowRenderer(Limits(), classic_engine.detect)
    before = pixels_of(renderer.render(photo, parse("f_png")))
    after = pixels_of(renderer.render(photo, parse(f"e_{effect}/f_png")))
    hidden = np.zeros(before.shape[:2], bool)

    faces = [face.face for face in classic_engine.analyse(photo).templates]
    assert len(faces) == 4
    assert resemblance(classic_engine, file_of(before), photo) > 95
    height, width = before.shape[:2]
    for face in faces:
        box = face.box
        rows = slice(int(box.top * height), int(np.ceil((box.top + box.height) * height)))
        columns = slice(int(box.left * width), int(np.ceil((box.left + box.width) * width)))
        assert contrast(after[rows, columns]) < 0.5 * contrast(before[rows, columns])
        hidden[rows, columns] = True
    np.testing.assert_array_equal(after[~hidden], before[~hidden])
    assert resemblance(classic_engine, file_of(after), photo) < 60


def test_hidden_faces_are_those_of_the_turned_photo(
    classic_engine: Remembering, photos: Path
) -> None:
    """The camera held sideways: faces are where they are in the upright picture."""
    photo = Image.open(photos / "people" / "party.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = file_of(photo.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif, quality=95)

    renderer = PillowRenderer(Limits(), classic_engine.detect)
    rendered = renderer.render(sideways, parse("c_limit,w_920/a_180/e_pixelate_faces/a_180/f_png"))

    assert opened(rendered).size == photo.size
    assert resemblance(classic_engine, sideways, rendered.data) < 60
    with pytest.raises(Rejected, match="a_ignore together with faces"):
        renderer.render(sideways, parse("a_ignore/e_pixelate_faces"))


def test_the_cameras_orientation_is_applied_unless_told_otherwise(photos: Path) -> None:
    portrait = (photos / "hostile" / "turned_6.jpg").read_bytes()

    upright, raw = render(portrait, "c_limit,w_300,h_300"), render(portrait, "a_ignore")

    assert upright.width < upright.height
    assert raw.width > raw.height
    assert opened(upright).getexif().get(0x0112, 1) == 1


def test_a_jpeg_read_at_a_smaller_scale_is_the_same_picture(photos: Path) -> None:
    photo = (photos / "hostile" / "turned_8.jpg").read_bytes()
    png = render(photo, "f_png").data

    for text in ("c_limit,w_200", "c_fill,h_90,w_60", "c_crop,h_90,w_60", "c_thumb,g_face,w_50"):
        from_jpeg = pixels_of(render(photo, f"{text}/f_png", FACES)).astype(float)
        from_png = pixels_of(render(png, f"{text}/f_png", FACES)).astype(float)
        assert from_jpeg.shape == from_png.shape
        assert np.abs(from_jpeg - from_png).mean() < 3


@pytest.mark.parametrize("name", ["jpg", "png", "webp", "gif", "avif"])
def test_every_format_is_written(name: str) -> None:
    rendered = render(DATA, f"f_{name},w_100")

    assert rendered.format == name
    assert opened(rendered).format == {"jpg": "JPEG"}.get(name, name.upper())


def test_the_format_is_the_pictures_own_unless_said() -> None:
    assert render(file_of(PICTURE, "WEBP"), "w_10").format == "webp"
    assert render(file_of(PICTURE, "TIFF"), "w_10").format == "jpg"
    assert render(file_of(with_hole(), "TIFF"), "w_10").format == "png"
    assert render(file_of(with_hole()), "f_auto,w_10").format == "png"
    assert render(DATA, "f_auto,w_10").format == "jpg"
    opaque = Image.fromarray(PICTURE).convert("RGBA")
    assert render(file_of(opaque), "f_auto,w_10").format == "jpg"


def test_quality_decides_the_size() -> None:
    noise = file_of(np.random.default_rng(1).integers(0, 256, (300, 300, 3), np.uint8))
    sizes = [
        len(render(noise, f"f_jpg,q_{quality}").data)
        for quality in ("auto:low", "auto:eco", "auto:good", "auto:best", 100)
    ]

    assert sizes == sorted(set(sizes))
    assert render(noise, "f_jpg,q_auto").data == render(noise, "f_jpg,q_80").data


def test_a_colour_profile_goes_along() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    source = file_of(PICTURE, "JPEG", icc_profile=profile)

    for name in ("jpg", "png", "webp", "avif"):
        kept = opened(render(source, f"c_crop,w_50/e_blur/a_90/f_{name}"))
        assert kept.info["icc_profile"] == profile


def test_a_profile_that_does_not_fit_does_not() -> None:
    good = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    for bad in (good[:16] + b"GRAY" + good[20:], good + bytes(2 << 20), b"short"):
        source = file_of(PICTURE, "TIFF", icc_profile=bad)
        assert "icc_profile" not in opened(render(source, "f_jpg,w_50")).info


def test_a_size_that_a_format_has_not_is_refused() -> None:
    long = file_of(Image.new("L", (17_000, 20)))

    assert render(long, "f_png").width == 17_000
    with pytest.raises(Rejected, match="17,000 x 20 pixels cannot be written as webp"):
        render(long, "f_webp")


def test_a_picture_for_print_becomes_one_for_the_screen(data: Path) -> None:
    printed = (data / "hostile" / "sharp_Channel_digital_image_CMYK_color.jpg").read_bytes()
    naive = np.asarray(Image.open(io.BytesIO(printed)).convert("RGB"), float)

    screen = opened(render(printed, "f_png"))

    assert screen.mode == "RGB"
    assert "icc_profile" not in screen.info
    assert np.abs(np.asarray(screen, float) - naive).mean() > 5  # the profile was used


def test_only_the_first_picture_of_an_animation_is_used(photos: Path) -> None:
    animation = (photos / "hostile" / "animation.gif").read_bytes()

    assert getattr(opened(render(animation, "w_20")), "n_frames", 1) == 1


@pytest.mark.parametrize(
    "text",
    [
        "w_10001",
        "c_pad,h_9999,w_9999",
        "c_lpad,h_9999,w_9999",
        "w_10.0/w_10.0",
        "c_scale,dpr_10,w_9999",
        "c_crop,h_1,w_400/c_scale,w_9999/h_9000,w_9000",
        "c_fit,w_5000/a_45",
    ],
)
def test_too_large_pictures_are_refused_before_they_are_made(text: str) -> None:
    with pytest.raises(Rejected, match="at most 25,000,000 pixels, 10,000 on a side"):
        render(DATA, text)


def test_a_large_picture_may_stay_as_large_as_it_is() -> None:
    large = file_of(Image.new("L", (MAX_SIDE + 500, MAX_PIXELS // MAX_SIDE)))

    assert render(large, "f_jpg").width == MAX_SIDE + 500


@pytest.mark.parametrize("text", ["c_fill,h_10000,w_1", "c_fill,h_1,w_10000", "c_thumb,h_9999,w_2"])
def test_a_detour_over_a_huge_picture_is_not_taken(text: str) -> None:
    """Scaled up to cover, the 400 x 200 pixels would be 20,000 x 10,000."""
    assert max(opened(render(DATA, text)).size) >= 9999


def test_damaged_and_foreign_files_are_refused(photos: Path) -> None:
    for name in ("truncated.png", "bomb.png", "drawing.svg"):
        with pytest.raises(UnreadableImage):
            render((photos / "hostile" / name).read_bytes(), "w_10/f_jpg")


NUMBERS = st.one_of(st.integers(1, 900).map(str), st.sampled_from(["0.01", "0.5", "1.0", "2.0"]))
STEPS = st.fixed_dictionaries(
    {
        "c": st.sampled_from(
            [
                "scale",
                "fit",
                "limit",
                "mfit",
                "fill",
                "lfill",
                "pad",
                "lpad",
                "mpad",
                "crop",
                "thumb",
            ]
        )
    },
    optional={
        "w": NUMBERS,
        "h": NUMBERS,
        "g": st.sampled_from(["face", "faces", "north_east", "xy_center", "custom", "auto"]),
        "x": st.sampled_from(["-500", "0.3", "77"]),
        "y": st.sampled_from(["500", "-0.3", "7"]),
        "z": st.sampled_from(["0.01", "0.8", "50"]),
        "ar": st.sampled_from(["100", "0.01", "4:3"]),
        "a": st.sampled_from(["90", "13", "hflip", "auto_left"]),
        "e": st.sampled_from(["blur_faces", "pixelate_faces:5", "sepia"]),
        "r": st.sampled_from(["max", "5", "0:9999"]),
        "bo": st.just("3px_solid_red"),
        "b": st.sampled_from(["transparent", "rgb:00ff0080"]),
        "o": st.just("50"),
    },
)
BOXES = st.builds(Box, *[st.floats(-0.5, 1.5)] * 2, *[st.floats(0, 2)] * 2)


@examples(150)
@given(
    st.lists(STEPS, min_size=1, max_size=3),
    st.lists(BOXES, max_size=3),
    st.one_of(st.none(), BOXES),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
)
def test_any_steps_make_a_picture_or_are_refused(
    steps: list[dict[str, str]], faces: list[Box], custom: Box | None, size: tuple[int, int]
) -> None:
    text = "/".join(",".join(f"{name}_{value}" for name, value in step.items()) for step in steps)
    source = file_of(Image.new("RGB", size, "navy"))
    try:
        rendered = render(source, f"{text}/f_png", Regions(tuple(faces), custom))
    except Rejected:
        return
    assert min(opened(rendered).size) >= 1
