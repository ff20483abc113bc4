"""The parts of docs/scale.md, from what was measured."""

from __future__ import annotations

from collections.abc import Callable

import plan
from curves import STYLES
from growth import DIM, QUERIES, STEPS
from matplotlib.axes import Axes
from pages import write_table
from plan import Rows

COLLECTIONS = (10_000_000, 725_000_000, 1_000_000_000)  #: items
SPACES = (
    (512, 1),
    (768, 1),
    (1024, 1),
    (1152, 1),
    (256, 32),
)  #: numbers and vectors an item, of models by name
ASKED = (100, 1_000, 10_000)  #: queries
RATES = (100, 300, 1_000, 3_000)  #: pictures a second and GPU
NODES, CORES = (
    (1, 10, 100),
    2,
)  #: machines that rank together, and cores of each, as many as the one measured had
#: Works of docs/speed.csv whose networks cost next to nothing -> what they read.
DECODED = {
    "640 x 480, negligible": "JPEGs of 640 x 480",
    "12 megapixels, demo, decoded full": "photos of 12 megapixels",
    "12 megapixels, demo, decoded scaled": "the same, decoded scaled",
}
DEADLINES = {"a day": 24, "a week": 7 * 24}  #: hours
UNITS = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
TIMES = (("days", 86_400), ("h", 3_600), ("min", 60), ("s", 1), ("ms", 1e-3), ("µs", 1e-6))


def format_number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def format_bytes(count: float) -> str:
    name, size = next((unit for unit in UNITS if count >= unit[1]), UNITS[-1])
    return f"{format_number(count / size)} {name}"


def format_seconds(seconds: float) -> str:
    name, size = next((unit for unit in TIMES if seconds >= 2 * unit[1]), TIMES[-1])
    return f"{format_number(seconds / size)} {name}"


def find_sizes(costs: Rows) -> list[int]:
    return sorted({int(row["items"]) for row in costs})


def measure_line(costs: Rows, step: str) -> plan.Line:
    """Seconds that a step takes, as items grow: of CPU time, but for what waits for the disk."""
    return plan.draw_line(costs, step, choose_clock(step))


def choose_clock(step: str) -> str:
    return "wall_s" if step == "read" else "cpu_s"


def measure_overhead(costs: Rows) -> float:
    """Bytes of an item in the store beside its vector."""
    return plan.draw_line(costs, "write", "disk_bytes").each - 4 * DIM


def measure_machine(costs: Rows) -> plan.Machine:
    each = measure_line(costs, "rank").each / CORES
    return plan.Machine(QUERIES * DIM / each, 4 * DIM / measure_line(costs, "read").each)


def write_machine(costs: Rows, *_: Rows) -> str:
    machines, days, made = (
        " and ".join(dict.fromkeys(row[name] for row in costs))
        for name in ("machine", "day", "made_with")
    )
    return f"Measured on {machines}, on {days}, with {made.replace('; ', ', ')}."


def write_growth(costs: Rows, *_: Rows) -> str:
    head = ["step", "items", "seconds", "CPU seconds", "own memory, MiB", "files", "verified ranks"]
    return write_table(
        head,
        [
            [
                row["step"],
                f"{int(row['items']):,}",
                format_number(float(row["wall_s"])),
                format_number(float(row["cpu_s"])),
                format_number(float(row["own_mib"])),
                f"{int(row['files']):,}",
                f"{int(row['verified']):,}" if row["verified"] != "0" else "",
            ]
            for row in costs
        ],
    )


def write_costs(costs: Rows, *_: Rows) -> str:
    overhead, each = measure_overhead(costs), measure_line(costs, "rank").each / QUERIES
    rows = [["store", f"{overhead + 4 * DIM:,.0f} bytes an item", f"{4 * DIM:,} are its vector"]]
    for step in ("write", "read", "open"):
        seconds = measure_line(costs, step).each
        rows.append(
            [
                step,
                f"{format_seconds(seconds)} an item",
                f"{format_bytes(4 * DIM / seconds)} a second",
            ]
        )
    rows.append(
        [
            "rank",
            f"{each * 1e9:.2g} ns of a core, a query and item",
            f"{2e-9 * DIM / each:.0f} GFLOP/s a core",
        ]
    )
    ids = plan.draw_line(costs, "open", "own_mib").each * 2**20
    rows.append(["open", f"{ids:,.0f} bytes of own memory an item", "its id, and what holds it"])
    larger = find_sizes(costs)[-1]
    return f"{write_table(['', 'cost', 'that is'], rows)}\n\nFrom {larger // 10:,} and {larger:,} items."


