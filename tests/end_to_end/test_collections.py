"""Collections as users have them: whole runs over them, and changes that must not change a rank."""

import csv
import random
import re
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from builders import run_python
from PIL import Image

from kis_bench import datasets, encoders
from kis_bench.measuring import measure_known_items
from kis_bench.metrics import RELEVANCES
from kis_bench.results import read_run
from kis_bench.results.columns import ALL_RANKS, RANKS
from kis_bench.store import Store

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
OTHER_RANKS = [c for c in ALL_RANKS if c.startswith(RELEVANCES) and c not in RANKS]
MEASURED = """
import re, sys, pytest
code = pytest.main(sys.argv[1:])
# Not getrusage, which on Linux counts what the parent process held when it started this one.
print("PEAK", re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
sys.exit(code)
"""


def run(*arguments, **environment):
    done = run_python(*arguments, **environment)
    return done, done.stdout + done.stderr


def table(file, header, rows):
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def rows_of(file):
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def test_a_collection_as_large_as_the_thesis_in_one_run(tmp_path):
    """9,413 frames of 60 videos under M3RT's zero-padded numbers, with labels in M3RT's wide form."""
    n, rng = 9413, np.random.default_rng(0)
    (tmp_path / "mvk" / "images").mkdir(parents=True)
    colours = rng.integers(0, 256, (n, 4, 4, 3), dtype=np.uint8)
    for i in range(n):
        frame = colours[i] if i % 97 else colours[0]  # some frames are the same file
        Image.fromarray(frame).resize((96, 54)).save(
            tmp_path / "mvk" / "images" / f"{i:05}.jpg", quality=60
        )
    table(
        tmp_path / "mvk" / "images.csv",
        ["item_id", "path", "group", "time_s"],
        [(f"{i:05}", f"images/{i:05}.jpg", f"video {i // 157}", f"{i % 157}") for i in range(n)],
    )
    wanted = rng.choice(n, 100, replace=False)
    table(
        tmp_path / "mvk" / "labels.csv",
        ["ID", "short_label", "long_label"],
        [
            (f"{i:05}", f"frame {i}", f'a long, "quoted" text on frame {i} of a video')
            for i in wanted
        ],
    )
    done, said = run(
        "-c",
        MEASURED,
        "benchmarks",
        "-p",
        "no:cacheprovider",
        "-k",
        "mvk",
        "--kis-model",
        "demo",
        "--kis-dataset",
        f"mvk={tmp_path / 'mvk'}",
        "--kis-store",
        tmp_path / "store",
        "--kis-report",
        tmp_path / "reports",
        "--kis-near-duplicates",
        "phash:4",
    )
    assert done.returncode == 0, said
    assert "2 passed" in said
    peak = int(re.search(r"PEAK (\d+)", said)[1]) / 1024
    assert peak < 1500, peak  # MiB; torch alone takes half of it
    measured = read_run(tmp_path / "reports" / "latest")
    assert measured.ranks.groupby("label_set").size().to_dict() == {"short": 100, "long": 100}
    assert measured.ranks[OTHER_RANKS].notna().all(axis=None)
    for name in ("segment_rank", "group_rank", "near_duplicate_rank"):
        assert (measured.ranks[name] <= measured.ranks["rank"]).all(), name
    assert {"segment_recall", "group_recall", "near_duplicate_recall"} <= set(
        measured.metrics.metric
    )
    about = measured.provenance["datasets"]["mvk"]
    assert (about["n_items"], about["n_groups"], about["near_duplicates"]) == (n, 60, "phash:4")
    text = (tmp_path / "reports" / "latest" / "report.md").read_text(encoding="utf-8")
    assert "its segment" in text
    assert "10 s around the target" in text


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    """A dataset of 240 emoji in 12 groups with times, every twentieth one there twice, and texts for half of them."""
    root = tmp_path_factory.mktemp("drawings")
    emoji = datasets.load("openmoji")
    (root / "images").mkdir()
    rows, labels = [], []
    names = {query.item_ids[0]: query.text for query in emoji.queries("short")}
    for i in range(240):
        source = i - 1 if i % 20 == 1 else i
        shutil.copy(emoji.collection.paths[5 * source], root / "images" / f"{i:03}.png")
        rows.append((f"{i:03}", f"images/{i:03}.png", f"g{i // 20}", f"{4 * (i % 20)}"))
        if i % 2:
            labels.append((f"q{i}", f"{i:03}", "short", names[emoji.collection.ids[5 * source]]))
    table(root / "images.csv", ["item_id", "path", "group", "time_s"], rows)
    table(root / "labels.csv", ["query_id", "item_id", "label_set", "text"], labels)
    return root


