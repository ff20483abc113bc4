"""Commands about runs: their reports, and their results in the forms of other tools."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kis_bench.choices import TRACKERS
from kis_bench.cli.arguments import (
    add_folders,
    add_run,
    add_session_option,
    match_to_run,
    match_to_runs,
    parse_folders,
    parse_positive,
)
from kis_bench.cli.parser import Commands, add_command, add_command_group
from kis_bench.errors import KisBenchError, UnknownName
from kis_bench.metrics import COMPARED, USUALLY_WRITTEN, list_measures
from kis_bench.options import DEFAULT_PLOT_FORMS, PLOTS_HELP, parse_forms
from kis_bench.records import Collection

if TYPE_CHECKING:
    from kis_bench.results import Run

#: Forms of a run's own tables, which need neither vectors nor pictures.
TABLE_FORMS = ("latex", "xlsx", "model-card")


def add_run_commands(commands: Commands) -> None:
    drawing = add_command(
        commands,
        "report",
        redraw_report,
        "report reports/latest",
        "report first/run second/run --out merged --privacy",
    )
    drawing.add_argument(
        "run",
        type=Path,
        nargs="+",
        metavar="RUN",
        help="a run folder, such as reports/latest; several are merged into a new one",
    )
    add_folders(drawing, "where the pictures of a dataset lie, if not below $KIS_DATA")
    drawing.add_argument(
        "--privacy",
        action="store_true",
        help="leave texts, names of annotators and pictures out; a run measured without "
        "--kis-privacy still holds them in its tables",
    )
    drawing.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where several runs are written as one (default: beside the first)",
    )
    drawing.add_argument(
        "--folder",
        action="store_true",
        help="also write the page as a folder RUN/report/ with all pictures, however many",
    )
    drawing.add_argument(
        "--no-pictures",
        action="store_true",
        help="without thumbnails and contact sheets of the dataset's pictures, as for a report that is handed on",
    )
    drawing.add_argument(
        "--plots", type=parse_plots, default=DEFAULT_PLOT_FORMS, metavar="FORMS", help=PLOTS_HELP
    )
    comparing = add_command(
        commands,
        "compare",
        compare_folders,
        "compare baseline.kis.zip reports/latest",
        "compare old/run new/run --model demo=my-model --metric recall@10",
    )
    comparing.add_argument(
        "old",
        type=Path,
        metavar="OLD",
        help="a run folder, or a file that kis-bench baseline save wrote",
    )
    comparing.add_argument("new", type=Path, metavar="NEW", help="another, of the same datasets")
    comparing.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="also compare this model of the old run with that of the new; repeatable",
    )
    comparing.add_argument(
        "--metric",
        action="append",
        metavar="METRIC",
        help=f"compare only this: {list_measures(COMPARED)}; repeatable (default: all)",
    )
    comparing.add_argument(
        "--queries",
        type=parse_positive,
        default=20,
        metavar="N",
        help="how many queries that fell, and that rose, are shown; compared_queries.csv has all (default: 20)",
    )
    comparing.add_argument("--out", type=Path, metavar="DIR", help="default: NEW/compare-OLD")
    limiting = add_command(
        commands,
        "thresholds",
        write_new_thresholds,
        "thresholds reports/latest",
        "thresholds reports/latest --margin 0.03 --out thresholds.toml",
    )
    add_run(limiting)
    limiting.add_argument(
        "--margin",
        default="interval",
        metavar="MARGIN",
        help="how much worse a figure may be: a share such as 0.02, which says nothing of ranks, "
        "a part of it such as 5%%, or interval, the worse end of its 95%% interval (default)",
    )
    limiting.add_argument(
        "--metric",
        action="append",
        default=[],
        metavar="METRIC",
        help="only this, such as recall@10 or segment_median_rank; repeatable (default: "
        f"{list_measures(USUALLY_WRITTEN, few=True)})",
    )
    limiting.add_argument("--out", type=Path, metavar="FILE", help="default: RUN/thresholds.toml")
    limiting.add_argument("--force", action="store_true", help="write over a file that is there")
    saving = add_command_group(
        commands, "baseline", "Keeps a run in one file, that later runs are compared with."
    )
    keeping = add_command(
        saving,
        "save",
        save_new_baseline,
        "baseline save reports/latest",
        "baseline save reports/latest --out baseline.kis.zip --model demo",
    )
    add_run(keeping)
    keeping.add_argument("--out", type=Path, metavar="FILE", help="default: RUN/baseline.kis.zip")
    keeping.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="NAME",
        help="keep only this model; repeatable (default: all)",
    )
    keeping.add_argument(
        "--dataset",
        action="append",
        default=[],
        metavar="NAME",
        help="keep only this dataset; repeatable (default: all)",
    )
    keeping.add_argument("--force", action="store_true", help="write over a file that is there")
    exporting = add_command(
        commands,
        "export",
        export_tables,
        "export csv reports/latest",
        "export trec reports/latest --depth 100 --out trec",
        "export latex reports/latest",
        "export mlflow reports/latest",
    )
    exporting.add_argument(
        "form",
        choices=("trec", "csv", "parquet", "reset-csv", *TABLE_FORMS, *TRACKERS),
        help="which form: rankings and targets (trec, csv, parquet), RESET's triplets with distances "
        "(reset-csv), tables for a paper (latex), all tables as one workbook (xlsx), heads of model cards "
        "for the Hugging Face hub (model-card), or figures, report and run folder "
        "in an experiment tracker (mlflow, wandb)",
    )
    add_run(exporting)
    exporting.add_argument("--out", type=Path, metavar="DIR", help="default: RUN/export-FORM")
    exporting.add_argument(
        "--depth",
        type=parse_positive,
        metavar="N",
        help="how many items a query lists; more than ten need the run's vectors, in the store or their folder "
        "(default: 1000 if they are there, else 10)",
    )
    exporting.add_argument(
        "--scores",
        choices=("similarity", "places"),
        help="rankings: scores are similarities, or whole numbers that tell only places, from 1 for the "
        "last item up, positive and exact in any tool (default: similarity; places without vectors)",
    )
    exporting.add_argument(
        "--names",
        choices=("ours", "study"),
        help="reset-csv only: columns are called by our names of models and empty where an image is "
        "missing, or as the study's notebook looks for them, with its mark 1.11 (default: ours)",
    )
    add_session_option(exporting, "store")
    add_folders(exporting, "where a dataset lies, if not below $KIS_DATA")


def tell_remarks(run: Run) -> Run:
    """Says what is lacking in a run's folder, and what was changed in it; returns the run."""
    for said in run.list_remarks():
        print(f"note: {said}", file=sys.stderr)
    return run


