"""Ends a session that can't do what it was asked to: with one message, and exit code 2."""

from __future__ import annotations

from collections.abc import Generator
from typing import NoReturn

import pytest

EXIT_CODE = 2
REASON = pytest.StashKey[str]()  #: why a session was ended


def stop(config: pytest.Config, message: str) -> NoReturn:
    """Ends the session; a process of pytest-xdist leaves it to the one that started it to say why."""
    if hasattr(config, "workerinput"):
        pytest.exit(message, returncode=EXIT_CODE)
    config.stash[REASON] = message
    raise pytest.UsageError(message)


@pytest.hookimpl(wrapper=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, int, int]:
    """Writes the message once, where pytest would call it an error of its own or draw a banner around it."""
    try:
        return (yield)
    except pytest.UsageError:
        if REASON not in config.stash:
            raise
        print(f"kis-bench: {config.stash[REASON]}", flush=True)
        return EXIT_CODE
