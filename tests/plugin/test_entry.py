"""What sessions have that don't use the plugin, and how it comes to those that do: real sessions."""

import pytest
from builders import run_pytest, run_python
from PIL import Image

DECLARES = """
from pathlib import Path

from kis_bench.datasets import DatasetRow
from kis_bench.encoders import find

def pytest_kis_models(config):
    return [find("colour-words")]

def pytest_kis_datasets(config):
    return [DatasetRow("squares", Path(__file__).parent / "squares")]
"""
SEARCHES = """
def test_search(model, dataset, query_set, known_item_search):
    assert len(known_item_search(model, dataset, query_set).rank) == 2
"""
LABELS = "query_id,item_id,label_set,text\n0,red,short,a red square\n1,blue,short,a blue square\n"


def test_a_session_that_asks_for_nothing_imports_no_numpy(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.kis_bench]\nlabels = []\n")
    (tmp_path / "test_other.py").write_text(
        "import pytest\n\n@pytest.fixture\ndef model():\n    return 1\n\n"
        "def test_of_its_own_model(model):\n    assert model == 1\n"
    )
    code = (
        "import sys, pytest; code = pytest.main(['-p', 'kis_bench.plugin', '-p', 'no:cacheprovider']);"
        "print('LOADED', int(code), sorted({'numpy', 'PIL', 'kis_bench.datasets'} & {*sys.modules}))"
    )
    done = run_python("-c", code, cwd=tmp_path, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert "LOADED 0 []" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code"), [((), 0), (("-n", "2"), 2)], ids=["one process", "two processes"]
)
def test_a_conftest_of_a_folder_that_is_collected_later_is_heard(tmp_path, arguments, code):
    """Under pytest-xdist the process that writes the run never reads that file: tables only, and it says why."""
    suite = tmp_path / "deep" / "suite"
    (suite / "squares" / "images").mkdir(parents=True)
    for name in ("red", "blue"):
        Image.new("RGB", (32, 32), name).save(suite / "squares" / "images" / f"{name}.png")
    (suite / "squares" / "labels.csv").write_text(LABELS)
    (suite / "conftest.py").write_text(DECLARES)
    (suite / "test_search.py").write_text(SEARCHES)
    settings = {"KIS_STORE": str(tmp_path / "store"), "KIS_CACHE": str(tmp_path / "cache")}
    done = run_pytest("-q", *arguments, drawn=False, cwd=tmp_path, **settings)
    assert done.returncode == code, done.stdout + done.stderr
    assert ("declare it in the one at the root of the project" in done.stdout) == bool(code)
    assert "colour-words" in done.stdout
    assert (tmp_path / "reports" / "latest" / "ranks.parquet").is_file()
