"""What a session can be told: options of the plugin, and by the same names of ``kis-bench run``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kis_bench.choices import (
    CLUSTER_ENGINES,
    DECODINGS,
    DIRECTIONS,
    ENGINE_MODULES,
    FULL,
    IDENTICAL,
    LIMIT_VARIABLE,
    LOCAL_ENGINE,
    MODEL_FORMS,
    MOST_PIXELS,
    NEAR_DUPLICATE_METHODS,
    PRECISIONS,
    SEGMENT_S,
    TESTABLE_MEASURES,
    TESTED_MEASURES,
    TEXT_TO_IMAGE,
    TRACKERS,
    VECTOR_RULES,
)


def parse_duration(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError
    return value


def parse_count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError
    return value


def parse_pixels(text: str) -> int:
    """Number of pixels, also with underscores. Raises ValueError unless it is positive."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def parse_engine(text: str) -> str:
    """What multiplies for ranks; only a cluster has an address. Raises ValueError for what nobody knows.

    >>> parse_engine("ray:10.0.0.1:6379")
    'ray:10.0.0.1:6379'
    """
    library, colon, address = text.partition(":")
    if text != LOCAL_ENGINE and (
        library not in ENGINE_MODULES or (colon and not (address and library in CLUSTER_ENGINES))
    ):
        raise ValueError
    return text


PLOT_FORMS, DEFAULT_PLOT_FORMS = ("png", "svg", "pdf"), ("png",)


def parse_forms(text: str) -> tuple[str, ...]:
    """The forms of plots that a list with commas names, each once. Raises ValueError for others, or none.

    >>> parse_forms("svg, png")
    ('svg', 'png')
    """
    forms = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",")))
    if not {*forms} <= {*PLOT_FORMS}:
        raise ValueError(f"{text!r}: plots are drawn as {', '.join(PLOT_FORMS)}")
    return forms


PLOTS_HELP = (
    "forms of the plots: one or more of png, svg and pdf with commas between them; report and page show the first "
    "of png and svg, and png if neither is named (default: png)"
)


@dataclass(frozen=True)
class Option:
    """``--kis-NAME``, ``NAME`` in [tool.kis_bench], ``kis_NAME`` in an ini file; the first that is given counts."""

    name: str
    help: str
    metavar: str = ""
    kind: Callable[[str], Any] = str  # from text; its errors are ValueErrors
    default: Any = None  # of a flag: False
    choices: Sequence[str] = ()
    many: bool = False  # may be given several times
    variable: str = ""  # of the environment, which counts more than files

    @property
    def flag(self) -> bool:
        return self.default is False

    @property
    def nothing(self) -> Any:
        """What it is where nobody gives it."""
        return [] if self.many else self.default

    def parse(self, text: str) -> Any:
        """The value; "" for nothing, which a file may not overrule."""
        try:
            return self.kind(text) if text else ""
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r}: {self.help}") from None

    def settings(self) -> dict[str, Any]:
        """What a parser is told of it, but for its name; None stands for an option that wasn't given."""
        said: dict[str, Any] = {"default": None, "help": self.help.replace("%", "%%")}
        if self.flag:
            return {**said, "action": argparse.BooleanOptionalAction}
        said |= {"type": self.parse, "action": "append" if self.many else "store"}
        return said | ({"choices": self.choices} if self.choices else {"metavar": self.metavar})

    @property
    def attribute(self) -> str:
        return "kis_" + self.name.replace("-", "_")


