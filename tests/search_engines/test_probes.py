"""What engines do, found out in processes of their own, however those end."""

import re
import textwrap

import pytest
from engine_packages import need_engine

from kis_bench.errors import NotReady
from kis_bench.search_engines import probes
from kis_bench.search_engines.catalogue import list_settings
from kis_bench.search_engines.facts import FACTS


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """Declares a library of a few lines as an engine; returns what writes it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(probes, "SEARCH_MODULES", {"odd": "odd_library"})

    def write(body):
        text = f"import os, sys, time\ndef open_plainly(folder, items):\n{textwrap.indent(body, '    ')}"
        (tmp_path / "odd_library.py").write_text(text)
        (tmp_path / "sitecustomize.py").write_text(
            "from kis_bench.search_engines import catalogue\n"
            "catalogue.SEARCH_MODULES['odd'] = 'odd_library'\n"
        )
        return "odd"

    return write


FACT = "results of 5 items, 8 asked for"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise RuntimeError('no room')", "raises RuntimeError: no room"),
        ("print('one last word'); sys.stdout.flush(); os._exit(7)", "exit code 7: one last word"),
        ("os.kill(os.getpid(), 9)", "signal SIGKILL"),
        ("time.sleep(60)", "not found out in 4 s"),
    ],
)
def test_however_a_process_ends(engine, body, said):
    assert said in probes.find_value(engine(body), FACT, 4 if "sleep" in body else 60)


def test_what_has_to_be_told_is_not_asked(monkeypatch):
    monkeypatch.setattr(probes.subprocess, "run", None)
    assert probes.find_value("qdrant", probes.METRIC_FACT, 1) == "has to be told, by distance"


def test_an_engine_that_is_not_installed(monkeypatch):
    def refuse(setting):
        raise NotReady("search engine faiss", "faiss-cpu is not installed", "python -m pip install")

    monkeypatch.setattr("kis_bench.search_engines.catalogue.Setting.require", refuse)
    with pytest.raises(NotReady, match="faiss-cpu is not installed"):
        probes.probe_engines(["faiss"])
    assert probes.probe_engines().empty


#: What our adapters and pages rely on.
RELIED_ON = [
    ("sqlite-vec", "most results of 20,000 items", r"4,096; 4,097 raises SQLError: .*"),
    ("sqlite-vec", "most numbers in a vector", r"8,192; 8,193 raises .*"),
    ("lancedb", "results, if no number is told", "10"),
    ("chroma", "metric, if none is told", "L2"),
    ("qdrant", FACT, "5"),
    ("duckdb", "same answer alone and in a batch", "100 of 100"),
    ("milvus-lite", "metric, if none is told", "cosine"),
]


@pytest.mark.parametrize(("name", "fact", "said"), RELIED_ON)
def test_what_is_relied_on(name, fact, said):
    need_engine(list_settings([name])[0])
    table = probes.probe_engines([name], [fact])
    (row,) = table.to_dict("records")
    assert (row["engine"], row["fact"]) == (name, fact)
    assert re.fullmatch(r"([\w-]+ [\d.]+(, )?)+", row["version"])
    assert re.fullmatch(said, row["value"])


@pytest.mark.slow
@pytest.mark.parametrize("name", probes.list_probed())
def test_each_fact_of_each_engine(name):
    need_engine(list_settings([name])[0])
    table = probes.probe_engines([name])
    assert table["fact"].tolist() == list(FACTS)
    assert table.notna().all(axis=None)
    failed = table[table["value"].str.contains("process ended|not found out")]
    assert failed.empty, failed.to_string()
