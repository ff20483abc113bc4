"""What was measured, with its provenance, as one run folder."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas as pd

from kis_bench.analysis import annotators, combinations, label_sets
from kis_bench.analysis.models import compare
from kis_bench.choices import IMAGE_TO_TEXT
from kis_bench.datasets.papers import PAPER_COLLECTIONS
from kis_bench.datasets.parts import DatasetPart
from kis_bench.encoders import list_packages
from kis_bench.metrics import MEASURES
from kis_bench.records import Dataset
from kis_bench.results import write_run
from kis_bench.results.columns import (
    ALL_RANKS,
    ALL_VERDICTS,
    JUDGMENTS,
    TEXT_PLACES,
    TIMINGS,
)
from kis_bench.results.privacy import without_private
from kis_bench.results.provenance import git_state, versions
from kis_bench.results.published import (
    comparable,
    count_repeated,
    find_other_sizes,
    select_direction,
)
from kis_bench.results.tables import stack_tables
from kis_bench.statistics import (
    bootstrap_interval,
    cross_validation,
    crossed,
    paired_tests,
    resampled_means,
)
from kis_bench.statistics.paired_intervals import difference_intervals
from kis_bench.triplets.tables import Measured, list_common_figures, similarity_tables


@dataclass(frozen=True)
class RunRecord:
    """Everything that was measured, and how, from which a run folder is written."""

    ranks: pd.DataFrame  # the table of ranks
    timings: Sequence[Mapping[str, Any]]
    provenance: Mapping[str, Any]  # of models and datasets
    command: Sequence[str]
    device: str
    repository: Path  # of which the commit is recorded
    interrupted: bool = False
    privacy: bool = False
    #: Datasets with judgments, and what each model's distances over their triplets are.
    similar: Sequence[tuple[Dataset, Measured]] = ()
    published: pd.DataFrame | None = None  # figures of others to compare with
    fused: pd.DataFrame | None = None  # ranks under combinations of models
    image_to_text: pd.DataFrame | None = None  # ranks of texts that pictures look for
    verdicts: Sequence[Mapping[str, Any]] = ()  # what the gate said of each figure
    gate: str | None = None  # by what it judged
    remarks: Sequence[str] = ()  # what it couldn't judge

    @property
    def head(self) -> dict[str, Any]:
        """What run.json says; of a private run what may be shown."""
        about = {
            **self.provenance,
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "command": [*map(str, self.command)],
            "device": self.device,
            "interrupted": self.interrupted,
            "git": git_state(self.repository),
            "versions": versions(list_packages()),
            "statistics": statistics(),
            "privacy": self.privacy,
            **({"gate": self.gate} if self.gate else {}),
            **({"remarks": [*self.remarks]} if self.remarks else {}),
        }
        return without_private(about) if self.privacy else about


def select_published(
    published: pd.DataFrame, obtained: pd.DataFrame, provenance: Mapping[str, Any]
) -> pd.DataFrame:
    """The published figures of what was measured; of the collections that papers search also those of other parts."""
    repeated = count_repeated(provenance)
    others = find_other_sizes(select_direction(published), obtained, repeated)
    whole = others["dataset"].map(lambda name: DatasetPart.parse(name).whole)
    kept = {*comparable(published, obtained, repeated).index}
    return published.loc[sorted(kept | {*others.index[whole.isin([*PAPER_COLLECTIONS])]})]


def write_measured(parent: Path, record: RunRecord) -> Path:
    """Writes the tables of a run into a new folder below ``parent``, whole or not at all; returns the folder.

    Its report is not drawn: `kis_bench.report.write_report`.
    """
    ranks = pd.DataFrame(record.ranks, columns=ALL_RANKS)
    pictures = pd.DataFrame(record.image_to_text, columns=TEXT_PLACES)
    every = [similarity_tables(dataset, measured) for dataset, measured in record.similar]
    tables = {
        name: stack_tables([one[name] for one in every]) for name in (every[0] if every else ())
    }
    judgments = tables.pop("judgments", pd.DataFrame(columns=JUDGMENTS))
    tables["image_to_text"] = pictures
    if record.published is not None:
        sizes = count_rows(ranks)
        similar = [tables["metrics"], list_common_figures(tables["agreement"])] if every else []
        turned = list_figures(count_rows(pictures)).assign(direction=IMAGE_TO_TEXT)
        every_figure = stack_tables([*similar, list_figures(sizes), turned])
        tables["published"] = select_published(record.published, every_figure, record.provenance)
    if record.fused is not None:
        tables["fused"] = record.fused
    return write_run(
        parent,
        ranks=ranks,
        judgments=judgments,
        tables=tables,
        timings=pd.DataFrame(record.timings, columns=TIMINGS),
        verdicts=pd.DataFrame(record.verdicts, columns=ALL_VERDICTS),
        provenance=record.head,
    )


def count_rows(ranks: pd.DataFrame) -> pd.Series:
    """How many queries each model, dataset and label set has."""
    return ranks.groupby(["model", "dataset", "label_set"]).size()


def list_figures(sizes: pd.Series) -> pd.DataFrame:
    """The figures that are measured of so many queries of each model, dataset and label set, without their values."""
    cells = sizes.reset_index(name="n").to_numpy().tolist()
    rows = [(*cell, metric, k, n) for *cell, n in cells for metric, k in MEASURES]
    return pd.DataFrame(rows, columns=["model", "dataset", "label_set", "metric", "k", "n"])


def statistics() -> dict[str, Any]:
    """How often each kind of figures is drawn anew, signs are flipped, or parts are left out, and with which seeds."""

    def defaults(function: Callable[..., Any], *names: str) -> dict[str, Any]:
        parameters = inspect.signature(function).parameters
        return {name: parameters[name].default for name in names}

    return {
        "confidence": 0.95,
        "figures": defaults(bootstrap_interval, "resamples", "seed"),
        "comparisons": defaults(compare, "resamples", "permutations", "seed"),
        "combinations": {
            "resamples": combinations.RESAMPLES,
            "resamples_of_advice": defaults(bootstrap_interval, "resamples")["resamples"],
            "permutations": combinations.PERMUTATIONS,
            "seed": defaults(resampled_means, "seed")["seed"],
            "cross_validation_folds": cross_validation.FOLDS,
            "cross_validation_seed": cross_validation.FOLD_SEED,
        },
        "label sets": {
            "resamples": defaults(resampled_means, "resamples")["resamples"],
            "resamples_of_medians": label_sets.RESAMPLES_OF_MEDIANS,
            "permutations": defaults(paired_tests, "permutations")["permutations"],
            **defaults(label_sets.median_interval, "seed"),
        },
        "annotators": {
            "resamples": defaults(difference_intervals, "resamples")["resamples"],
            "resamples_of_alpha": defaults(annotators.alpha_interval, "resamples")["resamples"],
            **defaults(resampled_means, "seed"),
        },
        "image similarity": {
            "resamples": crossed.CROSSED_RESAMPLES,
            "seed": crossed.RESAMPLING_SEED,
        },
    }
