"""Networks for ONNX Runtime against the same weights in torch, batches that files misstate, and folders that lack."""

import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import miniatures
import numpy as np
import pytest
from PIL import Image

from kis_bench import encoders
from kis_bench.checks.installation import check_named_model
from kis_bench.encoders.onnx.graph import read_graph
from kis_bench.encoders.onnx.picture_form import describe_pixels
from kis_bench.encoders.onnx.preparing import prepare_pixels
from kis_bench.errors import BadFile, KisBenchError, NotReady
from kis_bench.records import Source

if not os.environ.get("KIS_REQUIRE_ONNX"):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")

TEXTS = ["red apple", "a sailboat on the sea at night", "", "Two people, under a TREE!"]
CLIP, SIGLIP_2 = "openai/clip-vit-base-patch32", "google/siglip2-base-patch16-224"
PAIR = ("vision_model", "text_model")


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    shapes = [(48, 64), (300, 200), (33, 91), (40, 401), (28, 28)]
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8)) for h, w in shapes]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of transformers with exported networks beside the weights."""
    folders = {}
    for name in (CLIP, SIGLIP_2):
        folders[name] = tmp_path_factory.mktemp("models") / name.partition("/")[2]
        miniatures.write(name, folders[name])
        miniatures.export_to_onnx(folders[name])
    return folders


@pytest.fixture
def clip(models, tmp_path):
    """A copy of CLIP that a test may spoil, without the weights of torch."""
    ignored = shutil.ignore_patterns("*.safetensors", "vocab.json", "merges.txt")
    return shutil.copytree(models[CLIP], tmp_path / "clip", ignore=ignored)


def edit_json(file, **values):
    content = json.loads(file.read_text(encoding="utf-8"))
    content = {**content, **values}
    kept = {name: value for name, value in content.items() if value is not None}
    file.write_text(json.dumps(kept), encoding="utf-8")


def load(folder, variant=""):
    return encoders.load(f"onnx:{variant}{'=' if variant else ''}{folder}")


def refuse(folder, said, variant=""):
    with pytest.raises(KisBenchError, match=f"(?s){said}") as raised:
        load(folder, variant)
    return raised.value


# The vectors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [CLIP, SIGLIP_2])
def test_vectors_are_those_of_torch(name, models, images):
    """Pictures are prepared as by Pillow in transformers, whose other preparation rounds some pixels elsewhere."""
    import torch
    from transformers import AutoImageProcessor, AutoModel

    folder = models[name]
    found, known = load(folder), encoders.load(f"transformers:{folder}", device="cpu")
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    pixels = processor(images=images, return_tensors="np")["pixel_values"]
    prepared = np.stack([found.prepare_image(image) for image in images])
    np.testing.assert_allclose(prepared, pixels, atol=1e-6)
    with torch.no_grad():
        model = AutoModel.from_pretrained(folder).eval()
        expected = model.get_image_features(pixel_values=torch.tensor(pixels)).pooler_output
    expected = torch.nn.functional.normalize(expected, dim=-1).numpy()
    vectors = found.encode_images(images)
    np.testing.assert_allclose(vectors[:, 0], expected, atol=2e-6)
    assert np.ptp(vectors, axis=0).max() > 1e-3
    assert (found.dim, found.context_length) == (known.dim, known.context_length)
    assert (found.input_side, found.precision, found.batch_note) == (28, "fp32", "")
    texts = [*TEXTS, *("cat" + " cat" * n for n in range(60, 80))]
    (ours, cut), (theirs, also) = found.encode_texts(texts), known.encode_texts(texts)
    np.testing.assert_allclose(ours, theirs, atol=2e-6)
    assert cut.tolist() == also.tolist()
    assert 0 < cut.sum() < len(texts)


def test_one_file_for_both_sides(models, clip, images):
    """As optimum exports CLIP: each side is fed with something for the other."""
    import onnx

    pair = load(clip)
    parts = [onnx.load(clip / f"{name}.onnx") for name in PAIR]
    parts = [
        onnx.compose.add_prefix(part, f"{i}/", rename_inputs=False, rename_outputs=False)
        for i, part in enumerate(parts)
    ]
    parts[1].graph.input[0].type.tensor_type.shape.dim[0].dim_param = "texts"
    onnx.save(onnx.compose.merge_models(*parts, io_map=[]), clip / "model.onnx")
    for name in PAIR:
        (clip / f"{name}.onnx").unlink()
    one = load(clip)
    np.testing.assert_allclose(one.encode_images(images), pair.encode_images(images), atol=1e-6)
    np.testing.assert_allclose(one.encode_texts(TEXTS)[0], pair.encode_texts(TEXTS)[0], atol=1e-6)
    assert encoders.weights(encoders.find(f"onnx:{clip}")).keys() == {
        *("model.onnx", "config.json", "preprocessor_config.json"),
        *("tokenizer.json", "tokenizer_config.json"),
    }


# Batches --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("example", "dynamic"),
    [
        (1, False),
        pytest.param(3, False, marks=pytest.mark.slow),
        pytest.param(1, True, marks=pytest.mark.slow),
    ],
)
def test_batches_that_networks_really_take(example, dynamic, models, tmp_path, images):
    """A batch that is written in; and one that the file doesn't declare, but that was traced into it."""
    folder = tmp_path / "traced"
    shutil.copytree(models[CLIP], folder)
    miniatures.export_to_onnx(folder, example=example, dynamic=dynamic)
    whole, found = load(models[CLIP]), load(folder)
    np.testing.assert_allclose(found.encode_images(images), whole.encode_images(images), atol=2e-6)
    np.testing.assert_allclose(
        found.encode_texts(TEXTS)[0], whole.encode_texts(TEXTS)[0], atol=2e-6
    )
    if not dynamic:
        assert found.images.batch == found.texts.batch == example
        assert f"takes {example} at a time" in found.batch_note


