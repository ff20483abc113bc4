"""Writes the tables and draws the plots of docs/speed.md from what was measured: ``python tools/speed.py``.

``docs/speed.csv`` is what ``benchmarks/test_throughput.py`` wrote; nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import matplotlib
from curves import STYLES, save_plot
from matplotlib.axes import Axes
from pages import write_page, write_table

from kis_bench.suite.measured_rows import read_measured

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE, FILE, MARK = DOCS / "speed.md", DOCS / "speed.csv", "speed"
HEAD = ["work", "queries x items x numbers", "against", "ratio", "lowest to highest", "aim"]
HEAD += ["seconds", "verified", "remarks"]
Rows = list[dict[str, str]]


def write_cells(row: dict[str, str]) -> list[str]:
    """The cells of a measurement in the table of all figures."""
    sizes = [f"{int(row[name]):,}" for name in ("queries", "items", "dim") if row[name]]
    if row["vectors"] not in ("", "1"):
        sizes[-1] = f"{row['vectors']} x {sizes[-1]}"
    clock = "" if row["clock"] == "CPU" else f" by the {row['clock']} clock"
    remarks = [f"{row['threads']} threads" if row["threads"] != "1" else "", row["note"]]
    if row["models"]:
        remarks.append(f"{row['models']} models")
    if row["own_mib"]:
        remarks.append(f"memory {float(row['own_mib']):.0f} MiB")
    return [
        row["work"],
        " x ".join(sizes),
        row["against"],
        format_ratio(row["ratio"]),
        f"{format_ratio(row['lowest'])} to {format_ratio(row['highest'])} of {row['rounds']}",
        format_ratio(row["at_least"]) if row["at_least"] else "",
        f"{float(row['seconds']):.3g}{clock}",
        row["verified"],
        "; ".join(filter(None, remarks)),
    ]


def format_ratio(number: str) -> str:
    value = float(number)
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def write_figures(rows: Rows) -> str:
    """A table for each part of what was measured, but for the curves a row for each work."""
    parts = []
    for part in dict.fromkeys(row["part"] for row in rows):
        own = [row for row in rows if row["part"] == part]
        own.sort(key=find_place)
        table = write_table(HEAD, [*map(write_cells, own)])
        parts.append(f"### {part.capitalize()}\n\n{table}")
    return "\n\n".join(parts)


def find_place(row: dict[str, str]) -> tuple[bool, int, int]:
    """Sorts works as they were measured, and behind them the curves by queries and items."""
    curve = row["work"] == "curve"
    return (curve, int(row["queries"]), int(row["items"])) if curve else (curve, 0, 0)


def write_machine(rows: Rows) -> str:
    """On what and when it was measured."""
    machines, days, software = (
        list(dict.fromkeys(row[name] for row in rows)) for name in ("machine", "day", "made_with")
    )
    parts = sorted({part for each in software for part in each.split("; ")})
    return (
        f"Measured on {' and '.join(machines)}, on {' and '.join(days)}, with {', '.join(parts)}."
    )


def draw_product(axes: Axes, curve: Rows) -> None:
    """The product by ranking, a line for each number of queries."""
    own = [row for row in curve if row["against"] == "product"]
    queries = sorted({int(row["queries"]) for row in own})
    for q, (colour, mark) in zip(queries, STYLES, strict=False):
        some = sort_by_items(row for row in own if int(row["queries"]) == q)
        items = [int(row["items"]) for row in some]
        lowest, highest = ([float(row[name]) for row in some] for name in ("lowest", "highest"))
        axes.fill_between(items, lowest, highest, color=colour, alpha=0.15, linewidth=0)
        ratios = [float(row["ratio"]) for row in some]
        axes.plot(items, ratios, color=colour, marker=mark, label=f"{q:,} queries")
    axes.set(ylabel="product / ranking, CPU seconds", ylim=(0, 1.1))
    axes.axhline(1, color="grey", linewidth=0.8)


def draw_queries(axes: Axes, curve: Rows) -> None:
    """Queries a CPU second of kis-bench and of peers, where they are most."""
    most = max(
        {int(row["queries"]) for row in curve},
        key=lambda q: (len({row["items"] for row in curve if int(row["queries"]) == q}), q),
    )
    own = [row for row in curve if int(row["queries"]) == most]
    speeds: dict[str, list[tuple[int, float]]] = {}
    for row in sort_by_items(own):
        ratio = 1.0 if row["against"] == "product" else float(row["ratio"])
        name = "kis-bench, exact ranks" if row["against"] == "product" else row["against"]
        speeds.setdefault(name, []).append(
            (int(row["items"]), most / (ratio * float(row["seconds"])))
        )
    for (name, points), (colour, mark) in zip(speeds.items(), STYLES, strict=True):
        axes.plot(*zip(*points, strict=True), color=colour, marker=mark, label=name)
    axes.set(ylabel="queries a CPU second", yscale="log", title=f"{most:,} queries")


def sort_by_items(rows: Iterable[dict[str, str]]) -> Rows:
    return sorted(rows, key=lambda row: int(row["items"]))


#: Name of a part of the page -> what writes it; name of a plot -> what draws it.
WRITERS: dict[str, Callable[[Rows], str]] = {"figures": write_figures, "machine": write_machine}
PLOTS: dict[str, Callable[[Axes, Rows], None]] = {
    "speed-product.svg": draw_product,
    "speed-queries.svg": draw_queries,
}


def make_writers(rows: Rows) -> dict[str, Callable[[], str]]:
    return {name: partial(write, rows) for name, write in WRITERS.items()}


def draw_plots(rows: Rows, folder: Path) -> None:
    """Draws the curves, always the same for the same measurements."""
    curve = [row for row in rows if row["work"] == "curve"]
    for name, draw in PLOTS.items():

        def draw_curve(axes: Axes, draw: Callable[[Axes, Rows], None] = draw) -> None:
            draw(axes, curve)
            axes.set(xscale="log", xlabel="items, of 512 numbers")

        save_plot(draw_curve, folder / name)


def main() -> None:
    matplotlib.use("svg")
    rows = read_measured(FILE)
    draw_plots(rows, DOCS)
    write_page(PAGE, MARK, make_writers(rows))


if __name__ == "__main__":
    main()
