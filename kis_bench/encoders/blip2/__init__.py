"""Back ends ``blip2:`` and ``lavis:``: BLIP-2 from the files of salesforce-lavis.

``blip2:pretrain_vitL`` is the joint space as it was trained: 32 projected query vectors an image, the projected
[CLS] of a text, the best of the 32 counts. ``blip2:pretrain_vitL+unprojected`` takes query 0 and [CLS] before the
projections, as M3RT did, of texts up to 512 tokens, of which BLIP-2 was trained with 32; that is no joint space, and
its results show it.

The network runs without LAVIS where open_clip and transformers are recent (`.network`), else through it
(`.lavis`); ``lavis:`` insists on LAVIS, which has to live in an environment of its own. Both ways give the
same vectors, so they have the same key, and each finds what the other has put into the store.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kis_bench.encoders import hub
from kis_bench.encoders.downloads import download
from kis_bench.encoders.protocol import BackEnd, Encoder
from kis_bench.errors import KisBenchError, UnknownName, explain_install
from kis_bench.files.cache import digest_file
from kis_bench.records import Checkpoint, Readiness, digest

WITHOUT_LAVIS, LAVIS = ("open_clip_torch>=3.3", "transformers>=5"), "salesforce-lavis"
VARIANTS = ("pretrain_vitL", "pretrain_vitL+unprojected")
URL = "https://storage.googleapis.com/sfr-vision-language-research/LAVIS/models/BLIP2"
BLIP2_CONTEXT = 32  #: tokens
BLIP2_SIDE = 224  #: pixels that pictures are squashed to
READ_BY_THESIS = (
    512  #: tokens that M3RT, which cut none, let the network read: all positions that it has
)
MOST_WORDS = 50  #: that LAVIS' cleaning of captions leaves
BERT = hub.Repository("bert-base-uncased")  # LAVIS asks for it by this name
BERT_FILES = ("config.json", "vocab.txt")
BERT_WEIGHTS = "pytorch_model.bin"  # only LAVIS wants them, and overwrites them at once


@dataclass(frozen=True)
class Files:
    """Where LAVIS keeps and finds what makes up the model."""

    vision: Path  # the image encoder, frozen while BLIP-2 was trained
    model: Path  # all that was trained
    bert: Path | None  # folder with tokenizer and configuration

    def missing(self, *more: str) -> list[str]:
        absent = [file.name for file in (self.vision, self.model) if not file.is_file()]
        wanted = (*BERT_FILES, *more)
        return absent + [
            name for name in wanted if self.bert is None or not (self.bert / name).is_file()
        ]


def files() -> Files:
    """In torch's cache (``TORCH_HOME``) and in the hub's."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    checkpoints = Path(os.environ.get("TORCH_HOME") or user).expanduser() / "hub" / "checkpoints"
    return Files(
        checkpoints / "clip_vit_L.pth", checkpoints / "blip2_pretrained_vitL.pth", BERT.snapshot
    )


def through_lavis(checkpoint: Checkpoint) -> bool:
    return checkpoint.origin.kind == "lavis" or not all(map(hub.installed, WITHOUT_LAVIS))


def variant(checkpoint: Checkpoint) -> str:
    wanted = checkpoint.origin.rest
    if wanted not in VARIANTS:
        raise UnknownName("BLIP-2 checkpoint", wanted, VARIANTS, f"Model: {checkpoint.name}.")
    return wanted


def is_projected(checkpoint: Checkpoint) -> bool:
    return not variant(checkpoint).endswith("+unprojected")


def readiness(checkpoint: Checkpoint) -> Readiness:
    variant(checkpoint)
    lavis = through_lavis(checkpoint)
    if lavis and not hub.installed(LAVIS):
        if checkpoint.origin.kind == "lavis":
            remedy = f"python -m tox run -e lavis -- benchmarks --kis-model {checkpoint.name}"
            return Readiness(False, "needs tox -e lavis", remedy)
        return Readiness(
            False,
            f"needs {' and '.join(WITHOUT_LAVIS)}",
            explain_install("openclip"),
        )
    if files().missing(*([BERT_WEIGHTS] if lavis else [])):
        return hub.not_downloaded(checkpoint)
    return Readiness(True, "ready")


def fetch(checkpoint: Checkpoint) -> None:
    """From LAVIS' place, or another that ``KIS_LAVIS_URL`` names, and from the hub."""
    wanted = (
        *BERT_FILES,
        "tokenizer.json",
        "tokenizer_config.json",
        *([BERT_WEIGHTS] if hub.installed(LAVIS) else []),
    )

    def choose(names: Sequence[str]) -> list[str]:
        return [name for name in wanted if name in names]

    BERT.fetch(choose)
    base = os.environ.get("KIS_LAVIS_URL", URL).rstrip("/")
    for file in (files().vision, files().model):
        download(f"{base}/{file.name}", file)


def find_context(projected: bool) -> int:
    """How many tokens a text is cut at: as the network was trained, or as the thesis read texts."""
    return BLIP2_CONTEXT if projected else READ_BY_THESIS


def clean_caption(text: str) -> tuple[str, bool]:
    """A text as LAVIS cleans captions, and whether words were cut: small letters, some marks as spaces, 50 words."""
    cleaned = re.sub(r"\s{2,}", " ", re.sub(r'[.!"()*#:;~]', " ", text.lower())).strip("\n ")
    words = cleaned.split(" ")
    return " ".join(words[:MOST_WORDS]), len(words) > MOST_WORDS


def weights(checkpoint: Checkpoint) -> dict[str, str]:
    found = files()
    if found.missing() or found.bert is None:
        return {}
    read = (found.vision, found.model, *(found.bert / name for name in BERT_FILES))
    return {file.name: digest_file(file) for file in read}


def key(checkpoint: Checkpoint, precision: str) -> str | None:
    """Of the contents of the files; the same for both ways."""
    which, contents = variant(checkpoint), weights(checkpoint).values()
    read = "" if is_projected(checkpoint) else f"{READ_BY_THESIS}-"
    return f"blip2-{which}-{read}{digest(contents)[:16]}-{precision}" if contents else None


def load(checkpoint: Checkpoint, device: str, precision: str) -> Encoder:
    made_under = key(checkpoint, precision)
    if made_under is None:
        raise KisBenchError(f"model {checkpoint.name}: {', '.join(files().missing())} vanished")
    projected = is_projected(checkpoint)
    if through_lavis(checkpoint):
        from kis_bench.encoders.blip2.lavis import LavisBlip2

        return LavisBlip2(checkpoint, made_under, device, precision, projected, files())
    from kis_bench.encoders.blip2.network import NativeBlip2

    return NativeBlip2(checkpoint, made_under, device, precision, projected, files())


BACK_END = BackEnd(
    kinds=("blip2", "lavis"),
    forms=(),
    packages=("salesforce-lavis", "open_clip_torch", "transformers", "tokenizers", "torch"),
    readiness=readiness,
    key=key,
    weights=weights,
    load=load,
    tells_side=True,
    fetch=fetch,
)
