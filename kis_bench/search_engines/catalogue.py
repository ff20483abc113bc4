"""Which search engines there are, and which of them can be measured here."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kis_bench.errors import KisBenchError, NotReady, UnknownName, explain_install, raised
from kis_bench.search_engines.protocol import SearchEngine

ENGINES_EXTRA = "engines"  #: the extra that installs all of them
#: Name of an engine -> module whose ``make(folder)`` gives its settings.
SEARCH_MODULES = {
    "numpy": "kis_bench.search_engines.compressions",
    "faiss": "kis_bench.search_engines.engines.faiss_indexes",
    "sqlite-vec": "kis_bench.search_engines.engines.sqlite_tables",
    "duckdb": "kis_bench.search_engines.engines.duckdb_tables",
    "lancedb": "kis_bench.search_engines.engines.lancedb_tables",
    "qdrant": "kis_bench.search_engines.engines.qdrant_local",
    "milvus-lite": "kis_bench.search_engines.engines.milvus_lite_collections",
    "chroma": "kis_bench.search_engines.engines.chroma_collections",
    "usearch": "kis_bench.search_engines.engines.usearch_indexes",
    "hnswlib": "kis_bench.search_engines.engines.hnswlib_indexes",
}


@dataclass(frozen=True)
class Setting:
    """One setting of an engine, as it is found again in another process."""

    engine: str  # as it was asked for: a name of `SEARCH_MODULES`, or module:function
    name: str  # of the setting
    packages: tuple[str, ...]
    most_pairs: int | None = None  # of a query and an item, that it is asked for; None: all

    @property
    def label(self) -> str:
        """The name as part of a test's id, without the signs that ``-k`` minds."""
        return self.name.replace(":", "")

    def require(self) -> None:
        """
        Raises:
            NotReady: a package of the engine isn't installed.
        """
        absent = [name for name in self.packages if not is_installed(name)]
        if absent:
            own = self.engine in SEARCH_MODULES
            remedy = (
                explain_install(ENGINES_EXTRA)
                if own
                else f"python -m pip install {' '.join(absent)}"
            )
            state = f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not installed"
            raise NotReady(f"search engine {self.engine}", state, remedy)

    def make(self, folder: Path) -> SearchEngine:
        """Makes it, with an empty folder of its own."""
        found = {one.name: one for one in make_engines(self.engine, folder)}
        return found[self.name]


def list_settings(names: Sequence[str]) -> list[Setting]:
    """Returns all settings of some engines, names of `SEARCH_MODULES` or ``module:function``; of all for no name.

    Raises:
        UnknownName: no engine has that name.
        KisBenchError: a function can't be imported, or fails, or two settings have one name.
    """
    nowhere = Path(os.devnull)  # nothing is built here
    settings = [
        Setting(name, engine.name, tuple(engine.packages), getattr(engine, "most_pairs", None))
        for name in dict.fromkeys(names or SEARCH_MODULES)
        for engine in make_engines(name, nowhere)
    ]
    names_of_settings = [one.name for one in settings]
    for one in settings:
        if (
            names_of_settings.count(one.name) > 1
        ):  # the rows of one would replace those of the other
            raise KisBenchError(
                f"search engine {one.engine}: another setting is called {one.name!r} too"
            )
    return settings


def make_engines(name: str, folder: Path) -> Sequence[SearchEngine]:
    """Makes the settings of an engine, whose library isn't imported by that."""
    module, function = find_function(name)
    try:
        make = getattr(importlib.import_module(module), function, None)
        if not callable(make):
            raise KisBenchError(f"search engine {name}: module {module} has no function {function}")
        made = make(folder)
        engines: list[SearchEngine] = list(made) if isinstance(made, list | tuple) else [made]
        lacks = [part for one in engines for part in ENGINE_PARTS if not hasattr(one, part)]
    except KisBenchError:
        raise
    except (Exception, SystemExit) as error:  # a user's code may raise anything
        raise KisBenchError(f"search engine {name}: {raised(error)}") from error
    if lacks:
        said = f"what {function}() returns has no {' and no '.join(dict.fromkeys(lacks))}"
        raise KisBenchError(f"search engine {name}: {said}")
    for one in engines:
        if wrong := find_misdescribed(one, name):
            raise KisBenchError(f"search engine {name}: {wrong}")
    return engines


def find_misdescribed(engine: SearchEngine, asked: str) -> str:
    """What is wrong with how an engine describes itself, "" for nothing."""
    told: Any = engine.name, engine.packages, engine.largest_k  # a user's may be anything
    name, packages, largest_k = told
    if not isinstance(name, str) or not all(map(str.strip, [*name.partition(":")])):
        return (
            f"its name is {name!r}, and has to be a text such as 'mine: flat', engine and setting"
        )
    engine_name = name.partition(":")[0].strip()
    if engine_name in SEARCH_MODULES and asked not in SEARCH_MODULES:
        return f"its name {name!r} begins with that of another engine, {engine_name}"
    if not isinstance(packages, tuple | list) or not all(
        isinstance(one, str) and one.strip() for one in packages
    ):
        return f"its packages are {packages!r}, and have to be a tuple of names such as ('numpy',)"
    if largest_k is not None and (type(largest_k) is not int or largest_k < 1):
        return f"its largest_k is {largest_k!r}, and has to be None or a whole number from 1 on"
    return ""


ENGINE_PARTS = ("name", "packages", "largest_k", "build", "search", "close")


def find_function(name: str) -> tuple[str, str]:
    """Returns the module and the function that make an engine."""
    if name in SEARCH_MODULES:
        return SEARCH_MODULES[name], "make"
    module, colon, function = name.partition(":")
    if not (colon and function.isidentifier() and all(map(str.isidentifier, module.split(".")))):
        raise UnknownName("search engine", name, SEARCH_MODULES, "Your own is MODULE:FUNCTION")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # as python -m does; last, so that nothing is hidden
    return module, function


def is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
