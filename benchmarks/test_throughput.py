"""How fast models embed and images are ranked, as ratios within one run. Asked for: -m throughput.

A ratio of 2 means twice as fast as what it is compared with. All go to a CSV file, of which ``tools/speed.py`` draws
``docs/speed.md``: ``$KIS_THROUGHPUT_CSV``, by default ``throughput.csv`` among the reports, where works that are
measured again replace what was there of them. ``KIS_THROUGHPUT=full`` takes minutes, 8 GB of disk and 8 of memory, for
up to 1,000,000 items. Nothing fails by being slow, but ranks do that a plain computation doesn't confirm.
"""

import csv
import importlib.metadata
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from threadpoolctl import threadpool_info, threadpool_limits

from kis_bench.embed import embed_collection, embed_texts
from kis_bench.files.images import read_image
from kis_bench.metrics import recall_at_k
from kis_bench.ranking import target_ranks
from kis_bench.ranking.relevance import find_target_positions
from kis_bench.ranking.unit_vectors import require_unit_vectors
from kis_bench.records import Checkpoint, Collection
from kis_bench.store import Store

pytestmark = pytest.mark.throughput

FULL = os.environ.get("KIS_THROUGHPUT") == "full"
BLOCK_VECTORS, BLOCK_QUERIES = 4096, 1024  #: of the products that ranking is compared with
ORACLE_TERMS = (
    2**30
)  #: multiplications of the ranks that are computed again, of two queries at least
CLOCKS = {"CPU": time.process_time, "wall": time.perf_counter}


@dataclass(frozen=True)
class Work:
    """Queries that are ranked among random unit vectors."""

    name: str
    queries: int
    items: int
    dim: int
    at_least: float = math.nan  #: the ratio that we want
    short_items: int = 0  #: unless everything is measured
    vectors: int = 1
    threads: int = 1
    rounds: int = 5 if FULL else 3
    noise: float = 3.0  #: of a query beside its target; infinite: it has nothing to do with it
    groups: int = 0
    wider: int = 0  #: sets of 10 items, the target among them
    top_k: int = 0

    @property
    def n(self):
        return self.items if FULL or not self.short_items else self.short_items


WORKS = (
    Work("few queries", 100, 10_000, 1024, 0.85),
    Work("many items", 1_000, 100_000, 1024, 0.93, 10_000),
    Work("random targets", 1_000, 41_000, 1024, 0.9, 5_000, noise=math.inf),
    Work("many queries", 5_000, 1_000, 512, 0.65),
    Work("first 10 named", 1_000, 100_000, 1024, 0.88, 10_000, top_k=10),
    Work("32 vectors an item", 500, 2_000, 256, vectors=32, short_items=200),
    Work("groups", 1_000, 20_000, 512, groups=1_000, short_items=4_000),
    Work("two wider sets", 1_000, 20_000, 512, wider=2, short_items=4_000),
    Work("two threads, few queries", 100, 10_000, 1024, 0.8, threads=2),
    Work("two threads, many items", 1_000, 40_000, 1024, 1.15, 5_000, threads=2),
)
STREAMED = (
    Work("from the store", 1_000, 1_000_000, 1024, 0.9, 10_000, rounds=1),
    Work("from the store, few queries", 200, 1_000_000, 512, 0.9, 10_000, rounds=2),
)
CURVE = [
    Work("curve", q, n, 512, rounds=1 if q * n > 10**8 else 3)
    for q in (100, 1_000, 10_000)
    for n in (1_000, 10_000, 100_000, 1_000_000)
    if FULL or q * n <= 10**6
]


def describe_software(*packages):
    """Versions, and the kernels that numpy's products have on this CPU."""
    known = [f"{name} {importlib.metadata.version(name)}" for name in dict.fromkeys(packages)]
    blas = [one for one in threadpool_info() if one["user_api"] == "blas"]
    return "; ".join(
        [
            *known,
            *sorted(
                {f"{one['internal_api']} {one.get('architecture', '')}".strip() for one in blas}
            ),
        ]
    )


