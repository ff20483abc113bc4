"""The gate in real pytest runs: each option plain, with -n0 and with -n 2, where verdicts go, and what is refused."""

import json
import re
import shutil
import xml.etree.ElementTree as ET
from functools import partial

import gated_project
import pandas as pd
import pytest
from gated_project import latest, verdicts

pytestmark = pytest.mark.slow

PROCESSES = {"plain": [], "n0": ["-n0"], "n2": ["-n", "2"]}
DOZEN = ",".join(map(str, range(5, 17)))
WORSE = f"{DOZEN}:0.4"  # far away: they fall to the end
NUMBERS = ["--kis-dataset", "numbers"]
THRESHOLDS = """
[[threshold]]
dataset = "numbers"
model = "fir*"
metric = "recall@7"
min = 0.95

[[threshold]]
metric = "median_rank"
max = 2
on = "ci_high"
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The project, its model as it should be, and a run of that in base/."""
    folder = gated_project.make(tmp_path_factory.mktemp("project") / "gated")
    (folder / "thresholds.toml").write_text(THRESHOLDS)
    done = run(folder, *NUMBERS, "--kis-report", "base")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture
def project(made):
    """The same without what other tests left."""
    shutil.rmtree(made / "reports", ignore_errors=True)
    shutil.rmtree(made / ".pytest_cache", ignore_errors=True)
    yield made
    for name in ("pyproject.toml", "pytest.ini", "loaded.txt", "summary.md"):
        (made / name).unlink(missing_ok=True)
    gated_project.label(made)


@pytest.fixture(params=PROCESSES)
def processes(request):
    return PROCESSES[request.param]


run = partial(gated_project.run, drawn=False)
BASE = ["--kis-baseline", "base/latest"]


@pytest.mark.parametrize(
    ("options", "worse", "code", "said"),
    [
        (["--kis-thresholds", "thresholds.toml"], "", 0, "3 checks: 3 passed (2 thresholds)"),
        (
            ["--kis-thresholds", "thresholds.toml"],
            WORSE,
            1,
            "numbers, short, first: recall@7 is 80.0% [68.2, 88.2], expected at least 95.0% (thresholds.toml, line 2)",
        ),
        (BASE, "", 0, "12 checks: 12 passed (baseline 2"),
        (
            BASE,
            WORSE,
            1,
            "first: recall@1 is 80.0%, expected not below 100.0% beyond noise (adjusted p = 0.",
        ),
        ([*BASE, "--kis-alpha", "0.000001"], WORSE, 0, "false alarms 1e-06 a run"),
        (
            [*BASE, "--kis-tolerance", "0.01"],
            "5:0.4",
            1,
            "recall@1 is 98.3%, expected at least 99.0%, 0.01 below 100.0%",
        ),
        (
            [*BASE, "--kis-query-factor", "50"],
            "5:0.4",
            1,
            "expected that no query's rank grows by more than 50 times",
        ),
        ([*BASE, "--kis-gate-metric", "recall@100"], WORSE, 0, "2 checks: 2 passed"),
        (
            [*BASE, "--kis-incumbent", "second", "--kis-gate-metric", "mrr"],
            WORSE,
            1,
            "2 checks: 1 failed, 1 passed",
        ),
        ([*BASE, "--kis-exact"], "5:0.4", 1, "1 query that changed: q005: 1 → "),
        ([*BASE, "--kis-exact", "--kis-drift", "60"], "5:0.4", 0, "2 checks: 2 passed (baseline"),
    ],
)
def test_each_option_in_one_and_in_several_processes(
    project, processes, options, worse, code, said
):
    done = run(project, *NUMBERS, *options, *processes, drawn=not processes, WORSE=worse)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout
    table = verdicts(project)
    assert table["model"].tolist() == sorted(table["model"])  # as declared, not as they came
    assert ("fail" in set(table["verdict"])) == (code == 1)
    assert set(table["model"]) == {"first", "second"}
    if code:
        assert "FAILED test_numbers.py::test_search[numbers-short-first]" in done.stdout
        assert set(table.loc[table["verdict"] == "fail", "model"]) == {"first"}
        assert not table.duplicated().any()


