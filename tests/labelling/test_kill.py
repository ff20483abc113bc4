"""The server is killed at random moments while people write."""

import os
import random
import signal
from collections import Counter

import pytest
from served_pages import make_pictures, serve
from simulated_annotators import Annotator, list_saved, read_labels

KILLS = int(os.environ.get("KIS_KILLS", "6"))
PEOPLE = 4
LONGEST_S = 0.6  #: until it is killed


@pytest.mark.slow
def test_what_a_page_said_is_saved_outlives_every_kill(tmp_path):
    folder = make_pictures(tmp_path / "photos", 60 * KILLS + 4 * PEOPLE, (8, 8))
    names = [f"somebody {i}" for i in range(PEOPLE)]
    arguments = [word for name in names for word in ("--annotator", name)]
    rng, annotators = random.Random(KILLS), []
    for kill in range(KILLS + 1):
        with serve("label", folder, *arguments, "--goal", 10**6) as served:
            host = next(iter(served.links.values())).split("/")[2]
            if not annotators:
                annotators = [Annotator(served.enter(name), name, 10**6) for name in names]
            else:
                annotators = [annotator.begin_again(host) for annotator in annotators]
            if kill == KILLS:
                assert served.stop() == 0
                break
            for annotator in annotators:
                annotator.start()
            before = len(list_saved(annotators))
            while rng.random() < 0.98 and len(list_saved(annotators)) == before:
                annotators[0].join(0.02)  # mostly it dies once they are at work
            annotators[0].join(rng.uniform(0.0, LONGEST_S))
            served.stop(signal.SIGKILL)
            for annotator in annotators:
                annotator.join()
                assert annotator.error is None
    rows = read_labels(folder)
    kept = Counter((row["annotator"], row["label_set"], row["text"]) for row in rows)
    said = list_saved(annotators)
    assert len(said) > 2 * KILLS
    assert [one for one in said if one not in kept] == []
    assert max(kept.values()) == 1
    keys = Counter((row["item_id"], row["label_set"]) for row in rows)
    assert max(keys.values()) == 1  # and no two people got the same picture
    assert len(rows) - len(said) <= 2 * PEOPLE * KILLS  # texts of which nobody was told
    assert sorted(each.name for each in folder.iterdir() if each.name.startswith(".")) == []
    print(f"{KILLS} kills, {len(said)} texts saved, {len(rows)} in labels.csv")