@dataclass(frozen=True)
class Row:
    """A line of the CSV file."""

    part: str  #: ranking or embedding
    work: str
    against: str
    ratio: float  #: median of the seconds of what it is compared with to ours
    lowest: float
    highest: float
    items: int
    rounds: int
    seconds: float  #: of ours
    clock: str = "CPU"
    threads: int = 1
    queries: int | str = ""
    dim: int | str = ""
    vectors: int | str = ""
    at_least: float = math.nan
    verified: int | str = ""  #: queries whose ranks were computed again
    own_mib: float = math.nan  #: of memory beyond mapped files
    made_with: str = field(default_factory=lambda: describe_software("numpy"))


@pytest.fixture
def keep(request):
    """Keeps a row: prints it, and replaces the one of the same work in the file."""
    parent = request.config.getoption("kis_report") or request.config.rootpath / "reports"
    file = Path(os.environ.get("KIS_THROUGHPUT_CSV") or parent / "throughput.csv")
    columns = [column.name for column in fields(Row)]

    def keep_row(row):
        cells = {name: format_cell(getattr(row, name)) for name in columns}
        old = list(csv.DictReader(file.open(encoding="utf-8"))) if file.exists() else []
        same = ("part", "work", "queries", "items", "against")
        old = [one for one in old if any(one[name] != cells[name] for name in same)]
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", encoding="utf-8", newline="") as out:
            writer = csv.DictWriter(out, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows([*old, cells])
        sizes = " x ".join(cells[name] for name in ("queries", "items", "dim") if cells[name])
        wanted = f", at least {cells['at_least']} wanted" if cells["at_least"] else ""
        memory = f"; {cells['own_mib']} MiB" if cells["own_mib"] else ""
        print(
            f"\n{row.part}, {row.work}, {sizes}: {row.against} / ours = {row.ratio:.2f} "
            f"({row.lowest:.2f} to {row.highest:.2f}{wanted}) in {row.clock} seconds{memory}"
        )

    return keep_row


def format_cell(value):
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return str(value)


def measure_seconds(work, clock="CPU"):
    started = CLOCKS[clock]()
    work()
    return CLOCKS[clock]() - started


def find_spread(ratios):
    """Median, lowest and highest."""
    return statistics.median(ratios), min(ratios), max(ratios)


def make_units(rng, *shape):
    vectors = rng.standard_normal(shape, np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors


class Case:
    """Queries near their targets, as those of a model are, among items that are there or drawn."""

    def __init__(self, work, items=None):
        rng = np.random.default_rng(0)
        shape = (work.vectors, work.dim) if work.vectors > 1 else (work.dim,)
        self.work, self.clock = work, "CPU" if work.threads == 1 else "wall"
        self.items = make_units(rng, work.n, *shape) if items is None else items
        self.targets = rng.integers(0, work.n, work.queries)
        self.queries = make_units(rng, work.queries, work.dim)
        if math.isfinite(work.noise):
            near = [np.reshape(self.items[t : t + 1], (-1, work.dim))[0] for t in self.targets]
            self.queries = np.stack(near) + np.float32(work.noise) * self.queries
            self.queries /= np.linalg.norm(self.queries, axis=1, keepdims=True)
        self.groups = rng.integers(0, work.groups, work.n) if work.groups else None
        near = rng.integers(0, work.n, (work.wider, work.queries, 9)).tolist()
        self.sets = [
            [sorted({int(target), *some}) for target, some in zip(self.targets, one, strict=True)]
            for one in near
        ]
        self.ranks = None

    def rank(self, **options):
        """Seconds of `target_ranks`."""
        wanted = [[target] for target in self.targets.tolist()]
        groups = None if self.groups is None else self.groups.tolist()
        options = {"groups": groups, "relevant": self.sets, "top_k": self.work.top_k} | options

        def work():
            self.ranks = target_ranks(self.queries, self.items, wanted, **options)

        return measure_seconds(work, self.clock)

    def multiply(self):
        """Seconds of the float32 products of all blocks, and of nothing else."""
        d, v, seconds = self.work.dim, self.work.vectors, 0.0
        width = max(1, BLOCK_VECTORS // v)
        buffer = np.empty(min(self.work.queries, BLOCK_QUERIES) * width * v, np.float32)
        for start in range(0, self.work.n, width):
            block = np.ascontiguousarray(self.items[start : start + width]).reshape(-1, d).T
            for row in range(0, self.work.queries, BLOCK_QUERIES):
                some = self.queries[row : row + BLOCK_QUERIES]
                out = buffer[: len(some) * block.shape[1]].reshape(len(some), -1)
                product = partial(np.matmul, some, block, out=out)
                seconds += measure_seconds(product, self.clock)
        return seconds

    def compare(self, first, against="product"):
        """A row of the ratios of the seconds of ``first`` to those of ranking, whose ranks are verified."""
        with threadpool_limits(self.work.threads, user_api="blas"):
            if self.work.rounds > 1:  # else warming up would be waste
                self.rank()
            pairs = [(first(), self.rank()) for _ in range(self.work.rounds)]
        ratios, seconds = [a / b for a, b in pairs], statistics.median(b for _, b in pairs)
        about = {
            name: getattr(self.work, name) for name in ("queries", "dim", "vectors", "threads")
        }
        return Row(
            "ranking",
            self.work.name,
            against,
            *find_spread(ratios),
            items=self.work.n,
            clock=self.clock,
            rounds=len(ratios),
            at_least=self.work.at_least,
            seconds=seconds,
            verified=self.verify(),
            **about,
        )

    def verify(self):
        """Computes the ranks of some queries again, without anything of `kis_bench.ranking`; returns of how many."""
        work, ranks = self.work, self.ranks
        terms = work.n * work.vectors * work.dim * (1 + work.wider + bool(work.groups))
        many = min(work.queries, max(2, ORACLE_TERMS // terms))
        chosen = np.unique(np.linspace(0, work.queries - 1, many).astype(int)).tolist()
        for i in chosen:
            query, target = self.queries[i], int(self.targets[i])
            signs = compare_exactly(query, self.items, [target])
            assert (ranks.best[i], ranks.worst[i]) == (1 + (signs > 0).sum(), (signs >= 0).sum())
            for j, sets in enumerate(self.sets):
                signs = compare_exactly(query, self.items, sets[i])
                best, level = 1 + (signs > 0).sum(), np.delete(signs == 0, sets[i]).sum()
                assert (ranks.relevant_best[i, j], ranks.relevant_worst[i, j]) == (
                    best,
                    best + level,
                )
            if self.groups is not None:
                own = np.flatnonzero(self.groups == self.groups[target])
                signs = compare_exactly(query, self.items, own)
                above, level = (
                    len(np.unique(self.groups[some])) for some in (signs > 0, signs >= 0)
                )
                assert ranks.group_rank[i] == (1 + above + level) / 2
            if work.top_k:  # up to the rounding of float64
                scores = np.asarray(self.items).reshape(work.n, -1).astype(np.float64) @ query
                wanted = np.sort(scores)[::-1][: work.top_k]
                np.testing.assert_allclose(scores[ranks.top_items[i]], wanted, rtol=0, atol=1e-12)
        return len(chosen)


def compare_exactly(query, items, others):
    """Signs of the exact scores of items minus the best one among the items ``others``: int8 ``[n]``.

    Float64 decides where it is surely right, and the exact sum of the exact products elsewhere.
    """
    wide = query.astype(np.float64)
    mark, *rest = np.concatenate([np.reshape(items[i : i + 1], (-1, len(query))) for i in others])
    for vector in rest:
        mark = vector if compare_vectors(wide, vector[None], mark)[0] > 0 else mark
    signs = []
    for start in range(0, len(items), BLOCK_VECTORS):
        block = np.asarray(items[start : start + BLOCK_VECTORS])
        found = compare_vectors(wide, block.reshape(-1, len(query)), mark)
        signs.append(found.reshape(len(block), -1).max(axis=1))
    return np.concatenate(signs)


def compare_vectors(query, vectors, mark):
    """Signs of the exact scores of vectors ``[p, d]`` minus that of another one."""
    # Of unit vectors of up to 4,096 numbers the scores in float64 err by less than 5e-13.
    differences = vectors.astype(np.float64) @ query - float(mark.astype(np.float64) @ query)
    signs = np.sign(differences).astype(np.int8)
    for i in np.flatnonzero(np.abs(differences) < 1e-12):
        products = np.concatenate([query * vectors[i], -query * mark])
        signs[i] = np.sign(math.fsum(products.tolist()))
    return signs


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.name.replace(" ", "-"))
def test_ranking(work, keep):
    """Ranking against the float32 products that it can't do without."""
    if (os.cpu_count() or 1) < work.threads:
        pytest.skip(f"needs {work.threads} cores")
    case = Case(work)
    keep(case.compare(case.multiply))


def test_first_thousand(keep):
    """The first 1,000 of 1,617 in order, at most twice as long as the ranks alone."""
    case = Case(Work("first 1,000 named", 1_617, 1_617, 128, 0.5, top_k=1_000))
    keep(case.compare(lambda: case.rank(top_k=0), "ranks alone"))


def test_equal_vectors(keep):
    """Items of 50 distinct vectors, with many of which each target ties, at most 1.5 times as long as distinct ones."""
    work = Work("50 distinct vectors", 1_000, 20_000, 512, 1 / 1.5, 4_000, noise=math.inf)
    distinct = Case(work)
    copies = np.random.default_rng(1).integers(0, 50, work.n)
    keep(Case(work, distinct.items[copies]).compare(distinct.rank, "distinct vectors"))


def fill_store(folder, work):
    """Random vectors as a store has them: mapped, in shards."""
    entry = Store(folder).entry("random", "0" * 16, "random", "images", name_items(work.n))

    def encode(missing, look_up):
        for shard in missing:
            rng = np.random.default_rng(shard.start)
            yield make_units(rng, shard.stop - shard.start, 1, work.dim), None, {}

    return entry.fill(encode, dict).vectors


def name_items(n):
    return tuple(map(str, range(n)))


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
    command = [sys.executable, "-c", MEASURE_MEMORY, str(folder), str(work.n), str(work.queries)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.parametrize("work", STREAMED, ids=lambda work: work.name.replace(" ", "-"))
def test_streaming(work, keep, tmp_path):
    """Ranking of what a store holds, read by blocks from its mapped shards, and the memory that takes."""
    case = Case(work, fill_store(tmp_path, work))
    row = case.compare(case.multiply)
    keep(replace(row, own_mib=measure_memory(tmp_path, work)))
    shutil.rmtree(tmp_path)


def search_faiss(queries, items, targets):
    """Seconds of the first 100 items of each query, without the rank of a target that is not among them."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(items.shape[1])
    index.add(items)
    return measure_seconds(lambda: index.search(queries, min(100, len(items))))


def measure_torchmetrics(queries, items, targets):
    """Seconds of the reciprocal rank of each query."""
    import torch
    from torchmetrics.functional.retrieval import retrieval_reciprocal_rank

    def work():
        scores = torch.from_numpy(queries) @ torch.from_numpy(items).T
        for row, target in zip(scores, targets.tolist(), strict=True):
            relevant = torch.zeros(len(row), dtype=torch.bool)
            relevant[target] = True
            retrieval_reciprocal_rank(row, relevant)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return measure_seconds(work)
    finally:
        torch.set_num_threads(threads)


def sort_tuples(queries, items, targets):
    """Seconds of sorting (score, id) tuples for each query, as M3RT does."""
    names = list(name_items(len(items)))

    def work():
        for query, target in zip(queries, targets.tolist(), strict=True):
            ranked = sorted(zip((items @ query).tolist(), names, strict=True), reverse=True)
            next(i for i, (_, name) in enumerate(ranked, 1) if name == names[target])

    return measure_seconds(work)


#: What the CSV file calls a peer -> its distribution, the seconds of some queries, and the most scores it is asked for.
PEERS = {
    "faiss flat, first 100": ("faiss-cpu", search_faiss, 10**8),
    "torchmetrics": ("torchmetrics", measure_torchmetrics, 10**7),
    "sorted tuples": ("numpy", sort_tuples, 10**6 if FULL else 10**5),
}


@pytest.mark.parametrize("work", CURVE, ids=lambda work: f"{work.queries}-{work.items}")
def test_curve(work, keep):
    """Ranking against its products, and against peers that are installed; what they take longer for is scaled up."""
    case = Case(work)
    row = case.compare(case.multiply)
    keep(row)
    for name, (package, peer, most_scores) in PEERS.items():
        try:
            made_with = describe_software("numpy", package)
        except importlib.metadata.PackageNotFoundError:
            continue
        many = min(work.queries, max(1, most_scores // work.n))
        with threadpool_limits(1, user_api="blas"):
            times = [
                peer(case.queries[:many], case.items, case.targets[:many])
                for _ in range(work.rounds)
            ]
        ratios = [work.queries / many * seconds / row.seconds for seconds in times]
        wanted = 1.0 if peer is not sort_tuples else 150 if work.n >= 100_000 else math.nan
        spread = dict(zip(("ratio", "lowest", "highest"), find_spread(ratios), strict=True))
        keep(replace(row, against=name, at_least=wanted, made_with=made_with, **spread))


def test_decode_and_embed(model, dataset, benchmark):
    paths = dataset.collection.paths[:256]
    vectors = benchmark(lambda: model.encode_images([read_image(path) for path in paths]))
    benchmark.extra_info |= {"model": model.name, "dataset": dataset.name, "images": len(vectors)}


@pytest.mark.parametrize("network", ["vit-b-32", "negligible"])
def test_embedding_against_its_limit(network, benchmark, tmp_path_factory):
    """JPEGs of 640 x 480 through embed_collection, with random weights.

    On a CPU decoding and forward passes share the cores, so nothing is faster than
    cores / (CPU time of the forward pass + CPU time of decoding and preparing, per image). Both are measured
    with all cores busy, because cores that share caches and memory are slower together than alone.
    """
    torch = pytest.importorskip("torch", reason="needs kis-bench[openclip]")
    open_clip = pytest.importorskip("open_clip", reason="needs kis-bench[openclip]")
    from kis_bench.encoders.openclip.encoder import OpenClipEncoder

    class Negligible(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encode_image = torch.nn.Sequential(
                torch.nn.Conv2d(3, 16, 32, 32), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
            )

    model = open_clip.create_model("ViT-B-32") if network == "vit-b-32" else Negligible()
    preprocess = open_clip.image_transform(
        224, is_train=False, interpolation="bicubic", resize_mode="shortest"
    )
    tokenizer = open_clip.get_tokenizer("ViT-B-32")
    checkpoint = Checkpoint(network, "python:random:weights")
    dim = 512 if network == "vit-b-32" else 16
    encoder = OpenClipEncoder(
        checkpoint, network, "cpu", "fp32", dim, model, preprocess, tokenizer, None
    )
    collection = jpegs(tmp_path_factory.mktemp("jpegs"), 192 if network == "vit-b-32" else 1024)
    batch, threads = encoder.batch_size, torch.get_num_threads()
    prepared = [encoder.prepare_image(read_image(path)) for path in collection.paths[: 2 * batch]]
    answers, names = encoder.encode_prepared(prepared), list(collection.ids[: 2 * batch])

    def cpu_seconds(work, n):
        started = time.process_time()
        work()
        return (time.process_time() - started) / n

    def decode(n):
        with ThreadPoolExecutor(threads) as pool:
            for pixels in pool.map(
                lambda path: encoder.prepare_image(read_image(path)), collection.paths[:n]
            ):
                del pixels

    def ratio():
        decoding = cpu_seconds(lambda: decode(192), 192)
        forward = cpu_seconds(
            lambda: [encoder.encode_prepared(prepared[i::2]) for i in range(2)], 2 * batch
        )
        store = Store(tmp_path_factory.mktemp("store"))
        started = time.perf_counter()
        embed_collection(collection, encoder, store)
        per_image = (time.perf_counter() - started) / len(collection)
        checking = cpu_seconds(lambda: require_unit_vectors(names, answers, (1, dim)), len(names))
        return (decoding + forward) / threads / per_image, checking / per_image

    ratio()  # warms up
    found, checks = zip(*(ratio() for _ in range(5)), strict=True)
    benchmark.pedantic(
        lambda: embed_collection(collection, encoder, Store(tmp_path_factory.mktemp("store")))
    )
    benchmark.extra_info |= {"network": network, "of its limit": statistics.median(found)}
    benchmark.extra_info["share of checks"] = statistics.median(checks)
    print(
        f"\n{network}: {statistics.median(found):.2f} of the limit ({min(found):.2f} to {max(found):.2f}); "
        f"checks of vectors take {statistics.median(checks):.3%} of the run"
    )


def jpegs(folder, n):
    """The same 48 pictures again and again, as items of their own."""
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC)
    for i in range(48):
        picture.rotate(i).save(folder / f"{i}.jpg", quality=90)
    ids = tuple(map(str, range(n)))
    return Collection("jpegs", ids, tuple(folder / f"{i % 48}.jpg" for i in range(n)), ids)


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