def test_the_message_names_the_worst_queries_and_what_changed(project):
    done = run(project, *NUMBERS, *BASE, "--kis-model", "first", WORSE=WORSE)
    block = re.split("=+ failed =+\n", done.stdout.partition("FAILURES")[2])[0]
    for named in (
        "that left first place: ",
        "that left the first 10: ",
        "that lost reciprocal rank: ",
    ):
        assert block.count(f"  worst of the 12 queries {named}") == 1
        assert block.partition(named)[2].partition("\n")[0].count("→") == 10
    row = verdicts(project).query("metric == 'recall@10' and verdict == 'fail'").iloc[0]
    assert row["n_queries"] == 12
    assert {one.split(":")[0] for one in row["queries"]} == {f"q{i:03d}" for i in range(5, 17)}
    assert f": numbered-1- → numbered-1-{WORSE}" in block


def test_a_saved_baseline_does_the_same_as_its_run(project):
    for command in (
        ["baseline", "save", "base/latest", "--out", "base.kis.zip", "--force"],
        ["thresholds", "base/latest", "--margin", "0.02", "--out", "made.toml", "--force"],
    ):
        done = gated_project.cli(project, *command)
        assert done.returncode == 0, done.stderr
    again = gated_project.cli(project, "baseline", "save", "base/latest", "--out", "base.kis.zip")
    assert again.returncode == 2
    assert "--force writes over it" in again.stderr
    good = run(project, *NUMBERS, "--kis-baseline=base.kis.zip", "--kis-thresholds=made.toml")
    assert good.returncode == 0, good.stdout
    assert "20 checks: 20 passed (8 thresholds; baseline 2" in good.stdout
    rules = ("--kis-baseline=base.kis.zip", "--kis-thresholds=made.toml")
    bad = run(project, *NUMBERS, *rules, drawn=True, WORSE=WORSE)
    assert bad.returncode == 1
    report = (project / "reports" / "latest" / "report.md").read_text()
    assert "## Gate" in report
    assert "q005: 1 → " in report
    assert "## kis-bench" not in report
    assert "q005: 1 → " in (project / "reports" / "latest" / "gate.md").read_text()
    compared = gated_project.cli(project, "compare", "base.kis.zip", "reports/latest")
    assert compared.returncode == 0, compared.stderr
    assert "worse" in compared.stdout


def test_verdicts_go_to_junit_and_to_github(project):
    done = run(
        project,
        *NUMBERS,
        *BASE,
        "--kis-thresholds",
        "thresholds.toml",
        "--junitxml",
        "junit.xml",
        WORSE=WORSE,
        GITHUB_ACTIONS="true",
        GITHUB_STEP_SUMMARY=str(project / "summary.md"),
    )
    assert done.returncode == 1
    case = next(
        one
        for one in ET.parse(project / "junit.xml").iter("testcase")
        if "first" in one.get("name")
    )
    properties = {one.get("name"): one.get("value") for one in case.iter("property")}
    assert properties["model"] == "first"
    assert float(properties["recall@10"]) == pytest.approx(0.8)
    assert properties["threshold recall@7"].startswith("fail: recall@7 is 80.0%")
    assert properties["significance recall@100"].startswith("pass: ")
    assert (
        "; worst of the 12 queries that left first place: q005: 1 → "
        in properties["significance recall@1"]
    )
    assert "expected at least 95.0%" in case.find("failure").text
    errors = [line for line in done.stdout.splitlines() if line.startswith("::error")]
    assert len(errors) == 1
    assert errors[0].startswith(
        "::error title=numbers%2C short%2C first,file=thresholds.toml,line=2::recall@7 is 80.0%25"
    )
    assert "%0Aworst of the 12 queries that left first place: q005: 1 → " in errors[0]
    summary = (project / "summary.md").read_text()
    assert "| fail" in summary
    assert "15 checks: 6 failed, 9 passed" in summary


def test_nothing_is_said_to_github_elsewhere(project):
    done = run(project, *NUMBERS, *BASE, "--kis-model", "first", WORSE=WORSE)
    assert "::error" not in done.stdout


def refused(project, *arguments, said, code=2, **more):
    done = run(project, *arguments, **more)
    assert done.returncode == code, done.stdout + done.stderr
    for text in [said] if isinstance(said, str) else said:
        assert text in done.stdout + done.stderr
    return done


