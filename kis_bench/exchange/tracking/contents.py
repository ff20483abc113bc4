"""What trackers are told of each model of a run: names, figures and facts as plain values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kis_bench.choices import IMAGE_TO_TEXT
from kis_bench.errors import KisBenchError
from kis_bench.metrics import measure_name
from kis_bench.results import Run

#: What MLflow takes in names beside letters and digits of any script; it drops a whole call over one other name.
REFUSED_LETTERS = re.compile(r"[^\w\-. /:]")


@dataclass(frozen=True)
class TrackedModel:
    """One model of a run."""

    model: str
    #: As "DATASET/LABEL SET/recall_at_10", of the other direction "DATASET/LABEL SET/image-to-text/recall_at_10";
    #: undefined ones are left out.
    figures: Mapping[str, float]
    facts: Mapping[str, str]  # of model, datasets, versions and commit


def list_tracked(run: Run) -> list[TrackedModel]:
    """The models of a run in its order."""
    shared = describe_run(run.provenance)
    measured = (*run.metrics["model"], *run.text_figures["model"])
    models = dict.fromkeys([*measured, *run.provenance.get("models", {})])
    return [
        TrackedModel(
            model,
            name_figures(run, model),
            shared | flatten_facts("model", run.provenance.get("models", {}).get(model, {})),
        )
        for model in models
    ]


def name_figures(run: Run, model: str) -> dict[str, float]:
    """The figures of a model and the ends of their intervals, those that are numbers.

    ``@`` becomes ``_at_``, which all trackers take.

    Raises:
        KisBenchError: two names are the same once what trackers refuse is replaced.
    """
    found: dict[str, float] = {}
    tables = (("", run.metrics), (IMAGE_TO_TEXT, run.text_figures))
    rows: Any = [
        (direction, row)
        for direction, table in tables
        for row in table[table["model"] == model].itertuples(index=False)
    ]
    for direction, row in rows:
        measure = measure_name(row.metric, row.k).replace("@", "_at_")
        place = [
            row.dataset,
            *([row.label_set] if isinstance(row.label_set, str) else []),
            direction,
        ]
        parts = [part for part in (*place, measure) if part]
        name = "/".join(REFUSED_LETTERS.sub("_", str(part)).replace("/", "_") for part in parts)
        for ending, value in (("", row.value), ("_ci_low", row.ci_low), ("_ci_high", row.ci_high)):
            if f"{name}{ending}" in found:
                raise KisBenchError(
                    f"{run.folder}: two datasets or label sets are both {name!r} once what trackers refuse in names "
                    "is replaced by _; rename one"
                )
            if value is not None and math.isfinite(value):
                found[f"{name}{ending}"] = float(value)
    return found


def describe_run(provenance: Mapping[str, Any]) -> dict[str, str]:
    """What holds for all models of a run: time, commit, versions, and what was searched."""
    facts: dict[str, str] = {}
    for name in ("time", "device", "interrupted", "privacy", "git", "versions"):
        if name in provenance:
            facts |= flatten_facts(name, provenance[name])
    for name, about in provenance.get("datasets", {}).items():
        known = {key: about[key] for key in ("fingerprint", "n_items", "n_queries") if key in about}
        facts |= flatten_facts(f"dataset/{name}", known)
    return facts


def flatten_facts(name: str, value: Any) -> dict[str, str]:
    """Values in mappings as texts under their paths.

    >>> flatten_facts("git", {"commit": "3f2a", "dirty": False})
    {'git/commit': '3f2a', 'git/dirty': 'false'}
    """
    if isinstance(value, Mapping):
        parts = [flatten_facts(f"{name}/{key}", one) for key, one in value.items()]
        return {path: text for part in parts for path, text in part.items()}
    if value is None or value == "":
        return {}
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return {REFUSED_LETTERS.sub("_", name): text}
