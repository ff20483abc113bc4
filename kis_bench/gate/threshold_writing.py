"""A thresholds.toml from what a run obtained, for others to keep."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

from kis_bench.errors import KisBenchError, UnknownName
from kis_bench.files.whole import write_whole
from kis_bench.gate.thresholds import higher_is_better, index_figures, wrong_metric
from kis_bench.gate.verdicts import Figure, shown
from kis_bench.metrics import KNOWN, USUALLY_WRITTEN, measure_name, name_measures
from kis_bench.results import Run
from kis_bench.results.merging import run_name

#: What is written unless metrics are named.
USUAL = name_measures(USUALLY_WRITTEN, few=True)
INTERVAL = "interval"


class Margin:
    """How far a figure may be from what a run obtained: a share such as 0.02, a part such as 5%, or ``interval``.

    A share is taken off recall, MRR and consistency, and says nothing of ranks; a part of the figure itself is taken
    off those, and added to ranks; ``interval`` goes to the worse end of the figure's 95% interval.
    """

    def __init__(self, text: str) -> None:
        self.text, self.part = text, text.endswith("%")
        self.size = math.nan
        if text != INTERVAL:
            try:
                self.size = float(text.removesuffix("%")) / (100 if self.part else 1)
            except ValueError:
                self.size = -1.0
            if not 0 <= self.size <= 1:
                good = f"a share from 0 to 1 such as 0.02, a part such as 5%, or {INTERVAL}"
                raise KisBenchError(f"--margin {text}: write {good}")

    def limit(self, metric: str, figure: Figure) -> tuple[str, float] | None:
        """``min`` or ``max`` and its value, rounded away from the figure; None where nothing could miss it."""
        rank = not higher_is_better(metric)
        if self.text == INTERVAL:
            worst = figure.high if rank else figure.low
        elif self.part:
            worst = (
                figure.value * (1 + self.size)
                if rank
                else figure.value - self.size * abs(figure.value)
            )
        elif rank:
            return None
        else:
            worst = figure.value - self.size
        if math.isnan(worst):
            return None
        if rank:
            return "max", math.ceil(worst * 10) / 10
        low = math.floor(worst * 1000 + 1e-9) / 1000
        return None if KNOWN[metric.partition("@")[0]].is_share and low <= 0 else ("min", low)


def write_thresholds(run: Run, file: Path, margin: Margin, metrics: Collection[str] = ()) -> int:
    """Writes a threshold for each cell of a run and each metric that it has; returns how many.

    Args:
        metrics: as in metrics.csv, recall with its cut-off; default: `USUAL`.

    Raises:
        KisBenchError: nothing to write, or a metric that is not known or that no cell has.
    """
    for metric in metrics:
        if said := wrong_metric(metric):
            raise KisBenchError(said.removeprefix("metric "))
        measured = [measure_name(x, k) for x in KNOWN for _, k in KNOWN[x].measures()]
        if metric not in measured:
            raise UnknownName("metric", metric, measured)
    parts, used = [], set()
    for key, rows in run.metrics.groupby(["dataset", "label_set", "model"], sort=False):
        figures = index_figures(rows)
        for metric in metrics or USUAL:
            if metric in figures and (limit := margin.limit(metric, figures[metric])) is not None:
                used.add(metric)
                parts.append(write_row(key, metric, figures[metric], *limit))
    if unused := [metric for metric in metrics if metric not in used]:
        unfit = (
            "; a rank needs a margin in percent, or interval"
            if not all(map(higher_is_better, unused))
            else ""
        )
        raise KisBenchError(
            f"{run_name(run)} has nothing of {', '.join(unused)} to make a threshold of{unfit}"
        )
    if not parts:
        raise KisBenchError(f"{run_name(run)} has no figures to make thresholds of")
    head = (
        f"# What run {run_name(run)} obtained, minus a margin of {margin.text}. A test fails whose figure misses its\n"
        "# threshold: pytest --kis-thresholds FILE --kis-strict. dataset, label_set and model may be patterns such as\n"
        '# "*".\n'
    )
    write_whole(file, "\n".join([head, *parts]).encode())
    return len(parts)


def write_row(key: Any, metric: str, figure: Figure, limit: str, value: float) -> str:
    import tomli_w

    names = {
        name: literal(str(text))
        for name, text in zip(("dataset", "label_set", "model"), key, strict=True)
    }
    own: dict[str, Any] = {name: text for name, text in names.items() if text} | {
        "metric": metric,
        limit: value,
    }
    interval = (
        ""
        if math.isnan(figure.low)
        else f", 95% {shown(metric, figure.low)} to {shown(metric, figure.high)}"
    )
    lines = tomli_w.dumps(own)
    return f"[[threshold]] # {shown(metric, figure.value)}{interval}\n{lines}"


def literal(name: str) -> str:
    """A name as a pattern that matches nothing else."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)
