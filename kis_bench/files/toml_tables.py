"""Reads TOML files; errors name the file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from kis_bench.errors import BadFile

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:  # also of tomllib and of what is no text
        raise BadFile(file, [str(error)]) from error
    except RecursionError as error:
        raise BadFile(file, ["it is nested too deeply"]) from error
    except OSError as error:
        raise BadFile(file, [f"can't be read: {error.strerror}"]) from error
