"""What was measured, with its provenance, as one run folder."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas as pd

from kis_bench.analysis import combinations, label_sets
from kis_bench.analysis.models import compare
from kis_bench.encoders import list_packages
from kis_bench.metrics import MEASURES
from kis_bench.records import Collection, Dataset
from kis_bench.results import Run, read_run, write_run
from kis_bench.results.columns import (
    ALL_RANKS,
    ALL_VERDICTS,
    JUDGMENTS,
    METRICS,
    TIMINGS,
)
from kis_bench.results.privacy import without_private
from kis_bench.results.provenance import git_state, versions
from kis_bench.results.published import comparable
from kis_bench.statistics import (
    bootstrap_interval,
    bootstrap_means,
    cross_validation,
    crossed,
    resampled_means,
)
from kis_bench.triplets.tables import Measured, similarity_tables


def write_measured(
    parent: Path,
    *,
    ranks: list[dict[str, Any]],
    timings: list[dict[str, Any]],
    provenance: Mapping[str, Any],
    command: Sequence[str],
    device: str,
    interrupted: bool,
    pictures: Mapping[str, Collection],
    privacy: bool,
    repository: Path,
    draw: Callable[[Run, Mapping[str, Collection]], None],
    similar: Sequence[tuple[Dataset, Measured]] = (),
    published: pd.DataFrame | None = None,
    fused: pd.DataFrame | None = None,
    verdicts: Sequence[Mapping[str, Any]] = (),
    gate: str | None = None,
    remarks: Sequence[str] = (),
) -> Path:
    """Writes one run folder with tables, plots and report, whole or not at all; returns it.

    Args:
        draw: makes the report of the run in its folder, with the pictures of its datasets.
        similar: datasets with judgments, and what each model's distances over their triplets are.
        published: figures of others to compare with.
        fused: ranks under combinations of models.
        verdicts: what the gate said of each figure; gate: by what; remarks: what it couldn't say.
    """
    every = [similarity_tables(dataset, measured) for dataset, measured in similar]
    tables = {
        name: pd.concat([one[name] for one in every], ignore_index=True)
        for name in (every[0] if every else ())
    }
    judgments = tables.pop("judgments", pd.DataFrame(columns=JUDGMENTS))
    if published is not None:
        sizes = (
            pd.DataFrame(ranks, columns=ALL_RANKS).groupby(["model", "dataset", "label_set"]).size()
        )
        every_figure = pd.concat(
            [tables.get("metrics", pd.DataFrame(columns=METRICS)), figures_of(sizes)]
        )
        tables["published"] = comparable(published, every_figure)
    if fused is not None:
        tables["fused"] = fused

    def shown(about: dict[str, Any]) -> dict[str, Any]:
        return without_private(about) if privacy else about

    return write_run(
        parent,
        ranks=pd.DataFrame(ranks, columns=ALL_RANKS),
        judgments=judgments,
        tables=tables,
        timings=pd.DataFrame(timings, columns=TIMINGS),
        verdicts=pd.DataFrame(verdicts, columns=ALL_VERDICTS),
        provenance=shown(
            {
                **provenance,
                "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                "command": [*map(str, command)],
                "device": device,
                "interrupted": interrupted,
                "git": git_state(repository),
                "versions": versions(list_packages()),
                "statistics": statistics(),
                "privacy": privacy,
                **({"gate": gate} if gate else {}),
                **({"remarks": [*remarks]} if remarks else {}),
            }
        ),
        draw=lambda hidden: draw(read_run(hidden), pictures),
    )


def figures_of(sizes: pd.Series) -> pd.DataFrame:
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
            "permutations": combinations.PERMUTATIONS,
            "seed": defaults(resampled_means, "seed")["seed"],
            "cross_validation_folds": cross_validation.FOLDS,
            "cross_validation_seed": cross_validation.FOLD_SEED,
        },
        "label sets": {
            "resamples": defaults(bootstrap_means, "resamples")["resamples"],
            "resamples_of_medians": label_sets.RESAMPLES_OF_MEDIANS,
            **defaults(label_sets.median_interval, "seed"),
        },
        "image similarity": {
            "resamples": crossed.CROSSED_RESAMPLES,
            "seed": crossed.RESAMPLING_SEED,
        },
    }