def test_a_declared_batch_that_fails(clip, images):
    """A network that declares any batch and reshapes to one, as exporters leave it."""
    import onnx
    from onnx import TensorProto, helper

    model = onnx.load(clip / "vision_model.onnx")
    graph = model.graph
    graph.initializer.append(helper.make_tensor("one", TensorProto.INT64, [2], [1, 512]))
    last = next(node for node in graph.node if "image_embeds" in node.output)
    last.output[0] = "before"
    graph.node.append(helper.make_node("Reshape", ["before", "one"], ["image_embeds"]))
    expected = load(clip).encode_images(images)
    onnx.save(model, clip / "vision_model.onnx")
    found = load(clip)
    assert (
        found.batch_note == "vision_model.onnx declares batches of any size, and takes 1 at a time"
    )
    np.testing.assert_allclose(found.encode_images(images), expected, atol=2e-6)


def test_int8_is_embedded_one_by_one(clip, images):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    exact = load(clip)
    for name in PAIR:
        file = clip / f"{name}_quantized.onnx"
        quantize_dynamic(clip / f"{name}.onnx", file, weight_type=QuantType.QUInt8)
        assert read_graph(file).scales_by_batch
    found = load(clip, "quantized")
    assert found.precision == "int8"
    assert "vision_model_quantized.onnx is quantized by what is in a batch" in found.batch_note
    vectors = found.encode_images(images)
    np.testing.assert_array_equal(
        vectors, np.concatenate([found.encode_images([image]) for image in images])
    )
    drift = np.abs(vectors - exact.encode_images(images)).max()
    assert 1e-5 < drift < 0.1
    found.images.alone = False  # what would be stored otherwise
    assert np.abs(found.encode_images(images) - vectors).max() > 1e-5
    checks = {check.name: check for check in check_named_model(f"onnx:quantized={clip}")}
    assert checks["images: batch size"].passed
    assert "is quantized by what is in a batch" in checks["images: batch size"].finding
    for name in PAIR:  # where nothing but a variant is there, it is taken
        (clip / f"{name}.onnx").unlink()
    assert load(clip).key == found.key
    refuse(clip, "no network of the variant 'fp16'; there is: quantized", "fp16")


