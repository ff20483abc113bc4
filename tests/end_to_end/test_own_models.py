"""Real runs, by pytest and by the command line, of a project whose model changes, lies, or has chance in it."""

import json
import os
import re
import shutil
from functools import partial
from pathlib import Path
from textwrap import dedent

import pytest
from builders import run_cli, run_pytest
from PIL import Image

from kis_bench.results import read_run

pytestmark = pytest.mark.slow

MODEL = """
    import os
    from pathlib import Path

    import numpy as np
    from shared import unit

    class Own:
        name, dim, vectors_per_item, context_length, key = "own", 4, 1, None, "own-1"

        def rows(self, numbers):
            return unit([[i, 20 - i, 3, 1] for i in numbers])

        def encode_images(self, images):
            return self.rows([image.getpixel((0, 0))[0] for image in images])

        def encode_texts(self, texts):
            return self.rows([int(text.split()[-1]) for text in texts]), np.zeros(len(texts), bool)

    class Other(Own):
        name = "other"

        def rows(self, numbers):
            return unit([[i, 20 - i, 2, 3] for i in numbers])

    def load():
        return Own()

    def load_other():
        return Other()
"""
SHARED = """
    import numpy as np

    def unit(rows):
        rows = np.array(rows, np.float32)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True))[:, None]
"""
TEST = """
    def test_search(model, dataset, query_set, known_item_search):
        known_item_search(model, dataset, query_set)
"""


@pytest.fixture
def project(tmp_path):
    images = tmp_path / "numbers" / "images"
    images.mkdir(parents=True)
    labels = ["query_id,item_id,label_set,text"]
    for i in range(20):
        Image.new("RGB", (6, 6), (i, 0, 0)).save(images / f"{i:02d}.png")
        labels.append(f"q{i:02d},{i:02d},short,number {i}")
    (tmp_path / "numbers" / "labels.csv").write_text("\n".join(labels))
    for name, text in (
        ("own.py", MODEL),
        ("shared.py", SHARED),
        ("test_own.py", TEST),
        ("pytest.ini", "[pytest]"),
    ):
        (tmp_path / name).write_text(dedent(text))
    return tmp_path


