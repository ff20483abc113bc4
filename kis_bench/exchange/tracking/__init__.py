"""Runs in experiment trackers: each model of a run with its figures, and the run's folder with its report.

A tracker of `kis_bench.choices.TRACKERS` is a module in here with ``log_to_NAME(run, models)`` and, where it needs more
than a package, ``require_NAME()``.
"""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kis_bench.choices import TRACKERS
from kis_bench.errors import KisBenchError, explain_install
from kis_bench.exchange.tracking.contents import list_tracked
from kis_bench.results import Run


def require_tracker(name: str) -> None:
    """Returns if a run could be logged now, as far as that can be told without a connection.

    Raises:
        KisBenchError: the tracker isn't installed, or lacks what it needs; with the remedy.
    """
    with handle_failures(name):
        require: Callable[[], None] | None = getattr(find_tracker(name), f"require_{name}", None)
        if require is not None:
            require()


def log_run(name: str, run: Run) -> list[str]:
    """Logs a run; returns a line for a reader on where it is.

    Raises:
        KisBenchError: see `require_tracker`; or the tracker refuses, or its server isn't there.
    """
    models = list_tracked(run)
    if not any(one.figures for one in models):
        raise KisBenchError(f"{run.folder} has no figures that could be logged")
    require_tracker(name)
    with handle_failures(name):
        said: list[str] = getattr(find_tracker(name), f"log_to_{name}")(run, models)
    return said


def find_tracker(name: str) -> Any:
    """The module of a tracker. Raises KisBenchError: it isn't installed."""
    if importlib.util.find_spec(name) is None:
        raise KisBenchError(f"{TRACKERS[name]} is not installed; {explain_install(name)}")
    return importlib.import_module(f"{__name__}.{name}_runs")


@contextmanager
def handle_failures(name: str) -> Iterator[None]:
    """While a tracker's own code runs: its warnings are none of the user's, and what it raises is one message."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except KisBenchError:
        raise
    except Exception as error:  # each library raises classes of its own, and those of its network
        said = " ".join(str(error).split()) or type(error).__name__
        raise KisBenchError(f"{TRACKERS[name]} failed: {said[:500]}") from error
