"""Puts a study together, and serves its pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kis_bench.datasets import DatasetRow
from kis_bench.datasets.reset import JUDGMENTS_DATABASE, JUDGMENTS_FILE, PARTICIPANTS_FILE
from kis_bench.errors import BadFile, KisBenchError
from kis_bench.labelling.exports import Exports
from kis_bench.labelling.judging.asking import JUDGING_SQL, Asking, AskingRules
from kis_bench.labelling.judging.exporting import StudyTables
from kis_bench.labelling.judging.pages import JudgingPages
from kis_bench.labelling.judging.participants import Participants
from kis_bench.labelling.judging.restoring import read_study_to_restore, restore_study
from kis_bench.labelling.judging.tables import JudgedTriplets, read_judged_triplets
from kis_bench.labelling.people import PEOPLE_SQL, People
from kis_bench.labelling.texts.pool import require_folder
from kis_bench.labelling.truth import DamagedTruth, Truth, set_aside
from kis_bench.labelling.web.app import Site, make_app
from kis_bench.labelling.web.pictures import Pictures
from kis_bench.labelling.web.serve import Serving, serve_site

FIRST_PARTICIPANT = "participant-1"
CONSENT_LETTERS = 20_000


@dataclass(frozen=True)
class JudgingProject:
    """What ``kis-bench judge`` was told."""

    row: DatasetRow
    out: Path | None = None
    participants: Sequence[str] = ()
    consent: str = ""
    rules: AskingRules = field(default_factory=AskingRules)
    tables: Path | None = None  # a folder with the tables of a study to begin from


def serve_study(project: JudgingProject, serving: Serving) -> None:
    """Serves the pages until Ctrl-C."""
    root = require_folder(project.row)
    out = project.out or root
    source = read_judged_triplets(project.row, root, out)
    found = None if project.tables is None else read_study_to_restore(project.tables)
    if found is None:
        require_own_tables(out)
    truth = open_judgments(out / JUDGMENTS_DATABASE, anew=found is not None)
    try:
        site, pages = make_judging_site(project, truth, source, out)
        if found is not None:
            restore_study(truth, found, project.rules.goal)
            names = ", ".join(who.user_id for who in found.participants)
            print(
                f"{len(found.answers):,} answers were taken over; new links for --participant {names}"
            )
        complete, every = len(source.complete), len(source.triplets)
        print(f"{project.row.name}: {complete:,} triplets; judgments go to {out}")
        if complete < every:
            print(
                f"{every - complete:,} triplets are left out, because a picture of each is missing"
            )
        owners = [person.name for person in site.people.list_all() if person.owner]
        links = site.people.invite_all(project.participants or owners or [FIRST_PARTICIPANT])
        serve_site(site, make_app(site, pages.list_pages()), links, serving)
    finally:
        truth.close()


def require_own_tables(out: Path) -> None:
    """Raises KisBenchError where a folder has judgments and no database that they were written from."""
    there = [name for name in (JUDGMENTS_FILE, PARTICIPANTS_FILE) if (out / name).exists()]
    if there and not (out / JUDGMENTS_DATABASE).exists():
        raise KisBenchError(
            f"{out} has {' and '.join(there)}, and no {JUDGMENTS_DATABASE} that they were written from; "
            f"--from {out} goes on from them, --out FOLDER begins another study"
        )


def read_consent(file: Path) -> str:
    """The text that participants agree to. Raises BadFile if it can't be read, is empty or too long."""
    try:
        text = file.read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        raise BadFile(file, [f"can't be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise BadFile(file, ["is not UTF-8; save it as a plain text in UTF-8"]) from error
    if not 0 < len(text) <= CONSENT_LETTERS:
        raise BadFile(
            file, [f"{len(text):,} characters; a consent text has 1 to {CONSENT_LETTERS:,}"]
        )
    return text


def open_judgments(file: Path, *, anew: bool = False) -> Truth:
    """The database of a study.

    Args:
        anew: begins an empty one; what was there is renamed.
    """
    table = file.parent
    backup = f"all judgments are in the tables beside it: start again with --from {table}; the damaged file is kept"

    def open_truth() -> Truth:
        return Truth(file, kind="judgments", tables=PEOPLE_SQL + JUDGING_SQL, backup=backup)

    if anew and file.exists():
        why = "replaced"
        try:
            open_truth().close()  # nobody else has it open
        except DamagedTruth:
            why = "damaged"
        set_aside(file, why)
    return open_truth()


def make_judging_site(
    project: JudgingProject, truth: Truth, source: JudgedTriplets, out: Path
) -> tuple[Site, JudgingPages]:
    """The site of a study, and its own pages."""
    exports = Exports(
        truth,
        out,
        StudyTables(truth).render,
        remedy=f"To take the edits over, stop with Ctrl-C and start again with --from {out}; or rename that file.",
    )
    asking = Asking(truth, source, project.rules, exports.request)
    site = Site(
        f"Similar pictures of {project.row.name}",
        truth,
        People(truth),
        exports,
        Pictures(asking.find_picture),
        Path(__file__).parent,
        asking.may_see,
        {"goal": project.rules.goal},
    )
    return site, JudgingPages(asking, Participants(truth, project.consent, project.rules.goal))
