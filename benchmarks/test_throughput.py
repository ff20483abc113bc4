"""How fast models embed and images are ranked, as ratios within one run. Asked for: -m throughput.

A ratio of 2 means twice as fast as what it is compared with. All go to a CSV file, of which ``tools/speed.py`` draws
``docs/speed.md``: ``$KIS_THROUGHPUT_CSV``, by default ``throughput.csv`` among the reports, where works that are
measured again replace what was there of them. ``KIS_THROUGHPUT=full`` takes a quarter of an hour, 8 GB of disk and 8 of
memory, for up to 1,000,000 items. Nothing fails by being slow, but ranks do that a plain computation doesn't confirm.
"""

import importlib.metadata
import math
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from kis_bench import encoders
from kis_bench.embed import embed_collection, embed_texts
from kis_bench.files.images import read_image
from kis_bench.metrics import recall_at_k
from kis_bench.ranking import target_ranks
from kis_bench.ranking.relevance import find_target_positions
from kis_bench.store import Store
from kis_bench.suite.embedding_cases import (
    DISTINCT_PICTURES,
    JPEG_SIZE,
    PHOTO_SIZE,
    EmbeddingCase,
    make_jpegs,
    make_network,
    measure_embedding_memory,
)
from kis_bench.suite.fusing_cases import FusingCase
from kis_bench.suite.measured_rows import count_cores, describe_software, find_spread, keep_measured
from kis_bench.suite.ranking_cases import Case, Work, make_units
from kis_bench.suite.search_peers import PEERS
from kis_bench.threads import find_blas

pytestmark = pytest.mark.throughput

FULL = os.environ.get("KIS_THROUGHPUT") == "full"
MANY, SOME = (100_000, 40_000) if FULL else (10_000, 5_000)  #: items
ROUNDS = 3
WORKS = (
    Work("few queries", 100, 10_000, 1024, 0.85),
    Work("many items", 1_000, MANY, 1024, 0.93),
    Work("random targets", 1_000, 41_000 if FULL else SOME, 1024, 0.9, noise=math.inf),
    Work("many queries", 5_000, 1_000, 512, 0.65),
    Work("first 10 named", 1_000, MANY, 1024, 0.88, top_k=10),
    Work("32 vectors an item", 500, 2_000 if FULL else 200, 256, vectors=32),
    Work("groups", 1_000, 20_000 if FULL else 4_000, 512, groups=1_000),
    Work("two wider sets", 1_000, 20_000 if FULL else 4_000, 512, wider=2),
    Work("two threads, few queries", 100, 10_000, 1024, 0.8, threads=2),
    Work("two threads, many items", 1_000, SOME, 1024, 1.15, threads=2),
)
STREAMED = (
    Work("from the store", 1_000, 1_000_000 if FULL else 10_000, 1024, 0.9, rounds=1),
    Work("from the store, few queries", 200, 1_000_000 if FULL else 10_000, 512, 0.9, rounds=2),
)
CURVE = [
    Work("curve", q, n, 512, rounds=1 if q * n > 10**7 else 3)
    for q in (100, 1_000, 10_000)
    for n in (1_000, 10_000, 100_000, 1_000_000)
    if q * n <= (10**9 if FULL else 10**6)
]


@pytest.fixture
def keep(request):
    """Prints a row and puts it into the file."""
    parent = request.config.getoption("kis_report") or request.config.rootpath / "reports"
    file = Path(os.environ.get("KIS_THROUGHPUT_CSV") or parent / "throughput.csv")

    def keep_row(row):
        keep_measured(row, file)
        print(f"\n{row}")

    return keep_row


@pytest.mark.parametrize(
    "work",
    [replace(work, rounds=ROUNDS) for work in WORKS],
    ids=lambda work: work.name.replace(" ", "-"),
)
def test_ranking(work, keep):
    """Ranking against the float32 products that it can't do without."""
    if count_cores() < work.threads:
        pytest.skip(f"needs {work.threads} cores")
    keep(Case(work).compare())


