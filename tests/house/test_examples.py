"""The examples in docstrings and pages hold, wherever there are any."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def find_examples(folder, pattern):
    files = sorted((ROOT / folder).rglob(pattern))
    return [
        file.relative_to(ROOT).as_posix()
        for file in files
        if doctest.DocTestParser().get_examples(file.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize("file", find_examples("kis_bench", "*.py"))
def test_docstrings(file):
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("page", find_examples("docs", "*.md"))
def test_pages(page):
    found = doctest.testfile(str(ROOT / page), module_relative=False)
    assert found.attempted > 0
    assert found.failed == 0
