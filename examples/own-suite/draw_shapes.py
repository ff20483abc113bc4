"""Draws the dataset: 48 pictures of a coloured form on a background, and what a person would type to find 32 of them.

Run again it writes the same files: ``python draw_shapes.py``.
"""

import csv
import random
from itertools import product
from pathlib import Path

from PIL import Image, ImageDraw

FOLDER = Path(__file__).parent / "shapes"
SIDE = 64
COLOURS = {
    "red": (205, 40, 40),
    "orange": (240, 145, 30),
    "yellow": (240, 220, 50),
    "green": (50, 150, 60),
    "blue": (45, 80, 200),
    "purple": (130, 55, 160),
    "pink": (245, 150, 185),
    "brown": (125, 80, 45),
}
BACKGROUNDS = {"white": (245, 245, 245), "grey": (140, 140, 140), "black": (15, 15, 15)}
FORMS = ("circle", "square", "triangle", "ring")
SIZES = {"small": 11, "large": 19}  # half of the width, in pixels
PLACES = {
    "in the upper left corner": (20, 20),
    "in the upper right corner": (43, 20),
    "in the middle": (32, 32),
    "in the lower left corner": (20, 43),
    "in the lower right corner": (43, 43),
}


def shade(colour, chance):
    """A colour as it comes in real pictures: not twice the same."""
    return tuple(max(0, min(255, part + chance.randint(-25, 25))) for part in colour)


def draw(form, colour, background, half, centre):
    picture = Image.new("RGB", (SIDE, SIDE), background)
    pen = ImageDraw.Draw(picture)
    x, y = centre
    box = (x - half, y - half, x + half, y + half)
    if form == "circle":
        pen.ellipse(box, fill=colour)
    elif form == "square":
        pen.rectangle(box, fill=colour)
    elif form == "triangle":
        pen.polygon([(x, y - half), (x - half, y + half), (x + half, y + half)], fill=colour)
    else:
        pen.ellipse(box, outline=colour, width=half // 3)
    return picture.quantize(2)  # two colours are a few hundred bytes


def other(known, taken, chance):
    return chance.choice([name for name in known if name != taken])


def twin(picture, chance, *, same_background):
    """What a short text can't tell from a picture; a long one can, by the background or by size and place."""
    colour, form, background, size, place = picture
    if not same_background:
        return colour, form, other(BACKGROUNDS, background, chance), size, place
    return colour, form, background, other(SIZES, size, chance), other(PLACES, place, chance)


def main():
    chance = random.Random(1)
    asked = [
        (*pair, *map(chance.choice, ([*BACKGROUNDS], [*SIZES], [*PLACES])))
        for pair in product(COLOURS, FORMS)
    ]
    twins = [
        twin(one, chance, same_background=i < 8) for i, one in enumerate(chance.sample(asked, 16))
    ]
    pictures = [*asked, *twins]
    chance.shuffle(pictures)

    (FOLDER / "images").mkdir(parents=True, exist_ok=True)
    labels = []
    for number, (colour, form, background, size, place) in enumerate(pictures, start=1):
        item = f"{number:02d}"
        drawn = draw(
            form,
            shade(COLOURS[colour], chance),
            BACKGROUNDS[background],
            SIZES[size],
            PLACES[place],
        )
        drawn.save(FOLDER / "images" / f"{item}.png", optimize=True)
        if (colour, form, background, size, place) in asked:
            labels.append((item, "short", f"{colour} {form}"))
            labels.append(
                (item, "long", f"a {size} {colour} {form} {place}, on a {background} background")
            )
    with (FOLDER / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("query_id", "item_id", "label_set", "text"))
        for item, label_set, text in sorted(
            labels, key=lambda label: (label[1] == "long", label[0])
        ):
            table.writerow((f"find-{item}", item, label_set, text))


if __name__ == "__main__":
    main()
