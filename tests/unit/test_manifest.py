"""Packs and the mistakes people make in manifests."""

from __future__ import annotations

import hashlib
import tomllib
from importlib import resources
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator
from tests.manifests import manifest

from facelabel.core.quality import Comparable
from facelabel.engine.models.manifest import (
    ARCFACE_TEMPLATE,
    BUILTIN,
    Distribution,
    Local,
    Url,
    builtin_packs,
    load_pack,
)
from facelabel.engine.models.manifest_file import json_schema
from facelabel.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

MODEL = b"an ONNX file"
MANIFEST = manifest(
    "models/mine.onnx", 'name = "mine"', "version = 3", "calibration = [[0.9, 99], [1.1, 80]]",
    "size = 224", 'order = "BGR"', "mean = [127.5, 127.5, 127.5]", "scale = 128",
    "dimensions = 512", detector='from = "mobilefacenet"',
)  # fmt: skip


PINNED = f'sha256 = "{"ab" * 32}"\nbytes = 12\nlicence = "MIT"'
GRAPH = f'sha256 = "{"cd" * 32}"\nbytes = 9'
ADDRESS = 'url = "https://example.org/mine"'
WHEEL = 'distribution = "mine==1.0"'
ARCHIVE = f'distribution_sha256 = "{"0" * 64}"\ndistribution_bytes = 9'
WEIGHTS = 'convert = "openvino-ir"'
TOPOLOGY = 'topology = {file = "models/mine.onnx"}'
EMBEDDER = MANIFEST[MANIFEST.index("[embedder]") :]
ANOTHER = EMBEDDER.removeprefix("[embedder]").strip()
ONE = "{" + ANOTHER.replace("\n", ", ") + "}"
#: What stands in the manifest, what in its place is a mistake, and how it is told.
MISTAKES = [
    ('name = "mine"', "", "name: missing"),
    ('name = "mine"', 'name = "../evil"', "name: '../evil'"),
    ("version = 3", 'version = "3"', "version: '3'"),
    ("version = 3", "version = true", "version: True"),
    ("version = 3", "version = 3\ncolour = 1", "colour: no such key"),
    ("[0.9, 99], [1.1, 80]", "0.9, 99", "calibration: "),
    ('from = "mobilefacenet"', 'from = "yolo"', "detector: from: 'yolo'"),
    ('from = "mobilefacenet"', 'kind = "yolo"', "detector: kind: 'yolo'"),
    ('[detector]\nfrom = "mobilefacenet"', "detector = 1", "detector: must be a table"),
    ("size = 224", "size = 224.5", "embedder: size: 224.5"),
    ("size = 224", "size = 8", "embedder: size: 8"),
    ('"arcface"', '"mtcnn"', "embedder: template: 'mtcnn'"),
    ('"arcface"', "[[1, 2], [3, 4]]", "embedder: template: "),
    ('"BGR"', '"bgr"', "embedder: order: 'bgr'"),
    ("[127.5, 127.5, 127.5]", "[127.5]", "embedder: mean: "),
    ("scale = 128", "scale = 0", "embedder: scale: "),
    ("dimensions = 512", "dimensions = 512\nconvert = 'onnx'", "embedder: convert: 'onnx'"),
    ("dimensions = 512", "dimensions = 512\nsha256 = 'abc'", "embedder: sha256: 'abc'"),
    ('"models/mine.onnx"', '"m.onnx"\nurl = "http://example.org/m"', "embedder: sha256"),
    ("dimensions = 512", "dimensions = 512\nviews = 3", "embedder: views: 3"),
    ("dimensions = 512", "dimensions = 512\nleast_norm = -1", "embedder: least_norm: -1"),
    (
        "dimensions = 512",
        "dimensions = 512\nsources = [{url = 3}]",
        "embedder: sources: 0: url: 3",
    ),
    ("dimensions = 512", "dimensions = 512\nsources = 1", "embedder: sources: 1"),
    ("dimensions = 512", "dimensions = 512\nmember = 'x'", "are about a distribution"),
    ("dimensions = 512", "dimensions = 512\nurl = 'x'\ndistribution = 'x==1'", "not both"),
    ("dimensions = 512", "dimensions = 512\nconvert = 'openvino-ir'", "takes a topology"),
    ("[embedder]", "[[embedders]]\n[embedder]", "embedders: "),
    ("[embedder]", "[embedders]", "embedders: "),
    (EMBEDDER, "", "an embedder is needed"),
    ("version = 3", f"version = 3\nembedders = [{ONE}]", "and not both"),
    ("version = 3", "version = 3\nembedders = []", "embedders: []"),
    ("[0.9, 99], [1.1, 80]", "", "calibration: []"),
    ("[0.9, 99], [1.1, 80]", "[0.9, 100]", "calibration: 0: 1: 100"),
    ('from = "mobilefacenet"', 'from = "classic"\nscore = 1', "detector: score"),
    ('"arcface"', "[[1, 2], [3, 4], [5, 6], [7, 8], [9, 1025]]", "embedder: template: "),
    ("dimensions = 512", "dimensions = 512\nsources = []", "embedder: sources: []"),
    ("dimensions = 512", "dimensions = 512\nsources = [{}]", "a url or a distribution is needed"),
    ("dimensions = 512", "dimensions = 512\nsdist = true", "are about a distribution"),
    ("dimensions = 512", f"dimensions = 512\n{TOPOLOGY}", "takes a topology"),
    ('"models/mine.onnx"', f'"a/m.onnx"\n{PINNED}\n{ADDRESS}', "embedder: file: 'a/m.onnx'"),
    ('"models/mine.onnx"', f'"m.onnx"\n{PINNED}\nurl = "http://a.org/m"', "embedder: url: "),
    ('"models/mine.onnx"', f'"m.onnx"\n{PINNED}\nurl = "https://"', "embedder: url: "),
    ('"models/mine.onnx"', f'"m.onnx"\n{GRAPH}\n{ADDRESS}', "embedder: licence: missing"),
    (
        '"models/mine.onnx"',
        f'"m.onnx"\n{PINNED}\n{WHEEL}',
        "embedder: distribution_sha256: missing",
    ),
    (
        '"models/mine.onnx"',
        f'"m.onnx"\n{PINNED}\n{WHEEL}\n{ARCHIVE}',
        "embedder: member: missing",
    ),
    (
        "dimensions = 512",
        f"dimensions = 512\n{WEIGHTS}\ntopology = {{file = 'mine.xml', url = 'https://a.org/m'}}",
        "embedder: topology: sha256: missing",
    ),
]
#: The same, where a JSON schema cannot tell.
UNSAID = [
    ('name = "mine"', 'name = "classic"', "name: 'classic'"),
    ("[0.9, 99], [1.1, 80]", "[0.9, 80], [1.1, 99]", "calibration: "),
    ('"models/mine.onnx"', '"models/none.onnx"', "embedder: file: "),
    ('"arcface"', "[[1, 2], [3, 4], [5, 6], [7, 8], [9, 225]]", "embedder: template: "),
    ("[127.5, 127.5, 127.5]", "[127.5, nan, 1]", "embedder: mean: "),
    ("dimensions = 512", f"dimensions = 512\nsha256 = '{'0' * 64}'", "embedder: sha256: "),
    ("dimensions = 512", "dimensions = 512\nbytes = 3", "embedder: bytes: "),
    ("version = 3", "version = 3.0", "version: 3.0"),
]
#: What may stand there.
FINE = [
    ("version = 3", "version = 3\nsummary = 'a pack'\nfinds = 96.1"),
    ("calibration = [[0.9, 99], [1.1, 80]]", ""),
    ('from = "mobilefacenet"', 'kind = "yunet"\nscore = 0.5\nfile = "models/mine.onnx"'),
    ('"arcface"', "[[1, 2], [3, 4], [5, 6.5], [7, 8], [9, 224]]"),
    ("[embedder]", "[[embedders]]"),
    ("[embedder]", f"[[embedders]]\n{ANOTHER}\nweight = 0.5\n[[embedders]]"),
    ('"models/mine.onnx"', f'"mine.onnx"\n{PINNED}\n{ADDRESS}'),
    ('"models/mine.onnx"', f'"mine.onnx"\n{PINNED}\nurl = "http://127.0.0.1:8000/m"'),
    ('"models/mine.onnx"', f'"mine.onnx"\n{PINNED}\nsources = [{{{ADDRESS}}}, {{{ADDRESS}}}]'),
    (
        '"models/mine.onnx"',
        f'"m.onnx"\n{PINNED}\n{WHEEL}\n{ARCHIVE}\nmember = "m"\nsdist = true',
    ),
    ("dimensions = 512", f"dimensions = 512\n{WEIGHTS}\n{TOPOLOGY}"),
    (
        "dimensions = 512",
        f"dimensions = 512\n{WEIGHTS}\n[embedder.topology]\nfile = 'm.xml'\n{GRAPH}\n{ADDRESS}",
    ),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.onnx").write_bytes(MODEL)
    return tmp_path


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return path


def test_built_in_packs_are_complete_and_pinned() -> None:
    packs = builtin_packs()
    assert list(packs) == ["opencv-zoo", "mobilefacenet", "classic", "sface-omz"]
    models = [pack.model for pack in packs.values()]
    assert models == ["opencv-zoo/2", "mobilefacenet/1", "classic/1", "sface-omz/1"]
    for file in (file for pack in packs.values() for file in pack.files):
        assert len(file.sha256) == 64
        assert file.bytes > 100_000
        assert file.licence in {"MIT", "Apache-2.0", "CC0-1.0"}


@pytest.mark.parametrize("name", ["classic", "opencv-zoo"])
def test_the_package_index_alone_has_all_of_it(name: str) -> None:
    for file in builtin_packs()[name].files:
        assert isinstance(file.sources[0], Distribution)


def test_every_built_in_pack_is_calibrated() -> None:
    assert all(pack.calibration for pack in builtin_packs().values())


def test_both_files_of_the_recommended_pack_are_in_one_archive() -> None:
    detector, embedder = (file.sources[0] for file in builtin_packs()["opencv-zoo"].files)
    assert isinstance(detector, Distribution)
    assert isinstance(embedder, Distribution)
    assert detector.sha256 == embedder.sha256
    assert detector.bytes == 79_208_021


def test_a_detector_of_ours_is_one() -> None:
    """Whichever pack it is in, so that it is fetched once and detects the same."""
    yunet, other = (builtin_packs()[name].detector for name in ("opencv-zoo", "mobilefacenet"))
    assert (yunet.kind, yunet.score, yunet.file.sha256) == (
        other.kind, other.score, other.file.sha256,
    )  # fmt: skip


def test_a_users_manifest(folder: Path) -> None:
    pack = load_pack(written(folder, MANIFEST))
    assert pack.model == "mine/3"
    assert pack.detector == builtin_packs()["mobilefacenet"].detector
    assert pack.calibration == ((0.9, 99.0), (1.1, 80.0))
    file = pack.embedders[0].file
    assert file.sources == (Local(folder / "models" / "mine.onnx"),)
    assert (file.bytes, file.sha256) == (len(MODEL), hashlib.sha256(MODEL).hexdigest())
    assert (file.name, file.licence, file.convert) == ("mine.onnx", "the user's", None)


def test_a_pack_says_how_little_its_embedders_may_make_of_a_face(folder: Path) -> None:
    text = MANIFEST.replace("dimensions = 512", "dimensions = 512\nleast_norm = 17.5")
    assert load_pack(written(folder, text)).comparable == Comparable(norms=(17.5,))
    two = builtin_packs()["sface-omz"].comparable
    alone = builtin_packs()["opencv-zoo"].comparable
    assert two.norms == (0.0, *alone.norms)  # of the other one length says nothing


def test_the_usual_template_is_scaled_to_the_chip(folder: Path) -> None:
    template = load_pack(written(folder, MANIFEST)).embedders[0].template
    assert template == tuple((2 * x, 2 * y) for x, y in ARCFACE_TEMPLATE)


def test_a_manifest_may_name_an_address(folder: Path) -> None:
    text = MANIFEST.replace(
        'file = "models/mine.onnx"',
        f'file = "mine.onnx"\nurl = "https://example.org/mine.onnx"\nsha256 = "{"AB" * 32}"\n'
        'bytes = 12\nlicence = "MIT"\nconvert = "free-batch"',
    )
    file = load_pack(written(folder, text)).embedders[0].file
    assert file.sources == (Url("https://example.org/mine.onnx"),)
    assert file.sha256 == "ab" * 32
    assert file.convert == "free-batch"


def test_a_manifest_may_name_several_places_in_order(folder: Path) -> None:
    text = MANIFEST.replace(
        'file = "models/mine.onnx"',
        f'file = "mine.onnx"\nsha256 = "{"ab" * 32}"\nbytes = 12\nlicence = "MIT"\nviews = 1',
    )
    text += f"""
        [[embedder.sources]]
        distribution = "mine==1.0"
        distribution_sha256 = "{"CD" * 32}"
        member = "mine/mine.onnx"
        [[embedder.sources]]
        url = "https://example.org/mine.onnx"
    """
    embedder = load_pack(written(folder, text)).embedders[0]
    wheel = Distribution("mine==1.0", "cd" * 32, sdist=False, member="mine/mine.onnx")
    assert embedder.file.sources == (wheel, Url("https://example.org/mine.onnx"))
    assert embedder.file.origin == "mine==1.0: mine/mine.onnx"
    assert embedder.views == 1
    assert load_pack(written(folder, text)).comparable == Comparable(norms=(0.0,))
    both = text.replace("bytes = 12", 'bytes = 12\nurl = "https://example.org/x"')
    with pytest.raises(ConfigurationError, match="either here or in sources"):
        load_pack(written(folder, both))


@pytest.mark.parametrize(("old", "new", "key"), [*MISTAKES, *UNSAID])
def test_every_mistake_names_its_key(folder: Path, old: str, new: str, key: str) -> None:
    assert old in MANIFEST
    path = written(folder, MANIFEST.replace(old, new))
    with pytest.raises(ConfigurationError) as error:
        load_pack(path)
    assert str(path) in str(error.value)
    assert key in str(error.value)


def test_what_is_no_toml_is_told(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"mine\.toml is not valid TOML"):
        load_pack(written(folder, "version = ["))


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    Draft202012Validator.check_schema(json_schema())
    return Draft202012Validator(json_schema())


@pytest.mark.parametrize(("old", "new", "_key"), MISTAKES)
def test_the_schema_refuses_what_the_program_does(
    schema: Draft202012Validator, old: str, new: str, _key: str
) -> None:
    assert not schema.is_valid(tomllib.loads(MANIFEST.replace(old, new)))


@pytest.mark.parametrize(("old", "new"), FINE)
def test_the_schema_takes_what_the_program_does(
    schema: Draft202012Validator, folder: Path, old: str, new: str
) -> None:
    text = MANIFEST.replace(old, new)
    assert text != MANIFEST
    assert load_pack(written(folder, text)).name == "mine"
    schema.validate(tomllib.loads(text))


@pytest.mark.parametrize(("old", "new", "_key"), UNSAID)
def test_what_a_schema_cannot_say(
    schema: Draft202012Validator, old: str, new: str, _key: str
) -> None:
    """If it can one day, it belongs to the others."""
    assert schema.is_valid(tomllib.loads(MANIFEST.replace(old, new)))


@pytest.mark.parametrize("name", [*BUILTIN, "opencv-zoo-1"])
def test_our_own_packs_fit_the_schema(schema: Draft202012Validator, name: str) -> None:
    file = resources.files("facelabel.engine") / "packs" / f"{name}.toml"
    schema.validate(tomllib.loads(file.read_text("utf-8")))


def test_a_missing_manifest(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml cannot be read"):
        load_pack(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/x",
        "http://127.0.0.1.example.org/x",
        "http://127.0.0.1@example.org/x",
        "ftp://example.org/x",
        "file:///etc/passwd",
        "https://",
        "",
    ],
)
def test_an_address_that_others_can_change_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="https"):
        Url(url)


@pytest.mark.parametrize("url", ["https://example.org/x", "http://127.0.0.1:8000/x"])
def test_https_and_this_computer_are_accepted(url: str) -> None:
    assert Url(url).url == url
