"""Pictures of the error rates; needs the extra ``plot``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from facelabel.errors import ConfigurationError, FacelabelError
from facelabel.evaluation.rates import GRID, STEP, Distances

if TYPE_CHECKING:
    from pathlib import Path

#: Width of a bar of the histograms, in steps of GRID.
_BAR = 200
#: Rates below this are not drawn.
_RAREST = 1e-7
_SIZE, _DPI = (11, 4.5), 150


def check() -> None:
    """Raise ConfigurationError where plots cannot be drawn, before hours of work are lost."""
    try:
        import matplotlib as mpl  # noqa: F401, PLC0415 - an extra, and slow to load
    except ImportError:
        raise ConfigurationError("--plot needs matplotlib: install facelabel[plot]") from None


def save(
    path: Path, title: str, accepted: tuple[str, Distances], rejected: tuple[str, Distances]
) -> None:
    """Draw the trade-off and the distances of what should be accepted and what should not.

    Each comes with the words for its axis. Raises ConfigurationError without matplotlib, and
    FacelabelError where the file cannot be written.
    """
    check()
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, and slow to load

    figure = Figure(figsize=_SIZE, layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    _draw_trade_off(left, accepted, rejected)
    _draw_histogram(right, accepted, rejected)
    try:
        figure.savefig(path, dpi=_DPI)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise FacelabelError(f"{path} cannot be written: {why}") from error


def _draw_trade_off(
    axes: Any,  # noqa: ANN401 - matplotlib is an extra: its types may be absent
    accepted: tuple[str, Distances],
    rejected: tuple[str, Distances],
) -> None:
    wrong, right = rejected[1].rates, accepted[1].rates
    # Below one in all pairs nothing was measured, whatever a line through it would suggest.
    shown = wrong >= max(_RAREST, 1 / max(rejected[1].total, 1))
    axes.plot(wrong[shown], right[shown], drawstyle="steps-post", color="tab:blue")
    axes.set_xscale("log")
    axes.set_xlabel(f"share of {rejected[0]} accepted")
    axes.set_ylabel(f"share of {accepted[0]} accepted")
    axes.set_ylim(top=1.01)
    axes.grid(visible=True, which="both", alpha=0.3)


def _draw_histogram(
    axes: Any,  # noqa: ANN401 - matplotlib is an extra: its types may be absent
    accepted: tuple[str, Distances],
    rejected: tuple[str, Distances],
) -> None:
    edges = np.arange(0, GRID.size, _BAR)
    for (label, distances), colour in ((accepted, "tab:green"), (rejected, "tab:red")):
        counted = distances.counts[1 : GRID.size]
        heights = np.add.reduceat(counted, edges[:-1]) / max(distances.total, 1)
        axes.stairs(heights, edges * STEP, fill=True, alpha=0.5, color=colour, label=label)
    axes.set_xlabel("L2 distance of unit vectors")
    axes.set_ylabel("share of pairs")
    axes.legend()
    axes.grid(visible=True, alpha=0.3)
