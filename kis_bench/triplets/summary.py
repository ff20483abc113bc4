"""The results of a run on one dataset with judgments, in the order of the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from kis_bench.results.provenance import of_study
from kis_bench.results.published import comparable
from kis_bench.triplets.people import PEOPLE_RULES

if TYPE_CHECKING:
    from kis_bench.results import Run

PERSON, MAJORITY = PEOPLE_RULES
Record = dict[str, Any]


def as_records(frame: pd.DataFrame) -> list[Record]:
    return [{str(column): cell for column, cell in row.items()} for row in frame.to_dict("records")]


def judged_datasets(run: Run) -> list[str]:
    """Names of the datasets with judgments that count."""
    names = pd.concat([run.judgments["dataset"], run.agreement["dataset"]])
    return [str(name) for name in names.unique()]


@dataclass(frozen=True)
class Similarity:
    """The results of a run on one dataset with judgments."""

    name: str
    run: Run

    def select_own(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["dataset"] == self.name]

    @cached_property
    def about(self) -> Mapping[str, Any]:
        return (self.run.provenance.get("datasets") or {}).get(self.name) or {}

    @cached_property
    def agreement(self) -> pd.DataFrame:
        """By the default rules, each judgment counted once."""
        rows = self.select_own(self.run.agreement)
        return rows[(rows["protocol"] == "default") & (rows["counts"] == "judgments")]

    @cached_property
    def models(self) -> dict[str, Record]:
        """Figures over all judgments, best first."""
        rows = self.agreement[
            (self.agreement["part"] == "all") & (self.agreement["kind"] == "model")
        ]
        found = {str(row["model"]): row for row in as_records(rows)}
        for model, part in self.select_own(self.run.judgments).groupby("model", sort=False):
            found.setdefault(str(model), summarise_judgments(part))
        order = sorted(
            found, key=lambda m: (math.isnan(found[m]["value"]), -float(found[m]["value"]), m)
        )
        return {model: found[model] for model in order}

    @cached_property
    def people(self) -> dict[str, Record]:
        rows = self.agreement[
            (self.agreement["part"] == "all") & (self.agreement["kind"] == "people")
        ]
        found = {str(row["model"]): row for row in as_records(rows)}
        return {name: found[name] for name in (PERSON, MAJORITY) if name in found}

    @property
    def ceilings(self) -> dict[str, float]:
        """Maps each model to the largest consistency possible on its judgments; empty for older runs."""
        found = {model: float(row["ceiling"]) for model, row in self.models.items()}
        return {model: value for model, value in found.items() if not math.isnan(value)}

    @cached_property
    def metrics(self) -> dict[tuple[str, str], Record]:
        """(model, metric) -> its row of metrics."""
        rows = self.select_own(self.run.metrics)
        rows = rows[rows["label_set"] == ""]
        return {(str(row["model"]), str(row["metric"])): row for row in as_records(rows)}

    @cached_property
    def originals(self) -> set[str]:
        """Models whose distances came with the study's files."""
        return {model for model in self.models if of_study(self.run.provenance, model)}

    @cached_property
    def published(self) -> list[tuple[str, Record]]:
        """Published figures of the same judgments or triplets, each with the measured model that it is about."""
        rows = self.select_own(self.run.published)
        rows = rows[rows["label_set"].isna() | (rows["label_set"] == "")]
        own, found = self.select_own(self.run.metrics), []
        for model in self.models:
            mine = comparable(rows, own[own["model"] == model])
            found += [(model, row) for row in as_records(mine)]
        return found

    def group_ceilings(self, part: str) -> dict[str, float]:
        """Maps each group to the largest consistency possible on its judgments; empty for older runs."""
        rows = self.agreement[
            (self.agreement["part"] == part) & (self.agreement["kind"] == "model")
        ]
        found = rows.groupby("group")["ceiling"].max().dropna()
        return {str(group): float(value) for group, value in found.items()}

    def groups(self, part: str) -> list[str]:
        """The groups of a division in their order."""
        rows = self.agreement[
            (self.agreement["part"] == part) & (self.agreement["kind"] == "model")
        ]
        return [str(group) for group in rows["group"].unique()]

    def sizes(self, part: str) -> dict[str, int]:
        """Maps each group to its number of decided judgments, also those for which a model lacks an image."""
        rows = self.agreement[
            (self.agreement["part"] == part) & (self.agreement["kind"] == "model")
        ]
        counts = (rows["n"] + rows["missing"]).groupby(rows["group"]).max()
        return {str(group): int(n) for group, n in counts.items()}

    def index_groups(self, part: str, kind: str = "model") -> dict[tuple[str, str], Record]:
        """(model, group) -> row."""
        rows = self.agreement[(self.agreement["part"] == part) & (self.agreement["kind"] == kind)]
        return {(str(row["model"]), str(row["group"])): row for row in as_records(rows)}


def summarise_judgments(part: pd.DataFrame) -> Record:
    """The figures of one model, computed from its judgments alone."""
    each = part["agreement"].astype(float)
    return {
        "value": float(each.mean()),
        "ci_low": math.nan,
        "ci_high": math.nan,
        "n": len(part),
        "n_triplets": part["triplet_id"].nunique(),
        "n_targets": math.nan,
        "ceiling": math.nan,
        "n_participants": part["user_id"].nunique(),
        "ties": int((each == 0.5).sum()),
        "missing": 0,
    }
