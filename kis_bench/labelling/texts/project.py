"""Puts a labelling project together, and serves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kis_bench.datasets import DatasetRow
from kis_bench.errors import BadFile
from kis_bench.files.csv_tables import read_rows
from kis_bench.labelling.exports import Exports
from kis_bench.labelling.people import PEOPLE_SQL, People
from kis_bench.labelling.texts.aids import Aids, TargetRanks
from kis_bench.labelling.texts.assignments import TEXTS_SQL, list_unreadable, retry_unreadable
from kis_bench.labelling.texts.exporting import LabelTable
from kis_bench.labelling.texts.finish import Finish
from kis_bench.labelling.texts.handing import Handing
from kis_bench.labelling.texts.importing import import_labels, list_item_ids
from kis_bench.labelling.texts.pages import LabelPages
from kis_bench.labelling.texts.pool import Pool, require_folder
from kis_bench.labelling.texts.task import LabelTask
from kis_bench.labelling.texts.then import Recall
from kis_bench.labelling.truth import DamagedTruth, Truth, set_aside
from kis_bench.labelling.web.app import Site, make_app
from kis_bench.labelling.web.pictures import Pictures
from kis_bench.labelling.web.serve import Serving, serve_site

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
    stratify: bool = False
    items: Path | None = None  # a list of ids in place of a sample
    from_file: Path | None = None  # a label file whose texts are taken over first
    warn_repeated: bool = False
    show_rank: str | None = None  # a model
    then: str | None = None  # a model

    @property
    def names(self) -> Sequence[str]:
        """Who is let in; the first may invite others."""
        return self.annotators or [FIRST_ANNOTATOR]


def label(project: LabelProject, serving: Serving) -> None:
    """Serves the pages until Ctrl-C."""
    out = project.out or require_folder(project.row)
    truth = open_labels(out / "labels.sqlite", anew=project.from_file)
    try:
        retry_unreadable(truth)
        pool = make_pool(project, truth)
        site, pages = make_label_site(project, truth, pool, out)
        print(f"{project.row.name}: {pool.n_items:,} pictures; texts go to {out / 'labels.csv'}")
        if project.from_file is not None:
            imported = import_labels(
                pages.handing, project.from_file, out / "labels.csv", project.names[0]
            )
            print(f"{project.from_file}: {imported}")
        site.exports.write()  # where that can't be done, it is better known now
        links = site.people.invite_all(project.names)
        serve_site(site, make_app(site, pages.list_pages()), links, serving)
        for item, why in list_unreadable(truth):
            print(f"skipped: {item}: {why}")
        if (out / "labels.csv").exists():
            print(f"the texts are in {out / 'labels.csv'}; {pages.finish.command} measures them")
    finally:
        truth.close()


def open_labels(file: Path, *, anew: Path | None = None) -> Truth:
    """The database of a project.

    Args:
        anew: the label file that a damaged database is started anew from; the damaged one is renamed.
    """
    table = file.parent / "labels.csv"
    backup = f"all texts are in {table}: start again with --from {table}; the damaged file is kept"

    def open_truth() -> Truth:
        return Truth(file, kind="labels", tables=PEOPLE_SQL + TEXTS_SQL, backup=backup)

    try:
        return open_truth()
    except DamagedTruth:
        if anew is None:
            raise
    set_aside(file, "damaged")
    return open_truth()


def make_pool(project: LabelProject, truth: Truth) -> Pool:
    """The pictures, those of earlier sessions and of imported texts among them."""
    wanted = {item for (item,) in truth.read("SELECT item_id FROM items")}
    if project.from_file is not None:
        wanted |= {*list_item_ids(project.from_file)}
    given = None if project.items is None else read_items(project.items)
    pool = Pool(project.row, project.seed, wanted, given=given, stratify=project.stratify)
    if gone := truth.read(
        "SELECT item_id FROM assignments JOIN items USING (number) WHERE state = 'saved'"
    ):
        lost = sorted({item for (item,) in gone} - pool.pictures.keys())
        if lost:
            print(
                f"{len(lost):,} described pictures are no longer in the folder, such as {lost[0]}; put them back, or "
                "delete their rows of labels.csv and start with --from labels.csv"
            )
    return pool


def read_items(file: Path) -> list[str]:
    """Item ids from a file: one a line, or the column item_id of a CSV table."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(file, [f"can't be read: {error}"]) from error
    if lines and "item_id" in lines[0].split(","):
        return [row["item_id"] for _, row in read_rows(file)[1]]
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise BadFile(file, ["no item ids; write one on each line"])
    return found


def make_label_site(
    project: LabelProject, truth: Truth, pool: Pool, out: Path
) -> tuple[Site, LabelPages]:
    """The site of a project, and its own pages."""
    table, row, task = out / "labels.csv", project.row, project.task
    exports = Exports(
        truth,
        out,
        LabelTable(truth, table).render,
        remedy=f"To take the edits over, stop with Ctrl-C and start again with --from {table}; or rename that file.",
    )
    handing = Handing(truth, pool, project.overlap, exports.request)
    goal = min(task.goal, pool.n_items if project.items is None else len(pool.order))
    needed = goal * project.overlap
    recall = Recall(row, table, project.then, exports.write) if project.then else None
    ranks = TargetRanks(row, project.show_rank) if project.show_rank else None
    pages = LabelPages(
        task,
        handing,
        Finish(truth, row, out, needed, recall),
        Aids(project.warn_repeated, ranks),
    )
    site = Site(
        f"Labels of {row.name}",
        truth,
        People(truth),
        exports,
        Pictures(handing.find_picture),
        Path(__file__).parent,
        pages.may_see,
        {
            "task": task,
            "goal": goal,
            "overlap": project.overlap,
            "several": len(project.names) > 1,
        },
        keeps_pictures=not task.memory_s,
    )
    return site, pages
