"""Code in README and docs runs as it stands there.

The blocks of a page that are marked ``python`` are one program, run in a process of its own, in a
folder with the pictures that they name; on pages about the server, beside one. What stands behind a
``print(…)`` is what it prints. Code that is only to be read is marked ``py``.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from tests.e2e.served import serving
from tests.waiting import until

from facelabel.engine.models.samples import two_people

if TYPE_CHECKING:
    from tests.e2e.conftest import Program
    from tests.e2e.served import Served

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)
PAGES = {
    str(page.relative_to(ROOT)): page.read_text("utf-8")
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if BLOCK.search(page.read_text("utf-8"))
}
#: Pages whose programs talk to `facelabel serve`.
SERVED = ("docs/howto/serve.md", "docs/rekognition-local.md")
#: Runs the blocks that come in by lines of JSON, and says when one is over.
RUNNER = """
import json, sys
namespace = {"__name__": "__main__"}
for line in sys.stdin:
    page, above, code = json.loads(line)
    exec(compile("\\n" * above + code, page, "exec"), namespace)
    print("\\0", flush=True)
"""


@pytest.fixture
def pictures(samples: Path, program: Program) -> Path:
    """The folder that programs run in: John, a party with him on it, others."""
    folder = program.folder
    shutil.copy(samples / "obama.jpg", folder / "john.jpg")
    (folder / "party.jpg").write_bytes(two_people(samples))
    (folder / "portraits" / "Mary Roe").mkdir(parents=True)
    shutil.copy(samples / "biden.jpg", folder / "portraits" / "Mary Roe")
    (folder / "photos").mkdir()
    for name in ("obama2.jpg", "obama3.jpg"):
        shutil.copy(samples / name, folder / "photos")
    return folder


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs(page: str, program: Program, pictures: Path) -> None:
    """Block after block; between two of them a server comes to rest."""
    with ExitStack() as stack:
        server = stack.enter_context(serving(program)) if page in SERVED else None
        runner = stack.enter_context(_started(program, server, pictures))
        assert runner.stdin
        assert runner.stdout
        for block in BLOCK.finditer(PAGES[page]):
            above = PAGES[page].count("\n", 0, block.start(1))
            runner.stdin.write(json.dumps([page, above, block[1]]) + "\n")
            runner.stdin.flush()
            printed = _printed(runner.stdout)
            for expected in PRINTED.findall(block[1]):
                assert expected in printed, f"{page}, line {above + 1} and following"
            if server:
                until(lambda: not program.json("jobs", "list", "--all"))
        runner.stdin.close()
        assert runner.wait() == 0


def _started(program: Program, server: Served | None, folder: Path) -> subprocess.Popen[str]:
    """An interpreter that runs blocks; it talks to the server as the pages say."""
    talks = {
        "CLOUDINARY_URL": server.cloudinary_url,
        "AWS_ENDPOINT_URL_REKOGNITION": server.url,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    } if server else {}  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", RUNNER], env=program.environment | talks, cwd=folder,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def _printed(output: IO[str]) -> str:
    """What a block printed; fails if it came to no end."""
    lines: list[str] = []
    for line in output:
        if line == "\0\n":
            return "".join(lines)
        lines.append(line)
    pytest.fail("it raised what is said above; printed: " + "".join(lines))


def test_there_is_code_where_it_is_expected() -> None:
    """Nothing is left out by a mark that is misspelt."""
    assert {"README.md", "docs/howto/python.md", "docs/reference/python.md"} < PAGES.keys()
    assert PAGES.keys() > set(SERVED)
