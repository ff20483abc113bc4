"""Folders of pictures with triplets, and people who judge them."""

from reset_files import TRIPLET, write_table
from served_pages import make_pictures

ABOUT = {"age_group": "25-34", "education": "master", "ml_expert": "no"}


def write_triplets_table(folder, triplets):
    """``triplets``: numbers of pictures, the target first; or (id, numbers)."""
    rows = []
    for place, one in enumerate(triplets, 1):
        name, numbers = one if isinstance(one[1], tuple) else (str(place), one)
        paths = [f"{number:04d}.jpg" for number in numbers]
        rows.append(dict(zip(TRIPLET, (name, "m", *paths, 1, 2, "general"), strict=True)))
    write_table(folder / "triplets.csv", rows, TRIPLET)


def make_study(folder, count=30, size=(80, 60)):
    """So many pictures, each the target of one triplet."""
    make_pictures(folder / "images", count, size)
    numbers = [(i, (i + 1) % count, (i + 5) % count) for i in range(count)]
    write_triplets_table(folder, numbers)
    return folder


def begin(client, **about):
    """Fills in the form about oneself."""
    form = client.get("/").form
    assert "question" not in form
    return client.post("/participant", {**form, **ABOUT, **about})


def judge_one(client, choice):
    form = client.get("/").form
    return client.post("/judge", {**form, "choice": str(choice)})