def parse_plots(text: str) -> tuple[str, ...]:
    try:
        return parse_forms(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def redraw_report(arguments: argparse.Namespace) -> int:
    """Draws the report of a run anew from its tables; several runs are merged into a new folder first."""
    from kis_bench.analysis.findings import Findings
    from kis_bench.exchange.rankings import Unavailable, load_measured_dataset
    from kis_bench.files.whole import require_writable
    from kis_bench.report import write_report
    from kis_bench.report.terminal import summarise
    from kis_bench.results import read_run
    from kis_bench.results.merging import write_merged
    from kis_bench.results.pseudonyms import as_private

    runs = [
        tell_remarks(read_run(folder, whole=len(arguments.run) > 1)) for folder in arguments.run
    ]
    if arguments.no_pictures and arguments.folder:
        raise KisBenchError("--folder is for pictures; leave it or --no-pictures out")
    if len(runs) == 1 and arguments.out is not None:
        raise KisBenchError("--out is for several runs; one is drawn where it lies")
    require_writable(
        runs[0].folder if len(runs) == 1 else arguments.out or runs[0].folder.parent,
        "the report can't be written",
    )
    known = {name: run for run in runs for name in run.provenance.get("datasets", {})}
    folders = match_to_runs(parse_folders(arguments.dataset), runs)
    privacy = arguments.privacy or any(bool(run.provenance.get("privacy")) for run in runs)
    pictures: dict[str, Collection] = {}
    for name, run in known.items():
        if privacy or arguments.no_pictures:
            break
        dataset = load_measured_dataset(run, name, folders.get(name))
        if isinstance(dataset, Unavailable):
            print(f"no pictures of {name}: {dataset}", file=sys.stderr)
        else:
            pictures[name] = dataset.collection

    run = runs[0]
    if len(runs) > 1:
        folder, remarks = write_merged(arguments.out or run.folder.parent, runs)
        run = read_run(folder)
        for remark in remarks:
            print(f"note: {remark}", file=sys.stderr)
    findings = Findings(run)
    print(summarise(findings, shutil.get_terminal_size().columns))
    shown = as_private(run) if privacy else run
    write_report(
        run.folder,
        shown,
        pictures,
        as_folder=arguments.folder,
        findings=findings,
        forms=arguments.plots,
    )
    pages = ["report/index.html"] if arguments.folder else []
    for start, name in zip(
        ("\nreport: ", "        ", "        "), [*pages, "report.html", "report.md"], strict=False
    ):
        print(start + (run.folder / name).resolve().as_uri())
    return 0


def compare_folders(arguments: argparse.Namespace) -> int:
    """Tells what changed between two runs: which figures moved beyond noise, and which queries rose or fell."""
    from kis_bench.analysis.runs import FIGURE_NAMES, compare_runs, parse_pair
    from kis_bench.gate.baselines import SUFFIX, name_of_baseline, read_earlier
    from kis_bench.report.compared import write_comparison
    from kis_bench.report.terminal import in_short
    from kis_bench.results import read_run

    for metric in arguments.metric or ():
        if metric not in FIGURE_NAMES:
            raise UnknownName("metric", metric, FIGURE_NAMES)
    old, new = tell_remarks(read_earlier(arguments.old)), tell_remarks(read_run(arguments.new))
    pairs = [parse_pair(text, old, new) for text in arguments.model]
    found = compare_runs(old, new, models=pairs, measures=arguments.metric)
    out = arguments.out or new.folder / f"compare-{name_of_baseline(old).removesuffix(SUFFIX)}"
    write_comparison(out, found, most=arguments.queries)
    print(in_short(found, arguments.queries, shutil.get_terminal_size().columns))
    print(f"\ncomparison: {(out / 'compare.html').resolve().as_uri()}")
    print(f"            {(out / 'compare.md').resolve().as_uri()}")
    return 0


def write_new_thresholds(arguments: argparse.Namespace) -> int:
    """Writes a thresholds file from what a run obtained; run --thresholds FILE holds later runs to it."""
    from kis_bench.gate.threshold_writing import Margin, write_thresholds
    from kis_bench.results import read_run

    margin, run = Margin(arguments.margin), tell_remarks(read_run(arguments.run))
    file = require_free(arguments.out or run.folder / "thresholds.toml", arguments.force)
    n = write_thresholds(run, file, margin, arguments.metric)
    print(f"{n:,} thresholds written to {file}")
    return 0


def save_new_baseline(arguments: argparse.Namespace) -> int:
    """Keeps what a later run is compared with in one file, for run --baseline FILE; texts are left out."""
    from kis_bench.gate.baselines import SUFFIX, save_baseline
    from kis_bench.results import read_run

    run = tell_remarks(read_run(arguments.run))
    file = require_free(arguments.out or run.folder / f"baseline{SUFFIX}", arguments.force)
    for line in save_baseline(run, file, models=arguments.model, datasets=arguments.dataset):
        print(line)
    print(f"written to {file} ({file.stat().st_size:,} bytes)")
    return 0


def require_free(file: Path, force: bool) -> Path:
    """Returns the file. Raises KisBenchError if it exists and isn't to be overwritten."""
    if file.is_dir():
        raise KisBenchError(f"{file} is a folder; name a file with --out")
    if file.exists() and not force:
        raise KisBenchError(f"{file} is there already; --force writes over it, --out names another")
    return file


def export_tables(arguments: argparse.Namespace) -> int:
    """Writes what a run measured as other tools read it: rankings, RESET's triplets, tables for LaTeX, a workbook."""
    from kis_bench.results import read_run

    refuse_others(arguments)
    run = tell_remarks(read_run(arguments.run))
    if arguments.form in TRACKERS:
        from kis_bench.exchange.tracking import log_run

        for line in log_run(arguments.form, run):
            print(line)
        return 0
    out = arguments.out or run.folder / f"export-{arguments.form}"
    folders = match_to_run(parse_folders(arguments.dataset), run)
    if arguments.form == "reset-csv":
        from kis_bench.exchange.reset_csv import export_reset

        remarks = export_reset(run, out, names=arguments.names or "ours", datasets=folders)
    elif arguments.form in TABLE_FORMS:
        remarks = export_for_readers(arguments.form, run, out)
    else:
        from kis_bench.exchange.trec import export_run
        from kis_bench.store import Store, default_store

        store = Store(arguments.store or default_store())
        remarks = export_run(
            run,
            arguments.form,
            out,
            depth=arguments.depth,
            scores=arguments.scores or "similarity",
            store=store,
            datasets=folders,
        )
    for remark in remarks:
        print(remark)
    print(f"written to {out}")
    return 0


def export_for_readers(form: str, run: Run, out: Path) -> list[str]:
    """Writes the tables of a run into a folder: LaTeX, a workbook, or heads of model cards; returns a line for each."""
    from kis_bench.files.whole import fill_folder
    from kis_bench.report.latex import export_latex
    from kis_bench.report.view import make_view
    from kis_bench.report.workbook import export_workbook

    if form == "model-card":
        from kis_bench.exchange.model_cards import export_model_cards

        return export_model_cards(run, out)
    view = make_view(run, out)
    with fill_folder(out) as hidden:
        if form == "latex":
            return export_latex(view, hidden)
        return export_workbook(view, hidden / "tables.xlsx")


def refuse_others(arguments: argparse.Namespace) -> None:
    """Raises KisBenchError for options that mean nothing for the chosen form."""
    rankings = ("depth", "store", "scores")
    tables = (*rankings, "names", "dataset")
    others = {"reset-csv": rankings, **dict.fromkeys(TABLE_FORMS, tables)}
    others |= dict.fromkeys(TRACKERS, (*tables, "out"))
    for option in others.get(arguments.form, ("names",)):
        if getattr(arguments, option):
            raise KisBenchError(f"--{option} has no meaning for {arguments.form}; leave it out")
