"""Each fault that users make is planted, and found by its name; models without a fault pass."""

import re
import subprocess
import sys

import numpy as np
import pytest

from kis_bench import encoders
from kis_bench.checks.models import ExaminedModel, check_model
from kis_bench.encoders.catalogue import find
from kis_bench.files.images import upright
from kis_bench.records import Checkpoint


def failed(encoder, row=None, **about):
    row = row or Checkpoint("mine", "python:mine:load")
    return {
        check.name: check.finding
        for check in check_model(ExaminedModel(encoder, row, **about))
        if check.passed is False
    }


class Sound:
    """Wraps the demo model; a fault overrides one method."""

    vectors_per_item, name, key = 1, "mine", "mine-1"

    def __init__(self):
        self.inner = encoders.load("demo", device="cpu")
        self.dim, self.context_length = self.inner.dim, self.inner.context_length

    def encode_images(self, images):
        return self.inner.encode_images(images)

    def encode_texts(self, texts):
        return self.inner.encode_texts(texts)


def test_a_sound_model_passes():
    assert failed(Sound()) == {}


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def changed(images=None, texts=None, **attributes):
    """A sound model whose vectors are changed by a function of (vectors, inputs)."""

    class Changed(Sound):
        def encode_images(self, inputs):
            found = super().encode_images(inputs)
            return found if images is None else images(found.copy(), inputs)

        def encode_texts(self, inputs):
            found, cut = super().encode_texts(inputs)
            return (found, cut) if texts is None else (texts(found.copy(), inputs), cut)

    made = Changed()
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def spoilt(value):
    def spoil(vectors, _):
        vectors[-1] = value
        return vectors

    return spoil


def by_position(vectors, _):
    return unit(vectors + np.arange(len(vectors), dtype=np.float32)[:, None, None] / 100)


