"""The options of the plugin: on the command line, in [tool.kis_bench] of pyproject.toml, or as kis_… in an ini file."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kis_bench import encoders
from kis_bench.encoders.back_ends import list_forms
from kis_bench.errors import BadFile, KisBenchError, unknown
from kis_bench.files.toml_tables import read_toml
from kis_bench.metrics import TESTABLE, USUALLY_TESTED, list_measures
from kis_bench.ranking.relevance import IDENTICAL, NEAR_DUPLICATE_METHODS, SEGMENT_S
from kis_bench.triplets.margins import VECTOR_RULES

TABLE_NAME = "kis_bench"  #: [tool.kis_bench]
GIVEN_KEY = "kis_bench_given"  #: under which a process of pytest-xdist is told the same
GIVEN = pytest.StashKey[frozenset[str]]()  #: options that stood on the command line


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

    @property
    def attribute(self) -> str:
        return "kis_" + self.name.replace("-", "_")


OPTIONS = (
    Option(
        "model",
        f"measure this model: a name that is declared or known, or {list_forms()}; repeatable "
        "(default: all declared); exit code 2 if it can't be measured",
        "NAME",
        many=True,
    ),
    Option(
        "dataset",
        "search this dataset, in FOLDER if given; repeatable (default: all declared); exit code 2 if it "
        "isn't there",
        "NAME[=FOLDER]",
        many=True,
    ),
    Option(
        "labels",
        "use only this label set; repeatable (default: all that a dataset has)",
        "NAME",
        many=True,
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
        "auto, cpu, cuda or cuda:N; with -n, processes under auto or cuda take GPUs in turn "
        "(default: auto)",
        "DEVICE",
        default="auto",
    ),
    Option(
        "precision",
        "arithmetic of the models; bf16 and fp16 need a GPU (default: fp32)",
        default="fp32",
        choices=encoders.PRECISIONS,
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
    Option("download", "download the weights of models that are not here yet", default=False),
    Option("report", "where run folders are written (default: reports/)", "DIR", Path),
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
        f"compare only this with the baseline: {list_measures(TESTABLE)}; repeatable (default: "
        f"{list_measures(USUALLY_TESTED)})",
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


def add_options(parser: pytest.Parser) -> None:
    """What isn't given is None until `fill_in` looks elsewhere; ``--kis-NAME=`` stands for nothing at all."""
    group = parser.getgroup("kis", "known-item search benchmarks (kis-bench)")
    for one in OPTIONS:
        settings: dict[str, Any] = {
            "dest": one.attribute,
            "default": None,
            "help": one.help.replace("%", "%%"),
        }
        if one.flag:
            settings["action"] = argparse.BooleanOptionalAction
        else:
            settings |= {"type": one.parse, "action": "append" if one.many else "store"}
            settings |= {"choices": one.choices} if one.choices else {"metavar": one.metavar}
        group.addoption(f"--kis-{one.name}", **settings)
        kind: Any = "bool" if one.flag else "linelist" if one.many else "string"
        parser.addini(
            one.attribute,
            f"--kis-{one.name}, if the command line and [tool.{TABLE_NAME}] don't give it",
            kind,
            default=None,
        )


def fill_in(config: pytest.Config) -> None:
    """Gives every option that the command line left out its value: from pyproject.toml, the ini file, or by default.

    A process of pytest-xdist is given what the first one found, and finds nothing left out.

    Raises:
        KisBenchError: a key that isn't known, or a value that can't be.
    """
    file = find_project_file(config)
    table = read_table(file)
    problems = [
        unknown("key", key, [one.name for one in OPTIONS])
        for key in table
        if key.replace("_", "-") not in {one.name for one in OPTIONS}
    ]
    if problems:
        raise BadFile(file, [f"[tool.{TABLE_NAME}]: {problem}" for problem in problems])
    table = {key.replace("_", "-"): value for key, value in table.items()}
    given = [one for one in OPTIONS if getattr(config.option, one.attribute, None) is not None]
    config.stash[GIVEN] = frozenset(one.name for one in given)
    for one in given:
        value = getattr(config.option, one.attribute)
        if value == "":
            setattr(config.option, one.attribute, one.nothing)
        elif (
            isinstance(value, list) and "" in value
        ):  # takes back what stands before it, as in addopts
            setattr(config.option, one.attribute, value[len(value) - value[::-1].index("") :])
    for one in OPTIONS:
        if one in given:
            continue
        value, where, folder = (
            table.get(one.name),
            f"{file}: [tool.{TABLE_NAME}] {one.name}",
            file.parent,
        )
        if value is None:
            value, where = config.getini(one.attribute), f"{config.inipath}: {one.attribute}"
            folder = config.inipath.parent if config.inipath else folder
        left_out = value is None or os.environ.get(one.variable)
        setattr(
            config.option,
            one.attribute,
            one.nothing if left_out else read_value(one, value, where, folder),
        )


def list_given(config: pytest.Config) -> frozenset[str]:
    """The options that stood on the command line, also in a process of pytest-xdist."""
    told = getattr(config, "workerinput", {}).get(GIVEN_KEY)
    return config.stash[GIVEN] if told is None else frozenset(told)


def take_defaults(config: pytest.Config) -> None:
    """For a session that ends with a message about its options: what looks at them before finds something there."""
    for one in OPTIONS:
        if getattr(config.option, one.attribute, None) is None:
            setattr(config.option, one.attribute, one.nothing)


def find_project_file(config: pytest.Config) -> Path:
    """The pyproject.toml at pytest's root or, where that has none, above the folder in which pytest was started.

    pytest finds its root before it knows our options: of ``--kis-baseline /elsewhere/file`` it takes the path for that
    of a test, and the root may become a folder that holds nothing.
    """
    started = config.invocation_params.dir
    files = [place / "pyproject.toml" for place in (config.rootpath, started, *started.parents)]
    if config.inipath is not None and config.inipath.suffix == ".toml":  # as -c names it
        files.insert(0, config.inipath)
    return next((file for file in files if file.is_file()), files[0])


def read_table(file: Path) -> Mapping[str, Any]:
    """[tool.kis_bench], empty where there is none; other people's files may be broken as they like."""
    if not file.is_file() or TABLE_NAME.encode() not in file.read_bytes():
        return {}
    table = (read_toml(file).get("tool") or {}).get(TABLE_NAME, {})
    if not isinstance(table, dict):
        raise BadFile(file, [f"[tool.{TABLE_NAME}] is not a table"])
    return table


def read_value(one: Option, value: Any, where: str, folder: Path) -> Any:
    """The value of an option as it stands in a file, whose relative paths start at its folder."""
    if value == "":
        return one.nothing
    if one.flag:
        if not isinstance(value, bool):
            raise KisBenchError(f"{where} = {value!r}: write true or false")
        return value
    if one.many:
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise KisBenchError(f"{where} = {value!r}: write a list of texts")
        return [place_folder(each, folder) if one.name == "dataset" else each for each in value]
    if isinstance(value, bool | list | dict):
        raise KisBenchError(f"{where} = {value!r}: write one value")
    try:
        found = one.kind(str(value))
    except ValueError:
        raise KisBenchError(f"{where} = {value!r}: {one.help}") from None
    if one.choices and found not in one.choices:
        raise KisBenchError(f"{where}: {unknown('value', str(found), one.choices)}")
    return folder / found.expanduser() if isinstance(found, Path) else found


def place_folder(dataset: str, folder: Path) -> str:
    """``NAME=FOLDER`` with the folder as seen from that of the file."""
    name, equals, place = dataset.partition("=")
    return f"{name}={folder / Path(place).expanduser()}" if equals else name
