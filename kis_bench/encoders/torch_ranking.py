"""Float32 scores for `kis_bench.ranking` from torch, on a GPU or on the CPU; the ranks are those of numpy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from kis_bench.encoders.device import choose
from kis_bench.errors import KisBenchError
from kis_bench.ranking.engines import Compared, MakeEngine
from kis_bench.records import Float32s, Int64s

PROBE_SIZE = 256  #: of the product that shows whether float32 is computed as such


def make_engine(device: str = "auto") -> MakeEngine:
    """What ``target_ranks(engine=...)`` takes to multiply with torch.

    A block of items is on the device at a time. It was tested on the CPU; no GPU was at hand.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        KisBenchError: the device isn't there, or multiplies float32 in a narrower format, which ranks can't rest on.
    """
    chosen = choose(device)
    require_float32(chosen)
    return TorchFactory(chosen)


@dataclass(frozen=True)
class TorchFactory:
    """Makes engines for one device."""

    place: torch.device
    name = "torch"

    @property
    def device(self) -> str:
        return str(self.place)

    def __call__(self, queries: Float32s, /) -> TorchEngine:
        return TorchEngine(queries, self.place)


class TorchEngine:
    """Products and comparisons on a device, decisions on the CPU."""

    threads: int | None = 1

    def __init__(self, queries: Float32s, device: torch.device) -> None:
        self.device = device
        self.queries = make_tensor(queries, device)

    def multiply(self, rows: slice, pieces: Sequence[Float32s]) -> TorchScores:
        block = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        b, v, d = block.shape
        with compute_float32(self.device):
            every = make_tensor(block.reshape(b * v, d), self.device) @ self.queries[rows].T
            best = every if v == 1 else every.reshape(b, v, -1).amax(dim=1)
        return TorchScores(every, best)


class TorchScores:
    """Scores of vectors ``every [b v, q]`` and of items, their ``best [b, q]``."""

    def __init__(self, every: torch.Tensor, best: torch.Tensor) -> None:
        self.every, self.best = every, best

    def read(self) -> Float32s:
        found: Float32s = self.best.cpu().numpy()
        return found

    @torch.inference_mode()
    def compare(
        self, low: Float32s, high: Float32s, weights: Int64s | None, *, keep: bool
    ) -> Compared:
        device, (b, q) = self.best.device, self.best.shape
        floor = make_tensor(low, device)
        above = self.best > make_tensor(high, device)
        if weights is None:
            counts = above.sum(dim=0)
        else:
            counts = torch.where(above, make_tensor(weights, device)[:, None], 0).sum(dim=0)
        items, rows = torch.nonzero((self.best >= floor) & ~above, as_tuple=True)
        v = len(self.every) // max(1, b)
        if v > 1:
            items = (items[:, None] * v + torch.arange(v, device=device)).reshape(-1)
            rows = rows.repeat_interleave(v)
            near = self.every[items, rows] >= floor[rows]
            items, rows = items[near], rows[near]
        kept = above.cpu().numpy() if keep else np.zeros((0, q), bool)
        return Compared(counts.cpu().numpy(), kept, items.cpu().numpy(), rows.cpu().numpy())


def make_tensor(array: Any, device: torch.device) -> torch.Tensor:
    """An array on the device; one that can't be written, such as a mapped one, is copied."""
    writable = np.require(array, requirements=["C", "W"])
    return torch.from_numpy(writable).to(device)


@contextmanager
def compute_float32(device: torch.device) -> Iterator[None]:
    """Products inside are those of float32, whatever the session allows others; what was set is set again.

    TensorFloat-32 and bfloat16 may stand in for float32 where a library has allowed them, and autocast puts narrower
    formats in its place: their errors are far beyond `kis_bench.ranking.exact_scores.float32_bound`.
    """
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        stack.enter_context(torch.autocast(device.type, enabled=False))
        backends: list[Any] = [torch.backends.cuda.matmul]
        backends.append(getattr(torch.backends.mkldnn, "matmul", None))
        if all(hasattr(each, "fp32_precision") for each in backends):
            for each in backends:
                stack.callback(setattr, each, "fp32_precision", each.fp32_precision)
                each.fp32_precision = "ieee"
        else:  # older torch has one setting for all
            stack.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
            torch.set_float32_matmul_precision("highest")
        yield


def require_float32(device: torch.device) -> None:
    """Raises KisBenchError unless a product keeps all bits of float32."""
    numbers = np.float32(1) + np.arange(PROBE_SIZE**2, dtype=np.float32) * np.float32(2**-23)
    probe = make_tensor(numbers.reshape(PROBE_SIZE, PROBE_SIZE), device)
    with compute_float32(device):
        product = probe @ torch.eye(PROBE_SIZE, device=device)
    if not torch.equal(product, probe):
        raise KisBenchError(
            f"device {str(device)!r} multiplies float32 in a narrower format, and exact ranks can't rest on that; "
            "rank with numpy"
        )
