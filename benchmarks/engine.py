"""Measure the face engine beside dlib, face_recognition, OpenCV and deepface, in one run.

    pip install -r benchmarks/requirements.txt      # and what it says in its comment
    python benchmarks/engine.py DATA [--models FOLDER] [--threads 2] [--json]

DATA holds the labelled photos (``portraits``, ``groups``, ``models``). The two sides of every
comparison take turns, so that a busy machine slows both; the fastest turn of each counts, and
what is to be believed is the ratio. OpenCV gets the very model files of the pack opencv-zoo, and
one thread as we do there: what counts is processor time. What is not installed is left out.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import types
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs
import psutil
from PIL import Image
from rich.console import Console
from rich.table import Table

from facelabel import images
from facelabel.engine.chips import Embedding, chips
from facelabel.engine.devices import Device
from facelabel.engine.engine import Engine
from facelabel.engine.models.fetching import Fetcher
from facelabel.engine.models.manifest import builtin_packs
from facelabel.engine.models.model_store import ModelStore
from facelabel.images.decoding import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt

    from facelabel.engine.models.manifest import Pack

    Floats = npt.NDArray[np.float32]
    Row = dict[str, str | float]

PACKS = ("opencv-zoo", "mobilefacenet", "classic")
TURNS = 5
#: Pixels of the longer side in which OpenCV looks for faces: those of our look at the background.
CLOSEST = 1280
THEIRS_INSTALLED = all(
    map(importlib.util.find_spec, ("dlib", "face_recognition", "face_recognition_models"))
)
SHEET_COLUMNS, SHEET_TILE = 10, (335, 410)


def main() -> None:
    """Run what was asked for and print it."""
    options = _options()
    if options.memory:
        print(_peak_memory(options))
        return
    parts = (_embedding, _beside_opencv, _beside_deepface, _whole_photo, _sheet, _memory)
    rows = [row for part in parts for row in part(options)]
    print(json.dumps(rows, indent=2)) if options.json else _show(rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument(
        "--models", type=Path, default=platformdirs.user_cache_path("facelabel") / "models"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--memory", choices=PACKS, help=argparse.SUPPRESS)
    parser.add_argument("--sheet", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _model_files(options: argparse.Namespace, name: str) -> tuple[Path, Path]:
    pack, store = builtin_packs()[name], ModelStore(options.models)
    if not store.installed(pack):
        local = options.data / "models"
        store.install(pack, local) if (
            local / pack.embedders[0].file.name
        ).exists() else store.pull(pack)
    paths = store.paths(pack)
    return paths.detector, paths.embedders[0]


def _engine(options: argparse.Namespace, name: str, device: Device = Device.CPU) -> Engine:
    detector, embedder = _model_files(options, name)
    pack, limits = builtin_packs()[name], images.Limits()
    return Engine(pack, detector, [embedder], limits=limits, threads=options.threads, device=device)


def _embedding(options: argparse.Namespace) -> Iterator[Row]:
    """Chips to vectors: the network alone, on the same chips; dlib uses one thread, so do we."""
    pack = builtin_packs()["classic"]
    recipe = dataclasses.replace(pack.embedders[0], views=1)
    ours = Embedding(_model_files(options, "classic")[1], recipe, threads=1)
    cut = _chips(options, _engine(options, "classic"), 16)
    theirs = _dlib()
    if theirs is None:
        return
    network = theirs.face_recognition_model_v1(
        str(_dlib_models() / "dlib_face_recognition_resnet_model_v1.dat")
    )

    def reference() -> npt.NDArray[np.float64]:
        return np.array(network.compute_face_descriptor(list(cut)))

    fast, slow = _race(lambda: ours.embed(cut), reference)
    gap = float(np.abs(ours.embed(cut) - reference()).max())
    yield _row(
        "embedding, classic, one thread, ms a face (target 8x)",
        1000 * fast / len(cut),
        1000 * slow / len(cut),
    )
    yield {"what": "embedding, classic, largest difference to dlib (target 1e-4)", "ours": gap}


def _chips(options: argparse.Namespace, engine: Engine, count: int) -> npt.NDArray[np.uint8]:
    recipe = builtin_packs()["classic"].embedders[0]
    return np.concatenate(
        [
            _chip(engine, path.read_bytes(), recipe.template, recipe.size)
            for path in sorted((options.data / "portraits/gallery").glob("*.jpg"))[:count]
        ]
    )


def _chip(
    engine: Engine, image: bytes, template: tuple[tuple[float, float], ...], size: int
) -> npt.NDArray[np.uint8]:
    whole = decode(image, images.Limits())[0]
    ratios = np.array([t.face.landmarks for t in engine.analyse(image).templates[:1]], np.float32)
    return chips(whole, ratios * np.array(whole.size, np.float32), template, size)


def _whole_photo(options: argparse.Namespace) -> Iterator[Row]:
    """Photo to names, eight faces: decode, detect, encode, compare."""
    photo = options.data / "groups/016_8.jpg"
    image, theirs = photo.read_bytes(), _face_recognition()
    for name in PACKS:
        engine = _engine(options, name)
        ours = partial(_compare, engine, _vectors(engine, image), image)
        if theirs is None:
            yield {"what": f"8 faces, {name}, ms", "ours": 1000 * _race(ours)[0]}
            continue
        codes = np.array(theirs.face_encodings(theirs.load_image_file(photo)))
        fast, slow = _race(ours, partial(_their_comparison, theirs, codes, photo))
        yield _row(f"8 faces, {name}, ms (target 3x)", 1000 * fast, 1000 * slow)


def _beside_opencv(options: argparse.Namespace) -> Iterator[Row]:
    """A face, and a photo with eight, by the same files; faces are looked for at the same size."""
    if importlib.util.find_spec("cv2") is None:
        return
    import cv2  # type: ignore[import-not-found,import-untyped,unused-ignore] # noqa: PLC0415 - optional

    cv2.setNumThreads(1)
    pack, detector, embedder = _published(options)
    recipe, one = pack.embedders[0], argparse.Namespace(**{**vars(options), "threads": 1})
    ours = Embedding(_model_files(options, pack.name)[1], recipe, threads=1)
    engine = _engine(one, pack.name)
    portraits = sorted((options.data / "portraits/gallery").glob("*.jpg"))[:8]
    cut = np.concatenate(
        [_chip(engine, path.read_bytes(), recipe.template, recipe.size) for path in portraits]
    )
    theirs = cv2.FaceRecognizerSF.create(str(embedder), "")
    mirrored = [np.ascontiguousarray(chip[:, :, ::-1]) for chip in cut]  # blue first
    fast, slow = _race(
        lambda: ours.embed(cut),
        lambda: [theirs.feature(chip) for chip in mirrored],
        clock=time.process_time,
    )
    yield _row(
        "embedding, SFace, CPU ms a face (target 1x)",
        1000 * fast / len(cut),
        1000 * slow / len(cut),
    )
    photo = (options.data / "groups/016_8.jpg").read_bytes()
    looks = cv2.FaceDetectorYN.create(str(detector), "", (320, 320), pack.detector.score)
    other = partial(_their_faces, cv2, looks, theirs, photo)
    fast, slow = _race(partial(engine.analyse, photo), other, clock=time.process_time)
    yield _row("8 faces, same files, CPU ms (target 1x)", 1000 * fast, 1000 * slow)
    if importlib.util.find_spec("openvino"):
        engine = _engine(one, pack.name, Device.OPENVINO)
        fast, slow = _race(partial(engine.analyse, photo), other, clock=time.process_time)
        yield _row("the same with OpenVINO (target 1.5x)", 1000 * fast, 1000 * slow)


def _beside_deepface(options: argparse.Namespace) -> Iterator[Row]:
    """The photo with eight faces by the same files, put where it would fetch them to."""
    if importlib.util.find_spec("deepface") is None or importlib.util.find_spec("cv2") is None:
        return
    import cv2  # type: ignore[import-not-found,import-untyped,unused-ignore] # noqa: PLC0415 - optional

    cv2.setNumThreads(1)
    pack, *files = _published(options)
    with tempfile.TemporaryDirectory() as home:
        weights = Path(home, ".deepface/weights")
        weights.mkdir(parents=True)
        for file in files:
            (weights / file.name).symlink_to(file.absolute())
        # Its own score, 0.9, is one that none of these faces has.
        os.environ.update(DEEPFACE_HOME=home, yunet_score_threshold=str(pack.detector.score))
        from deepface import DeepFace  # type: ignore[import-not-found,import-untyped,unused-ignore] # noqa: PLC0415 - optional

        photo = options.data / "groups/016_8.jpg"
        engine = _engine(argparse.Namespace(**{**vars(options), "threads": 1}), pack.name)
        theirs = partial(
            DeepFace.represent, str(photo), model_name="SFace", detector_backend="yunet"
        )
        assert len(theirs()) == len(engine.analyse(photo.read_bytes()).templates)
        fast, slow = _race(
            lambda: engine.analyse(photo.read_bytes()), theirs, clock=time.process_time
        )
    yield _row("8 faces beside deepface, same files, CPU ms", 1000 * fast, 1000 * slow)


def _published(options: argparse.Namespace) -> tuple[Pack, Path, Path]:
    """The pack opencv-zoo and its files as they were published."""
    pack = builtin_packs()["opencv-zoo"]
    folder = options.models / "published"
    folder.mkdir(parents=True, exist_ok=True)
    fetcher = Fetcher((sys.executable, "-m", "pip"), 3.0)
    found = []
    for file in pack.files:
        path = folder / file.name
        if not path.exists():
            with tempfile.TemporaryDirectory() as scratch:
                path.write_bytes(fetcher.fetch(file, Path(scratch), lambda *_: None))
        found.append(path)
    detector, embedder = found
    return pack, detector, embedder


def _their_faces(cv2: Any, detector: Any, recogniser: Any, photo: bytes) -> list[Any]:  # noqa: ANN401 - untyped
    """Decode, look for faces where our closest look is, align and embed each."""
    picture = cv2.imdecode(np.frombuffer(photo, np.uint8), cv2.IMREAD_COLOR)
    scale = CLOSEST / max(picture.shape[:2])
    if scale < 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    detector.setInputSize(picture.shape[1::-1])
    _, faces = detector.detect(picture)
    return [recogniser.feature(recogniser.alignCrop(picture, face)) for face in faces]


def _vectors(engine: Engine, image: bytes) -> Floats:
    templates = engine.analyse(image).templates
    return np.stack([np.frombuffer(template.vector, "<f4") for template in templates])


def _compare(engine: Engine, known: Floats, image: bytes) -> npt.NDArray[np.intp]:
    nearest: npt.NDArray[np.intp] = (_vectors(engine, image) @ known.T).argmax(axis=1)
    return nearest


def _their_comparison(library: Any, known: npt.NDArray[np.float64], photo: Path) -> list[int]:  # noqa: ANN401 - untyped
    picture = library.load_image_file(photo)
    places = library.face_locations(picture)
    codes = library.face_encodings(picture, known_face_locations=places)
    return [int(library.face_distance(known, code).argmin()) for code in codes]


def _sheet(options: argparse.Namespace) -> Iterator[Row]:
    """A hundred people on one picture, a hundred people known."""
    image = _sheet_of(sorted((options.data / "portraits/probe").glob("*.jpg")))
    portraits = sorted((options.data / "portraits/gallery").glob("*.jpg"))
    for name in PACKS:
        engine = _engine(options, name)
        known = np.concatenate([_vectors(engine, path.read_bytes()) for path in portraits])
        (seconds,) = _race(partial(_compare, engine, known, image))
        found, right = _score_sheet(engine, known, image)
        yield {"what": f"sheet of 100, {name}, s (target 5)", "ours": seconds}
        yield {"what": f"sheet of 100, {name}, found (target 99)", "ours": found}
        yield {"what": f"sheet of 100, {name}, nearest is right", "ours": right}


def _sheet_of(portraits: list[Path]) -> bytes:
    width, height = SHEET_TILE
    sheet = Image.new("RGB", (SHEET_COLUMNS * width, -(-len(portraits) // SHEET_COLUMNS) * height))
    for at, path in enumerate(portraits):
        with Image.open(path) as portrait:
            tile = portrait.convert("RGB").resize(SHEET_TILE)
        sheet.paste(tile, (at % SHEET_COLUMNS * width, at // SHEET_COLUMNS * height))
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=92)
    return file.getvalue()


def _score_sheet(engine: Engine, known: Floats, image: bytes) -> tuple[int, int]:
    analysis = engine.analyse(image)
    tiles = []
    for template in analysis.templates:
        box = template.face.box
        column = (box.left + box.width / 2) * analysis.width // SHEET_TILE[0]
        row = (box.top + box.height / 2) * analysis.height // SHEET_TILE[1]
        tiles.append(int(row * SHEET_COLUMNS + column))
    nearest = _compare(engine, known, image)
    return len(set(tiles)), int((nearest == np.array(tiles)).sum())


def _memory(options: argparse.Namespace) -> Iterator[Row]:
    """Peak of a process that does nothing but analyse the sheet and a 12-megapixel portrait."""
    with tempfile.TemporaryDirectory() as folder:
        sheet = Path(folder, "sheet.jpg")
        sheet.write_bytes(_sheet_of(sorted((options.data / "portraits/probe").glob("*.jpg"))))
        for name in PACKS:
            asked = ["--memory", name, "--sheet", str(sheet), "--models", str(options.models)]
            finished = subprocess.run(
                [sys.executable, __file__, str(options.data), *asked],
                check=True,
                stdout=subprocess.PIPE,
            )
            yield {"what": f"peak memory, {name}, MB", "ours": int(finished.stdout)}


def _peak_memory(options: argparse.Namespace) -> int:
    engine = _engine(options, options.memory)
    for photo in (options.sheet, options.data / "groups/004_A.jpg"):
        engine.analyse(photo.read_bytes())
    return _peak() >> 20


def _peak() -> int:
    """Bytes this process held at most; where Linux does not keep them, what it holds now.

    Not getrusage: its peak is that of the parent too, as it was when the process was forked.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return psutil.Process().memory_info().rss
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10


