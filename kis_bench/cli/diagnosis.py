"""The command that tries why figures of a run aren't the published ones."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kis_bench.cli.arguments import (
    add_folders,
    add_run,
    add_session_option,
    match_to_run,
    parse_folders,
    print_table,
)
from kis_bench.cli.parser import Commands, add_command
from kis_bench.errors import KisBenchError
from kis_bench.records import count_things

if TYPE_CHECKING:
    import pandas as pd

    from kis_bench.analysis.attempts import Attempt
    from kis_bench.records import Dataset
    from kis_bench.results import Run
    from kis_bench.store import Store

DiagnosedCell = tuple[str, str, str]  #: dataset, label set, model


def add_diagnosis_command(commands: Commands) -> None:
    diagnosing = add_command(
        commands,
        "diagnose",
        diagnose_run,
        "diagnose reports/latest",
        "diagnose reports/latest --dataset flickr30k=path/to/flickr30k --published fixtures/published/openclip.csv",
    )
    add_run(diagnosing)
    diagnosing.add_argument(
        "--published",
        action="append",
        type=Path,
        metavar="FILE",
        help="a CSV file of published figures, whatever numbers of queries they are of; repeatable (default: those in "
        "./fixtures/published and those of the run)",
    )
    add_folders(diagnosing, "where a dataset lies, if not below $KIS_DATA")
    add_session_option(diagnosing, "store")


def diagnose_run(arguments: argparse.Namespace) -> int:
    """Tries why recall isn't the published one: other texts, pictures, directions, on ranks and stored vectors."""
    from kis_bench.results import read_run
    from kis_bench.store import Store, default_store

    run = read_run(arguments.run)
    folders = match_to_run(parse_folders(arguments.dataset), run)
    published = find_published_figures(run, arguments.published)
    store = Store(arguments.store or default_store())
    n_found = 0
    for names, rows in run.ranks.groupby(["dataset", "label_set", "model"], sort=False):
        dataset, label_set, model = map(str, names)
        for source, known in select_figures(published, (dataset, label_set, model)).items():
            n_found += 1
            tell_cell((dataset, label_set, model), source, known, rows, run, folders, store)
    if not n_found:
        raise KisBenchError(
            f"nothing is published of what {run.folder} measured; name a file of figures of its datasets, label sets "
            "and models with --published"
        )
    return 0


def find_published_figures(run: Run, files: list[Path] | None) -> pd.DataFrame:
    """Figures of the datasets of a run, whatever part of them was measured."""
    from kis_bench.cli.datasets import find_published
    from kis_bench.datasets.parts import DatasetPart
    from kis_bench.results.published import read_published, select_direction
    from kis_bench.results.tables import stack_tables

    names = {*run.provenance.get("datasets", {})}
    whole = {DatasetPart.parse(name).whole for name in names} | names
    tables = [read_published(find_published(files), whole)]
    if files is None and len(run.published):
        tables.append(run.published)
    return select_direction(stack_tables(tables)).drop_duplicates(
        ["dataset", "label_set", "model", "metric", "k", "source"]
    )


def select_figures(published: pd.DataFrame, cell: DiagnosedCell) -> Mapping[str, pd.DataFrame]:
    """What each source says of a model on a dataset or a part of it."""
    from kis_bench.datasets.parts import DatasetPart

    dataset, label_set, model = cell
    names = {dataset, DatasetPart.parse(dataset).whole}
    own = published[
        published["dataset"].isin(names)
        & published["label_set"].eq(label_set)
        & (published["model"].eq(model) | published["published_as"].eq(model))
    ].drop_duplicates(
        ["model", "published_as", "metric", "k", "n", "source"]
    )  # a part's are the whole's
    return {str(source): rows for source, rows in own.groupby("source", sort=False)}


