"""Whether batches on a Ray cluster keep to the bounds of list scheduling, with workers that sleep; needs Ray."""

from __future__ import annotations

import csv
import importlib.metadata
import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import plan
from PIL import Image

from kis_bench.cluster.connection import disconnect, import_ray
from kis_bench.cluster.embedding import ClusterPasses
from kis_bench.embed import embed_collection
from kis_bench.encoders import LazyEncoder, find
from kis_bench.records import Collection
from kis_bench.store import Store

MODULE = "sleeping_model"  #: under which workers import the model
POLL_S = 0.05  #: between two looks at how far the workers are


@dataclass(frozen=True)
class Case:
    """Batches for workers, one on each node."""

    name: str
    workers: int
    durations_s: tuple[float, ...]
    kill_after: float = 1.0  #: of the batches, when a node is killed; 1: none is


@dataclass(frozen=True)
class Outcome:
    """A line of the CSV file."""

    case: str
    actors: int
    lost: int  #: actors, with their node
    batches: int
    seconds: float  #: from the start of the first batch to the end of the last
    least_s: float
    most_s: float
    busy: float  #: of the seconds of the actors, the share in which they slept
    encoded: int  #: batches, those that were done again included
    ray: str  #: version


def list_cases(workers: int, batches: int, mean_s: float) -> list[Case]:
    rng = np.random.default_rng(0)
    uneven = tuple(rng.uniform(0.25 * mean_s, 1.75 * mean_s, batches).tolist())
    equal = (mean_s,) * batches
    return [
        Case("equal batches", workers, equal),
        Case("batches from a quarter to seven quarters of the mean", workers, uneven),
        Case("equal batches, a node is killed after a third", workers, equal, kill_after=1 / 3),
    ]


def simulate(case: Case) -> Outcome:
    """Embeds a picture for each batch, by workers that sleep, on a cluster of this machine.

    Raises:
        AssertionError: a batch was not encoded.
    """
    from ray.cluster_utils import Cluster

    ray = import_ray()
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        workers = [nodes.add_node(num_cpus=1) for _ in range(case.workers)]
        nodes.wait_for_nodes()
        done = threading.Event()
        killer = threading.Thread(target=kill_node, args=(nodes, workers[-1], case, folder, done))
        sys.path.append(name)
        try:
            shutil.copy(Path(__file__).with_name("sleeping.py"), folder / f"{MODULE}.py")
            (folder / "durations.json").write_text(json.dumps(case.durations_s))
            pictures = draw_pictures(folder / "pictures", len(case.durations_s))
            killer.start()
            encoder = LazyEncoder(find(f"{MODULE}:make_sleeping"))
            make_pass = ClusterPasses(nodes.address)
            embed_collection(pictures, encoder, Store(folder / "store"), make_pass=make_pass)
        finally:
            done.set()
            if killer.ident is not None:
                killer.join()
            sys.path.remove(name)
            sys.modules.pop(MODULE, None)
            disconnect()
            nodes.shutdown()
        return describe_outcome(case, read_notes(folder), importlib.metadata.version(ray.__name__))


def draw_pictures(folder: Path, n: int) -> Collection:
    """Pictures that are numbered by their colour, as the model reads it."""
    folder.mkdir()
    paths = tuple(folder / f"{i:05}.png" for i in range(n))
    for i, path in enumerate(paths):
        Image.new("RGB", (8, 8), (i % 256, i // 256, 0)).save(path)
    ids = tuple(path.stem for path in paths)
    return Collection("numbers", ids, paths, ids)


def kill_node(nodes: Any, node: Any, case: Case, folder: Path, done: threading.Event) -> None:
    """Kills a node once so many batches are done, unless that is all of them."""
    wanted = case.kill_after * len(case.durations_s)
    while case.kill_after < 1 and not done.wait(POLL_S):
        if len(read_notes(folder)) >= wanted:
            nodes.remove_node(node, allow_graceful=False)
            return


def read_notes(folder: Path) -> list[dict[str, float]]:
    texts = [file.read_text() for file in folder.glob("notes-*.jsonl")]
    lines = [line for text in texts for line in text.splitlines(keepends=True)]
    return [json.loads(line) for line in lines if line.endswith("\n")]


def describe_outcome(case: Case, notes: Sequence[dict[str, float]], ray: str) -> Outcome:
    assert {note["batch"] for note in notes} == {*range(len(case.durations_s))}
    seconds = max(note["ended"] for note in notes) - min(note["started"] for note in notes)
    least = plan.bound_makespan(case.durations_s, case.workers)[0]
    lost = int(case.kill_after < 1)
    most = plan.bound_makespan(case.durations_s, case.workers - lost)[1]
    slept = sum(note["ended"] - note["started"] for note in notes)
    busy = slept / (seconds * case.workers)
    return Outcome(
        case.name,
        case.workers,
        lost,
        len(case.durations_s),
        seconds,
        least,
        most,
        busy,
        len(notes),
        ray,
    )


def simulate_all(file: Path, workers: int = 6, batches: int = 180, mean_s: float = 0.5) -> None:
    """Simulates all cases and writes a line of the CSV file for each."""
    outcomes = []
    for case in list_cases(workers, batches, mean_s):
        started = time.perf_counter()
        outcomes.append(simulate(case))
        print(f"{outcomes[-1]} after {time.perf_counter() - started:.0f} s", flush=True)
    with file.open("w", encoding="utf-8", newline="") as out:
        names = [column.name for column in fields(Outcome)]
        writer = csv.DictWriter(out, names, lineterminator="\n")
        writer.writeheader()
        for one in outcomes:
            cells = asdict(one)
            writer.writerow(
                {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in cells.items()}
            )