def test_neighbours_that_change_vectors_are_found_by_trying(clip):
    """No operator tells: each row has the mean of the batch added."""
    import onnx
    from onnx import helper

    model = onnx.load(clip / "vision_model.onnx")
    last = next(node for node in model.graph.node if "image_embeds" in node.output)
    last.output[0] = "before"
    version = {each.domain: each.version for each in model.opset_import}[""]
    assert version >= 18
    model.graph.initializer.append(helper.make_tensor("rows", 7, [1], [0]))
    model.graph.node.append(
        helper.make_node("ReduceMean", ["before", "rows"], ["mean"], keepdims=1)
    )
    model.graph.node.append(helper.make_node("Mul", ["before", "mean"], ["image_embeds"]))
    onnx.save(model, clip / "vision_model.onnx")
    found = load(clip)
    assert found.images.alone
    assert "vectors of vision_model.onnx depend on what else is in a batch" in found.batch_note


# Folders --------------------------------------------------------------------------------------------------------


def test_the_layout_of_hub_repositories(clip):
    """Networks below onnx/ in several variants; those without one are taken unless another is named."""
    plain = load(clip)
    (clip / "onnx").mkdir()
    for name in PAIR:
        shutil.copy(clip / f"{name}.onnx", clip / "onnx" / f"{name}_fp16.onnx")
        (clip / f"{name}.onnx").rename(clip / "onnx" / f"{name}.onnx")
    found, half = load(clip), load(clip, "fp16")
    assert len({plain.key, found.key, half.key}) == 3
    named = encoders.weights(encoders.find(f"onnx:fp16={clip}"))
    assert {"onnx:vision_model_fp16.onnx", "onnx:text_model_fp16.onnx"} < named.keys()
    for name in PAIR:
        (clip / "onnx" / f"{name}.onnx").rename(clip / "onnx" / f"{name}_int8.onnx")
    refuse(clip, "networks of variants only; there is: fp16, int8; write onnx:VARIANT=FOLDER")


def test_the_key_covers_every_file_that_is_read(clip):
    keys = [load(clip).key]
    for file in ("preprocessor_config.json", "tokenizer_config.json", "config.json"):
        edit_json(clip / file, device=None, note=None, processor_class=f"of {file}")
        keys.append(encoders.LazyEncoder(encoders.find(f"onnx:{clip}")).key)
    assert len(set(keys)) == 4
    (clip / "notes.txt").write_text("not read")
    assert encoders.LazyEncoder(encoders.find(f"onnx:{clip}")).key == keys[-1]


def test_weights_beside_a_network_are_read_and_digested(clip, images):
    import onnx

    file, before = clip / "vision_model.onnx", load(clip)
    onnx.save(
        onnx.load(file), file, save_as_external_data=True, location="pixels.bin", size_threshold=0
    )
    assert read_graph(file).external == ("pixels.bin",)
    found = load(clip)
    np.testing.assert_array_equal(found.encode_images(images), before.encode_images(images))
    assert "pixels.bin" in encoders.weights(encoders.find(f"onnx:{clip}"))
    (clip / "pixels.bin").unlink()
    refuse(clip, "no pixels.bin, which holds weights of a network")


def test_what_a_network_says_of_itself_is_what_onnx_reads(models):
    import onnx

    for name in PAIR:
        file = models[CLIP] / f"{name}.onnx"
        model, found = onnx.load(file), read_graph(file)
        assert found.operators == {node.op_type for node in model.graph.node}
        assert found.precision == "fp32"
        assert not found.external


def test_pictures_alone(clip, images):
    (clip / "text_model.onnx").unlink()
    (clip / "tokenizer.json").unlink()
    checkpoint = encoders.find(f"onnx:{clip}")
    assert checkpoint.image_only
    assert encoders.load(checkpoint).encode_images(images).shape == (5, 1, 512)


