"""What the ranks of a run say, computed once from its tables and shown in several places."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from kis_bench.analysis.annotators import between_annotators, by_annotator
from kis_bench.analysis.audit import audit
from kis_bench.analysis.combinations import Combination, advice, combinations, gains
from kis_bench.analysis.conditions import Condition, conditions
from kis_bench.analysis.growth import compute_growth
from kis_bench.analysis.label_sets import by_length, compare_label_sets, length_correlations
from kis_bench.analysis.models import compare
from kis_bench.results import Run

Key = tuple[str, str]  #: dataset, label set


@dataclass(frozen=True)
class Findings:
    """Tables over the ranks of a run; those of a condition under (dataset, label set)."""

    run: Run

    @cached_property
    def conditions(self) -> dict[Key, Condition]:
        return conditions(self.run.ranks)

    @cached_property
    def comparisons(self) -> dict[Key, pd.DataFrame]:
        """Of conditions with more than one model."""
        return {key: compare(one) for key, one in self.conditions.items() if len(one.models) > 1}

    @cached_property
    def combinations(self) -> dict[Key, list[Combination]]:
        return {
            key: combinations(self.conditions[key], self.fused(key)) for key in self.comparisons
        }

    @cached_property
    def gains(self) -> dict[Key, pd.DataFrame]:
        return {key: gains(self.conditions[key], each) for key, each in self.combinations.items()}

    @cached_property
    def advice(self) -> dict[Key, pd.DataFrame]:
        return {key: advice(self.conditions[key], each) for key, each in self.combinations.items()}

    @cached_property
    def growth(self) -> dict[Key, pd.DataFrame]:
        return {key: compute_growth(one) for key, one in self.conditions.items()}

    @cached_property
    def audits(self) -> dict[Key, pd.DataFrame]:
        return {key: audit(self.rows(key), one) for key, one in self.conditions.items()}

    @cached_property
    def annotators(self) -> dict[Key, tuple[pd.DataFrame, pd.DataFrame]]:
        """Of conditions that several annotators described: figures of each, and how far they agree."""
        tables = {key: by_annotator(self.rows(key), one) for key, one in self.conditions.items()}
        return {
            key: (table, between_annotators(self.rows(key), self.conditions[key]))
            for key, table in tables.items()
            if len(table)
        }

    @cached_property
    def label_sets(self) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
        """Dataset -> summary, and gains of each query, of label sets on the same targets."""
        return {
            name: compare_label_sets(
                rows, [one for key, one in self.conditions.items() if key[0] == name]
            )
            for name, rows in self.of_datasets.items()
        }

    @cached_property
    def lengths(self) -> dict[str, pd.DataFrame]:
        return {name: by_length(rows) for name, rows in self.of_datasets.items()}

    @cached_property
    def length_correlations(self) -> dict[str, pd.DataFrame]:
        return {name: length_correlations(rows) for name, rows in self.of_datasets.items()}

    @cached_property
    def of_datasets(self) -> dict[str, pd.DataFrame]:
        """Dataset -> its rows of the table of ranks."""
        return {str(name): rows for name, rows in self.run.ranks.groupby("dataset", sort=False)}

    def rows(self, key: Key) -> pd.DataFrame:
        """A condition's rows of the table of ranks."""
        rows = self.of_datasets[key[0]]
        return rows[rows["label_set"] == key[1]]

    def fused(self, key: Key) -> pd.DataFrame:
        fused = self.run.fused
        return fused[(fused["dataset"] == key[0]) & (fused["label_set"] == key[1])]

    def tables(self) -> dict[str, pd.DataFrame]:
        """Name of the file -> table, for all conditions together; empty ones are left out."""
        found = {
            "comparisons": join_tables(self.comparisons),
            "combinations": join_tables(self.gains),
            "advice": join_tables(self.advice),
            "growth": join_tables(self.growth),
            "queries": join_tables(self.audits),
            "annotators": join_tables({key: each for key, (each, _) in self.annotators.items()}),
            "annotator_agreement": join_tables(
                {key: between for key, (_, between) in self.annotators.items()}
            ),
            "label_sets": join_tables(
                {name: summary for name, (summary, _) in self.label_sets.items()}
            ),
            "label_set_queries": join_tables(
                {name: each for name, (_, each) in self.label_sets.items()}
            ),
            "text_lengths": join_tables(self.lengths),
            "text_length_correlations": join_tables(self.length_correlations),
        }
        return {f"{name}.csv": table for name, table in found.items() if len(table)}


def join_tables(tables: dict[Key, pd.DataFrame] | dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One table with the dataset, and the label set where there is one, in front."""
    parts = []
    for key, table in tables.items():
        names = dict(
            zip(("dataset", "label_set"), (key,) if isinstance(key, str) else key, strict=False)
        )
        rest = table.drop(columns=[name for name in names if name in table])
        for place, (name, value) in enumerate(names.items()):
            rest.insert(place, name, value)
        parts.append(rest)
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()
