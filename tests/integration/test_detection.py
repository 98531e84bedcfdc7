"""Both detectors find every face of real photos once, and nothing else."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
from PIL import Image
from tests.decoded import decode

from facelabel.engine.detection import CenterFace, Detections, YuNet, distinct, find_faces
from facelabel.engine.models.manifest import builtin_packs
from facelabel.engine.network import Network
from facelabel.images import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.decoded import Picture

    from facelabel.engine.detection import Detector
    from facelabel.engine.models.model_store import ModelStore

    Point: TypeAlias = tuple[float, float]
    Area: TypeAlias = tuple[float, float, float, float]


@pytest.fixture(scope="module")
def yunet(mobilefacenet_store: ModelStore) -> YuNet:
    pack = builtin_packs()["mobilefacenet"]
    model = mobilefacenet_store.paths(pack).detector
    return YuNet(model, score=pack.detector.score, threads=2)


@pytest.fixture(scope="module")
def centerface(classic_pack_store: ModelStore) -> CenterFace:
    pack = builtin_packs()["classic"]
    model = classic_pack_store.paths(pack).detector
    return CenterFace(model, score=pack.detector.score, threads=2)


@pytest.fixture(scope="module", params=["yunet", "centerface"])
def detector(request: pytest.FixtureRequest) -> Detector:
    found: Detector = request.getfixturevalue(request.param)
    return found


@functools.cache
def read(path: Path) -> Picture:
    return decode(path.read_bytes(), Limits())


def boxes(detector: Detector, path: Path) -> list[Area]:
    """Return the boxes found, in pixels of the original."""
    picture = read(path)
    found = find_faces(detector, picture.image)
    return [tuple(box) for box in (found.boxes * (picture.width / picture.image.width)).tolist()]


def holds(area: Area, point: Sequence[float]) -> bool:
    left, top, right, bottom = area
    return left < point[0] < right and top < point[1] < bottom


def centre(area: Area) -> tuple[float, float]:
    return (area[0] + area[2]) / 2, (area[1] + area[3]) / 2


def noses_without_a_face_of_their_own(detector: Detector, folder: Path) -> dict[str, object]:
    """Check the pictures that ``labels.json`` speaks of; return those that are wrong."""
    wrong: dict[str, object] = {}
    for name, noses in json.loads((folder / "labels.json").read_text())["noses"].items():
        found = boxes(detector, folder / name)
        owners = [[holds(box, nose) for box in found] for nose in noses]
        each_once = all(sum(row) == 1 for row in [*owners, *zip(*owners, strict=True)])
        if len(found) != len(noses) or not each_once:
            wrong[name] = (len(noses), found)
    return wrong


def test_each_nose_of_the_group_photos_lies_in_a_face_of_its_own(
    detector: Detector, data: Path
) -> None:
    assert noses_without_a_face_of_their_own(detector, data / "groups") == {}
    assert len(list((data / "groups").glob("*.jpg"))) == 18


def test_each_nose_of_the_composed_groups_lies_in_a_face_of_its_own(
    centerface: CenterFace, photos: Path
) -> None:
    assert noses_without_a_face_of_their_own(centerface, photos / "groups") == {}


@pytest.mark.soak  # `eval gallery` finds no portrait without a face, and none with two
def test_every_portrait_has_one_face(detector: Detector, data: Path) -> None:
    for folder in ("gallery", "probe", "strangers"):
        portraits = sorted((data / "portraits" / folder).glob("*.jpg"))
        counts = {path.name: len(boxes(detector, path)) for path in portraits}
        assert {name: count for name, count in counts.items() if count != 1} == {}
        assert len(counts) >= 50


def test_family_portraits_have_one_face_and_the_group_has_four(
    detector: Detector, data: Path
) -> None:
    counts = {path.stem: len(boxes(detector, path)) for path in (data / "families").glob("*.jpg")}
    assert counts.pop("identification1") == 4
    assert set(counts.values()) == {1}


def test_composed_portraits_have_one_face_and_the_party_has_four(
    centerface: CenterFace, photos: Path
) -> None:
    counts = {path.stem: len(boxes(centerface, path)) for path in (photos / "people").iterdir()}
    assert counts.pop("party") == 4
    assert set(counts.values()) == {1}


def assert_one_face_a_tile(detector: Detector, folder: Path) -> None:
    """Check the sheets that ``labels.json`` speaks of."""
    for name, tiles in json.loads((folder / "labels.json").read_text()).items():
        centres = [centre(box) for box in boxes(detector, folder / name)]
        areas = [(x, y, x + w, y + h) for x, y, w, h in (tile["tile"] for tile in tiles)]
        assert [sum(holds(area, point) for point in centres) for area in areas] == [1] * len(tiles)
        assert len(centres) == len(tiles), name


def test_each_tile_of_the_group_sheets_has_one_face(detector: Detector, data: Path) -> None:
    assert_one_face_a_tile(detector, data / "portraits/groups")


def test_each_tile_of_the_composed_sheet_has_one_face(centerface: CenterFace, photos: Path) -> None:
    assert_one_face_a_tile(centerface, photos / "portraits/groups")


def tiled(portraits: Sequence[Path], columns: int, tile: tuple[int, int]) -> Image.Image:
    """Return a sheet of portraits, row by row."""
    rows = -(-len(portraits) // columns)
    sheet = Image.new("RGB", (columns * tile[0], rows * tile[1]))
    for at, path in enumerate(portraits):
        place = (at % columns * tile[0], at // columns * tile[1])
        with Image.open(path) as portrait:
            sheet.paste(portrait.convert("RGB").resize(tile), place)
    return sheet


@pytest.mark.parametrize("width", [40, 180], ids=["faces of 21 pixels", "faces of 95 pixels"])
def test_a_sheet_of_a_hundred_portraits(detector: Detector, data: Path, width: int) -> None:
    tile = (width, width * 5 // 4)
    sheet = tiled(sorted((data / "portraits/probe").glob("*.jpg")), 10, tile)
    found = find_faces(detector, sheet)
    tiles = {(int(x // tile[0]), int(y // tile[1])) for x, y in map(centre, found.boxes)}
    assert len(tiles) >= 99
    assert len(found) == len(tiles)


@pytest.mark.parametrize("share", [1.0, 0.8])
def test_a_face_that_fills_the_frame_or_is_cut_by_it(
    detector: Detector, photos: Path, share: float
) -> None:
    for path in sorted((photos / "people").glob("[A-Z]*.jpg")):
        picture = read(path).image
        (box,) = find_faces(detector, picture).boxes
        middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * share
        (left, top), (right, bottom) = (middle - half).astype(int), (middle + half).astype(int)
        found = find_faces(detector, picture.crop((left, top, right, bottom)))
        assert len(found) == 1, path.name
        assert found.sides[0] == pytest.approx(np.sqrt((box[2:] - box[:2]).prod()), rel=0.25)


def test_a_small_face_beside_a_large_one(detector: Detector, photos: Path) -> None:
    scene = Image.new("RGB", (2000, 1500), (90, 100, 110))
    with Image.open(photos / "people/Obama1.jpg") as near:
        scene.paste(near.resize((480, 600)), (200, 600))
    with Image.open(photos / "people/Hopper1.jpg") as far:
        scene.paste(far.resize((96, 120)), (1500, 300))
    found = find_faces(detector, scene)
    assert [holds((200, 600, 680, 1200), centre(tuple(box))) for box in found.boxes] == [
        True,
        False,
    ]
    assert holds((1500, 300, 1596, 420), centre(tuple(found.boxes[1])))


def test_landmarks_are_where_they_are_named(detector: Detector, photos: Path) -> None:
    for path in sorted((photos / "people").glob("[A-Z]*.jpg")):
        found = find_faces(detector, read(path).image)
        (left_eye, right_eye, nose, left_mouth, right_mouth) = found.landmarks[0]
        assert left_eye[0] < nose[0] < right_eye[0]
        assert left_mouth[0] < right_mouth[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
        assert all(holds(tuple(found.boxes[0]), point) for point in found.landmarks[0])


def test_no_face_in_a_plain_picture_of_any_shape(detector: Detector) -> None:
    for shape in ((1, 1), (1, 3000), (3000, 1), (31, 33), (700, 500)):
        found = find_faces(detector, Image.fromarray(np.full((*shape, 3), 128, np.uint8)))
        assert (len(found), found.boxes.shape, found.landmarks.shape) == (0, (0, 4), (0, 5, 2))


def assert_same(found: Detections, expected: Sequence[tuple[float, Area, list[Point]]]) -> None:
    """Check each face found against the one candidate with that box."""
    for score, box, landmarks in zip(found.scores, found.boxes, found.landmarks, strict=True):
        (same,) = [candidate for candidate in expected if np.allclose(candidate[1], box, atol=1e-2)]
        assert same[0] == pytest.approx(score)
        assert np.allclose(same[2], landmarks, atol=1e-2)


def test_centerface_decodes_like_its_reference(
    classic_pack_store: ModelStore, centerface: CenterFace, photos: Path
) -> None:
    """The author's loop over the heat map; without its clipping at the picture's edge."""
    pixels = read(photos / "groups/crowd.jpg").pixels[:224, :384]
    network = Network(classic_pack_store.paths(builtin_packs()["classic"]).detector, threads=2)
    tensor = pixels.transpose(2, 0, 1)[None].astype(np.float32)
    heat, scale, offset, points = (out[0] for out in network.run(tensor))
    expected = []
    for row, column in zip(*np.nonzero(heat[0] > 0.6), strict=True):
        high, wide = np.exp(scale[:, row, column]) * 4
        left = (column + offset[1, row, column] + 0.5) * 4 - wide / 2
        top = (row + offset[0, row, column] + 0.5) * 4 - high / 2
        marks = points[:, row, column]
        places = [(marks[j + 1] * wide + left, marks[j] * high + top) for j in range(0, 10, 2)]
        expected.append((heat[0, row, column], (left, top, left + wide, top + high), places))
    found = centerface.detect(pixels)
    assert len(found) == 8
    assert_same(found, expected)


def test_yunet_decodes_like_its_reference(
    mobilefacenet_store: ModelStore, yunet: YuNet, photos: Path
) -> None:
    """OpenCV's loop over the anchors, on the outputs by their names."""
    pixels = read(photos / "groups/crowd.jpg").pixels[:224, :384]
    model = mobilefacenet_store.paths(builtin_packs()["mobilefacenet"]).detector
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    tensor = np.ascontiguousarray(pixels[:, :, ::-1].transpose(2, 0, 1)[None], np.float32)
    outputs = dict(zip(names, session.run(None, {"input": tensor}), strict=True))
    expected = []
    for step in (8, 16, 32):
        face, sure, box, marks = (
            outputs[f"{kind}_{step}"][0] for kind in ("cls", "obj", "bbox", "kps")
        )
        for at in np.flatnonzero(face[:, 0] * sure[:, 0] > 0.49):
            row, column = divmod(int(at), 384 // step)
            x, y = (column + box[at, 0]) * step, (row + box[at, 1]) * step
            wide, high = np.exp(box[at, 2:]) * step
            places = [
                ((marks[at, j] + column) * step, (marks[at, j + 1] + row) * step)
                for j in range(0, 10, 2)
            ]
            area = (x - wide / 2, y - high / 2, x + wide / 2, y + high / 2)
            expected.append((float(np.sqrt(face[at, 0] * sure[at, 0])), area, places))
    found = yunet.detect(pixels)
    assert len(found) == 8
    assert_same(found, expected)


def test_distinct_keeps_the_better_of_two_boxes_that_overlap() -> None:
    areas = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 60], [8, 0, 18, 10]], np.float32)
    numbers = np.arange(4, dtype=np.float32)
    faces = Detections(areas, np.zeros((4, 5, 2), np.float32), scores=numbers)
    kept = distinct([faces], [np.array([0.7, 0.9, 0.6, 0.8], np.float32)])
    assert kept.scores.tolist() == [1, 3, 2]


def test_moved_goes_there_and_back() -> None:
    faces = Detections(
        np.array([[1, 2, 5, 8]], np.float32), np.ones((1, 5, 2), np.float32), np.ones(1, np.float32)
    )
    there = faces.moved(-1, 3)
    assert there.boxes.tolist() == [[0, 3, 12, 21]]
    assert there.sides[0] == pytest.approx(3 * faces.sides[0])
