"""Tests stand by file, as pytest shows them, unless a model would be loaded more than once for it."""

import re
from textwrap import dedent

import pytest
from builders import run_pytest
from PIL import Image

PROJECT = {
    "conftest.py": """
        from pathlib import Path

        from kis_bench import encoders
        from kis_bench.datasets import DatasetRow
        from kis_bench.records import Checkpoint

        HERE, load = Path(__file__).parent, encoders.load

        def count(*arguments, **settings):
            with (HERE / "loads.txt").open("a") as file:
                file.write("loaded\\n")
            return load(*arguments, **settings)

        encoders.load = count

        def pytest_kis_models(config):
            return [encoders.find("colour-words"), Checkpoint("far", "hf-hub:a/b")]

        def pytest_kis_datasets(config):
            return [DatasetRow("colours", HERE / "colours"), DatasetRow("mvk")]
    """,
    "test_a.py": """
        def test_search(model, dataset, query_set, known_item_search):
            known_item_search(model, dataset, query_set)
    """,
    "test_b.py": """
        def test_other_search(model, dataset, query_set, known_item_search):
            known_item_search(model, dataset, query_set)
    """,
}


@pytest.fixture
def project(tmp_path):
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(dedent(text), encoding="utf-8")
    (tmp_path / "colours" / "images").mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "colours" / "images" / "red.png")
    labels = "query_id,item_id,label_set,text\nq,red,short,red\n"
    (tmp_path / "colours" / "labels.csv").write_text(labels, encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_files_stand_together_once_everything_is_stored(project):
    def run(*more):
        settings = {"cwd": project, "drawn": False, "KIS_STORE": str(project / "store")}
        done = run_pytest("-v", *more, **settings)
        assert done.returncode == 0, done.stdout + done.stderr
        ran = re.findall(r"^test_(.)\.py::\w+\[(\S+)\] ", done.stdout, re.M)
        loads = project / "loads.txt"
        n = len(loads.read_text().splitlines()) if loads.exists() else 0
        loads.unlink(missing_ok=True)
        return ran, n

    here, absent = (
        "colours-short-colour-words",
        ("mvk-far", "mvk-colour-words", "colours-short-far"),
    )
    ran, loads = run()
    assert ran[-2:] == [("a", here), ("b", here)]  # what is loaded stands by model
    assert [file for file, _ in ran[:-2]] == ["a"] * 3 + ["b"] * 3
    assert {name for _, name in ran[:-2]} == {*absent}
    assert loads == 1
    ran, loads = run()
    assert [file for file, _ in ran] == ["a"] * 4 + ["b"] * 4
    assert loads == 0
    ran, loads = run("--kis-verify=1")  # which encodes some vectors anew
    assert loads == 1
