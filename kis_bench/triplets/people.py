"""Agreement of people with one another on triplets that several of them judged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from kis_bench.records import Float64s, Int64s
from kis_bench.statistics import wilson_interval
from kis_bench.statistics.crossed import Crossed, number_names


def another_person(same: Float64s, other: Float64s) -> Float64s:
    """The share of the others' votes that are the ``same``."""
    return np.asarray(same / (same + other))


def majority_of_others(same: Float64s, other: Float64s) -> Float64s:
    """Whether most of the others chose the same: 1, 0, or 0.5 if they are split."""
    return np.asarray((1 + np.sign(same - other)) / 2)


PEOPLE_RULES: dict[str, Callable[[Float64s, Float64s], Float64s]] = {
    "another person": another_person,
    "majority of the others": majority_of_others,
}


def agreement_of_people(
    choices: ArrayLike, triplets: Int64s, people: Int64s
) -> tuple[Float64s, Float64s]:
    """Agreement of each decided judgment with other people's on the same triplet, by both rules: float64 ``[j]`` each.

    First the share of the others who chose the same: the agreement of another person. Then 1, 0 or, if they are split,
    0.5: the agreement of the majority of the others. NaN for judgments without preference or without others. All other
    judgments count that are decided and not by the same person.
    """
    choice: Float64s = np.asarray(choices, np.float64)
    person = np.unique(np.stack([triplets, people]), axis=1, return_inverse=True)[1].reshape(
        -1
    )  # and triplet

    def of_others(values: Float64s) -> Float64s:
        return np.asarray(
            np.bincount(triplets, values)[triplets] - np.bincount(person, values)[person]
        )

    n, balance = of_others(np.abs(choice)), of_others(choice)
    same, other = (n + choice * balance) / 2, (n - choice * balance) / 2
    decided = (choice != 0) & (n > 0)
    first, second = (np.full(len(choice), np.nan) for _ in PEOPLE_RULES)
    for found, rule in zip((first, second), PEOPLE_RULES.values(), strict=True):
        found[decided] = rule(same[decided], other[decided])
    return first, second


def interval_of_people(
    rule: Callable[[Float64s, Float64s], Float64s],
    choices: Int64s,
    crossed: Crossed,
    judges: NDArray[np.bool_],
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Interval of the mean of a rule of `PEOPLE_RULES` over decided judgments.

    A person counts twice: as the judge, and as one of the others by whom judges are measured. So each person, target
    picture, and person on a target is left out of both, in turn, and all is counted anew; from these
    V(people) + V(targets) - V(person and target), at least V(targets), and Student's t as in
    `kis_bench.statistics.crossed`. NaN where fewer than two people or triplets can be compared.

    Args:
        choices: -1 or 1 ``[j]``, of people and on triplets as ``crossed`` says.
        judges: which judgments are measured ``[j]``; all are what they are measured by.
    """
    votes = pd.DataFrame(
        {
            "t": crossed.triplets,
            "p": crossed.people,
            "l": choices < 0,
            "r": choices > 0,
            "g": judges,
        }
    )
    votes = votes.groupby(["t", "p"], as_index=False).agg(
        l=("l", "sum"), r=("r", "sum"), g=("g", "max")
    )
    both = votes.groupby("t")[["l", "r"]].transform("sum")

    def measure(mine: pd.DataFrame, left: Float64s, right: Float64s) -> tuple[Float64s, Float64s]:
        """What a person's judgments on a triplet add to the sum and to their number, the others being so many votes."""
        some = (left + right > 0) & mine["g"].to_numpy(bool)
        own_left, own_right = mine["l"].to_numpy(np.float64), mine["r"].to_numpy(np.float64)
        added = np.zeros(len(mine))
        added[some] = own_left[some] * rule(left[some], right[some]) + own_right[some] * rule(
            right[some], left[some]
        )
        return added, np.where(some, own_left + own_right, 0.0)

    others = (both - votes[["l", "r"]]).to_numpy(np.float64)
    total, number = measure(votes, *others.T)
    # Every two people on one triplet: what the first one's judgments are worth without the second.
    pair = votes.reset_index().merge(votes.reset_index(), on="t", suffixes=("", "_2"))
    pair = pair[pair["p"] != pair["p_2"]]
    without = others[pair["index"]] - pair[["l_2", "r_2"]].to_numpy(np.float64)
    left_total, left_number = measure(pair, *without.T)
    changes = np.stack([total[pair["index"]] - left_total, number[pair["index"]] - left_number])
    # Without a person on a triplet: what they added themselves, and what they changed in the others.
    others_lose = [
        np.asarray(np.bincount(pair["index_2"], each, len(votes)), np.float64) for each in changes
    ]
    lost: Float64s = np.stack([others_lose[0] + total, others_lose[1] + number])
    sums = np.array([total.sum(), number.sum()])
    if number.sum() == 0:
        return np.nan, np.nan

    def left_out(codes: NDArray[np.intp], each: Float64s) -> float:
        """Jackknife variance where leaving out a cluster takes so much from the sum and from the number."""
        remaining = sums[:, None] - np.stack([np.bincount(codes, part) for part in each])
        known = remaining[:, (np.bincount(codes, each[1]) > 0) & (remaining[1] > 0)]
        estimates, n = known[0] / known[1], known.shape[1]
        return (
            float((n - 1) / n * np.sum((estimates - sums[0] / sums[1]) ** 2)) if n > 1 else np.nan
        )

    first = np.unique(crossed.triplets, return_index=True)[1]
    whole = Crossed.of(votes["p"], votes["t"], crossed.targets[first][votes["t"]])
    part = whole.where(number > 0)
    if (
        part.n_targets == 1
    ):  # then figures speak of that target only, and its triplets are what varies
        whole = Crossed.of(whole.people, whole.triplets)
    of_targets = left_out(whole.clusters, np.stack([total, number]))
    pairs = number_names(whole.clusters * whole.n_people + whole.people)
    three = left_out(whole.people, lost) + of_targets - left_out(pairs, lost)
    value, variance = float(sums[0] / sums[1]), np.fmax(three, of_targets)
    if not np.isfinite(variance):
        return np.nan, np.nan
    if variance == 0:
        return wilson_interval(value * part.n_clusters, part.n_clusters, confidence)
    half = part.quantile(confidence) * np.sqrt(variance)
    return float(max(0.0, value - half)), float(min(1.0, value + half))
