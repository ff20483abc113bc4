"""Ranks in fused lists against going through all items."""

import itertools

import numpy as np
import pandas as pd
import pytest
from in_shares import InShares

from kis_bench.fusion import rank_scores
from kis_bench.measuring import fused_places
from kis_bench.measuring import fused_ranks as module
from kis_bench.measuring.fused_ranks import FUSED, LIST_WEIGHTS, fuse_ranks
from kis_bench.measuring.top_lists import TopList, make_top_list
from kis_bench.ranking import target_ranks
from kis_bench.statistics.clusters import link_sets
from kis_bench.statistics.cross_validation import assign_parts, choose_on_others


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def models(seed=0, m=3, q=12, n=30, v=1, twins=True):
    rng = np.random.default_rng(seed)
    items = [unit(rng.standard_normal((n, v, 8))) for _ in range(m)]
    for each in items if twins else ():
        each[5] = each[4]
        each[9] = each[8]
    texts = [
        unit(each[rng.integers(0, n, q), 0] + 0.5 * rng.standard_normal((q, 8))) for each in items
    ]
    targets = [[int(t)] for t in rng.integers(0, n, q)]
    targets[0], targets[1], targets[2] = [4], [8, 20], [5]
    return texts, items, targets, [f"m{i}" for i in range(m)], [f"q{i}" for i in range(q)]


def fused_ranks(texts, items, targets, names, queries, *, depth=1000, **choices):
    n = len(items[0])
    lists = [
        make_top_list(target_ranks(t, i, targets, top_k=min(depth + 1, n), top_scores=True))
        for t, i in zip(texts, items, strict=True)
    ]
    return fuse_ranks(lists, targets, names, queries, n_items=n, depth=depth, **choices)


def brute(texts, items, targets, chosen, method, depth, weight=None):
    """Best and worst ranks by vectors."""
    scores = [
        [np.round((own.astype(float) @ text.astype(float)).max(axis=1), 12) for text in rows]
        for own, rows in zip(items, texts, strict=True)
    ]
    return brute_by_scores(scores, targets, chosen, method, depth, weight)


def brute_by_scores(scores, targets, chosen, method, depth, weight=None):
    """Best and worst ranks, query by query, item by item."""
    found = []
    n = len(scores[0][0])
    for q, wanted in enumerate(targets):
        totals, counts = np.zeros(n), np.zeros(n)
        every = [scores[i][q] for i in chosen]
        held = [first(own, depth) for own in every]
        telling = [place for place, (order, _) in enumerate(held) if order]
        if weight in (0, 1) or len(telling) == 1:
            alone = {None: telling[0] if telling else None, 1: 0, 0: 1}[
                weight if weight in (0, 1) else None
            ]
            found.append(stands(every[alone], wanted))
            continue
        for place, own in enumerate(every):
            order, low = held[place]
            high = own.max()
            for item in order:
                rank = np.flatnonzero(own[order] == own[item]).mean() + 1
                scaled = (own[item] - low) / (high - low) if high > low else 0.0
                share = {None: 1.0, 0: weight, 1: 1 - (weight or 0)}[
                    place if method == "weighted" else None
                ]
                totals[item] += 1 / (60 + rank) if method == "rrf" else share * scaled
                counts[item] += 1
        if method == "comb_mnz":
            totals *= counts
        found.append(stands(totals, wanted))
    return found


def first(scores, depth):
    """The items of a list that are fused, and the end of its scale."""
    order = sorted(range(len(scores)), key=lambda item: -scores[item])
    if scores.min() == scores.max():
        return [], 0.0
    if len(scores) <= depth or scores[order[depth]] < scores[order[depth - 1]]:
        return order[:depth], scores[order[:depth]].min()
    return [item for item in order if scores[item] > scores[order[depth]]], scores[order[depth]]


def stands(totals, wanted):
    target = totals[wanted].max()
    others = np.delete(totals, wanted)
    above, level = np.count_nonzero(others > target), np.count_nonzero(others == target)
    return above + 1, above + level + 1


