"""What tells of people is readable by its owner alone; what anybody may have, by everybody."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from facelabel import files
from facelabel.adapters.derived import DerivedCache
from facelabel.adapters.keys import KeyRing
from facelabel.adapters.store.library.originals import Originals
from facelabel.adapters.store.sql.database import Database
from facelabel.bootstrap import data_folder
from facelabel.bootstrap.app import face_engines
from facelabel.core.model import Template
from facelabel.engine.engine import Engine
from facelabel.engine.models.manifest import builtin_packs
from facelabel.engine.models.model_store import ModelStore
from facelabel.errors import ConfigurationError
from facelabel.gallery.matrix_index import MatrixIndex
from facelabel.rekognition.types import NewFace
from facelabel.settings import load
from facelabel.testing import MemoryTemplates, some_face, vector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from facelabel.engine.models.manifest import Pack

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")

NOBODY = 65534
ETAG = "0" * 64


@contextmanager
def umask(mask: int) -> Iterator[None]:
    former = os.umask(mask)
    try:
        yield
    finally:
        os.umask(former)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Access files as somebody else; where we are nobody special ourselves, as ourselves."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that everybody may enter, all the way down: pytest's own are closed."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def cache(public_folder: Path, classic_pack_store: ModelStore) -> Path:
    """The pack "classic", installed by somebody careful, from a copy."""
    source = classic_pack_store.paths(builtin_packs()["classic"]).detector.parent
    with umask(0o077):
        store = ModelStore(public_folder / "opt" / "models")
        pack = builtin_packs()["classic"]
        for slot, name in zip(store._slots(pack), ("detector", "embedder"), strict=True):  # noqa: SLF001 - the packs' publisher is far
            files.folder(slot.path.parent, files.SHARED)
            for suffix in (".onnx", ".json"):
                data = (source / name).with_suffix(suffix).read_bytes()
                files.replace(slot.path.with_suffix(suffix), data, files.SHARED)
    return public_folder / "opt" / "models"


def modes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): oct(path.stat().st_mode & 0o777)
        for path in sorted(folder.rglob("*"))
    }


def fill(folder: Path) -> None:
    """Have every part of the program write what it writes there."""
    with closing(Database(f"sqlite:///{folder / 'facelabel.db'}")) as database:
        originals = Originals(folder / "originals")
        originals.make()
        with originals.staged(ETAG, b"picture") as put:
            put()
        keys = KeyRing(folder / "keys.json")
        keys.ensure()
        keys.add()
        keys.note_shown()
        DerivedCache(folder / "derived", 1 << 20).put(ETAG, "small", b"picture")
        templates = MemoryTemplates()
        templates.create("people", "model/1", 2)
        template = Template(some_face(), vector(1, 0))
        templates.add("people", [NewFace("face", "", None, "Ann", template)])
        number = templates.find("people").number
        MatrixIndex(templates, folder / "vectors").search(number, [vector(1, 0)], 1)
        face_engines(load({"data": folder}), lambda *_: None, lambda _: None).calibrate("m/1", ())
        del database


def test_what_is_kept_is_private_whoever_made_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with umask(0):
        folder.mkdir()
        data_folder.prepare(folder)
        fill(folder)

    assert set(modes(folder).values()) == {"0o600", "0o700"}
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {name.split("/")[0] for name in modes(folder)} <= data_folder.OURS
    assert data_folder.exposed(folder) == []


def test_a_folder_that_others_could_read_is_closed_at_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    data_folder.prepare(folder)
    fill(folder)
    for path in (folder, folder / "facelabel.db", folder / "originals", folder / "keys.json"):
        path.chmod(0o755)
    assert data_folder.exposed(folder) == ["facelabel.db", "keys.json", "originals"]

    data_folder.prepare(folder)

    assert data_folder.exposed(folder) == []
    assert {modes(tmp_path)[f"data/{name}"] for name in ("facelabel.db", "keys.json")} == {"0o700"}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_with_other_things_stays_open_but_not_what_is_ours(tmp_path: Path) -> None:
    data_folder.prepare(tmp_path)
    fill(tmp_path)
    (tmp_path / "holiday.txt").write_text("somebody's")
    for path in (tmp_path, tmp_path / "facelabel.db", tmp_path / "originals"):
        path.chmod(0o755)

    data_folder.prepare(tmp_path)

    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert data_folder.exposed(tmp_path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder for somebody else")
def test_a_folder_of_somebody_else_is_told_of(public_folder: Path) -> None:
    data_folder.prepare(public_folder)
    fill(public_folder)
    (public_folder / "facelabel.db").chmod(0o644)
    public_folder.chmod(0o755)
    with as_nobody():
        data_folder.prepare(public_folder)  # it may not change it, and does not fail
        assert data_folder.exposed(public_folder) == ["facelabel.db"]


def test_a_database_elsewhere_is_private_too(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.db"
    with umask(0), closing(Database(f"sqlite:///{path}")):
        assert set(modes(tmp_path).values()) == {"0o600"}
    path.chmod(0o644)
    with closing(Database(f"sqlite:///{path}")):
        assert set(modes(tmp_path).values()) == {"0o600"}


def test_models_are_for_everybody_on_this_computer(cache: Path) -> None:
    assert set(modes(cache).values()) == {"0o644", "0o755"}
    assert cache.stat().st_mode & 0o777 == cache.parent.stat().st_mode & 0o777 == 0o755
    pack = builtin_packs()["classic"]
    with as_nobody():
        store = ModelStore(cache)
        assert store.installed(pack)
        assert store.verify(pack) == []
        store.pull(pack)  # nothing to do, so nothing is written, nor locked
        assert store.paths(pack).embedders[0].read_bytes()


@pytest.mark.parametrize(
    "what", ["classic-1/embedder.json", "classic-1/embedder.onnx", "classic-1"]
)
def test_models_that_may_not_be_read_are_not_called_missing(cache: Path, what: str) -> None:
    (cache / what).chmod(0)
    pack, store = builtin_packs()["classic"], ModelStore(cache)
    try:
        looks: list[Callable[[Pack], object]] = [store.verify, store.pull]
        if not what.endswith(".onnx"):  # how large it is may be seen, and is all that these ask
            looks += [store.paths, lambda _: store.pull_auto()]
        for ask in looks:
            with as_nobody(), pytest.raises(ConfigurationError, match="may not be read") as told:
                ask(pack)
            assert "classic-1" in str(told.value)
    finally:
        (cache / what).chmod(0o755)


def test_models_that_changed_are_not_loaded(cache: Path, tmp_path: Path) -> None:
    settings = load({"data": tmp_path, "models": cache, "pack": "classic"})
    engine = face_engines(settings, lambda *_: None, lambda _: None)(None)
    assert isinstance(engine, Engine)
    embedder = cache / "classic-1" / "embedder.onnx"
    data = bytearray(embedder.read_bytes())
    data[len(data) // 2] ^= 1  # of the same size
    embedder.write_bytes(data)

    with pytest.raises(ConfigurationError, match="facelabel models pull classic"):
        face_engines(settings, lambda *_: None, lambda _: None)(None)


def test_damaged_models_are_not_silently_replaced_by_others(cache: Path) -> None:
    (cache / "classic-1" / "embedder.onnx").write_bytes(b"half")
    with pytest.raises(ConfigurationError, match="facelabel models pull classic"):
        ModelStore(cache).resolve("auto")


def test_calibrations_that_may_not_be_read_are_said(public_folder: Path) -> None:
    """They may be stricter: nobody is named as if there were none."""
    settings = load({"data": public_folder})
    made = face_engines(settings, lambda *_: None, lambda _: None)
    folder = made.calibrate("classic/1", ((0.2, 80.0),)).parent
    folder.chmod(0)
    try:
        with as_nobody(), pytest.raises(ConfigurationError, match=r"calibration.* may not be read"):
            made.meaning("classic/1")
    finally:
        folder.chmod(0o700)