def ranks_of(root, store, batch_size=None, near="phash:6"):
    """Query text -> its four ranks."""
    dataset, encoder = datasets.load("mine", root), encoders.load("demo", device="cpu")
    found = measure_known_items(
        encoder, dataset, "short", Store(store), near_duplicates=near, batch_size=batch_size
    )
    rows = found.to_frame().astype(object).to_dict("records")
    return {
        row["query_id"]: [row[c] for c in ("rank_best", "rank_worst", *OTHER_RANKS)] for row in rows
    }


@pytest.fixture(scope="module")
def expected(drawings, tmp_path_factory):
    found = ranks_of(drawings, tmp_path_factory.mktemp("store"))
    assert len(found) == 120
    assert sum(best != worst for best, worst, *_ in found.values()) >= 12  # twins tie exactly
    assert all(value is not None for values in found.values() for value in values)
    return found


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_batch_sizes_change_no_rank(drawings, expected, tmp_path, batch_size):
    assert ranks_of(drawings, tmp_path, batch_size) == expected


def test_where_the_folder_lies_and_the_order_of_rows_change_no_rank(drawings, expected, tmp_path):
    moved = shutil.copytree(drawings, tmp_path / "elsewhere" / "moved")
    for name in ("images.csv", "labels.csv"):
        header, *rows = rows_of(moved / name)
        random.Random(1).shuffle(rows)
        table(moved / name, header, rows)
    assert ranks_of(moved, tmp_path / "store") == expected


def test_names_of_files_change_no_rank(drawings, expected, tmp_path):
    renamed = shutil.copytree(drawings, tmp_path / "renamed")
    shuffled = [f"{i:03}" for i in range(240)]
    random.Random(2).shuffle(shuffled)
    new = {f"{i:03}": f"folder {j}/ß {j}" for i, j in enumerate(shuffled)}
    for old, name in new.items():
        target = renamed / "images" / f"{name}.png"
        target.parent.mkdir()
        (renamed / "images" / f"{old}.png").rename(target)
    _, *rows = rows_of(drawings / "images.csv")
    table(
        renamed / "images.csv",
        ["item_id", "path", "group", "time_s"],
        [(new[item], f"images/{new[item]}.png", group, time) for item, _, group, time in rows],
    )
    header, *labels = rows_of(drawings / "labels.csv")
    table(renamed / "labels.csv", header, [(q, new[item], *rest) for q, item, *rest in labels])
    assert ranks_of(renamed, tmp_path / "store") == expected


def test_packing_changes_no_rank(drawings, expected, tmp_path):
    """An archive has no table of groups: what needs none stays as it is."""
    packed = tmp_path / "packed"
    (packed / "images").mkdir(parents=True)
    shutil.copy(drawings / "labels.csv", packed)
    with tarfile.open(packed / "images" / "all.tar", "w") as tar:
        for file in sorted((drawings / "images").iterdir(), reverse=True):
            tar.add(file, file.name)
    known = [
        0,
        1,
        *(2 + OTHER_RANKS.index(c) for c in OTHER_RANKS if c.startswith("near_duplicate")),
    ]
    found = ranks_of(packed, tmp_path / "store")
    assert {q: [values[i] for i in known] for q, values in found.items()} == {
        q: [values[i] for i in known] for q, values in expected.items()
    }


