"""Back end ``timm:NAME``: image models of timm as extractors of image features; no text side.

``timm:vit_base_patch14_dinov2.lvd142m`` stands for the hub's repository of that name under ``timm/``;
``timm:ORG/NAME`` for another's.
"""

from __future__ import annotations

import dataclasses
from functools import partial

from kis_bench.encoders import hub
from kis_bench.encoders.protocol import BackEnd, Encoder
from kis_bench.errors import KisBenchError
from kis_bench.records import Checkpoint, Readiness

TIMM_CONFIG = "config.json"
TIMM_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


def repository(checkpoint: Checkpoint) -> hub.Repository:
    found = hub.find_repository(checkpoint)
    return found if "/" in found.name else dataclasses.replace(found, name=f"timm/{found.name}")


def readiness(checkpoint: Checkpoint) -> Readiness:
    return hub.readiness(
        checkpoint, repository(checkpoint), TIMM_CONFIG, TIMM_WEIGHTS, "timm", "timm>=1.0.17"
    )


def fetch(checkpoint: Checkpoint) -> None:
    name = repository(checkpoint).name
    if name.startswith("timm/") and "." not in name:
        import timm

        tagged = timm.list_pretrained(f"{name.removeprefix('timm/')}.*")
        known = (
            f"choose one of {', '.join(f'timm:{one}' for one in tagged[:8])}"
            if tagged
            else "timm has none for it"
        )
        raise KisBenchError(f"{checkpoint.source} doesn't say which weights; {known}")
    repository(checkpoint).fetch(partial(hub.weights_and_small_files, preferred=TIMM_WEIGHTS))


def key(checkpoint: Checkpoint, precision: str) -> str | None:
    found = repository(checkpoint)
    return f"timm-{found.key()}-{precision}" if found.commit else None


def weights(checkpoint: Checkpoint) -> dict[str, str]:
    return repository(checkpoint).weights()


def load(checkpoint: Checkpoint, device: str, precision: str) -> Encoder:
    from kis_bench.encoders.timm.encoder import TimmEncoder

    folder, made_under = repository(checkpoint).snapshot, key(checkpoint, precision)
    assert folder is not None  # it is ready
    assert made_under is not None
    return TimmEncoder(checkpoint, made_under, device, precision, folder)


BACK_END = BackEnd(
    kinds=("timm",),
    forms=("timm:NAME",),
    packages=("timm", "torch"),
    readiness=readiness,
    key=key,
    weights=weights,
    load=load,
    tells_side=True,
    fetch=fetch,
    image_only=True,
)
