"""What a library does by itself with vectors that tell: its metric, its limits, its order of equals, its precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from kis_bench.records import Float32s, Float64s
from kis_bench.search_engines.engines.plain_search import PlainSearch

OpenPlainly: TypeAlias = Callable[[Float32s], PlainSearch]  #: stores items, each time anew

EQUALS, EQUAL_DEPTHS = 3000, (1, 10, 100)
MANY_ITEMS = 20_000
ASKED_RESULTS = (10, 100, 1000, 4096, 4097, 10_000, 16_384, 16_385, MANY_ITEMS)
MOST_DIMENSIONS = 65_536  #: of a vector that is tried
SCORE_PAIRS = 20  #: of items whose scores differ by a known step
MOST_HALVINGS = 24
SHORT_ERROR = 60  #: letters of what an engine says


def find_default_metric(open_plainly: OpenPlainly) -> str:
    """Which metric puts which of three items first."""
    items = np.zeros((3, 8), dtype=np.float32)
    items[:, :2] = [0.9, 0.3], [0.1, 0], [3, 2]
    query = np.eye(1, 8, dtype=np.float32)
    (found,) = open_plainly(items)(query, 1)
    return ("L2", "cosine", "inner product")[found.ids[0]]


def count_results(open_plainly: OpenPlainly) -> str:
    """How many of 300 items come where their number isn't said."""
    items = draw_unit_rows(300, 8)
    search = open_plainly(items)
    try:
        (found,) = search(items[:1], None)
    except Exception as error:  # each library has its own
        return f"has to be told ({type(error).__name__})"
    return "all" if len(found.ids) == len(items) else str(len(found.ids))


def find_first_equals(open_plainly: OpenPlainly) -> str:
    """Which of 3,000 equal items comes first, for several numbers of results."""
    firsts = [ids[0] if ids else "none" for ids in ask_equals(open_plainly)]
    return ", ".join(f"k {k}: {first}" for k, first in zip(EQUAL_DEPTHS, firsts, strict=True))


def describe_order(open_plainly: OpenPlainly) -> str:
    """How 3,000 equal items are ordered, and whether more results begin with the same ones."""
    answers = ask_equals(open_plainly)
    steps = np.diff(answers[-1])
    order = "ascending" if (steps > 0).all() else "descending" if (steps < 0).all() else "mixed"
    begins = all(answers[-1][: len(ids)] == ids for ids in answers)
    return f"{order}, {'the same' if begins else 'others'} with another k"


def ask_equals(open_plainly: OpenPlainly) -> list[list[int]]:
    items = np.repeat(draw_unit_rows(1, 16), EQUALS, axis=0)
    search = open_plainly(items)
    return [list(search(items[:1], k)[0].ids) for k in EQUAL_DEPTHS]


def score_itself(open_plainly: OpenPlainly) -> str:
    """The range of what it says of unit vectors compared with themselves."""
    items = draw_unit_rows(300, 512)
    found = open_plainly(items)(items, 1)
    own = [one.scores[0] for i, one in enumerate(found) if list(one.ids) == [i]]
    if not own:
        return "none finds itself"
    lost = f"; {len(items) - len(own)} of {len(items)} don't find themselves"
    return f"{min(own):.9g} to {max(own):.9g}" + (lost if len(own) < len(items) else "")


def find_finest_step(open_plainly: OpenPlainly) -> str:
    """The smallest difference of scores that decides 20 pairs rightly, and that of a product in float32."""

    def search_plainly(items: Float32s, query: Float32s) -> list[int]:
        return list(open_plainly(items)(query, len(items))[0].ids)

    def multiply(items: Float32s, query: Float32s) -> list[int]:
        ranked: list[int] = np.argsort(-(items @ query[0]), kind="stable").tolist()
        return ranked

    own, plain = map(describe_step, map(count_halvings, (search_plainly, multiply)))
    return f"{own} (float32: {plain})"


def describe_step(halvings: int) -> str:
    """The step in words, of which no smaller one is tried than the last."""
    return f"{2.0**-halvings:.0e}" + (" or less" if halvings == MOST_HALVINGS else "")


def count_halvings(rank: Callable[[Float32s, Float32s], list[int]]) -> int:
    """How often a difference can be halved before a pair is ordered wrongly."""
    for halvings in range(1, MOST_HALVINGS + 1):
        if not in_order(rank(*make_pairs(2.0 ** -(halvings + 1)))):
            return halvings
    return MOST_HALVINGS


def in_order(ids: Sequence[int]) -> bool:
    """Whether of each pair, 2 j and 2 j + 1, the better one comes first: by turns the second and the first."""
    place, last = {item: i for i, item in enumerate(ids)}, SCORE_PAIRS * 2
    pairs = ((2 * j + 1 - j % 2, 2 * j + j % 2) for j in range(SCORE_PAIRS))
    return all(place.get(better, last) < place.get(worse, -1) for better, worse in pairs)


