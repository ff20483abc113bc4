"""Tests of search engines need packages that not everybody has."""

import os

import pytest

from kis_bench.errors import NotReady


def need_engine(setting):
    """Skips the test where a package of the setting isn't installed; fails it where the environment has to have it."""
    try:
        setting.require()
    except NotReady as error:
        if os.environ.get("KIS_REQUIRE_ENGINES"):
            pytest.fail(str(error))
        pytest.skip(str(error))
