"""What each search engine does by itself, each fact found out in a process of its own with a time limit.

``python -m kis_bench.search_engines.probes ENGINE NUMBER FOLDER`` finds out one fact and writes it into the folder.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pandas as pd

from kis_bench.errors import NotReady
from kis_bench.records import Float32s
from kis_bench.search_engines.catalogue import SEARCH_MODULES, list_settings
from kis_bench.search_engines.engines.plain_search import PlainSearch
from kis_bench.search_engines.facts import FACTS, describe_error
from kis_bench.search_engines.isolation import LOG_FILE, explain_crash, run_apart

FACT_SECONDS = 120.0  #: that a fact may take
METRIC_FACT = next(iter(FACTS))
#: Engines that can't be opened without naming a metric, and how they are told.
TOLD_METRICS = {
    "duckdb": "by the function that ORDER BY has",
    "faiss": "by the class of the index",
    "hnswlib": "by space",
    "qdrant": "by distance",
}
VALUE_FILE = "value.txt"


def probe_engines(
    names: Sequence[str] = (), facts: Sequence[str] = tuple(FACTS), seconds: float = FACT_SECONDS
) -> pd.DataFrame:
    """Finds out what engines do.

    Args:
        names: of `SEARCH_MODULES`; none: all that are installed.
        facts: keys of `FACTS`.
        seconds: that each fact of each engine may take.

    Returns:
        A row for each fact of each engine: ``engine``, ``version``, ``fact``, ``value``, all texts.

    Raises:
        NotReady: a package of an engine that was named isn't installed.
    """
    rows = []
    for name in names or list_probed():
        setting = list_settings([name])[0]
        try:
            setting.require()
        except NotReady:
            if names:
                raise
            continue
        versions = (f"{each} {importlib.metadata.version(each)}" for each in setting.packages)
        version = ", ".join(versions)
        for fact in facts:
            rows.append((name, version, fact, find_value(name, fact, seconds)))
    return pd.DataFrame(rows, columns=["engine", "version", "fact", "value"])


def list_probed() -> list[str]:
    """Returns the engines that are libraries of other people."""
    return [name for name, module in SEARCH_MODULES.items() if ".engines." in module]


def find_value(name: str, fact: str, seconds: float) -> str:
    """Returns one fact in words, also where it can't be found out."""
    if fact == METRIC_FACT and name in TOLD_METRICS:
        return f"has to be told, {TOLD_METRICS[name]}"
    number = str(list(FACTS).index(fact))
    with tempfile.TemporaryDirectory() as place:
        log, written = Path(place, LOG_FILE), Path(place, VALUE_FILE)
        try:
            code = run_apart(__name__, [name, number, place], log, seconds)
        except subprocess.TimeoutExpired:
            return f"not found out in {seconds:g} s"
        if written.exists():
            return written.read_text(encoding="utf-8")
        return explain_crash(name, code, log)


def run_fact(name: str, number: str, place: str) -> int:
    module = importlib.import_module(SEARCH_MODULES[name])
    folders = (Path(place, str(i)) for i in count())

    def open_plainly(items: Float32s) -> PlainSearch:
        folder = next(folders)
        folder.mkdir()
        search: PlainSearch = module.open_plainly(folder, items)
        return search

    try:
        value = list(FACTS.values())[int(number)](open_plainly)
    except Exception as error:  # each library has its own
        value = f"raises {describe_error(error)}"
    Path(place, VALUE_FILE).write_text(value, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(run_fact(*sys.argv[1:]))
