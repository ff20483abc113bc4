"""The tables that a terminal shows of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from kis_bench.analysis.findings import Findings, Key
from kis_bench.analysis.models import look_up_figures, select_measure, tiers
from kis_bench.analysis.runs import Comparison
from kis_bench.files.text import count_cells, make_plain, shorten_middle
from kis_bench.metrics import (
    CONSISTENCY,
    LEADING_MEASURES,
    METRICS,
    MRR,
    RECALL,
    measure_name,
    measure_words,
)
from kis_bench.records import count_things
from kis_bench.report.compared import (
    TABLE_HEAD,
    VERDICT_ORDER,
    figure_rows,
    list_moved,
    names_in,
    step,
    verdicts,
)
from kis_bench.report.numbers import figure, is_absent, percent
from kis_bench.report.sections.image_to_text import describe_asked, list_headed, order_by_leading
from kis_bench.report.sections.similarity.wording import CEILING, share_in
from kis_bench.report.sections.summary import rank_similarity
from kis_bench.statistics.clusters import describe_count
from kis_bench.triplets.summary import (
    PERSON,
    Similarity,
    as_records,
    find_ceilings,
    judged_datasets,
)

if TYPE_CHECKING:
    from kis_bench.results import Run

TERMINAL_CELLS = 80  #: of a terminal, unless it says more
LEAST_NAME_CELLS = 16  #: that stay of a name; columns give way to that
TableRow = tuple[str, Sequence[str]]  #: a name and its cells
TIER_NOTE = "Models that share a letter can't be told apart by {} (5%, Holm)."


def summarise(findings: Findings, width: int = TERMINAL_CELLS) -> str:
    """All tables of a run."""
    return "\n\n".join(summarise_kinds(findings, width).values())


def summarise_kinds(
    findings: Findings, width: int = TERMINAL_CELLS, *, tiered: bool = True
) -> dict[str, str]:
    """One table for known-item search and one for image similarity, where anything of them was measured.

    Args:
        tiered: also compares models, for the letters of those that can't be told apart.
    """
    found, run = {}, findings.run
    if len(run.ranks) and len(run.metrics):
        found["known-item search"] = summarise_ranks(findings, width, tiered=tiered)
    if len(run.text_figures):
        found["image-to-text retrieval"] = summarise_texts(run, width)
    if len(run.judgments):
        found["image similarity"] = summarise_similarity(run, width)
    return found


def summarise_ranks(findings: Findings, width: int = TERMINAL_CELLS, *, tiered: bool = True) -> str:
    """The metrics that have a heading; a group of lines for each dataset and label set, the best model first."""
    run = findings.run
    metrics = run.metrics[run.metrics["dataset"].isin(run.ranks["dataset"])]
    groups = {
        (str(dataset), str(label_set)): own
        for (dataset, label_set), own in metrics.groupby(["dataset", "label_set"], sort=False)
        if label_set != ""
    }
    measures = [
        (one, measure)
        for one in METRICS
        if one.heading and not one.of_judgments
        for measure in one.measures()
        if any(len(select_measure(own, *measure)) for own in groups.values())
    ]
    shown, noted = {}, False
    for key, own in groups.items():
        letters = find_letters(findings, key) if tiered else {}
        noted |= bool(letters)
        indent = max((count_cells(each) for each in letters.values()), default=-2)
        rows, known = [], look_up_figures(own)
        for model in order_models(own, letters):
            name = f"  {letters.get(model, ''):<{indent + 2}}{make_plain(model)}"
            cells = [write_value(known.get((model, *each)), each[0]) for _, each in measures]
            rows.append((name, cells))
        shown[describe_cells(findings, key, own)] = rows
    names = [measure_name(one.heading, k) for one, (_, k) in measures]
    less = [
        measure_name(one.heading, k)
        for one, (_, k) in reversed(measures)
        if k is not None and k not in one.few_cutoffs
    ]
    table = lay_out("R in %", names, shown, width, may_go=less)
    note = TIER_NOTE.format(measure_words(*LEADING_MEASURES[0]))
    return f"{table}\n{note}" if noted else table


def summarise_texts(run: Run, width: int = TERMINAL_CELLS) -> str:
    """The same figures of pictures that look for their texts; a group of lines for each dataset and label set."""
    measures = list_headed(run.text_figures)
    shown = {}
    for names, own in run.text_figures.groupby(["dataset", "label_set"], sort=False):
        known = look_up_figures(own)
        shown[f"{', '.join(map(make_plain, names))}: {describe_asked(own)}"] = [
            (
                f"  {make_plain(model)}",
                [write_value(known.get((model, *each)), each[0]) for _, each in measures],
            )
            for model in order_by_leading(own)
        ]
    head = [measure_name(heading, k) for heading, (_, k) in measures]
    less = [measure_name(RECALL.heading, k) for k in RECALL.cutoffs[:2:-1]]
    return lay_out("R in %", head, shown, width, may_go=less)


def find_letters(findings: Findings, key: Key) -> Mapping[str, str]:
    """Maps the models of a condition, best first, to the letters of those that they can't be told from."""
    comparisons = findings.comparisons.get(key)
    return {} if comparisons is None else tiers(comparisons, *LEADING_MEASURES[0])


