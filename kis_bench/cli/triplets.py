"""The commands that draw triplets, and show them to people."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from kis_bench.cli.arguments import (
    add_dataset,
    add_session_option,
    parse_positive,
    print_table,
    require_usable,
    run_every,
)
from kis_bench.cli.labelling import (
    add_server_options,
    parse_folder,
    read_serving,
    require_web_packages,
)
from kis_bench.cli.parser import Commands, add_command
from kis_bench.errors import KisBenchError
from kis_bench.ranking.relevance import NearDuplicates

PLANNED_POINTS = (
    10.0,
    5.0,
    3.0,
    2.0,
)  #: half widths that are planned for, beside the one asked for
SIDING_SHARES = (0.55, 0.6, 0.7, 0.8)  #: of people who choose as one of two models


def add_triplet_commands(commands: Commands) -> None:
    drawing = add_command(
        commands,
        "triplets",
        write_new_triplets,
        "triplets path/to/mine --model clip-vit-b-32",
        "triplets path/to/mine --disagree clip-vit-b-32 demo --number 200 --append",
    )
    add_dataset(drawing, "a folder of pictures, or NAME=FOLDER")
    models = drawing.add_mutually_exclusive_group(required=True)
    models.add_argument(
        "--model", metavar="MODEL", help="the model by whose ranks candidates are drawn"
    )
    models.add_argument(
        "--disagree",
        nargs=2,
        metavar=("A", "B"),
        help="only triplets on which these two models choose differently, by ranks of the first",
    )
    drawing.add_argument(
        "--number",
        type=parse_positive,
        metavar="N",
        help="how many triplets (default: as many as --interval takes, each judged once)",
    )
    drawing.add_argument(
        "--bins",
        default="powers",
        metavar="RANKS",
        help="last rank of each bin that candidates are drawn from, such as 1,10,100,1000 "
        "(default: powers of two up to the collection)",
    )
    drawing.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    add_session_option(
        drawing,
        "near-duplicates",
        help="which pictures count as one and are never compared: identical, phash:BITS or "
        "cosine:SIMILARITY under the first model (default: identical files)",
    )
    drawing.add_argument(
        "--interval",
        type=parse_points,
        default=5.0,
        metavar="POINTS",
        help="half the width of the interval that is wanted, in percentage points (default: 5)",
    )
    drawing.add_argument(
        "--people",
        type=parse_positive,
        default=20,
        metavar="N",
        help="how many people will share the judgments (default: 20)",
    )
    drawing.add_argument(
        "--distances",
        action="store_true",
        help="also write the models' cosine distances, as columns of extractors",
    )
    drawing.add_argument("--append", action="store_true", help="add to the triplets that are there")
    drawing.add_argument(
        "--force", action="store_true", help="write over triplets that nobody judged"
    )
    drawing.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where triplets.csv goes (default: the dataset)"
    )
    for name in ("store", "device", "precision", "decode", "download"):
        add_session_option(drawing, name)
    add_session_option(drawing, "batch-size", type=parse_positive)
    add_judging(commands)


def add_judging(commands: Commands) -> None:
    judging = add_command(
        commands,
        "judge",
        judge_folder,
        "judge path/to/mine",
        "judge path/to/mine --participant Ada --participant Ben --consent consent.txt --overlap 2",
    )
    add_dataset(judging, "a folder of pictures with triplets.csv, or NAME=FOLDER")
    judging.add_argument(
        "--participant",
        action="append",
        default=[],
        metavar="NAME",
        help="who judges; repeatable, each gets a link; the first is you, and may invite others "
        "(default: who it was before, else participant-1)",
    )
    judging.add_argument(
        "--consent",
        type=Path,
        metavar="FILE",
        help="a text that participants have to agree to (default: none is asked for)",
    )
    judging.add_argument(
        "--overlap",
        type=parse_overlap,
        default=1.2,
        metavar="PEOPLE",
        help="how many people judge a triplet; with 1.2 a fifth of them two (default: 1.2)",
    )
    judging.add_argument(
        "--repeats",
        type=parse_share,
        default=0.05,
        metavar="SHARE",
        help="share of the questions that come twice, as checks of attention (default: 0.05)",
    )
    judging.add_argument(
        "--goal",
        type=parse_positive,
        default=100,
        metavar="N",
        help="answers of a person, who may go on (default: 100)",
    )
    judging.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of order and sides (default: 0)"
    )
    judging.add_argument(
        "--from",
        dest="tables",
        type=Path,
        metavar="FOLDER",
        help="begin from the tables in a folder: after edits by hand, or where judgments.sqlite is lost",
    )
    add_server_options(judging, "judgments.sqlite and the tables of the study")


def parse_overlap(text: str) -> float:
    return parse_between(text, 1.0, 1000.0)


def parse_share(text: str) -> float:
    return parse_between(text, 0.0, 0.5)


def parse_between(text: str, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = least - 1
    if not least <= value <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {least:g} to {most:g}")
    return value


def judge_folder(arguments: argparse.Namespace) -> int:
    """Opens a page on which people judge which of two pictures is more similar to a third; writes a study's tables."""
    require_web_packages()
    from kis_bench.labelling.judging.asking import AskingRules
    from kis_bench.labelling.judging.study import JudgingProject, read_consent, serve_study

    project = JudgingProject(
        row=parse_folder(arguments),
        out=arguments.out,
        participants=arguments.participant,
        consent=read_consent(arguments.consent) if arguments.consent else "",
        tables=arguments.tables,
        rules=AskingRules(arguments.overlap, arguments.repeats, arguments.goal, arguments.seed),
    )
    serve_study(project, read_serving(arguments))
    return 0