def run(project, *arguments, module="pytest", drawn=True):
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("KIS_", "PYTEST"))
    }
    mine = {
        "KIS_STORE": str(project / "store"),
        "KIS_CACHE": str(project / "cache"),
        "COLUMNS": "240",
        "PYTHONPATH": os.pathsep.join(
            [str(project), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
    }
    mine["PYTHONDONTWRITEBYTECODE"] = "1"
    start = {"pytest": partial(run_pytest, cached=True, drawn=drawn), "kis_bench.cli": run_cli}
    done = start[module](*arguments, cwd=project, base=kept, **mine)
    return done.returncode, done.stdout + done.stderr


def search(project, *arguments, model="own:load"):
    base = ["-p", "no:randomly", "-p", "no:cacheprovider", "--kis-dataset", "numbers=numbers"]
    named = [f"--kis-model={model}"] if model else []
    return run(project, *base, *named, *arguments, drawn=False)


def embed(project, *arguments):
    return run(
        project,
        "embed",
        "numbers=numbers",
        "--model",
        "own:load",
        *arguments,
        module="kis_bench.cli",
    )


def ranks(project):
    table = read_run(project / "reports" / "latest").ranks
    return dict(zip(table["query_id"], table["rank"], strict=True))


def change(project, file, old, new):
    text = (project / file).read_text()
    assert old in text
    (project / file).write_text(text.replace(old, new))


def provenance(project):
    return json.loads((project / "reports" / "latest" / "run.json").read_text())


@pytest.mark.parametrize("file", ["own.py", "shared.py"])
def test_a_change_of_code_is_measured_at_once(project, file):
    assert search(project)[0] == 0
    assert set(ranks(project).values()) == {1}
    before = provenance(project)["models"]["own"]
    if file == "own.py":
        change(project, file, "image.getpixel((0, 0))[0]", "20 - image.getpixel((0, 0))[0]")
    else:
        change(
            project,
            file,
            "rows = np.array(rows, np.float32)",
            "rows = np.array(rows, np.float32) ** 0",
        )
    code, said = search(project)
    assert code == 0, said
    assert max(ranks(project).values()) > 1
    after = provenance(project)["models"]["own"]
    assert before["key"] != after["key"]
    assert before["own_key"] == after["own_key"] == "own-1"
    assert "device" not in after  # it doesn't say
    assert int(after["threads"]) >= 1
    assert after["verified"] == {"numbers images": 4, "numbers-short texts": 4}


def test_a_file_that_no_key_tells_of_is_found_by_the_sample(project):
    change(
        project,
        "own.py",
        "return self.rows([image",
        "turn = int(Path('turn.txt').read_text())\n        return self.rows([turn + image",
    )
    (project / "turn.txt").write_text("0")
    assert search(project)[0] == 0
    (project / "turn.txt").write_text("1")
    code, said = search(project)
    assert code == 1
    assert "model own: stored vectors are not this model's: that of picture" in said
    assert "list the files that it reads in files" in said
    assert "Traceback" not in said
    code, said = embed(project)
    assert code == 2, said
    assert "stored vectors are not this model's" in said
    code, said = search(project, "--kis-verify", "0")
    assert code == 0, said
    assert embed(project, "--kis-verify=0")[0] == 0
    change(
        project,
        "own.py",
        'key = "own", 4, 1, None, "own-1"',
        'key = "own", 4, 1, None, "own-1"\n    files = ["turn.txt"]',
    )
    assert search(project)[0] == 0
    (project / "turn.txt").write_text("0")
    assert search(project)[0] == 0
    assert set(ranks(project).values()) == {1}


RANDOM = "return unit(np.random.default_rng().standard_normal((len(numbers), 4)))"


@pytest.mark.parametrize(
    "processes", [[], ["-n", "2", "--dist", "each"]], ids=["plain", "two at once"]
)
def test_chance_is_said_by_name(project, processes):
    change(project, "own.py", "return unit([[i, 20 - i, 3, 1] for i in numbers])", RANDOM)
    for code, said in (search(project, *processes), embed(project)):
        assert code in (1, 2), said
        assert "model own isn't deterministic: picture" in said
        assert "Traceback" not in said
        assert "vanished" not in said
    for _ in range(2):  # nobody asked: ends well, and all see the same
        code, said = search(project, *processes, "--kis-verify", "0")
        assert code == 0, said
    first, second = (
        read_run(folder).ranks["rank"].tolist() for folder in (project / "reports").glob("2*")
    )
    assert first == second


LIES = {
    "one too few": (
        "return self.rows([image.getpixel((0, 0))[0] for image in images])",
        "return self.rows([image.getpixel((0, 0))[0] for image in images])[:-1]",
        "model own: returned 19 vectors for 20 pictures ('00' to '19')",
    ),
    "flags": (
        "np.zeros(len(texts), bool)",
        "np.zeros(3, bool)",
        "which of 20 texts were cut is bool [3]",
    ),
    "dim": ('"own", 4, 1, None', '"own", 5, 1, None', "float32 [20, 1, 5] is needed"),
    "batch size": ("def rows", "batch_size = 0\n\n    def rows", "batch_size 0"),
    "empty key": ('"own-1"', '""', "key '', which is no text"),
    "a picture": (
        "image.getpixel((0, 0))[0] for",
        "1 // (image.getpixel((0, 0))[0] - 7) for",
        "model own fails on picture '07': ZeroDivisionError",
    ),
    "a text": (
        "int(text.split()[-1]) for",
        "1 // (int(text.split()[-1]) - 9) for",
        "model own fails on text 'q09': ZeroDivisionError",
    ),
}


@pytest.mark.parametrize("fault", LIES)
def test_lies_are_one_line_and_nothing_is_kept(project, fault):
    old, new, expected = LIES[fault]
    change(project, "own.py", old, new)
    for code, said in (
        (search(project), embed(project)) if fault in ("flags", "a picture") else (embed(project),)
    ):
        assert code in (1, 2), said
        assert expected in said
        assert "Traceback" not in said
    kept = {"flags": 1, "a text": 1}.get(fault, 0)  # the pictures were right
    assert len(list((project / "store").rglob("*.arrow"))) == kept
    change(project, "own.py", new, old)
    assert embed(project)[0] == 0


def test_its_own_name_stands_in_results_and_in_the_gate(project):
    (project / "limits.toml").write_text(
        '[[threshold]]\nmodel = "own"\nmetric = "recall@1"\nmin = 0.9\n'
    )
    code, said = search(project, "--kis-thresholds=limits.toml")
    assert code == 0, said
    assert set(read_run(project / "reports" / "latest").ranks["model"]) == {"own"}
    code, said = search(project, "--kis-baseline=reports/latest", "--kis-exact")
    assert code == 0, said
    change(
        project,
        "own.py",
        "self.rows([int(text.split()[-1])",
        "self.rows([int(text.split()[-1]) // 2",
    )
    code, said = search(project, "--kis-thresholds=limits.toml")
    assert code == 1
    assert re.search(r"queries not in first place: q\d\d: rank \d+; q", said), said


def test_an_image_only_object_is_not_asked_for_texts(project):
    change(project, "own.py", "def encode_texts", "image_only = True\n\n    def never")
    code, said = search(project, "-rs", "--kis-strict")
    assert code != 0
    assert "model own: has no text side" in said or "model own.load: has no text side" in said
    code, said = embed(project)
    assert code == 0, said
    assert "own has no text side; no texts are embedded" in said


@pytest.mark.parametrize("processes", [[], ["-n", "2"]], ids=["plain", "xdist"])
@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('name = "other"', 'name = "other"', "models own and other have one key, 'own-1'"),
        ('name = "other"', 'key = "other-1"', "two models are called own: python:own:load"),
    ],
)
def test_models_that_can_not_be_told_apart(project, processes, old, new, expected):
    change(project, "own.py", old, new)
    code, said = search(project, "--kis-model=own:load_other", *processes)
    assert code == 2, said
    assert expected.partition(" have")[0].split()[0] in said
    assert (
        expected in said
        or "models other and own have one key, 'own-1'" in said
        or "called own" in said
    )


