"""Checks of an installation and of a model; each finding is one line that says what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kis_bench import datasets, encoders


@dataclass(frozen=True)
class Check:
    name: str
    passed: bool | None  # None: worth knowing, and no fault
    finding: str


def installation() -> Iterator[Check]:
    """Folders that must be writable, models and datasets that should be ready."""
    from kis_bench.plugin import default_store

    for name, folder in (("store", default_store()), ("dataset cache", datasets.cache_folder())):
        there = next(parent for parent in (folder, *folder.parents) if parent.exists())
        writable = os.access(there, os.W_OK)
        yield Check(name, writable, str(folder) if writable else f"{there} is not writable; set KIS_STORE or KIS_CACHE")
    for checkpoint in encoders.catalogue().values():
        state = encoders.readiness(checkpoint)
        yield Check(f"model {checkpoint.name}", state.ready or None, f"{state.state} {state.remedy}".rstrip())
    for built_in in datasets.BUILT_IN:
        state = datasets.readiness(datasets.DatasetRow(built_in))
        yield Check(f"dataset {built_in}", state.ready, f"{state.state} {state.remedy}".rstrip())


def model(name: str) -> Iterator[Check]:
    """Unit vectors, no constant vectors, and no dependence on batch size or order."""
    from PIL import Image

    encoder = encoders.load(name)
    rng = np.random.default_rng(0)
    shapes = [(48, 64), (64, 64), (96, 40), (200, 30), (64, 65)]
    images = [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for h, w in shapes]
    texts = ["red apple", "a grinning face", "sailboat on the sea", "clock", "two people under a tree in the rain"]
    both: tuple[tuple[str, Any, list[Any]], ...] = (
        ("images", encoder.encode_images, images),
        ("texts", lambda some: encoder.encode_texts(some)[0], texts),
    )
    for kind, encode, inputs in both:
        vectors = encode(inputs)
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=2)
        yield Check(
            f"{kind}: unit vectors",
            bool(np.abs(lengths - 1).max() < 1e-3),
            f"lengths {lengths.min():.6f} to {lengths.max():.6f}",
        )
        spread = float(np.ptp(vectors, axis=0).max())
        yield Check(f"{kind}: differ", spread > 1e-3, f"largest difference of a component {spread:.3g}")
        alone = np.concatenate([encode([one]) for one in inputs])
        drift = float(np.abs(alone - vectors).max())
        yield Check(f"{kind}: batch size", drift < 1e-5, f"one by one against all at once: {drift:.1e}, at most 1e-5")
        order = float(np.abs(encode(inputs[::-1])[::-1] - vectors).max())
        yield Check(f"{kind}: order", order < 1e-5, f"reversed order: {order:.1e}, at most 1e-5")
