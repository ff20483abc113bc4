"""How fast a model embeds and the collection is ranked. Loads models, so it is asked for: -m throughput."""

import statistics
import subprocess
import sys
import time

import pytest

from kis_bench.embed import embed_collection, embed_texts, read_image
from kis_bench.metrics import recall_at_k
from kis_bench.ranking import target_ranks
from kis_bench.search import targets
from kis_bench.store import Store

pytestmark = pytest.mark.throughput


def test_decode_and_embed(model, dataset, benchmark):
    paths = dataset.collection.paths[:256]
    vectors = benchmark(lambda: model.encode_images([read_image(path) for path in paths]))
    benchmark.extra_info |= {"model": model.name, "dataset": dataset.name, "images": len(vectors)}


def test_rank(model, dataset, query_set, benchmark, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("store"))
    items = embed_collection(dataset.collection, model, store)
    texts = embed_texts(query_set.queries, model, store)
    wanted = targets(dataset.collection, query_set.queries)
    ranks = benchmark(target_ranks, texts.vectors[:, 0], items.vectors, wanted)
    about = {"model": model.name, "query_set": query_set.id, "n_items": len(items.ids), "n_queries": len(texts.ids)}
    benchmark.extra_info |= about | {f"recall@{k}": recall_at_k(ranks.best, ranks.worst, k) for k in (1, 10, 100)}


def test_warm_run(benchmark, tmp_path, request):
    """A run with everything in the store against an empty pytest run that imports pandas and matplotlib."""
    plain = tmp_path / "test_empty.py"
    plain.write_text("import matplotlib.pyplot\nimport pandas\n\n\ndef test_nothing():\n    pass\n")
    suite = str(request.path.with_name("test_known_item_search.py"))
    quiet = ["-q", "-p", "no:cacheprovider", "--kis-report", str(tmp_path / "reports")]

    def seconds(*arguments):
        started = time.perf_counter()
        command = [sys.executable, "-m", "pytest", *quiet, *arguments]
        subprocess.run(command, cwd=request.config.rootpath, check=True, capture_output=True)
        return time.perf_counter() - started

    seconds(suite)  # fills the store
    pairs = [(seconds(suite), seconds(str(plain))) for _ in range(5)]
    benchmark.pedantic(seconds, (suite,))
    benchmark.extra_info["ratio to an empty run"] = statistics.median(warm / empty for warm, empty in pairs)
    print(f"\nwarm run / empty run: {benchmark.extra_info['ratio to an empty run']:.2f}")
