"""How often each model chooses as the judges did, and what limits that."""

from __future__ import annotations

import math

from kis_bench.metrics import CONSISTENCY_PUBLISHED, PER_TRIPLET
from kis_bench.records import count_things
from kis_bench.report.numbers import count, figure, percent
from kis_bench.report.plots.consistency import draw_consistency
from kis_bench.report.sections.similarity.wording import count_pictures, share_in
from kis_bench.report.tables import escape, table
from kis_bench.report.view import View
from kis_bench.triplets.summary import PERSON, Similarity

INTERVALS = "lines: 95% intervals over people, triplets and target pictures"
KINDS = ("pearson", "spearman")


def tell_counts(study: Similarity) -> str:
    about = study.about
    nouns = {"n_triplets": "triplet", "n_judgments": "judgment", "n_participants": "participant"}
    said = [
        count_things(int(about[key]), noun)
        for key, noun in nouns.items()
        if about.get(key) is not None
    ]
    if not said:
        own = study.select_own(study.run.judgments)
        columns = {"triplet_id": "triplet", "judgement_id": "judgment", "user_id": "participant"}
        said = [count_things(own[column].nunique(), noun) for column, noun in columns.items()]
    shared, left = about.get("n_targets"), about.get("n_indifferent")
    if shared is not None and int(shared) < int(about["n_triplets"]):
        said[0] += f" of {count_pictures(int(shared))}"
    out = ""
    if left is not None:
        verb = "is" if left == 1 else "are"
        out = f"; {count_things(int(left), 'judgment')} without preference {verb} left out"
    return ", ".join(said) + out + "."


def show_consistency(study: Similarity) -> list[str]:
    """The main table, and people below it."""
    models, metrics = study.models, study.metrics

    def known(metric: str) -> bool:
        return any((model, metric) in metrics for model in models)

    def cell(model: str, metric: str, *, interval: bool = True, n: bool = False) -> str:
        row = metrics.get((model, metric))
        if row is None or math.isnan(row["value"]):
            return ""
        low, high = (float(row[end]) if interval else math.nan for end in ("ci_low", "ci_high"))
        shown = figure(metric, row["value"], low, high)
        return f"{shown} ({count(row['n'])})" if n else shown

    columns: list[tuple[str, list[str]]] = [
        ("model", list(models)),
        (
            "consistency",
            [percent(r["value"], r["ci_low"], r["ci_high"]) for r in models.values()],
        ),
        ("ties", [count(r["ties"]) for r in models.values()]),
    ]
    lacking = any(r["missing"] for r in models.values())
    if lacking:
        columns.append(("missing", [count(r["missing"]) for r in models.values()]))
    ceilings = study.ceilings
    if len({*ceilings.values()}) > 1:
        columns.append(("ceiling", [percent(ceilings.get(model, math.nan)) for model in models]))
    columns.append(("judgments", [count(r["n"]) for r in models.values()]))
    if study.common:
        columns.append(("common", [percent(study.common[model]["value"]) for model in models]))
    if known(CONSISTENCY_PUBLISHED.name):
        columns.append(
            (
                "published rules",
                [cell(m, CONSISTENCY_PUBLISHED.name, interval=False) for m in models],
            )
        )
    if known(PER_TRIPLET.name):
        columns.append(("per triplet (n)", [cell(m, PER_TRIPLET.name, n=True) for m in models]))
    columns += [
        (kind.title(), [cell(m, f"{kind}_max_normalised", interval=False) for m in models])
        for kind in KINDS
        if known(f"{kind}_max_normalised")
    ]
    head = [title for title, _ in columns]
    said = [
        "Consistency: how often a model chooses as the judge did. Guessing earns 50%; ties count half."
    ]
    said += [*tell_ceiling(study), *tell_intervals(study)]
    if lacking:
        said.append("Missing: judgments left out since an image is missing.")
    if study.n_common is not None:
        said.append(tell_common(study))
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
            (name, percent(r["value"], r["ci_low"], r["ci_high"]), count(r["n"]))
            for name, r in study.people.items()
        ]
        lines += ["How often people choose as others do, on triplets that several judged:", ""]
        lines += [table(["people", "consistency", "judgments"], people, right=[1, 2]), ""]
    return lines


def tell_common(study: Similarity) -> str:
    """Over which judgments models can be compared, where some know more than others."""
    if not study.common:
        return "No judgment is known to all models, so compare those over the same number."
    least = min(study.models, key=lambda model: int(study.models[model]["n"]))
    return (
        f"Common: over the {count_things(study.n_common or 0, 'judgment')} that all models know, of which "
        f"{escape(least, 60)} knows the fewest."
    )


def tell_ceiling(study: Similarity) -> list[str]:
    """The most that a model can reach, since it has one choice per triplet and people contradict each other."""
    found = study.ceilings.values()
    if not found:
        return []
    least, most = min(found), max(found)
    if least == 1:
        return ["Ceiling: 100%; no triplet has judgments that contradict each other."]
    reach = (
        percent(most)
        if most == least
        else f"{percent(least)} to {percent(most)}, as images are missing"
    )
    return [
        f"Ceiling: {reach}. No model can reach more, since judgments on the same triplet contradict each other."
    ]


def tell_intervals(study: Similarity) -> list[str]:
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
        over += f" of {count_pictures(int(targets))}, each drawn with all of its triplets"
    elif not math.isnan(targets):
        over += f" of {count_pictures(int(targets))}"
    said = [f"Intervals: 95%, over {over}."]
    if nothing := ["people"] * (people == 1) + ["target pictures"] * (targets == 1):
        said.append(f"They say nothing about other {' or '.join(nothing)}.")
    if math.isnan(targets):
        said.append(
            "This older run did not count target pictures that triplets share, without which they are narrow."
        )
    return said


def draw_bars(view: View, study: Similarity) -> list[str]:
    shares = {model: share_in(row) for model, row in study.models.items()}
    published: dict[str, list[float]] = {}
    for model, row in study.published:
        if row["metric"] == CONSISTENCY_PUBLISHED.name:
            published.setdefault(model, []).append(float(row["value"]))
    person = share_in(study.people[PERSON]) if PERSON in study.people else None
    ceiling = max(study.ceilings.values(), default=math.nan)
    n = max((share.n for share in shares.values()), default=0)
    caption = f"{n:,} judgment{'s' * (n != 1)}; equal similarities count half; {INTERVALS}."
    arguments = (study.name, shares, study.originals, person, published, ceiling)
    best = next(iter(shares))
    noun = "model" if len(shares) == 1 else "models"
    alt = f"Bars: consistency of {len(shares):,} {noun} with the judgments on {escape(study.name, 60)}"
    alt += (
        f"; the best is {escape(best, 60)} with {percent(shares[best].value)}"
        if shares[best].n
        else ""
    )
    alt += f", another person reaches {percent(person.value)}" if person else ""
    alt += f", no model can reach more than {percent(ceiling)}" if ceiling < 1 else ""
    return view.show(alt, draw_consistency, arguments, "consistency", study.name, caption=caption)
