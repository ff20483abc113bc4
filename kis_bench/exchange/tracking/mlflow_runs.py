"""A run in MLflow: a run of the folder, and below it one of each model."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from kis_bench.exchange.tracking.contents import TrackedModel
from kis_bench.results import Run

EXPERIMENT = "kis-bench"  #: unless MLFLOW_EXPERIMENT_NAME says another
EXPERIMENT_VARIABLE = "MLFLOW_EXPERIMENT_NAME"
MOST_METRICS, MOST_PARAMS = 1000, 100  #: of a call
PARENT = "mlflow.parentRunId"  #: the tag that MLflow's pages nest runs by


def log_to_mlflow(run: Run, models: Sequence[TrackedModel]) -> list[str]:
    """Logs the run's folder as artifacts of one run, and figures and facts of each model as runs below it.

    Without a server named by MLFLOW_TRACKING_URI, MLflow writes into the current folder. Its client is used without
    its own context, which would tell user name, script and folder.
    """
    from mlflow import MlflowClient

    client = MlflowClient()
    name = os.environ.get(EXPERIMENT_VARIABLE) or EXPERIMENT
    known = client.get_experiment_by_name(name)
    experiment = known.experiment_id if known else client.create_experiment(name)
    opened: list[str] = []
    status = "FAILED"  # unless all was logged
    try:
        parent = start_run(client, experiment, run.folder.name, {}, opened)
        client.log_artifacts(parent, str(run.folder), "run")
        for one in models:
            own = start_run(client, experiment, one.model, {PARENT: parent}, opened)
            log_figures(client, own, one)
        status = "KILLED" if run.provenance.get("interrupted") else "FINISHED"
    finally:
        for run_id in reversed(opened):
            client.set_terminated(run_id, status)
    return [
        f"logged to MLflow as run {run.folder.name} of experiment {name} at {client.tracking_uri}"
    ]


def start_run(
    client: Any, experiment: str, name: str, tags: dict[str, str], opened: list[str]
) -> str:
    run_id: str = client.create_run(experiment, run_name=name, tags=tags).info.run_id
    opened.append(run_id)
    return run_id


def log_figures(client: Any, run_id: str, one: TrackedModel) -> None:
    from mlflow.entities import Metric, Param

    now_ms = int(time.time() * 1000)
    metrics = [Metric(name, value, now_ms, 0) for name, value in one.figures.items()]
    params = [Param(name, text) for name, text in one.facts.items()]
    for i in range(0, len(metrics), MOST_METRICS):
        client.log_batch(run_id, metrics=metrics[i : i + MOST_METRICS])
    for i in range(0, len(params), MOST_PARAMS):
        client.log_batch(run_id, params=params[i : i + MOST_PARAMS])