def tell_cell(
    cell: DiagnosedCell,
    source: str,
    known: pd.DataFrame,
    rows: pd.DataFrame,
    run: Run,
    folders: Mapping[str, Path],
    store: Store,
) -> None:
    """Prints what was tried for one model and source."""
    from kis_bench.analysis.attempts import list_attempts, list_siblings
    from kis_bench.analysis.diagnosis import conclude, find_outside, judge_attempts, read_figures
    from kis_bench.report.sections.diagnosis import tabulate_tried
    from kis_bench.results.published import count_repeated

    published = read_figures(known)
    if not published:
        return
    dataset, label_set, model = cell
    counts = sorted({int(n) for n in known["n"].dropna()})
    said = f", published of {' and '.join(f'{n:,}' for n in counts)}" if counts else ""
    print(f"{model} on {dataset}, {label_set}: {count_things(len(rows), 'query')}{said} ({source})")
    if not find_outside(rows, published):
        print("All published figures are within the intervals of the measured ones.\n")
        return
    same = run.ranks[run.ranks["dataset"].eq(dataset) & run.ranks["label_set"].eq(label_set)]
    attempts = [*list_attempts(rows), *list_siblings(model, same, run.provenance)]
    more, lacking = try_vectors(cell, rows, run, folders, store)
    n_repeated = count_repeated(run.provenance).get((dataset, label_set), 0)
    tried = judge_attempts(rows, published, [*attempts, *more], n_repeated)
    head, cells = tabulate_tried(tried, published)
    print_table(cells, head)
    if lacking:
        print(f"Not tried on vectors: {lacking}.")
    print(conclude(tried))
    if not any(one.explains for one in tried):
        print(list_untried(cell, run))
    print()


def try_vectors(
    cell: DiagnosedCell, rows: pd.DataFrame, run: Run, folders: Mapping[str, Path], store: Store
) -> tuple[list[Attempt], str]:
    """What the stored vectors give; or nothing, and why they can't be had."""
    from kis_bench.datasets.parts import DatasetPart
    from kis_bench.exchange.rankings import (
        Unavailable,
        find_measured_vectors,
        load_measured_dataset,
    )
    from kis_bench.measuring.vector_attempts import MOST_SCORES, list_vector_attempts

    name = cell[0]
    dataset = load_measured_dataset(run, name, folders.get(name))
    if isinstance(dataset, Unavailable):
        return [], str(dataset)
    try:
        queries, items, texts = find_measured_vectors(run, rows, dataset, store)
    except Unavailable as error:
        return [], str(error)
    lacking: list[str] = []
    whole = DatasetPart.parse(name).whole
    part = None if whole == name else load_part(name, whole, folders.get(name), lacking)
    n_scores = len(dataset.collection) * len(queries)
    if n_scores > MOST_SCORES:
        lacking.append(f"pictures that look for their texts would take {n_scores:,} scores")
    attempts = [*list_vector_attempts(dataset.collection, queries, items, texts, part)]
    return attempts, "; ".join(lacking)


def load_part(name: str, part: str, folder: Path | None, lacking: list[str]) -> Dataset | None:
    """Another part of a dataset from the folder of the one called ``name``; None, and why, where that can't be read."""
    from kis_bench import datasets

    try:
        return datasets.load(part, folder or datasets.parse_row(name).folder)
    except KisBenchError as error:  # with whatever is wrong, the other attempts are none the worse
        lacking.append(" ".join(str(error).split()))
        return None


def list_untried(cell: DiagnosedCell, run: Run) -> str:
    """What is left to try where it takes an encoder."""
    from kis_bench import encoders
    from kis_bench.encoders.catalogue import find_same_weights

    dataset, _, model = cell
    base = model.partition("+")[0]
    source = str(run.provenance.get("models", {}).get(model, {}).get("source", ""))
    lines = [
        "Not tried, because it takes the model itself:",
        f'  a prompt: kis-bench run --dataset {dataset} --model {base} --kis-prompt photo="a photo of {{}}"',
    ]
    same = (one for one in find_same_weights(source) if one != source)
    others = [one for one in same if not encoders.find(one).image_only]
    if others:
        lines.append(
            "  another library, activation or resize: kis-bench run "
            f"--dataset {dataset} --model {base} {' '.join(f'--model {one}' for one in others)}"
        )
    lines.append(f"  what the doctor finds: kis-bench doctor {base}")
    return "\n".join([*lines, "Metrics and directions that papers mean: docs/reproducing.md"])
