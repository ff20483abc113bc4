"""Back end ``transformers:ORG/NAME``: CLIP, SigLIP 1 and 2, ALIGN and BLIP-2 families of transformers."""

from __future__ import annotations

from functools import partial

from kis_bench.encoders import hub
from kis_bench.encoders.protocol import BackEnd, Encoder
from kis_bench.records import Checkpoint, Readiness

CONFIG = "config.json"
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def readiness(checkpoint: Checkpoint) -> Readiness:
    needs = ("transformers>=5", "torch>=2.4", "torchvision")
    return hub.readiness(
        checkpoint, hub.find_repository(checkpoint), CONFIG, WEIGHTS, "transformers", *needs
    )


def fetch(checkpoint: Checkpoint) -> None:
    hub.find_repository(checkpoint).fetch(partial(hub.weights_and_small_files, preferred=WEIGHTS))


def key(checkpoint: Checkpoint, precision: str) -> str | None:
    repository = hub.find_repository(checkpoint)
    return f"transformers-{repository.key()}-{precision}" if repository.commit else None


def weights(checkpoint: Checkpoint) -> dict[str, str]:
    return hub.find_repository(checkpoint).weights()


def load(checkpoint: Checkpoint, device: str, precision: str) -> Encoder:
    from kis_bench.encoders.transformers.encoder import load as load_encoder

    folder, made_under = hub.find_repository(checkpoint).snapshot, key(checkpoint, precision)
    assert folder is not None  # it is ready
    assert made_under is not None
    return load_encoder(checkpoint, made_under, device, precision, folder)


BACK_END = BackEnd(
    kinds=("transformers",),
    forms=("transformers:ORG/NAME",),
    packages=("transformers", "tokenizers", "torch", "torchvision"),
    readiness=readiness,
    key=key,
    weights=weights,
    load=load,
    fetch=fetch,
)
