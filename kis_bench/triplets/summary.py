"""The results of a run on one dataset with judgments, in the order of the report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from kis_bench.metrics import PER_TRIPLET
from kis_bench.results.columns import COMMON
from kis_bench.results.provenance import of_study
from kis_bench.results.published import comparable
from kis_bench.triplets.people import PEOPLE_RULES
from kis_bench.triplets.tables import list_common_figures

if TYPE_CHECKING:
    from kis_bench.results import Run

PERSON, MAJORITY = PEOPLE_RULES
Record = dict[str, Any]


def as_records(frame: pd.DataFrame) -> list[Record]:
    return [{str(column): cell for column, cell in row.items()} for row in frame.to_dict("records")]


def judged_datasets(run: Run) -> list[str]:
    """Names of the datasets with judgments that count."""
    names = [*run.judgments["dataset"].unique(), *run.agreement["dataset"].unique()]
    return [*dict.fromkeys(map(str, names))]


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
        return {model: found[model] for model in sort_models(found)}

    @cached_property
    def n_common(self) -> int | None:
        """How many judgments all models know; None where each knows the same, or nobody knows which."""
        known = self.select_own(self.run.judgments).groupby("judgement_id")["model"].nunique()
        whole = known == len(self.models)
        return None if whole.all() else int(whole.sum())

    @cached_property
    def common(self) -> dict[str, Record]:
        """Figures over the judgments that all models know, best first.

        Empty where there are none, or where each model knows the same. Of older runs, and of merged ones, they are
        without intervals.
        """
        if not self.n_common:
            return {}
        rows = self.agreement[
            (self.agreement["part"] == COMMON) & (self.agreement["kind"] == "model")
        ]
        found = {str(row["model"]): row for row in as_records(rows) if row["n"] == self.n_common}
        if found.keys() != self.models.keys():
            own = self.select_own(self.run.judgments)
            whole = own.groupby("judgement_id")["model"].transform("nunique") == len(self.models)
            parts = own[whole].groupby("model", sort=False)
            found = {str(model): summarise_judgments(part) for model, part in parts}
        return {model: found[model] for model in sort_models(found)}

    @property
    def compared(self) -> dict[str, Record]:
        """The figures in which models are compared, best first: over what all know, where that is not the same."""
        return self.common or self.models

    @cached_property
    def common_per_triplet(self) -> dict[str, Record]:
        """The same of triplets that several people judged."""
        rows = self.select_own(self.run.agreement)
        rows = rows[(rows["part"] == COMMON) & (rows["counts"] == "triplets")]
        rows = rows[(rows["protocol"] == "default") & (rows["kind"] == "model")]
        found = {str(row["model"]): row for row in as_records(rows)}
        return found if found.keys() == self.models.keys() else {}

    def find_per_triplet(self, model: str) -> Record | None:
        """The figure over triplets that is compared with other models'; None without one."""
        if self.common:
            return self.common_per_triplet.get(model)
        return self.metrics.get((model, PER_TRIPLET.name))

    @cached_property
    def people(self) -> dict[str, Record]:
        return self.select_people("all")

    @property
    def compared_people(self) -> dict[str, Record]:
        """People on the judgments on which models are compared."""
        return self.select_people(COMMON) if self.common else self.people

    def select_people(self, part: str) -> dict[str, Record]:
        rows = self.agreement[
            (self.agreement["part"] == part) & (self.agreement["kind"] == "people")
        ]
        found = {str(row["model"]): row for row in as_records(rows)}
        return {name: found[name] for name in (PERSON, MAJORITY) if name in found}

    @property
    def ceilings(self) -> dict[str, float]:
        """Maps each model to the largest consistency possible on its judgments; empty for older runs."""
        return find_ceilings(self.models)

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
        own = pd.concat([self.select_own(self.run.metrics), self.common_figures])
        found = []
        for model in self.models:
            mine = comparable(rows, own[own["model"] == model])
            found += [(model, row) for row in as_records(mine)]
        return found

    @cached_property
    def common_figures(self) -> pd.DataFrame:
        """All figures over what all models know, in the columns of metrics.csv."""
        return list_common_figures(self.select_own(self.run.agreement))

    def find_obtained(self, model: str, published: Record) -> Record | None:
        """The figure of a model that a published one is of: of as many judgments, its own or those that all know."""
        own = self.metrics.get((model, str(published["metric"])))
        if own is not None and own["n"] == published["n"]:
            return own
        rows = self.common_figures
        rows = rows[(rows["model"] == model) & (rows["metric"] == published["metric"])]
        return next((row for row in as_records(rows) if row["n"] == published["n"]), own)

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


def sort_models(found: Mapping[str, Record]) -> list[str]:
    """The models, best first."""
    return sorted(
        found, key=lambda m: (math.isnan(found[m]["value"]), -float(found[m]["value"]), m)
    )


def find_ceilings(rows: Mapping[str, Record]) -> dict[str, float]:
    """Maps each model to the largest consistency possible on the judgments of its row, where that is known."""
    found = {model: float(row["ceiling"]) for model, row in rows.items()}
    return {model: value for model, value in found.items() if not math.isnan(value)}


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
