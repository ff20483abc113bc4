"""Plots of measurements that pages show."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
from matplotlib import pyplot
from matplotlib.axes import Axes

#: Colours that people who see colours otherwise tell apart (M. Okabe and K. Ito, 2008), and marks.
STYLES = (("#0072b2", "o"), ("#d55e00", "s"), ("#009e73", "^"), ("#cc79a7", "D"))


def save_plot(
    draw: Callable[[Axes], None], file: Path, size: tuple[float, float] = (6.7, 3.6)
) -> None:
    """Draws an SVG file that is always the same for the same measurements."""
    with matplotlib.rc_context(
        {"svg.hashsalt": file.stem.partition("-")[0], "svg.fonttype": "none"}
    ):
        figure, axes = pyplot.subplots(figsize=size, layout="constrained")
        draw(axes)
        axes.grid(True, linewidth=0.4, alpha=0.6)
        axes.legend(frameon=False)
        figure.savefig(file, metadata={"Date": None})
        pyplot.close(figure)
