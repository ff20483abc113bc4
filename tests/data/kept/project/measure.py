"""The tests of the project whose run was kept."""


def test_known_item_search(model, dataset, query_set, known_item_search):
    known_item_search(model, dataset, query_set)


def test_complementarity(dataset, query_set, complementarity):
    complementarity(dataset, query_set)


def test_image_similarity(model, dataset, image_similarity):
    image_similarity(model, dataset)


def test_extractors_of_the_study(dataset, study_distances):
    study_distances(dataset)
