"""Commands about datasets: which there are, what is wrong with them, their embeddings, and what others wrote."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kis_bench import datasets
from kis_bench.choices import CLUSTER_ENGINES, FULL, LOCAL_ENGINE, SCALED
from kis_bench.cli.arguments import (
    add_dataset,
    add_folders,
    add_old_name,
    add_session_option,
    load_chosen_dataset,
    parse_folders,
    parse_natural,
    parse_phash,
    parse_positive,
    print_table,
    read_dataset_row,
    require_usable,
    run_every,
)
from kis_bench.cli.models import OUTCOME_WORDS
from kis_bench.cli.parser import Commands, add_command, add_command_group
from kis_bench.datasets import DatasetRow
from kis_bench.datasets.layouts import LAYOUTS
from kis_bench.datasets.left_out import describe_left_out, describe_unreadable
from kis_bench.encoders.back_ends import list_forms
from kis_bench.errors import KisBenchError, NotReady
from kis_bench.exchange.caption_files import (
    CAPTION_FORMS,
    export_captions,
    list_caption_forms,
)
from kis_bench.records import count_things

if TYPE_CHECKING:
    from kis_bench.encoders.passes import MakePass

ENGINE_HELP = (
    "where pictures are encoded; texts always are here. local: here. ray:HOST:PORT: on the Ray cluster whose head is "
    "there. ray:auto: on the cluster this machine belongs to. ray: on the one RAY_ADDRESS names, else one started for "
    "this command (default: local)"
)


def add_dataset_commands(commands: Commands) -> None:
    listing = add_command(
        commands,
        "datasets",
        list_datasets,
        "datasets",
        "datasets --data path/to/collections",
    )
    add_session_option(listing, "data")
    inner = listing.add_commands(required=False, metavar="{check,export} …")
    checking = add_command(
        inner,
        "check",
        check_folder,
        "datasets check path/to/mine",
        "datasets check mvk=path/to/mine --model clip-vit-b-32",
    )
    checking.add_argument(
        "dataset",
        metavar="[NAME=]FOLDER",
        help="a dataset folder; NAME tells how its files are named",
    )
    checking.add_argument(
        "--layout", choices=LAYOUTS, help="how its files are named, whatever its name"
    )
    checking.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="MODEL",
        help="also find texts longer than this model reads, which loads it; repeatable",
    )
    checking.add_argument(
        "--near-duplicates",
        type=parse_phash,
        default=6,
        metavar="phash:BITS",
        help="pictures of the same colours are near-duplicates if at most so many of the 64 bits of "
        "their hashes differ; the number is always even, so 5 means 4 (default: phash:6)",
    )
    add_session_option(checking, "max-pixels", default=None)
    add_session_option(checking, "skip-unreadable")
    add_old_name(checking, "near", "near_duplicates", type=int)
    writing = add_command(
        inner,
        "export",
        export_queries,
        "datasets export coco path/to/mine --out path/to/mine/captions_mine.json",
        "datasets export imagefolder path/to/mine --labels long --out path/to/mine/images/metadata.jsonl",
    )
    writing.add_argument("form", choices=CAPTION_FORMS, help=list_caption_forms())
    add_dataset(writing, "its name, NAME=FOLDER, or a folder")
    writing.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        required=True,
        help="the file to write, which isn't there",
    )
    writing.add_argument(
        "--labels", metavar="NAME", help="this label set alone; csv can hold all of them"
    )
    embedding = add_command(
        commands,
        "embed",
        embed_dataset,
        "embed openmoji --model demo",
        "embed mine=path/to/mine --model clip-vit-b-32 --download --device cuda",
    )
    add_dataset(embedding, "its name, NAME=FOLDER, or a folder")
    embedding.add_argument("--model", required=True, help=f"a model's name, or {list_forms()}")
    add_session_option(embedding, "store")
    add_session_option(embedding, "device")
    add_session_option(embedding, "batch-size", type=parse_positive)
    add_session_option(embedding, "precision")
    add_session_option(embedding, "decode")
    add_session_option(embedding, "verify", type=parse_natural)
    add_old_name(embedding, "kis-verify", "verify", type=parse_natural)
    add_session_option(embedding, "engine", help=ENGINE_HELP)
    add_session_option(embedding, "download")
    add_session_option(embedding, "max-pixels", default=None)
    add_session_option(embedding, "skip-unreadable")
    kinds = add_command_group(
        commands, "import", "Takes over what others wrote: tasks of VBS, saves of M3RT."
    )
    tasks = add_command(
        kinds,
        "vbs",
        import_vbs,
        "import vbs tasks.json v3c=path/to/v3c",
        "import vbs tasks.json ./mine --out labels-vbs.csv",
    )
    tasks.add_argument(
        "tasks",
        type=Path,
        metavar="TASKS",
        help="JSON of the VBS archive, a template or run of DRES, or tasks.csv or tasks.db of 2018 to 2020",
    )
    add_dataset(tasks, "the collection that the tasks are about")
    tasks.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the label file to write (default: labels-TASKS.csv in the dataset folder)",
    )
    tasks.add_argument(
        "--fps",
        type=Path,
        metavar="FILE",
        help="frames a second of videos, for tasks of 2018 to 2020: a table with the columns video,fps, or "
        "the archive's list of tasks (default: as V3C's tables msb/ tell)",
    )
    saves = add_command(
        kinds,
        "m3rt",
        import_m3rt,
        "import m3rt path/to/M3RT",
        "import m3rt path/to/M3RT --dataset mvk=path/to/mvk --report reports",
    )
    saves.add_argument(
        "folder", type=Path, metavar="FOLDER", help="M3RT's folder, or its folder saves"
    )
    add_folders(saves, "where the images and labels of a dataset lie, if not in FOLDER")
    saves.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="THEIRS=NAME",
        help="files that begin with THEIRS are of a model that M3RT didn't have: one known here, a source such as "
        "transformers:ORG/NAME, or, for image similarity alone, any other name; repeatable",
    )
    saves.add_argument(
        "--published",
        action="append",
        type=Path,
        metavar="FILE",
        help="a CSV file of figures to show beside the ranks; repeatable (default: those in ./fixtures/published)",
    )
    add_session_option(saves, "store")
    add_session_option(saves, "report", default=Path("reports"))


def list_datasets(arguments: argparse.Namespace) -> int:
    """Lists datasets and whether they can be used now: those known by name, and those below KIS_DATA."""
    data = datasets.find_data_folder(arguments.data)
    if data is not None and not os.path.isdir(data):
        raise KisBenchError(datasets.explain_no_folder(data))
    try:
        inner = [] if data is None else sorted(data.iterdir())
    except OSError as error:
        raise KisBenchError(f"{data} can't be read: {error.strerror}") from error
    folders = {f.name: f for f in inner if os.path.isdir(f) and f.name[0] != "."}
    found = [DatasetRow(name, folders.pop(name, None)) for name in datasets.BUILT_IN]
    rows = []
    for row in [*found, *(DatasetRow(name, folder) for name, folder in folders.items())]:
        state, label_sets = datasets.find_readiness(row), ""
        if state.ready:
            try:
                label_sets = ", ".join(datasets.list_label_sets(row))
            except KisBenchError as error:
                state = replace(state, state="unreadable", remedy=str(error))
        rows.append((row.name, state.state, label_sets, row.folder or "", state.remedy))
    print_table(rows, ("dataset", "state", "label sets", "where", "how to get it"))
    return 0


def export_queries(arguments: argparse.Namespace) -> int:
    """Writes the queries of a dataset in a form that other programs read; its pictures stay where they are."""
    dataset = load_chosen_dataset(arguments)
    print(export_captions(dataset, arguments.form, arguments.out, arguments.labels))
    return 0


def check_folder(arguments: argparse.Namespace) -> int:
    """Looks for what is wrong or odd in a dataset folder, and says what it means for the results."""
    from kis_bench.checks.datasets import check_dataset
    from kis_bench.files.picture_formats import set_pixel_limit

    set_pixel_limit(arguments.max_pixels)
    row = read_dataset_row(arguments)
    root = row.folder
    if root is None:
        raise KisBenchError(f"dataset {row.name} has no folder here; give NAME=FOLDER")

    def is_there() -> None:
        if not (state := datasets.find_readiness(row)).ready:
            raise NotReady(f"dataset {row.name}", state.state, state.remedy)

    # A tokenizer may be here where the weights aren't.
    _, *models = run_every(
        [is_there, *(partial(require_usable, model, weights=False) for model in arguments.model)]
    )
    failed = False
    for found in check_dataset(
        row.name,
        root,
        layout=arguments.layout,
        near_bits=arguments.near_duplicates,
        models=models,
        skip_unreadable=arguments.skip_unreadable,
    ):
        print(f"{OUTCOME_WORDS[found.passed]}  {found.name}: {found.finding}", flush=True)
        failed |= found.passed is False
    return int(failed)


def choose_pass(engine: str) -> MakePass:
    """Where pictures are encoded. Raises KisBenchError for what multiplies only, and where no cluster is."""
    from kis_bench.encoders.passes import ImagePass, find_pass
    from kis_bench.ranking.engines import find_engine

    if engine == LOCAL_ENGINE:
        return ImagePass
    if engine.partition(":")[0] not in CLUSTER_ENGINES:
        raise KisBenchError(
            f"--engine {engine} is for ranks; pictures are embedded locally, or on ray"
        )
    return find_pass(find_engine(engine))


def embed_dataset(arguments: argparse.Namespace) -> int:
    """Embeds a dataset's images and texts into the store; goes on where it was stopped."""
    from kis_bench.embed import embed_collection, embed_texts
    from kis_bench.encoders import LazyEncoder
    from kis_bench.encoders.decoding import UNTOLD_SIDE
    from kis_bench.encoders.receivers import describe_sent, describe_traffic, find_receiver
    from kis_bench.measuring.verification import sample_size, verify_collection, verify_texts
    from kis_bench.store import Store, default_store

    model = partial(require_usable, arguments.model, download=arguments.download)
    checkpoint, dataset = run_every([model, partial(load_chosen_dataset, arguments)])
    encoder = LazyEncoder(
        checkpoint,
        device=arguments.device,
        precision=arguments.precision,
        decode=arguments.decode,
    )
    store = Store(arguments.store or default_store())
    make_pass = choose_pass(arguments.engine)
    if (receiver := find_receiver(checkpoint)) is not None:
        print(receiver.describe(), flush=True)
    items = embed_collection(
        dataset.collection, encoder, store, batch_size=arguments.batch_size, make_pass=make_pass
    )
    verify = sample_size(encoder, arguments.verify, judged=False)
    checked = [verify_collection(dataset.collection, items, encoder, verify)]
    print(
        f"{dataset.name}: {len(items.ids)} images, {list(items.vectors.shape)} float32, key {items.key}"
    )
    for line in getattr(make_pass, "describe_shares", list)():
        print(f"embedded on {line}")
    if arguments.decode == SCALED and items.made.get("decode", FULL) == FULL:
        print(f"{encoder.name}: JPEGs were decoded in full, for {UNTOLD_SIDE}")
    if encoder.image_only and dataset.label_sets:
        print(f"{encoder.name} has no text side; no texts are embedded")
    for label_set in () if encoder.image_only else dataset.label_sets:
        texts = embed_texts(
            dataset.queries(label_set), encoder, store, name=f"{dataset.name}-{label_set}"
        )
        checked.append(verify_texts(dataset.queries(label_set), texts, encoder, verify))
        said = "nobody knows which are longer than its model reads"
        if texts.truncated is not None:
            said = f"{int(texts.truncated.sum())} longer than the model reads"
        print(f"{dataset.name} {label_set}: {len(texts.ids)} texts, {said}")
    if sum(checked):
        print(f"encoded anew and found the same: {sum(checked)}")
    elif arguments.verify:
        print(
            "nothing was encoded anew: all vectors lie in the store, under a key that covers the weights, and torch "
            "would have to be loaded for it"
        )
    if not dataset.label_sets and not dataset.triplets:
        print(f"{dataset.name}: no label files, so no texts are embedded")
    for line in encoder.saved.describe_vectors() if encoder.saved else ():
        print(f"read for {encoder.name}: {line}")
    if (sent := describe_sent(encoder)) is not None:
        print(f"sent for {encoder.name}: {describe_traffic(sent)}")
    if dataset.left_out:
        print(f"left out of {dataset.name}: {describe_left_out(dataset.left_out)}")
    for line in (*describe_unreadable(dataset.unreadable, dataset.unasked), *dataset.unread):
        print(f"left out of {dataset.name}: {line}")
    for line in dataset.remarks:
        print(f"read of {dataset.name}: {line}")
    print(f"store: {store.path}")
    return 0


