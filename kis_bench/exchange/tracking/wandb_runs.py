"""A run in Weights & Biases: one run of each model, grouped, and the folder as an artifact."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any

from kis_bench.errors import KisBenchError
from kis_bench.exchange.tracking.contents import REFUSED_LETTERS, TrackedModel
from kis_bench.results import Run

PROJECT = "kis-bench"  #: unless WANDB_PROJECT says another
REFUSED_IN_ARTIFACTS = re.compile(r"[^A-Za-z0-9_.-]")
MOST_ARTIFACT_LETTERS = 128  #: of an artifact's name
ALONE = ("offline", "disabled", "dryrun")  #: modes that need no key


def require_wandb() -> None:
    """Raises KisBenchError without a key, for which wandb would ask in the middle of the session's end."""
    import wandb

    if wandb.setup().settings.mode not in ALONE and not wandb.login(prompt=False):
        raise KisBenchError(
            "Weights & Biases has no key: set WANDB_API_KEY or run wandb login, or WANDB_MODE=offline to keep files "
            "here that wandb sync sends later"
        )


def log_to_wandb(run: Run, models: Sequence[TrackedModel]) -> list[str]:
    """Logs figures and facts of each model, and with the first the run's folder as an artifact.

    Nothing is told of the machine, the command line and the code, which wandb sends otherwise.
    """
    import wandb

    project = os.environ.get("WANDB_PROJECT") or PROJECT
    name = REFUSED_LETTERS.sub("_", run.folder.name).replace("/", "_")
    settings: dict[str, Any] = {"console": "off", "silent": True, "save_code": False}
    settings |= {"disable_git": True, "x_disable_meta": True, "x_disable_stats": True}
    settings |= {"host": "", "username": ""}
    places = []
    for number, one in enumerate(models):
        opened = wandb.init(
            project=project,
            group=name,
            name=one.model,
            job_type="model",
            config=dict(one.facts),
            settings=wandb.Settings(**settings),
            reinit="create_new",
        )
        failed = 1  # unless all was logged
        try:
            opened.log(dict(one.figures))
            if number == 0:
                artifact = wandb.Artifact(
                    REFUSED_IN_ARTIFACTS.sub("_", f"run-{name}")[:MOST_ARTIFACT_LETTERS],
                    "kis-bench-run",
                )
                artifact.add_dir(str(run.folder))
                opened.log_artifact(artifact)
            failed = int(bool(run.provenance.get("interrupted")))
        finally:
            opened.finish(exit_code=failed)
        places.append(opened.dir if opened.offline else opened.url)
    return [f"logged to Weights & Biases as group {name} of project {project}: {places[0]}"]
