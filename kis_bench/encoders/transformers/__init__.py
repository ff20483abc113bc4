"""Back end ``transformers:ORG/NAME`` or ``transformers:PATH``: CLIP, SigLIP, ALIGN and BLIP-2."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from kis_bench.encoders import hub
from kis_bench.encoders.own_folders import (
    digest_read_files,
    list_read_files,
    locate_model,
    needs_lower_case,
    prefer_folder,
)
from kis_bench.encoders.protocol import BackEnd, Encoder
from kis_bench.errors import explain_install
from kis_bench.records import Checkpoint, Readiness, digest

HUB_CONFIG = "config.json"
WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


NEEDS = ("transformers>=5", "torch>=2.4", "torchvision")
#: Of which the library builds SigLIP's tokenizer, also where a tokenizer.json lies beside it.
SENTENCEPIECE, NEEDS_OF_SENTENCEPIECE = "spiece.model", ("sentencepiece>=0.2", "protobuf>=4")


#: Of each, one file at least lies in a whole folder; the first is named where none does.
OF_IMAGES = ("preprocessor_config.json", "processor_config.json")
OF_TOKENIZER = ("tokenizer.json", "vocab.json", "vocab.txt", SENTENCEPIECE, "tokenizer.model")


def readiness(checkpoint: Checkpoint) -> Readiness:
    place = locate_model(checkpoint)
    folder = place if isinstance(place, Path) else place.snapshot
    with_pieces = folder is not None and (folder / SENTENCEPIECE).is_file()
    needs = (*NEEDS, *(NEEDS_OF_SENTENCEPIECE if with_pieces else ()))
    if isinstance(place, hub.Repository):
        return hub.readiness(checkpoint, place, HUB_CONFIG, WEIGHTS, "transformers", *needs)
    if absent := [need for need in needs if not hub.installed(need)]:
        return Readiness(False, f"needs {' and '.join(absent)}", explain_install("transformers"))
    missing = hub.missing_files(place, HUB_CONFIG, WEIGHTS)
    if missing:
        return Readiness(False, f"no {missing[0]}", f"looked in {place}")
    for files in (OF_IMAGES, OF_TOKENIZER):
        if not any((place / file).is_file() for file in files):
            remedy = "save the processor beside the model: processor.save_pretrained(FOLDER)"
            return Readiness(False, f"no {files[0]}", f"looked in {place}; {remedy}")
    return Readiness(True, "ready")


def fetch(checkpoint: Checkpoint) -> None:
    hub.find_repository(checkpoint).fetch(partial(hub.weights_and_small_files, preferred=WEIGHTS))


def key(checkpoint: Checkpoint, precision: str) -> str | None:
    """Known as soon as the files are here, without loading them."""
    place = locate_model(checkpoint)
    if isinstance(place, Path):
        contents = weights(checkpoint)
        name = f"local-{digest(contents.items())[:16]}" if contents else ""
    else:
        name = place.key() if place.commit else ""
    folder = place if isinstance(place, Path) else place.snapshot
    folded = "lower-" if folder and needs_lower_case(folder) else ""
    return f"transformers-{name}-{folded}{precision}" if name else None


def weights(checkpoint: Checkpoint) -> dict[str, str]:
    """The commit of a repository; of a folder a digest of each file that is read."""
    place = locate_model(checkpoint)
    if isinstance(place, hub.Repository):
        return place.weights()
    if hub.missing_files(place, HUB_CONFIG, WEIGHTS):
        return {}
    return digest_read_files(place, list_read_files(place, WEIGHTS))


def load(checkpoint: Checkpoint, device: str, precision: str) -> Encoder:
    from kis_bench.encoders.transformers.encoder import load as load_encoder

    place, made_under = locate_model(checkpoint), key(checkpoint, precision)
    folder = place if isinstance(place, Path) else place.snapshot
    assert folder is not None  # it is ready
    assert made_under is not None
    return load_encoder(checkpoint, made_under, device, precision, folder)


BACK_END = BackEnd(
    kinds=("transformers",),
    forms=("transformers:ORG/NAME", "transformers:PATH"),
    packages=("transformers", "tokenizers", "torch", "torchvision"),
    readiness=readiness,
    key=key,
    weights=weights,
    load=load,
    tells_side=True,
    fetch=fetch,
    fill_in=prefer_folder,
)