OPTIONS = (
    Option(
        "model",
        f"measure this model: a name that is declared or known, or {MODEL_FORMS}; repeatable "
        "(default: all declared); exit code 2 if it can't be measured",
        "NAME",
        many=True,
    ),
    Option(
        "prompt",
        'also measure each model with this prompt around its texts, as MODEL+NAME, such as photo="a photo of {}"; '
        "repeatable; several of one NAME are averaged",
        "NAME=PROMPT",
        many=True,
    ),
    Option(
        "dataset",
        "search this dataset: a name, a folder, or NAME=FOLDER; repeatable (default: all declared); exit "
        "code 2 if it isn't there",
        "DATASET",
        many=True,
    ),
    Option(
        "labels",
        "use only this label set; repeatable (default: all that a dataset has)",
        "NAME",
        many=True,
    ),
    Option(
        "direction",
        "what looks for what: texts for their pictures, as in known-item search, pictures for their texts, or both "
        "(default: text-to-image)",
        default=TEXT_TO_IMAGE,
        choices=DIRECTIONS,
    ),
    Option(
        "data",
        "folder in which dataset folders lie (default: $KIS_DATA)",
        "DIR",
        Path,
        variable="KIS_DATA",
    ),
    Option(
        "store",
        "folder of embeddings, reused between runs (default: $KIS_STORE, else the user's cache)",
        "DIR",
        Path,
        variable="KIS_STORE",
    ),
    Option(
        "segment",
        "the segment rank counts pictures of the target's group up to this many seconds from it, unless "
        f"its query says which (default: {SEGMENT_S:g})",
        "SECONDS",
        parse_duration,
        SEGMENT_S,
    ),
    Option(
        "near-duplicates",
        f"which pictures the near-duplicate rank takes for the target: {NEAR_DUPLICATE_METHODS}; cosine is that "
        "of each model's own vectors (default: identical files)",
        "METHOD",
        default=IDENTICAL,
    ),
    Option(
        "image-similarity",
        "similarity of two images under a model with several vectors per image: that of the "
        "mean vectors, or the max over all pairs (default: mean)",
        default="mean",
        choices=VECTOR_RULES,
    ),
    Option(
        "device",
        "auto, cpu, cuda, cuda:N, or cuda:0,cuda:1 to share each batch out to several GPUs; with "
        "-n, processes under auto or cuda take GPUs in turn (default: auto)",
        "DEVICE",
        default="auto",
    ),
    Option(
        "precision",
        "arithmetic of the models; bf16 and fp16 need a GPU (default: fp32)",
        default="fp32",
        choices=PRECISIONS,
    ),
    Option(
        "decode",
        "how JPEGs are decoded for models: full, or scaled to a half, a quarter or an eighth where both sides keep at "
        "least twice what the model shrinks them to; its vectors are stored apart (default: full)",
        default=FULL,
        choices=DECODINGS,
    ),
    Option(
        "engine",
        "what multiplies vectors for ranks, which stay the same. local: numpy. torch: the models' device. "
        "ray:HOST:PORT: the Ray cluster whose head is there; its nodes embed pictures, too. ray:auto: the cluster this "
        "machine belongs to. ray: the one RAY_ADDRESS names, else one started for this session (default: local)",
        "ENGINE",
        parse_engine,
        default=LOCAL_ENGINE,
    ),
    Option(
        "batch-size",
        "images encoded at once; halved when memory is short (default: what suits model and device)",
        "N",
        int,
    ),
    Option(
        "verify",
        "encode so many stored items and texts anew and compare, without loading torch for it; 0 turns it "
        "off (default: 4 for functions, and in the gate for models whose weights have no digest)",
        "N",
        parse_count,
    ),
    Option(
        "max-pixels",
        "refuse pictures of more pixels, each of which takes 4 bytes of memory and more "
        f"(default: ${LIMIT_VARIABLE}, else {MOST_PIXELS:,})",
        "N",
        parse_pixels,
        variable=LIMIT_VARIABLE,
    ),
    Option(
        "skip-unreadable",
        "leave out pictures that can't be read, and queries of which no target can, instead of measuring nothing; "
        "terminal, report and run.json name them",
        default=False,
    ),
    Option(
        "search-engine",
        "with -m fidelity: measure this search engine: a name, or MODULE:FUNCTION; repeatable (default: all that are "
        "installed); exit code 2 if it isn't",
        "ENGINE",
        many=True,
    ),
    Option("download", "download the weights of models that are not here yet", default=False),
    Option("report", "where run folders are written (default: reports/)", "DIR", Path),
    Option(
        "log",
        "also log figures, report and run folder to an experiment tracker, as its own environment variables say; "
        "kis-bench export does so later",
        choices=tuple(TRACKERS),
    ),
    Option("plots", PLOTS_HELP, "FORMS", parse_forms, DEFAULT_PLOT_FORMS),
    Option(
        "strict",
        "a dataset or model that is declared and missing fails instead of skipping; one that is asked for "
        "by name and missing ends the session with exit code 2 in any case",
        default=False,
    ),
    Option(
        "privacy",
        "leave texts, names of annotators, paths and pictures out of tables and reports",
        default=False,
    ),
    Option(
        "thresholds",
        "fail tests whose figures miss a threshold of this file, such as one written by kis-bench "
        "thresholds",
        "FILE",
        Path,
    ),
    Option(
        "baseline",
        "fail tests that are worse than this run, or a file written by kis-bench baseline save, on the "
        "same queries",
        "RUN|FILE",
        Path,
    ),
    Option(
        "alpha",
        "how often a run that is not worse than the baseline may fail by chance (default: 0.05)",
        "P",
        float,
        0.05,
    ),
    Option(
        "tolerance",
        "also fail if a figure falls by more than this share, noise or not, such as 0.02",
        "SHARE",
        float,
    ),
    Option(
        "query-factor",
        "also fail if the rank of any query grows by more than this factor",
        "FACTOR",
        float,
    ),
    Option(
        "gate-metric",
        f"compare only this with the baseline: {TESTABLE_MEASURES}; repeatable (default: "
        f"{TESTED_MEASURES})",
        "METRIC",
        many=True,
    ),
    Option(
        "incumbent",
        "compare every model with this one of the baseline (default: with the one of its name)",
        "MODEL",
    ),
    Option(
        "exact",
        "fail if any rank differs from the baseline's at all, as after an upgrade of a library",
        default=False,
    ),
    Option(
        "drift",
        "with --kis-exact: by how many places a rank may differ, or by which part of it, such as 1% "
        "(default: 0)",
        "N|P%",
        default="0",
    ),
)
