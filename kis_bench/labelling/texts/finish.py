"""The last page: what was written, what was left out, how to measure it, and what came of that."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from starlette.responses import Response

from kis_bench.datasets import DatasetRow
from kis_bench.labelling.texts.assignments import count_refused, list_unreadable, read_progress
from kis_bench.labelling.texts.then import Recall
from kis_bench.labelling.truth import Truth
from kis_bench.labelling.web.app import Site, Visit


@dataclass(frozen=True)
class Finish:
    """The last page of a project.

    Attributes:
        out: where labels.csv is.
        needed: how many pictures all together describe, those that several do counted once for each.
        recall: what is measured then; None: nothing.
    """

    truth: Truth
    row: DatasetRow
    out: Path
    needed: int
    recall: Recall | None = None

    @property
    def command(self) -> str:
        """What measures the texts, in the folder in which this was started."""
        folder = str(self.row.folder)
        named = folder if folder.startswith((".", "/", "~")) else f"./{folder}"
        if self.row.name != Path(folder).resolve().name:
            named = f"{self.row.name}={folder}"
        return f"kis-bench run {shlex.quote(named)}"

    def show(self, site: Site, visit: Visit) -> Response:
        progress = read_progress(self.truth, visit.person, self.needed)
        recall = self.recall
        if recall is not None and progress.together:
            recall.refresh(self.read_revision())
        elsewhere = self.row.folder is not None and self.out.resolve() != self.row.folder.resolve()
        return site.render(
            visit,
            "finished.html",
            progress=progress,
            refusals=count_refused(self.truth),
            unreadable=list_unreadable(self.truth) if visit.person.owner else [],
            command=self.command,
            file=self.out / "labels.csv",
            elsewhere=self.row.folder if elsewhere else None,
            recall=recall if progress.together else None,
            tables=Markup(recall.tables) if recall is not None else "",
        )

    def read_revision(self) -> int:
        """Which changes a measurement knows."""
        return int(self.truth.read("SELECT ifnull(max(revision), 0) FROM labels")[0][0])

    def show_curve(self, site: Site, visit: Visit) -> Response:
        if self.recall is None or not self.recall.curve:
            return Response("Nothing is measured yet.", 404, media_type="text/plain")
        own = {
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"
        }  # matplotlib's
        return Response(self.recall.curve, media_type="image/svg+xml", headers=own)