@pytest.mark.parametrize("processes", [[], ["-n", "2"]], ids=["plain", "n2"])
@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            'model = "fir*"',
            'model = "frist"',
            ["line 2: unknown model 'frist'", "did you mean first?"],
        ),
        (
            'dataset = "numbers"',
            'dataset = "numbres"',
            ["line 2: unknown dataset 'numbres': did you mean numbers?"],
        ),
        (
            'model = "fir*"',
            'label_set = "shrot"',
            ["line 2: unknown label set 'shrot': did you mean short?"],
        ),
        (
            'metric = "recall@7"',
            'metric = "consistency"',
            ["line 2: consistency is of judgments, which numbers"],
        ),
        (
            'metric = "recall@7"',
            'metrc = "recall@7"',
            ["line 5: unknown key 'metrc': did you mean metric?"],
        ),
    ],
)
def test_a_threshold_that_can_match_nothing_ends_the_run_before_it_begins(
    project, processes, before, after, said
):
    (project / "wrong.toml").write_text(THRESHOLDS.replace(before, after))
    refused(
        project, *NUMBERS, "--kis-thresholds", "wrong.toml", *processes, said=["wrong.toml", *said]
    )
    assert not (project / "reports").exists()


@pytest.mark.parametrize("processes", [[], ["-n", "2"]], ids=["plain", "n2"])
@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            'dataset = "absent"\nmetric = "mrr"\nmin = 0',
            "no figure was measured for the threshold other.toml, line 1",
        ),
        (
            'dataset = "numbers"\nmetric = "group_recall@5"\nmin = 0',
            "no figure was measured for the threshold other.toml",
        ),
    ],
)
def test_a_threshold_for_which_nothing_was_measured_is_no_passing_gate(
    project, processes, row, said
):
    (project / "other.toml").write_text(f"[[threshold]]\n{row}\n{THRESHOLDS}")
    done = refused(project, "--kis-thresholds", "other.toml", *processes, said=said)
    assert "3 passed" in done.stdout  # the others were judged all the same


def test_what_is_left_out_by_intention_need_not_be_measured_but_something_must(project):
    done = run(project, *NUMBERS, "--kis-thresholds", "thresholds.toml", *BASE, "-k", "second")
    assert done.returncode == 0, done.stdout
    assert "7 checks: 7 passed" in done.stdout
    (project / "first.toml").write_text(THRESHOLDS.partition("[[threshold]]\nmetric")[0])
    refused(
        project,
        *NUMBERS,
        "--kis-thresholds",
        "first.toml",
        "-k",
        "second",
        said="none of the thresholds is about what was run",
    )


def test_a_baseline_whose_cells_are_not_measured_is_no_passing_gate(project):
    (project / "numbers").rename(project / "moved")
    try:
        refused(
            project, *BASE, said="the baseline has numbers, short, first, which was not measured"
        )
    finally:
        (project / "moved").rename(project / "numbers")


def test_models_that_the_baseline_lacks_are_told_and_alone_they_are_no_gate(project):
    gated_project.cli(
        project,
        "baseline",
        "save",
        "base/latest",
        "--model",
        "first",
        "--out",
        "one.kis.zip",
        "--force",
    )
    done = run(project, *NUMBERS, "--kis-baseline=one.kis.zip")
    assert done.returncode == 0, done.stdout
    assert "not compared: numbers, short, second: second is not in the baseline" in done.stdout
    said = [
        "nothing that was run could be compared with the baseline, which has first",
        "--kis-incumbent",
    ]
    refused(project, *NUMBERS, "--kis-baseline=one.kis.zip", "--kis-model", "second", said=said)


@pytest.mark.parametrize("processes", [[], ["-n", "2"]], ids=["plain", "n2"])
def test_a_baseline_of_another_dataset_says_what_differs_and_exits_with_2(project, processes):
    gated_project.label(
        project, texts=lambda i: f"the number {i}" if i == 7 else f"number {i}", n=58
    )
    said = [
        "the dataset is another than the baseline's",
        "n_queries of short 60 and 58",
        "other queries of short",
        "2 only in the old run: q058, q059",
        "1 with another text: q007",
    ]
    done = refused(project, *NUMBERS, *BASE, *processes, said=said)
    assert "other pictures" not in done.stdout
    assert set(verdicts(project)["verdict"]) == {"unusable"}


