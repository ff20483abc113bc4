"""The command line ``kis-bench``. Exit codes: 0 fine, 1 a check failed, 2 wrong usage or input."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kis_bench import __version__, datasets, encoders
from kis_bench.encoders.catalogue import FORMS
from kis_bench.errors import KisBenchError
from kis_bench.records import Collection

WORDS = {True: "pass", False: "FAIL", None: "note"}


def models(arguments: argparse.Namespace) -> int:
    """Known models and whether they can be used now."""
    rows = []
    for checkpoint in encoders.catalogue().values():
        state = encoders.readiness(checkpoint)
        size = "" if checkpoint.parameters_m is None else f"{checkpoint.parameters_m:g} M"
        rows.append((checkpoint.name, state.state, checkpoint.dim, size, checkpoint.licence, state.remedy))
    print_table(rows, ("model", "state", "dim", "parameters", "licence", "how to get it"))
    return 0


def fetch(arguments: argparse.Namespace) -> int:
    """Downloads the weights of models; goes on where it was stopped."""
    for name in arguments.models:
        checkpoint = encoders.find(name)
        fetched = encoders.fetch(checkpoint)
        state = encoders.readiness(checkpoint)
        if not (state.ready or fetched):
            raise KisBenchError(f"model {name} is no matter of downloading: {state.state}. {state.remedy}")
        print(f"{name}: {'downloaded' if fetched else 'was here already'}; {state.state} {state.remedy}".rstrip())
    return 0


def codebook(arguments: argparse.Namespace) -> int:
    """Learns the codebook of vlad-sift from the images of a dataset."""
    from kis_bench.encoders import vlad
    from kis_bench.pictures import read_image
    from kis_bench.progress import progress

    name, _, folder = arguments.dataset.partition("=")
    paths = datasets.load(name, folder or None).collection.paths
    images = (read_image(path) for path in progress(paths, f"{name}: keypoints", unit="image"))
    words = vlad.learn_codebook(images, words=arguments.words, seed=arguments.seed)
    file = arguments.out or vlad.default_codebook()
    vlad.write_codebook(file, words)
    model = "vlad-sift" if arguments.out is None else f"extractor:vlad-sift={file}"
    print(f"{len(words)} words from {len(paths)} images: {file}\nkis-bench embed {name} --model {model}")
    return 0


def list_datasets(arguments: argparse.Namespace) -> int:
    """Built-in datasets, those below KIS_DATA, and whether they can be used now."""
    from kis_bench.datasets import DatasetRow

    data = arguments.data or (Path(os.environ["KIS_DATA"]) if os.environ.get("KIS_DATA") else None)
    if data is not None and not data.is_dir():
        raise KisBenchError(f"there is no folder {data}")
    found = [DatasetRow(name) for name in datasets.BUILT_IN if name != "folder"]
    folders = {} if data is None else {f.name: f for f in sorted(data.iterdir()) if f.is_dir() and f.name[0] != "."}
    found = [replace(row, folder=folders.pop(row.name, None)) for row in found]
    found += [DatasetRow(name, folder) for name, folder in folders.items()]
    rows = []
    for row in found:
        state = datasets.readiness(row)
        label_sets = ", ".join(datasets.label_sets(row)) if state.ready else ""
        rows.append((row.name, state.state, label_sets, row.folder or "built in", state.remedy))
    print_table(rows, ("dataset", "state", "label sets", "where", "how to get it"))
    return 0


def embed(arguments: argparse.Namespace) -> int:
    """Embeds a dataset's images and texts into the store; goes on where it was stopped."""
    from kis_bench.embed import embed_collection, embed_texts
    from kis_bench.encoders import LazyEncoder
    from kis_bench.store import Store, default_store

    name, _, folder = arguments.dataset.partition("=")
    checkpoint = encoders.find(arguments.model)
    dataset = datasets.load(name, folder or None)
    if arguments.download:
        encoders.fetch(checkpoint)
    encoder = LazyEncoder(checkpoint, device=arguments.device, precision=arguments.precision)
    store = Store(arguments.store or default_store())
    items = embed_collection(dataset.collection, encoder, store, batch_size=arguments.batch_size)
    print(f"{dataset.name}: {len(items.ids)} images, {list(items.vectors.shape)} float32, key {items.key}")
    if checkpoint.image_only and dataset.label_sets:
        print(f"{checkpoint.name} has no text side; no texts are embedded")
    for label_set in () if checkpoint.image_only else dataset.label_sets:
        texts = embed_texts(dataset.queries(label_set), encoder, store, name=f"{dataset.name}-{label_set}")
        cut = int(texts.truncated.sum()) if texts.truncated is not None else 0
        print(f"{dataset.name} {label_set}: {len(texts.ids)} texts, {cut} longer than the model reads")
    print(f"store: {store.path}")
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Draws the report of a run folder anew from its tables."""
    from kis_bench.report import write_report
    from kis_bench.results import read_run
    from kis_bench.runs import summary

    run = read_run(arguments.run)
    privacy = arguments.privacy or bool(run.provenance.get("privacy"))
    pictures: dict[str, Collection] = {}
    for name, about in run.provenance.get("datasets", {}).items():
        try:
            dataset = datasets.load(name)
        except KisBenchError as error:
            print(f"no pictures of {name}: {error}", file=sys.stderr)
            continue
        if dataset.fingerprint != about["fingerprint"]:
            print(f"no pictures of {name}: the dataset here is not the one that was measured", file=sys.stderr)
            continue
        pictures[name] = dataset.collection
    write_report(run.folder, run, {} if privacy else pictures, privacy=privacy)
    print(summary(run))
    print(f"\nreport: {run.folder / 'report.md'}")
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """Checks this installation or, with a name, one model: what it finds, and what to do."""
    from kis_bench import doctor as checks

    failed = False
    for check in checks.model(arguments.model, arguments.device) if arguments.model else checks.installation():
        print(f"{WORDS[check.passed]}  {check.name}: {check.finding}", flush=True)
        failed |= check.passed is False
    return int(failed)


def print_table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> None:
    from tabulate import tabulate

    print(tabulate(rows, headers=header, disable_numparse=True))


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(prog="kis-bench", description="Which joint-embedding model finds my image?")
    main.add_argument("--version", action="version", version=f"kis-bench {__version__}")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run: object) -> argparse.ArgumentParser:
        about = str(run.__doc__)
        made = commands.add_parser(name, help=about, description=about)
        made.set_defaults(call=run)
        return made

    command("models", models)
    command("fetch", fetch).add_argument("models", nargs="+", metavar="MODEL", help=f"a model's name, or {FORMS}")
    listing = command("datasets", list_datasets)
    listing.add_argument("--data", type=Path, metavar="DIR", help="folder of dataset folders (default: $KIS_DATA)")
    embedding = command("embed", embed)
    embedding.add_argument(
        "dataset", metavar="DATASET[=FOLDER]", help="a dataset's name, with its folder if not built in"
    )
    embedding.add_argument("--model", required=True, help=f"a model's name, or {FORMS}")
    embedding.add_argument("--store", type=Path, metavar="DIR", help="default: $KIS_STORE, else the user's cache")
    embedding.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    embedding.add_argument("--batch-size", type=positive, metavar="N",
                           help="images encoded at once (default: what suits model and device)")  # fmt: skip
    embedding.add_argument("--precision", default="fp32", choices=encoders.PRECISIONS, help="default: fp32")
    embedding.add_argument("--download", action="store_true", help="download the weights if they are not here")
    learning = command("codebook", codebook)
    learning.add_argument("dataset", metavar="DATASET[=FOLDER]", help="the images to learn from")
    learning.add_argument("--words", type=positive, default=64, metavar="N", help="default: 64")
    learning.add_argument("--seed", type=int, default=0, metavar="N", help="of sampling and k-means (default: 0)")
    learning.add_argument("--out", type=Path, metavar="FILE", help="default: where the model vlad-sift looks for it")
    drawing = command("report", report)
    drawing.add_argument("run", type=Path, metavar="RUN", help="a run folder, such as reports/latest")
    drawing.add_argument("--privacy", action="store_true", help="leave texts and pictures out")
    checking = command("doctor", doctor)
    checking.add_argument("model", nargs="?", metavar="MODEL", help=f"check this model: a name, or {FORMS}")
    checking.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)")
    return main


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = parser().parse_args(arguments)
    try:
        return int(chosen.call(chosen))
    except KisBenchError as error:
        print(f"kis-bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nkis-bench: stopped; what was finished is kept, the same command goes on from there", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
