"""The back ends there are: every package beside this module, which has one as ``BACK_END``."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from kis_bench.encoders.protocol import BackEnd
from kis_bench.errors import KisBenchError
from kis_bench.records import Checkpoint


@functools.cache
def back_ends() -> dict[str, BackEnd]:
    """Kind of source -> its back end; importing them imports no deep-learning library."""
    beside = __name__.rpartition(".")[0]
    packages = pkgutil.iter_modules(importlib.import_module(beside).__path__, f"{beside}.")
    found = [importlib.import_module(one.name).BACK_END for one in packages if one.ispkg]
    return {kind: back_end for back_end in found for kind in back_end.kinds}


def find_back_end(checkpoint: Checkpoint) -> BackEnd:
    """
    Raises:
        KisBenchError: no back end has sources of this kind.
    """
    known = back_ends()
    if checkpoint.origin.kind not in known:
        raise KisBenchError(
            f"model {checkpoint.name}: unknown source {checkpoint.source!r}; it starts with one of "
            + ", ".join(f"{kind}:" for kind in known)
        )
    return known[checkpoint.origin.kind]


def list_forms() -> str:
    """How a model is written that no table names, in words for help and errors."""
    return ", ".join(dict.fromkeys(form for one in back_ends().values() for form in one.forms))


def list_packages() -> list[str]:
    """Distributions that models are computed with; their versions belong to a run."""
    return [*dict.fromkeys(name for one in back_ends().values() for name in one.packages)]
