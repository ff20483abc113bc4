"""Measures one setting of one search engine in a process of its own: ``python -m kis_bench.search_engines.worker DIR``.

The folder has ``job.json``, ``items.npy`` and ``queries.npy``; answers, figures or what went wrong are written into it.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kis_bench.errors import KisBenchError, raised
from kis_bench.records import Float32s
from kis_bench.search_engines.catalogue import Setting
from kis_bench.search_engines.protocol import Ending, EngineRefused, SearchEngine

JOB_FILE, FIGURES_FILE, PROBLEM_FILE = "job.json", "figures.json", "problem.json"


@dataclass(frozen=True)
class Job:
    """What one process is to measure."""

    engine: str
    name: str
    packages: tuple[str, ...]
    folder: str  # of the job, into which answers go
    vectors: str  # folder of items.npy and queries.npy
    planted: str  # likewise, of vectors with many equals
    depths: tuple[int, ...]  # results that are asked for, one after the other
    timed: int  # the one of them whose search is timed
    alone: int  # so many queries are asked again, one by one
    vectors_per_item: int  # so many times the results are asked for, so that there are enough items
    planted_depths: tuple[int, ...]  # results that are asked for among the planted vectors

    def write(self) -> None:
        (Path(self.folder) / JOB_FILE).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Job:
        told = json.loads((folder / JOB_FILE).read_text(encoding="utf-8"))
        lists = ("packages", "depths", "planted_depths")
        return cls(**told | {name: tuple(told[name]) for name in lists})


class Stopwatch:
    """Seconds by the wall clock, and of the CPU over all threads and children that ended."""

    def __init__(self) -> None:
        self.wall_s = self.cpu_s = 0.0

    @contextmanager
    def run(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), read_cpu_seconds()
        yield
        self.wall_s += time.perf_counter() - wall
        self.cpu_s += read_cpu_seconds() - cpu


def read_cpu_seconds() -> float:
    """Of all threads of this process, and of its children that have ended."""
    return time.process_time() + sum(os.times()[2:4])


def read_memory(what: str) -> int | None:
    """Bytes of this process, VmRSS now or VmHWM at most; None where the system doesn't tell."""
    status = Path("/proc/self/status")
    found = re.search(rf"{what}:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return 1024 * int(found[1]) if found else None


def forget_peak() -> None:
    """Lets VmHWM begin anew, where the system knows how (proc(5), clear_refs)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def measure(job: Job) -> dict[str, Any]:
    """Builds, asks and saves; answers become ``answers-K.npy`` and so on, figures are returned."""
    folder = Path(job.folder)
    items, queries = (np.load(Path(job.vectors) / f"{name}.npy") for name in ("items", "queries"))
    setting = Setting(job.engine, job.name, job.packages)
    engine = make_in_folder(setting, folder / "index")
    forget_peak()
    before, build, search = read_memory("VmRSS"), Stopwatch(), Stopwatch()
    with build.run():
        engine.build(items)
    figures: dict[str, Any] = {"largest_k": engine.largest_k}
    asked = [
        bound_results(engine, depth * job.vectors_per_item, len(items)) for depth in job.depths
    ]
    figures["asked_k"] = max(asked)
    all_searches = Stopwatch()
    for depth, k in zip(job.depths, asked, strict=True):
        watch = search if depth == job.timed else Stopwatch()
        with all_searches.run(), watch.run():
            answer = engine.search(queries, k)
        np.save(folder / f"answers-{depth}.npy", np.asarray(answer), allow_pickle=False)
    with all_searches.run():
        ask_again(engine, queries[: job.alone], asked[job.depths.index(job.timed)], folder)
    peak = read_memory("VmHWM")
    figures |= {
        "build_s": build.wall_s,
        "build_cpu_s": build.cpu_s,
        "search_s": search.wall_s,
        "search_cpu_s": search.cpu_s,
        "peak_bytes": None if peak is None or before is None else max(0, peak - before),
    }
    with all_searches.run():
        engine.close()
    figures["disk_bytes"] = measure_folder(folder / "index")
    planted = make_in_folder(setting, folder / "planted")
    with all_searches.run():
        ask_planted(planted, job, folder)
    figures["engine_s"] = build.wall_s + all_searches.wall_s
    figures["engine_cpu_s"] = build.cpu_s + all_searches.cpu_s
    figures["versions"] = {name: importlib.metadata.version(name) for name in job.packages}
    return figures


def make_in_folder(setting: Setting, folder: Path) -> SearchEngine:
    folder.mkdir()
    return setting.make(folder)


def ask_again(engine: SearchEngine, queries: Float32s, k: int, folder: Path) -> None:
    """Asks some queries once more, together and one by one."""
    np.save(folder / "again.npy", np.asarray(engine.search(queries, k)), allow_pickle=False)
    alone = [np.asarray(engine.search(query[None], k)) for query in queries]
    np.save(folder / "alone.npy", np.concatenate(alone), allow_pickle=False)


def ask_planted(engine: SearchEngine, job: Job, folder: Path) -> None:
    """Asks for items of which several are equal, for few results and for many."""
    items, queries = (np.load(Path(job.planted) / f"{name}.npy") for name in ("items", "queries"))
    engine.build(items)
    for k in job.planted_depths:
        found = np.asarray(engine.search(queries, bound_results(engine, k, len(items))))
        np.save(folder / f"planted-{k}.npy", found, allow_pickle=False)
    engine.close()


def bound_results(engine: SearchEngine, k: int, n: int) -> int:
    """How many results can be asked for: as many as there are vectors, and as the engine gives."""
    return min(k, n, n if engine.largest_k is None else engine.largest_k)


def measure_folder(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def run_job(place: str) -> int:
    folder = Path(place)
    try:
        figures = measure(Job.read(folder))
    except EngineRefused as error:
        problem = {"kind": Ending.REFUSED, "said": str(error)}
    except KisBenchError as error:
        problem = {"kind": Ending.FAILED, "said": str(error)}
    except Exception as error:  # of an engine, whatever it is
        problem = {"kind": Ending.FAILED, "said": raised(error)}
    else:
        (folder / FIGURES_FILE).write_text(json.dumps(figures), encoding="utf-8")
        return 0
    (folder / PROBLEM_FILE).write_text(json.dumps(problem), encoding="utf-8")
    return 1


if __name__ == "__main__":
    sys.exit(run_job(sys.argv[1]))
