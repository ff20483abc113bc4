"""A person types a text; where among all images is the one that they had in mind?"""


def test_known_item_search(model, dataset, query_set, known_item_search):
    ranks = known_item_search(model, dataset, query_set)

    assert len(ranks.rank) == len(query_set.queries)
    assert (ranks.best >= 1).all()
    assert (ranks.worst <= len(dataset.collection)).all()
