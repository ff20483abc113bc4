"""One cell of a run against a baseline, on the same queries: better, same or worse, and on which queries."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from kis_bench.analysis.runs import changes, compare_runs, match_queries
from kis_bench.errors import KisBenchError, spell_option, unknown
from kis_bench.gate.baselines import list_cells, name_of_baseline, select_part
from kis_bench.gate.exact import exact
from kis_bench.gate.losses import find_fallen, find_lost
from kis_bench.gate.verdicts import (
    BASELINE,
    NEW,
    QUERY,
    RANK,
    SIGNIFICANCE,
    TOLERANCE,
    UNUSABLE,
    Cell,
    Row,
    is_of_judgments,
    move,
    row,
    shown,
)
from kis_bench.metrics import MRR, TESTABLE, USUALLY_TESTED, measure_name, name_measures
from kis_bench.records import Float64s, Source
from kis_bench.results import Run
from kis_bench.results.merging import MEANINGS, same_data, what_differs
from kis_bench.statistics import adjust_known
from kis_bench.statistics.clusters import describe_count

#: Names of what may be tested, and of what is unless measures are named.
MAY_BE_TESTED, TESTED = name_measures(TESTABLE), name_measures(USUALLY_TESTED)
DRIFT = re.compile(r"(\d+(?:\.\d+)?)(%?)")
#: Name of a measure and its k -> the queries or judgments that it fell by, in words, worst first.
Lost = Callable[[str, Any], Sequence[str]]


@dataclass(frozen=True)
class Rules:
    """What counts as worse."""

    alpha: float = 0.05  # rate of runs that fail although nothing is worse than noise makes it
    tolerance: float | None = None  # a share that falls by more fails, noise or not
    query_factor: float | None = None  # a query whose rank grows by a larger factor fails
    measures: tuple[str, ...] = TESTED
    exact: bool = False  # nothing may change: in place of all the others
    drift: str = (
        "0"  # by how many places a rank may change then; with % by which part of the old rank
    )
    incumbent: str = (
        ""  # the model of the baseline that all are compared with; "": the one of the same name
    )

    def __post_init__(self) -> None:
        problems = [
            said
            for said, wrong in (
                (
                    f"{spell_option('alpha')} {self.alpha:g}: must be above 0 and below 1",
                    not 0 < self.alpha < 1,
                ),
                (
                    f"{spell_option('tolerance')} {self.tolerance}: must be a share from 0 to 1, such as 0.02",
                    self.tolerance is not None and not 0 <= self.tolerance <= 1,
                ),
                (
                    f"{spell_option('query-factor')} {self.query_factor}: must be at least 1",
                    self.query_factor is not None and not 1 <= self.query_factor < np.inf,
                ),
                (
                    f"{spell_option('drift')} {self.drift}: write a number of places, or a part of the rank such as 1%",
                    not DRIFT.fullmatch(self.drift),
                ),
                *(
                    (
                        f"{spell_option('gate-metric')}: {unknown('metric', name, MAY_BE_TESTED)}",
                        name not in MAY_BE_TESTED,
                    )
                    for name in self.measures
                ),
            )
            if wrong
        ]
        if problems:
            raise KisBenchError("\n  ".join(problems))

    def allowed_drift(self, old: Float64s) -> Float64s:
        """By how many places each of the old ranks ``[q]`` may differ."""
        number, percent = DRIFT.fullmatch(self.drift).groups()  # type: ignore[union-attr]  # checked above
        return float(number) / 100 * old if percent else np.full(len(old), float(number))

    def measured(self, cell: Cell) -> tuple[str, ...]:
        """The measures that a cell of its kind can have."""
        return tuple(
            name for name in self.measures if is_of_judgments(name) == (not cell.label_set)
        )

    def judge(self, cell: Cell) -> bool:
        """Whether there is anything that a cell of its kind can fail by."""
        return (
            self.exact
            or bool(self.measured(cell))
            or bool(cell.label_set and self.query_factor is not None)
        )

    def of(self, cell: Cell) -> str:
        """The model of the baseline that a cell is compared with."""
        return self.incumbent or cell.model


def in_baseline(baseline: Run, rules: Rules, cell: Cell) -> bool:
    """Whether the baseline measured what a cell is compared with."""
    return cell._replace(model=rules.of(cell)) in list_cells(baseline)


def compare_cells(baseline: Run, new: Run, cell: Cell, rules: Rules, cells: int) -> list[Row]:
    """The verdicts on a cell.

    A measure is worse if its paired test says so, one-sided and at ``rules.alpha`` over the whole run: p is half of
    the two-sided one where the figure fell (both null distributions are symmetric), adjusted by Holm over the measures
    of the cell and times ``cells`` (Bonferroni), because each cell is judged before the others are known.

    Args:
        new: the cell alone, with what its provenance says.
        cells: how many cells this run compares.
    """
    old_model, source = rules.of(cell), name_of_baseline(baseline)
    if not rules.judge(cell):
        return []
    if not in_baseline(baseline, rules, cell):
        return [row(cell, BASELINE, source, "", f"{old_model} is not in the baseline", None, NEW)]
    old = select_part(baseline, [old_model], [cell.dataset], cell.label_set)
    if problem := unlike(old, new, cell):
        return [row(cell, BASELINE, source, "", problem, None, UNUSABLE)]
    if rules.exact:
        return exact(old, new, cell, rules.drift, rules.allowed_drift, source)
    measures = rules.measured(cell)
    # Of ranks the queries are compared in any case; a measure has to be named nevertheless.
    found = compare_runs(
        old, new, models=[(old_model, cell.model)], measures=measures or (MRR.name,)
    )
    mine = (found.figures["new_model"] == cell.model) & bool(measures)
    figures = found.figures[mine]
    by = partial(find_lost, old, new)
    return [
        *significance(figures, by, cell, rules, source, cells),
        *tolerance(figures, by, cell, rules, source),
        *query_factor(found.queries, cell, rules, source),
    ]


def unlike(old: Run, new: Run, cell: Cell) -> str:
    """Why a cell can't be compared with the baseline's; empty if it can."""
    a, b = ((run.provenance.get("datasets") or {}).get(cell.dataset) or {} for run in (old, new))
    problems = []
    if not same_data(a, b):
        problems.append(f"the dataset is another than the baseline's: {what_differs(a, b)}")
    if cell.label_set:
        problems.append(match_queries(*(run.ranks.set_index("query_id") for run in (old, new)))[1])
    elif a.get("image_similarity") != b.get("image_similarity"):
        option, (before, now) = (
            spell_option(MEANINGS["image_similarity"]),
            (x.get("image_similarity") for x in (a, b)),
        )
        problems.append(f"the baseline was measured with {option} {before}, this run with {now}")
    return "; ".join(problem for problem in problems if problem)


def significance(
    figures: pd.DataFrame, by: Lost, cell: Cell, rules: Rules, source: str, cells: int
) -> list[Row]:
    """A verdict for each measure; those that fail list the queries or judgments that this measure fell by."""
    p = figures["p"].to_numpy(np.float64)
    tested = ~np.isnan(p)
    fell = figures["difference"].to_numpy(np.float64) < 0
    one_sided = np.where(fell, p / 2, 1 - p / 2)
    adjusted = np.minimum(1.0, adjust_known(one_sided) * cells)
    rows = []
    for one, own in zip(figures.to_dict("records"), adjusted.tolist(), strict=True):
        metric = measure_name(one["metric"], one["k"])
        if (
            not is_of_judgments(metric)
            and cells * tested.sum() * 0.5 ** one["n_targets"] >= rules.alpha
        ):
            # Not even the loss of every query would be called worse; so that none is says nothing.
            asked = describe_count(one["n"], one["n_targets"])
            few = (
                f"not below {shown(metric, one['old'])} beyond noise, for which {asked} are too few"
            )
            rows.append(row(cell, SIGNIFICANCE, source, metric, few, one["new"], NEW))
            continue
        worse, expected = own < rules.alpha, f"not below {shown(metric, one['old'])} beyond noise"
        if np.isnan(own):
            rows.append(
                row(
                    cell,
                    SIGNIFICANCE,
                    source,
                    metric,
                    f"{expected}, for which there is no test",
                    one["new"],
                    NEW,
                )
            )
            continue
        names = by(one["metric"], one["k"]) if worse else ()
        rows.append(
            row(
                cell,
                SIGNIFICANCE,
                source,
                metric,
                expected,
                one["new"],
                not worse,
                p=own,
                queries=names,
            )
        )
    return rows


def tolerance(figures: pd.DataFrame, by: Lost, cell: Cell, rules: Rules, source: str) -> list[Row]:
    """A verdict for each measure, which lists as `significance` does; none without a tolerance."""
    if rules.tolerance is None:
        return []
    rows = []
    for one in figures.to_dict("records"):
        metric = measure_name(one["metric"], one["k"])
        least = one["old"] - rules.tolerance
        ok = one["new"] >= least - 1e-12  # 0.7 - 0.02 is not exactly 0.68
        expected = f"at least {shown(metric, least)}, {rules.tolerance:g} below {shown(metric, one['old'])}"
        names = () if ok else by(one["metric"], one["k"])
        rows.append(row(cell, TOLERANCE, source, metric, expected, one["new"], ok, queries=names))
    return rows


def query_factor(queries: pd.DataFrame, cell: Cell, rules: Rules, source: str) -> list[Row]:
    """One verdict: whether no query fell by a larger factor; lists those that did."""
    if rules.query_factor is None or not len(queries):
        return []
    fell = find_fallen(queries, cell)
    beyond = [one for one in fell if one[2] > rules.query_factor * one[1]]
    largest = fell[0][2] / fell[0][1] if fell else 1.0
    expected = f"no query's rank grows by more than {rules.query_factor:g} times"
    return [
        row(
            cell,
            QUERY,
            source,
            RANK,
            expected,
            largest,
            not beyond,
            queries=[move(*query) for query in beyond],
        )
    ]


def what_changed(baseline: Run, new: Run, cell: Cell, rules: Rules) -> list[str]:
    """What provenance says was other when the baseline was measured, in words, such as ``torch: 2.4 → 2.5``."""
    old = select_part(baseline, [rules.of(cell)], [cell.dataset], cell.label_set)
    incumbent = (old.provenance.get("models") or {}).get(rules.of(cell), {})
    old = dataclasses.replace(old, provenance={**old.provenance, "models": {cell.model: incumbent}})
    known = {key: value for key, value in old.provenance.items() if key in new.provenance}
    lines = []
    for one in changes(dataclasses.replace(old, provenance=known), new).to_dict("records"):
        name = " ".join(part for part in (one["what"], one["name"], one["fact"]) if part)
        before, after = (plain_fact(one[side]) for side in ("old", "new"))
        if one["fact"] == "source":  # without folders, which a private run has no more
            before, after = (
                None if each is None else Source.read(str(each)).short_name
                for each in (before, after)
            )
        # What only one of them says is told elsewhere: a cell has only its own half of what a run says of a dataset.
        if before is not None and after is not None and before != after:
            lines.append(
                f"{name.removeprefix('version ').replace('run git', 'git commit')}: {before} → {after}"
            )
    return lines


def plain_fact(value: Any) -> str | int | float | None:
    """A fact of provenance as one value, of a repository its commit; None for lists, tables and nothing."""
    fact = value.get("commit") if isinstance(value, Mapping) else value
    return (
        fact if isinstance(fact, str | int | float) and fact == fact else None
    )  # NaN stands for nothing
