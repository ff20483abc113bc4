"""Back end ``onnx:FOLDER``: networks for ONNX Runtime, with what their pictures and texts are prepared with.

A folder holds ``vision_model.onnx`` and ``text_model.onnx``, or one ``model.onnx`` for both, in itself or below
``onnx/``, beside the preprocessing and the tokenizer of transformers, as optimum writes them and repositories of the
hub have them; else ``onnx.toml`` describes it. ``onnx:VARIANT=FOLDER`` takes the files whose names end in a variant,
such as ``fp16`` or ``quantized``.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from pathlib import Path

from kis_bench.encoders import hub
from kis_bench.encoders.onnx.folder import OnnxFolder, read_onnx_folder
from kis_bench.encoders.own_folders import digest_read_files
from kis_bench.encoders.protocol import BackEnd, Encoder
from kis_bench.errors import BadFile, KisBenchError, explain_install, in_one_line
from kis_bench.records import Checkpoint, Readiness, digest

ONNX_NEEDS = ("onnxruntime>=1.20", "tokenizers>=0.15")
NEEDS_OF_OPEN_CLIP = ("open_clip_torch>=3.3",)


def read_model(checkpoint: Checkpoint) -> OnnxFolder:
    """
    Raises:
        KisBenchError: the source names no folder. BadFile: what lies there isn't whole.
    """
    source = checkpoint.origin
    if source.folder is None:
        raise KisBenchError(f"model {checkpoint.name}: write onnx:FOLDER or onnx:VARIANT=FOLDER")
    variant = re.match(r"(\w+)=", source.rest)
    return read_onnx_folder(source.folder, variant[1] if variant else "")


def readiness(checkpoint: Checkpoint) -> Readiness:
    folder = checkpoint.origin.folder
    if folder is not None and not folder.is_dir():
        return Readiness(False, "no such folder", f"looked in {folder}")
    try:
        found = read_model(checkpoint)
    except BadFile as error:
        return Readiness(False, "no ONNX model that is whole", in_one_line(error))
    by_open_clip = found.texts is not None and found.texts.tokenizer is None
    wanted: list[tuple[tuple[str, ...], str]] = [(ONNX_NEEDS, explain_install("onnx"))]
    wanted += [(NEEDS_OF_OPEN_CLIP, explain_install("openclip"))] if by_open_clip else []
    for needs, remedy in wanted:
        if absent := [need for need in needs if not hub.installed(need)]:
            return Readiness(False, f"needs {' and '.join(absent)}", remedy)
    return Readiness(True, "ready")


def note_no_texts(checkpoint: Checkpoint, start: Path) -> Checkpoint:
    """The row, which says that there are no texts where there is no network for them."""
    with contextlib.suppress(KisBenchError):  # `readiness` tells it, where this model is asked for
        if read_model(checkpoint).networks.texts is None:
            return replace(checkpoint, image_only=True)
    return checkpoint


def weights(checkpoint: Checkpoint) -> dict[str, str]:
    """A digest of each file that is read; empty where one is missing."""
    try:
        found = read_model(checkpoint)
    except BadFile:
        return {}
    names = (file.relative_to(found.folder).as_posix() for file in found.read)
    return digest_read_files(found.folder, names)


def key(checkpoint: Checkpoint, precision: str) -> str | None:
    """Known as soon as the files are here; the precision is that of the networks."""
    contents = weights(checkpoint)
    return f"onnx-{digest(contents.items())[:16]}" if contents else None


def load(checkpoint: Checkpoint, device: str, precision: str) -> Encoder:
    from kis_bench.encoders.onnx.encoder import OnnxEncoder

    made_under = key(checkpoint, precision)
    assert made_under is not None  # it is ready
    try:
        return OnnxEncoder(checkpoint, made_under, read_model(checkpoint))
    except BadFile as error:
        raise KisBenchError(f"model {checkpoint.name}: {in_one_line(error)}") from error


BACK_END = BackEnd(
    kinds=("onnx",),
    forms=("onnx:FOLDER", "onnx:VARIANT=FOLDER"),
    packages=("onnxruntime", "tokenizers"),
    readiness=readiness,
    key=key,
    weights=weights,
    load=load,
    fill_in=note_no_texts,
    tells_side=True,
    cpu_only=True,
    fp32_only=True,
)
