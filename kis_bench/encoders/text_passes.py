"""A pass of texts through a model; see `kis_bench.encoders.passes`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from kis_bench.encoders.encoding import Input
from kis_bench.encoders.passes import Copies, Pass
from kis_bench.encoders.protocol import Encoder
from kis_bench.records import Vectors


class TextPass(Pass[tuple[Vectors, np.bool_ | None]]):
    unit = "text"

    def __init__(
        self,
        name: str,
        ids: Sequence[str],
        texts: Sequence[str],
        encoder: Encoder,
        batch_size: int | None = None,
    ) -> None:
        super().__init__(encoder, f"{name}: texts with {encoder.name}", len(texts), batch_size)
        self.inputs = [Input(*pair) for pair in zip(ids, texts, strict=True)]

    def choose(self, positions: Iterable[int]) -> Iterator[int]:
        return iter(positions)

    def take(self, positions: Sequence[int]) -> list[Input]:
        return [self.inputs[i] for i in positions]

    def run(self, inputs: list[Input]) -> Iterable[tuple[Vectors, np.bool_ | None]]:
        for vectors, cut in self.batches.run(self.checked.texts, inputs, self.step.advance):
            flags = repeat(None, len(vectors)) if cut is None else cut
            yield from zip(vectors, flags, strict=True)

    def join(self, shard: range, copies: Copies) -> tuple[Vectors, NDArray[np.bool_] | None]:
        vectors, cut = zip(*(self.found[i] for i in shard), strict=True)
        return np.stack(vectors), None if None in cut else np.array(cut, dtype=bool)