def test_torch_engine(keep):
    """Ranks by the products of torch on the CPU, against those of numpy."""
    torch = pytest.importorskip("torch", reason="needs kis-bench[demo]")
    from kis_bench.encoders.torch_ranking import make_engine

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        work = Work("engine torch on the CPU", 1_000, SOME, 1024)
        row = Case(work).compare(engine=make_engine("cpu"))
    finally:
        torch.set_num_threads(threads)
    keep(replace(row, made_with=describe_software("numpy", "torch")))


def test_first_thousand(keep):
    """The first 1,000 of 1,617 in order, at most twice as long as the ranks alone."""
    case = Case(Work("first 1,000 named", 1_617, 1_617, 128, 0.5, rounds=ROUNDS, top_k=1_000))
    keep(case.compare(lambda: case.rank(top_k=0), "ranks alone"))


def test_equal_vectors(keep):
    """Items of 50 distinct vectors, with many of which each target ties, at most 1.5 times as long as distinct ones."""
    n = 20_000 if FULL else 4_000
    work = Work("50 distinct vectors", 1_000, n, 512, 1 / 1.5, rounds=ROUNDS, noise=math.inf)
    distinct = Case(work)
    copies = np.random.default_rng(1).integers(0, 50, n)
    keep(Case(work, distinct.items[copies]).compare(distinct.rank, "distinct vectors"))


def fill_store(folder, work):
    """Random vectors as a store has them: mapped, in shards."""
    names = tuple(map(str, range(work.items)))
    entry = Store(folder).entry("random", "0" * 16, "random", "images", names)

    def encode(missing, look_up):
        for shard in missing:
            rng = np.random.default_rng(shard.start)
            yield make_units(rng, shard.stop - shard.start, 1, work.dim), None, {}

    return entry.fill(encode, dict).vectors


#: Ranks what a store holds, and prints how much memory that took beyond what is mapped, in MiB.
MEASURE_MEMORY = """
import re, sys, threading
import numpy as np
from kis_bench.ranking import target_ranks
from kis_bench.store import Store

def measure():
    with open("/proc/self/status") as file:
        return int(re.search(r"RssAnon:\\s+(\\d+)", file.read())[1]) / 1024

def watch():
    while not done.wait(0.01):
        seen.append(measure())

folder, n, q = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
entry = Store(folder).entry("random", "0" * 16, "random", "images", tuple(map(str, range(n))))
items = entry.read().vectors
rng = np.random.default_rng(0)
queries = rng.standard_normal((q, items.shape[2]), np.float32)
queries /= np.linalg.norm(queries, axis=1, keepdims=True)
targets = [[int(t)] for t in rng.integers(0, n, q)]
seen, done, before = [], threading.Event(), measure()
watcher = threading.Thread(target=watch)
watcher.start()
target_ranks(queries, items, targets)
done.set()
watcher.join()
print(max(seen, default=before) - before)
"""


def measure_memory(folder, work):
    """MiB of memory beyond mapped files that ranking takes in a process of its own; NaN where nobody counts it."""
    if not sys.platform.startswith("linux"):
        return math.nan
    command = [sys.executable, "-c", MEASURE_MEMORY, folder, work.items, work.queries]
    done = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True)
    return float(done.stdout)