def test_a_description_of_our_own(clip, images):
    """For networks of other exporters: files, outputs, pictures and tokenizer are named."""
    import onnx
    import torchvision.transforms as T

    expected = load(clip)
    for name, input_name, ours in zip(PAIR, ("pixel_values", "input_ids"), "ab", strict=True):
        model = onnx.load(clip / f"{name}.onnx")
        for each in (*model.graph.input, *model.graph.node):
            names = [each.name] if hasattr(each, "type") else each.input
            if input_name in names and hasattr(each, "type"):
                each.name = f"given_{ours}"
            elif not hasattr(each, "type"):
                each.input[:] = [f"given_{ours}" if one == input_name else one for one in names]
        onnx.save(model, clip / f"{ours}.onnx")
        (clip / f"{name}.onnx").unlink()
    refuse(clip, "a.onnx, b.onnx: which is for what\\? name the files in onnx.toml")
    edit_json(clip / "tokenizer_config.json", pad_token=None, model_max_length=None)
    (clip / "preprocessor_config.json").unlink()
    (clip / "config.json").unlink()
    about = """
images = "a.onnx"
texts = "b.onnx"
side = 28
mean = [0.48145466, 0.4578275, 0.40821073]
std = [0.26862954, 0.26130258, 0.27577711]
"""
    (clip / "onnx.toml").write_text(about)
    refuse(clip, "nothing says what texts are padded with; write pad_id in onnx.toml")
    (clip / "onnx.toml").write_text(f"{about}pad_id = 93\n")
    refuse(clip, "it takes given_b .*attention_mask")  # of several inputs of tokens one is unknown
    model = onnx.load(clip / "b.onnx")
    for each in (*model.graph.input, *model.graph.node):
        if hasattr(each, "type") and each.name == "given_b":
            each.name = "input_ids"
        elif not hasattr(each, "type"):
            each.input[:] = ["input_ids" if one == "given_b" else one for one in each.input]
    onnx.save(model, clip / "b.onnx")
    found = load(clip)
    np.testing.assert_allclose(
        found.encode_texts(TEXTS)[0], expected.encode_texts(TEXTS)[0], atol=2e-6
    )
    steps = [T.Resize(28, T.InterpolationMode.BICUBIC), T.CenterCrop(28), T.ToTensor()]
    steps.append(
        T.Normalize((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
    )
    for image in images:
        wanted = T.Compose(steps)(image).numpy()
        np.testing.assert_allclose(found.prepare_image(image), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("sides = 3", "unknown key 'sides': did you mean side"),
        ("side = true", "side = True is of the wrong kind"),
        ('resize = "crop"', "unknown resize 'crop'"),
        ("side = 28\nmean = [0.5]", "mean is .0.5.; a number for each of three colours is needed"),
        ('texts = "a.onnx"', "texts without images"),
        ('images = "a.onnx"', "no a.onnx, which its description names"),
        ("side =", "onnx.toml"),
    ],
)
def test_descriptions_that_are_wrong(content, said, clip):
    (clip / "onnx.toml").write_text(content)
    refuse(clip, said)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"image_processor_type": "OwnImageProcessor"},
            "prepared by OwnImageProcessor, which isn't",
        ),
        ({"do_pad": True}, "do_pad isn't known here"),
        ({"image_mean": None}, "image_mean is missing"),
        ({"size": {"longest_edge": 28}}, "size is .*; height and width are needed"),
        ({"do_center_crop": False}, "no smaller middle is cut out"),
        ({"do_resize": False}, "do_resize is false"),
    ],
)
def test_preprocessing_that_is_not_known(values, said, clip):
    edit_json(clip / "preprocessor_config.json", **values)
    error = refuse(clip, said)
    assert "write onnx.toml beside it" in str(error)


