"""What the page lets people explore: every query, where each model has its target, and what it shows instead."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kis_bench.report.embedded import BUDGET, NO_ROOM, Embedded, embed, in_order
from kis_bench.report.plots import styles
from kis_bench.report.tables import shortened

if TYPE_CHECKING:
    import pandas as pd

    from kis_bench.conditions import Condition
    from kis_bench.records import Collection
    from kis_bench.report.findings import Findings

LONGEST = 2_000  #: of a text on the page
DASHES = ("solid", "dash", "dot", "dashdot")  #: the page's names of those that figures have


def explorer_data(
    found: Findings, pictures: Mapping[str, Collection], *, privacy: bool, budget: int | None = BUDGET,
    folder: Path | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Plain data for the page; without texts, items and pictures under ``privacy``.

    ``folder``: pictures are written there as files, however many, and the page loads those that it shows.
    """
    models = sorted({model for one in found.conditions.values() for model in one.models})
    looks = styles(models)
    colours = sorted({colour for colour, _ in looks.values()})
    sets = [one_set(found, key, one, models, privacy=privacy) for key, one in found.conditions.items()]
    items: dict[str, list[str]] = {}
    for each in sets:
        number_items(each, items.setdefault(each["dataset"], []))
    drawn = Embedded() if privacy else embed(wanted(sets, items), pictures, budget=None if folder else budget)
    return {
        "privacy": privacy,
        "models": [
            {"name": m, "colour": looks[m][0], "dash": DASHES[i // 7 % len(DASHES)] if colours else "solid"}
            for i, m in enumerate(models)
        ],
        "sets": sets,
        "items": items,
        **shown(drawn, items, pictures, folder),
        "note": left_out(drawn),
    }


def one_set(
    found: Findings, key: tuple[str, str], condition: Condition, models: Sequence[str], *, privacy: bool
) -> dict[str, Any]:
    """One dataset and label set; lists hold one entry per query, or one list per model."""
    rows, audit = found.rows(key), found.audits[key].set_index("query_id").loc[list(condition.queries)]
    about = {
        "dataset": key[0], "labels": key[1], "n_items": condition.n_items,
        "models": [models.index(model) for model in condition.models], "queries": list(condition.queries),
        "best": condition.best.tolist(), "worst": condition.worst.tolist(),
        "flags": [list(flags) for flags in audit["flags"]], "median": audit["median_rank"].tolist(),
    }  # fmt: skip
    if privacy:
        return about
    tops: list[list[list[str]]] = []
    for model in condition.models:
        own = rows[rows["model"] == model].drop_duplicates("query_id").set_index("query_id")
        tops.append([listed(top) for top in own["top_item_ids"].loc[list(condition.queries)]])
    texts = [shortened(text, LONGEST) for text in audit["text"]]
    return {**about, "texts": texts, "targets": targets_of(audit, tops), "tops": tops, "why": audit["why"].tolist()}


def listed(top: Any) -> list[str]:
    return [] if top is None else [str(item) for item in top]


def targets_of(audit: pd.DataFrame, tops: Sequence[Sequence[Sequence[str]]]) -> list[list[str]]:
    """The items of each query; several are joined by a bar, which an item that is seen in a list may hold itself."""
    seen = {item for each in tops for top in each for item in top}
    return [[item] if item in seen else item.split("|") for item in audit["item_id"].astype(str)]


def number_items(one: dict[str, Any], names: list[str]) -> None:
    """Ids of items by their places in one list of names, which grows."""
    place = {name: i for i, name in enumerate(names)}

    def numbered(ids: Sequence[str]) -> list[int]:
        for name in ids:
            if name not in place:
                place[name] = len(names)
                names.append(name)
        return [place[name] for name in ids]

    if "tops" in one:
        one["targets"] = [numbered(ids) for ids in one["targets"]]
        one["tops"] = [[numbered(top) for top in each] for each in one["tops"]]


def wanted(sets: Sequence[Mapping[str, Any]], items: Mapping[str, Sequence[str]]) -> Any:
    """Dataset and item, in the order in which they matter."""
    targets, tops = [], []
    for one in sets:
        names, dataset = items[one["dataset"]], one["dataset"]
        targets.append([(dataset, names[i]) for ids in one["targets"] for i in ids])
        most = max((len(top) for each in one["tops"] for top in each), default=0)
        tops.append([
            [(dataset, names[top[place]]) for each in one["tops"] for top in each if place < len(top)]
            for place in range(most)
        ])  # fmt: skip
    return in_order(targets, tops)


def shown(
    drawn: Embedded, items: Mapping[str, Sequence[str]], pictures: Mapping[str, Collection], folder: Path | None
) -> dict[str, Any]:
    """Each distinct picture once, and for every item the place of its picture, or why it has none."""
    sources: list[str] = []
    place: dict[str, int] = {}
    of_items: dict[str, list[int | str]] = {}
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    for dataset, names in items.items():
        row: list[int | str] = []
        for name in names:
            picture = drawn.pictures.get((dataset, name))
            if picture is None:
                row.append(drawn.reasons.get((dataset, name), "no picture here"))
                continue
            digest = hashlib.sha256(picture).hexdigest()[:24]
            if digest not in place:
                place[digest] = len(sources)
                sources.append(written(picture, digest, folder))
            row.append(place[digest])
        of_items[dataset] = row
    return {"pictures": sources, "of_items": of_items, "prefix": "" if folder else "data:image/webp;base64,"}


def written(picture: bytes, digest: str, folder: Path | None) -> str:
    if folder is None:
        return base64.b64encode(picture).decode("ascii")
    (folder / f"{digest}.webp").write_bytes(picture)
    return f"{folder.name}/{digest}.webp"


def left_out(drawn: Embedded) -> str:
    """A sentence on what is missing, if anything."""
    total = len(drawn.pictures) + len(drawn.reasons)
    said = []
    if drawn.left_out:
        said.append(
            f"{drawn.left_out:,} of {total:,} pictures were left out to keep this file small, those farther down the "
            "lists first; kis-bench report RUN --folder shows all."
        )
    others = [reason for reason in drawn.reasons.values() if reason != NO_ROOM]
    if others:
        said.append(f"{len(others):,} of {total:,} pictures could not be drawn: {', '.join(sorted({*others}))}.")
    return " ".join(said)
