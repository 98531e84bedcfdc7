"""Plants faults into the core and looks whether the tests notice: ``make mutants``.

mutmut makes the mutants and runs, for each, the tests that reach its function. Here is what it
leaves open: a copy of the tree, so that a run that is killed leaves nothing behind; a random
sample from a seed; and a judgement. Mutants that nobody could notice stand in a file, each with
its reason, keyed by what is changed and not by a number, so that an edit elsewhere is none of
their business. What is said to people in words is not mutated: tests assert words where they
matter, and rarely all of them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mutmut.mutation.diff_apply import get_diff_for_mutant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = Path(__file__).parents[1]
EQUIVALENT = ROOT / "tests/mutants/equivalent.toml"
#: Where a fault would put a wrong name on a face, lose work, or let somebody in.
MODULES = (
    "recognition/pipeline.py",
    "core/naming.py",
    "core/names.py",
    "core/label_policy.py",
    "recognition/notices.py",
    "cloudinary/notifications.py",
    "core/quality.py",
    "core/clock.py",
    "recognition/enrolling.py",
    "recognition/identifying.py",
    "recognition/live_gallery.py",
    "recognition/reconcile.py",
    "recognition/worker.py",
    "adapters/store/jobs.py",
    "rekognition/sigv4.py",
    "cloudinary/signing.py",
)
TESTS = (
    "test_backoff",
    "test_convergence",
    "test_external_ids",
    "test_intake",
    "test_local_recognizer",
    "test_matching",
    "test_notifications",
    "test_names",
    "test_naming",
    "test_notices",
    "test_pipeline",
    "test_name_targets",
    "test_quality",
    "test_reconcile",
    "test_rekognition_sigv4",
    "test_signing",
    "test_paid_searches",
    "test_worker",
)
#: A server for each mutant would take minutes; the contract is the same for all.
CONTRACTS = ("tests/contract/test_queue.py::TestSqliteQueue",)
#: Where a first mutant is made, so that all tests have run once.
_WARMING_UP = "cloudinary/notifications.py"
COUNT = 300
SEED = 20261126
#: Least part of the sample, less what nobody could notice, that has to be killed.
BAR = 0.95
SURVIVED, UNTESTED = 0, 33
#: A text of several words.
PROSE = re.compile(r"""["'][^"']*[^\s"']\s+[^\s"'][^"']*["']""")


@dataclass(frozen=True)
class Mutant:
    """One planted fault."""

    #: mutmut's.
    name: str
    #: The lines it takes away, and those it puts there, each as one text.
    before: str
    after: str

    @property
    def function(self) -> str:
        """Where it is: module and function, as Python names them."""
        plain = re.sub(r"__mutmut_\d+$", "", self.name)
        return plain.replace("xǁ", "").replace("ǁ", ".").replace(".x_", ".")

    @property
    def is_wording(self) -> bool:
        """Whether only words to people are changed: a message, or what is logged."""
        if re.match(r"(self\.)?_?log\.\w+\(", self.before, re.IGNORECASE):
            return True
        blank = [PROSE.sub("", text).casefold() for text in (self.before, self.after)]
        return bool(PROSE.search(self.before)) and blank[0] == blank[1]

    def __str__(self) -> str:
        """As it is read by whoever writes the test."""
        return f"{self.function}\n    - {self.before}\n    + {self.after}"


def main() -> int:
    """Return 0 if enough of the sample was killed."""
    options = _options()
    equivalent = _equivalent()
    with tempfile.TemporaryDirectory(prefix="mutants") as folder, contextlib.chdir(folder):
        _copy(Path(folder), options.modules)
        _mutmut("run", "facelabel.cloudinary.notifications.*Intake*__mutmut_1", children=1)
        mutants = {name: _read(name) for name in _results()}
        telling = sorted(name for name, mutant in mutants.items() if not mutant.is_wording)
        sample = random.Random(options.seed).sample(telling, min(options.count, len(telling)))  # noqa: S311
        print(f"{len(mutants)} mutants, {len(telling)} of more than words; {len(sample)} drawn with"
              f" seed {options.seed}", flush=True)  # fmt: skip
        _mutmut("run", *sample, children=options.children)
        results = _results()
    return _judge([mutants[name] for name in sample], results, equivalent)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=COUNT, help="mutants drawn")
    parser.add_argument("--seed", type=int, default=SEED, help="of the draw")
    parser.add_argument("--children", type=int, default=os.cpu_count() or 1, help="at a time")
    parser.add_argument("modules", nargs="*", default=MODULES, help="below src/facelabel")
    return parser.parse_args()


def _equivalent() -> Mapping[tuple[str, str, str], str]:
    entries = tomllib.loads(EQUIVALENT.read_text("utf-8")).get("mutant", [])
    return {(one["function"], one["before"], one["after"]): one["reason"] for one in entries}


def _copy(folder: Path, modules: Sequence[str]) -> None:
    """Everything that git would keep, and what mutmut has to know."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, stdout=subprocess.PIPE, check=True,
    ).stdout.decode()  # fmt: skip
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    tests = [f"tests/unit/{name}.py" for name in TESTS] + list(CONTRACTS)
    settings = {
        "source_paths": ["src"],
        "only_mutate": [f"src/facelabel/{module}" for module in {*modules, _WARMING_UP}],
        "also_copy": sorted({name.partition("/")[0] for name in listed.split("\0") if name}
                            - {"src", "tests"}),
        "pytest_add_cli_args_test_selection": tests,
        "pytest_add_cli_args": ["-q", "--hypothesis-profile", "mutants"],
        "timeout_multiplier": 4,  # of CPU time: what goes on for ever is found out in minutes
    }  # fmt: skip
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    with (folder / "pyproject.toml").open("a") as file:
        file.write("\n[tool.mutmut]\n" + "\n".join(lines) + "\n")


