"""What storing, opening and ranking a collection costs as it grows, each size measured in a process of its own."""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np

from kis_bench.encoders.shard_sizes import count_shard_items
from kis_bench.ranking import target_ranks
from kis_bench.store import Entry, Store
from kis_bench.suite.measured_rows import describe_processor, describe_software, read_measured
from kis_bench.suite.rank_oracle import compare_with_best
from kis_bench.suite.ranking_cases import make_units

DIM, QUERIES, NOISE = 512, 1_000, 3.0  #: of vectors; that are ranked; of a query beside its target
FAST_PACE_S = (
    1e-4  #: an item, of a model that nothing waits for, so that shards have their largest size
)
VERIFIED_SCORES = 20_000_000  #: of queries whose ranks are computed again, of one query at least
EMBEDDED_AT_ONCE = 64  #: items, of which shards hold a multiple
READ_AT_ONCE = 8 * 2**20  #: bytes


@dataclass(frozen=True)
class Cost:
    """A line of the CSV file: what one step took for a collection of one size."""

    step: str  #: one of `STEPS`
    items: int
    dim: int
    queries: int
    wall_s: float
    cpu_s: float
    disk_bytes: int  #: of the files of the store
    files: int
    own_mib: float  #: of memory at the peak, beyond mapped files and what Python takes with its libraries
    verified: int = 0  #: queries whose ranks were computed again
    made_with: str = field(default_factory=lambda: describe_software("numpy", "pyarrow"))
    machine: str = field(default_factory=describe_processor)
    day: str = field(default_factory=lambda: f"{datetime.now(timezone.utc):%Y-%m-%d}")


