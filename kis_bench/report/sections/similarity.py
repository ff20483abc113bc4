"""The report's part on image similarity: how often models choose as those who judged."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kis_bench.files.text import make_file_name, make_plain, shorten
from kis_bench.report.plots.agreement import (
    Share,
    draw_classes,
    draw_consistency,
    draw_correlations,
)
from kis_bench.report.tables import escaped, table
from kis_bench.triplets.summary import PERSON, Record, Similarity, as_records

if TYPE_CHECKING:
    from kis_bench.results import Run

BEST = 10  #: models in tables that have a column for each group
PANELS = 12
COLUMNS = 12  #: groups in a table
NAMED = 5
CEILING = "ceiling of models"
SEPARATED = 0.05
CONSISTENCY = {
    "consistency": "each judgment",
    "consistency_published": "each judgment, published rules",
    "consistency_per_triplet": "per triplet",
    "consistency_per_triplet_published": "per triplet, published rules",
}
NORMALISED = {
    "difference": "margin",
    "max_normalised": "over the larger distance",
    "candidates_normalised": "over the distance of the candidates",
}
KINDS = ("pearson", "spearman")
WORDS = {
    **CONSISTENCY,
    **{f"{kind}_{way}": words for kind in KINDS for way, words in NORMALISED.items()},
}
#: Metrics whose published figures are shown in one table.
FAMILIES = {
    "consistency": tuple(CONSISTENCY),
    **{
        f"{kind.title()}'s correlation": tuple(f"{kind}_{way}" for way in NORMALISED)
        for kind in KINDS
    },
}
DIVISIONS = {
    "class": "By class",
    "bins": "By how far the candidates were drawn from the target (bins of both)",
    "age_group": "By age group of the participants",
    "education": "By education of the participants",
    "ml_expert": "By whether participants call themselves experts in machine learning",
}


def _percent(value: float, digits: int = 1) -> str:
    return "" if math.isnan(value) else f"{100 * value:.{digits}f}%"


def _with_interval(value: float, low: float, high: float, *, percent: bool = True) -> str:
    """`72.1% [70.0, 74.2]` or `0.512 [0.498, 0.526]`; without brackets where there is no interval."""
    if math.isnan(value):
        return ""
    factor, digits = (100, 1) if percent else (1, 3)
    shown = _percent(value) if percent else f"{value:.3f}"
    known = not math.isnan(low) and not math.isnan(high)
    return f"{shown} [{factor * low:.{digits}f}, {factor * high:.{digits}f}]" if known else shown


def _signed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:+.{digits}f}"  # never -0.00


def _count(value: Any) -> str:
    return "" if pd.isna(value) else f"{int(value):,}"


def _share(row: Record) -> Share:
    return Share(float(row["value"]), float(row["ci_low"]), float(row["ci_high"]), int(row["n"]))


def _point(text: object) -> str:
    """A point of a list, whose text does not begin a list of its own."""
    return "- " + re.sub(r"^(\d*)([.)+=-])", r"\1\\\2", escaped(text, 1000))


def _names(names: Sequence[str], limit: int = NAMED) -> str:
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(shorten(make_plain(name), 34) for name in names[:limit]) + more


def agreement_section(name: str, run: Run, folder: Path, privacy: bool = False) -> list[str]:
    """The lines of Markdown about one dataset with judgments; figures are drawn into plots/ of the folder.

    With `privacy` neither participants nor the remarks on the dataset's files are shown.
    """
    study = Similarity(name, run)
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    lines = [f"## {escaped(name)}: image similarity", "", _counts(study), ""]
    if not privacy and study.about.get("remarks"):
        lines += [*map(_point, study.about["remarks"]), ""]
    lines += _main(study)
    lines += _bars(study, folder)
    lines += _compared(study)
    lines += _panels(study, folder)
    for part, title in DIVISIONS.items():
        lines += _division(study, part, title)
    lines += _without_one(study, privacy)
    lines += _pairs(study)
    lines += _heat_map(study, folder)
    return lines


def _counts(study: Similarity) -> str:
    about = study.about
    said = [
        f"{int(about[key]):,} {words}"
        for key, words in (
            ("n_triplets", "triplets"),
            ("n_judgments", "judgments"),
            ("n_participants", "participants"),
        )
        if about.get(key) is not None
    ]
    if not said:
        own = study.select_own(study.run.judgments)
        columns = (
            ("triplet_id", "triplets"),
            ("judgement_id", "judgments"),
            ("user_id", "participants"),
        )
        said = [f"{own[column].nunique():,} {words}" for column, words in columns]
    left = about.get("n_indifferent")
    out = f"; {int(left):,} judgments without preference are left out" if left is not None else ""
    shared = about.get("n_targets")
    if shared is not None and int(shared) < int(about["n_triplets"]):
        said[0] += f" of {_pictures(int(shared))}"
    return ", ".join(said) + out + "."


def _pictures(n: int) -> str:
    return f"{n:,} target pictures" if n > 1 else "one target picture"


def _drawn(study: Similarity) -> list[str]:
    """What the intervals count as drawn by chance, where there are intervals."""
    known = [row for row in study.models.values() if not math.isnan(row["ci_low"])]
    if not known:
        return []
    most = max(known, key=lambda row: int(row["n"]))
    people, n, targets = (
        int(most["n_participants"]),
        int(most["n_triplets"]),
        float(most["n_targets"]),
    )
    over = f"{people:,} people and " * (people > 1) + f"{n:,} triplets"
    if 1 < targets < n:
        over += f" of {_pictures(int(targets))}, each drawn with all of its triplets"
    elif not math.isnan(targets):
        over += f" of {_pictures(int(targets))}"
    said = [f"Intervals: 95%, over {over}."]
    if nothing := ["people"] * (people == 1) + ["target pictures"] * (targets == 1):
        said.append(f"They say nothing about other {' or '.join(nothing)}.")
    if math.isnan(targets):
        said.append(
            "This older run did not count target pictures that triplets share, without which they are narrow."
        )
    return said


def _ceiling(study: Similarity) -> list[str]:
    """The most that a model can reach, since it has one choice per triplet and people contradict each other."""
    found = study.ceilings.values()
    if not found:
        return []
    least, most = min(found), max(found)
    if least == 1:
        return ["Ceiling: 100%; no triplet has judgments that contradict each other."]
    reach = (
        _percent(most)
        if most == least
        else f"{_percent(least)} to {_percent(most)}, as images are missing"
    )
    return [
        f"Ceiling: {reach}. No model can reach more, since judgments on the same triplet contradict each other."
    ]


def _main(study: Similarity) -> list[str]:
    """The main table, and people below it."""
    models, metrics = study.models, study.metrics

    def known(metric: str) -> bool:
        return any((model, metric) in metrics for model in models)

    def cell(model: str, metric: str, *, interval: bool = True, n: bool = False) -> str:
        row = metrics.get((model, metric))
        if row is None or math.isnan(row["value"]):
            return ""
        low, high = (float(row[end]) if interval else math.nan for end in ("ci_low", "ci_high"))
        shown = _with_interval(float(row["value"]), low, high, percent=metric in CONSISTENCY)
        return f"{shown} ({_count(row['n'])})" if n else shown

    columns: list[tuple[str, list[str]]] = [
        ("model", list(models)),
        (
            "consistency",
            [_with_interval(r["value"], r["ci_low"], r["ci_high"]) for r in models.values()],
        ),
        ("ties", [_count(r["ties"]) for r in models.values()]),
    ]
    lacking = any(r["missing"] for r in models.values())
    if lacking:
        columns.append(("missing", [_count(r["missing"]) for r in models.values()]))
    ceilings = study.ceilings
    if len({*ceilings.values()}) > 1:
        columns.append(("ceiling", [_percent(ceilings.get(model, math.nan)) for model in models]))
    columns.append(("judgments", [_count(r["n"]) for r in models.values()]))
    if known("consistency_published"):
        columns.append(
            ("published rules", [cell(m, "consistency_published", interval=False) for m in models])
        )
    if known("consistency_per_triplet"):
        columns.append(
            ("per triplet (n)", [cell(m, "consistency_per_triplet", n=True) for m in models])
        )
    columns += [
        (kind.title(), [cell(m, f"{kind}_max_normalised", interval=False) for m in models])
        for kind in KINDS
        if known(f"{kind}_max_normalised")
    ]
    head = [title for title, _ in columns]
    said = [
        "Consistency: how often a model chooses as the judge did. Guessing earns 50%; ties count half."
    ]
    said += [*_ceiling(study), *_drawn(study)]
    if lacking:
        said.append(
            "Missing: judgments left out since an image is missing; compare models over the same number."
        )
    if "published rules" in head:
        said.append("Published rules: ties count as the option on the left.")
    if "per triplet (n)" in head:
        said.append("Per triplet: against the majority, where two or more judged.")
    if {"Pearson", "Spearman"} & set(head):
        said.append(
            "Correlations: of the margin over the larger distance with the degrees that people gave."
        )
    rows = zip(*(cells for _, cells in columns), strict=True)
    lines = [" ".join(said), "", table(head, rows, right=range(1, len(head))), ""]
    if study.people:
        people = [
            (name, _with_interval(r["value"], r["ci_low"], r["ci_high"]), _count(r["n"]))
            for name, r in study.people.items()
        ]
        lines += ["How often people choose as others do, on triplets that several judged:", ""]
        lines += [table(["people", "consistency", "judgments"], people, right=[1, 2]), ""]
    return lines


def _picture(alt: str, stem: str) -> list[str]:
    return [f"![{alt}](plots/{stem}.png)", ""]


def _bars(study: Similarity, folder: Path) -> list[str]:
    shares = {model: _share(row) for model, row in study.models.items()}
    published: dict[str, list[float]] = {}
    for model, row in study.published:
        if row["metric"] == "consistency_published":
            published.setdefault(model, []).append(float(row["value"]))
    person = _share(study.people[PERSON]) if PERSON in study.people else None
    stem = make_file_name("consistency", study.name)
    ceiling = max(study.ceilings.values(), default=math.nan)
    draw_consistency(
        study.name,
        shares,
        study.originals,
        person,
        published,
        folder / "plots" / stem,
        ceiling=ceiling,
    )
    best = next(iter(shares))
    noun = "model" if len(shares) == 1 else "models"
    alt = f"Bars: consistency of {len(shares):,} {noun} with the judgments on {escaped(study.name, 60)}"
    alt += (
        f"; the best is {escaped(best, 60)} with {_percent(shares[best].value)}"
        if shares[best].n
        else ""
    )
    alt += f", another person reaches {_percent(person.value)}" if person else ""
    alt += f", no model can reach more than {_percent(ceiling)}" if ceiling < 1 else ""
    return _picture(alt, stem)


def _compared(study: Similarity) -> list[str]:
    """Obtained figures beside published ones: for each family of metrics a row per model."""
    found: dict[tuple[str, str], tuple[Record, Record]] = {}  # (model, metric) -> own, published
    for model, row in study.published:
        own = study.metrics.get((model, str(row["metric"])))
        if own is not None and not math.isnan(own["value"]) and not math.isnan(row["value"]):
            found[model, str(row["metric"])] = own, row
    if not found:
        return []
    lines = [
        f"### Published figures of {escaped(study.name)}",
        "",
        "Obtained / published / difference.",
        "",
    ]
    for title, names in FAMILIES.items():
        metrics = [metric for metric in names if any(metric == other for _, other in found)]
        models = [
            model for model in study.models if any((model, metric) in found for metric in metrics)
        ]
        if models:
            rows = [
                [model, *(_beside(found.get((model, metric))) for metric in metrics)]
                for model in models
            ]
            lines += [
                table(
                    [title, *(WORDS[m] for m in metrics)], rows, right=range(1, 1 + len(metrics))
                ),
                "",
            ]
    sources = dict.fromkeys(str(row["source"]) for _, row in found.values())
    return [*lines, "Published in:", "", *map(_point, sources), ""]


def _beside(both: tuple[Record, Record] | None) -> str:
    """`72.98% / 72.88% / +0.10`, or correlations as they are."""
    if both is None:
        return ""
    own, other = both
    obtained, published = float(own["value"]), float(other["value"])
    if str(own["metric"]).startswith("consistency"):
        shown = f"{_percent(obtained, 2)} / {_percent(published, 2)} / {_signed(100 * (obtained - published), 2)}"
    else:
        shown = f"{obtained:.4f} / {published:.4f} / {_signed(obtained - published, 4)}"
    return shown


def _panels(study: Similarity, folder: Path) -> list[str]:
    groups, sizes = study.groups("class"), study.sizes("class")
    if len(groups) < 2:
        return []
    shown = sorted(sorted(groups, key=lambda group: -sizes[group])[:PANELS], key=groups.index)
    of_models, of_people = study.index_groups("class"), study.index_groups("class", "people")
    classes = {
        group: {
            model: _share(of_models[model, group])
            for model in study.models
            if (model, group) in of_models
        }
        for group in shown
    }
    persons = {
        group: _share(of_people[PERSON, group]) for group in shown if (PERSON, group) in of_people
    }
    stem = make_file_name("classes", study.name)
    draw_classes(
        study.name, classes, persons, list(study.models), study.originals, folder / "plots" / stem
    )
    lines = _picture(
        f"Panels: consistency of each model on {len(shown)} classes of {escaped(study.name, 60)}",
        stem,
    )
    if left := [group for group in groups if group not in shown]:
        others = escaped(", ".join(left), 2000)
        lines += [f"Shown are the {PANELS} classes with most judgments. The others: {others}.", ""]
    return lines


def _division(study: Similarity, part: str, title: str) -> list[str]:
    """A table with a row for each of the best models and a column for each group."""
    groups, sizes, of_models = study.groups(part), study.sizes(part), study.index_groups(part)
    if len(groups) < 2:
        return []
    shown = sorted(sorted(groups, key=lambda group: -sizes[group])[:COLUMNS], key=groups.index)
    entries = [
        (model, of_models)
        for model in study.models
        if any((model, group) in of_models for group in shown)
    ]
    best = entries[:BEST]
    of_people = study.index_groups(part, "people")
    if any((PERSON, group) in of_people for group in shown):
        best.append((PERSON, of_people))
    if ceilings := study.group_ceilings(part):
        best.append(
            (CEILING, {(CEILING, group): {"value": value} for group, value in ceilings.items()})
        )
    rows = [
        [
            name,
            *(
                _percent(float(own[name, group]["value"])) if (name, group) in own else ""
                for group in shown
            ),
        ]
        for name, own in best
    ]
    left = [
        f"{what} of {all_of:,} {noun}"
        for what, all_of, noun in (
            (f"the best {BEST}", len(entries), "models"),
            (f"the {COLUMNS} largest", len(groups), "groups"),
        )
        if all_of > (BEST if noun == "models" else COLUMNS)
    ]
    said = (
        [f"Shown are {' and '.join(left)}; agreement.csv has all, with intervals."] if left else []
    )
    if any(row["missing"] for row in of_models.values()):
        said.append("Models that lack images were measured on fewer judgments.")
    head = [
        "model",
        *(f"{shorten(make_plain(group), 30)} (n = {sizes[group]:,})" for group in shown),
    ]
    lines = [f"### {title}: {escaped(study.name)}", ""]
    lines += [" ".join(said), ""] if said else []
    return [*lines, table(head, rows, right=range(1, len(head))), ""]


def _without_one(study: Similarity, privacy: bool) -> list[str]:
    """How far single participants move the figures."""
    left_out = study.index_groups("without participant")
    rows = []
    for model in list(study.models)[:BEST]:
        whole = float(study.models[model]["value"])
        values = {
            user: float(row["value"]) for (name, user), row in left_out.items() if name == model
        }
        values = {user: value for user, value in values.items() if not math.isnan(value)}
        if values:
            user = max(values, key=lambda who: abs(values[who] - whole))
            change = f"{_signed(100 * (values[user] - whole), 2)}"
            between = f"{_percent(min(values.values()), 2)} to {_percent(max(values.values()), 2)}"
            rows.append((model, _percent(whole, 2), between, *([] if privacy else [user]), change))
    if not rows:
        return []
    said = (
        "The consistency when any one participant is left out, and whose absence changes it most."
    )
    if len(study.models) > BEST:
        said += (
            f" Shown are the best {BEST} of {len(study.models):,} models; agreement.csv has all."
        )
    who = [] if privacy else ["most without"]
    head = ["model", "consistency", "without one participant", *who, "change in points"]
    title = f"### Without one participant: {escaped(study.name)}"
    return [title, "", said, "", table(head, rows, right=[1, 2, len(head) - 1]), ""]


def _pairs(study: Similarity) -> list[str]:
    """Which models can be told apart."""
    better, worse = (dict.fromkeys(study.models, 0) for _ in range(2))
    alike: dict[str, list[str]] = {model: [] for model in study.models}
    tested = 0
    for row in as_records(study.select_own(study.run.pairs)):
        a, b = str(row["model_a"]), str(row["model_b"])
        if pd.isna(row["p_holm"]) or a not in alike or b not in alike:
            continue
        tested += 1
        if row["p_holm"] < SEPARATED:
            first, second = (a, b) if row["difference"] > 0 else (b, a)
            better[first] += 1
            worse[second] += 1
        else:
            alike[a].append(b)
            alike[b].append(a)
    if not tested:
        return []
    place = {model: i for i, model in enumerate(study.models)}

    def nearest(model: str) -> list[str]:
        return sorted(alike[model], key=lambda other: abs(place[other] - place[model]))

    rows = [(model, better[model], worse[model], _names(nearest(model))) for model in study.models]
    said = (
        f"{tested:,} pairs, tested on the judgments that both models know; a pair is separated where p < {SEPARATED} "
        "after Holm's correction for the number of pairs. model_pairs.csv has the differences with their intervals."
    )
    head = ["model", "better than", "worse than", "not separable from"]
    title = f"### Which models can be told apart: {escaped(study.name)}"
    return [title, "", said, "", table(head, rows, right=[1, 2]), ""]


def _heat_map(study: Similarity, folder: Path) -> list[str]:
    pairs = study.select_own(study.run.pairs)
    involved = {*pairs["model_a"], *pairs["model_b"]}
    models = [model for model in study.models if model in involved]
    if len(models) < 2:
        return []
    place = {model: i for i, model in enumerate(models)}
    together = np.eye(len(models))
    together[~np.eye(len(models), dtype=bool)] = np.nan
    for row in as_records(pairs):
        if row["model_a"] in place and row["model_b"] in place:
            i, k = place[row["model_a"]], place[row["model_b"]]
            together[i, k] = together[k, i] = float(row["correlation"])
    none: Record = {"value": math.nan}
    people = [
        float(study.metrics.get((model, "pearson_max_normalised"), none)["value"])
        for model in models
    ]
    stem = make_file_name("correlations", study.name)
    draw_correlations(
        study.name, models, together, np.array(people, np.float64), folder / "plots" / stem
    )
    alt = f"Heat map: correlation of the margins of {len(models):,} models on {escaped(study.name, 60)}, in the "
    alt += "order of their consistency" + (
        ", and of each with people" if np.isfinite(people).any() else ""
    )
    return _picture(alt, stem)


def similarity_datasets(run: Run) -> list[str]:
    """Names of the datasets with judgments that count."""
    rows: Iterable[Any] = [*run.judgments["dataset"], *run.agreement["dataset"]]
    return list(dict.fromkeys(map(str, rows)))


def similarity_summary(run: Run) -> str:
    """The table that a terminal shows: consistency of each model, best first, and of people."""
    from tabulate import tabulate

    lines = []
    for name in similarity_datasets(run):
        study = Similarity(name, run)
        people = {f"({PERSON})": study.people[PERSON]} if PERSON in study.people else {}
        ceiling = max(study.ceilings.values(), default=math.nan)
        if not math.isnan(ceiling):
            none = {"ci_low": math.nan, "ci_high": math.nan}
            most = max(int(row["n"]) for row in study.models.values())
            people = {f"({CEILING})": {"value": ceiling, "n": most, **none}, **people}
        for model, row in (*study.models.items(), *people.items()):
            share = _share(row)
            per_triplet = study.metrics.get((model, "consistency_per_triplet"), {"value": math.nan})
            interval = (
                "" if math.isnan(share.low) else f"{100 * share.low:.1f} - {100 * share.high:.1f}"
            )
            lines.append(
                {
                    "dataset": make_plain(name),
                    "model": make_plain(model),
                    "consistency": _percent(share.value),
                    "95% interval": interval,
                    "ties": row["ties"] if model in study.models else "",
                    "judgments": share.n,
                    "per triplet": _percent(float(per_triplet["value"])),
                }
            )
    return str(tabulate(lines, headers="keys", disable_numparse=True))
