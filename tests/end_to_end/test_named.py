"""What is asked for by name is measured, or the session ends with exit code 2 and every reason: real sessions."""

import os
from pathlib import Path
from textwrap import dedent

import pytest
from builders import run_cli, run_pytest
from PIL import Image

from kis_bench.errors import explain_install
from kis_bench.results import read_run

pytestmark = pytest.mark.slow

COLOURS = ("red", "green", "blue", "white", "black", "orange")
FILES = {
    "conftest.py": """
        from pathlib import Path

        from kis_bench import encoders
        from kis_bench.datasets import DatasetRow
        from kis_bench.records import Checkpoint

        HERE = Path(__file__).parent

        def pytest_kis_models(config):
            return [encoders.find("colour-words"), encoders.find("rgb-histogram-64"), Checkpoint("far", "hf-hub:a/b")]

        def pytest_kis_datasets(config):
            return [DatasetRow("colours", HERE / "colours"), DatasetRow("mvk"),
                    DatasetRow("lost", HERE / "elsewhere" / "lost")]
    """,
    "benchmarks/test_search.py": """
        def test_search(model, dataset, query_set, known_item_search):
            known_item_search(model, dataset, query_set)
    """,
    "benchmarks/test_judged.py": """
        def test_judged(model, dataset, image_similarity):
            image_similarity(model, dataset)
    """,
    "benchmarks/beside.py": """
        from kis_bench.encoders import colour_words

        def load():
            return colour_words.ColourWords("beside", "beside-1")
    """,
    "raises.py": "import json\n\nvalue = json.loads('{')\n",
    "needs.py": "import a_package_that_nobody_has\n",
    "unfinished.py": "def load(:\n",
    "leaves.py": "raise SystemExit(3)\n",
    "empty.py": "number = 3\n",
    "test_other.py": "def test_passes():\n    assert True\n",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    for name, text in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(dedent(text), encoding="utf-8")
    for name in ("colours", "days", "bare"):
        (root / name / "images").mkdir(parents=True)
        for colour in COLOURS:
            Image.new("RGB", (8, 8), colour).save(root / name / "images" / f"{colour}.png")
    (root / "colours" / "images" / "phone.nef").write_bytes(b"")
    (root / "colours" / "labels_long.csv").write_text("query_id,item_id,label_set,text\n")
    labels = "query_id,item_id,label_set,text\n" + "".join(
        f"q-{c},{c},short,{c}\n" for c in COLOURS
    )
    for file in ("colours/labels.csv", "days/labels.csv", "bare/Labels.csv"):
        (root / file).write_text(labels, encoding="utf-8")
    return root


@pytest.fixture
def session(project, tmp_path):
    """Runs pytest there; gives exit code, what was said, and the folder of reports."""

    def run(*arguments, folder=project, drawn=False):
        here = {"cwd": folder, "KIS_STORE": str(tmp_path / "store"), "COLUMNS": "200"}
        reports = ("--kis-report", tmp_path / "reports")
        done = run_pytest(*reports, *arguments, cached=True, drawn=drawn, **here)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, tmp_path / "reports"

    return run


WRONG = {
    "--kis-model=colour-wrods": "unknown model 'colour-wrods': did you mean colour-words?",
    "--kis-dataset=mvkk": "unknown dataset 'mvkk': did you mean mvk?",
    "--kis-labels=shrt": "unknown label set 'shrt': did you mean short?",
    "--kis-dataset=gone={root}/colour": "dataset gone: no data. "
    "there is no folder {root}/colour (did you mean colours?)",
    "--kis-dataset=bare={root}/bare": "dataset bare: no queries. Labels.csv is not read; call it labels.csv",
    "--kis-dataset=lsc={root}/days": "dataset lsc: {root}/days: black: no date and time as in 2020",
    "--kis-model=nowhere:load": "model nowhere.load: no module. there is no Python module nowhere",
    "--kis-model=raises:load": "module raises can't be imported: JSONDecodeError",
    "--kis-model=needs:load": "No module named 'a_package_that_nobody_has' ({root}/needs.py, line 1)",
    "--kis-model=unfinished:load": "module unfinished can't be imported: SyntaxError",
    "--kis-model=leaves:load": "module leaves can't be imported: SystemExit: 3 ({root}/leaves.py, line 1)",
    "--kis-model=empty:load": "model empty.load: module empty has no function load",
    "--kis-model=empty:number": "model empty.number: module empty has no function number",
    "--kis-model=far": "model far: not downloaded. kis-bench fetch hf-hub:a/b, or add --kis-download",
    "--kis-model=rgb-histogram-64": "model rgb-histogram-64: has no text side",
}


@pytest.mark.parametrize(
    "more", [[], ["-n", "2"], ["-q", "-k", "colours"]], ids=["plain", "workers", "quiet"]
)
def test_all_that_fails_is_listed_and_nothing_is_measured(session, project, more):
    """One line each, before the first test; what could have been measured isn't either."""
    code, said, reports = session(
        "--kis-model=colour-words",
        "--kis-dataset=colours",
        *(name.format(root=project) for name in WRONG),
        *more,
    )
    assert code == 2
    lines = said.partition("kis-bench: asked for by name")[2].splitlines()
    for expected in WRONG.values():
        expected = expected.format(root=project)
        assert sum(expected in line for line in lines) == 1, expected
    assert f"({project}/raises.py, line 3)" in said
    assert f"{len(WRONG)} problems; nothing was measured" in said, said
    assert not reports.exists()
    assert "passed" not in said


def test_each_name_alone_ends_the_session_where_nothing_is_selected_by_it_too(session, project):
    """``--collect-only`` and ``-k`` change nothing about a name that is wrong."""
    gone = f"--kis-dataset=gone={project}/nowhere"
    for more in (
        ["--collect-only"],
        ["-k", "colours", "--lf"],
        ["benchmarks/test_search.py::test_search"],
    ):
        code, said, reports = session(gone, "--kis-dataset=colours", *more)
        assert code == 2, said
        assert "dataset gone: no data. there is no folder" in said
        assert not reports.exists()


def test_a_module_beside_the_tests_is_found_as_pytest_finds_it(session):
    """In every process, though its folder is known to Python only once the tests are collected."""
    code, said, reports = session(
        "benchmarks", "--kis-model=beside:load", "--kis-dataset=colours", "-n", "2"
    )
    assert code == 0, said
    assert set(read_run(reports / "latest").ranks.model) == {"beside"}


def test_names_in_files_are_asked_for_too(session, project, tmp_path):
    folder = tmp_path / "other"
    folder.mkdir()
    for file in ("conftest.py", "test_other.py"):
        (folder / file).write_text((project / file).read_text())
    (folder / "test_search.py").write_text((project / "benchmarks" / "test_search.py").read_text())
    (folder / "pyproject.toml").write_text(
        '[tool.kis_bench]\ndataset = ["gone=nowhere"]\nmodel = ["colour-words"]\n'
    )
    code, said, _ = session(folder=folder)
    assert code == 2
    assert f"dataset gone: no data. there is no folder {folder}/nowhere" in said
    code, said, _ = session(
        "--kis-dataset=", folder=folder
    )  # takes them back; what is only declared may be missing
    assert code == 0, said


def test_what_no_collected_test_can_use_is_told_on_the_command_line_only(session, project):
    """A file's names are what a project measures, of which a command may be about a part."""
    both = ["--kis-model=colour-words", "--kis-dataset=colours", "--kis-dataset=openmoji-triplets"]
    code, said, _ = session("benchmarks/test_search.py", *both)
    assert code == 2
    assert (
        "dataset openmoji-triplets: no collected test can use it. It has judgments and no queries"
        in said
    )
    file = project / "both.ini"
    file.write_text(
        "[pytest]\nkis_dataset =\n    colours\n    openmoji-triplets\nkis_model = colour-words\n"
    )
    code, said, reports = session("-c", file, "--rootdir", project, "benchmarks/test_search.py")
    assert code == 0, said
    assert set(read_run(reports / "latest").ranks.dataset) == {"colours"}


@pytest.mark.parametrize("more", [[], ["-n", "2"]], ids=["plain", "workers"])
def test_what_is_only_declared_is_skipped_one_line_per_reason(session, more):
    """By this plugin in any project, also where pytest is asked to list skipped tests."""
    reasons = ("dataset mvk: no data.", "dataset lost: no data.", "model far: not downloaded.")
    code, said, reports = session("benchmarks", *more, drawn=True)
    assert code == 0, said
    after = said.partition("not here")[2]
    assert [after.count(reason) for reason in reasons] == [1, 1, 1]
    run = read_run(reports / "latest")
    assert set(run.ranks.model) == {"colour-words"}
    left_out = (
        "1 .nef; what they show can't be found; convert .nef to JPEG",
        "labels_long.csv is not read; call it labels-long.csv",
    )
    report = (reports / "latest" / "report.md").read_text(encoding="utf-8").replace("\\", "")
    for line in left_out:
        assert f"left out of colours: {line}" in said
        assert line in report
    assert run.provenance["datasets"]["colours"]["left_out"] == {".nef": 1}
    code, said, _ = session("benchmarks", "-ra", *more)
    assert code == 0
    assert [said.count(reason) for reason in reasons] == [1, 1, 1]
    assert "short test summary info" not in said


def test_where_all_that_was_selected_is_not_here_the_session_measured_nothing(session, project):
    where = f"there is no folder {project}/elsewhere/lost"
    for more in (["-n", "2"], ["-rs"]):
        code, said, reports = session("benchmarks", "-k", "lost", *more)
        assert code == 2
        assert "nothing was measured: all that was selected isn't here" in said
        assert where in said
        assert not reports.exists()
    code, said, _ = session("-k", "lost or passes")  # tests of other things passed
    assert code == 0
    assert where in said
    code, said, reports = session("-k", "lost or (colours and words)")
    assert code == 0
    assert where in said
    assert set(read_run(reports / "latest").ranks.dataset) == {"colours"}
    code, said, _ = session("benchmarks", "-k", "lost", "--kis-strict")
    assert code == 1


@pytest.mark.parametrize(
    "more", [[], ["-n", "2"], ["--collect-only"]], ids=["plain", "workers", "collected"]
)
def test_where_nothing_is_selected_the_choices_are_named(session, more):
    code, said, _ = session("benchmarks", "-k", "clours", *more)
    assert code == 5
    assert (
        "no test was selected; there are datasets: colours, mvk, lost; label sets: short; " in said
    )
    assert "models: colour-words, rgb-histogram-64, far" in said


def hide_torch(folder):
    """A folder that hides torch from processes in whose path it is."""
    (folder / "torchless").mkdir()
    (folder / "torchless" / "sitecustomize.py").write_text(
        dedent("""
        import importlib.util

        before = importlib.util.find_spec
        importlib.util.find_spec = lambda name, package=None: None if name == "torch" else before(name, package)
    """)
    )
    return folder / "torchless"


def test_without_torch_something_is_measured_and_what_the_rest_needs_is_said(project, tmp_path):
    done = run_cli(
        *("run", project / "days", "--report", tmp_path / "reports", "-p", "undrawn"),
        cwd=tmp_path,
        path=[hide_torch(tmp_path), Path(__file__).parents[1]],
        KIS_STORE=str(tmp_path / "store"),
        KIS_DATA="",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(read_run(tmp_path / "reports" / "latest").ranks["model"]) == {"colour-words"}
    said = " ".join(done.stdout.split())
    assert "model demo: needs torch" in said
    assert explain_install("demo") in said


def test_a_model_that_is_not_here_is_measured_where_the_store_has_all_of_it(
    session, project, tmp_path, monkeypatch
):
    """Its vectors need no model; a text that isn't there does."""
    code, said, _ = session("benchmarks", "--kis-model=demo", "--kis-dataset=colours")
    assert code == 0, said
    monkeypatch.setenv("PYTHONPATH", str(hide_torch(tmp_path)), prepend=os.pathsep)
    code, said, _ = session("benchmarks", "--kis-model=demo", "--kis-dataset=colours")
    assert code == 0, said
    code, said, _ = session("benchmarks", "--kis-model=demo", f"--kis-dataset=other={project}/days")
    assert code == 2
    assert f"model demo: needs torch. {explain_install('demo')}" in said
