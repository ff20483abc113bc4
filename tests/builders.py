"""What many tests need alike: Python, pytest and the command in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIMEOUT_S = 900


def run_python(*arguments, cwd=ROOT, base=os.environ, **environment):
    """Python in a process of its own; keywords are variables of its environment beside those of ``base``."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**base, **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        check=False,
    )


def run_pytest(*arguments, **settings):
    """A session that leaves no cache behind."""
    return run_python("-m", "pytest", "-p", "no:cacheprovider", *arguments, **settings)


def run_cli(*arguments, **settings):
    return run_python("-m", "kis_bench.cli", *arguments, **settings)