def test_older_configurations_of_clip(clip):
    """One number for the size of the shorter side, and the class by its name of then."""
    new = describe_pixels(clip, {})
    values = {"image_processor_type": None, "feature_extractor_type": "CLIPFeatureExtractor"}
    edit_json(
        clip / "preprocessor_config.json", size=28, crop_size=28, rescale_factor=None, **values
    )
    old = describe_pixels(clip, {})
    assert old == new
    assert prepare_pixels(Image.new("RGB", (99, 44)), old).shape == (3, 28, 28)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda folder: (folder / "tokenizer.json").unlink(),
            "no tokenizer.json, which reads texts",
        ),
        (
            lambda folder: (folder / "tokenizer.json").rename(folder / "spiece.model"),
            "spiece.model isn't read; take the tokenizer.json of a repository",
        ),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer.json: "),
        (
            lambda folder: (folder / "preprocessor_config.json").unlink(),
            "no preprocessor_config.json",
        ),
        (
            lambda folder: (folder / "preprocessor_config.json").write_text("[]"),
            "no table of names",
        ),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json"),
        (
            lambda folder: (folder / "vision_model.onnx").unlink(),
            "text_model.onnx: which is for what",
        ),
        (
            lambda folder: [(folder / f"{name}.onnx").unlink() for name in PAIR],
            "no networks: model.onnx",
        ),
        (
            lambda folder: (folder / "text_model.onnx").write_bytes(b""),
            "no ONNX network, or is damaged",
        ),
        (
            lambda folder: (folder / "text_model.onnx").write_bytes(
                (folder / "text_model.onnx").read_bytes()[:-9]
            ),
            "no ONNX network, or is damaged",
        ),
        (
            lambda folder: (folder / "text_model.onnx").write_text(
                "version https://git-lfs.github"
            ),
            "pointer of Git LFS; fetch the file with git lfs pull",
        ),
        (
            lambda folder: shutil.copy(folder / "vision_model.onnx", folder / "text_model.onnx"),
            "text_model.onnx: it takes no texts",
        ),
        (
            lambda folder: shutil.copy(folder / "text_model.onnx", folder / "vision_model.onnx"),
            "vision_model.onnx: it takes no pictures",
        ),
        (
            lambda folder: edit_json(
                folder / "preprocessor_config.json",
                size={"shortest_edge": 42},
                crop_size={"height": 42, "width": 42},
            ),
            "vision_model.onnx: it takes pictures of 28 x 28 pixels, .* makes 42 x 42",
        ),
    ],
)
def test_folders_that_lack_something(spoil, said, clip):
    spoil(clip)
    error = refuse(clip, said)
    assert not isinstance(error, NotReady) or "\n" not in error.parts[2]


def test_networks_without_their_projection(models, tmp_path):
    """CLIP before its projection has other sizes for pictures and texts, and tells by its outputs' names."""
    import onnx
    from onnx import helper

    folder = shutil.copytree(models[CLIP], tmp_path / "clip")
    model = onnx.load(folder / "text_model.onnx")
    last = next(node for node in model.graph.node if "text_embeds" in node.output)
    assert last.op_type in ("MatMul", "Gemm")
    model.graph.node.remove(last)
    renamed = helper.make_node("Identity", [last.input[0]], ["text_embeds"])
    model.graph.node.append(renamed)
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 32
    onnx.save(model, folder / "text_model.onnx")
    refuse(
        folder,
        "vision_model.onnx gives 512 numbers for a picture and text_model.onnx 32 for a text",
    )
    model.graph.node[-1].output[0] = model.graph.output[0].name = "pooler_output"
    onnx.save(model, folder / "text_model.onnx")
    refuse(folder, "it gives pooler_output, and no text_embeds; export it with its projection")


