"""When and with what a run was made: versions, commit, device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kis_bench import __version__
from kis_bench.encoders import back_ends
from kis_bench.records import Source
from kis_bench.report.sections.methods.wording import UNRECORDED, enumerate_words
from kis_bench.report.tables import escape
from kis_bench.results.provenance import PACKAGES


def tell_surroundings(about: Mapping[str, Any]) -> str:
    """Versions whole, commit, time, from what a run says of itself; what it doesn't say was not recorded."""
    said = []
    found = about.get("versions")
    if isinstance(found, Mapping) and found:
        used = list_used_packages(about)
        packages = [
            f"{escape(name)} {escape(version)}"
            for name, version in found.items()
            if used is None or name in used
        ]
        said.append(f"The run was made with {enumerate_words(packages)}.")
        own = found.get("kis-bench")
        if own and own != __version__:
            said.append(f"This report was drawn by kis-bench {__version__}.")
    else:
        said.append(f"With which versions the run was made {UNRECORDED}.")
    git = about.get("git")
    if isinstance(git, Mapping) and git.get("commit"):
        changed = ", with changes that were not committed" if git.get("dirty") else ""
        said.append(
            f"The repository that it was started in was at commit {escape(git['commit'])}{changed}."
        )
    else:
        said.append("It was not started in a git repository, or its commit was not recorded.")
    time = about.get("time")
    said.append(
        f"It was written at {escape(time)}." if time else f"When it was written {UNRECORDED}."
    )
    if about.get("interrupted"):
        said.append("It was interrupted: not all that was asked for was measured.")
    if merged := about.get("merged_from"):
        said.append(f"It was merged from {len(merged)} runs.")
    if by := about.get("gate"):
        said.append(f"A gate evaluated the figures: {escape(by)}.")
    return " ".join(said)


def list_used_packages(about: Mapping[str, Any]) -> set[str] | None:
    """Distributions that a run's figures depend on, by where its models are from; None: nobody knows, so all do."""
    used = {"python", "platform", *PACKAGES}
    for facts in (about.get("models") or {}).values():
        source = Source.read(str((facts or {}).get("source") or ""))
        back_end = back_ends().get(source.kind)
        if back_end is None or source.kind == "python":  # a function may use anything
            return None
        used |= {*back_end.packages, str(((facts or {}).get("ranking") or {}).get("engine"))}
    return used
