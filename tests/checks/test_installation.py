"""What the doctor says of an installation."""

import pytest

from kis_bench.checks.installation import check_installation
from kis_bench.datasets import BUILT_IN, EMBEDDED, openmoji
from kis_bench.records import Readiness


@pytest.mark.parametrize("ready", [True, False])
def test_only_what_comes_with_the_package_has_to_be_there(tmp_path, monkeypatch, ready):
    """A run skips the other datasets by name, so that their absence is no fault of an installation."""
    for name in ("KIS_STORE", "KIS_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.delenv("KIS_DATA", raising=False)
    monkeypatch.setattr(openmoji, "check_packages", lambda: Readiness(ready, "told"))
    found = {check.name: check.passed for check in check_installation()}
    assert {found[f"dataset {name}"] for name in EMBEDDED} == {ready}
    assert {found[f"dataset {name}"] for name in {*BUILT_IN} - {*EMBEDDED}} == {None}
