"""Real pytest runs of the suite, as users start them."""

import json
from pathlib import Path

import pandas as pd
import pytest
from builders import run_pytest, run_python

from kis_bench.results import read_run
from kis_bench.results.columns import ALL_RANKS, METRICS

ROOT = Path(__file__).parents[2]


def run(*arguments, drawn=True, code=None):
    return run_python(*code) if code else run_pytest("benchmarks", *arguments, drawn=drawn)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Where reports go; the store is the user's, filled by this run if it wasn't."""
    reports = tmp_path_factory.mktemp("reports")
    done = run("--kis-report", str(reports))
    assert done.returncode == 0, done.stdout + done.stderr
    return reports, done


def test_a_plain_run_prints_the_table_and_writes_the_folder(filled):
    reports, done = filled
    assert (
        "8 passed" in done.stdout
    )  # two models and both together on two label sets, and triplets under two
    assert "ready: demo, colour-words" in done.stdout
    assert f"report: {reports.resolve().as_uri()}/" in done.stdout
    folder = (reports / "latest").resolve()
    files = {file.name for file in folder.iterdir()}
    assert files == {
        "run.json",
        "digests.json",
        "ranks.parquet",
        "judgments.parquet",
        "metrics.csv",
        "timings.csv",
        "verdicts.csv",
        "distances.parquet",
        "agreement.csv",
        "model_pairs.csv",
        "report.md",
        "report.html",
        "plots",
        "tables",
        "fused.parquet",
    }
    assert list(pd.read_parquet(folder / "ranks.parquet").columns) == ALL_RANKS
    assert list(pd.read_csv(folder / "metrics.csv").columns) == METRICS
    about = json.loads((folder / "run.json").read_text())
    assert about["schema_version"] == 1
    assert about["models"]["demo"]["key"].startswith("demo-fp32")
    assert {file.suffix for file in (folder / "plots").iterdir()} == {".png"}


def test_the_table_of_the_readme_is_what_a_terminal_prints(filled):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = next(block for block in readme.split("```") if "known-item search ==" in block)
    title, *table = block.strip().splitlines()
    assert title in filled[1].stdout
    assert len(table) == 8
    assert "\n".join(table) in filled[1].stdout


def test_the_demo_model_is_as_good_as_its_card_says(filled):
    metrics = read_run(filled[0] / "latest").metrics
    wanted = (metrics.model == "demo") & (metrics.metric == "recall") & (metrics.k == 10)
    recall = metrics[wanted].set_index("label_set").value
    assert recall["short"] == pytest.approx(0.709, abs=0.005)
    assert recall["long"] == pytest.approx(0.718, abs=0.005)


@pytest.mark.slow
def test_ids_select_and_workers_agree(filled, tmp_path):
    done = run("-k", "openmoji and long and demo", "--kis-report", str(tmp_path), drawn=False)
    assert "1 passed" in done.stdout
    assert "skipped" not in done.stdout
    junit = tmp_path / "junit.xml"
    done = run("-n", "2", "--kis-report", tmp_path, "--junitxml", junit, drawn=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 passed" in done.stdout
    assert junit.stat().st_size < 100_000  # the rows do not end up there
    order = ["model", "label_set", "query_id"]
    plain, spread = (
        read_run(folder / "latest").ranks.sort_values(order) for folder in (filled[0], tmp_path)
    )
    pd.testing.assert_frame_equal(plain.reset_index(drop=True), spread.reset_index(drop=True))
    order = ["model", "judgement_id"]
    plain, spread = (
        read_run(folder / "latest").judgments.sort_values(order) for folder in (filled[0], tmp_path)
    )
    pd.testing.assert_frame_equal(plain.reset_index(drop=True), spread.reset_index(drop=True))


@pytest.mark.slow
def test_a_warm_run_imports_no_deep_learning(filled, tmp_path):
    code = (
        "import sys, pytest\n"
        f"code = pytest.main(['benchmarks', '-q', '-p', 'no:cacheprovider', '--kis-report', {str(tmp_path)!r}])\n"
        "print('LOADED', sorted({'torch', 'open_clip', 'transformers', 'scipy.stats'} & set(sys.modules)), int(code))"
    )
    done = run(code=["-c", code])
    assert "LOADED [] 0" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--kis-model", "dmeo"], "unknown model 'dmeo': did you mean demo"),
        (["--kis-dataset", "openmojj"], "unknown dataset 'openmojj': did you mean openmoji"),
        (["--kis-labels", "shrt"], "unknown label set 'shrt': did you mean short"),
        (["--kis-batch-size", "0"], "must be at least 1"),
    ],
)
def test_wrong_names_end_with_code_2_and_close_matches(tmp_path, arguments, said):
    done = run("--kis-report", str(tmp_path), *arguments)
    assert done.returncode == 2
    assert said in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_privacy_leaves_texts_out_everywhere(filled, tmp_path):
    done = run(
        "--kis-privacy",
        "-k",
        "openmoji and short",
        "--kis-report",
        str(tmp_path),
        f"--kis-data={tmp_path}",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder = (tmp_path / "latest").resolve()
    assert str(tmp_path.parent) not in (folder / "run.json").read_text(encoding="utf-8")
    assert not any(read_run(folder).ranks.text)
    for file in ("report.md", "report.html"):
        assert "grinning" not in (folder / file).read_text(encoding="utf-8")
    assert not list((folder / "plots").glob("worst*"))


@pytest.mark.slow
def test_a_stopped_run_keeps_what_it_had_and_says_so(filled, tmp_path):
    """Ctrl-C in the second of two tests."""
    (tmp_path / "conftest.py").write_text(
        "def pytest_runtest_logreport(report):\n    if report.when == 'teardown':\n        raise KeyboardInterrupt\n"
    )
    suite = (ROOT / "benchmarks" / "test_known_item_search.py").read_text(encoding="utf-8")
    (tmp_path / "test_known_item_search.py").write_text(suite, encoding="utf-8")
    done = run(
        code=[
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--kis-report",
            str(tmp_path / "reports"),
            str(tmp_path),
        ]
    )
    assert done.returncode == 2
    stopped = read_run(tmp_path / "reports" / "latest")
    assert stopped.provenance["interrupted"] is True
    assert set(stopped.ranks.label_set) == {"short"}


@pytest.mark.slow
def test_the_command_line(filled):
    def cli(*arguments):
        return run(code=["-m", "kis_bench.cli", *arguments])

    assert "demo" in cli("models").stdout
    assert "openmoji-triplets" in cli("datasets").stdout
    assert (
        "1617 images, [1617, 1, 128] float32" in cli("embed", "openmoji", "--model", "demo").stdout
    )
    assert " 70.9 " in cli("report", str(filled[0] / "latest")).stdout
    doctor = cli("doctor", "demo")
    assert doctor.returncode == 0, doctor.stdout
    assert "FAIL" not in doctor.stdout
    for wrong in (
        ["embed", "openmojj", "--model", "demo"],
        ["report", "nowhere"],
        ["embed", "openmoji"],
    ):
        done = cli(*wrong)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
    assert cli().stdout == cli("--help").stdout
