"""A person was shown an image and two candidates; which one is more similar? How often do models choose the same?"""


def test_reset_consistency(model, dataset, image_similarity):
    consistency = image_similarity(model, dataset)

    assert 0 <= consistency <= 1


def test_extractors_of_the_study(dataset, study_distances):
    """Their distances come with the triplets: neither weights nor images are needed."""
    consistencies = study_distances(dataset)

    assert len(consistencies) == len(dataset.distances)
    assert all(0 <= consistency <= 1 for consistency in consistencies.values())