def test_options_decide_what_counts(drawings, tmp_path):
    def ranks(*options):
        done, said = run(
            "-m",
            "pytest",
            "benchmarks",
            "-p",
            "no:cacheprovider",
            "--kis-model",
            "demo",
            "--kis-dataset",
            f"mine={drawings}",
            "--kis-store",
            tmp_path / "store",
            "--kis-report",
            tmp_path / "reports",
            *options,
        )
        assert done.returncode == 0, said
        found = read_run(tmp_path / "reports" / "latest")
        return found.ranks, found.provenance["datasets"]["mine"]

    narrow, about = ranks("--kis-segment", "0")
    assert (about["segment_s"], about["near_duplicates"]) == (0.0, "identical")
    assert narrow["segment_rank"].equals(
        narrow["rank"].where(narrow["rank_best"] == narrow["rank_worst"], narrow["segment_rank"])
    )
    wide, about = ranks("--kis-segment", "99", "--kis-near-duplicates", "cosine:0.9", "-n", "2")
    assert (about["segment_s"], about["near_duplicates"]) == (99.0, "cosine:0.9")
    wide, narrow = (frame.set_index("query_id") for frame in (wide, narrow))
    assert (wide["segment_rank"] <= narrow["segment_rank"]).all()
    assert (wide["segment_rank"] < narrow["segment_rank"]).any()
    assert (wide["near_duplicate_rank"] <= narrow["near_duplicate_rank"]).all()
    assert wide["rank"].equals(narrow["rank"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--kis-near-duplicates", "phash"], "choose identical, phash:BITS"),
        (["--kis-near-duplicates", "cosine:2"], "choose identical, phash:BITS"),
        (["--kis-segment", "-1"], "--kis-segment"),
        (["--kis-segment", "soon"], "--kis-segment"),
    ],
)
def test_wrong_options_are_refused(tmp_path, options, said):
    done, output = run(
        "-m", "pytest", "benchmarks", "-p", "no:cacheprovider", "--kis-report", tmp_path, *options
    )
    assert done.returncode in (2, 4)
    assert said in output
    assert "Traceback" not in output


def test_a_bad_dataset_that_is_only_declared_does_not_stop_the_others(drawings, tmp_path):
    bad = shutil.copytree(drawings, tmp_path / "photos")
    shutil.copytree(drawings, tmp_path / "mvk")
    (bad / "labels.csv").write_text(
        "query_id,item_id,label_set,text\nq1,nowhere,short\nq2,nowhere,short,red\n"
    )
    done, said = run(
        "-m",
        "pytest",
        "benchmarks",
        "-q",
        "-p",
        "no:cacheprovider",
        "--kis-model",
        "colour-words",
        "-k",
        "photos or mvk",
        "--kis-data",
        tmp_path,
        "--kis-report",
        tmp_path / "reports",
    )
    assert done.returncode == 1
    assert "line 2: 3 cells where the header has 4" in said
    assert "line 3: item 'nowhere' is not in the collection" in said
    assert "Traceback" not in said
    assert set(read_run(tmp_path / "reports" / "latest").ranks.dataset) == {"mvk"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--kis-dataset", "a={0}", "--kis-dataset", "a={0}/images"], "two datasets are called a"),
        (["--kis-dataset", "a={0}", "--kis-labels", "shrt"], "did you mean short"),
        (["--kis-dataset", "nowhere"], "unknown dataset 'nowhere'"),
    ],
)
@pytest.mark.parametrize("quiet", [["-q"], ["--no-header"], []])
def test_wrong_names_are_one_message(drawings, options, said, quiet):
    options = [option.format(drawings) for option in options]
    done, output = run(
        "-m",
        "pytest",
        "benchmarks",
        "-p",
        "no:cacheprovider",
        "--kis-model",
        "demo",
        *quiet,
        *options,
    )
    assert done.returncode == 2
    assert output.count(said) in (1, 2)  # pytest itself repeats what its header raised
    assert "Error" not in output
