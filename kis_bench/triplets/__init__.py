"""Image similarity as people judge it: how often does an encoder choose the same candidate?"""

from kis_bench.triplets.margins import (
    agreement,
    ceiling,
    consistency,
    cosine_distances,
    exact_margins,
    majority,
    midranks,
    normalise_margins,
    pearson,
    positions,
)

__all__ = [
    "agreement",
    "ceiling",
    "consistency",
    "cosine_distances",
    "exact_margins",
    "majority",
    "midranks",
    "normalise_margins",
    "pearson",
    "positions",
]