def _mutmut(command: str, *names: str, children: int) -> None:
    """Run it; what it says, and that is a line for every blink, is only shown if it fails."""
    arguments = [sys.executable, "-m", "mutmut", command, "--max-children", str(children), *names]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(["src", *filter(None, [os.environ.get("PYTHONPATH")])]),
        "HYPOTHESIS_STORAGE_DIRECTORY": "hypothesis",
    }
    done = subprocess.run(arguments, env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)  # fmt: skip
    if done.returncode:
        sys.exit(re.sub(r"[^\n]*\r", "", done.stdout)[-5000:])


def _results() -> dict[str, int | None]:
    """Exit status of the tests by mutant; None where they were not run."""
    found: dict[str, int | None] = {}
    for path in Path("mutants").rglob("*.meta"):
        found.update(json.loads(path.read_text("utf-8"))["exit_code_by_key"])
    return found


def _read(name: str) -> Mutant:
    lines = get_diff_for_mutant(name).splitlines()[2:]

    def side(sign: str) -> str:
        return " ".join(line[1:].strip() for line in lines if line.startswith(sign))

    return Mutant(name, side("-"), side("+"))


def _judge(
    sample: Iterable[Mutant],
    results: Mapping[str, int | None],
    equivalent: Mapping[tuple[str, str, str], str],
) -> int:
    count: Counter[str] = Counter()
    for mutant in sorted(sample, key=str):
        verdict = "killed"
        if results[mutant.name] in {SURVIVED, UNTESTED, None}:
            known = (mutant.function, mutant.before, mutant.after) in equivalent
            verdict = "equivalent" if known else "survived"
        count[verdict] += 1
        if verdict == "survived":
            print(f"survived: {mutant}")
    real = count["killed"] + count["survived"]
    part = count["killed"] / real if real else 1.0
    print(f"{count['killed']} killed, {count['survived']} survived,"
          f" {count['equivalent']} equivalent: {part:.1%} of {real}")  # fmt: skip
    return 0 if part >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
