"""A model of the tests' own, whose vectors tell which pictures were encoded at once; needs numpy alone."""

import os
import time
from pathlib import Path

import numpy as np


class Telling:
    """Mean colours in eight numbers, the last of which comes from the whole batch."""

    name, dim, vectors_per_item, context_length, key = "telling", 8, 1, None, "telling-1"
    batch_size = 5

    def encode_images(self, images):
        self.wait()
        colours = np.array([np.asarray(one, np.float32).mean((0, 1)) for one in images])
        rows = np.ones((len(images), 8), np.float32)
        rows[:, :3] += colours
        rows[:, 6] += len(images)
        rows[:, 7] += colours.sum(dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows[:, None]

    def encode_texts(self, texts):
        vectors = np.full((len(texts), 1, 8), 8**-0.5, np.float32)
        return vectors, np.zeros(len(texts), bool)

    def wait(self):
        """As long as a file says, in seconds, which is looked for beside the code."""
        file = Path(__file__).with_name("wait.txt")
        if file.exists():
            time.sleep(float(file.read_text()))


def telling():
    return Telling()


class Sized(Telling):
    """Says itself how many vectors a shard holds."""

    name, key, shard_items = "sized", "sized-1", 10


def sized():
    return Sized()


class Broken(Telling):
    """Fails as the environment says, on the batch with a white picture."""

    name, key = "broken", "broken-1"

    def encode_images(self, images):
        found = super().encode_images(images)
        white = [np.asarray(one).min() == 255 for one in images]
        if any(white):
            file = Path(__file__).with_name("how.txt")
            how = file.read_text()
            if how == "die once":
                file.write_text("not at all")
            if how == "raise":
                raise RuntimeError("the model is tired")
            if how == "memory" and len(images) > 1:
                raise MemoryError
            if how.startswith("die"):
                os.kill(os.getpid(), 9)
            if how == "nan":
                found[white.index(True)] = np.nan
        return found


def broken():
    return Broken()
