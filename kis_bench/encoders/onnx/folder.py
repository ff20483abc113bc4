"""A folder with ONNX networks, as far as it is known without running any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kis_bench.encoders.onnx.description import (
    ABOUT_TOKENIZER,
    MODEL_CONFIG,
    OWN,
    SPECIAL_TOKENS,
    TextForm,
    describe_tokens,
    read_json_table,
    read_own,
)
from kis_bench.encoders.onnx.graph import NetworkGraph, read_graph
from kis_bench.encoders.onnx.networks import Networks, find_networks_in
from kis_bench.encoders.onnx.picture_form import PROCESSORS, PictureForm, describe_pixels
from kis_bench.errors import BadFile


@dataclass(frozen=True)
class OnnxFolder:
    """Networks, their graphs, how pictures and texts are prepared, and all files that vectors depend on."""

    folder: Path
    networks: Networks
    graphs: Mapping[Path, NetworkGraph]
    told: Mapping[str, Any]  # of our own description
    pictures: PictureForm
    texts: TextForm | None
    read: tuple[Path, ...]

    @property
    def family(self) -> str:
        """What transformers calls the kind of model; empty: nobody knows."""
        file = self.folder / MODEL_CONFIG
        return str(read_json_table(file).get("model_type", "")) if file.is_file() else ""

    @property
    def precision(self) -> str:
        """Of the weights; of two networks that differ, both."""
        return " and ".join(dict.fromkeys(graph.precision for graph in self.graphs.values()))


def read_onnx_folder(folder: Path, variant: str) -> OnnxFolder:
    """
    Args:
        variant: as for `find_networks_in`.

    Raises:
        BadFile: something is missing, damaged, or in a form that isn't known.
    """
    told = read_own(folder)
    networks = find_networks_in(folder, variant, told)
    graphs = {file: read_graph(file) for file in networks.files}
    weights = [file.parent / name for file, graph in graphs.items() for name in graph.external]
    if absent := [file for file in weights if not file.is_file()]:
        raise BadFile(folder, [f"no {absent[0].name}, which holds weights of a network"])
    pictures = describe_pixels(folder, told)
    texts = describe_tokens(folder, told) if networks.texts is not None else None
    small = (OWN, MODEL_CONFIG, *PROCESSORS, ABOUT_TOKENIZER, SPECIAL_TOKENS)
    tokenizer = [texts.tokenizer] if texts is not None and texts.tokenizer is not None else []
    described = [file for name in small if (file := folder / name).is_file()]
    read = tuple(dict.fromkeys((*networks.files, *weights, *described, *tokenizer)))
    return OnnxFolder(folder, networks, graphs, told, pictures, texts, read)
