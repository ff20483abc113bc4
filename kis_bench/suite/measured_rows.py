"""What the benchmarks of speed measure, as rows of a CSV file."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path

from kis_bench.files.whole import write_whole
from kis_bench.threads import find_blas

CLOCKS = {"CPU": time.process_time, "wall": time.perf_counter}
SAME_WORK = (
    "part",
    "work",
    "queries",
    "items",
    "against",
    "clock",
    "threads",
)  #: columns that name a row


def describe_software(*packages: str) -> str:
    """Returns versions, and the kernels that numpy's products have on this CPU."""
    blas = {f"{one['internal_api']} {one.get('architecture', '')}" for one in find_blas().info()}
    versions = [f"{name} {importlib.metadata.version(name)}" for name in dict.fromkeys(packages)]
    return "; ".join([*versions, *sorted(each.strip() for each in blas)])


def describe_processor() -> str:
    """Returns the processor's name, where the system tells it, and how many cores this process may use."""
    name, known = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if known.exists():
        for line in known.read_text().splitlines():
            key, _, value = line.partition(":")
            name = value.strip() if key.strip() == "model name" else name
    return f"{name}, {count_cores()} cores"


def count_cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class SpeedRow:
    """A line of the CSV file."""

    part: str  #: ranking, fusing or embedding
    work: str
    against: str
    ratio: float  #: median of the seconds of what it is compared with to ours
    lowest: float
    highest: float
    items: int
    rounds: int
    seconds: float  #: of ours
    clock: str = "CPU"
    threads: int = 1
    queries: int | str = ""
    dim: int | str = ""
    vectors: int | str = ""
    models: int | str = ""  #: whose lists are fused
    at_least: float = math.nan  #: the ratio that we want
    verified: int | str = ""  #: queries whose ranks were computed again
    own_mib: float = math.nan  #: of memory beyond mapped files or beyond the model
    note: str = ""
    made_with: str = field(default_factory=lambda: describe_software("numpy"))
    machine: str = field(default_factory=describe_processor)
    day: str = field(default_factory=lambda: f"{datetime.now(timezone.utc):%Y-%m-%d}")

    def __str__(self) -> str:
        sizes = " x ".join(str(each) for each in (self.queries, self.items, self.dim) if each)
        wanted = "" if math.isnan(self.at_least) else f", at least {self.at_least:.2f} wanted"
        memory = "" if math.isnan(self.own_mib) else f"; {self.own_mib:.0f} MiB"
        return (
            f"{self.part}, {self.work}, {sizes}: {self.against} / ours = {self.ratio:.2f} "
            f"({self.lowest:.2f} to {self.highest:.2f}{wanted}) in {self.clock} seconds{memory}"
        )


def keep_measured(row: SpeedRow, file: Path) -> None:
    """Puts a row into a CSV file in place of the one of the same work."""
    columns = [column.name for column in fields(SpeedRow)]
    keep_cells({name: getattr(row, name) for name in columns}, SAME_WORK, file)


def keep_cells(row: Mapping[str, object], names: Sequence[str], file: Path) -> None:
    """Puts cells into a CSV file of these columns, in place of the row that is the same under some ``names``."""
    cells = {name: format_measured(value) for name, value in row.items()}
    old = read_measured(file) if file.exists() else []
    old = [one for one in old if any(one.get(name) != cells[name] for name in names)]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(row), lineterminator="\n", restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows([*old, cells])
    write_whole(file, text.getvalue().encode())


def read_measured(file: Path) -> list[dict[str, str]]:
    """Returns the cells of each row by the names of the columns."""
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def format_measured(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return "" if value is None else str(value)


def measure_seconds(work: Callable[[], object], clock: str = "CPU") -> float:
    """Returns how long something takes, in seconds of CPU time of all threads or by the wall clock."""
    started = CLOCKS[clock]()
    work()
    return CLOCKS[clock]() - started


def find_spread(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Returns median, lowest and highest."""
    return statistics.median(ratios), min(ratios), max(ratios)
