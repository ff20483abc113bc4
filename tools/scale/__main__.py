"""Measures what growing collections cost, and writes docs/scale.md: ``python tools/scale measure|simulate|page``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # this folder's modules, and those that tools share

import growth  # noqa: E402
import page  # noqa: E402
from curves import save_plot  # noqa: E402
from pages import write_page  # noqa: E402

from kis_bench.suite.measured_rows import read_measured  # noqa: E402

DOCS = HERE.parents[1] / "docs"
PAGE, MARK, PLOT = DOCS / "scale.md", "scale", DOCS / "scale-growth.svg"
FILES = GROWTH, SCHEDULE, SPEED = (
    DOCS / "scale.csv",
    DOCS / "scale-schedule.csv",
    DOCS / "speed.csv",
)


def make_writers() -> dict[str, Callable[[], str]]:
    measured = [*map(read_measured, FILES)]
    return {name: partial(write, *measured) for name, write in page.WRITERS.items()}


def draw_plot(file: Path) -> None:
    save_plot(partial(page.draw_growth, costs=read_measured(GROWTH)), file)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python tools/scale", description=__doc__)
    steps = parser.add_subparsers(dest="step", required=True)
    measure = steps.add_parser("measure", help="write docs/scale.csv")
    measure.add_argument(
        "--most", type=int, default=1_000_000, help="items of the largest collection"
    )
    measure.add_argument("--scratch", type=Path, help="folder for stores, of 2 kB an item")
    steps.add_parser("simulate", help="write docs/scale-schedule.csv; needs kis-bench[ray]")
    steps.add_parser("page", help="write docs/scale.md and its plot")
    asked = parser.parse_args()
    if asked.step == "measure":
        growth.measure_growth(growth.list_sizes(asked.most), GROWTH, asked.scratch)
    elif asked.step == "simulate":
        import schedule  # needs Ray

        schedule.simulate_all(SCHEDULE)
    else:
        draw_plot(PLOT)
        write_page(PAGE, MARK, make_writers())


if __name__ == "__main__":
    main()
