"""What a session is told to rank with: recorded, or refused before anything is embedded."""

import json
from textwrap import dedent

import pytest
from builders import run_pytest
from PIL import Image

pytest.importorskip(
    "torch"
)  # here, for pytester forgets what is imported later, and torch is imported once only

pytest_plugins = ["pytester"]
COLOURS = ("red", "green", "blue")


@pytest.fixture
def run(tmp_path):
    """Runs pytest over three pictures; gives its exit code and what it wrote."""
    images = tmp_path / "colours" / "images"
    images.mkdir(parents=True)
    rows = ["query_id,item_id,label_set,text", *(f"{c},{c},short,{c}" for c in COLOURS)]
    (images.parent / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    for colour in COLOURS:
        Image.new("RGB", (8, 8), colour).save(images / f"{colour}.png")
    text = """
        def test_search(model, dataset, query_set, known_item_search):
            assert known_item_search(model, dataset, query_set).rank.tolist() == [1, 1, 1]
    """
    (tmp_path / "test_search.py").write_text(dedent(text), encoding="utf-8")
    options = ["--kis-dataset=colours", "--kis-model=colour-words", "-p", "no:randomly"]

    def run(*arguments):
        store = str(tmp_path / "store")
        done = run_pytest(*options, *arguments, cwd=tmp_path, drawn=False, KIS_STORE=store)
        return done.returncode, done.stdout + done.stderr

    return run


def test_engine_and_decoding_are_recorded(run, tmp_path):
    code, said = run("--kis-engine=torch", "--kis-device=auto", "--kis-decode=scaled")
    assert code == 0, said
    assert "kis-bench: JPEGs are decoded in full for colour-words: it doesn't tell" in said
    file = tmp_path / "reports" / "latest" / "run.json"
    about = json.loads(file.read_text(encoding="utf-8"))["models"]
    assert about["colour-words"]["ranking"]["engine"] == "torch"
    assert about["colour-words"]["decode"] == "full"


def test_a_device_that_is_not_there_is_told_before_anything_is_embedded(run, tmp_path):
    code, said = run("--kis-engine=torch", "--kis-device=cuda:99")
    assert code == 2, said
    wanted = "kis-bench: --kis-engine torch: device 'cuda:99' was asked for, but torch finds "
    assert next(line for line in said.splitlines() if "cuda:99" in line).startswith(wanted), said
    assert "Traceback" not in said
    assert not (tmp_path / "store").exists()


def test_what_multiplies_is_known_or_refused(run, tmp_path):
    code, said = run("--kis-engine=touch")
    assert code == 4, said
    assert (
        "argument --kis-engine: 'touch': what multiplies vectors for ranks, which stay the" in said
    )
    (tmp_path / "ray.py").write_text("raise ModuleNotFoundError(name='ray')", encoding="utf-8")
    code, said = run("--kis-engine=ray")
    assert code == 2, said
    (line,) = (line for line in said.splitlines() if line.startswith("kis-bench: --kis-engine"))
    assert line.startswith("kis-bench: --kis-engine ray: ray is not installed; ")
    assert line.endswith("[ray]'; nothing was measured")
    assert not (tmp_path / "store").exists()
