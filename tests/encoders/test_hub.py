"""Fetching: what is asked of the hub, going on after a stop, and everything that can be wrong with a network."""

import os
import signal
import subprocess
import sys
import time

import pytest

from kis_bench import encoders
from kis_bench.encoders import hub as models_hub
from kis_bench.encoders.downloads import download
from kis_bench.encoders.hub import Repository
from kis_bench.errors import KisBenchError, NotReady

NAME = "timm/vit_base_patch32_clip_224.openai"


def cli(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "kis_bench.cli", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_fetch_gets_one_set_of_weights_and_no_more(hub):
    hub.offer(NAME)
    for extra in (
        "pytorch_model.bin",
        "open_clip_pytorch_model.bin",
        "tf_model.h5",
        "onnx/model.onnx",
        "picture.png",
    ):
        (hub.root / NAME / extra).parent.mkdir(exist_ok=True)
        (hub.root / NAME / extra).write_bytes(b"not wanted")
    assert encoders.readiness(encoders.find("clip-vit-b-32")).state == "not downloaded"
    done = cli("fetch", "clip-vit-b-32")
    assert (done.returncode, "clip-vit-b-32: downloaded; ready" in done.stdout) == (0, True), (
        done.stdout + done.stderr
    )
    fetched = {
        path.rsplit("/", 1)[1]
        for method, path, _ in hub.log
        if method == "GET" and "/resolve/" in path
    }
    assert fetched == {"open_clip_config.json", "open_clip_model.safetensors"}
    asked = len(hub.log)
    assert "was here already; ready" in cli("fetch", "clip-vit-b-32").stdout
    assert len(hub.log) == asked


def test_a_killed_fetch_goes_on_where_it_was(hub, tmp_path):
    hub.offer(NAME)
    big = hub.root / "somebody" / "big"
    big.mkdir(parents=True)
    (big / "open_clip_config.json").write_text("{}")
    content = os.urandom(24 * 2**20)
    (big / "open_clip_model.safetensors").write_bytes(content)
    hub.bytes_per_second = 8 * 2**20
    process = subprocess.Popen(
        [sys.executable, "-m", "kis_bench.cli", "fetch", "hf-hub:somebody/big"]
    )
    blobs = tmp_path / "hf" / "hub" / "models--somebody--big" / "blobs"

    def had():
        return sum(part.stat().st_size for part in blobs.glob("*.part")) if blobs.exists() else 0

    while had() < 2**23 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    hub.bytes_per_second = None
    left = had()
    assert 2**23 <= left < len(content)
    assert not encoders.readiness(encoders.find("hf-hub:somebody/big")).ready
    done = cli("fetch", "hf-hub:somebody/big")
    assert done.returncode == 0, done.stderr
    assert ("GET", 206) in {(method, status) for method, _, status in hub.log}
    here = Repository("somebody/big").snapshot
    assert (here / "open_clip_model.safetensors").read_bytes() == content
    assert not list(blobs.glob("*.part"))
    assert not list(blobs.glob("*.lock"))


def test_two_processes_may_fetch_at_once(hub):
    hub.offer(NAME)
    both = [
        subprocess.Popen([sys.executable, "-m", "kis_bench.cli", "fetch", "clip-vit-b-32"])
        for _ in range(2)
    ]
    assert [process.wait() for process in both] == [0, 0]
    assert encoders.readiness(encoders.find("clip-vit-b-32")).ready


def test_a_file_that_changed_on_its_way_is_thrown_away(hub, tmp_path):
    (hub.root / "files").mkdir(exist_ok=True)
    (hub.root / "files" / "w.pth").write_bytes(b"x" * 1000)
    with pytest.raises(KisBenchError, match="digest"):
        download(f"{hub.url}/files/w.pth", tmp_path / "w.pth", sha256="0" * 64)
    assert not (tmp_path / "w.pth").exists()
    assert not (tmp_path / "w.pth.part").exists()
    (tmp_path / "w.pth.part").write_bytes(b"x" * 1000)  # stopped after the last byte
    assert download(f"{hub.url}/files/w.pth", tmp_path / "w.pth").read_bytes() == b"x" * 1000
    with pytest.raises(KisBenchError, match="can't be downloaded"):
        download(f"{hub.url}/files/nowhere.pth", tmp_path / "nowhere.pth")


def test_a_renamed_repository_and_a_revision(hub):
    hub.offer(NAME)
    hub.renamed["former/name"] = NAME
    assert encoders.fetch(encoders.find("hf-hub:former/name"))
    assert encoders.readiness(encoders.find("hf-hub:former/name")).ready
    commit = hub.commit(NAME)
    pinned = encoders.find(f"hf-hub:{NAME}@{commit}")
    assert encoders.fetch(pinned)
    assert commit[:12] in encoders.LazyEncoder(pinned).key
    with pytest.raises(NotReady, match="can't be downloaded"):
        encoders.fetch(encoders.find(f"hf-hub:{NAME}@v9"))


def test_a_mirror_that_lists_nothing(hub, monkeypatch):
    hub.offer(NAME)
    monkeypatch.setattr("loopback_hub.Handler.about", lambda self, *_: self.send(404, {}))
    assert encoders.fetch(encoders.find("clip-vit-b-32"))
    assert encoders.readiness(encoders.find("clip-vit-b-32")).ready


def test_what_cannot_be_downloaded_says_why(hub, monkeypatch):
    (hub.root / "some" / "notes").mkdir(parents=True, exist_ok=True)
    (hub.root / "some" / "notes" / "README.md").write_text("no model")
    with pytest.raises(NotReady, match="no repository of open_clip"):
        encoders.fetch(encoders.find("hf-hub:some/notes"))
    with pytest.raises(NotReady, match="nobody/nothing .*can't be downloaded"):
        encoders.fetch(encoders.find("hf-hub:nobody/nothing"))
    with pytest.raises(NotReady, match="HF_HUB_OFFLINE is set"), models_hub.no_network():
        encoders.fetch(encoders.find("clip-vit-b-32"))
    done = cli("fetch", "clip-vit-b-32", HF_ENDPOINT="http://127.0.0.1:9")
    assert (done.returncode, "Check the network" in done.stderr, "Traceback" in done.stderr) == (
        2,
        True,
        False,
    )
    assert cli("fetch", "clip-vit-b-23").returncode == 2
    assert "no matter of downloading" in cli("fetch", "nowhere:load").stderr


def test_a_snapshot_that_lacks_a_part_is_not_ready(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    names = ["model.safetensors", "model.safetensors.index.json"]
    assert models_hub.missing_files(tmp_path, "config.json", names) == ["model.safetensors"]
    (tmp_path / names[1]).write_text(
        '{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}'
    )
    (tmp_path / "one.safetensors").write_bytes(b"")
    assert models_hub.missing_files(tmp_path, "config.json", names) == ["two.safetensors"]
    (tmp_path / names[1]).write_text("[]")
    assert "damaged" in models_hub.missing_files(tmp_path, "config.json", names)[0]


def test_looking_for_models_imports_no_client_and_no_library(hub):
    hub.offer(NAME)
    encoders.fetch(encoders.find("clip-vit-b-32"))
    code = (
        "import sys\nfrom kis_bench import encoders\n"
        "states = [encoders.readiness(row).state for row in encoders.catalogue().values()]\n"
        "keys = [encoders.LazyEncoder(row).key_known for row in encoders.catalogue().values()]\n"
        "heavy = {'torch', 'open_clip', 'transformers', 'timm', 'huggingface_hub', 'sklearn', 'cv2'}\n"
        "print(states.count('ready'), sum(keys), heavy & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ready, known, heavy = done.stdout.split(maxsplit=2)
    assert (int(ready) >= 2, int(known) >= 2, heavy.strip()) == (True, True, "set()")


def test_a_download_advances_by_bytes_and_shows_no_bar_of_the_client(hub, capfd):
    """Also one that goes on where another stopped."""
    from kis_bench.encoders.downloads import download
    from kis_bench.files.progress import watch

    class Notes:
        def __init__(self):
            self.steps = []

        def begin(self, step):
            self.steps.append((step, []))

        def update(self, step):
            self.steps[-1][1].append(step.done)

        def end(self, step):
            pass

    content = bytes(range(256)) * 4096
    (hub.root / "files").mkdir(exist_ok=True)
    (hub.root / "files" / "large.bin").write_bytes(content)
    target, notes = hub.root / "fetched" / "large.bin", Notes()
    target.parent.mkdir(exist_ok=True)
    target.with_name("large.bin.part").write_bytes(content[:5000])
    with watch(notes):
        download(f"{hub.url}/files/large.bin", target, size=len(content))
    assert target.read_bytes() == content
    ((step, seen),) = notes.steps
    assert (step.what, step.unit, step.total) == ("downloading large.bin", "B", len(content))
    assert step.began_with == 4999
    assert seen == sorted(seen)
    assert seen[-1] == len(content)
    assert capfd.readouterr().err == ""
