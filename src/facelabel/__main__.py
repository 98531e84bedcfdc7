"""``python -m facelabel``, and where the installed program starts."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is still loading ends it as quietly as later."""
    # What is loaded stays: to look for garbage among it is a quarter of the time that it takes.
    # Whoever opens the application has it looked for from then on.
    gc.disable()
    try:
        from facelabel.cli import main as run  # noqa: PLC0415 - loading takes a moment

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
