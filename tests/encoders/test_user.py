"""Objects of the user's own: what they say of themselves is heeded, or refused with the reason."""

from itertools import count

import numpy as np
import pytest

from kis_bench import encoders
from kis_bench.encoders import LazyEncoder
from kis_bench.encoders.catalogue import find
from kis_bench.errors import KisBenchError
from kis_bench.records import Checkpoint

numbers = count()
MODEL = """
import numpy as np
class Model:
    name, dim, vectors_per_item, context_length = "sound", 2, 1, None
    def __init__(self, **about):
        for name, value in about.items():
            setattr(self, name, value)
    def encode_images(self, images):
        return np.tile(np.float32([[[0.6, 0.8]]]), (len(images), 1, 1))
    def encode_texts(self, texts):
        return self.encode_images(texts), np.zeros(len(texts), bool)
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A module with the model above and a function ``load``; returns what to load."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def written(function):
        module = f"user_module_{next(numbers)}"
        (tmp_path / f"{module}.py").write_text(MODEL + function)
        return f"{module}:load"

    return written


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ("dim=0", "dim 0, which is no whole number"),
        ("dim=None", "dim None"),
        ("dim=True", "dim True"),
        ("vectors_per_item='1'", "vectors_per_item '1'"),
        ("batch_size=0", "batch_size 0, which is no whole number"),
        ("batch_size=None", "batch_size None"),
        ("input_side=-4", "input_side -4, which is no whole number"),
        ("key=''", "key '', which is no text"),
        ("key=' '", "key ' '"),
        ("key=7", "key 7"),
        ("name=''", "name ''"),
        ("dim=0, key=''", "dim 0.*key ''"),
        ("files=[3]", "files has 3, which is no path"),
        ("files=3", "files is 3; a list of paths"),
    ],
)
def test_what_cannot_be_is_refused(write, about, said):
    with pytest.raises(KisBenchError, match=said):
        encoders.load(write(f"def load():\n    return Model({about})\n"))


def test_a_dim_other_than_that_of_the_table(write):
    source = write("def load():\n    return Model()\n")
    with pytest.raises(
        KisBenchError, match="model mine: .*dim 2, where the table of models says 512"
    ):
        encoders.load(Checkpoint("mine", f"python:{source}", dim=512))


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("def load():\n    return 7\n", r"what load\(\) returns \(int\) lacks name, dim"),
        (
            "def load():\n    return {}['weights']\n",
            r"load\(\) fails: KeyError: 'weights' \(.*user_module.*line 13\)",
        ),
        (
            "def load():\n    raise SystemExit(3)\n",
            r"load\(\) fails: SystemExit: 3 \(.*user_module.*line 13\)",
        ),
        ("load = 3\n", "has no function load"),
    ],
)
def test_functions_that_make_no_model(write, function, said):
    with pytest.raises(KisBenchError, match=said):
        encoders.load(write(function))


@pytest.mark.parametrize(
    "part", ["name", "dim", "key", "files", "device", "image_only", "batch_size"]
)
def test_an_attribute_that_fails_is_one_message_with_its_line(write, part):
    function = (
        f"class Computed(Model):\n    @property\n    def {part}(self):\n        return 1 / 0\n"
    )
    with pytest.raises(
        KisBenchError,
        match=r"what load\(\) returns fails: ZeroDivisionError: .*user_module.*line 15",
    ):
        encoders.load(write(function + "def load():\n    return Computed()\n"))


def test_no_files_are_none(write):
    assert encoders.load(write("def load():\n    return Model(files=None)\n")).name == "sound"


def test_its_name_counts_where_no_table_gives_another(write):
    source = write("def load():\n    return Model(name='our best')\n")
    encoder = LazyEncoder(find(source))
    assert encoder.encoder.name == encoder.name == "our best"
    assert LazyEncoder(Checkpoint("row", f"python:{source}")).encoder.name == "row"


def test_an_image_only_object_needs_no_text_side(write):
    source = write(
        "class Images:\n    name, dim, vectors_per_item, image_only = 'eyes', 2, 1, True\n"
        "    encode_images = Model.encode_images\ndef load():\n    return Images()\n"
    )
    encoder = LazyEncoder(find(source))
    assert encoder.image_only
    assert encoder.context_length is None
    with pytest.raises(KisBenchError, match="eyes is image-only"):
        encoder.encode_texts(["a"])
    assert not LazyEncoder(find(write("def load():\n    return Model()\n"))).image_only


TAKES = "def load(device, precision):\n    return Model(device=device, precision=precision)\n"


def test_device_and_precision_are_handed_over(write):
    made = encoders.load(write(TAKES), device="cpu", precision="bf16")
    assert (made.own.device, made.own.precision) == (made.device, made.precision) == ("cpu", "bf16")
    assert (
        made.key
        != encoders.load(
            find(made.key.replace("python-", "").split("-")[0] + ":load"), device="cpu"
        ).key
    )
    anything = write("def load(**options):\n    return Model(options=options)\n")
    assert encoders.load(anything).own.options == {}
    made = encoders.load(anything, precision="fp16")
    assert made.own.options == {"precision": "fp16"}
    assert (made.device, made.precision) == (None, "fp16")


@pytest.mark.parametrize(
    ("function", "asked", "said"),
    [
        (
            "def load():\n    return Model()\n",
            {"device": "cuda"},
            r"device cuda was asked for, but load\(\) takes no",
        ),
        ("def load():\n    return Model()\n", {"device": "cuda:1"}, "give load a parameter device"),
        ("def load():\n    return Model(device='cpu')\n", {"device": "cuda"}, "it uses cpu"),
        ("def load():\n    return Model(device='cuda:0')\n", {"device": "cpu"}, "it uses cuda:0"),
        (
            "def load():\n    return Model()\n",
            {"precision": "bf16"},
            r"precision bf16 .* load\(\) takes no precision",
        ),
        (
            "def load(precision):\n    return Model(precision='fp32')\n",
            {"precision": "fp16"},
            "it uses fp32",
        ),
    ],
)
def test_what_is_asked_for_and_not_used_is_refused(write, function, asked, said):
    with pytest.raises(KisBenchError, match=said):
        encoders.load(write(function), **asked)


@pytest.mark.parametrize(
    ("about", "asked", "used"),
    [
        ("", {}, (None, None)),
        ("", {"device": "cpu"}, ("cpu", None)),
        ("device='cuda:1'", {}, ("cuda:1", None)),
        ("device='cuda:1'", {"device": "cuda"}, ("cuda:1", None)),
        ("device='cuda'", {"device": "cuda:0"}, ("cuda", None)),
        ("precision='torch.bfloat16'", {"precision": "bf16"}, (None, "bf16")),
    ],
)
def test_what_an_object_says_that_it_uses(write, about, asked, used):
    made = encoders.load(write(f"def load():\n    return Model({about})\n"), **asked)
    assert (made.device, made.precision) == used
    assert made.encode_images([1, 2]).dtype == np.float32
