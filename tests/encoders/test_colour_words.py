"""Colour names as a model: against definitions, against another CIELAB, and what must come out as a tie."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageColor

from kis_bench import encoders
from kis_bench.checks.models import ExaminedModel, check_model
from kis_bench.colours import to_cielab
from kis_bench.encoders import colour_words
from kis_bench.encoders.catalogue import find
from kis_bench.encoders.colour_words import COLOUR_NAMES, COLOURS, colours_of_image, colours_of_text
from kis_bench.ranking import target_ranks

PICTURES = arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3)))


@pytest.fixture(scope="module")
def encoder():
    return encoders.load("colour-words")


def plain(colour, size=(20, 30)):
    return Image.new("RGB", size, colour)


def shares(found):
    return {name: float(share) for name, share in zip(COLOUR_NAMES, found, strict=True) if share}


def ranks(encoder, text, images):
    """Of each image in turn as the target of the text."""
    items = encoder.encode_images(images)
    queries = np.repeat(encoder.encode_texts([text])[0][:, 0], len(images), axis=0)
    return target_ranks(queries, items, [(i,) for i in range(len(images))], top_k=1)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("red", {"red": 1}),
        ("a Reddish dog, two gray cats; GREY!", {"red": 1 / 3, "grey": 2 / 3}),
        ("navy-blue", {"blue": 1}),
        ("a turquoise sea", {"green": 0.5, "blue": 0.5}),
        ("turquoise and blue", {"green": 1 / 3, "blue": 2 / 3}),
        ("oranges and golden greens", {"orange": 1 / 3, "yellow": 1 / 3, "green": 1 / 3}),
        ("the bored redhead is covered by evergreens", {}),
        ("", {}),
    ],
)
def test_a_text_is_how_often_it_names_each_colour(text, named):
    assert shares(colours_of_text(text)) == pytest.approx(named)


def test_each_colour_is_named_by_its_term_and_shown_by_its_own_prototypes():
    assert (
        " ".join(COLOUR_NAMES) == "black white red green yellow blue brown orange pink purple grey"
    )
    for name, (words, shown) in COLOURS.items():
        assert shares(colours_of_text(name)) == {name: 1}
        assert all(name in shares(colours_of_text(word)) for word in words.split())
        assert all(shares(colours_of_image(plain(colour))) == {name: 1} for colour in shown.split())


@pytest.mark.parametrize(
    ("colour", "name"),
    [
        ("#4c7a34", "green"),
        ("#87b5e0", "blue"),
        ("#2a6a90", "blue"),
        ("#101828", "black"),
        ("#5a5c60", "grey"),
        ("#eef2f6", "white"),
        ("#7b5230", "brown"),
        ("#c62a1c", "red"),
        ("#f4e04a", "yellow"),
        ("#e87a20", "orange"),
        ("#5a2a5c", "purple"),
        ("#f0a0b8", "pink"),
    ],
)
def test_other_colours_are_called_what_people_call_them(colour, name):
    """Grass, sky, sea, night, asphalt, snow, wood, tomato, lemon, carrot, plum, blossom."""
    assert shares(colours_of_image(plain(colour))) == {name: 1}


def test_where_two_colours_meet_there_is_no_third():
    image = plain("white", (201, 100))
    image.paste("red", (0, 0, 101, 100))
    found = shares(colours_of_image(image))
    assert found == pytest.approx({"white": 0.5, "red": 0.5}, abs=1 / colour_words.SAMPLED_SIDE)


@settings(deadline=None, max_examples=30)
@given(pixels=PICTURES)
def test_cielab_is_that_of_scikit_image(pixels):
    from skimage.color import rgb2lab

    np.testing.assert_allclose(
        to_cielab(pixels.reshape(-1, 3)), rgb2lab(pixels).reshape(-1, 3), atol=0.03
    )


@settings(deadline=None, max_examples=20)
@given(pixels=PICTURES)
def test_shares_are_counts_of_the_nearest_prototype(pixels):
    prototypes = [
        (name, to_cielab(np.array([ImageColor.getrgb(one)], np.uint8))[0])
        for name, (_, shown) in COLOURS.items()
        for one in shown.split()
    ]
    rows, columns = (
        (2 * np.arange(64) + 1) * n // 128 for n in pixels.shape[:2]
    )  # the pixel at each cell's middle
    counts = dict.fromkeys(COLOUR_NAMES, 0)
    nearest = {}
    for pixel in map(tuple, pixels[rows][:, columns].reshape(-1, 3).tolist()):
        if pixel not in nearest:
            here = to_cielab(np.array([pixel], np.uint8))[0]
            nearest[pixel] = min(
                prototypes, key=lambda other, here=here: ((here - other[1]) ** 2).sum()
            )[0]
        counts[nearest[pixel]] += 1
    expected = {name: n / 64**2 for name, n in counts.items() if n}
    assert shares(colours_of_image(Image.fromarray(pixels))) == pytest.approx(expected)


@settings(deadline=None, max_examples=30)
@given(pixels=PICTURES, words=st.lists(st.sampled_from([*COLOUR_NAMES, "teal", "and"]), max_size=6))
def test_vectors_are_of_length_one_and_scores_are_bhattacharyya_coefficients(pixels, words):
    encoder, image, text = encoders.load("colour-words"), Image.fromarray(pixels), " ".join(words)
    (item,), (query,) = encoder.encode_images([image])[:, 0], encoder.encode_texts([text])[0][:, 0]
    assert item.dtype == query.dtype == np.float32
    np.testing.assert_allclose([np.linalg.norm(item), np.linalg.norm(query)], 1, atol=1e-6)
    coefficient = sum(
        (p * q) ** 0.5 for p, q in zip(colours_of_text(text), colours_of_image(image), strict=True)
    )
    expected = coefficient if colours_of_text(text).any() else colour_words.EVERY_VECTOR_HAS
    assert item @ query == pytest.approx(expected, abs=2e-6)


def test_a_text_without_colours_is_an_exact_tie_of_all_images(encoder):
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8)) for _ in range(200)]
    images += [plain(name) for name in ("black", "white", "red")]
    items = encoder.encode_images(images)[:, 0]
    assert len(np.unique(items[:, :-1], axis=0)) > 150
    assert set(items[:, -1]) == {np.float32(colour_words.EVERY_VECTOR_HAS)}
    found = ranks(encoder, "a dog on the beach", images)
    assert (found.best == 1).all()
    assert (found.worst == len(images)).all()


def test_more_of_the_colour_ranks_higher_and_none_of_it_ties(encoder):
    images = [plain("white", (64, 64)) for _ in range(5)]
    for image, rows in zip(images, (64, 40, 8, 0, 0), strict=True):
        image.paste("red", (0, 0, 64, rows))
    images[4].paste("blue", (0, 0, 64, 50))
    found = ranks(encoder, "something red", images)
    assert found.best.tolist() == [1, 2, 3, 4, 4]
    assert found.worst.tolist() == [1, 2, 3, 5, 5]


def test_no_check_of_the_doctor_fails(encoder):
    found = list(check_model(ExaminedModel(encoder, find("colour-words"))))
    assert [check for check in found if check.passed is False] == []
    assert {"texts: differ", "exif orientation", "truncation"} <= {
        check.name for check in found if check.passed
    }


def test_what_is_known_without_loading_it(monkeypatch):
    row = find("colour-words")
    lazy, loaded = encoders.LazyEncoder(row), encoders.load(row)
    assert (encoders.readiness(row).ready, encoders.weights(row), row.image_only) == (
        True,
        {},
        False,
    )
    assert (
        (lazy.dim, lazy.context_length, lazy.vectors_per_item)
        == (loaded.dim, None, 1)
        == (len(COLOUR_NAMES) + 1, None, 1)
    )
    assert lazy.key == loaded.key
    assert loaded.key.startswith("colour-words-1-rgb-squash-nearest-64-")
    monkeypatch.setitem(COLOURS, "red", ("red", "red"))
    assert encoders.LazyEncoder(row).key != loaded.key


def test_another_process_makes_the_same_vectors_and_needs_no_deep_learning(encoder):
    code = (
        "import sys, numpy as np; from PIL import Image; from kis_bench import encoders\n"
        "pixels = np.random.default_rng(5).integers(0, 256, (60, 80, 3), dtype=np.uint8)\n"
        "encoder = encoders.load('colour-words')\n"
        "print(encoder.encode_images([Image.fromarray(pixels)]).tobytes().hex())\n"
        "print(encoder.encode_texts(['a red and a blue kite'])[0].tobytes().hex())\n"
        "print(sorted({'torch', 'safetensors', 'open_clip', 'transformers', 'timm', 'skimage'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    pixels = np.random.default_rng(5).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    here = (
        encoder.encode_images([Image.fromarray(pixels)]),
        encoder.encode_texts(["a red and a blue kite"])[0],
    )
    assert done.stdout.split("\n")[:3] == [*(vectors.tobytes().hex() for vectors in here), "[]"]


def test_nothing_in_nothing_out(encoder):
    vectors, cut = encoder.encode_texts([])
    assert encoder.encode_images([]).shape == vectors.shape == (0, 1, encoder.dim)
    assert (len(cut), cut.dtype) == (0, bool)
