"""Pictures of ``kis-bench embed --engine`` and of sessions go to the nodes; what is wrong ends with exit code 2."""

import pytest
from builders import run_cli, run_pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "mine" / "images"
    images.mkdir(parents=True)
    rows = ["query_id,item_id,label_set,text"]
    for i in range(9):
        Image.new("RGB", (8, 8), (20 * i, 9, 200)).save(images / f"{i}.png")
        rows.append(f"q{i},{i},short,a blue thing")
    (tmp_path / "mine" / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path


def embed(folder, engine, *more):
    return run_cli(
        *("embed", "mine=mine", "--model", "colour-words", "--engine", engine),
        *("--store", f"store-{engine.partition(':')[0]}", *more),
        cwd=folder,
    )


def test_the_command_makes_the_same_store_and_tells_who_did_what(cluster, folder):
    here, there = embed(folder, "local"), embed(folder, f"ray:{cluster.address}")
    assert (here.returncode, there.returncode) == (0, 0), there.stderr
    stores = [
        {
            file.relative_to(folder / f"store-{one}"): file.read_bytes()
            for file in (folder / f"store-{one}").rglob("*")
            if file.is_file()
        }
        for one in ("local", "ray")
    ]
    assert stores[0] == stores[1]
    assert any(name.suffix == ".arrow" for name in stores[0])
    assert ": 9 pictures\n" in there.stdout
    assert "embedded on node " in there.stdout
    assert "embedded on" not in here.stdout
    again = embed(folder, f"ray:{cluster.address}")
    assert "embedded on" not in again.stdout


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("ray:127.0.0.1:1", "no cluster answers at 127.0.0.1:1"),
        ("torch", "--engine torch is for ranks; pictures are embedded locally, or on ray"),
        ("dask", "--engine"),
    ],
)
def test_what_cannot_embed_ends_with_exit_code_2(folder, engine, said):
    done = embed(folder, engine)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "store-ray").exists()


def test_an_unreadable_picture_ends_the_command(cluster, folder):
    (folder / "mine" / "images" / "5.png").write_bytes(b"no picture")
    done = embed(folder, f"ray:{cluster.address}")
    assert done.returncode == 2
    assert "5.png" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_session_embeds_on_the_nodes(cluster, folder):
    """Both kinds of measurement; a worker leaves a file where it loads the model."""
    (folder / "marking.py").write_text(
        "import os\n"
        "from kis_bench.encoders import load\n\n\n"
        "def make():\n"
        "    model = load('colour-words')\n"
        "    model.key += '-marking'\n"
        "    encode = model.encode_prepared\n\n"
        "    def mark(prepared):\n"
        "        open(f'encoded-{len(prepared)}-{os.getpid()}', 'w').close()\n"
        "        return encode(prepared)\n\n"
        "    model.encode_prepared = mark\n"
        "    return model\n",
        encoding="utf-8",
    )
    (folder / "test_search.py").write_text(
        "import os\n\n\n"
        "def test_search(model, dataset, query_set, known_item_search):\n"
        "    known_item_search(model, dataset, query_set)\n"
        "    assert not [name for name in os.listdir() if name.endswith(f'-{os.getpid()}')]\n"
        "    assert [name for name in os.listdir() if name.startswith('encoded-9-')]\n",
        encoding="utf-8",
    )
    done = run_pytest(
        "--kis-dataset=mine=mine",
        "--kis-model=marking:make",
        "--kis-verify=0",
        f"--kis-engine=ray:{cluster.address}",
        cwd=folder,
        drawn=False,
        KIS_STORE=str(folder / "store"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