@pytest.mark.parametrize("work", STREAMED, ids=lambda work: work.name.replace(" ", "-"))
def test_streaming(work, keep, tmp_path):
    """Ranking of what a store holds, read by blocks from its mapped shards, and the memory that takes."""
    case = Case(work, fill_store(tmp_path, work))
    row = case.compare()
    keep(replace(row, own_mib=measure_memory(tmp_path, work)))
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("work", CURVE, ids=lambda work: f"{work.queries}-{work.items}")
def test_curve(work, keep):
    """Ranking against its products, and against peers that are installed; what they take longer for is scaled up."""
    case = Case(work)
    row = case.compare()
    keep(row)
    for name, peer in PEERS.items():
        try:
            made_with = describe_software("numpy", peer.package)
        except importlib.metadata.PackageNotFoundError:
            print(f"left out: {name} needs {peer.package}")
            continue
        many = min(work.queries, max(1, peer.most_scores // work.items))
        with find_blas().limit(limits=1, user_api="blas"):
            times = [
                peer.measure(case.queries[:many], case.items, case.targets[:many])
                for _ in range(work.rounds)
            ]
        ratios = [work.queries / many * seconds / row.seconds for seconds in times]
        wanted = peer.at_least if peer.at_least == 1 or work.items == 100_000 else math.nan
        spread = dict(zip(("ratio", "lowest", "highest"), find_spread(ratios), strict=True))
        note = f"scaled up from {many:,} of the queries" if many < work.queries else ""
        keep(replace(row, against=name, at_least=wanted, made_with=made_with, note=note, **spread))


def test_fusing(keep):
    """What fused lists of ten models cost, a query and model, and against ranks alone."""
    queries, items = (200, 10_000) if FULL else (50, 2_000)
    for row in FusingCase(10, queries, items, 512).compare(3):
        keep(row)
        print(row.note)


@pytest.mark.parametrize("network", ["vit-b-32", "negligible"])
def test_embedding_against_its_limit(network, keep, tmp_path):
    """JPEGs of 640 x 480 through embed_collection, with random weights."""
    pytest.importorskip("torch", reason="needs kis-bench[openclip]")
    pytest.importorskip("open_clip", reason="needs kis-bench[openclip]")
    large = network == "vit-b-32"
    folder, n = tmp_path / "jpegs", 64 if large else 512
    collection = make_jpegs(folder, n, JPEG_SIZE, DISTINCT_PICTURES)
    parts = 32 if large else 256
    case = EmbeddingCase(f"640 x 480, {network}", collection, make_network(network), parts)
    stores = (tmp_path / f"store-{i}" for i in count())
    for row in case.compare(lambda: next(stores), ROUNDS, 0.95):
        keep(row)


@pytest.mark.parametrize(("decode", "at_least"), [("full", 0.9), ("scaled", 3)])
def test_embedding_photos(decode, at_least, keep, tmp_path):
    """Photos of 12 megapixels with the built-in model, against parts decoded in full, and memory beyond the model."""
    pytest.importorskip("torch", reason="needs kis-bench[demo]")
    n = 18 if FULL else 12
    collection = make_jpegs(tmp_path / "photos", n, PHOTO_SIZE, 6)
    encoder = encoders.load("demo", device="cpu", decode=decode)
    case = EmbeddingCase(f"12 megapixels, demo, decoded {decode}", collection, encoder, 12)
    stores = (tmp_path / f"store-{i}" for i in count())
    memory = measure_embedding_memory(tmp_path / "photos", tmp_path / "store", n, decode)
    for row in case.compare(lambda: next(stores), 3, at_least):
        keep(replace(row, own_mib=memory))


def test_decode_and_embed(model, dataset, benchmark):
    paths = dataset.collection.paths[:256]
    vectors = benchmark(lambda: model.encode_images([read_image(path) for path in paths]))
    benchmark.extra_info |= {"model": model.name, "dataset": dataset.name, "images": len(vectors)}


def test_rank(model, dataset, query_set, benchmark, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    items = embed_collection(dataset.collection, model, store)
    texts = embed_texts(query_set.queries, model, store)
    wanted = find_target_positions(dataset.collection, query_set.queries)
    ranks = benchmark(target_ranks, texts.vectors[:, 0], items.vectors, wanted)
    about = {
        "model": model.name,
        "query_set": query_set.id,
        "n_items": len(items.ids),
        "n_queries": len(texts.ids),
    }
    benchmark.extra_info |= about | {
        f"recall@{k}": recall_at_k(ranks.best, ranks.worst, k) for k in (1, 10, 100)
    }