def make_pairs(step: float) -> tuple[Float32s, Float32s]:
    """Returns pairs of unit vectors that score 0.5 and 0.5 + step, the better one second and first by turns; the query.

    So no order among equal scores puts all pairs right.
    """
    random = np.random.default_rng(0)
    turned = np.linalg.qr(random.normal(size=(64, 64)))[0]
    scores = np.tile(0.5 + step * np.array([0, 1, 1, 0]), SCORE_PAIRS // 2)
    others = random.normal(size=(len(scores), 63))
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    rows = np.column_stack([scores, others * np.sqrt(1 - scores[:, None] ** 2)])
    return (rows @ turned).astype(np.float32), turned[:1].astype(np.float32)


def ask_beyond(open_plainly: OpenPlainly) -> str:
    """What five items give where eight are asked for."""
    items = draw_unit_rows(5, 8)
    (found,) = open_plainly(items)(items[:1], 8)
    ids = list(found.ids)
    if sorted(ids) == list(range(5)):
        return "5"
    return f"{len(ids)}: ids {', '.join(map(str, ids))}; last score {found.scores[-1]:.3g}"


def find_most_results(open_plainly: OpenPlainly) -> str:
    """How many of 20,000 items it gives at most."""
    items = draw_unit_rows(MANY_ITEMS, 4)
    search, most = open_plainly(items), 0
    for k in ASKED_RESULTS:
        try:
            (found,) = search(items[:1], k)
        except Exception as error:
            return f"{most:,}; {k:,} raises {describe_error(error)}"
        if len({*found.ids} - {-1}) < k:
            return f"{most:,}; {k:,} gives {len({*found.ids} - {-1}):,}"
        most = k
    return f"all {most:,}"


def find_most_numbers(open_plainly: OpenPlainly) -> str:
    """How many numbers a vector may have, up to 65,536."""

    def try_numbers(d: int) -> str:
        items = draw_unit_rows(2, d)
        try:
            (found,) = open_plainly(items)(items[1:], 1)
        except Exception as error:
            return describe_error(error)
        return "" if list(found.ids) == [1] else f"finds {list(found.ids)}"

    if not try_numbers(MOST_DIMENSIONS):
        return f"{MOST_DIMENSIONS:,} or more"
    good, bad = 1, MOST_DIMENSIONS
    while bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (good, middle) if try_numbers(middle) else (middle, bad)
    return f"{good:,}; {bad:,} raises {try_numbers(bad)}"


def compare_batch(open_plainly: OpenPlainly) -> str:
    """How many of 100 queries have one answer alone, in a batch and repeated within it."""
    items = draw_unit_rows(2000, 64, groups=40)
    search, queries = open_plainly(items), draw_unit_rows(100, 64)
    doubled = search(np.concatenate([queries, queries]), 10)
    alone = [search(query[None], 10)[0] for query in queries]
    same = [
        list(one.ids) == list(first.ids) == list(second.ids)
        for one, first, second in zip(alone, doubled[:100], doubled[100:], strict=True)
    ]
    return f"{sum(same)} of {len(same)}"


def compare_builds(open_plainly: OpenPlainly) -> str:
    """How many of 100 queries have the same first hundred after the same items were stored again."""
    items, queries = draw_unit_rows(2000, 64, groups=40), draw_unit_rows(100, 64)
    one, other = (open_plainly(items)(queries, 100) for _ in range(2))
    same = [list(a.ids) == list(b.ids) for a, b in zip(one, other, strict=True)]
    return f"{sum(same)} of {len(same)}"


def draw_unit_rows(n: int, d: int, groups: int = 0) -> Float32s:
    """Returns unit vectors ``[n, d]`` in all directions or in groups, the same each time."""
    random = np.random.default_rng([n, d])
    rows: Float64s = random.normal(size=(n, d))
    if groups:
        rows += 2 * random.normal(size=(groups, d))[random.integers(groups, size=n)]
    unit: Float32s = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def describe_error(error: Exception) -> str:
    said = " ".join(str(error).split())
    short = said if len(said) <= SHORT_ERROR else f"{said[: SHORT_ERROR - 1]}…"
    return f"{type(error).__name__}: {short}".removesuffix(": ")


#: What the table says of each engine -> what finds it out.
FACTS: dict[str, Callable[[OpenPlainly], str]] = {
    "metric, if none is told": find_default_metric,
    "results, if no number is told": count_results,
    "first of 3,000 equal items": find_first_equals,
    "order of equal items": describe_order,
    "score of unit vectors with themselves": score_itself,
    "smallest difference of scores told apart": find_finest_step,
    "results of 5 items, 8 asked for": ask_beyond,
    "most results of 20,000 items": find_most_results,
    "most numbers in a vector": find_most_numbers,
    "same answer alone and in a batch": compare_batch,
    "same answer after building again": compare_builds,
}