def coarse(m=3, q=12, n=30):
    """Models that tie much: few different pictures, and texts on which the last model knows nothing."""
    rng = np.random.default_rng(3)
    kinds = unit(rng.standard_normal((m, 4, 1, 8)))
    items = [each[rng.integers(0, 4, n)] for each in kinds]
    texts = [unit(rng.standard_normal((q, 8))) for _ in range(m)]
    items[m - 1][:], texts[m - 1][q // 2 :] = (
        unit(np.eye(8)[[0] * n])[:, None],
        unit(np.eye(8)[[1] * (q - q // 2)]),
    )
    return (
        texts,
        items,
        [[int(t)] for t in rng.integers(0, n, q)],
        [f"m{i}" for i in range(m)],
        [f"q{i}" for i in range(q)],
    )


@pytest.mark.parametrize(
    ("v", "depth"), [(1, 1000), (3, 1000), (1, 7), (0, 1000), (0, 9), (0, 30), (0, 29)]
)
def test_like_going_through_all_items(v, depth):
    texts, items, targets, names, queries = models(v=v) if v else coarse()
    table = fused_ranks(texts, items, targets, names, queries, depth=depth)
    assert list(table.columns) == FUSED
    for size, method in itertools.product((2, 3), ("rrf", "comb_sum", "comb_mnz")):
        for chosen in itertools.combinations(range(3), size):
            rows = table[
                (table.method == method)
                & (table.model_1 == names[chosen[0]])
                & (table.model_2 == names[chosen[1]])
            ]
            rows = rows[rows.model_3.isna() if size == 2 else rows.model_3.eq(names[chosen[-1]])]
            expected = brute(texts, items, targets, chosen, method, depth)
            assert list(zip(rows.rank_best, rows.rank_worst, strict=True)) == expected
            assert rows["rank"].tolist() == [(best + worst) / 2 for best, worst in expected]
            assert rows.query_id.tolist() == queries


def test_weights_are_learned_without_the_query():
    texts, items, targets, names, queries = models(q=15)
    table = fused_ranks(texts, items, targets, names, queries, folds=5)
    rows = table[(table.method == "weighted") & (table.model_1 == "m0") & (table.model_2 == "m2")]
    every = {
        w: brute(texts, items, targets, (0, 2), "weighted", 1000, w) for w in LIST_WEIGHTS.tolist()
    }
    gain = {w: np.array([2 / (a + b) for a, b in places]) for w, places in every.items()}
    parts = assign_parts(link_sets(targets).tolist(), 5, 0)
    assert all(
        parts[a] == parts[b] for a in range(15) for b in range(15) if {*targets[a]} & {*targets[b]}
    )
    assert any(
        {*targets[a]} & {*targets[b]} and {*targets[a]} != {*targets[b]}
        for a in range(15)
        for b in range(15)
    )
    for q, row in enumerate(rows.itertuples()):
        others = parts != parts[q]
        best = max(round(float(gain[w][others].mean()), 12) for w in gain)
        equal = [w for w in gain if round(float(gain[w][others].mean()), 12) == best]
        assert row.parameter == min(equal, key=lambda w: LIST_WEIGHTS.tolist().index(w))
        assert (row.rank_best, row.rank_worst) == every[row.parameter][q]


@pytest.mark.parametrize("depth", [1000, 7])
def test_all_weight_on_a_model_is_that_model(monkeypatch, depth):
    """To the end of its list, and by its own ties."""
    for weight in (1.0, 0.0):
        monkeypatch.setattr(module, "LIST_WEIGHTS", np.array([weight]))
        texts, items, targets, names, queries = models(m=2)
        table = fused_ranks(texts, items, targets, names, queries, depth=depth)
        rows = table[table.method == "weighted"]
        own = target_ranks(texts[1 - int(weight)], items[1 - int(weight)], targets)
        assert rows.parameter.eq(weight).all()
        assert (rows.rank_best.tolist(), rows.rank_worst.tolist()) == (
            own.best.tolist(),
            own.worst.tolist(),
        )


@pytest.mark.parametrize("depth", [1000, 30, 29, 7])
def test_a_list_that_tells_nothing_changes_nothing(depth):
    """Fused with a constant model every method gives the model's own ranks; items aren't preferred by their order."""
    texts, items, targets, names, queries = models(m=2)
    constant = np.zeros((len(items[0]), 1, 8), np.float32)
    constant[:, 0, 0] = 1
    for place in (0, 1):
        pair = [(texts[0], items[0]), (texts[1], constant)][:: 1 - 2 * place]
        table = fused_ranks(
            *map(list, zip(*pair, strict=True)), targets, names, queries, depth=depth
        )
        own = target_ranks(texts[0], items[0], targets)
        assert {*table.method} == {"rrf", "comb_sum", "comb_mnz", "weighted"}
        for _, rows in table[table.parameter != place].groupby(
            "method"
        ):  # but with all weight on the constant one
            at = [queries.index(query) for query in rows.query_id]
            assert len(at) > 4
            assert rows.rank_best.tolist() == own.best[at].tolist()
            assert rows.rank_worst.tolist() == own.worst[at].tolist()


@pytest.mark.parametrize("depth", [1000, 9])
def test_the_order_of_the_collection_changes_nothing(depth):
    texts, items, targets, names, queries = coarse()
    there = np.random.default_rng(1).permutation(30)
    back = there.argsort()
    moved = fused_ranks(
        texts,
        [each[there] for each in items],
        [[int(back[t]) for t in some] for some in targets],
        names,
        queries,
        depth=depth,
    )
    assert (
        fused_ranks(texts, items, targets, names, queries, depth=depth)
        .drop(columns="parameter")
        .equals(moved.drop(columns="parameter"))
    )


def test_blocks_change_nothing(monkeypatch):
    whole = fused_ranks(*models(q=20))
    monkeypatch.setattr(module, "LISTED_AT_ONCE", 300)
    small = fused_ranks(*models(q=20))
    assert whole.equals(small)


def test_identical_pictures_tie():
    texts, items, targets, names, queries = models()
    table = fused_ranks(texts, items, targets, names, queries)
    of = table.set_index("query_id")
    assert (of.loc["q0", "rank_worst"] - of.loc["q0", "rank_best"] >= 1).all()


def test_of_many_models_the_best_are_combined(monkeypatch):
    monkeypatch.setattr(module, "MOST_IN_PAIRS", 3)
    monkeypatch.setattr(module, "MOST_IN_TRIPLES", 2)
    table = fused_ranks(*models(m=5))
    assert len({*table.model_1} | {*table.model_2}) == 3
    assert table.model_3.isna().all()


def test_one_target_for_all_leaves_nothing_to_learn_on():
    texts, items, targets, names, queries = models(m=2)
    table = fused_ranks(texts, items, [[3]] * len(queries), names, queries)
    assert "weighted" not in set(table.method)
    with pytest.raises(ValueError, match="two of each"):
        fused_ranks(texts[:1], items[:1], targets, names[:1], queries)


def test_lists_of_another_depth_are_refused():
    texts, items, targets, names, queries = models(m=2)
    lists = [
        make_top_list(target_ranks(t, i, targets, top_k=5, top_scores=True))
        for t, i in zip(texts, items, strict=True)
    ]
    with pytest.raises(ValueError, match=r"m0: lists of shape \[12, 5\]; \[12, 11\] is needed"):
        fuse_ranks(lists, targets, names, queries, n_items=30, depth=10)


def test_parts_keep_equal_keys_together():
    parts = assign_parts(list("aabbccddee"), 3, 0)
    assert all(parts[i] == parts[i + 1] for i in range(0, 10, 2))
    assert {*parts.tolist()} == {0, 1, 2}
    assert choose_on_others(np.zeros((2, 3)), np.zeros(2, np.int64)) is None
    values = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 5.0]])
    assert choose_on_others(values, np.array([0, 1, 2])).tolist() == [1, 1, 0]