def parse_points(text: str) -> float:
    return parse_between(text.removesuffix("%"), 0.1, 49.0)


def write_new_triplets(arguments: argparse.Namespace) -> int:
    """Draws triplets for people to judge, by ranks under a model or where two disagree, and plans how many it takes."""
    from kis_bench.datasets.folder_pictures import read_images
    from kis_bench.datasets.layouts import choose_layout
    from kis_bench.embed import embed_collection
    from kis_bench.encoders import LazyEncoder
    from kis_bench.exchange.triplet_table import (
        describe_sample,
        make_rows,
        require_free_table,
        sample_triplets,
        write_triplets,
    )
    from kis_bench.files.whole import require_writable
    from kis_bench.labelling.texts.pool import require_folder
    from kis_bench.store import Store, default_store
    from kis_bench.triplets.planning import plan_judgments

    alike = NearDuplicates.parse(arguments.near_duplicates)
    row = parse_folder(arguments)
    names = [arguments.model] if arguments.model else arguments.disagree
    if len({*names}) < len(names):
        raise KisBenchError(f"--disagree {names[0]} {names[1]}: name two different models")
    root, *checkpoints = run_every(
        [
            partial(require_folder, row),
            *(partial(require_usable, name, download=arguments.download) for name in names),
        ]
    )
    folder: Path = arguments.out or root
    keep = {"append": arguments.append, "force": arguments.force}
    require_free_table(folder, **keep)
    require_writable(folder, "the triplets can't be written")
    collection = read_images(
        row.name, root, choose_layout(row.name, row.layout, row.folder)
    ).collection
    encoders = [
        LazyEncoder(
            checkpoint,
            device=arguments.device,
            precision=arguments.precision,
            decode=arguments.decode,
        )
        for checkpoint in checkpoints
    ]
    store = Store(arguments.store or default_store())
    models = {
        encoder.name: embed_collection(collection, encoder, store, batch_size=arguments.batch_size)
        for encoder in encoders
    }
    wanted = plan_judgments(arguments.interval / 100, arguments.people)
    number = arguments.number or wanted or require_more_people(arguments)
    sampled = sample_triplets(
        collection,
        models,
        number,
        bins=arguments.bins,
        seed=arguments.seed,
        near_duplicates=alike,
    )
    rows = make_rows(sampled, distances=arguments.distances)
    file = write_triplets(folder, rows, **keep)
    for line in describe_sample(sampled, number):
        print(line)
    print(f"written to {file}\n")
    print_plan(arguments.interval, arguments.people)
    if len(models) > 1:
        print_telling_apart(arguments.people)
    return 0


def print_plan(interval: float, people: int) -> None:
    """Prints how many judgments give which interval, and what that takes for granted."""
    from kis_bench.triplets.planning import ASSUMED, tabulate_plan

    points = sorted({*PLANNED_POINTS, interval}, reverse=True)
    rows = tabulate_plan([each / 100 for each in points], people)
    print(f"judgments with a preference that a 95% interval takes, shared by {people:,} people:\n")
    print_table(rows, ("interval", "one person a triplet", "two", "three"))
    print(
        f"\nassumed: a model agrees with {ASSUMED.consistency:.0%} of the judgments, two people with each other on "
        f"{ASSUMED.people_agree:.0%} of the triplets,\nand the agreements of one person correlate by "
        f"{ASSUMED.person_correlation:g}; the report of the study has the interval that came out"
    )


def print_telling_apart(people: int) -> None:
    """Prints how many judgments on triplets that two models disagree on tell which of them people side with."""
    from kis_bench.triplets.planning import plan_comparison

    print(
        "\nto tell in four of five studies which of the two models people side with, on these triplets:\n"
    )
    rows = []
    for share in SIDING_SHARES:
        n = plan_comparison(share, people)
        rows.append((f"{share:.0%}", "more people are needed" if n is None else f"{n:,}"))
    print_table(rows, ("judgments that do", "judgments"))


def require_more_people(arguments: argparse.Namespace) -> int:
    from kis_bench.triplets.planning import count_needed_people

    people = count_needed_people(arguments.interval / 100)
    raise KisBenchError(
        f"--interval {arguments.interval:g}: {arguments.people:,} people can't tell so exactly, however "
        f"much they judge, because people differ; ask {people:,} or more (--people), or give --number"
    )