def test_inputs_of_other_types_are_named(clip):
    import onnx
    from onnx import helper

    model = onnx.load(clip / "vision_model.onnx")
    pixels = model.graph.input[0]
    pixels.name, pixels.type.tensor_type.elem_type = "bytes", onnx.TensorProto.UINT8
    model.graph.node.insert(0, helper.make_node("Cast", ["bytes"], ["pixel_values"], to=1))
    onnx.save(model, clip / "vision_model.onnx")
    refuse(clip, r"it takes bytes tensor\(uint8\) .*; known are pictures")


def test_weights_outside_of_the_folder_are_refused(clip):
    import onnx

    file = clip / "vision_model.onnx"
    model = onnx.load(file)
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../elsewhere.bin")
    file.write_bytes(model.SerializeToString())
    with pytest.raises(BadFile, match="it has weights outside of its folder, in 'elsewhere.bin'"):
        read_graph(file)


def test_sources_are_read_as_folders():
    plain, half = Source.read("onnx:models/clip"), Source.read("onnx:fp16=models/clip")
    assert (plain.public, half.public) == ("onnx:clip", "onnx:fp16=clip")
    assert (plain.short_name, half.short_name) == ("onnx.clip", "onnx.fp16.clip")
    assert str(plain.folder) == str(half.folder) == str(Source.read("onnx:./models/clip").folder)
    with pytest.raises(KisBenchError, match="onnx.absent: no such folder. looked in absent"):
        encoders.load("onnx:absent")


def test_looking_imports_no_library(clip):
    """A run whose vectors lie in the store needs neither onnxruntime nor torch."""
    code = (
        "import sys; from kis_bench import encoders; one = encoders.find(sys.argv[1]);"
        "print(encoders.readiness(one).ready, encoders.LazyEncoder(one).key);"
        "print({'torch', 'onnxruntime', 'tokenizers'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, f"onnx:{clip}"], capture_output=True, text=True, check=True
    )
    ready, nothing = done.stdout.splitlines()
    assert ready.startswith("True onnx-")
    assert nothing == "set()"


@pytest.mark.parametrize(
    ("options", "said"),
    [({"device": "cuda"}, "runs on the CPU"), ({"precision": "bf16"}, "precision bf16")],
)
def test_devices_and_precisions_that_are_not_used(options, said, clip):
    with pytest.raises(KisBenchError, match=said):
        encoders.load(f"onnx:{clip}", **options)


def test_networks_of_open_clip(tmp_path, images):
    """Exported from open_clip, with its tokenizer and its way of cutting pictures, by a description of ours."""
    import open_clip
    import torch

    ours, name = tmp_path / "ours", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
    miniatures.write(name, tmp_path / "known")
    model = open_clip.create_model_from_pretrained(f"local-dir:{tmp_path / 'known'}")[0].eval()
    ours.mkdir()

    class Texts(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, tokens):
            return self.model.encode_text(tokens)

    for file, network, example in (
        ("visual.onnx", model.visual, torch.zeros(2, 3, 28, 28)),
        ("textual.onnx", Texts().eval(), torch.zeros(2, 77, dtype=torch.long)),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (example,),
                str(ours / file),
                input_names=["given"],
                dynamic_axes={"given": {0: "n"}},
                dynamo=False,
            )
    page = (Path(__file__).parents[2] / "docs" / "your-model.md").read_text(encoding="utf-8")
    example = re.search(r"```toml\n(# onnx.toml\n.*?)```", page, re.DOTALL)[1]
    assert "side = 224" in example
    (ours / "onnx.toml").write_text(example.replace("side = 224", "side = 28"))
    known = encoders.load(f"openclip:local-dir:{tmp_path / 'known'}", device="cpu")
    found = load(ours)
    np.testing.assert_allclose(found.encode_images(images), known.encode_images(images), atol=2e-6)
    texts = [*TEXTS, "cat " * 75, "cat " * 76]
    (ours_of, cut), (theirs, also) = found.encode_texts(texts), known.encode_texts(texts)
    np.testing.assert_allclose(ours_of, theirs, atol=2e-6)
    assert cut.tolist() == also.tolist() == [False] * 5 + [True]
    assert found.context_length == 77
