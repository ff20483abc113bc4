"""Options on the command line, in [tool.kis_bench] of pyproject.toml, or as kis_… in an ini file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kis_bench.errors import BadFile, KisBenchError, unknown
from kis_bench.options import OPTIONS, Option

TABLE_NAME = "kis_bench"  #: [tool.kis_bench]
GIVEN_KEY = "kis_bench_given"  #: under which a process of pytest-xdist is told the same
GIVEN = pytest.StashKey[frozenset[str]]()  #: options that stood on the command line


def add_options(parser: pytest.Parser) -> None:
    """What isn't given is None until `fill_in` looks elsewhere; ``--kis-NAME=`` stands for nothing at all."""
    group = parser.getgroup("kis", "known-item search benchmarks (kis-bench)")
    for one in OPTIONS:
        group.addoption(f"--kis-{one.name}", dest=one.attribute, **one.settings())
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
    from kis_bench.files.toml_tables import read_toml

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
    """``NAME=FOLDER``, or a folder, with the folder as seen from that of the file."""
    from kis_bench.datasets import is_folder

    name, equals, place = dataset.partition("=")
    if is_folder(dataset, folder):
        return str(folder / Path(dataset).expanduser())
    return f"{name}={folder / Path(place).expanduser()}" if equals else name
