"""Back ends ``hf-hub:ORG/NAME`` and ``openclip:``: models of open_clip.

``openclip:ARCH/TAG`` names a built-in architecture with one of its weights, ``openclip:ARCH/FILE.pt`` with a file of
your own (a state dictionary, or a checkpoint of open_clip's training that has one), ``openclip:local-dir:PATH`` a
folder with ``open_clip_config.json`` and weights. Loading reads files that are already here, and no network.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kis_bench.encoders import hub
from kis_bench.encoders.openclip.tags import Tag, find_tag, find_weights_file
from kis_bench.encoders.protocol import BackEnd, Encoder
from kis_bench.errors import KisBenchError, explain_install
from kis_bench.files.cache import digest_file
from kis_bench.records import Checkpoint, Readiness, digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NEEDS = ("open_clip_torch>=3.3",)
OPENCLIP_CONFIG = "open_clip_config.json"
#: In the order in which open_clip looks for them in a folder.
OPENCLIP_WEIGHTS = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
)


def origin(checkpoint: Checkpoint) -> hub.Repository | Path | Tag:
    """Where the files are: a repository, a folder, or what open_clip's table says.

    Raises:
        KisBenchError: the source is written wrong. UnknownName: no such architecture or tag.
    """
    source = checkpoint.origin
    if source.kind == "hf-hub":
        return hub.find_repository(checkpoint)
    if source.folder is not None and source.rest.startswith("local-dir:"):
        return source.folder
    if source.folder is not None and source.rest.partition("/")[1]:
        return find_weights_file(source.rest.partition("/")[0], source.folder)
    architecture, slash, tag = source.rest.rpartition("/")
    if not slash or source.folder is not None:
        raise KisBenchError(
            f"model {checkpoint.name}: write openclip:ARCH/TAG, openclip:ARCH/FILE.pt or openclip:local-dir:PATH"
        )
    return find_tag(architecture.replace("/", "-"), tag)


def readiness(checkpoint: Checkpoint) -> Readiness:
    if not all(map(hub.installed, NEEDS)):  # else the table of tags can't be read
        return Readiness(False, f"needs {' and '.join(NEEDS)}", explain_install("openclip"))
    found = origin(checkpoint)
    if isinstance(found, hub.Repository):
        state = hub.readiness(
            checkpoint, found, OPENCLIP_CONFIG, OPENCLIP_WEIGHTS, "openclip", *NEEDS
        )
        text_model = find_text_model(found.snapshot) if state.ready and found.snapshot else None
        return (
            state if text_model is None or text_model.snapshot else hub.not_downloaded(checkpoint)
        )
    if isinstance(found, Path):
        lacks = hub.missing_files(found, OPENCLIP_CONFIG, OPENCLIP_WEIGHTS)
        return Readiness(
            not lacks, f"no {lacks[0]}" if lacks else "ready", f"looked in {found}" if lacks else ""
        )
    complete = found.find_weights() is not None
    if isinstance(found.weights, Path) and not complete:
        return Readiness(False, "no such file", f"looked for {found.weights}")
    complete &= all(one.snapshot is not None for one in found.repositories)
    return Readiness(True, "ready") if complete else hub.not_downloaded(checkpoint)


def fetch(checkpoint: Checkpoint) -> None:
    """Downloads the weights and what the tokenizer needs."""
    found = origin(checkpoint)
    if isinstance(found, hub.Repository):
        text_model = find_text_model(found.fetch(of_repository))
        if text_model is not None:
            text_model.fetch(hub.small_files)
    elif isinstance(found, Tag):
        for one in found.repositories:
            if one is found.weights:
                one.fetch(lambda files: [file for file in found.files if file in files][:1])
            else:
                one.fetch(hub.small_files)


def find_text_model(folder: Path) -> hub.Repository | None:
    """Whose configuration describes the text side, where open_clip builds it with transformers."""
    try:
        name = json.loads((folder / OPENCLIP_CONFIG).read_text(encoding="utf-8"))["model_cfg"][
            "text_cfg"
        ].get("hf_model_name")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # loading will say what is wrong with it
    return hub.Repository(name) if name else None


def of_repository(files: Sequence[str]) -> list[str]:
    if OPENCLIP_CONFIG not in files:
        hint = (
            "; it has a config.json: try transformers:ORG/NAME or timm:NAME"
            if "config.json" in files
            else ""
        )
        raise KisBenchError(
            f"this is no repository of open_clip, it has no {OPENCLIP_CONFIG}{hint}"
        )
    return hub.weights_and_small_files(files, OPENCLIP_WEIGHTS)


def key(checkpoint: Checkpoint, precision: str) -> str | None:
    """Known as soon as the files are here."""
    found = origin(checkpoint)
    if isinstance(found, hub.Repository):
        return f"hf-hub-{found.key()}-{precision}" if found.commit else None
    if not readiness(checkpoint).ready:
        return None
    contents = weights(checkpoint).values()
    if isinstance(found, Path):
        return f"openclip-local-{digest(contents)[:16]}-{precision}"
    if isinstance(found.weights, Path):
        return f"openclip-{found.architecture}-local-{digest(contents)[:16]}-{precision}"
    return f"openclip-{found.architecture}-{found.tag}-{'-'.join(commit[:12] for commit in contents)}-{precision}"


def weights(checkpoint: Checkpoint) -> dict[str, str]:
    found = origin(checkpoint)
    if isinstance(found, hub.Repository):
        return found.weights()
    if isinstance(found, Tag):
        file = found.weights
        own = {file.name: digest_file(file)} if isinstance(file, Path) and file.is_file() else {}
        commits = [pair for one in found.repositories for pair in one.weights().items()]
        return {**own, **dict(commits)}
    chosen = next((name for name in OPENCLIP_WEIGHTS if (found / name).is_file()), None)
    if chosen is None:
        return {}
    read = [file for file in sorted(found.iterdir()) if hub.SMALL_FILES.fullmatch(file.name)]
    return {file.name: digest_file(file) for file in (*read, found / chosen)}


def load(checkpoint: Checkpoint, device: str, precision: str) -> Encoder:
    from kis_bench.encoders.openclip.encoder import OpenClipEncoder

    made_under = key(checkpoint, precision)
    found = origin(checkpoint)
    assert made_under is not None  # it is ready
    if isinstance(found, Tag):
        return OpenClipEncoder.of_tag(checkpoint, made_under, device, precision, found)
    folder = found.snapshot if isinstance(found, hub.Repository) else found
    assert folder is not None
    return OpenClipEncoder.of_folder(checkpoint, made_under, device, precision, folder)


def find_cut_by_clip(texts: Sequence[str]) -> NDArray[np.bool_]:
    """Which texts open_clip's own tokenizer cuts at CLIP's context of 77 tokens; it needs no file of any model."""
    from open_clip.tokenizer import SimpleTokenizer

    from kis_bench.encoders.torch_encoder import find_cut_texts

    tokenizer = SimpleTokenizer()
    lengths = (tokenizer.context_length, tokenizer.context_length + 1)
    at_context, one_more = (tokenizer(list(texts), context_length=length) for length in lengths)
    return find_cut_texts(at_context, one_more, tokenizer([""], context_length=lengths[1])[0])


BACK_END = BackEnd(
    kinds=("openclip", "hf-hub"),
    forms=(
        "openclip:ARCH/TAG",
        "openclip:ARCH/FILE.pt",
        "openclip:local-dir:PATH",
        "hf-hub:ORG/NAME",
    ),
    packages=("open_clip_torch", "transformers", "tokenizers", "timm", "torch", "torchvision"),
    readiness=readiness,
    key=key,
    weights=weights,
    load=load,
    tells_side=True,
    fetch=fetch,
    find_cut_by_clip=find_cut_by_clip,
)
