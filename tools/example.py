"""Makes ``reports/example``, what a default run leaves behind, and checks it against a fresh run.

    python tools/example.py              measures (pytest benchmarks), draws, and replaces the example
    python tools/example.py RUN          takes a run that was measured before
    python tools/example.py --check      says where the example differs from a run measured now; exit code 1
    python tools/example.py --check RUN  from a run that was measured before

Nothing in it names the machine that it was made on. Time, commit, device, versions and timings may differ; all else of
``metrics.csv`` and ``report.md`` may not: figures are compared exactly. Vectors computed with other instructions (SSE
in place of AVX) on one thread in place of two differed by up to 2e-7, and no rank did.
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kis_bench import cli
from kis_bench.report.sections.methods.surroundings import tell_surroundings
from kis_bench.results.columns import TABLES

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "reports" / "example"
MOST_BYTES = 2_000_000
KEPT = ("report.md", "run.json", "metrics.csv", "plots/*.svg", "tables/*.csv")
LEFT_OUT = ("queries.csv", "label_set_queries.csv")  #: of tables/, with a row for each query
PAGE = "report.html"  #: kept where there is room for it
#: Sections of report.md that say when, where and how fast, or what a gate was given.
VOLATILE = ("Timings", "Provenance")
SHOWN_LINES = 60  #: of differences


def measure(folder: Path) -> Path:
    """The default run, measured now, below a folder."""
    command = [sys.executable, "-m", "pytest", "benchmarks", "--kis-report", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    return (folder / "latest").resolve()


def make(run: Path, folder: Path) -> Path:
    """The example of a run in a new folder: its tables without what names a machine, drawn without pictures."""
    folder.mkdir(parents=True)
    for table in TABLES.values():
        if (run / table.file).is_file():
            shutil.copyfile(run / table.file, folder / table.file)
    head = clean(json.loads((run / "run.json").read_text(encoding="utf-8")))
    text = json.dumps(head, indent=2, ensure_ascii=False, sort_keys=True)
    (folder / "run.json").write_text(text + "\n", encoding="utf-8", newline="\n")
    verdicts = (folder / TABLES["verdicts"].file).read_text(encoding="utf-8")
    (folder / TABLES["verdicts"].file).write_text(verdicts.partition("\n")[0] + "\n", "utf-8")
    draw(folder)
    kept = {file for pattern in KEPT for file in folder.glob(pattern)}
    kept -= {folder / "tables" / name for name in LEFT_OUT}
    if measure_bytes(kept) + (folder / PAGE).stat().st_size < MOST_BYTES:
        kept.add(folder / PAGE)
    for file in [file for file in folder.rglob("*") if file.is_file()]:
        if file not in kept:
            file.unlink()
    if (size := measure_bytes(kept)) >= MOST_BYTES:
        largest = sorted(kept, key=lambda file: -file.stat().st_size)[:5]
        named = ", ".join(f"{file.name} {file.stat().st_size:,}" for file in largest)
        raise SystemExit(f"the example has {size:,} bytes, {MOST_BYTES:,} are allowed: {named}")
    return folder


def measure_bytes(files: set[Path]) -> int:
    return sum(file.stat().st_size for file in files)


def clean(head: dict[str, Any]) -> dict[str, Any]:
    """What a run says of itself, without folders, the name of a system's kernel, and what a gate said."""
    found = {name: value for name, value in head.items() if name not in ("gate", "remarks")}
    found["command"] = ["pytest", "benchmarks"]
    found["versions"] = {**head["versions"], "platform": head["versions"]["platform"].split("-")[0]}
    return found


def draw(folder: Path) -> None:
    """The report of a folder with its figures as SVG."""
    if code := cli.main(["report", str(folder), "--no-pictures", "--plots", "svg"]):
        raise SystemExit(code)
    report = folder / "report.md"
    text = report.read_text(encoding="utf-8")
    for name in LEFT_OUT:
        text = re.sub(rf"\[([^\]]+)\]\(tables/{name}\)", r"\1 (not in this example)", text)
    report.write_text(text, encoding="utf-8", newline="\n")


def settle(folder: Path) -> list[str]:
    """Lines of report.md, but for what differs from run to run."""
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    text = (folder / "report.md").read_text(encoding="utf-8")
    text = text.replace(tell_surroundings(about), "(time, commit and versions)")
    lines, volatile = [], False
    for line in text.splitlines():
        if line.startswith("## "):
            volatile = line.removeprefix("## ") in VOLATILE
        if not volatile:
            lines.append(re.sub(r"; (computed|device, precision)\b[^;]*\.$", "; (computed).", line))
    return lines


def list_differences(old: Path, new: Path) -> list[str]:
    """Lines of metrics.csv and of report.md in which two examples differ, and files that only one of them has."""
    found = []
    both = [
        (folder / "metrics.csv").read_text(encoding="utf-8").splitlines() for folder in (old, new)
    ]
    for name, (first, second) in {
        "metrics.csv": both,
        "report.md": [settle(folder) for folder in (old, new)],
        "files": [list_files(folder) for folder in (old, new)],
    }.items():
        found += difflib.unified_diff(
            first, second, f"reports/example: {name}", f"fresh: {name}", n=0, lineterm=""
        )
    return found


def list_files(folder: Path) -> list[str]:
    """Names of figures and tables."""
    return sorted(
        file.relative_to(folder).as_posix()
        for kind in ("plots", "tables")
        for file in (folder / kind).iterdir()
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("run", type=Path, nargs="?", help="a run folder (default: measure one)")
    parser.add_argument("--check", action="store_true", help="only say what differs")
    parser.add_argument("--example", type=Path, default=EXAMPLE, help="default: reports/example")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        run = (chosen.run or measure(Path(name) / "runs")).resolve()
        fresh = make(run, Path(name) / "example")
        if chosen.check:
            return tell_differences(list_differences(chosen.example, fresh))
        shutil.rmtree(chosen.example, ignore_errors=True)
        shutil.copytree(fresh, chosen.example)
    files = {file for file in chosen.example.rglob("*") if file.is_file()}
    print(f"{chosen.example}: {len(files)} files, {measure_bytes(files):,} bytes")
    return 0


def tell_differences(lines: Sequence[str]) -> int:
    """Exit code 1 if there are any."""
    for line in lines[:SHOWN_LINES]:
        print(line)
    if len(lines) > SHOWN_LINES:
        print(f"... and {len(lines) - SHOWN_LINES:,} more lines")
    if lines:
        print("reports/example is not what a fresh run gives; run: python tools/example.py")
    else:
        print("reports/example is what a fresh run gives")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
