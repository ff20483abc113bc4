"""Checks of a study before models are compared with it: judgments that count, agreement of people.

The same is looked for in any study with the files of RESET.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kis_bench.checks.check import Check
from kis_bench.checks.texts import list_first
from kis_bench.datasets.reset import Study
from kis_bench.records import Collection, Judgment
from kis_bench.statistics import wilson_interval
from kis_bench.statistics.crossed import number_names
from kis_bench.triplets import ceiling

FEW_TARGETS = 15  #: below, 95% intervals held the truth in less than 93% of simulated studies
MANY_SHARED = 2  #: triplets of a candidate on average; above, in less than 92%


def check_study(study: Study) -> Iterator[Check]:
    """Checks a study and says what can be concluded from it."""
    first, *others = study.remarks
    yield Check("judgments", True, first)
    for remark in others:
        yield Check("judgments", None, remark)
    decided = [judgment for judgment in study.judgments if judgment.choice]
    share = format_share(len(decided), len(study.judgments))
    said = f"{len(decided):,} of {len(study.judgments):,} judgments ({share})"
    if not decided:
        meaning = "nothing can be compared with them; correct choice and simplified_choice"
        yield Check("decided judgments", False, f"{said} have a preference; {meaning}")
        return
    yield Check("decided judgments", True, f"{said} have a preference and count")
    yield check_shared_pictures(study, decided)
    yield from check_people(study, decided)
    yield check_sides(decided)


def check_shared_pictures(study: Study, decided: Sequence[Judgment]) -> Check:
    """Counts triplets that share a target picture, which intervals allow for, or a candidate, which they don't."""
    judged = {judgment.triplet_id for judgment in decided}
    those = [triplet for triplet in study.triplets if triplet.triplet_id in judged]
    targets = len({triplet.target for triplet in those})
    uses = (
        2
        * len(those)
        / len({candidate for t in those for candidate in (t.candidate1, t.candidate2)})
    )
    said = (
        f"{len(those):,} judged triplets have {targets:,} target pictures, {len(those) / targets:.1f} triplets each; a "
        f"candidate is in {uses:.1f} triplets on average"
    )
    odd = []
    if targets == 1 < len(those):
        odd.append(
            "figures speak of this target only, and intervals say nothing about others; add triplets of others"
        )
    elif targets < min(FEW_TARGETS, len(those)):
        odd.append(
            "with so few targets for all triplets intervals are too narrow; add triplets of others"
        )
    if uses > MANY_SHARED:
        odd.append(
            "intervals don't count that triplets share candidates, and are too narrow; draw more candidates"
        )
    return Check("shared pictures", None if odd else True, "; ".join([said, *odd]))


@dataclass(frozen=True)
class Votes:
    """The decided judgments on one triplet."""

    first: int  # for candidate 1
    second: int
    people: int


def collect_votes(decided: Sequence[Judgment]) -> dict[str, Votes]:
    counts = Counter((judgment.triplet_id, judgment.choice) for judgment in decided)
    judges = Counter(
        triplet for triplet, _ in {(judgment.triplet_id, judgment.user_id) for judgment in decided}
    )
    return {
        triplet: Votes(counts[triplet, -1], counts[triplet, 1], n) for triplet, n in judges.items()
    }


def check_people(study: Study, decided: Sequence[Judgment]) -> Iterator[Check]:
    """Counts the triplets judged by several people, and how often these disagree."""
    several = sum(
        n > 1 for n in Counter(judgment.triplet_id for judgment in study.judgments).values()
    )
    votes = collect_votes(decided)
    shared = [vote for vote in votes.values() if vote.people > 1]
    said = (
        f"{several:,} of {len(study.triplets):,} triplets have two or more judgments, {len(shared):,} of them decided "
        "ones of different people"
    )
    if not shared:
        meaning = "how far people agree can't be told, nor what is a good figure; let others judge some of the triplets"
        yield Check("human agreement", None, f"{said}; {meaning}")
        return
    yield Check("human agreement", True, said)
    split = sum(vote.first > 0 and vote.second > 0 for vote in shared)
    said = f"on {split:,} of {len(shared):,} triplets ({format_share(split, len(shared))}) people chose differently"
    best = ceiling(
        [judgment.choice for judgment in decided],
        number_names([judgment.triplet_id for judgment in decided]),
    )
    meaning = f"nothing can agree with all; the consistency of a perfect model is {100 * best:.1f}%"
    yield Check("contradictions", None if split else True, f"{said}; {meaning}" if split else said)


def check_sides(decided: Sequence[Judgment]) -> Check:
    """Checks whether people prefer one side, which models don't see."""
    left = sum((judgment.choice < 0) == (judgment.left == 1) for judgment in decided)
    low, high = wilson_interval(left, len(decided))
    said = (
        f"{left:,} of {len(decided):,} decided judgments ({format_share(left, len(decided))}, "
        f"95% interval {100 * low:.1f} to {100 * high:.1f}%) chose the left"
    )
    if low <= 0.5 <= high:
        return Check("sides", True, said)
    shown = {judgment.left for judgment in decided}
    if len(shown) == 1:
        meaning = (
            f"candidate {shown.pop()} was always shown there, so it can't be told whether people prefer the side or "
            "the candidate; let chance decide sides"
        )
    else:
        meaning = (
            "models don't know sides, so this is noise of the judges, and no model can follow it; look for people who "
            "always choose one side"
        )
    return Check("sides", None, f"{said}; {meaning}")


def check_missing_pictures(study: Study, collection: Collection) -> Check:
    """Names images that triplets need and that are missing, and counts what can't be compared without them."""
    named = study.images
    absent = sorted(named - collection.position.keys())
    if not absent:
        return Check("images of triplets", True, f"all {len(named):,} are there")
    if len(absent) == len(named):
        meaning = "only extractors whose distances the study has can be measured; put the images into keyframes/"
        return Check("images of triplets", None, f"none of {len(named):,} is there; {meaning}")
    lost, without = set(absent), set[str]()
    for t in study.triplets:
        if not lost.isdisjoint((t.target, t.candidate1, t.candidate2)):
            without.add(t.triplet_id)
    unused = sum(judgment.triplet_id in without for judgment in study.judgments)
    meaning = (
        f"models can't be compared on {len(without):,} triplets with {unused:,} judgments; add the images, or publish "
        "how many are left"
    )
    shown = list_first(absent, len(absent))
    return Check(
        "images of triplets",
        None,
        f"{len(absent):,} of {len(named):,} are missing; {meaning}\n{shown}",
    )


def format_share(part: int, whole: int) -> str:
    """A share in percent.

    >>> format_share(1, 3)
    '33.3%'
    """
    return f"{100 * part / whole:.1f}%"
