"""What encoders on torch share: precision, truncation, preparation in threads, giving memory back."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from kis_bench import encoders
from kis_bench.choices import PRECISIONS
from kis_bench.encoders.catalogue import find

NAME = "vit-h-14-laion2b"


@pytest.fixture
def encoder(hub):
    hub.offer(find(NAME).source.partition(":")[2])
    return encoders.load(NAME, device="cpu", download=True)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [
        Image.fromarray(rng.integers(0, 256, (40 + i, 60, 3), dtype=np.uint8)) for i in range(5)
    ]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_autocast_and_leaves_as_float32(encoder, images, precision):
    """The logic of a GPU run, on the CPU, where a user is not let do it."""
    full, texts = encoder.encode_images(images), encoder.encode_texts(["red apple"])[0]
    encoder.precision = precision
    half = encoder.encode_images(images)
    assert half.dtype == np.float32
    assert 0 < np.abs(half - full).max() < 0.05
    np.testing.assert_allclose(np.linalg.norm(half, axis=2), 1, atol=1e-6)
    np.testing.assert_allclose(encoder.encode_texts(["red apple"])[0], texts, atol=0.05)


def test_each_precision_has_a_key_of_its_own(encoder):
    keys = {encoders.LazyEncoder(find(NAME), precision=precision).key for precision in PRECISIONS}
    assert len(keys) == len(PRECISIONS)
    assert encoder.key in keys


def test_prepared_images_are_the_images(encoder, images):
    prepared = [encoder.prepare_image(image) for image in images]
    np.testing.assert_array_equal(encoder.encode_prepared(prepared), encoder.encode_images(images))


def test_colour_modes_and_orientation(encoder):
    grey = Image.fromarray(np.arange(48 * 64, dtype=np.uint16).reshape(48, 64).astype(np.uint8))
    sideways = grey.convert("RGB").transpose(Image.Transpose.ROTATE_90)
    sideways.getexif()[0x0112] = 6
    clear = grey.convert("RGBA")
    same = [grey.convert("RGB"), grey, clear, sideways, grey.convert("P")]
    vectors = encoder.encode_images(same)
    for other in vectors[1:]:
        np.testing.assert_allclose(other, vectors[0], atol=1e-6)


def test_a_model_that_is_unloaded_is_gone_and_comes_back(encoder, images):
    lazy = encoders.LazyEncoder(find(NAME), device="cpu")
    assert not lazy.loaded
    first = lazy.encode_images(images)
    network = weakref.ref(lazy.encoder.model)
    lazy.unload()
    gc.collect()
    assert network() is None
    assert not lazy.loaded
    np.testing.assert_array_equal(lazy.encode_images(images), first)


@example(texts=[[5] * 5], context=6, closed=False, in_front=True, end=2)  # loses the mark alone
@given(
    texts=st.lists(st.lists(st.integers(5, 9), max_size=12), min_size=1, max_size=5),
    context=st.integers(3, 9),
    closed=st.booleans(),
    in_front=st.booleans(),
    end=st.sampled_from([1, 2]),
)
def test_cut_texts_whatever_the_tokenizer(texts, context, closed, in_front, end):
    """Begin mark 3, end mark 1 or 2, padding 1; a cut text is closed with the end mark or just ends."""
    import torch

    from kis_bench.encoders.torch_encoder import find_cut_texts

    def tokens(text, length):
        whole = [3, *text, end]
        kept = (
            whole
            if len(whole) <= length
            else [*whole[: length - 1], end]
            if closed
            else whole[:length]
        )
        padding = [1] * (length - len(kept))
        return [*padding, *kept] if in_front else [*kept, *padding]

    def batch(length):
        return torch.tensor([tokens(text, length) for text in texts])

    found = find_cut_texts(
        batch(context), batch(context + 1), torch.tensor(tokens([], context + 1))
    )
    # An end mark that is cut off and equal to padding is no loss.
    marks = 1 if end == 1 and not closed else 2
    assert found.tolist() == [len(text) + marks > context for text in texts]
