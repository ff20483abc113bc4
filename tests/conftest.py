"""The loopback hub for every test: no test can reach the real one, and none uses the user's cache of models."""

import contextlib
import os
import signal
import tempfile
from pathlib import Path

import pytest
from loopback_hub import LoopbackHub

# Before any client of the hub is imported: they read these once.
HUB = LoopbackHub(Path(tempfile.mkdtemp(prefix="kis-hub-")))
os.environ |= {
    "HF_ENDPOINT": HUB.url,
    "HF_HOME": str(HUB.root / "files" / "no-home"),
    "TORCH_HOME": str(HUB.root / "files" / "no-torch-home"),
    "KIS_LAVIS_URL": f"{HUB.url}/files/lavis/hub/checkpoints",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",
    "DISABLE_SAFETENSORS_CONVERSION": "1",
    "NUMBA_DISABLE_JIT": "1",  # ranx fuses a few short lists here; compiling it takes three minutes
    # Of sessions that tests start. The first is installed for one test of its own; the other takes half a second.
    "PYTEST_ADDOPTS": "-p no:randomly -p no:anyio",
}
# What a shell starts in the background ignores Ctrl-C, and so would all that tests start and stop.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# pytest would keep the cache of all these sessions, hence --lf, in one place there.
os.environ.pop("TOX_ENV_DIR", None)
with contextlib.suppress(ImportError):  # the wheel's and LAVIS' environments do without it
    import hypothesis

    # A busy machine is no failure: no example has a time limit.
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")


def pytest_collection_modifyitems(items):
    """Warnings are errors in tests, and not in benchmarks, where other people's models may give some."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("error"), append=False)


def pytest_sessionfinish():
    import shutil

    HUB.close()
    shutil.rmtree(HUB.root, ignore_errors=True)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The hub with nothing fetched yet; ``hub.offer(name, ...)`` puts miniatures on it, with BERT also LAVIS' files."""
    import miniatures

    def offer(*names):
        for name in names:
            if not (HUB.root / name).exists():
                miniatures.write(name, HUB.root / name)
            if name == "bert-base-uncased" and not (HUB.root / "files" / "lavis").exists():
                miniatures.lavis_files(HUB.root / "files" / "lavis")

    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(HUB, "offer", offer, raising=False)
    HUB.log.clear()
    return HUB