FAULTS = {
    "NaN": (changed(spoilt(np.nan)), "images: vectors", "NaN"),
    "zero": (changed(spoilt(0)), "images: vectors", "length zero"),
    "not normalised": (changed(texts=lambda v, _: v * 3), "texts: vectors", "divide each vector"),
    "float64": (changed(lambda v, _: v.astype(np.float64)), "images: vectors", "float32"),
    "shape": (changed(lambda v, _: v[:, 0]), "images: vectors", "float32 \\[7, 1, 128\\]"),
    "constant": (
        changed(lambda v, _: np.repeat(v[:1], len(v), axis=0)),
        "images: differ",
        "the same comes out",
    ),
    "batch mean": (
        changed(lambda v, _: unit(v - v.mean(0) / 2)),
        "images: batch size",
        "batch norm",
    ),
    "position": (changed(by_position), "images: order", "reversed"),
    "dtype drift": (
        changed(lambda v, x: v.astype(np.float16).astype(np.float32) if len(x) > 1 else v),
        "images: batch size",
        "at most 1e-05",
    ),
    "random": (
        changed(lambda v, _: unit(v + np.random.default_rng().random(v.shape, np.float32))),
        "images: repeat",
        "dropout",
    ),
    "raises": (changed(lambda v, _: v[:, :, 999]), "images: vectors", "IndexError"),
    "dims": (changed(texts=lambda v, _: unit(v[:, :, :64])), "projection", "64 and 128"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_vectors(fault):
    encoder, name, said = FAULTS[fault]
    findings = failed(encoder)
    assert name in findings, findings
    assert re.search(said, findings[name]), findings[name]


def test_cut_texts_that_are_not_reported():
    class Silent(Sound):
        def encode_texts(self, texts):
            found, cut = super().encode_texts(texts)
            return found, np.zeros_like(cut)

    class NoFlags(Sound):
        def encode_texts(self, texts):
            return super().encode_texts(texts)[0], np.zeros(len(texts))

    class Nervous(Sound):
        def encode_texts(self, texts):
            return super().encode_texts(texts)[0], np.ones(len(texts), bool)

    silent = Silent()
    assert "isn't reported as cut" in failed(silent)["truncation"]
    silent.context_length = None
    assert "isn't reported as cut" in failed(silent)["truncation"]
    assert "bool [6] is needed" in failed(NoFlags())["truncation"]
    assert "one word" in failed(Nervous())["truncation"]


def test_exif_orientation():
    class Sideways(Sound):
        def encode_images(self, images):
            for image in images:
                image.getexif().clear()
            return super().encode_images(images)

    assert "upright(image)" in failed(Sideways())["exif orientation"]
    assert "exif orientation" not in failed(changed(lambda v, x: v))
    from PIL import Image

    stored = Image.new("RGB", (20, 10), "red")
    stored.getexif()[0x0112] = 6
    assert upright(stored).size == (10, 20)


def test_train_mode():
    encoder = Sound()
    encoder.inner.image.train()
    assert "call model.eval()" in failed(encoder)["evaluation mode"]


def test_a_checkpoint_before_its_projection(hub):
    hub.offer("bert-base-uncased")
    thesis = encoders.load("blip2-thesis", device="cpu", download=True)
    assert set(failed(thesis, find("blip2-thesis"))) == {"projection"}
    assert "dim" not in failed(encoders.load("blip2", device="cpu"), find("blip2"))
    notes = {
        check.name: check
        for check in check_model(ExaminedModel(Sound(), Checkpoint("mine", "python:a:b", dim=999)))
    }
    assert notes["projection"].passed is None
    assert "says 999" in notes["projection"].finding


def test_vectors_from_before_a_projection_in_a_function_of_the_users(hub):
    hub.offer("Salesforce/blip2-itm-vit-g")
    inner = encoders.load("blip2-itm-vit-g", device="cpu", download=True)

    class Hidden:
        """What M3RT did: query 0 and [CLS] of the Q-Former."""

        name, key, dim, vectors_per_item, context_length = "mine", "mine", 32, 1, 32

        def encode_images(self, images):
            import torch

            pixels = torch.cat(
                [inner.prepare_image(upright(image))["pixel_values"] for image in images]
            )
            model = inner.networks[0]
            with torch.inference_mode():
                seen = model.vision_model(pixel_values=pixels)[0]
                queries = model.query_tokens.expand(len(pixels), -1, -1)
                states = model.qformer(query_embeds=queries, encoder_hidden_states=seen)[0]
            return unit(states[:, :1].numpy())

        def encode_texts(self, texts):
            tokens, cut = inner.tokens(texts)
            import torch

            with torch.inference_mode():
                model = inner.networks[1]
                embedded = model.embeddings(input_ids=tokens["input_ids"])
                states = model.qformer(
                    query_embeds=embedded, query_length=0, attention_mask=tokens["attention_mask"]
                )[0]
            return unit(states[:, :1].numpy()), cut

    encoder = Hidden()
    encoder.model = inner.networks
    assert "32 components from before a projection to 256" in failed(encoder)["projection"]


def test_quick_gelu(hub, tmp_path):
    """By the table of open_clip for a repository, and by the library's own warning for a function of the user's."""
    import json

    name = "timm/vit_base_patch32_clip_224.openai"
    hub.offer(name)
    sound = encoders.load("clip-vit-b-32", device="cpu", download=True)
    assert failed(sound, find("clip-vit-b-32")) == {}
    config = encoders.hub.Repository(name).snapshot / "open_clip_config.json"
    content = json.loads(config.read_text())
    del content["model_cfg"]["quick_gelu"]
    config.unlink()
    config.write_text(json.dumps(content))
    wrong = encoders.load("clip-vit-b-32", device="cpu")
    findings = failed(wrong, find("clip-vit-b-32"))
    assert set(findings) == {"activation"}
    assert "were trained with QuickGELU, and GELU is used" in findings["activation"]
    warned = failed(
        Sound(),
        warnings=["QuickGELU mismatch between final model config (quick_gelu=False) and ..."],
    )
    assert "-quickgelu" in warned["activation"]


def test_siglip_texts_padded_to_the_longest(hub):
    """Each batch padded to its own longest text, as many tokenizers do unless told otherwise; no mask."""
    import torch

    hub.offer("timm/ViT-B-16-SigLIP-512")
    encoder = encoders.load("vit-b-16-siglip-512", device="cpu", download=True)
    assert failed(encoder, find("vit-b-16-siglip-512")) == {}

    def shortest(texts):
        tokens, cut = type(encoder).tokens(encoder, texts)
        longest = int((tokens != tokens[:, -1:]).sum(dim=1).max()) + 1
        return tokens[:, :longest], cut

    positions = encoder.model.text.positional_embedding
    attention = type(encoder.model.text).forward

    def forward(self, tokens):
        self.positional_embedding = torch.nn.Parameter(positions[: tokens.shape[1]])
        return attention(self, tokens)

    encoder.tokens = shortest
    encoder.model.text.forward = forward.__get__(encoder.model.text)
    assert "SigLIP: to the context" in failed(encoder, find("vit-b-16-siglip-512"))["padding"]


@pytest.mark.parametrize(
    "name",
    [
        "vit-h-14-laion2b",
        "align",
        "blip2-itm-vit-g",
        "transformers:openai/clip-vit-base-patch32",
        "timm:test_vit.r160_in1k",
        "lab-kmeans-4",
        "rgb-histogram-64",
        "lab-positional-4x4",
    ],
)
def test_models_of_every_back_end_pass(name, hub):
    row = find(name)
    if "/" in row.source or row.source.startswith("timm:"):
        hub.offer(
            row.source.partition(":")[2]
            if "/" in row.source
            else f"timm/{row.source.partition(':')[2]}"
        )
    assert failed(encoders.load(name, device="cpu", download=True), row) == {}


def doctor(folder, model):
    command = [sys.executable, "-m", "kis_bench.cli", "doctor", model]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_command(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from kis_bench import encoders\n\n\nclass Mine:\n    name, key, vectors_per_item = 'mine', 'mine-1', 1\n\n"
        "    def __init__(self):\n        self.inner = encoders.load('demo', device='cpu')\n"
        "        self.dim, self.context_length = self.inner.dim, 64\n\n"
        "    def encode_images(self, images):\n        return self.inner.encode_images(images) * 2\n\n"
        "    def encode_texts(self, texts):\n        return self.inner.encode_texts(texts)\n\n\n"
        "def load():\n    return Mine()\n"
    )
    done = doctor(tmp_path, "mine:load")
    assert done.returncode == 1
    assert (
        "FAIL  images: vectors: lengths 2.000000 to 2.000000; divide each vector by its length"
        in done.stdout
    )
    assert "pass  texts: vectors" in done.stdout
    assert "note  sense: finds" in done.stdout


def test_the_command_on_a_model_that_breaks_its_last_check(tmp_path):
    (tmp_path / "few.py").write_text(
        "import numpy as np\n\n\nclass Few:\n    name, dim, vectors_per_item, context_length = 'few', 2, 1, None\n\n"
        "    def encode_images(self, images):\n        return np.ones((len(images) - 1, 1, 2), np.float32)\n\n"
        "    def encode_texts(self, texts):\n        return self.encode_images(texts), np.zeros(len(texts), bool)\n\n\n"
        "def load():\n    return Few()\n"
    )
    done = doctor(tmp_path, "few:load")
    assert done.returncode == 1
    assert "FAIL  images: vectors: float32 [6, 1, 2]; float32 [7, 1, 2] is needed" in done.stdout
    assert "FAIL  sense: ValueError" in done.stdout
    assert "Traceback" not in done.stderr
