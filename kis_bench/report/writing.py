"""Writes the report of a run, whose tables are safe by then, into the run's folder."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kis_bench.errors import KisBenchError
from kis_bench.files.spreadsheets import write_csv
from kis_bench.report.markdown import make_title, show_gate, show_report
from kis_bench.report.page.data import explorer_data
from kis_bench.report.page.html import page, write_folder_form
from kis_bench.report.view import View, make_view

if TYPE_CHECKING:
    from kis_bench.analysis.findings import Findings
    from kis_bench.records import Collection
    from kis_bench.results import Run

#: What a report consists of, beside the folder of its other form, report/.
DRAWN = ("report.md", "report.html", "plots/*.png", "plots/*.svg", "plots/*.pdf", "tables/*.csv")


class NotDrawn(KisBenchError):
    """The report could not be drawn; the tables of its run are as whole as before."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(
            f"the report could not be drawn: {reason}. The run's tables are whole; "
            f"kis-bench report {folder} draws it"
        )


def write_report(
    folder: Path,
    run: Run,
    pictures: Mapping[str, Collection] | None = None,
    *,
    as_folder: bool = False,
    findings: Findings | None = None,
) -> None:
    """Writes report.md, report.html, plots/ and tables/ of a run into the folder, and gate.md if it was gated.

    A private run, see `kis_bench.results.pseudonyms.as_private`, gets a report without texts, items, paths and
    pictures.

    Args:
        pictures: by dataset, its images.
        as_folder: also write report/index.html with every picture as a file beside it.
        findings: of the run, where something else shows them too.

    Raises:
        NotDrawn: anything went wrong, be it a full disk or a plot that fails; with the reason, and where in the code.
            There is no report.md then, also where an earlier one was.
    """
    try:
        remove_earlier(folder)
        if gate := show_gate(run):
            write_text(folder / "gate.md", "\n".join(["# Gate", "", *gate]))
        draw_report(make_view(run, folder, pictures, findings), as_folder=as_folder)
    except OSError as error:
        reason = f"{error.strerror or error} ({error.filename or folder})"
        raise NotDrawn(folder, reason) from error
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}, line {place.lineno}"
        raise NotDrawn(folder, f"{type(error).__name__}: {error} ({where})") from error


def remove_earlier(folder: Path) -> None:
    """Removes an earlier report, which may show more than the next."""
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    (folder / "tables").mkdir(exist_ok=True)
    for kind in DRAWN:
        for earlier in folder.glob(kind):
            earlier.unlink()
    shutil.rmtree(folder / "report", ignore_errors=True)


def draw_report(view: View, *, as_folder: bool) -> None:
    """Plots and tables first, the pages that show them last."""
    for name, table in view.tables.items():
        write_csv(table, view.folder / "tables" / name)
    text, title = show_report(view), make_title(view.run)
    data = explorer_data(view) if view.findings.conditions else None
    html = page(text, view.folder, title, data=data)
    if as_folder:
        write_folder_form(view, text, title)
    write_text(view.folder / "report.html", html)
    write_text(view.folder / "report.md", text)


def write_text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", errors="replace", newline="\n")