def _race(
    *contestants: Callable[[], object], clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Return each contestant's fastest turn in seconds, after a turn to warm up."""
    best = [float("inf")] * len(contestants)
    for turn in range(TURNS + 1):
        for at, contestant in enumerate(contestants):
            start = clock()
            contestant()
            best[at] = min(best[at], clock() - start) if turn else best[at]
    return best


def _dlib() -> Any:  # noqa: ANN401 - it has no types
    if not THEIRS_INSTALLED:
        return None
    import dlib  # type: ignore[import-not-found,import-untyped,unused-ignore] # noqa: PLC0415 - optional

    return dlib


def _dlib_models() -> Path:
    spec = importlib.util.find_spec("face_recognition_models")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "models"


def _face_recognition() -> Any:  # noqa: ANN401 - it has no types
    """Import the library past its models package, which needs a setuptools of long ago."""
    if not THEIRS_INSTALLED:
        return None
    files = {
        "face_recognition_model_location": "dlib_face_recognition_resnet_model_v1.dat",
        "pose_predictor_model_location": "shape_predictor_68_face_landmarks.dat",
        "pose_predictor_five_point_model_location": "shape_predictor_5_face_landmarks.dat",
        "cnn_face_detector_model_location": "mmod_human_face_detector.dat",
    }
    folder = _dlib_models()
    stand_in = types.ModuleType("face_recognition_models")
    for call, file in files.items():
        setattr(stand_in, call, lambda path=str(folder / file): path)
    sys.modules["face_recognition_models"] = stand_in
    import face_recognition  # type: ignore[import-not-found,import-untyped,unused-ignore] # noqa: PLC0415 - optional

    return face_recognition


def _row(what: str, ours: float, theirs: float) -> Row:
    return {"what": what, "ours": ours, "theirs": theirs, "ratio": theirs / ours}


def _show(rows: Iterable[Row]) -> None:
    table = Table("what", "ours", "theirs", "times faster")
    for row in rows:
        numbers = [f"{row[key]:.4g}" if key in row else "" for key in ("ours", "theirs", "ratio")]
        table.add_row(str(row["what"]), *numbers)
    Console().print(table)


if __name__ == "__main__":
    main()
