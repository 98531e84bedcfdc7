"""Run a command again and again beside programs that keep every core busy.

What fails only then knows the time: it waits for seconds where it should wait for something to
happen. ``make test-busy`` runs the tests in this way.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from contextlib import ExitStack

BUSY = "while True: pass"


def main() -> int:
    """Return the first exit status that is not 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beside", type=int, default=8, help="busy programs")
    parser.add_argument("--times", type=int, default=3, help="runs of the command")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="and its arguments")
    chosen = parser.parse_args()
    with ExitStack() as stack:
        for _ in range(chosen.beside):
            program = subprocess.Popen([sys.executable, "-c", BUSY])
            stack.callback(program.wait)
            stack.callback(program.kill)
        for turn in range(1, chosen.times + 1):
            start = time.monotonic()
            status = subprocess.run(chosen.command, check=False).returncode
            minutes = (time.monotonic() - start) / 60
            print(f"run {turn} of {chosen.times}: status {status} after {minutes:.1f} minutes")
            if status:
                return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
