"""Sessions that rank on a cluster: the run is that of a session that ranks here, and says where it was ranked."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent

import pandas as pd
import pytest
from builders import run_pytest
from PIL import Image

from kis_bench.cluster.connection import join_cluster

COLOURS = ("red", "green", "blue", "white", "black", "yellow")


@pytest.fixture
def folder(tmp_path):
    """Pictures of one colour each, some of them twice, and a test that searches them."""
    images = tmp_path / "colours" / "images"
    images.mkdir(parents=True)
    rows = ["query_id,item_id,label_set,text", *(f"{c},{c},short,{c}" for c in COLOURS)]
    (images.parent / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    for colour in COLOURS:
        for name in (colour, f"{colour}-again"):
            Image.new("RGB", (8, 8), colour).save(images / f"{name}.png")
    text = """
        import os, time

        def test_search(model, dataset, query_set, known_item_search):
            known_item_search(model, dataset, query_set)

        def test_wait():
            if os.environ.get("WAIT_FOR"):
                open(os.environ["WAIT_FOR"], "w").close()
                time.sleep(600)
    """
    (tmp_path / "test_search.py").write_text(dedent(text), encoding="utf-8")
    text = """
        import os, sys

        def pytest_sessionfinish():
            if "ray" in sys.modules:
                address = sys.modules["ray"].get_runtime_context().gcs_address
                with open("joined.txt", "a") as file:
                    print(os.getpid(), address, file=file)
    """
    (tmp_path / "conftest.py").write_text(dedent(text), encoding="utf-8")
    return tmp_path


OPTIONS = ["--kis-dataset=colours", "--kis-model=colour-words", "-p", "no:randomly"]


def read_run(folder, *arguments):
    done = run_pytest(*OPTIONS, *arguments, cwd=folder, drawn=False, KIS_STORE=str(folder / "s"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ray" not in done.stderr.lower(), done.stderr
    latest = folder / "reports" / "latest"
    said = json.loads((latest / "run.json").read_text(encoding="utf-8"))
    return pd.read_parquet(latest / "ranks.parquet"), said, (latest / "report.md")


def read_joined(folder):
    """Of the last session, the processes that joined a cluster, and the addresses of these."""
    file = folder / "joined.txt"
    joined = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
    file.unlink()
    processes, addresses = ({*each} for each in zip(*joined, strict=True))
    return processes, addresses


def answers(address):
    host, port = address.split(":")
    with contextlib.suppress(ConnectionRefusedError):
        socket.create_connection((host, int(port)), 5).close()
        return True
    return False


@pytest.mark.slow
def test_a_session_ranks_on_a_cluster(cluster, folder):
    wanted, _, _ = read_run(folder)
    for options in ([], ["-n", "2"], ["--kis-direction=both"]):
        ranks, said, report = read_run(folder, f"--kis-engine=ray:{cluster.address}", *options)
        pd.testing.assert_frame_equal(ranks, wanted)
        ranking = said["models"]["colour-words"]["ranking"]
        assert ranking["engine"] == "numpy"
        assert "1 node of a cluster of Ray" in ranking["device"]  # one share is enough here
        assert not report.exists() or f"with numpy on {ranking['device']}" in report.read_text()
        assert read_joined(folder)[1] == {cluster.address}
    assert join_cluster(cluster.address).count_nodes() == 2


@pytest.mark.slow
def test_a_session_starts_one_cluster_and_ends_it(ray, folder):
    wanted, _, _ = read_run(folder)
    for options in ([], ["-n", "2"]):
        ranks, said, _ = read_run(folder, "--kis-engine=ray", "--kis-privacy", *options)
        pd.testing.assert_series_equal(ranks["rank"], wanted["rank"])
        assert "--kis-engine=ray" in said["command"]
        processes, (address,) = read_joined(folder)
        assert len(processes) == (3 if options else 1)
        assert not answers(address)


def test_an_address_is_private(cluster, folder):
    _, said, _ = read_run(folder, f"--kis-engine=ray:{cluster.address}", "--kis-privacy")
    assert cluster.address not in json.dumps(said)
    embedding = said["models"]["colour-words"]["embedding"]
    assert embedding["pictures"] == len(COLOURS)
    assert embedding["nodes"] in (1, 2)


@pytest.mark.slow
def test_what_a_node_lacks_ends_the_session_and_names_no_node_under_privacy(cluster, folder):
    read_run(folder)  # so that the vectors of one model are stored
    shutil.copy(Path(__file__).with_name("own_model.py"), folder)
    text = """
        from kis_bench.cluster import embedding

        embedding.fix_picture = lambda picture: picture.with_name("nowhere.png")
    """
    (folder / "conftest.py").write_text(dedent(text), encoding="utf-8")
    arguments = [
        "--kis-model=own_model:telling",
        f"--kis-engine=ray:{cluster.address}",
        "--junit-xml=junit.xml",
    ]
    for private in ([], ["--kis-privacy"]):
        done = run_pytest(*OPTIONS, *arguments, *private, cwd=folder, KIS_STORE=str(folder / "s"))
        assert done.returncode == 2, done.stdout
        junit = (folder / "junit.xml").read_text(encoding="utf-8")
        said = done.stdout + done.stderr + junit.replace(f'hostname="{socket.gethostname()}"', "")
        assert "isn't there, though it is where the run was started" in said, said
        host = cluster.address.partition(":")[0]
        assert (host in said) == (socket.gethostname() in said) == (not private), said
        run = json.loads((folder / "reports" / "latest" / "run.json").read_text(encoding="utf-8"))
        assert "colour-words" in run["models"]
        if private:
            assert host not in json.dumps(run)


@pytest.mark.slow
def test_an_interrupted_session_ends_what_it_started(ray, folder):
    sign = folder / "waits"
    variables = {"WAIT_FOR": str(sign), "KIS_STORE": str(folder / "s")}
    command = [sys.executable, "-m", "pytest", *OPTIONS, "--kis-engine=ray"]
    session = subprocess.Popen(
        command, cwd=folder, env=os.environ | variables, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 300
        while not sign.exists():
            assert session.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        session.send_signal(signal.SIGINT)
        assert session.wait(120) == 2
    finally:
        session.kill()
    _, (address,) = read_joined(folder)
    assert not answers(address)


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("ray:nowhere", "'nowhere' is no address of a cluster"),
        ("ray:127.0.0.1:1", "no cluster answers at 127.0.0.1:1: Connection refused"),
    ],
)
def test_a_cluster_that_is_not_there_is_told_before_anything_is_embedded(folder, engine, said):
    done = run_pytest(*OPTIONS, f"--kis-engine={engine}", cwd=folder, KIS_STORE=str(folder / "s"))
    assert done.returncode == 2
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("kis-bench: --kis")]
    assert line.startswith(f"kis-bench: --kis-engine {engine}: {said}")
    assert line.endswith("nothing was measured")
    assert not (folder / "s").exists()
