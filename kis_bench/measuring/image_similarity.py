"""Image similarity, measured: what is made of one model's distances."""

from __future__ import annotations

import pandas as pd

from kis_bench.records import Dataset, Float64s
from kis_bench.triplets.tables import whole_tables


def of_similarity(
    dataset: Dataset, model: str, measured: tuple[Float64s, Float64s]
) -> dict[str, pd.DataFrame]:
    """What the gate takes of one model's distances."""
    return whole_tables(dataset, {model: measured})
