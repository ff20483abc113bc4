"""Confidence intervals and paired tests of figures over queries. Seeds are fixed: the same values, the same result."""

from kis_bench.statistics.intervals import (
    bootstrap_interval,
    bootstrap_means,
    quantile_interval,
    resampled_means,
    wilson_interval,
)
from kis_bench.statistics.paired import (
    adjust_known,
    hit_tests,
    holm,
    mcnemar_exact,
    mcnemar_tests,
    paired_randomization_test,
    paired_tests,
    sign_flip_tests,
)

__all__ = [
    "adjust_known",
    "bootstrap_interval",
    "bootstrap_means",
    "hit_tests",
    "holm",
    "mcnemar_exact",
    "mcnemar_tests",
    "paired_randomization_test",
    "paired_tests",
    "quantile_interval",
    "resampled_means",
    "sign_flip_tests",
    "wilson_interval",
]
