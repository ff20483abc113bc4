"""thresholds.toml: what figures have to reach, for datasets, label sets and models by name or pattern."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pandas as pd

from kis_bench.errors import BadFile, unknown
from kis_bench.files.toml_tables import read_toml
from kis_bench.gate.verdicts import THRESHOLD, Cell, Figure, Row, is_of_judgments, row, shown
from kis_bench.metrics import KNOWN, Measure, measure_name

PATTERNS = ("dataset", "label_set", "model")
THRESHOLD_KEYS = (*PATTERNS, "metric", "min", "max", "on")
ON = {"value": "value", "ci_low": "low", "ci_high": "high"}  #: as written -> of a Figure
_HEADER = re.compile(r"\s*\[\[\s*(threshold|\"threshold\"|'threshold')\s*\]\]")
_KEY = re.compile(r"""\s*["']?([\w-]+)["']?\s*=""")


@dataclass(frozen=True)
class Threshold:
    """A figure's least or largest allowed value. The patterns are those of shells: ``*``, ``?``, ``[abc]``."""

    metric: str  # as in metrics.csv, recall with its cut-off: recall@10
    dataset: str = "*"
    label_set: str = "*"
    model: str = "*"
    min: float | None = None
    max: float | None = None
    on: str = "value"  # or ci_low, ci_high: the end of the 95% interval that has to keep it
    file: str = ""  # that says so
    place: str = ""  # and where in it, such as "line 12"

    def matches(self, cell: Cell) -> bool:
        """Whether it is about a cell; figures of judgments exist only where the label set is ""."""
        return is_of_judgments(self.metric) == (not cell.label_set) and all(
            fnmatchcase(getattr(cell, key), getattr(self, key)) for key in PATTERNS
        )

    @property
    def source(self) -> str:
        return f"{self.file}, {self.place}"

    @property
    def expected(self) -> str:
        ends = [(self.min, "at least"), (self.max, "at most")]
        limits = " and ".join(
            f"{word} {shown(self.metric, value)}" for value, word in ends if value is not None
        )
        return (
            limits
            if self.on == "value"
            else f"{limits} for the {'low' if self.on == 'ci_low' else 'high'}er end"
        )

    def judged(self, cell: Cell, figure: Figure, ranks: pd.DataFrame | None = None) -> Row:
        """The verdict on a figure of a cell that this threshold matches; an unknown one fails.

        Args:
            ranks: the cell's own, of which the worst queries are named if the figure isn't good enough.
        """
        value = getattr(figure, ON[self.on])
        ok = (self.min is None or value >= self.min) and (self.max is None or value <= self.max)
        higher = higher_is_better(self.metric)
        limit = self.min if higher else self.max
        bad = limit is not None and (value < limit if higher else value > limit)
        interval, named = (
            (figure.low, figure.high),
            list_worst_queries(self.metric, ranks, limit) if bad else (),
        )
        source, value = self.source, figure.value
        return row(
            cell,
            THRESHOLD,
            source,
            self.metric,
            self.expected,
            value,
            ok,
            interval=interval,
            queries=named,
        )

    def __str__(self) -> str:
        which = ", ".join(
            f"{key} {getattr(self, key)}" for key in PATTERNS if getattr(self, key) != "*"
        )
        return f"{self.source}: {self.metric} {self.expected}{f' ({which})' if which else ''}"


def higher_is_better(metric: str) -> bool:
    return KNOWN[metric.partition("@")[0]].higher_is_better


def check(
    thresholds: Iterable[Threshold],
    cell: Cell,
    figures: Mapping[str, Figure],
    ranks: pd.DataFrame | None = None,
) -> list[Row]:
    """The verdicts of all thresholds on a cell for whose metric it has a figure; ``ranks`` are the cell's own."""
    mine = (one for one in thresholds if one.matches(cell) and one.metric in figures)
    return [one.judged(cell, figures[one.metric], ranks) for one in mine]


def list_worst_queries(metric: str, ranks: pd.DataFrame | None, limit: float | None) -> list[str]:
    """The queries that keep a figure of ranks from being better, those of the largest rank first.

    For recall these are the ones not, or by a tie not surely, among the first k; for means those not in first place;
    for a quantile of the ranks those beyond its limit.
    """
    name, _, k = metric.partition("@")
    known = KNOWN[name]
    if known.of_judgments or ranks is None or not len(ranks):
        return []
    prefix = name.removesuffix(known.name)
    beyond, at = f"{prefix}rank", 1.0
    if known.kind == "proportion":
        beyond, at = f"{prefix}rank_worst", float(k)
    elif known.kind == "quantile" and limit is not None:
        at = float(limit)
    bad = ranks[ranks[beyond].astype("float64") > at]
    bad = bad.sort_values([f"{prefix}rank", "query_id"], ascending=[False, True], kind="stable")
    return [
        f"{query}: rank {rank:,.6g}"
        for query, rank in zip(bad["query_id"], bad[f"{prefix}rank"], strict=True)
    ]


def list_measures(thresholds: Iterable[Threshold]) -> list[Measure]:
    """Measures with a cut-off that these are about."""
    parts = (one.metric.partition("@") for one in thresholds)
    return [(name, int(k)) for name, _, k in parts if k]


def index_figures(metrics: pd.DataFrame) -> dict[str, Figure]:
    """Of the rows of metrics.csv of one cell: name of a metric, recall with its cut-off -> figure."""
    return {
        measure_name(metric, k): Figure(float(value), float(low), float(high))
        for metric, k, value, low, high in metrics[
            ["metric", "k", "value", "ci_low", "ci_high"]
        ].itertuples(index=False, name=None)
    }


def read_thresholds(file: Path, named: str = "") -> tuple[Threshold, ...]:
    """The rows of a thresholds.toml, in its order.

    Args:
        named: how the file is called in verdicts; default: its name.

    Raises:
        BadFile: with the line of every problem, and what was probably meant.
    """
    content = read_toml(file)
    rows = content.get("threshold", [])
    problems = [
        f"{unknown('key', key, ['threshold'])}; thresholds are declared as [[threshold]]"
        for key in content
        if key != "threshold"
    ]
    if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
        raise BadFile(
            file, [*problems, "threshold is not a list of tables; declare each as [[threshold]]"]
        )
    if not rows and not problems:
        problems.append("there is no [[threshold]] in it, so nothing would be checked")
    lines = find_lines(file.read_text(encoding="utf-8-sig"), len(rows))
    found = []
    for number, (own, at) in enumerate(zip(rows, lines, strict=True), start=1):
        place = f"[[threshold]] {number}"
        wrong = find_problems(own)
        problems += [
            f"line {at.get(key, at[''])}: {said}" if at else f"{place}: {said}"
            for key, said in wrong
        ]
        if not wrong:
            found.append(
                Threshold(**own, file=named or file.name, place=f"line {at['']}" if at else place)
            )
    if problems:
        raise BadFile(file, problems)
    return tuple(found)


def find_lines(text: str, tables: int) -> list[dict[str, int]]:
    """For each [[threshold]] the line of every key, and its own under ""; empty where they can't be told."""
    found: list[dict[str, int]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if _HEADER.match(line):
            found.append({"": number})
        elif found and (key := _KEY.match(line)):
            found[-1].setdefault(key[1], number)
    return found if len(found) == tables else [{}] * tables


def find_problems(own: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(key, what is wrong with it) of one table."""
    wrong = [(key, unknown("key", key, THRESHOLD_KEYS)) for key in own if key not in THRESHOLD_KEYS]
    wrong += [
        (key, f"{key} is not a text in quotes")
        for key in (*PATTERNS, "metric", "on")
        if not isinstance(own.get(key, ""), str)
    ]
    if wrong:
        return wrong
    metric = own.get("metric")
    if metric is None:
        return [("", 'metric is missing, such as "recall@10"')]
    if said := wrong_metric(metric):
        return [("metric", said)]
    if own.get("on", "value") not in ON:
        wrong.append(("on", unknown("bound", own["on"], ON)))
    limits = {key: own[key] for key in ("min", "max") if key in own}
    if not limits:
        wrong.append(("", f"neither min nor max is given, so {metric} may be anything"))
    for key, value in limits.items():
        wrong += [(key, said) for said in wrong_limit(metric, key, value)]
    if len(limits) == 2 and not wrong and limits["min"] > limits["max"]:
        wrong.append(("min", f"min {limits['min']} is above max {limits['max']}"))
    return wrong


def wrong_metric(metric: str) -> str:
    """What is wrong with the name of a metric; empty if nothing is."""
    name, at, k = metric.partition("@")
    known = KNOWN.get(name)
    if known is None or (at and not known.cutoffs):
        return unknown("metric", metric, [f"{x}@K" if KNOWN[x].cutoffs else x for x in KNOWN])
    if known.cutoffs and not re.fullmatch("[1-9][0-9]{0,8}", k):
        return f"metric {metric!r}: write {name} with its cut-off, such as {name}@10"
    return ""


def wrong_limit(metric: str, key: str, value: Any) -> list[str]:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        return [f"{key} = {repr(value)[:40]} is not a number that a figure can be"]
    known = KNOWN[metric.partition("@")[0]]
    if known.is_share and not 0 <= value <= 1:
        return [
            f"{key} = {value}: {metric} is a share from 0 to 1"
            + (f"; {value / 100:g}?" if value <= 100 else "")
        ]
    if known.format == "rank" and value < 1:
        return [f"{key} = {value}: ranks count from 1"]
    return []


def unmatchable(
    thresholds: Sequence[Threshold],
    datasets: Mapping[str, Collection[str] | None],
    models: Collection[str] | None,
    studies: Collection[str] = (),
) -> list[str]:
    """What is wrong with thresholds that no cell of a suite can ever match.

    Args:
        datasets: name -> its label sets, None where nobody knows them because it isn't here.
        models: all names that are declared or asked for; None: some are known only once their functions have run.
        studies: datasets with judgments that aren't here, whose extractors nobody knows.
    """
    problems = []
    for one in thresholds:
        mine = [name for name in datasets if fnmatchcase(name, one.dataset)]
        sets = [datasets[name] for name in mine]
        if not mine:
            problems.append(f"{one.place}: {unknown('dataset', one.dataset, datasets)}")
        elif None not in sets:
            judged = is_of_judgments(one.metric)
            known = {
                label_set for some in sets for label_set in some or () if judged == (not label_set)
            }
            if not known:
                what = "judgments" if judged else "queries"
                problems.append(
                    f"{one.place}: {one.metric} is of {what}, which {', '.join(mine)} has none of"
                )
            elif not any(fnmatchcase(label_set, one.label_set) for label_set in known):
                problems.append(
                    f"{one.place}: {unknown('label set', one.label_set, known)} in {', '.join(mine)}"
                )
        extractor = is_of_judgments(one.metric) and any(
            fnmatchcase(name, one.dataset) for name in studies
        )
        if (
            not extractor
            and models is not None
            and not any(fnmatchcase(name, one.model) for name in models)
        ):
            problems.append(f"{one.place}: {unknown('model', one.model, models)}")
    return problems
