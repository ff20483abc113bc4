"""One setting in a process of its own: whatever an engine does costs its row alone."""

import importlib
import json
import time
from pathlib import Path

import numpy as np
import pytest

from kis_bench.errors import KisBenchError, NotReady, UnknownName
from kis_bench.search_engines import isolation, worker
from kis_bench.search_engines.catalogue import SEARCH_MODULES, list_settings
from kis_bench.search_engines.fidelity import DEPTHS, TIMED_RESULTS
from kis_bench.search_engines.isolation import explain_crash, run_setting
from kis_bench.search_engines.planted_ties import PlantedTies
from kis_bench.search_engines.protocol import Ending


@pytest.fixture(autouse=True)
def shorter(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setattr(isolation, "REPEATED_S", 0.01)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    """Folder of 90 items of 6 numbers and of 8 queries, and one of equal items."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("vectors")
    for name, size in (("items", 90), ("queries", 8)):
        made = rng.standard_normal((size, 6)).astype(np.float32)
        np.save(folder / f"{name}.npy", made / np.linalg.norm(made, axis=1, keepdims=True))
    planted = tmp_path_factory.mktemp("planted")
    PlantedTies.make(6).save(planted)
    return folder, planted


def run_own(function, vectors, tmp_path, vectors_per_item=1):
    (setting,) = list_settings([f"own_engines:{function}"])
    return run_setting(setting, *vectors, tmp_path, vectors_per_item)


def load_scores(vectors):
    items, queries = (
        np.load(vectors[0] / f"{name}.npy").astype(np.float64) for name in ("items", "queries")
    )
    return queries @ items.T


def test_a_good_engine(vectors, tmp_path):
    outcome = run_own("make", vectors, tmp_path)
    assert (outcome.status, outcome.said) == (Ending.MEASURED, "")
    wanted = np.argsort(-load_scores(vectors), axis=1, kind="stable")
    for depth in DEPTHS:
        found = outcome.answers.by_depth[depth]
        assert found.tolist() == wanted[:, : min(depth, 90)].tolist()
    assert outcome.answers.alone.tolist() == outcome.answers.again.tolist()
    figures = outcome.figures
    assert figures["disk_bytes"] > 90 * 6 * 8
    assert figures["asked_k"] == 90
    assert figures["versions"] == {"numpy": np.__version__}
    times = "build_s", "search_s", "alone_s", "engine_cpu_s", "extra_cpu_s"
    assert min(figures[name] for name in times) >= 0
    assert (figures["equal_built"], figures["builds"]) == (1, 1)
    assert not outcome.answers.rebuilt
    assert PlantedTies.make(6).judge(dict(outcome.planted))["ties_order"] == "ascending"


def test_several_vectors_of_an_item(vectors, tmp_path):
    outcome = run_own("make", vectors, tmp_path, vectors_per_item=3)
    best = load_scores(vectors).reshape(8, 30, 3).max(axis=2)
    for depth in (1, 10):
        wanted = np.argsort(-best, axis=1, kind="stable")[:, :depth].tolist()
        assert outcome.answers.by_depth[depth].tolist() == wanted
    assert outcome.answers.deepest.shape == (8, 30)


def test_an_engine_with_a_limit_is_asked_for_no_more(vectors, tmp_path):
    outcome = run_own("make_limited", vectors, tmp_path)
    assert outcome.status == Ending.MEASURED
    assert (outcome.figures["largest_k"], outcome.figures["asked_k"]) == (7, 7)
    assert ((outcome.answers.deepest != -1).sum(axis=1) == 7).all()


@pytest.mark.parametrize(
    ("function", "status", "said"),
    [
        ("make_lying", Ending.WRONG, "mine: lying returned an id twice in the answers to 8 of 8"),
        ("make_nan", Ending.WRONG, "mine: NaN returned NaN as an id"),
        ("make_outside", Ending.WRONG, "mine: outside returned an id outside the collection"),
        ("make_crashing", Ending.CRASHED, "its process ended with signal SIGKILL"),
        ("make_quitting", Ending.CRASHED, "its process ended with exit code 3"),
        ("make_silent", Ending.CRASHED, "its process ended with exit code 0"),
        ("make_raising", Ending.FAILED, "RuntimeError: no memory for it"),
        ("make_refusing", Ending.REFUSED, "mine takes up to 2 numbers a vector, and here are 6"),
    ],
)
def test_a_bad_engine_is_named(vectors, tmp_path, function, status, said):
    outcome = run_own(function, vectors, tmp_path)
    assert outcome.status == status
    assert said in outcome.said
    assert outcome.answers is None


def test_an_engine_that_never_ends_is_ended(vectors, tmp_path):
    (setting,) = list_settings(["own_engines:make_slow"])
    outcome = run_setting(setting, *vectors, tmp_path, limit_s=3)
    assert (outcome.status, outcome.said) == (Ending.FAILED, "mine: slow: took longer than 3 s")


def test_what_an_engine_started_ends_with_it(vectors, tmp_path, monkeypatch):
    monkeypatch.setenv("SERVER_FILE", str(tmp_path / "server"))
    (setting,) = list_settings(["own_engines:make_serving"])
    (tmp_path / "job").mkdir()
    outcome = run_setting(setting, *vectors, tmp_path / "job", limit_s=5)
    assert outcome.status == Ending.FAILED
    server = int((tmp_path / "server").read_text())
    for _ in range(100):  # until the system has let go of it
        if not is_running(server):
            return
        time.sleep(0.05)
    pytest.fail("the server is still there")


def is_running(process):
    state = Path(f"/proc/{process}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


def test_an_answer_that_is_computed_later_is_timed(vectors, tmp_path):
    figures = run_own("make_lazy", vectors, tmp_path).figures
    assert figures["search_cpu_s"] >= 0.25
    assert figures["engine_cpu_s"] >= 0.25 * len(DEPTHS)


def test_clock_and_memory_begin_after_the_import(vectors, tmp_path):
    figures = run_own("make_importing", vectors, tmp_path).figures
    assert figures["build_cpu_s"] < 0.5 <= figures["extra_cpu_s"]
    if figures["peak_bytes"] is not None:
        assert figures["peak_bytes"] < 2**25


def test_an_engine_that_builds_by_chance_is_built_several_times(vectors, tmp_path, monkeypatch):
    (tmp_path / "thrice").mkdir()
    outcome = run_own("make_lucky", vectors, tmp_path / "thrice")
    assert outcome.figures["equal_built"] < 1
    assert outcome.figures["builds"] == 1 + len(outcome.answers.rebuilt) == 3
    answers = [outcome.answers.by_depth[TIMED_RESULTS], *outcome.answers.rebuilt]
    assert len({each.tobytes() for each in answers}) == 3
    monkeypatch.setattr(isolation, "REBUILT_S", 0.0)
    (tmp_path / "once").mkdir()
    assert run_own("make_lucky", vectors, tmp_path / "once").figures["builds"] == 1


def test_a_short_search_is_repeated(vectors, tmp_path, monkeypatch):
    """The mean of many is told, which ticks of a clock don't decide."""
    monkeypatch.setattr(isolation, "REPEATED_S", 0.3)
    figures = run_own("make", vectors, tmp_path).figures
    assert 0 < figures["search_cpu_s"] < 0.3


def test_what_a_process_wrote_last_is_told(tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("one\n\ntwo\nthree\nfour\n")
    assert (
        explain_crash("e", -6, log)
        == "e: its process ended with signal SIGABRT: two | three | four"
    )
    assert explain_crash("e", 70, log).startswith("e: its process ended with exit code 70")
    assert "signal 200" in explain_crash("e", -200, log)


def test_a_job_is_read_as_it_was_written(tmp_path):
    job = worker.Job("a", "b", ("c",), str(tmp_path), "d", "e", (1, 2), 2, 0.5, 2, 1.0, 3, 4, (5,))
    job.write()
    assert worker.Job.read(tmp_path) == job
    assert json.loads((tmp_path / worker.JOB_FILE).read_text())["alone"] == 3


def test_names_of_engines():
    assert {one.engine for one in list_settings([])} == set(SEARCH_MODULES)
    with pytest.raises(UnknownName, match="did you mean faiss"):
        list_settings(["fais"])
    with pytest.raises(UnknownName, match="Your own is MODULE:FUNCTION"):
        list_settings(["own_engines:not a name"])
    with pytest.raises(KisBenchError, match="module own_engines has no function gone"):
        list_settings(["own_engines:gone"])
    with pytest.raises(KisBenchError, match="no_such_module"):
        list_settings(["no_such_module:make"])
    with pytest.raises(KisBenchError, match="no settings today"):
        list_settings(["own_engines:make_error"])
    with pytest.raises(KisBenchError, match="has no name and no packages"):
        list_settings(["own_engines:make_nothing"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"packages": "numpy"}, r"packages are 'numpy', and have to be a tuple .* \('numpy',\)"),
        ({"packages": (3,)}, r"packages are \(3,\)"),
        ({"name": 3}, "its name is 3, and has to be a text such as 'mine: flat'"),
        ({"name": "flat"}, "its name is 'flat'"),
        ({"name": "mine: "}, "its name is 'mine: '"),
        ({"name": "faiss: flat"}, "begins with that of another engine, faiss"),
        ({"largest_k": 0}, "largest_k is 0, and has to be None or a whole number from 1 on"),
        ({"largest_k": "10"}, "largest_k is '10'"),
    ],
)
def test_an_engine_that_describes_itself_wrongly(monkeypatch, changes, said):
    for name, value in changes.items():
        monkeypatch.setattr(importlib.import_module("own_engines").Flat, name, value)
    with pytest.raises(KisBenchError, match=said):
        list_settings(["own_engines:make"])


def test_settings_of_one_name_are_refused(monkeypatch):
    own = importlib.import_module("own_engines")
    monkeypatch.setattr(own, "make", lambda folder: [own.Flat(folder)] * 2)
    with pytest.raises(KisBenchError, match="another setting is called 'mine: flat' too"):
        list_settings(["own_engines:make"])


def test_what_is_not_installed_says_how_to_get_it():
    (setting,) = list_settings(["own_engines:make_absent"])
    with pytest.raises(NotReady, match="pip install no-such-package-at-all"):
        setting.require()
    for one in list_settings([]):
        absent = type(one)(one.engine, one.name, ("no-such-package-at-all",))
        with pytest.raises(NotReady, match=r"\[engines\]"):
            absent.require()


def test_names_of_settings_are_different_and_plain():
    settings = list_settings([])
    assert len({one.label for one in settings}) == len(settings)
    for one in settings:
        assert one.name.partition(":")[0]
        assert not set(one.label) & set("[]:")
