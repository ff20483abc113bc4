"""Whole sessions of the benchmark of index fidelity, over engines of the user's, compressions, and real faiss."""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from builders import run_pytest
from PIL import Image

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
COLOURS = {
    "red": (200, 30, 30),
    "green": (30, 160, 60),
    "blue": (30, 60, 200),
    "yellow": (250, 220, 30),
    "black": (5, 5, 5),
    "white": (250, 250, 250),
    "pink": (250, 150, 200),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Nine pictures, of which two pairs are equal, and a query for each, of one two."""
    folder = tmp_path_factory.mktemp("fidelity")
    (folder / "toy" / "images").mkdir(parents=True)
    pictures = {**COLOURS, "red-too": COLOURS["red"], "blue-too": COLOURS["blue"]}
    for name, colour in pictures.items():
        Image.new("RGB", (32, 32), colour).save(folder / "toy" / "images" / f"{name}.png")
    rows = [(name, name, "short", name.removesuffix("-too")) for name in pictures]
    rows.append(("again", "pink", "short", "pink field"))
    table = pd.DataFrame(rows, columns=["query_id", "item_id", "label_set", "text"])
    table.to_csv(folder / "toy" / "labels.csv", index=False)
    shutil.copy(ROOT / "benchmarks" / "test_index_fidelity.py", folder)
    shutil.copy(Path(__file__).with_name("own_engines.py"), folder)
    return folder


def measure(project, *arguments, **variables):
    path = os.pathsep.join(filter(None, [str(project), str(ROOT), os.environ.get("PYTHONPATH")]))
    variables = {"KIS_STORE": str(project / "store"), "PYTHONPATH": path, **variables}
    named = "--kis-dataset=toy=toy", "--kis-model=colour-words"
    return run_pytest(*named, *arguments, cwd=project, **variables)


def name_engines(*functions):
    return [f"--kis-search-engine=own_engines:{name}" for name in functions]


def read_rows(folder):
    return pd.read_csv(folder / "fidelity" / "fidelity.csv").set_index("setting")


def test_nothing_is_collected_unless_asked_for(project):
    done = measure(project, "--collect-only", "-q")
    assert done.returncode == 5, done.stdout
    assert "3 deselected" in done.stdout


def test_compressions_and_an_own_engine(project, tmp_path):
    report = f"--kis-report={tmp_path}"
    asked = ["--kis-search-engine=numpy", *name_engines("make", "make_limited", "make_unsteady")]
    done = measure(project, "-m", "fidelity", *asked, report, "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_index_fidelity[mine flat-toy-short-colour-words] PASSED" in done.stdout
    rows = read_rows(tmp_path)
    assert (rows["status"] == "measured").all()
    for name in ("flat", "float32", "float16", "bfloat16"):
        for k in (1, 5, 10, 100):
            assert rows.loc[name, f"lost@{k}"] == pytest.approx(0, abs=1e-9), name
    flat = rows.loc["flat"]
    assert (flat["items"], flat["queries"], flat["asked_k"]) == (9, 10, 9)
    assert flat["found"] == flat["rank_told"] == 1
    assert flat["tied"] == pytest.approx(0.4)  # of each pair both are asked for
    assert flat["recall@1"] == pytest.approx(0.8)
    assert rows.loc["at most 7", ["largest_k", "asked_k"]].tolist() == [7, 7]
    assert rows.loc["unsteady", "equal_again"] == 0
    queries = pd.read_parquet(tmp_path / "fidelity" / "fidelity-queries")
    assert len(queries) == 10 * len(rows)
    assert set(queries["setting"]) == set(rows.index)
    assert not {"text", "item_id"} & set(queries)
    page = (tmp_path / "fidelity" / "fidelity.md").read_text(encoding="utf-8")
    assert "| mine" in page
    for form in ("svg", "png"):
        (plot,) = (tmp_path / "fidelity").glob(f"fidelity-colour-words-toy-short-*.{form}")
        assert plot.stat().st_size > 5_000
    assert "index fidelity: file://" in done.stdout


def test_slow_engines_are_asked_fewer_queries(project, tmp_path):
    report = f"--kis-report={tmp_path}"
    done = measure(project, "-m", "fidelity", *name_engines("make_few", "make"), report)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = read_rows(tmp_path)
    assert rows["queries"].to_dict() == {"few": 4, "flat": 10}
    assert rows.loc["few", "found"] == 1
    asked = pd.read_parquet(tmp_path / "fidelity" / "fidelity-queries")
    asked = asked[asked["setting"] == "few"]
    assert asked["query_id"].tolist() == ["red", "yellow", "pink", "again"]
    page = (tmp_path / "fidelity" / "fidelity.md").read_text(encoding="utf-8")
    assert "9 items of 12 numbers, 10 queries; of these 4, evenly spread, for mine." in page


def test_bad_engines_cost_their_rows_alone(project, tmp_path):
    report = f"--kis-report={tmp_path}"
    asked = name_engines("make_crashing", "make_lying", "make_raising", "make")
    done = measure(project, "-m", "fidelity", *asked, report, "-rf")
    assert done.returncode == 1
    assert "3 failed, 1 passed" in done.stdout
    assert "its process ended with signal SIGKILL" in done.stdout
    assert "mine: lying returned an id twice" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    rows = read_rows(tmp_path)
    wanted = {"crashing": "crashed", "lying": "wrong ids", "raising": "failed", "flat": "measured"}
    assert rows["status"].to_dict() == wanted
    page = (tmp_path / "fidelity" / "fidelity.md").read_text(encoding="utf-8")
    assert "mine crashing, crashed" in page


def test_an_engine_that_was_named_and_refuses_ends_with_2_and_keeps_the_rest(project, tmp_path):
    report = f"--kis-report={tmp_path}"
    asked = name_engines("make_refusing", "make")
    done = measure(project, "-m", "fidelity", *asked, report)
    assert done.returncode == 2
    assert "refused: mine takes up to 2 numbers a vector" in done.stdout
    assert read_rows(tmp_path)["status"].to_dict() == {"refusing": "refused", "flat": "measured"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (name_engines("make_absent"), "no-such-package-at-all is not installed"),
        (name_engines("gone"), "module own_engines has no function gone"),
        (["--kis-search-engine=fais"], "unknown search engine 'fais': did you mean faiss?"),
    ],
)
def test_what_was_named_and_is_not_there_ends_the_session(project, tmp_path, asked, said):
    done = measure(project, "-m", "fidelity", *asked, f"--kis-report={tmp_path}")
    assert done.returncode == 2
    assert said in done.stdout
    assert "nothing was measured" in done.stdout
    assert not (tmp_path / "fidelity").exists()


def test_processes_side_by_side_are_refused(project, tmp_path):
    pytest.importorskip("xdist")
    done = measure(project, "-m", "fidelity", "-n", "2", *name_engines("make"))
    assert done.returncode == 2
    assert "leave -n out" in done.stdout


@pytest.mark.parametrize("marks", ["not fidelity", "not (fidelity or throughput)"])
def test_who_leaves_it_out_may_use_several_processes(project, marks):
    pytest.importorskip("xdist")
    done = measure(project, "-m", marks, "-n", "2")
    assert done.returncode == 5, done.stdout
    assert "leave -n out" not in done.stdout


def test_rows_are_replaced_and_have_no_texts_under_privacy(project, tmp_path):
    report = f"--kis-report={tmp_path}"
    for _ in range(2):
        done = measure(project, "-m", "fidelity", *name_engines("make"), report, "--kis-privacy")
        assert done.returncode == 0, done.stdout
    assert len(read_rows(tmp_path)) == 1
    queries = pd.read_parquet(tmp_path / "fidelity" / "fidelity-queries")
    assert len(queries) == 10
    assert "pink field" not in queries.to_csv()  # the text of a query


def test_engines_that_nobody_asks(project):
    done = measure(project, *name_engines("make"))
    assert done.returncode == 2
    assert "--kis-search-engine is for -m fidelity" in done.stdout


def test_sizes_that_cannot_be_drawn(project, tmp_path):
    wrong = {"KIS_FIDELITY_ITEMS": "many"}
    done = measure(project, "-m", "fidelity", *name_engines("make"), **wrong)
    assert done.returncode == 2
    assert "KIS_FIDELITY_ITEMS=many: a whole number from 0 on" in done.stdout


def test_what_went_wrong_is_told_without_folders_under_privacy(project, tmp_path):
    asked = [*name_engines("make_raising"), f"--kis-report={tmp_path}", "--kis-privacy"]
    done = measure(project, "-m", "fidelity", *asked, "-q", "--no-header")
    assert done.returncode == 1
    (row,) = read_rows(tmp_path).to_dict("records")
    assert row["status"] == "failed"
    assert "RuntimeError: no memory for it" in row["said"]
    for text in (row["said"], done.stdout):
        assert "own_engines.py" not in text or str(project) not in text


def test_drawn_vectors(project, tmp_path):
    small = {"KIS_FIDELITY_ITEMS": "400", "KIS_FIDELITY_QUERIES": "40", "KIS_FIDELITY_DIM": "32"}
    asked = ["-k", "drawn", *name_engines("make")]
    done = measure(project, "-m", "fidelity", *asked, f"--kis-report={tmp_path}", **small)
    assert done.returncode == 0, done.stdout
    (row,) = read_rows(tmp_path).to_dict("records")
    assert (row["model"], row["dataset"], row["items"]) == ("drawn", "clustered-400x32", 400)
    assert row["lost@10"] == pytest.approx(0, abs=1e-9)


def test_real_faiss(project, tmp_path):
    if not os.environ.get("KIS_REQUIRE_ENGINES"):
        pytest.importorskip("faiss")
    asked = ["--kis-search-engine=faiss", "-k", "flat and not quantised"]
    done = measure(project, "-m", "fidelity", *asked, f"--kis-report={tmp_path}")
    assert done.returncode == 0, done.stdout
    rows = read_rows(tmp_path)
    assert rows.loc["flat", "lost@10"] == pytest.approx(0, abs=1e-9)
    assert rows.loc["flat", "made_with"].startswith("faiss-cpu ")
    assert rows.loc["flat", "disk_bytes"] > 0
