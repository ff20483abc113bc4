"""What many tests need alike: Python, pytest and the command in processes of their own; tables of ranks, and runs."""

import base64
import gzip
import io
import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from kis_bench.results.columns import RANKS
from kis_bench.results.figures import tabulate_text_figures
from kis_bench.results.folder import run_of

ROOT = Path(__file__).parents[1]
TIMEOUT_S = 900


def run_python(*arguments, cwd=ROOT, base=os.environ, path=(), **variables):
    """Python in a process of its own, with ``variables`` in its environment beside those of ``base``."""
    environment = {**base, **variables}
    if path:
        path = filter(None, [environment.get("PYTHONPATH"), *map(str, path)])
        environment["PYTHONPATH"] = os.pathsep.join(path)
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        check=False,
    )


def run_pytest(*arguments, cached=False, drawn=True, **settings):
    """A session of its own: cached, with what --lf needs; drawn, with a report of its run."""
    plugins = [*([] if cached else ["no:cacheprovider"]), *([] if drawn else ["undrawn"])]
    options = [part for plugin in plugins for part in ("-p", plugin)]
    path = () if drawn else (Path(__file__).parent,)
    return run_python("-m", "pytest", *options, *arguments, path=path, **settings)


def run_cli(*arguments, **settings):
    return run_python("-m", "kis_bench.cli", *arguments, **settings)


def call_cli(*arguments, cwd, **variables):
    """The command in this process, which takes a tenth of the time of one of its own; what `run_cli` would give."""
    from kis_bench.cli import main

    out, err, before = io.StringIO(), io.StringIO(), dict(os.environ)
    os.environ |= variables
    try:
        with chdir(cwd), redirect_stdout(out), redirect_stderr(err):
            code = main([*map(str, arguments)])
    except SystemExit as end:
        code = end.code
    finally:
        os.environ.clear()
        os.environ |= before
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@contextmanager
def chdir(folder):
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def encode_png(value, side=8):
    """A picture of one colour, of which ``value`` is the red part, as a file has it."""
    content = io.BytesIO()
    Image.new("RGB", (side, side), (value, 0, 0)).save(content, "PNG")
    return content.getvalue()


def draw_pictures(folder, *names):
    """Small pictures of these names below a folder, each of another colour."""
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (i, 0, 0)).save(folder / name)


def read_page_data(file):
    """What a page lets people explore, unpacked."""
    block = re.search(
        r'<script type="application/gzip" id="data">(.*?)</script>', file.read_text("utf-8")
    )
    return json.loads(gzip.decompress(base64.b64decode(block[1])))


def make_ranks(best, worst=None, *, model="a", dataset="mine", label_set="short", **columns):
    """Rows of ranks.parquet: queries q000, q001, … of one model with these ranks; other columns as given, or empty."""
    best = np.asarray(best)
    worst = best if worst is None else np.asarray(worst)
    numbers = range(len(best))
    rows = pd.DataFrame(
        {
            "model": model,
            "dataset": dataset,
            "label_set": label_set,
            "query_id": [f"q{i:03d}" for i in numbers],
            "text": [f"text {i}" for i in numbers],
            "item_id": [f"i{i}" for i in numbers],
            "rank": (best + worst) / 2,
            "rank_best": best,
            "rank_worst": worst,
            "n_items": 10_000,
        }
    ).assign(**columns)
    return rows.reindex(columns=[*RANKS, *(name for name in columns if name not in RANKS)])


def make_text_figures(best, *, model="a", dataset="mine", label_set="short"):
    """Figures of image-to-text retrieval of one model whose pictures have these ranks, among 100 texts."""
    best = np.asarray(best)
    cell = {"model": model, "dataset": dataset, "label_set": label_set}
    places = {"rank": best, "rank_best": best, "rank_worst": best}
    return tabulate_text_figures(pd.DataFrame({**places, "n_texts": 100}).assign(**cell))


def make_run(folder, *ranks, judgments=(), datasets=None, **head):
    """A run of these tables, not written; ``head`` goes into its provenance."""
    tables = {"ranks": ranks, "judgments": judgments}
    tables = {name: pd.concat(parts, ignore_index=True) for name, parts in tables.items() if parts}
    names = {
        column: sorted({name for table in tables.values() for name in table[column]})
        for column in ("model", "dataset")
    }
    about = {name: {"fingerprint": name, "n_items": 10_000} for name in names["dataset"]}
    for name, more in (datasets or {}).items():
        about.setdefault(name, {}).update(more)
    models = {name: {"key": f"{name}-fp32"} for name in names["model"]}
    return run_of(folder, {"models": models, "datasets": about, **head}, **tables)


class Sliced:
    """Knows its length, its shape and slices, and nothing else."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def __len__(self):
        return len(self.array)

    def __getitem__(self, part):
        assert isinstance(part, slice)
        return self.array[part]