def test_baselines_that_cannot_be_read(project):
    refused(project, *NUMBERS, "--kis-baseline", "absent", said="there is no baseline absent")
    shutil.copytree((project / "base" / "latest").resolve(), project / "part")
    (project / "part" / "ranks.parquet").unlink()
    refused(
        project,
        *NUMBERS,
        "--kis-baseline",
        "part",
        said="part is not a whole run: missing ranks.parquet",
    )
    head = json.loads((project / "part" / "run.json").read_text())
    shutil.copy((project / "base" / "latest" / "ranks.parquet"), project / "part")
    (project / "part" / "run.json").write_text(json.dumps(head | {"schema_version": 7}))
    refused(project, *NUMBERS, "--kis-baseline", "part", said="install a newer kis-bench")
    (project / "part" / "run.json").write_text(json.dumps(head | {"interrupted": True}))
    refused(project, *NUMBERS, "--kis-baseline", "part", said="was stopped before its end")
    shutil.rmtree(project / "part")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--kis-exact"], "--kis-exact compares with a baseline; add --kis-baseline RUN"),
        (["--kis-tolerance", "0.1"], "--kis-tolerance compares with a baseline"),
        (["--kis-tolerance=0"], "--kis-tolerance compares with a baseline"),
        ([*BASE, "--kis-drift", "3"], "--kis-drift 3 has no meaning without --kis-exact"),
        ([*BASE, "--kis-incumbent", "frist"], "unknown model 'frist': did you mean first?"),
        ([*BASE, "--kis-alpha", "2"], "--kis-alpha 2: must be above 0 and below 1"),
        ([*BASE, "--kis-gate-metric", "recall@11"], "unknown metric 'recall@11'"),
        (
            [*BASE, "--kis-exact", "--kis-drift", "much"],
            "--kis-drift much: write a number of places",
        ),
    ],
)
def test_options_that_mean_nothing(project, options, said):
    refused(project, *NUMBERS, *options, said=said)


