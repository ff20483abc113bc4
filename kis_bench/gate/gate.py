"""A run's cells before its thresholds and its baseline, one after the other, and whether all of them came."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from kis_bench.analysis.runs import list_models
from kis_bench.errors import spell_option
from kis_bench.gate.baselines import list_cells, name_of_baseline
from kis_bench.gate.rules import Rules, compare_cells, in_baseline, what_changed
from kis_bench.gate.thresholds import Threshold, check, index_figures, list_measures
from kis_bench.gate.verdicts import (
    FAIL,
    PASS,
    SIGNIFICANCE,
    THRESHOLD,
    UNUSABLE,
    Cell,
    Row,
    failures,
    told,
)
from kis_bench.results import Run
from kis_bench.results.figures import metrics_table
from kis_bench.results.folder import run_of

CHANGES_SHOWN = 8
#: A cell that a test of this session stands for; where the dataset isn't there the label set is None, and the model of
#: a study's extractors "*".
Selected = tuple[str, str, "str | None"]


@dataclass
class Gate:
    """What a session's cells are judged by."""

    thresholds: tuple[Threshold, ...]
    baseline: Run | None
    rules: Rules
    surroundings: dict[str, Any] = field(
        default_factory=dict
    )  # of provenance: versions, git, device of this run
    selected: list[Selected] = field(default_factory=list)
    asked: bool = True  # for this run, not for all of a project by a file

    @cached_property
    def cells(self) -> int:
        """How many cells of this session are compared with the baseline, for which their tests are adjusted."""
        base = self.baseline
        if base is None:
            return 0
        known = (one for one in dict.fromkeys(self.selected) if one[2] is not None)
        cells = [Cell(model, dataset, str(label_set)) for model, dataset, label_set in known]
        return max(
            1, sum(self.rules.judge(cell) and in_baseline(base, self.rules, cell) for cell in cells)
        )

    def called(self, row: str, name: str) -> None:
        """Learns the name that the object of a function gives itself, where no table named it."""
        self.selected = [
            (name if model == row else model, dataset, labels)
            for model, dataset, labels in self.selected
        ]
        self.__dict__.pop("cells", None)

    def judged(
        self, cell: Cell, provenance: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]
    ) -> tuple[list[Row], list[str]]:
        """The verdicts on a cell, of which there are provenance and tables of a run; and what to say if it fails."""
        new = run_of(Path("this run"), {**provenance, **self.surroundings}, **tables)
        rows: list[Row] = []
        if any(one.matches(cell) for one in self.thresholds):
            metrics = (
                metrics_table(new.ranks, list_measures(self.thresholds))
                if cell.label_set
                else new.metrics
            )
            rows += check(self.thresholds, cell, index_figures(metrics), new.ranks)
        if self.baseline is not None:
            # A test that chose its model itself wasn't counted; there may be as many as the baseline has.
            foreign = len(list_cells(self.baseline)) if tuple(cell) not in self.selected else 0
            rows += compare_cells(self.baseline, new, cell, self.rules, self.cells + foreign)
        return rows, self.failure(cell, rows, new)

    def failure(self, cell: Cell, rows: Sequence[Row], new: Run) -> list[str]:
        """Lines of a message, most important first; none if nothing failed."""
        said = told(rows)
        if not said:
            return []
        lines = [f"{cell}: {said[0]}", *(f"  {line}" for line in said[1:])]
        if self.baseline is not None and any(
            one["judged_by"] == name_of_baseline(self.baseline) for one in failures(rows)
        ):
            found = what_changed(self.baseline, new, cell, self.rules)
            shown = "; ".join(found[:CHANGES_SHOWN]) or "nothing that is recorded"
            more = f"; and {len(found) - CHANGES_SHOWN} more" if len(found) > CHANGES_SHOWN else ""
            lines.append(
                f"  changed since the baseline {name_of_baseline(self.baseline)}: {shown}{more}"
            )
        return lines

    def not_judged(self, rows: Collection[Row]) -> list[str]:
        """What a gate was given for but nothing was measured, so that it can't be said to have passed.

        Only what this session was asked to run counts: ``-k`` and the like leave things out by intention. But if
        nothing at all was judged by the thresholds, or by the baseline, that is no passing gate either, unless they
        stand in a file for every run of a project.
        """
        done = [
            Cell(one["model"], one["dataset"], one["label_set"])
            for one in rows
            if one["rule"] != THRESHOLD
        ]
        used = {one["judged_by"] for one in rows if one["rule"] == THRESHOLD}
        problems = []
        for one in self.thresholds:
            asked = any(
                one.matches(
                    Cell(
                        one.model if model == "*" else model,
                        dataset,
                        one.label_set if labels is None else labels,
                    )
                )
                for model, dataset, labels in self.selected
            )
            if one.source not in used and asked:
                problems.append(f"no figure was measured for the threshold {one}")
        if self.asked and self.thresholds and not used and not problems:
            problems.append("none of the thresholds is about what was run")
        if self.baseline is not None:
            absent = [cell for cell in self.in_baseline_and_asked() if cell not in done]
            problems += [f"the baseline has {cell}, which was not measured" for cell in absent]
            compared = any(
                one["verdict"] in (PASS, FAIL, UNUSABLE) for one in rows if one["rule"] != THRESHOLD
            )
            if self.asked and not compared:
                problems.append(
                    f"nothing that was run could be compared with the baseline, {self.why_not(rows)}"
                )
        return problems

    def why_not(self, rows: Collection[Row]) -> str:
        """Why nothing was compared with the baseline."""
        assert self.baseline is not None
        if any(one["rule"] == SIGNIFICANCE for one in rows):
            return (
                "for there are too few queries or judgments; "
                f"{spell_option('tolerance')} and {spell_option('query-factor')} need no test"
            )
        has = ", ".join(sorted(list_models(self.baseline)))
        return f"which has {has}; {spell_option('incumbent')} MODEL compares other models with one of these"

    def in_baseline_and_asked(self) -> list[Cell]:
        """Cells that this session should have compared."""
        assert self.baseline is not None
        has, found = list_cells(self.baseline), []
        for model, dataset, label_set in self.selected:
            if model != "*":
                old = self.rules.of(Cell(model, dataset, ""))
                # A dataset that isn't there was asked for the sake of its queries; nobody knew of which label sets.
                found += [
                    Cell(model, dataset, one.label_set)
                    for one in has
                    if one[:2] == (old, dataset)
                    and (one.label_set == label_set or (label_set is None and one.label_set))
                ]
        return [cell for cell in dict.fromkeys(found) if self.rules.judge(cell)]

    def about(self) -> str:
        """By what is judged, in short."""
        n = len(self.thresholds)
        parts = [f"{n:,} threshold{'s' if n > 1 else ''}"] * bool(n)
        if self.baseline is not None:
            exact = (
                ", exactly" if self.rules.exact else f", false alarms {self.rules.alpha:g} a run"
            )
            parts.append(f"baseline {name_of_baseline(self.baseline)}{exact}")
        return "; ".join(parts)
