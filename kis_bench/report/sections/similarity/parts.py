"""Consistency on parts of the judgments: by class, by bin, by who judged, and without each participant."""

from __future__ import annotations

import math

from kis_bench.files.text import make_plain, shorten
from kis_bench.report.numbers import percent, signed
from kis_bench.report.plots.classes import draw_classes
from kis_bench.report.sections.similarity.consistency import INTERVALS
from kis_bench.report.sections.similarity.wording import CEILING, count_range, share_in
from kis_bench.report.tables import escape, table
from kis_bench.report.view import View
from kis_bench.triplets.summary import PERSON, Similarity

BEST = 10  #: models in tables that have a column for each group
PANELS = 12  #: classes in the plot
COLUMNS = 12  #: groups in a table
DIVISIONS = {
    "class": "By class",
    "bins": "By how far the candidates were drawn from the target (bins of both)",
    "age_group": "By age group of the participants",
    "education": "By education of the participants",
    "ml_expert": "By whether participants call themselves experts in machine learning",
}


def draw_panels(view: View, study: Similarity) -> list[str]:
    groups, sizes = study.groups("class"), study.sizes("class")
    if len(groups) < 2:
        return []
    shown = sorted(sorted(groups, key=lambda group: -sizes[group])[:PANELS], key=groups.index)
    of_models, of_people = study.index_groups("class"), study.index_groups("class", "people")
    classes = {
        group: {
            model: share_in(of_models[model, group])
            for model in study.models
            if (model, group) in of_models
        }
        for group in shown
    }
    persons = {
        group: share_in(of_people[PERSON, group]) for group in shown if (PERSON, group) in of_people
    }
    alt = f"Panels: consistency of each model on {len(shown)} classes of {escape(study.name, 60)}"
    n = count_range([sizes[group] for group in shown])
    caption = f"{n} judgments in each class; equal similarities count half; {INTERVALS}."
    arguments = (study.name, classes, persons, [*study.models], study.originals)
    lines = view.show(alt, draw_classes, arguments, "classes", study.name, caption=caption)
    if left := [group for group in groups if group not in shown]:
        others = escape(", ".join(left), 2000)
        lines += [f"Shown are the {PANELS} classes with most judgments. The others: {others}.", ""]
    return lines


def show_division(study: Similarity, part: str, title: str) -> list[str]:
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
                percent(float(own[name, group]["value"])) if (name, group) in own else ""
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
    lines = [f"### {title}: {escape(study.name)}", ""]
    lines += [" ".join(said), ""] if said else []
    return [*lines, table(head, rows, right=range(1, len(head))), ""]


def show_without_one(view: View, study: Similarity) -> list[str]:
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
            change = f"{signed(100 * (values[user] - whole), 2)}"
            between = f"{percent(min(values.values()), digits=2)} to {percent(max(values.values()), digits=2)}"
            rows.append(
                (
                    model,
                    percent(whole, digits=2),
                    between,
                    *([] if view.privacy else [user]),
                    change,
                )
            )
    if not rows:
        return []
    said = (
        "The consistency when any one participant is left out, and whose absence changes it most."
    )
    if len(study.models) > BEST:
        said += (
            f" Shown are the best {BEST} of {len(study.models):,} models; agreement.csv has all."
        )
    who = [] if view.privacy else ["most without"]
    head = ["model", "consistency", "without one participant", *who, "change in points"]
    title = f"### Without one participant: {escape(study.name)}"
    return [title, "", said, "", table(head, rows, right=[1, 2, len(head) - 1]), ""]
