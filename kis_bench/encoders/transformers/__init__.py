"""Back end ``transformers:ORG/NAME``: CLIP, SigLIP 1 and 2, ALIGN and BLIP-2 families of transformers."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

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


NEEDS = ("transformers>=5", "torch>=2.4", "torchvision")
#: Of which the library builds SigLIP's tokenizer, also where a tokenizer.json lies beside it.
SENTENCEPIECE, NEEDS_OF_SENTENCEPIECE = "spiece.model", ("sentencepiece>=0.2", "protobuf>=4")


def readiness(checkpoint: Checkpoint) -> Readiness:
    repository = hub.find_repository(checkpoint)
    folder = repository.snapshot
    with_pieces = folder is not None and (folder / SENTENCEPIECE).is_file()
    needs = (*NEEDS, *(NEEDS_OF_SENTENCEPIECE if with_pieces else ()))
    return hub.readiness(checkpoint, repository, CONFIG, WEIGHTS, "transformers", *needs)


def fetch(checkpoint: Checkpoint) -> None:
    hub.find_repository(checkpoint).fetch(partial(hub.weights_and_small_files, preferred=WEIGHTS))


def key(checkpoint: Checkpoint, precision: str) -> str | None:
    repository = hub.find_repository(checkpoint)
    folded = "lower-" if repository.snapshot and needs_lower_case(repository.snapshot) else ""
    return f"transformers-{repository.key()}-{folded}{precision}" if repository.commit else None


def needs_lower_case(folder: Path) -> bool:
    """Whether a repository is SigLIP's with a tokenizer that keeps capitals, as those of SigLIP 2 at fixed resolutions.

    SigLIP was trained on lower case. The library folds case in `SiglipTokenizer` and, for the models of varying
    resolution, in `Siglip2Tokenizer`; in others it doesn't, whatever ``do_lower_case`` says. A repository whose
    ``do_lower_case`` is false was trained otherwise, and is left alone.
    """
    try:
        config, tokenizer = (
            json.loads((folder / name).read_text(encoding="utf-8"))
            for name in (CONFIG, "tokenizer_config.json")
        )
        own = str(tokenizer.get("tokenizer_class") or "SiglipTokenizer").removesuffix("Fast")
        named = config.get("model_type") == "siglip" and own != "SiglipTokenizer"
    except (OSError, ValueError, AttributeError):
        return (
            False  # without a table the library takes SiglipTokenizer; loading says what is damaged
        )
    return named and tokenizer.get("do_lower_case") is not False


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
    tells_side=True,
    fetch=fetch,
)
