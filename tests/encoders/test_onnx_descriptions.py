"""Descriptions of ONNX networks by strangers: what is wrong in them is told at readiness, without any library."""

import json

import numpy as np
import pytest
from PIL import Image

from kis_bench import encoders
from kis_bench.encoders.onnx.description import read_own
from kis_bench.encoders.onnx.networks import names_inner_file
from kis_bench.encoders.onnx.picture_form import PictureForm, describe_pixels
from kis_bench.encoders.onnx.preparing import prepare_pixels
from kis_bench.errors import BadFile

NO_NODES = b"\x3a\x00"  # an ONNX network with an empty graph
OWN = {"side": 8, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.25, 0.5]}
CLIP = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": 8},
    "crop_size": {"height": 8, "width": 8},
    "resample": 3,
    "image_mean": [0.5] * 3,
    "image_std": [0.5] * 3,
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "vision_model.onnx").write_bytes(NO_NODES)
    return tmp_path


def write_own(folder, **values):
    lines = [
        f"{key} = {value if type(value) is str else json.dumps(value)}"
        for key, value in values.items()
    ]
    (folder / "onnx.toml").write_text("\n".join(lines), encoding="utf-8")


def explain(folder):
    found = encoders.readiness(encoders.find(f"onnx:{folder}"))
    assert (found.ready, found.state) == (False, "no ONNX model that is whole")
    assert "\n" not in found.remedy
    return found.remedy


@pytest.mark.parametrize("key", ["images", "texts", "tokenizer"])
@pytest.mark.parametrize(
    "path",
    ["{folder}/vision_model.onnx", "../{name}/vision_model.onnx", "C:\\x.onnx", "a" * 300, ""],
)
def test_files_of_a_description_lie_below_its_folder(folder, key, path):
    path = path.format(folder=folder, name=folder.name)
    write_own(folder, **OWN, **{"images": '"vision_model.onnx"', key: json.dumps(path)})
    assert f"{key} = " in (said := explain(folder))
    assert "names no file in this folder or below it" in said


def test_files_further_below_are_read(folder):
    (folder / "of" / "pictures").mkdir(parents=True)
    (folder / "vision_model.onnx").rename(folder / "of" / "pictures" / "a..b.onnx")
    write_own(folder, images='"of/pictures/a..b.onnx"', **OWN)
    weights = encoders.weights(encoders.find(f"onnx:{folder}"))
    assert weights.keys() == {"of:pictures:a..b.onnx", "onnx.toml"}
    assert not names_inner_file("a\0b")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"mean": ["a", "b", "c"]}, "mean is 'a'; a number is needed"),
        ({"mean": [True] * 3}, "mean is True; a number is needed"),
        ({"mean": "[inf, 1, 1]"}, "mean = [inf, 1.0, 1.0] is no number"),
        ({"std": [0, 0, 0]}, "has to be more than 0"),
        ({"std": [1, 1, 1e-60]}, "has to be more than 0"),
        ({"side": 0}, "0 pixels are no side of a picture"),
        ({"side": 10**6}, "1000000 pixels are no side"),
        ({"side": False}, "side = False is of the wrong kind"),
        ({"context_length": 0}, "context_length = 0 is less than 1"),
        ({"pad_id": -1}, "pad_id = -1 is less than 0"),
        ({"mean": "[" * 10_000}, "nested too deeply"),
    ],
)
def test_numbers_in_our_own_description(folder, values, said):
    write_own(folder, **{**OWN, **values})
    assert said in explain(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            {"image_processor": "CLIPImageProcessor"},
            "image_processor is 'CLIPImageProcessor'; a table",
        ),
        ({"image_processor": [CLIP]}, "a table of names and values is needed"),
        ({"image_processor": None}, "image_processor is None"),
        ({**CLIP, "resample": 99}, "resample = 99 is no interpolation"),
        ({**CLIP, "resample": None}, "resample is None; a whole number"),
        ({**CLIP, "resample": float("inf")}, "resample is inf; a whole number"),
        ({**CLIP, "image_std": [0] * 3}, "has to be more than 0"),
        ({**CLIP, "image_mean": [0.5]}, "image_mean is [0.5]; a number for each"),
        ({**CLIP, "image_mean": 0.5}, "image_mean is 0.5; a number for each"),
        ({**CLIP, "image_mean": [10**400] * 3}, "larger than any number"),
        ({**CLIP, "size": {"height": 6, "width": 6}}, "crop_size is larger than size"),
        ({**CLIP, "size": {"height": 9, "width": 6}}, "crop_size is larger than size"),
        ({**CLIP, "size": {"shortest_edge": "8"}}, "shortest_edge of size is '8'"),
        ({**CLIP, "size": {"shortest_edge": float("nan")}}, "shortest_edge of size is nan"),
        ({**CLIP, "size": [8, 8]}, "size is [8, 8]; a whole number"),
        ({**CLIP, "crop_size": 0}, "0 pixels are no side of a picture"),
        ({**CLIP, "crop_size": {"height": 8}}, "height and width are needed"),
        ({**CLIP, "size": -5, "crop_size": -6}, "-5 pixels are no side"),
        ({**CLIP, "rescale_factor": float("nan")}, "rescale_factor = nan"),
        ({**CLIP, "rescale_factor": "1/255"}, "rescale_factor is '1/255'; a number"),
        ([CLIP], "no table of names and values"),
    ],
)
@pytest.mark.parametrize("name", ["preprocessor_config.json", "processor_config.json"])
def test_configurations_of_strangers(folder, content, said, name):
    (folder / name).write_text(json.dumps(content), encoding="utf-8")
    found = explain(folder)
    assert said in found
    assert str(folder / name) in found


def test_configurations_that_are_nested_without_end(folder):
    (folder / "preprocessor_config.json").write_text("[" * 100_000)
    assert "nested too deeply" in explain(folder)


def test_a_middle_of_a_squashed_picture(folder):
    """A size of two sides and a smaller crop, as some repositories have it."""
    content = {**CLIP, "size": {"height": 12, "width": 10}, "image_std": [1, 0.5, 1]}
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_processor": content}))
    form = describe_pixels(folder, {})
    assert form == PictureForm((12, 10), (8, 8), 3, 1 / 255, (0.5,) * 3, (1.0, 0.5, 1.0))
    pixels = prepare_pixels(Image.new("RGB", (40, 30), "white"), form)
    np.testing.assert_allclose(pixels[:, 0, 0], [0.5, 1, 0.5])
    assert pixels.shape == (3, 8, 8)


def test_each_problem_names_the_description(folder):
    write_own(folder, images='"/x.onnx"', tokenizer='"../t.json"', **OWN)
    with pytest.raises(BadFile) as raised:
        read_own(folder)
    assert len(raised.value.problems) == 2
