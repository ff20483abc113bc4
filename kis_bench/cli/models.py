"""Commands about models: which there are, how they come here, and whether they do what they should."""

from __future__ import annotations

import argparse
from pathlib import Path

from kis_bench import encoders
from kis_bench.cli.arguments import (
    add_dataset,
    add_session_option,
    load_chosen_dataset,
    parse_positive,
    print_table,
)
from kis_bench.cli.parser import Commands, add_command
from kis_bench.encoders.back_ends import list_forms
from kis_bench.errors import KisBenchError, UnknownName

OUTCOME_WORDS = {True: "pass", False: "FAIL", None: "note"}


def add_model_commands(commands: Commands) -> None:
    listing = add_command(commands, "models", list_models, "models", "models siglip")
    listing.add_argument(
        "name", nargs="?", metavar="NAME", help="only models whose names hold this, such as siglip"
    )
    fetching = add_command(
        commands,
        "fetch",
        fetch_models,
        "fetch clip-vit-b-32",
        "fetch vit-l-16-siglip-384 hf-hub:timm/ViT-B-16-SigLIP",
    )
    fetching.add_argument(
        "models", nargs="+", metavar="MODEL", help=f"a model's name, or {list_forms()}"
    )
    learning = add_command(
        commands,
        "codebook",
        write_new_codebook,
        "codebook openmoji",
        "codebook mine=path/to/mine --words 256 --out mine.npz",
    )
    add_dataset(learning, "the images to learn from")
    learning.add_argument(
        "--words", type=parse_positive, default=64, metavar="N", help="default: 64"
    )
    learning.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of sampling and k-means (default: 0)"
    )
    learning.add_argument(
        "--out", type=Path, metavar="FILE", help="default: where the model vlad-sift looks for it"
    )
    checking = add_command(
        commands,
        "doctor",
        run_doctor,
        "doctor",
        "doctor my_module:load --device cpu",
        "doctor my_module:load --against clip-vit-b-32",
    )
    checking.add_argument(
        "model", nargs="?", metavar="MODEL", help=f"check this model: a name, or {list_forms()}"
    )
    checking.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="MODEL",
        help="compare what it makes of pictures and texts with this model, another route to the same weights",
    )
    add_session_option(checking, "device")


def list_models(arguments: argparse.Namespace) -> int:
    """Lists models and whether they can be used now."""
    known, rows = dict(encoders.catalogue()), []
    if ":" in (arguments.name or ""):  # a form of a back end's
        known = {arguments.name: encoders.find(arguments.name)}
    chosen = [one for one in known if (arguments.name or "").casefold() in one.casefold()]
    if not chosen:
        raise UnknownName("model", arguments.name, known)
    for checkpoint in map(known.__getitem__, chosen):
        state = encoders.readiness(checkpoint)
        size = "" if checkpoint.parameters_m is None else f"{checkpoint.parameters_m:g} M"
        rows.append(
            (checkpoint.name, state.state, checkpoint.dim, size, checkpoint.licence, state.remedy)
        )
    print_table(rows, ("model", "state", "dim", "parameters", "licence", "how to get it"))
    return 0


def fetch_models(arguments: argparse.Namespace) -> int:
    """Downloads the weights of models; goes on where it was stopped."""
    for name in arguments.models:
        checkpoint = encoders.find(name)
        fetched = encoders.fetch(checkpoint)
        state = encoders.readiness(checkpoint)
        if not (state.ready or fetched):
            raise KisBenchError(
                f"model {name} is no matter of downloading: {state.state}. {state.remedy}"
            )
        print(
            f"{name}: {'downloaded' if fetched else 'was here already'}; {state.state} {state.remedy}".rstrip()
        )
    return 0


def write_new_codebook(arguments: argparse.Namespace) -> int:
    """Learns the codebook of vlad-sift from the images of a dataset."""
    from kis_bench.encoders.features import vlad
    from kis_bench.files.images import read_image
    from kis_bench.files.progress import track_each

    dataset = load_chosen_dataset(arguments)
    paths = dataset.collection.paths
    images = (
        read_image(path) for path in track_each(paths, f"{dataset.name}: keypoints", unit="image")
    )
    words = vlad.learn_codebook(images, words=arguments.words, seed=arguments.seed)
    file = arguments.out or vlad.default_codebook()
    vlad.write_codebook(file, words)
    model = "vlad-sift" if arguments.out is None else f"extractor:vlad-sift={file}"
    print(
        f"{len(words)} words from {len(paths)} images: {file}\nkis-bench embed {dataset.name} --model {model}"
    )
    return 0


def run_doctor(arguments: argparse.Namespace) -> int:
    """Checks this installation or, with a name, one model: what it finds, and what to do."""
    from kis_bench.checks import installation as checks

    found = (
        checks.check_named_model(arguments.model, arguments.device, arguments.against)
        if arguments.model
        else checks.check_installation()
    )
    failed = False
    for check in found:
        print(f"{OUTCOME_WORDS[check.passed]}  {check.name}: {check.finding}", flush=True)
        failed |= check.passed is False
    return int(failed)