class Meter:
    """Seconds and memory of what happens inside `measure`, but for what happens inside `leave_out`."""

    def __init__(self) -> None:
        self.wall_s = self.cpu_s = self.left_out_wall_s = self.left_out_cpu_s = 0.0
        self.base_mib, self.peak_mib = read_own_mib(), 0.0

    @contextmanager
    def measure(self) -> Iterator[None]:
        done = Event()
        watcher = Thread(target=self.watch, args=(done,))
        watcher.start()
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.wall_s = time.perf_counter() - wall - self.left_out_wall_s
            self.cpu_s = time.process_time() - cpu - self.left_out_cpu_s
            done.set()
            watcher.join()

    @contextmanager
    def leave_out(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self.left_out_wall_s += time.perf_counter() - wall
        self.left_out_cpu_s += time.process_time() - cpu

    def watch(self, done: Event) -> None:
        while not done.wait(0.02):
            self.peak_mib = max(self.peak_mib, read_own_mib() - self.base_mib)


def read_own_mib() -> float:
    """Memory of this process that is no file's, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise OSError("the system doesn't tell what memory a process has of its own: measure on Linux")


def open_entry(folder: Path, n: int) -> Entry:
    """The place of ``n`` items' vectors, in shards as large as the store has them."""
    items = count_shard_items(n, FAST_PACE_S, EMBEDDED_AT_ONCE, 4 * DIM)
    names = tuple(f"{i // 1000:06d}/{i % 1000:03d}" for i in range(n))  # as of shots of videos
    return Store(folder, shard_items=items).entry("random", "0" * 16, "random", "images", names)


def write_vectors(folder: Path, n: int) -> Cost:
    """Fills a store with random vectors, whose making is not counted."""
    meter = Meter()

    def encode(missing: Any, _: Any) -> Generator[Any, None, None]:
        for shard in missing:
            with meter.leave_out():
                rng = np.random.default_rng(shard.start)
                vectors = make_units(rng, shard.stop - shard.start, 1, DIM)
            yield vectors, None, {}

    with meter.measure():
        open_entry(folder, n).fill(encode, dict)
    return make_cost("write", folder, n, 0, meter)


def open_vectors(folder: Path, n: int) -> Cost:
    """Opens a store in a process that hasn't seen it: each shard is read once, for its digest."""
    meter = Meter()
    with meter.measure():
        found = open_entry(folder, n).read()
    assert found is not None
    assert len(found.ids) == n
    return make_cost("open", folder, n, 0, meter)


def read_files(folder: Path, n: int) -> Cost:
    """Reads all files of a store from the disk one after the other, and does nothing with them."""
    forget_files(folder)
    buffer, meter = bytearray(READ_AT_ONCE), Meter()
    with meter.measure():
        for file in sorted(folder.rglob("*.arrow")):
            with file.open("rb", buffering=0) as source:
                while source.readinto(buffer):
                    pass
    return make_cost("read", folder, n, 0, meter)


def forget_files(folder: Path) -> None:
    """Has the system forget what it holds of a store's files, so that they are read from the disk."""
    for file in folder.rglob("*.arrow"):
        with file.open("rb") as source:
            os.posix_fadvise(source.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def rank_vectors(folder: Path, n: int) -> Cost:
    """Ranks queries near their targets among what a store holds, and some of them again, plainly."""
    found = open_entry(folder, n).read()
    assert found is not None
    items, rng = found.vectors, np.random.default_rng(1)
    targets = rng.integers(0, n, QUERIES)
    queries = items[targets][:, 0] + np.float32(NOISE) * make_units(rng, QUERIES, DIM)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    meter = Meter()
    with meter.measure():
        ranks = target_ranks(queries, items, targets[:, None].tolist())
    many = min(QUERIES, max(1, VERIFIED_SCORES // n))
    for i in np.unique(np.linspace(0, QUERIES - 1, many).astype(int)).tolist():
        signs = compare_with_best(queries[i], items, [int(targets[i])])
        assert ranks.best[i] == 1 + (signs > 0).sum()
        assert ranks.worst[i] == (signs >= 0).sum()
    return make_cost("rank", folder, n, many, meter)


def make_cost(step: str, folder: Path, n: int, verified: int, meter: Meter) -> Cost:
    sizes = [file.stat().st_size for file in folder.rglob("*") if file.is_file()]
    queries = QUERIES if step == "rank" else 0
    return Cost(
        step,
        n,
        DIM,
        queries,
        meter.wall_s,
        meter.cpu_s,
        sum(sizes),
        len(sizes),
        max(0.0, meter.peak_mib),
        verified,
    )


STEPS = {
    "write": write_vectors,
    "read": read_files,
    "open": open_vectors,
    "rank": rank_vectors,
}


def measure_growth(sizes: list[int], file: Path, scratch: Path | None) -> None:
    """Measures each step at each size and puts the rows into a CSV file, in place of those of the same step and size.

    Args:
        sizes: of collections, items.
        file: the CSV file.
        scratch: folder for the stores, of 2 KiB an item; None: where temporary files are.
    """
    for n in sizes:
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            for step in STEPS:
                words = [sys.executable, __file__, step, folder, str(n)]
                said = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout
                row = json.loads(said)
                keep_cost(row, file)
                print(
                    f"{step} {n:,} items: {row['wall_s']:.3g} s, CPU {row['cpu_s']:.3g} s, "
                    f"{row['own_mib']:.0f} MiB",
                    flush=True,
                )


def keep_cost(row: dict[str, Any], file: Path) -> None:
    """Puts a row into a CSV file in place of that of the same step and size; rows are in order of these."""
    old = read_measured(file) if file.exists() else []
    cells = {name: f"{cell:.4g}" if isinstance(cell, float) else cell for name, cell in row.items()}
    rows = [one for one in old if (one["step"], int(one["items"])) != (row["step"], row["items"])]
    rows.append(cells)
    rows.sort(key=lambda one: ([*STEPS].index(one["step"]), int(one["items"])))
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, [column.name for column in fields(Cost)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def list_sizes(most: int) -> list[int]:
    """Powers of ten from 1,000 up to ``most``."""
    return [10**e for e in range(3, math.floor(math.log10(most) + 1e-9) + 1)]


if __name__ == "__main__":
    chosen, place, count = sys.argv[1:]
    print(json.dumps(STEPS[chosen](Path(place), int(count)).__dict__))
