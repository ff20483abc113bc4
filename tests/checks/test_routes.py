"""What two libraries make of the same pictures, with their own preprocessing at its real size."""

import numpy as np
import pytest
from PIL import Image

from kis_bench import encoders
from kis_bench.checks.installation import check_named_model
from kis_bench.checks.routes import SAMPLE_SHAPES, compare_preparations, prepare_samples
from kis_bench.encoders.catalogue import find, find_other_routes


class Preprocessing:
    """An encoder of which nothing but the preprocessing is asked."""

    dim, vectors_per_item, context_length, key = 1, 1, None, "none"

    def __init__(self, name, prepare):
        self.name, self.prepare_image = name, prepare

    def encode_prepared(self, prepared):
        raise AssertionError("nothing is encoded")

    encode_images = encode_texts = encode_prepared


def compare(one, other):
    pictures, texts = compare_preparations(*map(prepare_samples, (one, other)))
    assert texts.passed is None  # there are none
    return pictures.passed, pictures.finding


@pytest.fixture(scope="module")
def routes():
    from open_clip.transform import PreprocessCfg, image_transform_v2
    from transformers import CLIPImageProcessor

    processor = CLIPImageProcessor()
    return {
        "openclip": Preprocessing(
            "openclip", image_transform_v2(PreprocessCfg(size=224), is_train=False)
        ),
        "transformers": Preprocessing(
            "transformers", lambda image: dict(processor(images=image, return_tensors="pt"))
        ),
    }


def test_the_crop_of_two_libraries_is_one_column_apart(routes):
    passed, said = compare(routes["openclip"], routes["transformers"])
    assert passed is None  # neither is wrong
    assert "3 of 6 shapes are prepared otherwise (640x427, 500x334, 1024x683), by 15 to 29" in said
    assert "there the crop begins one pixel further left" in said
    assert "further right" in compare(routes["transformers"], routes["openclip"])[1]


def test_the_same_pixels_under_another_normalisation_are_alike(routes):
    clip = routes["openclip"].prepare_image
    other = Preprocessing("mine", lambda image: clip(image).numpy() * 0.5 - 3)
    passed, said = compare(routes["openclip"], other)
    assert passed
    assert "at most 0.00 of 255 levels" in said


def test_another_way_to_resample_is_told_without_a_shift(routes):
    def squash(image):
        small = image.resize((224, 224), Image.Resampling.BILINEAR)
        return np.asarray(small, dtype=np.float32).transpose(2, 0, 1) / 255

    passed, said = compare(routes["openclip"], Preprocessing("squash", squash))
    assert passed is None
    assert f"{len(SAMPLE_SHAPES)} of {len(SAMPLE_SHAPES)} shapes" in said
    assert "one pixel" not in said


def test_sizes_and_forms_that_can_not_be_compared(routes):
    small = Preprocessing("small", lambda image: np.asarray(image.resize((32, 24))).T)
    assert "at other sizes: 224 x 224, there 24 x 32" in compare(routes["openclip"], small)[1]
    hidden = Preprocessing("hidden", lambda image: image)
    assert "not compared" in compare(routes["openclip"], hidden)[1]


def test_routes_to_one_model():
    found = find_other_routes(find("clip-vit-b-32"))  # none through open_clip, which it is from
    assert {kind: [one.source for one in routes] for kind, routes in found.items()} == {
        "transformers": [
            "transformers:openai/clip-vit-base-patch32",
            "transformers:timm/vit_base_patch32_clip_224.openai",
        ],
        "timm": ["timm:vit_base_patch32_clip_224.openai"],
    }
    back = find_other_routes(find("transformers:openai/clip-vit-base-patch32"))
    assert back["hf-hub"][0].name == "clip-vit-b-32"
    assert find_other_routes(find("demo")) == {}


def test_the_doctor_compares_the_routes_that_are_here(hub):
    """The miniatures of both share their vocabulary, and open_clip drops punctuation."""
    names = ("google/siglip2-base-patch16-224", "google/siglip2-base-patch16-naflex")
    hub.offer(*names, "timm/ViT-B-16-SigLIP2-256")
    fixed, naflex = (f"transformers:{name}" for name in names)
    open_clip = "hf-hub:timm/ViT-B-16-SigLIP2-256"
    for source in (fixed, naflex, open_clip):
        encoders.fetch(find(source))
    found = [
        (check.passed, check.finding)
        for check in check_named_model(fixed, "cpu", [open_clip, naflex])
        if " as in " in check.name
    ]
    assert found[0] == (None, "prepared at other sizes: 28 x 28, there 160 x 160")
    assert "other ids for 2 of 5 texts: 'a red kite, over" in found[1][1]
    assert "in another form" in found[2][1]
    assert found[3][0]
