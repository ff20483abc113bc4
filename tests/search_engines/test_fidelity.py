"""What engines do to ranks, query by query and over all of them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kis_bench.metrics import recall_at_k
from kis_bench.ranking import target_ranks
from kis_bench.search_engines.fidelity import (
    CUTOFFS,
    DEPTHS,
    TIMED_RESULTS,
    Answers,
    summarise_queries,
    tabulate_queries,
)
from kis_bench.search_engines.rescoring import Rescorer
from kis_bench.statistics.clusters import link_sets


@pytest.fixture(scope="module")
def search():
    rng = np.random.default_rng(1)
    items = rng.standard_normal((300, 1, 8)).astype(np.float32)
    items[200:210] = items[5]  # equals
    targets = [[int(i)] for i in rng.integers(0, 210, 60)]
    queries = items[[t for (t,) in targets], 0] + rng.standard_normal((60, 8)).astype(np.float32)
    return queries, items, targets


def answer_exactly(queries, items, skip=()):
    scores = queries.astype(np.float64) @ items[:, 0].T.astype(np.float64)
    scores[:, list(skip)] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")


def make_answers(order, n):
    by_depth = {depth: order[:, : min(depth, n)] for depth in DEPTHS}
    return Answers(by_depth, by_depth[TIMED_RESULTS][:20], by_depth[TIMED_RESULTS][:20])


def test_an_exact_engine_loses_nothing_and_tells_every_rank(search):
    queries, items, targets = search
    ranks = target_ranks(queries, items, targets)
    answers = make_answers(answer_exactly(queries, items), len(items))
    table = tabulate_queries(ranks, answers, Rescorer(queries, items, targets))
    found = summarise_queries(table, answers, link_sets(targets))
    assert found["found"] == found["rank_told"] == found["equal_again"] == found["equal_alone"] == 1
    assert 0 < found["tied"] < 1
    assert (table["rescored_best"] == ranks.best).all()
    assert (table["rescored_worst"] == ranks.worst).all()
    for k in CUTOFFS:
        assert found[f"lost@{k}"] == pytest.approx(0, abs=1e-12)
        assert found[f"lost@{k}_low"] < 0 < found[f"lost@{k}_high"]
        assert found[f"recall@{k}"] == pytest.approx(recall_at_k(ranks.best, ranks.worst, k))


def test_an_engine_that_lost_items_is_found_out(search):
    queries, items, targets = search
    lost = [targets[0][0], targets[1][0]]
    ranks = target_ranks(queries, items, targets)
    answers = make_answers(answer_exactly(queries, items, skip=lost)[:, :290], 290)
    table = tabulate_queries(ranks, answers, Rescorer(queries, items, targets))
    found = summarise_queries(table, answers, link_sets(targets))
    here = np.array([t[0] not in lost for t in targets])
    assert table["found"].tolist() == here.tolist()
    assert found["found"] == pytest.approx(here.mean())
    assert table.loc[~here, ["position", "rescored_best", "rescored_worst"]].isna().all(axis=None)
    assert found["lost@100"] > 0
    assert found["rank_told"] < 1


def test_positions_as_returned_and_scored_again_are_different_things(search):
    queries, items, targets = search
    order = answer_exactly(queries, items)
    ranks = target_ranks(queries, items, targets)
    turned = make_answers(order[:, ::-1], len(items))
    table = tabulate_queries(ranks, turned, Rescorer(queries, items, targets))
    assert (table["rescored_best"] == ranks.best).all()
    plain = [order[i, ::-1].tolist().index(t) + 1 for i, (t,) in enumerate(targets)]
    assert table["position"].tolist() == plain
    assert table["returned@1"].sum() == sum(place == 1 for place in plain)


def test_queries_of_one_target_are_no_independent_evidence(search):
    queries, items, targets = search
    ranks = target_ranks(queries, items, targets)
    answers = make_answers(answer_exactly(queries, items, skip=[targets[0][0]])[:, :299], 299)
    table = tabulate_queries(ranks, answers, Rescorer(queries, items, targets))
    widths = []
    for clusters in (np.arange(60), np.maximum(0, np.arange(60) - 19)):
        found = summarise_queries(table, answers, clusters)
        widths.append(found["lost@100_high"] - found["lost@100_low"])
    assert widths[0] < widths[1]


def test_further_builds_have_a_spread(search):
    queries, items, targets = search
    ranks, order = target_ranks(queries, items, targets), answer_exactly(queries, items)
    rescorer, clusters = Rescorer(queries, items, targets), link_sets(targets)
    lost = [t for (t,) in targets[:30]]
    worse = answer_exactly(queries, items, skip=lost)[:, :TIMED_RESULTS]
    answers = make_answers(order, len(items))
    once = summarise_queries(tabulate_queries(ranks, answers, rescorer), answers, clusters)
    assert once["lost@10_lowest_build"] == once["lost@10"] == once["lost@10_highest_build"]
    answers = replace(answers, rebuilt=[order[:, :TIMED_RESULTS], worse])
    table = tabulate_queries(ranks, answers, rescorer)
    found = summarise_queries(table, answers, clusters)
    assert found["lost@10_lowest_build"] == pytest.approx(0, abs=1e-12)
    own = 100 * (table["exact@10"].mean() - table["rebuilt@10_2"].mean())
    assert found["lost@10_highest_build"] == pytest.approx(own)
    assert own > 5
    assert found["lost@10"] == once["lost@10"]


def test_columns_of_queries(search):
    queries, items, targets = search
    ranks = target_ranks(queries, items, targets)
    answers = make_answers(answer_exactly(queries, items), len(items))
    table = tabulate_queries(ranks, answers, Rescorer(queries, items, targets))
    assert isinstance(table, pd.DataFrame)
    assert len(table) == len(queries)
    assert (table["results"] == 300).all()
