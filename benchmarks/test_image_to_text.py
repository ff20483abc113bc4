"""A picture is there; where among all texts is the first of those that people wrote for it? --kis-direction both."""


def test_image_to_text(model, dataset, query_set, image_to_text):
    ranks = image_to_text(model, dataset, query_set)

    pictures = {item for query in query_set.queries for item in query.item_ids}
    assert len(ranks.rank) == len(pictures)
    assert (ranks.best >= 1).all()
    assert (ranks.worst <= len(query_set.queries)).all()
