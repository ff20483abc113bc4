"""Pictures and texts carry numbers, each with a vector of whole numbers: its length is exact on every machine."""

import os

import numpy as np

DIM = 12


class Numbered:
    dim, vectors_per_item, context_length = DIM, 1, 5

    def __init__(self, name, seed, ease):
        self.name, self.seed, self.ease = name, seed, ease
        self.worse = os.environ.get("WORSE", "") if name == "first" else ""
        self.key = f"numbered-{name}-{self.worse}"

    def draw(self, number, what):
        """Whole numbers from -50 to 50 ``[dim]``, the same for the same number."""
        state, drawn = (number * 7919 + self.seed * 104729 + what * 1299709) % 2147483647, []
        for _ in range(DIM):
            state = (state * 48271 + 11) % 2147483647
            drawn.append(state // 65536 % 101 - 50)
        return np.array(drawn, np.float64)

    def stack(self, rows):
        rows = np.stack(rows)
        lengths = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
        return (rows / lengths).astype(np.float32)[:, None]

    def place(self, number):
        """Where the picture of a number lies; one out of five lies elsewhere while the model is worse."""
        return self.draw(number, 9 if self.worse and number % 5 == 0 else 1)

    def encode_images(self, images):
        return self.stack([self.place(image.getpixel((0, 0))[0]) for image in images])

    def encode_texts(self, texts):
        numbers = [int(text.split()[-1]) for text in texts]
        rows = [4 * self.draw(n, 1) + self.ease * self.draw(n, 2) for n in numbers]
        return self.stack(rows), np.array([len(text.split()) > 5 for text in texts])


def first():
    return Numbered("first", 1, 3)


def second():
    return Numbered("second", 2, 4)


def third():
    return Numbered("third", 3, 5)