def list_by_scores(scores, targets, depth):
    """A `TopList` of made-up scores ``[q, n]``."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, : depth + 1]
    best, worst = np.array([stands(row, own) for row, own in zip(scores, targets, strict=True)]).T
    return TopList(
        order.astype(np.int32),
        np.take_along_axis(scores, order, axis=1),
        best,
        worst,
        (best + worst) / 2,
    )


@pytest.mark.parametrize(("depth", "at_once"), [(25, 1), (59, 2**13), (100, 2**13)])
def test_like_the_definition_by_whatever_scores_to_the_last_bit(monkeypatch, depth, at_once):
    """Few levels, levels as close as rounding leaves them, lists without the targets, up to three targets, n 60."""
    monkeypatch.setattr(fused_places, "FUSED_AT_ONCE", at_once)
    rng = np.random.default_rng(depth)
    q, n, names = 16, 60, ["m0", "m1", "m2", "m3"]
    levels = rng.uniform(-0.2, 0.9, 12).round(12)
    close = (0.5 + 1e-12 * np.arange(12)).round(12)
    scores = [
        rng.choice(levels, (q, n)),
        rng.uniform(-1, 1, (q, n)).round(12),
        np.where(rng.random((q, 1)) < 0.5, rng.choice(close, (q, n)), rng.choice(levels, (q, n))),
        rng.uniform(-1, 1, (q, n)).round(1),
    ]
    scores[1][:5] = scores[0][:5]  # models that agree in all, on some queries
    scores[3][5:8] = 0.25  # one that knows nothing
    targets = [rng.choice(n, rng.integers(1, 4), replace=False).tolist() for _ in range(q)]
    lists = [list_by_scores(each, targets, depth) for each in scores]
    queries = [str(i) for i in range(q)]
    table = fuse_ranks(lists, targets, names, queries, n_items=n, depth=depth)
    by_cell = table.groupby(["model_1", "model_2", "model_3", "method"], dropna=False)
    assert len(by_cell) == 6 * 4 + 4 * 3
    for (*models_, method), rows in by_cell:
        chosen = [names.index(model) for model in models_ if isinstance(model, str)]
        places = list(zip(rows.rank_best, rows.rank_worst, strict=True))
        if method != "weighted":
            assert places == brute_by_scores(scores, targets, chosen, method, depth)
            continue
        for weight in set(rows.parameter):
            at = np.flatnonzero(rows.parameter == weight)
            some = [each[at] for each in scores], [targets[i] for i in at]
            assert [places[i] for i in at] == brute_by_scores(*some, chosen, method, depth, weight)


def test_places_in_lists_are_ranks_of_scores():
    rng = np.random.default_rng(0)
    scores = -np.sort(-rng.integers(0, 6, (20, 9)).astype(float), axis=1)
    lengths = rng.integers(1, 10, 20)
    held = np.arange(9) < lengths[:, None]
    found = fused_places.rank_lists(scores, held)
    for row, n, own in zip(scores, lengths, found, strict=True):
        assert own[:n].tolist() == rank_scores(row[:n]).tolist()


@pytest.mark.parametrize("depth", [5, 20])
def test_lists_made_in_shares_are_fused_the_same(depth):
    """Their scores may differ in the last bits, so that what ties in one has to tie in the other."""
    texts, items, targets, names, queries = models(q=40, n=400, v=2)
    options = {"top_k": min(depth + 1, 400), "top_scores": True}
    ranks = [
        [
            target_ranks(t, i, targets, engine=engine, block_items=width, **options)
            for t, i in zip(texts, items, strict=True)
        ]
        for engine, width in (("numpy", None), (InShares(), 7))
    ]
    for here, there in zip(*ranks, strict=True):
        np.testing.assert_array_equal(here.top_items, there.top_items)
        np.testing.assert_allclose(here.top_scores, there.top_scores, rtol=0, atol=2**-50)
        ties = [np.diff(one.top_scores, axis=1) == 0 for one in (here, there)]
        np.testing.assert_array_equal(*ties)
    assert any(
        (here.top_scores != there.top_scores).any() for here, there in zip(*ranks, strict=True)
    )
    here, there = (
        fuse_ranks([*map(make_top_list, each)], targets, names, queries, n_items=400, depth=depth)
        for each in ranks
    )
    pd.testing.assert_frame_equal(here, there)
