"""How many judgments of how many people an interval of a wanted width takes, before anything is known.

Judgments are not independent: people agree on a triplet, and one person's are alike. The variance of a consistency p is
that of n independent judgments, ``p (1 - p) / n``, times the design effect of both factors

    1 + r_triplet (sum m^2 / n - 1) + r_person (sum k^2 / n - 1)

with m judgments on a triplet and k of a person (L. Kish, Survey Sampling, 1965, for each factor; they are crossed, and
no person judges a triplet twice). How often two people choose the same, c, fixes the first correlation: when they do,
both agree with a model, or neither does. So ``r_triplet = 1 - (1 - c) / (2 p (1 - p))``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from kis_bench.statistics import wilson_interval

MOST_JUDGMENTS = 10**9  #: more are no plan
OVERLAPS = (1, 2, 3)  #: people who judge a triplet, of the plans that are shown


@dataclass(frozen=True)
class Assumptions:
    """What a plan takes for granted; a study tells afterwards."""

    consistency: float = 0.7  # of a model with people
    people_agree: float = 0.8  # how often two people choose the same candidate of a triplet
    person_correlation: float = 0.01  # of agreements of one person on different triplets

    @property
    def triplet_correlation(self) -> float:
        """Of agreements of different people on one triplet, 0 to 1."""
        p = self.consistency
        return min(1.0, max(0.0, 1 - (1 - self.people_agree) / (2 * p * (1 - p))))


ASSUMED = Assumptions()


def estimate_design_effect(
    by_triplet: ArrayLike, by_person: ArrayLike, assumed: Assumptions = ASSUMED
) -> float:
    """How many times the variance is that of independent judgments.

    Args:
        by_triplet: number of judgments on each triplet ``[t]``.
        by_person: number of judgments of each person ``[p]``.

    >>> round(estimate_design_effect([1] * 100, [50, 50], Assumptions(person_correlation=0.0)), 6)
    1.0
    """
    effect = 1.0
    for counts, correlation in (
        (by_triplet, assumed.triplet_correlation),
        (by_person, assumed.person_correlation),
    ):
        sizes = np.asarray(counts, np.float64)
        effect += correlation * (float((sizes**2).sum() / sizes.sum()) - 1)
    return effect


def find_half_width(
    n: float,
    effect: float = 1.0,
    people: int | None = None,
    assumed: Assumptions = ASSUMED,
    confidence: float = 0.95,
) -> float:
    """Half the width of the interval of a consistency from so many judgments with a preference.

    Wilson's, of as many independent judgments as tell as much. With few people it is wider by the ratio of Student's
    quantile, with one degree of freedom less than there are people, and the normal one, as in the report.

    Args:
        people: who judged; None: as many as one likes.

    >>> round(find_half_width(1000), 4), round(find_half_width(1000, people=5), 4)
    (0.0284, 0.0401)
    """
    from scipy.special import ndtri, stdtrit

    if people is not None and people < 2:
        return math.inf
    at = (1 + confidence) / 2
    wider = 1.0 if people is None else float(stdtrit(people - 1, at) / ndtri(at))
    effective = max(1.0, n / effect / wider**2)
    low, high = wilson_interval(assumed.consistency * effective, effective, confidence)
    return (high - low) / 2


def plan_judgments(
    half_width: float, people: int, overlap: int = 1, assumed: Assumptions = ASSUMED
) -> int | None:
    """The fewest judgments that give an interval of so much to either side; None: so few people never do.

    With more judgments of the same people each one tells less: what people differ in stays.

    Args:
        half_width: such as 0.05 for five points.
        people: who share the judgments evenly.
        overlap: people who judge a triplet.

    >>> plan_judgments(0.05, 1000), plan_judgments(0.05, 20), plan_judgments(0.05, 4)
    (321, 442, None)
    """

    def is_enough(n: int) -> bool:
        effect = (
            1
            + assumed.triplet_correlation * (overlap - 1)
            + assumed.person_correlation * max(0.0, n / people - 1)
        )
        return find_half_width(n, effect, people, assumed) <= half_width

    if overlap > people or not is_enough(MOST_JUDGMENTS):
        return None
    low, high = 0, MOST_JUDGMENTS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return math.ceil(high / overlap) * overlap


def plan_comparison(
    share: float, people: int, power: float = 0.8, assumed: Assumptions = ASSUMED
) -> int | None:
    """The fewest judgments that tell which of two models people side with, where the two choose differently.

    The test is that of a share against one half at 5%, with one person a triplet. None: so few people never do.

    Args:
        share: of the judgments that agree with one of them, above 0.5.
        power: how often a study of that size would tell.

    >>> plan_comparison(0.6, 1000, assumed=Assumptions(person_correlation=0.0))
    194
    """
    from scipy.special import ndtri

    spread = math.sqrt(share * (1 - share))
    n = ((ndtri(0.975) / 2 + ndtri(power) * spread) / (share - 0.5)) ** 2
    rest = 1 - n * assumed.person_correlation / people
    return math.ceil(n * (1 - assumed.person_correlation) / rest) if rest > 0 else None


def count_needed_people(half_width: float, overlap: int = 1, assumed: Assumptions = ASSUMED) -> int:
    """The fewest people with whom any number of judgments gives such an interval."""
    people = 1
    while plan_judgments(half_width, people, overlap, assumed) is None:
        people += 1
    return people


def tabulate_plan(
    half_widths: Sequence[float], people: int, assumed: Assumptions = ASSUMED
) -> list[list[str]]:
    """A row for each width: judgments if so many people judge a triplet, or how many people it takes."""
    rows = []
    for half_width in half_widths:
        cells = [f"±{100 * half_width:g} points"]
        for overlap in OVERLAPS:
            planned = plan_judgments(half_width, people, overlap, assumed)
            cells.append(
                f"not by fewer than {count_needed_people(half_width, overlap, assumed):,} people"
                if planned is None
                else f"{planned:,}"
                if overlap == 1
                else f"{planned:,} on {planned // overlap:,}"
            )
        rows.append(cells)
    return rows
