"""JSON files of labels: told by their beginnings and ends, and read with errors that say where."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

from kis_bench.datasets.label_formats.label_format import DatasetFolder
from kis_bench.datasets.parts import ALL
from kis_bench.errors import BadFile

PEEKED_BYTES = 1 << 16  #: at each end of a file


def find_json_files(folder: DatasetFolder, **begins: str) -> list[Path]:
    """The JSON files of a folder at whose beginning or end all these keys stand.

    Args:
        begins: key -> the characters with which its value may begin, because descriptions of tables have names of
            columns as keys, too; empty: any.
    """
    wanted = [compile_key(key, first) for key, first in begins.items()]
    return [
        file
        for file in folder.list_files(".json")
        if (ends := peek(file)) and all(key.search(ends) for key in wanted)
    ]


def compile_key(key: str, first: str = "") -> re.Pattern[bytes]:
    """A key of JSON with its colon, and the characters with which its value may begin."""
    value = f"[{re.escape(first)}]" if first else ""
    return re.compile(rf'"{re.escape(key)}"\s*:\s*{value}'.encode())


def holds_lists(file: Path, *keys: str) -> bool:
    """Whether lists stand at all these keys anywhere in a file, as large ones have them in the middle."""
    return holds_all(file, [compile_key(key, "[") for key in keys])


def holds_text_at(file: Path, key: str, text: str) -> bool:
    """Whether a text stands at a key anywhere in a file."""
    value = re.escape(json.dumps(text).encode())
    return holds_all(file, [re.compile(compile_key(key).pattern + value)])


def holds_all(file: Path, wanted: Sequence[re.Pattern[bytes]]) -> bool:
    try:
        with file.open("rb") as stream, mmap(stream.fileno(), 0, access=ACCESS_READ) as content:
            return all(pattern.search(content) for pattern in wanted)
    except (OSError, ValueError):  # also an empty one
        return False


def peek(file: Path) -> bytes:
    """The first and last bytes of a file; none if it can't be read, as those who read it will say."""
    try:
        with file.open("rb") as stream:
            head = stream.read(PEEKED_BYTES)
            stream.seek(max(PEEKED_BYTES, file.stat().st_size - PEEKED_BYTES))
            return head + stream.read()
    except OSError:
        return b""


def read_json(file: Path) -> Any:
    """The content of a JSON file. Raises BadFile with the line."""
    try:
        return json.loads(file.read_bytes())
    except OSError as error:
        raise BadFile(file, [f"can't be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise BadFile(file, [f"byte {error.start} is not UTF-8; save it as UTF-8"]) from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise BadFile(file, [f"{place}: {error.msg}; copy it again, it may be cut off"]) from error
    except RecursionError as error:
        raise BadFile(file, ["it is nested too deeply to be a table of captions"]) from error


def take_list(content: Any, key: str, file: Path) -> list[Any]:
    """The list at a key of an object. Raises BadFile if there is none."""
    found = content.get(key) if isinstance(content, dict) else None
    if not isinstance(found, list):
        raise BadFile(file, [f"{key} is not a list; it has to be one of objects in braces"])
    return found


def choose_file(files: Sequence[Path], split: str, splits: Sequence[str], about: str) -> Path:
    """Of several files of one form, that of a split; the only one, whatever it is called.

    Args:
        splits: of each file, as its name tells it.

    Raises:
        BadFile: it has to be said which.
    """
    if len(files) == 1 and split in ("", ALL):
        return files[0]
    named = [*zip(files, splits, strict=True)]
    right = [file for file, own in named if split and own == split]
    right = right or [file for file, own in named if split and own.startswith(split)]
    if len(right) == 1:
        return right[0]
    names = ", ".join(file.name for file in files)
    known = " or ".join(f"NAME:{own}" for own in splits)
    asked = f"{split!r} is none of them, or several" if split else "say which is meant"
    raise BadFile(files[0].parent, [f"files of {about}: {names}; {asked}: {known}"])
