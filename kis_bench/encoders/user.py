"""Back end ``python:module:function``: a function of the user's that returns an Encoder."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys

from kis_bench.encoders.protocol import Encoder
from kis_bench.errors import KisBenchError
from kis_bench.records import Checkpoint, Readiness


def parts(checkpoint: Checkpoint) -> tuple[str, str]:
    _, module, function = checkpoint.source.split(":")
    return module, function


def readiness(checkpoint: Checkpoint) -> Readiness:
    module, _ = parts(checkpoint)
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # as python -m does; last, so that nothing is hidden
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    if found is None:
        return Readiness(False, "no module", f"there is no Python module {module}; run where it can be imported")
    return Readiness(True, "ready")


def key(checkpoint: Checkpoint, precision: str) -> str | None:
    """Not known before the function has run."""
    return None


def weights(checkpoint: Checkpoint) -> dict[str, str]:
    """The function's own affair; its key tells."""
    return {}


def load(checkpoint: Checkpoint, device: str, precision: str) -> Encoder:
    module, function = parts(checkpoint)
    make = getattr(importlib.import_module(module), function, None)
    if make is None:
        raise KisBenchError(f"model {checkpoint.name}: module {module} has no function {function}")
    encoder = make()
    if not isinstance(encoder, Encoder):
        wanted = "name, dim, vectors_per_item, context_length, key, encode_images, encode_texts"
        absent = [part for part in wanted.split(", ") if not hasattr(encoder, part)]
        raise KisBenchError(f"model {checkpoint.name}: what {function}() returns lacks {', '.join(absent)}")
    return encoder
