# mean_colour.py
import numpy as np

WORDS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0), "white": (1, 1, 1)}


def unit(vectors):
    vectors = np.asarray(vectors, np.float32) + np.float32(1e-3)  # never zero
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True))[:, None, :]  # [n, 1, d]


class MeanColour:
    name = "mean-colour"
    dim = 3
    vectors_per_item = 1
    context_length = None  # reads texts of any length
    key = "mean-colour-1"  # another one whenever the vectors could change

    def encode_images(self, images):
        return unit([np.asarray(image.resize((8, 8))).mean(axis=(0, 1)) / 255 for image in images])

    def encode_texts(self, texts):
        known = [[WORDS[word] for word in text.lower().split() if word in WORDS] for text in texts]
        vectors = unit([np.mean(colours or [(0, 0, 0)], axis=0) for colours in known])
        return vectors, np.zeros(len(texts), bool)


def load():
    return MeanColour()