def write_storage(costs: Rows, *_: Rows) -> str:
    overhead = measure_overhead(costs)
    head = ["items", *(f"{v} x {d:,}" if v > 1 else f"{d:,} numbers" for d, v in SPACES)]
    return write_table(
        head,
        [
            [f"{n:,}", *(format_bytes(plan.count_bytes(n, d, overhead, v)) for d, v in SPACES)]
            for n in COLLECTIONS
        ],
    )


def write_embedding(costs: Rows, schedule: Rows, speed: Rows) -> str:
    busy = min(float(row["busy"]) for row in schedule if row["lost"] == "0")
    head = ["items", "", *(f"{rate:,} a second" for rate in RATES)]
    rows = []
    for n in COLLECTIONS:
        hours = [f"{format_number(plan.count_gpu_hours(n, rate))} h" for rate in RATES]
        rows.append([f"{n:,}", "hours of one GPU", *hours])
        for name, limit in DEADLINES.items():
            gpus = [f"{plan.count_gpus(n, rate, limit, busy):,}" for rate in RATES]
            rows.append(["", f"GPUs for {name}", *gpus])
    said = f"GPUs compute {busy:.0%} of the time: the least that [the schedule](#the-schedule) showed without a loss."
    return f"{write_table(head, rows)}\n\n{said}"


def write_decoding(costs: Rows, schedule: Rows, speed: Rows) -> str:
    """Cores that feed a GPU, by what reading and preparing a picture takes in docs/speed.csv."""
    rows = []
    for work, name in DECODED.items():
        row = next(row for row in speed if row["work"] == work and row["clock"] == "CPU")
        each = float(row["seconds"]) / int(row["items"])
        cores = [format_number(plan.count_decoding_cores(rate, each)) for rate in RATES]
        rows.append([name, format_seconds(each), *cores])
    head = [
        "cores that a GPU needs beside it",
        "CPU time a picture",
        *(f"{rate:,} a second" for rate in RATES),
    ]
    return write_table(head, rows)


def write_ranking(costs: Rows, *_: Rows) -> str:
    machine, rows = measure_machine(costs), []
    for n in COLLECTIONS:
        for queries in ASKED:
            times = [
                format_seconds(plan.count_ranking_seconds(n, queries, DIM, machine, nodes))
                for nodes in NODES
            ]
            rows.append([f"{n:,}", f"{queries:,}", *times])
    least = machine.terms_per_s / (machine.read_bytes_per_s / 4)
    said = f"Of {DIM} numbers. Up to {least:,.0f} queries, reading is what takes the time."
    head = ["items", "queries", *(f"{nodes} node{'s' * (nodes > 1)}" for nodes in NODES)]
    return f"{write_table(head, rows)}\n\n{said}"


def write_limits(costs: Rows, *_: Rows) -> str:
    memory, opened = plan.draw_line(costs, "open", "own_mib"), measure_line(costs, "open")
    rows = [
        [f"{n:,}", format_bytes(memory.at(n) * 2**20), format_seconds(opened.at(n))]
        for n in COLLECTIONS
    ]
    return write_table(
        ["items", "memory of a process for ids", "CPU time to open, one process"], rows
    )


def write_schedule(_: Rows, schedule: Rows, *__: Rows) -> str:
    head = ["case", "actors", "of these lost", "batches", "seconds", "least", "most", "busy", "Ray"]
    return write_table(
        head,
        [
            [
                row["case"],
                row["actors"],
                row["lost"],
                f"{int(row['batches']):,}",
                *(format_number(float(row[name])) for name in ("seconds", "least_s", "most_s")),
                f"{float(row['busy']):.0%}",
                row["ray"],
            ]
            for row in schedule
        ],
    )


def draw_growth(axes: Axes, costs: Rows) -> None:
    """Seconds of each step by the number of items."""
    for step, (colour, mark) in zip(STEPS, STYLES, strict=True):
        points = [
            (int(row["items"]), float(row[choose_clock(step)]))
            for row in costs
            if row["step"] == step
        ]
        axes.plot(*zip(*sorted(points), strict=True), color=colour, marker=mark, label=step)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel=f"items, of {DIM} numbers",
        ylabel="seconds of a core; read: wall clock",
    )


#: Name of a part of the page -> what writes it from the growth, the schedule and docs/speed.csv.
WRITERS: dict[str, Callable[[Rows, Rows, Rows], str]] = {
    "machine": write_machine,
    "growth": write_growth,
    "costs": write_costs,
    "storage": write_storage,
    "embedding": write_embedding,
    "decoding": write_decoding,
    "ranking": write_ranking,
    "limits": write_limits,
    "schedule": write_schedule,
}
