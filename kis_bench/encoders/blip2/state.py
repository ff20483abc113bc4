"""What the files of BLIP-2 hold, read safely and checked name by name. Imports torch."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import torch

from kis_bench.encoders.torch_encoder import loading, require_weights

LAYERS = 21  #: of the 24 of ViT-L/14, of whose last ones LAVIS makes no use
VISION = "visual_encoder."
#: What the checkpoint holds beside the two encoders: language-model and matching heads, temperature, counters.
UNUSED_WEIGHTS = re.compile(
    r"Qformer\.cls\..*|itm_head\..*|temp|Qformer\.bert\.embeddings\.position_ids"
)
#: Of the file of the image encoder: what LAVIS takes; it may hold more of CLIP, which is left alone.
OF_VISION = re.compile(
    r"class_embedding|positional_embedding|conv1\..*|ln_pre\..*|transformer\.resblocks\.(\d+)\..*"
)

#: By whose shapes the network is built.
GIVE_SHAPES = (
    f"{VISION}conv1.weight",
    "query_tokens",
    "vision_proj.weight",
    "Qformer.bert.embeddings.word_embeddings.weight",
)

State = dict[str, torch.Tensor]


def read_state(name: str, file: Path) -> State:
    """The tensors of one file; a pickle with anything else in it is refused."""
    with loading(name, file):
        content = torch.load(file, map_location="cpu", weights_only=True)
        state = content.get("model", content)
        if not all(isinstance(value, torch.Tensor) for value in state.values()):
            raise ValueError("it holds more than tensors")
    return dict(state)


def read_weights(name: str, vision: Path, model: Path) -> State:
    """All weights under LAVIS' names: the image encoder's under ``visual_encoder.``, from its own file
    unless the model's file holds them too, as for LAVIS."""
    trained = read_state(name, model)
    frozen = {
        f"{VISION}{key}": value
        for key, value in read_state(name, vision).items()
        if is_of_vision(key)
    }
    weights = {
        **frozen,
        **{key: value for key, value in trained.items() if not UNUSED_WEIGHTS.fullmatch(key)},
    }
    require_weights(name, model, "lacks", set(GIVE_SHAPES) - set(weights))
    return weights


def is_of_vision(key: str) -> bool:
    found = OF_VISION.fullmatch(key)
    return found is not None and (found[1] is None or int(found[1]) < LAYERS)


def require_names(name: str, file: Path, needed: Collection[str], found: Collection[str]) -> None:
    """
    Raises:
        KisBenchError: weights that are missing, or that nobody asked for: the file is another model's.
    """
    for kind, keys in (
        ("lacks", set(needed) - set(found)),
        ("has unexpected", set(found) - set(needed)),
    ):
        require_weights(name, file, kind, keys)
