"""What is said of a library follows from what it answers: libraries of a few lines with known habits."""

import re

import numpy as np
import pytest

from kis_bench.search_engines import facts
from kis_bench.search_engines.engines.plain_search import PlainAnswer


def open_exact(score, order=1, most=None, default=10, pad=None, dtype=np.float32, most_d=10**6):
    """A library that compares all items, with habits."""

    def open_plainly(items):
        stored = items.astype(dtype).astype(np.float32)
        if items.shape[1] > most_d:
            raise ValueError(f"dimension {items.shape[1]} is too large")

        def search(queries, k):
            if k is None and default is None:
                raise TypeError("k is missing")
            k = default if k is None else k
            if most is not None and k > most:
                raise RuntimeError(f"limit {most}")
            rows = []
            for query in queries.astype(np.float32):
                scores = score(stored, query)
                ids = np.lexsort([order * np.arange(len(items)), -scores])[:k].tolist()
                far = scores[ids].tolist()
                if pad is not None:
                    far += [0.0] * (k - len(ids))
                    ids += [pad] * (k - len(ids))
                rows.append(PlainAnswer(ids, far))
            return rows

        return search

    return open_plainly


def by_product(items, query):
    return items @ query


def by_distance(items, query):
    return -np.linalg.norm(items - query, axis=1)


def by_cosine(items, query):
    return items @ query / np.linalg.norm(items, axis=1)


@pytest.mark.parametrize(
    ("score", "said"), [(by_product, "inner product"), (by_distance, "L2"), (by_cosine, "cosine")]
)
def test_metric(score, said):
    assert facts.find_default_metric(open_exact(score)) == said


@pytest.mark.parametrize(
    ("default", "said"), [(10, "10"), (10**6, "all"), (None, "has to be told (TypeError)")]
)
def test_number_of_results(default, said):
    assert facts.count_results(open_exact(by_product, default=default)) == said


def test_order_of_equals():
    assert facts.describe_order(open_exact(by_product)) == "ascending, the same with another k"
    falling = open_exact(by_product, order=-1)
    assert facts.describe_order(falling) == "descending, the same with another k"
    assert facts.find_first_equals(falling) == "k 1: 2999, k 10: 2999, k 100: 2999"

    def open_as_faiss(items):
        """Lowest ids, the last of them first."""
        return lambda queries, k: [PlainAnswer(list(range(k))[::-1], [1.0] * k)]

    assert facts.describe_order(open_as_faiss) == "descending, others with another k"
    assert facts.find_first_equals(open_as_faiss) == "k 1: 0, k 10: 9, k 100: 99"


def test_more_results_than_items():
    assert facts.ask_beyond(open_exact(by_product)) == "5"
    said = facts.ask_beyond(open_exact(by_product, pad=0))
    assert said.startswith("8: ids 0, ")
    assert said.endswith(", 0, 0, 0; last score 0")


def test_most_results():
    assert facts.find_most_results(open_exact(by_product)) == "all 20,000"
    said = facts.find_most_results(open_exact(by_product, most=4096))
    assert said == "4,096; 4,097 raises RuntimeError: limit 4096"

    def open_graph(items):
        return lambda queries, k: [PlainAnswer(list(range(min(k, 700))), [1.0] * min(k, 700))]

    assert facts.find_most_results(open_graph) == "100; 1,000 gives 700"


def test_most_numbers_in_a_vector():
    assert facts.find_most_numbers(open_exact(by_product)) == "65,536 or more"
    said = facts.find_most_numbers(open_exact(by_product, most_d=2000))
    assert said == "2,000; 2,001 raises ValueError: dimension 2001 is too large"


def test_precision():
    full, half = (
        facts.find_finest_step(open_exact(by_product, dtype=dtype))
        for dtype in (np.float32, np.float16)
    )
    own, _, product = full.partition(" (float32: ")
    assert own == product.removesuffix(")")
    assert float(own) < 1e-6
    assert float(half.partition(" ")[0]) > 8 * float(own)
    own = facts.score_itself(open_exact(by_product))
    assert all(abs(float(one) - 1) < 1e-6 for one in own.split(" to "))
    assert facts.score_itself(open_exact(lambda a, b: -(a @ b))) == "none finds itself"
    lost = facts.score_itself(open_exact(lambda a, b: (a @ b) * (a[:, 0] > 0)))
    assert re.fullmatch(r"[\d.]+ to [\d.]+; 1\d\d of 300 don't find themselves", lost)


@pytest.mark.parametrize("order", [1, -1])
def test_no_order_of_equals_passes_for_precision(order):
    nothing = open_exact(lambda items, query: np.zeros(len(items)), order=order)
    assert facts.find_finest_step(nothing).startswith("5e-01 ")


def test_what_was_not_tried_is_not_claimed(monkeypatch):
    monkeypatch.setattr(facts, "MOST_HALVINGS", 3)
    said = facts.find_finest_step(open_exact(by_product))
    assert said == "1e-01 or less (float32: 1e-01 or less)"


def test_batches_and_builds():
    exact = open_exact(by_product)
    assert facts.compare_batch(exact) == facts.compare_builds(exact) == "100 of 100"
    random = np.random.default_rng(0)

    def open_at_random(items):
        return lambda queries, k: [
            PlainAnswer(random.permutation(len(items))[:k].tolist(), [0.0] * k) for _ in queries
        ]

    assert facts.compare_batch(open_at_random) == facts.compare_builds(open_at_random) == "0 of 100"


def test_long_errors_are_short():
    assert facts.describe_error(ValueError("a\n  b " + "c" * 100)) == f"ValueError: a b {'c' * 55}…"
    assert facts.describe_error(ValueError()) == "ValueError"