def order_models(own: pd.DataFrame, letters: Mapping[str, str]) -> list[str]:
    """The models of a condition, best first."""
    leading = select_measure(own, MRR.name, None).set_index("model")["value"].to_dict()
    names = [str(name) for name in own["model"].unique()]
    order = {name: place for place, name in enumerate(letters)}
    return sorted(names, key=lambda name: (order.get(name, len(order)), -leading.get(name, 0.0)))


def write_value(row: Mapping[str, Any] | None, metric: str) -> str:
    """A figure of one model; shares without their sign, which the head of the table has."""
    value = None if row is None else row["value"]
    return "" if is_absent(value) else figure(metric, value).removesuffix("%")


def describe_cells(findings: Findings, key: Key, own: pd.DataFrame) -> str:
    """The line above a condition's models: how many queries were asked, among how many items."""
    ranks = findings.rows(key)
    asked = own.drop_duplicates("model")
    of = asked["n_targets"].fillna(asked["n"])
    counts = sorted({(int(n), int(targets)) for n, targets in zip(asked["n"], of, strict=True)})
    told = " to ".join(dict.fromkeys(describe_count(*one) for one in (counts[0], counts[-1])))
    items = count_things(int(ranks["n_items"].max()), "item")
    return f"{make_plain(key[0])}, {make_plain(key[1])}: {told} among {items}"


def summarise_similarity(run: Run, width: int = TERMINAL_CELLS) -> str:
    """Consistency of each model with people's judgments, best first, and of people; a group of lines a dataset."""
    head = ("consistency", "95% interval", "ties", "judgments", "per triplet")
    shown: dict[str, list[TableRow]] = {}
    noted = False
    for name in judged_datasets(run):
        study = Similarity(name, run)
        letters = rank_similarity(study)
        noted |= bool(letters)
        indent = max((count_cells(each) for each in letters.values()), default=-2) + 2
        person = study.compared_people.get(PERSON)
        people = {f"({PERSON})": person} if person else {}
        ceiling = max(find_ceilings(study.compared).values(), default=math.nan)
        if not math.isnan(ceiling):
            none = {"ci_low": math.nan, "ci_high": math.nan}
            most = max(int(row["n"]) for row in study.compared.values())
            people = {f"({CEILING})": {"value": ceiling, "n": most, **none}, **people}
        rows: list[TableRow] = []
        for model, row in (*study.compared.items(), *people.items()):
            share = share_in(row)
            per_triplet = study.find_per_triplet(model) or {"value": math.nan}
            interval = (
                "" if math.isnan(share.low) else f"{100 * share.low:.1f} - {100 * share.high:.1f}"
            )
            ties = f"{int(row['ties']):,}" if model in study.models else ""
            cells = (percent(share.value), interval, ties, f"{share.n:,}")
            letter = "" if model in people else f"{letters.get(model, ''):<{indent}}"
            label = f"  {letter}{make_plain(model)}"
            rows.append((label, (*cells, percent(float(per_triplet["value"])))))
        over = f", over the {study.n_common:,} judgments that all know" if study.common else ""
        shown[make_plain(name) + over] = rows
    table = lay_out("", head, shown, width, may_go=("ties", "judgments"))
    return f"{table}\n{TIER_NOTE.format(CONSISTENCY.words)}" if noted else table


