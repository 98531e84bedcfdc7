"""dlib's network without dlib: the same numbers, and no other file."""

from __future__ import annotations

import struct
import sys
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.examples import examples

from facelabel.engine.models.fetching import Fetcher, member_of
from facelabel.engine.models.foreign_networks import from_dlib
from facelabel.engine.models.manifest import Distribution, builtin_packs
from facelabel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from facelabel.engine.models.model_store import ModelStore

#: What dlib itself makes of :func:`pattern`: every eighth number, recorded from dlib 20.0.1.
GOLDEN = (
    -0.1127912,
    0.1368455,
    -0.1668643,
    -0.1129601,
    -0.1489667,
    -0.1775302,
    0.0306128,
    -0.0229133,
    0.2335445,
    -0.1202126,
    -0.1532607,
    0.1481249,
    -0.0949326,
    -0.1040110,
    0.2179009,
    0.0183243,
)


def pattern() -> NDArray[np.uint8]:
    """A chip, 150 x 150 RGB, that is the same on every machine."""
    y, x, channel = np.indices((150, 150, 3))
    waves = np.sin(x / (7 + channel)) + np.cos(y / (11 - channel)) + np.sin((x + y) / 23)
    return np.asarray(waves * 40 + 128, np.uint8)


def embed(network: str | bytes, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
    batch = chips.transpose(0, 3, 1, 2).astype(np.float32)
    return np.asarray(session.run(None, {"chips": batch})[0], np.float32)


def packed(*numbers: int) -> bytes:
    """Return dlib's packed integers."""
    digits = [number.to_bytes((number.bit_length() + 7) // 8 or 1, "little") for number in numbers]
    return b"".join(bytes([len(each)]) + each for each in digits)


def layers() -> Iterator[tuple[bytes, int, bytes]]:
    """Name, count of parameters and what stands between them, for each layer of the network."""
    widths = [3, 32, *[32] * 6, *[64] * 8, *[128] * 6, *[256] * 8]
    for number, (channels, filters) in enumerate(pairwise(widths)):
        side = 3 if number else 7
        yield b"con_4", filters * (channels * side * side + 1), b""
        yield b"affine_", 2 * filters, b""
    yield b"fc_2", 256 * 128, packed(128, 256)


def network_file(value: float = 0.01) -> bytes:
    """A file in dlib's format with every parameter the same."""
    parts = [b"\x01\x01\x01\x0dloss_metric_2"]
    for name, count, between in layers():
        tensor = packed(2, count, 1, 1, 1) + struct.pack("<f", value) * count
        parts.append(packed(2) + bytes([1, len(name)]) + name + between + tensor)
    return b"".join(parts) + b"\x01\x00"


@pytest.fixture(scope="module")
def network() -> bytes:
    return network_file()


def test_the_embedding_dlib_gives(classic_pack_store: ModelStore) -> None:
    path = classic_pack_store.paths(builtin_packs()["classic"]).embedders[0]
    (embedding,) = embed(str(path), pattern()[None])
    assert np.abs(embedding[::8] - np.array(GOLDEN)).max() < 1e-6


def test_a_chip_gives_the_same_alone_and_in_a_batch(classic_pack_store: ModelStore) -> None:
    path = str(classic_pack_store.paths(builtin_packs()["classic"]).embedders[0])
    chips = np.stack([pattern(), 255 - pattern(), pattern()[::-1]])
    batch = embed(path, chips)
    alone = np.concatenate([embed(path, chip[None]) for chip in chips])
    assert batch.shape == (3, 128)
    assert np.abs(batch - alone).max() < 1e-5
    assert np.abs(batch[0] - batch[1]).max() > 0.01


def test_dlib_itself_agrees_on_real_faces(
    photos: Path, tmp_path: Path, classic_pack_store: ModelStore
) -> None:
    dlib = pytest.importorskip("dlib", reason="dlib is not installed")
    pack = builtin_packs()["classic"]
    (source,) = pack.embedders[0].file.sources
    assert isinstance(source, Distribution)
    archive = Fetcher((sys.executable, "-m", "pip"), 3.0).archive(source, tmp_path)
    original = tmp_path / "original.dat"
    original.write_bytes(member_of(archive, source.member, pack.embedders[0].file.bytes))
    portraits = sorted((photos / "people").iterdir())
    chips = np.stack([_chip(path) for path in portraits])
    theirs = dlib.face_recognition_model_v1(str(original))
    expected = np.array([np.array(theirs.compute_face_descriptor(chip)) for chip in chips])
    ours = embed(str(classic_pack_store.paths(pack).embedders[0]), chips)
    assert np.abs(ours - expected).max() < 1e-5


def _chip(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as portrait:
        return np.asarray(portrait.convert("RGB").resize((150, 150)))


def test_the_format_is_read_without_dlib(network: bytes) -> None:
    model = from_dlib(network)
    assert len([node for node in model.graph.node if node.op_type == "Conv"]) == 29
    assert embed(model.SerializeToString(), pattern()[None]).shape == (1, 128)


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.01, 0.3, 0.9, 0.999])
def test_a_file_cut_short_is_refused(network: bytes, share: float) -> None:
    with pytest.raises(Rejected, match="dlib network"):
        from_dlib(network[: int(len(network) * share)])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_parameters_that_are_no_numbers_are_refused(value: float) -> None:
    with pytest.raises(Rejected, match="no finite numbers"):
        from_dlib(network_file(value))


@pytest.mark.parametrize(
    "damage",
    [
        (packed(2, 4736, 1, 1, 1), packed(3, 4736, 1, 1, 1)),
        (packed(2, 4736, 1, 1, 1), packed(2, 4735, 1, 1, 1)),
        (packed(2, 4736, 1, 1, 1), packed(2, 1 << 62, 1 << 62, 1, 1)),
        (packed(2, 4736, 1, 1, 1), b"\x7f" * 9),
        (packed(2, 4736, 1, 1, 1), b"\x00" * 9),
        (b"con_4", b"con_5"),
        (b"affine_", b"bn_con1"),
        (b"fc_2", b"fc_9"),
    ],
)
def test_another_network_is_refused(network: bytes, damage: tuple[bytes, bytes]) -> None:
    assert damage[0] in network
    with pytest.raises(Rejected, match="dlib network"):
        from_dlib(network.replace(*damage))


@examples(50)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(noise: bytes) -> None:
    with pytest.raises(Rejected):
        from_dlib(b"\x01\x05con_4" + noise)
