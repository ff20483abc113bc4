"""What combinations gain, what another label set gains, and what a larger collection costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kis_bench.report.combinations import combination, members, method
from kis_bench.report.numbers import missing, signed
from kis_bench.report.plots import MOST_BANDS, STYLE, WIDTH, calm, fitting, log_axis, new_figure, save_figure

SHOWN = 12
REAL, BOUND = "#0072B2", "#D55E00"
SMALL = {**STYLE, "font.size": 8, "axes.linewidth": 0.7}
MEASURES = {"mrr": "MRR", "recall": "recall"}


def draw_gains(gains: pd.DataFrame, stem: Path) -> None:
    """The best combinations over the best single model under one measure, and hollow the oracle of the same models.

    Args:
        gains: rows of one condition and measure, as :func:`kis_bench.analysis.combinations.gains` gives them;
        ``dataset``,
            ``label_set``, ``metric``, ``k``, ``parameter`` and ``best_single`` may be absent.

    Raises:
        ValueError: there is no row.
    """
    import matplotlib
    from matplotlib.lines import Line2D

    if gains.empty:
        raise ValueError("no combination to draw")
    real = gains[gains["kind"] == "achievable"].sort_values("value", ascending=False, kind="stable").head(SHOWN)
    bounds = gains[gains["kind"] == "bound"].sort_values("value", ascending=False, kind="stable")
    bound = {frozenset(members(row)): row["gain"] for _, row in bounds.iterrows()}
    rows = [row for _, row in (real if len(real) else bounds.head(SHOWN)).iterrows()]
    with matplotlib.rc_context(SMALL):
        figure = new_figure(WIDTH, 1.15 + 0.31 * max(2, len(rows)))
        axes = figure.subplots()
        axes.axvline(0, color="#777777", linewidth=1)
        for place, row in enumerate(rows):
            hollow = bound.get(frozenset(members(row)))
            if hollow is not None:
                axes.plot(hollow, place, "o", markerfacecolor="white", markeredgecolor=BOUND, markersize=7, zorder=3)
            if len(real):
                axes.hlines(place, row["gain_low"], row["gain_high"], color=REAL, linewidth=1.6, zorder=4)
                axes.plot(row["gain"], place, "o", color=REAL, markersize=4.5, zorder=5)
        names = [f"{fitting(combination(row), 2.7, 6.5)}\n{_way(row)}" for row in rows]
        axes.set_yticks(range(len(rows)), names, fontsize=6.5)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        calm(axes)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_formatter(lambda value, _: signed(value, 3) if abs(value) > 1e-9 else "0")
        axes.xaxis.get_major_locator().set_params(nbins=8)
        best = fitting(_first(gains, "best_single", "the best single model"), 1.9, 8)
        axes.set_xlabel(f"gain of {_measure(gains)} over {best}")
        marks = [
            (Line2D([], [], color=REAL, marker="o", markersize=4.5, linewidth=1.6), "achievable, with 95% interval"),
            (Line2D([], [], color=BOUND, marker="o", markersize=7, markerfacecolor="white", linewidth=0),
             "oracle: the better rank of each query; bounds choices between lists, not fused ones"),
        ]  # fmt: skip
        shown = [mark for mark, used in zip(marks, (len(real), len(bound)), strict=True) if used]
        figure.legend([m for m, _ in shown], [text for _, text in shown], loc="outside lower left", ncols=2,
                      fontsize=7, frameon=False)  # fmt: skip
        save_figure(figure, f"{_about(gains)}what combinations gain", stem, size=9)


def _way(row: Any) -> str:
    return method({"method": row["method"], "parameter": row.get("parameter")})


def _first(table: pd.DataFrame, column: str, otherwise: str = "") -> str:
    return str(table[column].iloc[0]) if column in table and not missing(table[column].iloc[0]) else otherwise


def _measure(table: pd.DataFrame) -> str:
    name, k = _first(table, "metric", "mrr"), _first(table, "k")
    return MEASURES.get(name, name.replace("_", " ")) + (f"@{int(float(k))}" if k else "")


def _about(table: pd.DataFrame, *columns: str) -> str:
    said = ", ".join(_first(table, column) for column in columns or ("dataset", "label_set"))
    return f"{fitting(said, 2.8, 9, 'bold')}: " if said.strip(", ") else ""


def draw_growth(growth: pd.DataFrame, style: Mapping[str, tuple[str, Any]], stem: Path) -> None:
    """Recall@k against the size of the collection: solid within it, dashed where it is extrapolated.

    Args:
        growth: rows of one condition, as :func:`kis_bench.analysis.growth.growth` gives them; the models in the
        legend's order.
            Of many models only the first and the last have bands.
    """
    import matplotlib

    ks, models = list(dict.fromkeys(growth["k"])), list(dict.fromkeys(growth["model"]))
    here = int(growth.loc[~growth["extrapolated"], "size"].max())
    bands = models if len(models) <= MOST_BANDS else [models[0], models[-1]]
    width = max(4.4, WIDTH * min(1.0, len(ks) / 2))
    columns = 3 if width >= WIDTH else 2
    with matplotlib.rc_context(SMALL):
        figure = new_figure(width, 2.9 + 0.15 * -(-len(models) // columns))
        panels = figure.subplots(1, len(ks), squeeze=False, sharey=True)[0]
        for axes, k in zip(panels, ks, strict=True):
            for model in models:
                rows = growth[(growth["k"] == k) & (growth["model"] == model)].sort_values("size")
                _grown(axes, rows, here, style[str(model)], band=model in bands)
            ends = growth["size"].min(), max(growth["size"].max(), growth["size"].min() + 1)
            log_axis(axes, *ends)
            axes.set_ylim(0, 101)
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f}%")
            axes.set_xlabel("items in the collection (log scale)", fontsize=7)
            calm(axes)
            axes.set_title(f"recall@{k}", fontsize=8, loc="left")
            axes.axvline(here, color="#777777", linewidth=0.9)
            if growth["extrapolated"].any():
                axes.axvspan(here, ends[1], color="#f4f4f4", zorder=0)
                axes.set_title("extrapolated", fontsize=7, loc="right", color="#555555")
        names = [fitting(model, width / columns - 0.6, 7) for model in models]
        lines = [line for line in panels[0].lines if line.get_gid() == "inside"]
        few = "" if len(bands) == len(models) else " of the first and the last model"
        note = (
            f"Bands{few}: 95% intervals up to the line, where the collection ends;\ndashed beyond it, with what two "
            "opposite assumptions about further pictures give."
        )
        figure.legend(lines, names, title=note, title_fontsize=6.5, alignment="left", loc="outside lower left",
                      ncols=columns, fontsize=7, frameon=False, handlelength=2.6)  # fmt: skip
        save_figure(figure, f"{_about(growth)}recall in smaller and larger collections", stem, size=9)


def _grown(axes: Any, rows: pd.DataFrame, here: int, look: tuple[str, Any], *, band: bool) -> None:
    """One model: exact up to the size of the collection, from there on extrapolated."""
    inside, beyond = rows[~rows["extrapolated"]], rows[rows["size"] >= here]
    for part, low, high, strength in ((inside, "ci_low", "ci_high", 0.15), (beyond, "low", "high", 0.12)):
        if band:
            limits = (100 * part[low].astype(float), 100 * part[high].astype(float))
            axes.fill_between(part["size"], *limits, color=look[0], alpha=strength, linewidth=0)
    axes.plot(inside["size"], 100 * inside["value"], color=look[0], linestyle=look[1], linewidth=1.4, gid="inside")
    axes.plot(beyond["size"], 100 * beyond["value"], color=look[0], linestyle=(0, (2, 1.6)), linewidth=1.0)


def draw_label_sets(rows: pd.DataFrame, style: Mapping[str, tuple[str, Any]], stem: Path) -> None:
    """Each model under label set a (hollow) and b (filled), and the difference with its interval; best under b on top.

    Args:
        rows: one per model, of one pair of label sets and one measure, as
            :func:`kis_bench.analysis.label_sets.compare_label_sets` gives them: ``model``, ``value_a``, ``value_b``;
            ``ci_low`` and ``ci_high`` of the difference and what names things (``dataset``, ``label_set_a``,
            ``label_set_b``, ``metric``, ``k``, ``n``) may be absent.

    Raises:
        ValueError: there is no row, or more than one of a model.
    """
    import matplotlib
    from matplotlib.lines import Line2D

    if rows.empty or rows["model"].duplicated().any():
        raise ValueError("one row for each model is needed, of one measure and one pair of label sets")
    ordered = rows.sort_values("value_b", ascending=False, kind="stable").reset_index(drop=True)
    shares = _first(rows, "metric") == "recall"
    scale, places = 100 if shares else 1, np.arange(len(ordered))
    values = scale * ordered[["value_a", "value_b"]].to_numpy(float)
    with matplotlib.rc_context(SMALL):
        figure = new_figure(WIDTH, 1.2 + 0.22 * max(3, len(ordered)))
        left, right = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": [3, 2]})
        for place, model, (a, b) in zip(places, ordered["model"], values, strict=True):
            colour = style[str(model)][0]
            left.plot([a, b], [place, place], color=colour, linewidth=1.6, alpha=0.5)
            left.plot(a, place, "o", markerfacecolor="white", markeredgecolor=colour, markersize=6.5)
            left.plot(b, place, "o", color=colour, markersize=5)
            right.plot(b - a, place, "o", color=colour, markersize=4.5)
            if "ci_low" in ordered and not missing(ordered["ci_low"][place]):
                ends = (scale * float(ordered[end][place]) for end in ("ci_low", "ci_high"))
                right.hlines(place, *ends, color=colour, linewidth=1.6)
        right.axvline(0, color="#777777", linewidth=1)
        left.set_yticks(places, [fitting(model, 1.9, 7) for model in ordered["model"]], fontsize=7)
        left.set_ylim(len(ordered) - 0.4, -0.6)
        for axes in (left, right):
            calm(axes)
            axes.tick_params(axis="y", length=0)
            axes.xaxis.get_major_locator().set_params(nbins=5)
        if shares:
            left.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}%")
        left.set_xlabel(_measure(rows))
        interval = ", 95% interval" if "ci_low" in rows else ""
        right.set_xlabel(f"difference{', points' if shares else ''}{interval}", fontsize=7.5)
        names = [fitting(_first(rows, f"label_set_{each}", each), 1.1, 9, "bold") for each in "ab"]
        grey: Any = {"color": "#555555", "marker": "o", "markersize": 5, "linewidth": 0}
        marks = [Line2D([], [], **grey, markerfacecolor="white"), Line2D([], [], **grey)]
        figure.legend(marks, names, loc="outside lower left", ncols=2, fontsize=7, frameon=False)
        n = f"{int(rows['n'].iloc[0]):,} " if "n" in rows else ""
        save_figure(figure, f"{_about(rows, 'dataset')}{' and '.join(names)} on the same {n}targets", stem, size=9)
