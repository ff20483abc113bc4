"""A plugin for sessions whose report no test reads: none is drawn, which takes two thirds of a small session's time."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session):
    if not session.config.option.collectonly:
        import kis_bench.report

        kis_bench.report.write_report = lambda *_, **__: None
