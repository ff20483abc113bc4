"""How often a session computes what it needs: once."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import gated_project
import pytest

pytestmark = pytest.mark.slow
#: A plugin that counts real calls, by whatever name a module has imported the function.
COUNTS = """
    import functools
    import importlib
    import json
    import os
    import sys
    from collections import Counter

    CALLS = Counter()

    def count(place):
        name, _, attribute = place.partition(":")
        function = getattr(importlib.import_module(name), attribute)

        @functools.wraps(function)
        def counted(*arguments, **options):
            CALLS[attribute] += 1
            return function(*arguments, **options)

        for module in [each for key, each in sys.modules.items() if key.startswith("kis_bench")]:
            for known, value in vars(module).copy().items():
                if value is function:
                    setattr(module, known, counted)

    def pytest_configure(config):
        for place in os.environ["COUNTED"].split():
            count(place)

    def pytest_unconfigure(config):
        with open(os.environ["CALLS"], "w") as file:
            json.dump(CALLS, file)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = gated_project.make(tmp_path_factory.mktemp("flow"))
    (folder / "counts.py").write_text(dedent(COUNTS))
    (folder / "limits.toml").write_text('[[threshold]]\nmetric = "mrr"\nmin = 0.01\n')
    return folder


def calls(project: Path, counted: str, *arguments: str) -> dict[str, int]:
    """How often each function was called in one session."""
    file = project / "calls.json"
    done = gated_project.run(project, "-p", "counts", *arguments, COUNTED=counted, CALLS=str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (project / "reports" / "latest" / "report.md").is_file()
    found: dict[str, int] = json.loads(file.read_text())
    return found


def test_a_session_that_measures_gates_and_reports_computes_once(project: Path) -> None:
    counted = (
        "kis_bench.results.reading:read_run kis_bench.analysis.conditions:conditions "
        "kis_bench.analysis.combinations:combinations kis_bench.report.view:make_view"
    )
    limits = f"--kis-thresholds={project / 'limits.toml'}"
    assert calls(project, counted, limits) == {
        "read_run": 1,
        "conditions": 1,
        "combinations": 1,
        "make_view": 1,
    }


def test_the_tables_of_a_study_are_made_once(project: Path) -> None:
    """Also where a threshold is about each of its models."""
    (project / "limits-of-similarity.toml").write_text(
        '[[threshold]]\nmetric = "consistency"\nmin = 0.01\n'
    )
    (project / "test_similar.py").write_text(
        dedent("""
        def test_similar(model, dataset, image_similarity):
            image_similarity(model, dataset)
        """)
    )
    counted = "kis_bench.triplets.tables:similarity_tables kis_bench.triplets.tables:whole_tables"
    found = calls(
        project,
        counted,
        f"--kis-thresholds={project / 'limits-of-similarity.toml'}",
        "--kis-dataset=openmoji-triplets",
        "--kis-model=colour-words",
        "--kis-model=lab-positional-2x2",
        "test_similar.py",
    )
    assert found == {"similarity_tables": 1, "whole_tables": 2}
