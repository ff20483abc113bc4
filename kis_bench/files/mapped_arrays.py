"""What lies in several files and reads as one array, of which slices touch only what they need."""

from __future__ import annotations

from typing import Any

import numpy as np


class MappedArray(np.lib.mixins.NDArrayOperatorsMixin):
    """What numpy asks of an array besides `__array__` and `__getitem__`, which a subclass gives."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape, self.ndim, self.dtype = shape, len(shape), dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        arrays = [np.asarray(x) if isinstance(x, MappedArray) else x for x in inputs]
        return getattr(ufunc, method)(*arrays, **options)
