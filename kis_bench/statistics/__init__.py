"""Confidence intervals and paired tests of figures over queries. Seeds are fixed: the same values, the same result."""

from kis_bench.statistics.intervals import (
    bootstrap_interval,
    bootstrap_means,
    quantile_interval,
    resampled_means,
    wilson_interval,
)
from kis_bench.statistics.paired import (
    hit_tests,
    holm,
    mcnemar_exact,
    mcnemar_tests,
    paired_randomization_test,
    sign_flip_tests,
)

__all__ = [
    "bootstrap_interval",
    "bootstrap_means",
    "hit_tests",
    "holm",
    "mcnemar_exact",
    "mcnemar_tests",
    "paired_randomization_test",
    "quantile_interval",
    "resampled_means",
    "sign_flip_tests",
    "wilson_interval",
]
