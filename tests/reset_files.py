"""Folders in the layout of the study RESET, with known answers."""

import csv

from PIL import Image

TRIPLET = (
    "triplet_id",
    "model",
    "target_path",
    "candidate1_path",
    "candidate2_path",
    "candidate1_bin",
    "candidate2_bin",
    "class",
)
JUDGMENT = (
    "judgement_id",
    "triplet_id",
    "user_id",
    "choice",
    "simplified_choice",
    "option_one_path",
    "option_two_path",
    "time_spent",
    "handheld",
    "window_width",
    "window_height",
    "user_agent",
)
PERSON = ("user_id", "age_group", "education", "ml_expert")


def keyframe(number):
    """The path of a keyframe of V3C1."""
    return f"{6900 + number:05d}/shot{6900 + number:05d}_{number + 1}_RKF.jpg"


def triplet(triplet_id, target, candidate1, candidate2, **others):
    paths = {"target_path": target, "candidate1_path": candidate1, "candidate2_path": candidate2}
    named = {
        column: keyframe(image) if isinstance(image, int) else image
        for column, image in paths.items()
    }
    return {
        "triplet_id": triplet_id,
        "model": "W2VVExtractor",
        "class": "general",
        "candidate1_bin": 1,
        "candidate2_bin": 2,
        **named,
        **others,
    }


def judgment(judgement_id, about, user_id, choice, *, swapped=False, **others):
    """``choice`` -2 ... 2: negative is left, which is candidate 2 if ``swapped``; ``about`` is the triplet's row."""
    sides = about["candidate1_path"], about["candidate2_path"]
    left, right = sides[::-1] if swapped else sides
    return {
        "judgement_id": judgement_id,
        "triplet_id": about["triplet_id"],
        "user_id": user_id,
        "choice": choice,
        "simplified_choice": (choice > 0) - (choice < 0),
        "option_one_path": left,
        "option_two_path": right,
        "time_spent": 4211,
        "handheld": False,
        "window_width": 1920,
        "window_height": 947,
        "user_agent": "Mozilla/5.0 (X11, Linux)",
        **others,
    }


def person(user_id, age_group="25-34", education="MSc", ml_expert="no"):
    return dict(zip(PERSON, (user_id, age_group, education, ml_expert), strict=True))


def write_table(file, rows, columns):
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)


def write_study(
    folder, triplets, judgments, people, distances=None, *, name="triplets.csv", pictures=()
):
    """``distances``: extractor -> one list of three distances per triplet; None is an empty cell."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = [dict(row) for row in triplets], list(TRIPLET)
    for extractor, each in (distances or {}).items():
        own = [
            f"{extractor}_cosdist_{of}"
            for of in ("query_candidate1", "query_candidate2", "candidates")
        ]
        columns += own
        for row, cells in zip(rows, each, strict=True):
            row |= {
                column: "" if cell is None else cell
                for column, cell in zip(own, cells, strict=True)
            }
    write_table(folder / name, rows, columns)
    write_table(folder / "triplet_judgements.csv", judgments, JUDGMENT)
    write_table(folder / "participants.csv", people, PERSON)
    for number in pictures:
        file = folder / "keyframes" / keyframe(number)
        file.parent.mkdir(parents=True, exist_ok=True)
        # Colours that change from one to the next little by little: near numbers look alike.
        Image.new("RGB", (64, 48), (20 * number % 256, 100, 255 - 20 * number % 256)).save(
            file, quality=95
        )
    return folder