def test_options_may_stand_in_pyproject_toml(project):
    (project / "pyproject.toml").write_text("""
[tool.kis_bench]
dataset = ["numbers"]
model = "first"
thresholds = "thresholds.toml"
baseline = "base/latest"
query-factor = 2
strict = true
report = "elsewhere"
""")
    (project / "below").mkdir(exist_ok=True)
    done = run(project, "--rootdir", str(project), "-c", "pyproject.toml", WORSE="5:0.4")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "expected that no query's rank grows by more than 2 times" in done.stdout
    assert (project / "elsewhere" / "latest" / "verdicts.csv").exists()
    done = run(
        project,
        "--kis-query-factor",
        "100",
        "--kis-model",
        "second",
        "--kis-report",
        "reports",
        "-n",
        "2",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(verdicts(project)["model"]) == {"second"}
    done = run(
        project,
        "--kis-baseline=",
        "--kis-thresholds=",
        "--kis-report=",
        "--no-kis-strict",
        WORSE=WORSE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(verdicts(project)) == 0
    shutil.rmtree(project / "elsewhere")


def test_a_gate_of_a_project_leaves_sessions_alone_that_are_about_something_else(project):
    (project / "pyproject.toml").write_text(
        '[tool.kis_bench]\ndataset = "numbers"\nthresholds = "first.toml"\n'
    )
    (project / "first.toml").write_text(THRESHOLDS.partition("[[threshold]]\nmetric")[0])
    done = run(project, "-k", "second")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing was checked (1 threshold)" in done.stdout


def test_a_gate_without_anything_that_is_measured_has_not_passed(project, tmp_path):
    (tmp_path / "test_other.py").write_text("def test_nothing():\n    pass\n")
    done = run(
        tmp_path, f"--kis-baseline={project / 'base' / 'latest'}", KIS_STORE=str(project / "store")
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "nothing that was run could be compared with the baseline" in done.stdout


def test_a_test_that_skips_itself_after_it_measured_is_not_excused_and_one_that_is_expected_to_fail_is(
    project,
):
    text = (project / "test_numbers.py").read_text().replace(
        "test_search", "test_own"
    ).strip() + "\n"
    (project / "test_own.py").write_text(f"import pytest\n\n{text}    pytest.skip('odd')\n")
    try:
        done = run(project, *NUMBERS, *BASE, "test_own.py", "-k", "first", WORSE=WORSE)
        assert done.returncode == 1, done.stdout
        assert "worst of the 12 queries that left first place: q005: 1 → " in done.stdout
        (project / "test_own.py").write_text(f"import pytest\n\n@pytest.mark.xfail\n{text}")
        done = run(project, *NUMBERS, *BASE, "test_own.py", "-k", "first", WORSE=WORSE)
        assert done.returncode == 0, done.stdout
        assert "1 xfailed" in done.stdout
    finally:
        (project / "test_own.py").unlink()


def test_a_summary_that_cannot_be_written_is_told(project):
    done = run(
        project, *NUMBERS, *BASE, "-k", "second", GITHUB_STEP_SUMMARY=str(project / "absent" / "x")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "$GITHUB_STEP_SUMMARY can't be written" in done.stdout


def test_an_interrupted_run_may_still_be_looked_at(project):
    run(project, *NUMBERS, *BASE, "-x", WORSE=WORSE)
    shutil.copytree((project / "reports" / "latest").resolve(), project / "stopped")
    try:
        compared = gated_project.cli(project, "compare", "stopped", "base/latest")
        assert compared.returncode == 0, compared.stderr
        refused(project, *NUMBERS, "--kis-baseline=stopped", said="was stopped before its end")
    finally:
        shutil.rmtree(project / "stopped")


def test_options_may_stand_in_an_ini_file(project):
    (project / "pytest.ini").write_text("""[pytest]
kis_dataset = numbers
kis_model =
    first
    second
kis_baseline = base/latest
kis_exact = true
""")
    done = run(project, WORSE="5:0.4")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 query that changed: q005: 1 → " in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('treshold = "a.toml"', "unknown key 'treshold': did you mean thresholds?"),
        ('strict = "yes"', "strict = 'yes': write true or false"),
        ("model = 3", "model = 3: write a list of texts"),
        ('precision = "fp31"', "unknown value 'fp31': did you mean fp32"),
        ('tolerance = "much"', "tolerance = 'much'"),
        ("baseline = [1]", "baseline = [1]: write one value"),
    ],
)
def test_what_is_wrong_in_pyproject_toml_ends_the_run(project, text, said):
    (project / "pyproject.toml").write_text(f"[tool.kis_bench]\n{text}\n")
    refused(project, *NUMBERS, said=["pyproject.toml", said])
    for harmless in ("--help", "--markers", "--fixtures"):
        assert run(project, harmless).returncode == 0


def test_help_markers_and_fixtures_read_well(project):
    shown = run(project, "--help").stdout
    assert "--kis-baseline=RUN|FILE" in shown or "--kis-baseline RUN|FILE" in shown
    assert "known-item search benchmarks (kis-bench)" in shown
    assert "throughput: loads models and times them" in run(project, "--markers").stdout
    fixtures = run(project, "--fixtures").stdout
    for text in (
        "ranks = known_item_search(model, dataset, query_set)",
        "One model of the line-up",
    ):
        assert text in fixtures


def test_every_model_is_loaded_once_and_both_processes_work(project):
    log = project / "loaded.txt"
    shutil.rmtree(project / "store", ignore_errors=True)
    pd.read_csv(project / "numbers" / "labels.csv").assign(label_set="long").to_csv(
        project / "numbers" / "labels.more.csv", index=False
    )
    (project / "test_more.py").write_text((project / "test_numbers.py").read_text())
    try:
        done = run(project, *NUMBERS, "-n", "2", "-v", LOADED=str(log))
    finally:
        (project / "numbers" / "labels.more.csv").unlink()
        (project / "test_more.py").unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    loads = [line.split() for line in log.read_text().splitlines()]
    assert sorted(name for name, _ in loads) == ["first", "second"]
    assert len({process for _, process in loads}) == 2


def test_last_failed_stepwise_and_first_failure(project):
    gate = [*NUMBERS, *BASE]
    assert run(project, *gate, WORSE=WORSE).returncode == 1
    again = run(project, *gate, "--lf", WORSE=WORSE)
    assert again.returncode == 1, again.stdout + again.stderr
    assert "collected 1 item" in again.stdout, again.stdout + again.stderr
    assert set(verdicts(project)["model"]) == {"first"}, again.stdout + again.stderr
    assert run(project, *gate, "--lf").returncode == 0
    stopped = run(project, *gate, "-x", WORSE=WORSE)
    assert "stopping after 1 failures" in stopped.stdout
    assert latest(project).provenance["interrupted"] is True
    assert "which was not measured" not in stopped.stdout
    step = run(project, *gate, "--sw", WORSE=WORSE)
    assert "1 failed" in step.stdout
    assert run(project, *gate, "--sw").returncode == 0


@pytest.mark.parametrize("processes", [[], ["-n", "2"]], ids=["plain", "n2"])
def test_a_test_that_is_run_again_counts_once(project, processes):
    pytest.importorskip("pytest_rerunfailures")
    done = run(
        project,
        *NUMBERS,
        *BASE,
        "--reruns",
        "2",
        "--junitxml",
        "junit.xml",
        *processes,
        WORSE=WORSE,
    )
    assert done.returncode == 1
    assert "2 rerun" in done.stdout
    assert "12 checks: " in done.stdout
    assert len(verdicts(project)) == 12
    ranks = latest(project).ranks
    assert not ranks.duplicated(["model", "dataset", "label_set", "query_id"]).any()
    timings = latest(project).timings
    assert not timings.duplicated(["model", "dataset", "label_set", "step"]).any()
    for case in ET.parse(project / "junit.xml").iter("testcase"):
        names = [one.get("name") for one in case.iter("property")]
        assert len(names) == len(set(names)) > 5


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_random_order_keeps_each_model_loaded_once(project, seed):
    pytest.importorskip("pytest_randomly")
    log = project / "loaded.txt"
    shutil.rmtree(project / "store", ignore_errors=True)
    for name in ("test_more.py", "test_most.py"):
        (project / name).write_text((project / "test_numbers.py").read_text())
    try:
        done = run(project, *NUMBERS, f"--randomly-seed={seed}", ordered=False, LOADED=str(log))
    finally:
        for name in ("test_more.py", "test_most.py"):
            (project / name).unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(line.split()[0] for line in log.read_text().splitlines()) == ["first", "second"]


def test_collecting_reads_no_data_and_no_baseline(project):
    (project / "plugin_of_test.py").write_text("""
import sys

def pytest_sessionfinish():
    heavy = {"pandas", "pyarrow", "matplotlib", "torch", "scipy", "PIL.PngImagePlugin"} & set(sys.modules)
    print("heavy:", sorted(heavy))
""")
    done = run(project, "--collect-only", "-q", "-p", "plugin_of_test", "--kis-baseline", "absent")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_numbers.py::test_search[numbers-short-first]" in done.stdout
    assert "heavy: []" in done.stdout


def test_without_the_plugin_other_tests_run(project):
    (project / "test_other.py").write_text("def test_nothing():\n    pass\n")
    try:
        done = run(project, "-p", "no:kis_bench.plugin", "test_other.py")
    finally:
        (project / "test_other.py").unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kis-bench" not in done.stdout.replace(str(project), "").partition("plugins:")[0]


def test_benchmarks_carry_quality_when_times_are_asked_for(project):
    quiet = run(project, *NUMBERS, "--kis-model", "first")
    assert "benchmark: " not in quiet.stdout.partition("collected")[2]
    done = run(project, *NUMBERS, "--benchmark-json", "times.json", "--benchmark-autosave")
    assert done.returncode == 0, done.stdout + done.stderr
    times = json.loads((project / "times.json").read_text())["benchmarks"]
    about = {one["extra_info"]["model"]: one["extra_info"] for one in times}
    assert set(about) == {"first", "second"}
    assert about["first"]["recall@10"] == pytest.approx(1.0)
    assert about["first"]["label_set"] == "short"
    compared = run(project, *NUMBERS, "--benchmark-compare", "--benchmark-only")
    assert compared.returncode == 0, compared.stdout + compared.stderr
    assert "2 passed" in compared.stdout
    (project / "test_own.py").write_text("""
def test_own(model, dataset, query_set, known_item_search, benchmark):
    benchmark(lambda: None)
    known_item_search(model, dataset, query_set)
    known_item_search(model, dataset, query_set)

def test_twice(model, dataset, query_set, known_item_search):
    known_item_search(model, dataset, query_set)
    known_item_search(model, dataset, query_set)
""")
    own = run(project, *NUMBERS, "--benchmark-json", "own.json", "test_own.py")
    (project / "test_own.py").unlink()
    assert own.returncode == 0, own.stdout + own.stderr
    off = run(project, *NUMBERS, "--benchmark-json", "none.json", "--benchmark-disable")
    assert off.returncode == 0, off.stdout
    assert "2 passed" in off.stdout
    shutil.rmtree(project / ".benchmarks", ignore_errors=True)
