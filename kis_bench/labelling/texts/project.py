"""Puts a labelling project together, and serves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kis_bench.datasets import DatasetRow
from kis_bench.labelling.exports import Exports
from kis_bench.labelling.people import PEOPLE_SQL, People
from kis_bench.labelling.texts.exporting import LabelTable
from kis_bench.labelling.texts.handing import TEXTS_SQL, Handing
from kis_bench.labelling.texts.pages import LabelPages
from kis_bench.labelling.texts.pool import Pool, require_folder
from kis_bench.labelling.texts.task import LabelTask
from kis_bench.labelling.truth import Truth
from kis_bench.labelling.web.app import Site, make_app
from kis_bench.labelling.web.pictures import Pictures
from kis_bench.labelling.web.serve import serve_site

FIRST_ANNOTATOR = "annotator-1"


@dataclass(frozen=True)
class LabelProject:
    """What ``kis-bench label`` was told."""

    row: DatasetRow
    task: LabelTask
    out: Path | None = None
    annotators: Sequence[str] = ()
    seed: int = 0
    overlap: int = 1


def label(project: LabelProject, *, port: int, browser: bool) -> None:
    """Serves the pages until Ctrl-C."""
    root = require_folder(project.row)
    out = project.out or root
    truth = open_labels(out / "labels.sqlite")
    try:
        wanted = {item for (item,) in truth.read("SELECT item_id FROM items")}
        pool = Pool(project.row, project.seed, wanted)
        site, pages = make_label_site(project, truth, pool, out)
        print(f"{project.row.name}: {pool.n_items:,} pictures; texts go to {out / 'labels.csv'}")
        links = {
            name: site.people.invite(name, owner=place == 0)
            for place, name in enumerate(project.annotators or [FIRST_ANNOTATOR])
        }
        serve_site(site, make_app(site, pages.list_pages()), links, port=port, browser=browser)
    finally:
        truth.close()


def open_labels(file: Path) -> Truth:
    backup = (
        f"labels.csv beside it has all texts: kis-bench label FOLDER --from {file.parent / 'labels.csv'} goes on "
        "from there"
    )
    return Truth(file, kind="labels", tables=PEOPLE_SQL + TEXTS_SQL, backup=backup)


def make_label_site(
    project: LabelProject, truth: Truth, pool: Pool, out: Path
) -> tuple[Site, LabelPages]:
    """The site of a project, and its own pages."""
    exports = Exports(
        truth,
        out,
        LabelTable(truth).render,
        remedy="To take the edits over, stop this and start it again with --from labels.csv; or rename that file",
    )
    handing = Handing(truth, pool, project.overlap, exports.request)
    site = Site(
        f"Labels of {project.row.name}",
        truth,
        People(truth),
        exports,
        Pictures(handing.find_picture),
        Path(__file__).parent,
        handing.may_see,
        {"task": project.task},
    )
    return site, LabelPages(project.task, handing)