@pytest.mark.parametrize(
    ("model", "arguments", "expected"),
    [
        (
            "demo",
            ["--kis-precision", "bf16"],
            "model demo: precision bf16 was asked for, but it computes in fp32",
        ),
        (
            "colour-words",
            ["--kis-device", "cuda"],
            "model colour-words: device cuda was asked for, but it runs on",
        ),
        (
            "own:load",
            ["--kis-device", "cuda"],
            "device cuda was asked for, but load() takes no device",
        ),
        (
            "own:load",
            ["--kis-precision", "fp16"],
            "precision fp16 was asked for, but load() takes no precision",
        ),
    ],
)
def test_what_is_asked_for_and_not_used_is_an_error(project, model, arguments, expected):
    assert search(project, model=model)[0] == 0  # also where all lies in the store
    code, said = search(project, *arguments, model=model)
    assert code in (1, 2), said
    assert expected in said
    assert "Traceback" not in said
    code, said = run(
        project,
        "embed",
        "numbers=numbers",
        "--model",
        model,
        *[one.replace("--kis-", "--") for one in arguments],
        module="kis_bench.cli",
    )
    assert code == 2
    assert expected in said


@pytest.mark.parametrize(
    "arguments", [["--kis-thresholds="], ["--kis-baseline="]], ids=["baseline", "thresholds"]
)
def test_a_changed_colour_of_the_example_fails_its_gate_and_names_queries(tmp_path, arguments):
    """As the example's README says; the vectors of the model before lie in the store."""
    example = tmp_path / "own-suite"
    source = Path(__file__).parents[2] / "examples" / "own-suite"
    shutil.copytree(
        source, example, ignore=shutil.ignore_patterns("reports", "__pycache__", ".pytest_cache")
    )
    code, said = run(example, "-k", "own-model", *arguments)
    assert code == 0, said
    change(example, "own_model.py", '"red": (220, 30, 30)', '"red": (30, 140, 50)')
    change(example, "own_model.py", '"blue": (30, 70, 210)', '"blue": (120, 40, 150)')
    change(example, "own_model.py", '"yellow": (255, 225, 0)', '"yellow": (255, 150, 190)')
    code, said = run(example, "-k", "own-model", *arguments)
    assert code == 1, said
    assert re.search(r"quer(y|ies) .*: find-\d\d: ", said), said


def test_the_doctor_names_vectors_under_old_keys(project):
    assert search(project)[0] == 0
    folders = [file.parent for file in (project / "store").rglob("manifest.json")]
    _, said = run(project, "doctor", module="kis_bench.cli")
    assert "pass  stored vectors: none that nothing looks for" in said
    for folder in folders:
        about = json.loads((folder / "manifest.json").read_text())
        del about["keys"]
        (folder / "manifest.json").write_text(json.dumps(about | {"key": "own-1"}))
    (folders[0] / "manifest.json").with_name("broken.json").write_text("{")
    _, said = run(project, "doctor", module="kis_bench.cli")
    assert re.search(
        "note  stored vectors: unused since keys of functions cover their code, .* MB: own-1 .numbers-",
        said,
    )
