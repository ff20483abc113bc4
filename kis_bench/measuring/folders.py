"""What was measured from Python, as a run folder."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from kis_bench.choices import IMAGE_TO_TEXT
from kis_bench.errors import KisBenchError
from kis_bench.measuring.arguments import describe
from kis_bench.measuring.image_similarity import SimilarImages
from kis_bench.measuring.image_to_text import ImageToText
from kis_bench.measuring.known_items import KnownItems
from kis_bench.measuring.run import RunRecord, write_measured
from kis_bench.records import Dataset
from kis_bench.results.columns import ALL_RANKS, TEXT_PLACES
from kis_bench.triplets.tables import Measured

Result = KnownItems | ImageToText | SimilarImages


def write_run(
    parent: str | Path, results: Result | Iterable[Result], *, privacy: bool = False
) -> Path:
    """Writes results as one run folder, whole or not at all; ``kis-bench report FOLDER`` draws its report.

    Args:
        parent: folder in which the run gets its own; ``latest`` in it leads to the run.
        results: of `kis_bench.measuring.measure_known_items`, `kis_bench.measuring.measure_image_to_text`,
            `kis_bench.measuring.measure_image_similarity` or `kis_bench.measuring.rank`; each of another
            model, dataset, label set or direction.
        privacy: leaves out of run.json what isn't named there as public. Texts are left out of results that were
            measured with ``privacy=True``.

    Returns:
        The folder of the run.

    Raises:
        KisBenchError: no results or something else, the same cell twice, two models of one name, texts under privacy,
            or a folder that can't be written.
    """
    several = [results] if isinstance(results, Result) else [*results]
    found = check_results(several, privacy)
    provenance: dict[str, dict[str, Any]] = {"models": {}, "datasets": {}}
    for one in found:
        for kind, entries in one.provenance.items():
            for name, about in entries.items():
                merge_about(provenance[kind].setdefault(name, {}), about, f"{kind[:-1]} {name}")
    similar: dict[str, tuple[Dataset, Measured]] = {}
    for one in found:
        if isinstance(one, SimilarImages):
            dataset, measured = similar.get(one.dataset.name, (one.dataset, {}))
            similar[one.dataset.name] = dataset, {**measured, **one.measured}
    ranks = [one.to_frame() for one in found if isinstance(one, KnownItems)]
    turned = [one.to_frame() for one in found if isinstance(one, ImageToText)]
    devices = {str(about["device"]) for about in provenance["models"].values() if "device" in about}
    record = RunRecord(
        ranks=join_frames(ranks, ALL_RANKS),
        image_to_text=join_frames(turned, TEXT_PLACES),
        timings=[row for one in found for row in one.timings],
        provenance=provenance,
        command=sys.argv,
        device=" and ".join(sorted(devices)) or "not known",
        repository=Path.cwd(),
        privacy=privacy,
        similar=[*similar.values()],
    )
    return write_measured(Path(parent), record)


def check_results(results: Iterable[object], privacy: bool) -> list[Result]:
    """Returns the results; raises KisBenchError where they can't be one run."""
    found: list[Result] = []
    for one in results:
        if not isinstance(one, Result):
            raise KisBenchError(
                f"results has {describe(one)}; measure_known_items and the like give results"
            )
        found.append(one)
    if not found:
        raise KisBenchError("results is empty; a run needs at least one result")
    cells = [name_result(one) for one in found]
    for place, cell in enumerate(cells):
        if cell in cells[:place]:
            named = ", ".join(filter(None, cell))
            raise KisBenchError(
                f"results has {named} twice; leave one out, or give one another name"
            )
    texts = [one for one in found if isinstance(one, KnownItems) and any(one.columns["text"])]
    if privacy and texts:
        raise KisBenchError(
            f"model {texts[0].model} was measured with the texts of {texts[0].dataset}; "
            "measure_known_items(..., privacy=True) leaves them out"
        )
    return found


def name_result(result: Result) -> tuple[str, str, str, str]:
    """Model, dataset, label set and direction, those that a result has."""
    if isinstance(result, SimilarImages):
        return result.model, result.dataset.name, "", ""
    direction = IMAGE_TO_TEXT if isinstance(result, ImageToText) else ""
    return result.model, result.dataset, result.label_set, direction


def merge_about(known: dict[str, Any], about: Mapping[str, Any], what: str) -> None:
    """Adds what a result says of a model or dataset; raises KisBenchError where that is another one."""
    for name in ("key", "fingerprint"):
        if known.get(name, about.get(name)) != about.get(name):
            raise KisBenchError(
                f"two results name different ones as {what} ({name} {known[name]} and {about.get(name)}); "
                "give one of them another name"
            )
    known.update(about)


def join_frames(frames: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """Returns tables of ranks below one another."""
    if not frames:
        return pd.DataFrame(columns=columns)
    return pd.concat([frame.astype(object) for frame in frames], ignore_index=True)
