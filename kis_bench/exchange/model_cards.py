"""A run's figures as the head of model cards, where the Hugging Face hub looks for evaluation results."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd

from kis_bench.errors import KisBenchError, explain_install
from kis_bench.files.text import make_file_name
from kis_bench.files.whole import fill_folder
from kis_bench.metrics import METRICS, measure_name, measure_words
from kis_bench.results import Run

#: What is evaluated, as the hub names tasks: judgments, queries, and pictures that look for their texts.
SIMILARITY_TASK = ("image-feature-extraction", "Image similarity judged by people")
SEARCH_TASK = ("text-to-image-retrieval", "Known-item search")
TEXT_TASK = ("image-to-text-retrieval", "Image-to-text retrieval")


def export_model_cards(run: Run, out: Path) -> list[str]:
    """Writes a file for each model: YAML between two lines ``---``, to stand at the top of its card.

    The YAML is made by huggingface_hub, after the hub's specification of ``model-index``.

    Returns:
        A line for each.

    Raises:
        KisBenchError: huggingface_hub isn't installed; nothing was measured; the folder can't be written.
    """
    try:
        from huggingface_hub import ModelCardData
    except ImportError as error:
        raise KisBenchError(
            f"model cards need huggingface_hub; {explain_install('transformers')}"
        ) from error
    models = [*dict.fromkeys([*run.metrics["model"], *run.text_figures["model"]])]
    if not models:
        raise KisBenchError(f"{run.folder} has no figures for a model card")
    said = []
    with fill_folder(out) as hidden:
        for model in models:
            card = ModelCardData(model_name=model, eval_results=list_results(run, model))
            name = f"{make_file_name(model)}.md"
            (hidden / name).write_text(f"---\n{card.to_yaml()}\n---\n", encoding="utf-8")
            said.append(f"{model}: {name}")
    return said


def list_results(run: Run, model: str) -> list[Any]:
    """The figures of a model that are shown in summaries, as huggingface_hub's ``EvalResult``."""
    from huggingface_hub import EvalResult

    shown = {each for one in METRICS if one.heading for each in one.measures(few=True)}
    found = []
    rows: Any = [
        (task, row)
        for task, table in ((None, run.metrics), (TEXT_TASK, run.text_figures))
        for row in table[table["model"] == model].itertuples(index=False)
    ]
    for turned, row in rows:
        k = None if pd.isna(row.k) else int(row.k)
        if (row.metric, k) not in shown or not math.isfinite(row.value):
            continue
        searched = isinstance(row.label_set, str) and bool(row.label_set)
        task, task_name = turned or (SEARCH_TASK if searched else SIMILARITY_TASK)
        about = run.provenance.get("datasets", {}).get(row.dataset, {})
        counted = {"n": int(row.n), "ci_low": float(row.ci_low), "ci_high": float(row.ci_high)}
        found.append(
            EvalResult(
                task_type=task,
                task_name=task_name,
                dataset_type=row.dataset,
                dataset_name=f"{row.dataset}, {row.label_set}" if searched else row.dataset,
                dataset_config=row.label_set if searched else None,
                dataset_args=about_dataset(about),
                metric_type=measure_name(row.metric, k),
                metric_name=measure_words(row.metric, k),
                metric_value=float(row.value),
                metric_args={name: one for name, one in counted.items() if math.isfinite(one)},
            )
        )
    return found


def about_dataset(about: dict[str, Any]) -> dict[str, Any] | None:
    """What a card says of a dataset: how many items were searched, and which, by their fingerprint."""
    return {key: about[key] for key in ("n_items", "fingerprint") if key in about} or None
