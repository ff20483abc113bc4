"""What the page lets people explore: every query, where each model has its target, and what it shows instead."""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kis_bench.analysis.audit import FLAGS
from kis_bench.analysis.conditions import Condition
from kis_bench.files.text import shorten
from kis_bench.metrics import LEADING_MEASURES, RECALL, measure_words
from kis_bench.report.page.thumbnails import (
    BUDGET,
    NO_ROOM,
    UNKNOWN,
    InlinedPictures,
    Item,
    in_turn,
    inline_pictures,
)
from kis_bench.report.plots.axes import PALETTE
from kis_bench.report.plots.curves import compute_recalls, curve_limits, shown_ranks

if TYPE_CHECKING:
    import pandas as pd

    from kis_bench.report.view import View

LONGEST = 20_000  #: letters of a text on the page
DASH_STYLES = (
    "solid",
    "9px,3px",
    "3px,2px",
    "9px,3px,3px,3px",
)  #: of `kis_bench.report.plots`, in Plotly's words


def explorer_data(
    view: View,
    *,
    budget_bytes: int | None = BUDGET,
    form: Literal["single", "folder"] | None = None,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Plain data for `kis_bench.report.page.html.page`; without texts, items and pictures of a private run.

    In the form "single" the data holds
    thumbnails of at most ``budget_bytes`` as base64; in the form "folder", meant where ``folder`` is given, all
    of them are written into that folder, which lies beside the page.

    Items are numbers, their places in the list ``items`` of their dataset; ``of_items`` holds for each the place of its
    thumbnail in ``pictures``, or why there is none. In a set, ``best`` and ``worst`` are [m][q] ranks (``worst[m]`` is
    None where nothing ties), ``tops`` [m][q][k] items, ``curves`` what `curves` gives. ``models`` of a set are places
    in the list of all models, best first.
    """
    found, privacy, looks = view.findings, view.privacy, view.style
    form = form or ("single" if folder is None else "folder")
    names = {model: place for place, model in enumerate(looks)}
    datasets: dict[str, dict[str, int]] = {}  # item id -> its number
    sets = []
    for key, one in found.conditions.items():
        rows = found.rows(key)
        about = one_set(one, found.audits[key], names)
        if not privacy:
            known = view.pictures.get(key[0])
            items = datasets.setdefault(key[0], {})
            about |= asked_and_found(one, rows, items, {} if known is None else known.position)
        sets.append(about)
    drawn = InlinedPictures()
    if not privacy:
        limit = budget_bytes if form == "single" else None
        drawn = inline_pictures(list_wanted(sets, datasets), view.pictures, budget=limit)
    places = {name: place for place, name in enumerate(drawn.pictures)}
    return {
        "form": form,
        "privacy": privacy,
        "flags": list(FLAGS),
        "measures": {
            "leading": measure_words(*LEADING_MEASURES[0]),
            "curve": f"{RECALL.words}@k",
        },
        "sets": sets,
        "models": [
            {
                "name": model,
                "colour": looks[model][0],
                "dash": DASH_STYLES[place // len(PALETTE) % len(DASH_STYLES)],
            }
            for model, place in names.items()
        ],
        "datasets": {
            dataset: {
                "items": list(items),
                "of_items": [find_picture(drawn, places, (dataset, item)) for item in items],
            }
            for dataset, items in datasets.items()
        },
        "pictures": [base64.b64encode(webp).decode("ascii") for webp in drawn.pictures.values()]
        if form == "single"
        else write_data(drawn, folder),
        "note": note(drawn, sets, datasets, limit=budget_bytes) if not privacy else "",
    }


def one_set(condition: Condition, table: pd.DataFrame, names: Mapping[str, int]) -> dict[str, Any]:
    """Of one dataset and label set what may be shown under privacy: ids, ranks and flags; one entry for each query."""
    rows = (
        table.assign(query_id=table["query_id"].astype(str))
        .drop_duplicates("query_id")
        .set_index("query_id")
    )
    rows = rows.reindex(list(condition.queries))
    return {
        "dataset": condition.dataset,
        "labels": condition.label_set,
        "n_items": condition.n_items,
        "left_out": condition.left_out,
        "n_targets": condition.n_targets,
        "curves": curves(condition),
        "models": [names[model] for model in condition.models],
        "queries": list(condition.queries),
        "best": condition.best.tolist(),
        "worst": [  # None: no ties, as best
            None if (worst == best).all() else worst.tolist()
            for best, worst in zip(condition.best, condition.worst, strict=True)
        ],
        "flags": [
            [FLAGS.index(flag) for flag in each if flag in FLAGS]
            for each in map(list_items, rows["flags"])
        ],
        "disagreement": [
            None if math.isnan(x) else round(x, 3) for x in rows["disagreement"].astype(float)
        ],
        "why": [each if isinstance(each, str) else "" for each in rows["why"]],
    }


def curves(condition: Condition) -> dict[str, Any]:
    """Recall with its 95% interval ``[m][k]`` at the ranks ``ks`` at which curves are drawn."""
    ks = shown_ranks(condition.n_items)
    found: dict[str, Any] = {"ks": ks.tolist(), "shares": [], "low": [], "high": []}
    for best, worst in zip(condition.best, condition.worst, strict=True):
        shares = compute_recalls(best, worst, ks)
        low, high = curve_limits(ks, shares, best, worst, condition.clusters).T
        found["shares"].append(shares.round(9).tolist())
        found["low"].append(low.round(5).tolist())
        found["high"].append(high.round(5).tolist())
    return found


def asked_and_found(
    condition: Condition, rows: pd.DataFrame, items: dict[str, int], known: Mapping[str, int]
) -> dict[str, Any]:
    """Texts and targets of the queries, and the first items under each model; numbers items that have none yet."""
    rows = rows.assign(query_id=rows["query_id"].astype(str)).drop_duplicates(["model", "query_id"])
    order = list(condition.queries)
    own = {
        model: rows[rows["model"] == model].set_index("query_id").reindex(order)
        for model in condition.models
    }
    tops = [[list_items(top) for top in own[model]["top_item_ids"]] for model in condition.models]
    seen = {item for each in tops for top in each for item in top}
    asked = own[condition.models[0]]

    def numbered(ids: Sequence[str]) -> list[int]:
        return [items.setdefault(item, len(items)) for item in ids]

    return {
        "texts": [
            shorten(text, LONGEST) if isinstance(text, str) else "" for text in asked["text"]
        ],
        "targets": [
            numbered(
                [target] if target in seen or target in known else target.split("|")
            )  # a name may hold a bar
            for target in map(str, asked["item_id"])
        ],
        "tops": [[numbered(top) for top in each] for each in tops],
    }


def list_items(cell: Any) -> list[str]:
    """A cell that may hold several texts, or nothing."""
    return (
        [str(each) for each in cell]
        if hasattr(cell, "__len__") and not isinstance(cell, str)
        else []
    )


def list_wanted(
    sets: Sequence[Mapping[str, Any]], datasets: Mapping[str, Mapping[str, int]]
) -> Iterator[Item]:
    """Items, the most important first: targets that no model found, other targets, first places, second and so on."""
    names = {dataset: list(items) for dataset, items in datasets.items()}
    most = max((len(top) for one in sets for each in one["tops"] for top in each), default=0)

    def of(one: Mapping[str, Any], ids: Sequence[int]) -> list[Item]:
        return [(one["dataset"], names[one["dataset"]][item]) for item in ids]

    lost = FLAGS.index("hopeless")
    for wanted in (True, False):
        yield from in_turn(
            [
                of(
                    one,
                    [
                        item
                        for ids, flags in zip(one["targets"], one["flags"], strict=True)
                        if (lost in flags) == wanted
                        for item in ids
                    ],
                )
                for one in sets
            ]
        )
    for place in range(most):
        yield from in_turn(
            [
                of(
                    one,
                    [
                        top[place]
                        for tops in zip(*one["tops"], strict=True)
                        for top in tops
                        if place < len(top)
                    ],
                )
                for one in sets
            ]
        )


def find_picture(drawn: InlinedPictures, places: Mapping[str, int], item: Item) -> int | str:
    return (
        places[drawn.of_items[item]] if item in drawn.of_items else drawn.reasons.get(item, UNKNOWN)
    )


def write_data(drawn: InlinedPictures, folder: Path | None) -> list[str]:
    """Writes each picture to a file; returns where they lie, seen from the page."""
    if folder is None:
        raise ValueError('the form "folder" needs a folder for thumbnails')
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.glob("*.webp"):  # an earlier page may have shown more
        file.unlink()
    names = [f"{place:06d}.webp" for place in range(len(drawn.pictures))]
    for name, webp in zip(names, drawn.pictures.values(), strict=True):
        (folder / name).write_bytes(webp)
    return [f"{folder.name}/{name}" for name in names]


def note(
    drawn: InlinedPictures,
    sets: Sequence[Mapping[str, Any]],
    datasets: Mapping[str, Mapping[str, int]],
    *,
    limit: int | None,
) -> str:
    """Sentences on the thumbnails that are not there; empty if all are."""
    total, said = len(drawn.of_items) + len(drawn.reasons), []
    if drawn.left_out and limit is not None:
        gone = {(dataset, datasets[dataset][item]) for dataset, item in drawn.left_out}
        places = {
            place
            for one in sets
            for tops in one["tops"]
            for top in tops
            for place, item in enumerate(top, start=1)
            if (one["dataset"], item) in gone
        }
        targets = gone & {
            (one["dataset"], item) for one in sets for ids in one["targets"] for item in ids
        }
        which = [f"those of places {min(places)} to {max(places)}"] if places else []
        which += [f"{len(targets):,} of targets"] if targets else []
        said.append(
            f"{len(gone):,} of {total:,} thumbnails were left out, so that they take at most {limit / 1e6:,.1f} MB "
            f"of this file: {' and '.join(which)}. “kis-bench report RUN --folder” shows all."
        )
    others = Counter(reason for reason in drawn.reasons.values() if reason != NO_ROOM)
    if others:
        why = ", ".join(f"{reason} ({n:,})" for reason, n in sorted(others.items()))
        said.append(f"{others.total():,} of {total:,} items have no thumbnail: {why}.")
    return " ".join(said)
