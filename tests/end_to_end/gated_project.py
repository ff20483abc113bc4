"""A project of its own with a model that can be made worse on chosen items, and real pytest runs in it."""

import os
import subprocess
from pathlib import Path
from textwrap import dedent

import pandas as pd
from builders import run_cli, run_pytest
from PIL import Image

from kis_bench.results import read_run

N = 60
FILES = {
    "conftest.py": """
        from pathlib import Path

        import pytest

        from kis_bench.datasets import DatasetRow
        from kis_bench.records import Checkpoint

        @pytest.hookimpl(optionalhook=True)
        def pytest_kis_models(config):
            return [Checkpoint(name, f"python:numbered:{name}") for name in ("first", "second")]

        @pytest.hookimpl(optionalhook=True)
        def pytest_kis_datasets(config):
            return [DatasetRow("numbers", Path(__file__).parent / "numbers"), DatasetRow("absent")]
    """,
    "numbered.py": """
        '''Pictures and texts carry numbers; a vector for each, texts somewhat beside their picture's.'''
        import os
        from pathlib import Path

        import numpy as np

        DIM, N = 24, 60

        class Numbered:
            dim, vectors_per_item, context_length = DIM, 1, None

            def __init__(self, seed, ease):
                self.name = "first" if seed == 1 else "second"
                # worse=3,7:0.9 takes the pictures 3 and 7 most of the way to another place
                self.worse = os.environ.get("WORSE", "") if seed == 1 else ""
                self.key = f"numbered-{seed}-{self.worse}"
                random = np.random.default_rng(seed)
                self.pictures = random.standard_normal((N, DIM))
                self.texts = self.pictures + ease * random.standard_normal((N, DIM))
                if self.worse:
                    which, strength = self.worse.split(":")
                    for i in map(int, which.split(",")):
                        self.pictures[i] += float(strength) * 10 * (random.standard_normal(DIM) - self.pictures[i])
                if log := os.environ.get("LOADED"):
                    with open(log, "a") as file:
                        file.write(f"{self.name} {os.getpid()}\\n")

            def unit(self, rows):
                return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)[:, None]

            def encode_images(self, images):
                return self.unit(self.pictures[[image.getpixel((0, 0))[0] for image in images]])

            def encode_texts(self, texts):
                return self.unit(self.texts[[int(text.split()[-1]) for text in texts]]), np.zeros(len(texts), bool)

        def first():
            return Numbered(1, 0.6)

        def second():
            return Numbered(2, 0.9)
    """,
    "test_numbers.py": """
        def test_search(model, dataset, query_set, known_item_search):
            known_item_search(model, dataset, query_set)
    """,
}


def make(folder: Path) -> Path:
    (folder / "numbers" / "images").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(dedent(text))
    for i in range(N):
        Image.new("RGB", (8, 8), (i, 128, 255 - i)).save(
            folder / "numbers" / "images" / f"{i:03d}.png"
        )
    label(folder)
    return folder


def label(folder: Path, texts=lambda i: f"number {i}", n: int = N) -> None:
    rows = [
        {"query_id": f"q{i:03d}", "item_id": f"{i:03d}", "label_set": "short", "text": texts(i)}
        for i in range(n)
    ]
    pd.DataFrame(rows).to_csv(folder / "numbers" / "labels.csv", index=False)


def environment(folder: Path, **more: str) -> dict[str, str]:
    dropped = ("KIS_", "PYTEST", "GITHUB_", "CI", "PY_COLORS", "COLUMNS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    mine = {
        "KIS_STORE": str(folder / "store"),
        "KIS_CACHE": str(folder / "cache"),
        "PYTHONPATH": path,
    }
    return kept | mine | {"COLUMNS": "200"} | more


def cli(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return run_cli(*arguments, cwd=folder, base=environment(folder))


def run(
    folder: Path, *arguments: str, ordered: bool = True, drawn: bool = True, **more: str
) -> subprocess.CompletedProcess:
    """A real run of pytest in the project; capitals are variables of the environment."""
    ordering = ["-p", "no:randomly"] if ordered else []
    base = environment(folder, **more)
    return run_pytest(*ordering, *arguments, cached=True, drawn=drawn, cwd=folder, base=base)


def latest(folder: Path):
    return read_run(folder / "reports" / "latest")


def verdicts(folder: Path) -> pd.DataFrame:
    return latest(folder).verdicts
