"""What a report may show of a run, decided once, before anything is drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from kis_bench.analysis.findings import Findings
from kis_bench.files.text import make_file_name
from kis_bench.options import DEFAULT_PLOT_FORMS
from kis_bench.report.plots.axes import Styles, styles
from kis_bench.report.plots.plot import Plot
from kis_bench.results.pseudonyms import as_private

if TYPE_CHECKING:
    from kis_bench.records import Collection
    from kis_bench.results import Run

#: Columns of findings that are left out of a private report's tables.
PRIVATE_COLUMNS = ("text", "item_id", "why")


@dataclass(frozen=True)
class View:
    """A run with its findings, pictures and colours, and the folder that it is drawn into.

    Of a private run it holds no text, item, picture or participant, so that nothing that draws from it has to hide
    any. ``privacy`` only tells which columns would be empty.
    """

    findings: Findings
    folder: Path
    style: Styles
    pictures: Mapping[str, Collection] = field(default_factory=dict)  # by dataset
    privacy: bool = False
    forms: tuple[str, ...] = DEFAULT_PLOT_FORMS  # of plots, that first which the text shows
    plots: list[Plot] = field(default_factory=list)  # what the text shows, to be drawn after it

    @property
    def run(self) -> Run:
        return self.findings.run

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Name of a file in tables/ -> its table."""
        tables = self.findings.tables()
        if not self.privacy:
            return tables
        return {
            name: table.drop(columns=[column for column in PRIVATE_COLUMNS if column in table])
            for name, table in tables.items()
        }

    def show(
        self,
        alt: str,
        draw: Callable[..., Any],
        arguments: tuple[Any, ...],
        *names: str,
        caption: str,
    ) -> list[str]:
        """Markdown that shows a plot of that name, which is drawn when the text is whole; see `Plot`.

        Below it stands the ``caption``: of how many it is, and by which rules.
        """
        plot = Plot(make_file_name(*names), alt, draw, arguments)
        return [*self.show_plot(plot), f"*{caption}*", ""]

    def show_plot(self, plot: Plot) -> list[str]:
        self.plots.append(plot)
        return [plot.link(self.forms[0]), ""]


def make_view(
    run: Run,
    folder: Path,
    pictures: Mapping[str, Collection] | None = None,
    findings: Findings | None = None,
    forms: Sequence[str] = DEFAULT_PLOT_FORMS,
) -> View:
    """The view of a run; private if the run is, see `kis_bench.results.pseudonyms.as_private`.

    ``findings`` of that run are used again where nothing has to be hidden.
    """
    privacy = bool(run.provenance.get("privacy"))
    shown = _without_names(as_private(run)) if privacy else run
    models = [str(model) for model in shown.ranks["model"].unique()]
    own = findings if findings is not None and shown is findings.run else Findings(shown)
    return View(
        own,
        folder,
        styles(models),
        {} if privacy else pictures or {},
        privacy,
        add_shown_form(forms),
    )


def add_shown_form(forms: Sequence[str]) -> tuple[str, ...]:
    """The forms with that first which pages show: of PNG and SVG what is named first, or else PNG.

    >>> add_shown_form(("pdf", "svg")), add_shown_form(("pdf",))
    (('svg', 'pdf'), ('png', 'pdf'))
    """
    shown = next((form for form in forms if form != "pdf"), "png")
    return (shown, *(form for form in forms if form != shown))


def _without_names(run: Run) -> Run:
    """Items and participants as numbers, which tell which are the same, and no others."""
    ranks, judgments, agreement = run.ranks, run.judgments, run.agreement
    if len(ranks):
        ranks = ranks.assign(
            item_id=_number(ranks["item_id"]),
            top_item_ids=pd.Series([()] * len(ranks), ranks.index),
        )
    turned = run.image_to_text
    if len(turned):
        turned = turned.assign(item_id=_number(turned["item_id"]))
    if len(judgments):
        judgments = judgments.assign(user_id=_number(judgments["user_id"]), target_item=None)
    if len(agreement):
        of_people = agreement["part"] == "without participant"
        people = _number(agreement["group"])
        agreement = agreement.assign(group=people.where(of_people, agreement["group"]))
    return replace(run, ranks=ranks, image_to_text=turned, judgments=judgments, agreement=agreement)


def _number(names: pd.Series) -> pd.Series:
    """Each part of a name between bars as a number in order of appearance: several targets stay several."""
    numbers: dict[str, str] = {}

    def numbered(name: object) -> object:
        if not isinstance(name, str):
            return name
        parts = name.split("|")
        return "|".join(numbers.setdefault(part, str(len(numbers))) for part in parts)

    return names.map(numbered)
