"""A question of our own: does the model read colours and forms, or colours only?"""

from kis_bench.metrics import recall_at_k


def test_finds_more_than_chance(model, dataset, query_set, known_item_search):
    ranks = known_item_search(model, dataset, query_set)

    assert recall_at_k(ranks.best, ranks.worst, 10) > 2 * 10 / len(dataset.collection)
