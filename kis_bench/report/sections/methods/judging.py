"""How models were compared with what people judged."""

from __future__ import annotations

from kis_bench.report.sections.methods.material import tell_unsearched
from kis_bench.report.sections.methods.wording import (
    UNRECORDED,
    count_draws,
    enumerate_words,
    find_statistics,
    name_in_bold,
)
from kis_bench.report.sections.similarity.consistency import tell_counts
from kis_bench.report.tables import escape
from kis_bench.triplets.summary import Similarity


def tell_judged(study: Similarity) -> list[str]:
    """The judgments of one dataset, what agreement is, and how its intervals and tests were made."""
    about = study.about
    counts = tell_counts(study).rstrip(".")
    size = f" over a collection of {int(about['n_items']):,} images" if about.get("n_items") else ""
    said = [f"Image similarity was measured on {name_in_bold(study.name)}{size}: {counts}."]
    said += tell_unsearched(about)
    rule = about.get("image_similarity")
    vectors = f" (of an image's several vectors: {escape(rule)})" if rule else ""
    said.append(
        "A model chooses the candidate whose vector has the larger cosine with that of the target"
        f"{vectors}. Its agreement with a judgment is 1 if the person chose the same, 0 if not, and 0.5 where both "
        "similarities are exactly equal; consistency is the mean over judgments with a preference."
    )
    if study.originals:
        names = enumerate_words(map(name_in_bold, sorted(study.originals)))
        said.append(f"Distances of {names} are those of the study's own files.")
    if not rule and len(study.originals) < len(study.models):
        said.append(f"How images of several vectors were compared {UNRECORDED}.")
    if missing := max((int(row["missing"]) for row in study.models.values()), default=0):
        said.append(f"Up to {missing:,} judgments are left out because an image is missing.")
    return [" ".join([*said, *tell_resampling(study)])]


def tell_resampling(study: Similarity) -> list[str]:
    """How intervals and tests were made, where there are any."""
    if not len(study.agreement):
        return ["Intervals and tests are not in this run."]
    facts = find_statistics(study.run.provenance, "image similarity")
    shared = any(float(row["n_targets"]) < int(row["n_triplets"]) for row in study.models.values())
    unit = "target pictures, each with its triplets," if shared else "triplets"
    people = max((int(row["n_participants"]) for row in study.models.values()), default=0)
    drawn = (
        f"both people and {unit} anew" if people > 1 else f"{unit} anew, as one person judged all"
    )
    said = [
        f"95% intervals are from drawing {drawn} ({count_draws(facts, 'resamples', 'resamples')}), scaled to the "
        f"{'two-way ' if people > 1 else ''}clustered variance."
    ]
    if len(study.select_own(study.run.pairs)):
        said.append(
            "Two models were compared by Student's t of the mean difference with that variance, on the judgments that "
            "both know; p-values are adjusted by Holm's method over all pairs of the dataset."
        )
    if study.people:
        said.append(
            "Agreement of people with one another is measured on triplets that several judged."
        )
    return said
