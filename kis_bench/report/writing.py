"""Writes the report of a run, whose tables are safe by then, into the run's folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kis_bench.errors import KisBenchError
from kis_bench.files.progress import track
from kis_bench.files.spreadsheets import write_csv
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
#: What a report consists of, beside the folder of its other form, report/.
REPORT_FILES = (
    "report.md",
    "report.html",
    "plots/*.png",
    "plots/*.svg",
    "plots/*.pdf",
    "tables/*.csv",
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
        NotDrawn: anything else went wrong, such as a full disk; with the reason, and where in the code. There is no
            report.md then, also where an earlier one was.
    """
    try:
        remove_earlier(folder)
        if gate := show_gate(run):
            write_text(folder / "gate.md", "\n".join(["# Gate", "", *gate]))
        with track("drawing the report"):
            view = make_view(run, folder, pictures, findings, forms)
            failed = draw_report(view, as_folder=as_folder)
    except OSError as error:
        reason = f"{error.strerror or error} ({error.filename or folder})"
        raise NotDrawn(folder, reason) from error
    except Exception as error:
        raise NotDrawn(folder, describe_failure(error)) from error
    if failed:
        raise PlotsMissing(folder, failed)


def remove_earlier(folder: Path) -> None:
    """Removes an earlier report, which may show more than the next."""
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    (folder / "tables").mkdir(exist_ok=True)
    for kind in REPORT_FILES:
        for earlier in folder.glob(kind):
            earlier.unlink()
    shutil.rmtree(folder / "report", ignore_errors=True)


def draw_report(view: View, *, as_folder: bool) -> dict[str, str]:
    """Writes tables and plots first, the pages that show them last; returns which plots are missing, and why."""
    for name, table in view.tables.items():
        write_csv(table, view.folder / "tables" / name)
    text, title = show_report(view), make_title(view.run)
    failed = draw_plots(view.plots, view.folder / "plots", view.forms)
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
