"""What the documentation says of other tools is what those that are installed do."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
peers = runpy.run_path(str(ROOT / "tools" / "peers.py"))
SLOW = ("torchmetrics", "sentence-transformers")  # to import
#: ranx is not compiled in tests, which would take minutes, and then it sorts equal scores otherwise.
SEEN_HERE = [name for name in peers["TOOLS"] if name != "ranx"]


@pytest.fixture(scope="module")
def documented():
    return peers["read_documented"](peers["PAGE"].read_text("utf-8"))


def test_each_tool_is_documented(documented):
    assert [*documented] == [*peers["TOOLS"]]


@pytest.mark.parametrize(
    "name",
    [pytest.param(one, marks=[pytest.mark.slow] * (one in SLOW)) for one in SEEN_HERE],
)
def test_a_tool_does_what_is_documented(documented, name):
    seen = peers["see_tool"](name)
    if seen is None or seen[1] != documented[name][1]:
        pytest.skip(f"{name} {documented[name][1]} is not installed")
    assert seen == documented[name]