def import_vbs(arguments: argparse.Namespace) -> int:
    """Makes a label file, one label set a stage, of textual known-item tasks of the Video Browser Showdown."""
    from kis_bench.exchange.vbs.label_files import import_tasks
    from kis_bench.exchange.vbs.played_tasks import make_rate_finder

    row = datasets.resolve(read_dataset_row(arguments))
    out = arguments.out or (row.folder and row.folder / f"labels-{arguments.tasks.stem}.csv")
    if out is None:
        raise KisBenchError(
            f"dataset {row.name} has no folder here; give DATASET=FOLDER, or --out FILE"
        )
    dataset = load_chosen_dataset(arguments)
    find_rate = make_rate_finder(arguments.fps, row.folder)
    queries = dataset.all_queries
    for remark in import_tasks(arguments.tasks, dataset.collection, out, queries, find_rate):
        print(remark)
    return 0


def parse_renamed_model(text: str) -> tuple[str, str]:
    """``THEIRS=NAME`` as two names."""
    theirs, equals, ours = text.partition("=")
    if not (theirs and equals and ours):
        raise KisBenchError(f"--model {text}: write THEIRS=NAME, such as siglip2=my-siglip2")
    return theirs, ours


def find_published(given: list[Path] | None) -> list[Path]:
    """The files that were named, or those of a checkout of kis-bench."""
    return sorted(Path("fixtures/published").glob("*.csv")) if given is None else given


def import_m3rt(arguments: argparse.Namespace) -> int:
    """Takes image features, ranks and distances of RESET from the thesis' code into the store and a run folder."""
    from kis_bench.exchange.m3rt.importing import import_saves
    from kis_bench.report import write_report
    from kis_bench.results import read_run
    from kis_bench.store import Store, default_store

    imported = import_saves(
        arguments.folder,
        reports=arguments.report,
        store=Store(arguments.store or default_store()),
        datasets=parse_folders(arguments.dataset),
        models=dict(parse_renamed_model(each) for each in arguments.model),
        published=find_published(arguments.published),
    )
    for remark in imported.remarks:
        print(remark)
    if keys := [*dict.fromkeys(folder.parent.name for folder in imported.store_folders)]:
        print(
            f"features: {count_things(len(imported.store_folders), 'file')} of "
            f"{count_things(len(keys), 'model')} stored; measure with --kis-model {keys[0].replace('-', ':', 1)}"
        )
    if imported.run is not None:
        write_report(imported.run, read_run(imported.run), imported.pictures)
        print(f"report: {imported.run / 'report.md'}")
    if imported.run is None and not imported.store_folders:
        raise KisBenchError(f"nothing in {arguments.folder} could be imported")
    return 0
