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
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    repeated_s: float  # seconds that it is repeated for, so that a clock's ticks don't matter
    builds: int  # in all, of an engine that builds by chance
    rebuilt_s: float  # seconds of building and searching up to which it is built again
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
        self.cpu_s, self.laps = 0.0, list[float]()  # by the wall clock, one each time

    @property
    def wall_s(self) -> float:
        return sum(self.laps)

    @contextmanager
    def run(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), read_cpu_seconds()
        yield
        self.laps.append(time.perf_counter() - wall)
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
    """Builds, asks and saves; answers become ``answers-K.npy`` and so on, figures are returned.

    The planted vectors come first, so that neither clock nor memory have the import of a library in them.
    """
    folder = Path(job.folder)
    items, queries = (np.load(Path(job.vectors) / f"{name}.npy") for name in ("items", "queries"))
    setting = Setting(job.engine, job.name, job.packages)
    figures: dict[str, Any] = {"equal_built": ask_planted(setting, job, folder)}
    engine = make_in_folder(setting, folder / "index")
    asked = {
        depth: bound_results(engine, depth * job.vectors_per_item, len(items))
        for depth in job.depths
    }
    figures |= {"largest_k": engine.largest_k, "asked_k": max(asked.values())}
    forget_peak()
    before, build, timed = read_memory("VmRSS"), Stopwatch(), Stopwatch()
    with build.run():
        engine.build(items)
    while timed.wall_s < job.repeated_s:
        answer = search_timed(engine, queries, asked[job.timed], timed)
    peak = read_memory("VmHWM")
    keep_answer(folder, f"answers-{job.timed}", answer)
    figures |= {
        "build_s": build.wall_s,
        "build_cpu_s": build.cpu_s,
        "search_s": median(timed.laps),
        "search_cpu_s": timed.cpu_s / len(timed.laps),
        "peak_bytes": None if peak is None or before is None else max(0, peak - before),
    }
    others = Stopwatch()
    for depth in [depth for depth in job.depths if depth != job.timed]:
        keep_answer(folder, f"answers-{depth}", search_timed(engine, queries, asked[depth], others))
    figures["alone_s"] = ask_again(engine, queries[: job.alone], asked[job.timed], folder)
    engine.close()
    figures["disk_bytes"] = measure_folder(folder / "index")
    figures["engine_cpu_s"] = build.cpu_s + figures["search_cpu_s"] + others.cpu_s
    quick = build.wall_s + figures["search_s"] <= job.rebuilt_s
    figures["builds"] = job.builds if quick and figures["equal_built"] < 1 else 1
    for number in range(1, figures["builds"]):
        engine = make_in_folder(setting, folder / f"index-{number}")
        engine.build(items)
        built = np.asarray(engine.search(queries, asked[job.timed]))
        keep_answer(folder, f"built-{number}", built)
        engine.close()
    figures["versions"] = {name: importlib.metadata.version(name) for name in job.packages}
    figures["extra_cpu_s"] = read_cpu_seconds() - figures["engine_cpu_s"]
    return figures


def make_in_folder(setting: Setting, folder: Path) -> SearchEngine:
    folder.mkdir()
    return setting.make(folder)


def search_timed(engine: SearchEngine, queries: Float32s, k: int, watch: Stopwatch) -> NDArray[Any]:
    """Asks, and waits until the answer is an array: some libraries compute it only then."""
    with watch.run():
        return np.asarray(engine.search(queries, k))


def keep_answer(folder: Path, name: str, answer: NDArray[Any]) -> None:
    np.save(folder / f"{name}.npy", answer, allow_pickle=False)


def ask_again(engine: SearchEngine, queries: Float32s, k: int, folder: Path) -> float | None:
    """Asks some queries once more, together and one by one; returns the seconds that one takes alone."""
    keep_answer(folder, "again", np.asarray(engine.search(queries, k)))
    watch = Stopwatch()
    alone = [search_timed(engine, query[None], k, watch) for query in queries]
    keep_answer(folder, "alone", np.concatenate(alone))
    return median(watch.laps) if watch.laps else None


def ask_planted(setting: Setting, job: Job, folder: Path) -> float:
    """Asks for items of which several are equal, for few results and for many, after each of two builds.

    Returns the share of queries that both builds answer alike: where it isn't all, what is built is a matter of chance.
    """
    items, queries = (np.load(Path(job.planted) / f"{name}.npy") for name in ("items", "queries"))
    answers = []
    for name in ("planted", "planted-again"):
        engine = make_in_folder(setting, folder / name)
        engine.build(items)
        answers.append(
            [
                np.asarray(engine.search(queries, bound_results(engine, k, len(items))))
                for k in job.planted_depths
            ]
        )
        engine.close()
    for k, answer in zip(job.planted_depths, answers[0], strict=True):
        keep_answer(folder, f"planted-{k}", answer)
    same = (np.asarray([*map(np.array_equal, *pair)]) for pair in zip(*answers, strict=True))
    return float(np.logical_and.reduce([*same]).mean())


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