def lay_out(
    corner: str,
    head: Sequence[str],
    groups: Mapping[str, Sequence[TableRow]],
    width: int,
    *,
    may_go: Sequence[str] = (),
) -> str:
    """A table with names on the left, figures on the right, and a line above each group; as wide as it may be at most.

    Names that are too long are cut in their middle, unless two would look alike then. Where less than
    `LEAST_NAME_CELLS` of them would stay, columns go: those of ``may_go``, the first of them first.
    """
    every = [row for rows in groups.values() for row in rows]
    columns = [*zip(head, *(cells for _, cells in every), strict=True)]
    columns = [column for column in columns if any(column[1:])]
    longest = max((count_cells(name) for name, _ in every), default=0)
    room = width - sum(2 + max(map(count_cells, column)) for column in columns)
    for name in may_go:
        if room >= min(longest, LEAST_NAME_CELLS):
            break
        gone = [column for column in columns if column[0] == name]
        columns = [column for column in columns if column[0] != name]
        room += sum(2 + max(map(count_cells, column)) for column in gone)
    names = [shorten_middle(name, max(room, LEAST_NAME_CELLS)) for name, _ in every]
    if len({*names}) < len({name for name, _ in every}):
        names = [name for name, _ in every]
    widths = [max(map(count_cells, column)) for column in columns]
    first = max([count_cells(corner), *map(count_cells, names)])

    def write(name: str, cells: Sequence[str]) -> str:
        right = (pad(cell, size) for cell, size in zip(cells, widths, strict=True))
        return "  ".join([name + " " * (first - count_cells(name)), *right]).rstrip()

    lines = [write(corner, [column[0] for column in columns])]
    place = 0
    for title, rows in groups.items():
        lines.append(title)
        for _ in rows:
            lines.append(write(names[place], [column[place + 1] for column in columns]))
            place += 1
    return "\n".join(lines)


def pad(cell: str, width: int) -> str:
    """The cell at the right of so many columns."""
    return " " * (width - count_cells(cell)) + cell


FEW = 20  #: rows of figures that a terminal shows, even of what didn't change
SHORT_VERDICTS = {"no change beyond noise": "no change", "too few to tell": "too few"}


def in_short(found: Comparison, most: int = 20, width: int = TERMINAL_CELLS) -> str:
    """For a terminal: how many figures changed, which, and the queries that moved most."""
    counts = [(name, cells) for name, *cells in verdicts(found.figures)]
    head = [SHORT_VERDICTS.get(verdict, verdict) for verdict in VERDICT_ORDER]
    parts = [
        lay_out("measure", head, {"figures beyond noise (no change: within it)": counts}, width)
    ]
    figures = found.figures
    if len(figures) > FEW:
        figures = figures[figures["verdict"].isin(["better", "worse"])]
    if len(figures):
        groups: dict[str, list[TableRow]] = {}
        for row in figure_rows(figures):
            dataset, labels, model, measure, *cells, verdict = map(make_plain, row)
            title = ", ".join(filter(None, [dataset, labels, model]))
            cells.append(SHORT_VERDICTS.get(verdict, verdict))
            groups.setdefault(title, []).append((f"  {measure}", cells))
        parts.append(lay_out("", TABLE_HEAD[4:], groups, width, may_go=TABLE_HEAD[8:6:-1]))
    for title, (part, n) in list_moved(found, most).items():
        steps = [
            f"  {make_plain(step(row))}  "
            f"({make_plain(row['dataset'])}, {make_plain(row['label_set'])}, {make_plain(names_in(row))})"
            for row in as_records(part)
        ]
        if steps:
            parts.append("\n".join([f"{title} ({n:,}):", *steps]))
    parts += [f"note: {make_plain(remark)}" for remark in found.remarks]
    return "\n\n".join(parts)
