"""Two or three models asked the same: what do they find together that the best of them alone does not?"""


def test_complementarity(dataset, query_set, complementarity):
    combined = complementarity(dataset, query_set)

    assert set(combined.query_id) == {query.query_id for query in query_set.queries}
    assert (combined.rank_best >= 1).all()
    assert (combined.rank_worst <= len(dataset.collection)).all()
