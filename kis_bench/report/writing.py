"""Writes the report of a run, whose tables are safe by then, into the run's folder."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kis_bench.errors import KisBenchError
from kis_bench.files.progress import track
from kis_bench.files.spreadsheets import write_csv
from kis_bench.files.strays import claim_hidden, remove_strays
from kis_bench.files.whole import move_files
from kis_bench.options import DEFAULT_PLOT_FORMS
from kis_bench.report.markdown import make_title, show_gate, show_report
from kis_bench.report.page.data import explorer_data
from kis_bench.report.page.html import page, write_folder_form
from kis_bench.report.page.thumbnails import BUDGET
from kis_bench.report.plots.drawing import describe_failure, draw_plots
from kis_bench.report.tables import escape
from kis_bench.report.view import View, make_view

if TYPE_CHECKING:
    from kis_bench.analysis.findings import Findings
    from kis_bench.records import Collection
    from kis_bench.results import Run

#: What a page aims at, and what the library that draws, data and tables take of it; more queries take more.
PAGE_BYTES, BESIDES_BYTES = 5_900_000, 3_000_000
HIDDEN_PART = re.compile(r"\.report-[0-9a-f]{16}/")  #: of the paths of files, while they are drawn
#: What a report consists of.
REPORT_FILES = (
    "report.md",
    "report.html",
    "plots/*.png",
    "plots/*.svg",
    "plots/*.pdf",
    "tables/*.csv",
    "report/**/*",
)


class NotDrawn(KisBenchError):
    """The report could not be drawn; the tables of its run are as whole as before."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(
            f"the report could not be drawn: {reason}. The run's tables are whole; "
            f"kis-bench report {folder} draws it"
        )


class PlotsMissing(NotDrawn):
    """Some plots of a report could not be drawn; all else of it is there."""

    def __init__(self, folder: Path, failed: Mapping[str, str]) -> None:
        KisBenchError.__init__(
            self,
            f"{tell_missing(failed)} The rest of the report: {folder / 'report.md'}; "
            f"kis-bench report {folder} draws it anew",
        )


def write_report(
    folder: Path,
    run: Run,
    pictures: Mapping[str, Collection] | None = None,
    *,
    as_folder: bool = False,
    findings: Findings | None = None,
    forms: Sequence[str] = DEFAULT_PLOT_FORMS,
) -> None:
    """Writes report.md, report.html, plots/ and tables/ of a run into the folder, and gate.md if it was gated.

    A private run, see `kis_bench.results.pseudonyms.as_private`, gets a report without texts, items, paths and
    pictures.

    Args:
        pictures: by dataset, its images.
        as_folder: also write report/index.html with every picture as a file beside it.
        findings: of the run, where something else shows them too.
        forms: of the plots, some of `kis_bench.options.PLOT_FORMS`; the text shows the first that pages can.

    Raises:
        PlotsMissing: plots could not be drawn. The rest is there, and says in their places what is missing, and why.
        NotDrawn: anything else went wrong, such as a full disk; with the reason, and where in the code. An earlier
            report is whole then, unless files of it couldn't be replaced: it has no report.md any more.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_strays(folder)
        with claim_hidden(folder / "report", folder=True) as hidden, track("drawing the report"):
            if gate := show_gate(run):
                write_text(hidden / "gate.md", "\n".join(["# Gate", "", *gate]))
                move_files(hidden, folder)
            view = make_view(run, hidden, pictures, findings, forms)
            failed = draw_report(view, as_folder=as_folder)
            replace_earlier(folder, hidden)
    except OSError as error:
        place = str(error.filename2 or error.filename or folder)
        reason = f"{error.strerror or error} ({HIDDEN_PART.sub('', place)})"
        raise NotDrawn(folder, reason) from error
    except Exception as error:
        raise NotDrawn(folder, describe_failure(error)) from error
    if failed:
        raise PlotsMissing(folder, failed)


def replace_earlier(folder: Path, drawn: Path) -> None:
    """Puts a report that is drawn in the place of an earlier one, of which nothing stays, for it may show more."""
    new = {file.relative_to(drawn) for file in drawn.rglob("*")}
    try:
        move_files(drawn, folder, last=("report.html", "report.md"))
        for earlier in [file for kind in REPORT_FILES for file in folder.glob(kind)]:
            if earlier.relative_to(folder) not in new and not earlier.is_dir():
                earlier.unlink()
    except OSError:
        (folder / "report.md").unlink(missing_ok=True)
        raise
    if Path("report") not in new:
        shutil.rmtree(folder / "report", ignore_errors=True)


def draw_report(view: View, *, as_folder: bool) -> dict[str, str]:
    """Writes tables and plots first, the pages that show them last; returns which plots are missing, and why."""
    for part in ("plots", "tables"):
        (view.folder / part).mkdir()
    for name, table in view.tables.items():
        write_csv(table, view.folder / "tables" / name)
    text, title = show_report(view), make_title(view.run)
    failed = draw_plots(view.plots, view.folder / "plots", view.forms)
    failed = {stem: HIDDEN_PART.sub("", reason) for stem, reason in failed.items()}
    text = put_reasons(view, text, failed)
    room = find_room(view.folder)
    data = explorer_data(view, budget_bytes=room) if view.findings.conditions else None
    html = page(text, view.folder, title, data=data)
    if as_folder:
        write_folder_form(view, text, title)
    write_text(view.folder / "report.html", html)
    write_text(view.folder / "report.md", text)
    return failed


def find_room(folder: Path) -> int:
    """Bytes that thumbnails may take of the page, beside its plots and all else."""
    plots = (
        file for file in (folder / "plots").glob("*.png") if not file.name.startswith("worst-")
    )
    left = PAGE_BYTES - BESIDES_BYTES - sum(-(-4 * file.stat().st_size // 3) for file in plots)
    return max(BUDGET, left)


def put_reasons(view: View, text: str, failed: Mapping[str, str]) -> str:
    """The report with words in the places of plots that are missing, and a note at its top."""
    for plot in view.plots:
        if plot.stem in failed:
            said = f"*Missing here: {plot.alt}. It could not be drawn: {escape(failed[plot.stem], 1000)}.*"
            text = text.replace(plot.link(view.forms[0]), said)
    if not failed:
        return text
    head, _, rest = text.partition("\n\n")
    return f"{head}\n\n> **{escape(tell_missing(failed), 2000)}**\n\n{rest}"


def tell_missing(failed: Mapping[str, str]) -> str:
    """How many plots are missing, which, and why; reasons of several that are alike stand once."""
    reasons: dict[str, list[str]] = {}
    for stem, reason in failed.items():
        reasons.setdefault(reason, []).append(stem)
    each = "; ".join(f"{', '.join(stems)}: {reason}" for reason, stems in reasons.items())
    return (
        f"{len(failed):,} plot{'s' * (len(failed) > 1)} of the report could not be drawn: {each}."
    )


def write_text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", errors="replace", newline="\n")
