"""Pictures embedded on the nodes of a cluster: the files of the store are those that one machine writes."""

import hashlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kis_bench.cluster import embedding, handing_out, lost_batches
from kis_bench.cluster.connection import import_ray
from kis_bench.cluster.embedding import ClusterPass, ClusterPasses
from kis_bench.cluster.picture_workers import Loaded
from kis_bench.cluster.surroundings import WorkerShare, find_share
from kis_bench.embed import embed_collection, images_entry
from kis_bench.encoders import LazyEncoder, find, load
from kis_bench.encoders.passes import ImagePass
from kis_bench.errors import BadFile, BadVector, ClusterError, KisBenchError
from kis_bench.records import Collection
from kis_bench.store import Store

N, WHITE = 64, 42


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    """The folder of the model's module, from which Python imports it."""
    folder = tmp_path_factory.mktemp("code")
    shutil.copy(Path(__file__).with_name("own_model.py"), folder / "cluster_model.py")
    sys.path.append(str(folder))
    yield folder
    sys.path.remove(str(folder))


@pytest.fixture(autouse=True)
def model_as_it_was(code):
    yield
    for name in ("wait.txt", "how.txt"):
        (code / name).unlink(missing_ok=True)


@pytest.fixture
def collection(tmp_path):
    """Pictures of several formats and sizes, some of them copies of earlier ones."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    paths = []
    for i in range(N):
        suffix = (".png", ".webp", ".jpg")[i % 3]
        paths.append(folder / f"{i:02}{suffix}")
        if i % 7 == 6:
            paths[-1] = paths[-1].with_suffix(paths[i - 5].suffix)
            shutil.copy(paths[i - 5], paths[-1])
            continue
        colour = (255, 255, 255) if i == WHITE else (3 * i, 250 - 3 * i, 9)
        image = Image.new("RGB", (6 + i % 5, 6 + i % 3), colour)
        image.save(paths[-1], **({"lossless": True} if suffix == ".webp" else {}))
    return describe(paths)


def describe(paths):
    content = tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
    return Collection("colours", tuple(path.stem for path in paths), tuple(paths), content)


def own(function="telling", **settings):
    return LazyEncoder(find(f"cluster_model:{function}"), **settings)


def read_store(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def embed_locally(collection, encoder, folder, shard_items=None, **settings):
    embed_collection(collection, encoder, Store(folder, shard_items=shard_items), **settings)
    return read_store(folder)


def embed_there(cluster, collection, encoder, folder, shard_items=None, **settings):
    passes = ClusterPasses(cluster.address)
    store = Store(folder, shard_items=shard_items)
    found = embed_collection(collection, encoder, store, make_pass=passes, **settings)
    return read_store(folder), passes, found


@pytest.mark.parametrize(
    ("function", "shard_items", "batch_size"),
    [
        ("telling", 16, None),
        ("telling", 7, 3),
        ("telling", None, None),
        ("sized", None, None),
        ("telling", 4, 20),
    ],
    ids=[
        "shards of whole batches",
        "batches cut",
        "shards chosen",
        "by the model",
        "large batches",
    ],
)
def test_stores_are_equal_byte_for_byte(
    cluster, collection, tmp_path, code, function, shard_items, batch_size
):
    sizes = {"shard_items": shard_items, "batch_size": batch_size}
    here = embed_locally(collection, own(function), tmp_path / "here", **sizes)
    there, passes, found = embed_there(
        cluster, collection, own(function), tmp_path / "there", **sizes
    )
    assert there == here
    assert len([name for name in here if name.endswith(".arrow")]) >= 1
    assert passes.pictures.total() == len({*collection.content})
    assert found.limit in ("decode", "forward", "disk")


def test_pictures_are_handed_out_in_parts(cluster, collection, tmp_path, code, monkeypatch):
    here = embed_locally(collection, own(), tmp_path / "here", 16, batch_size=4)
    monkeypatch.setattr(embedding, "MOST_HANDED_OUT", 6)
    sizes, hand_out = [], embedding.hand_out
    monkeypatch.setattr(
        embedding, "hand_out", lambda rows, *rest: sizes.append(len(rows)) or hand_out(rows, *rest)
    )
    there, _, _ = embed_there(cluster, collection, own(), tmp_path / "there", 16, batch_size=4)
    assert there == here
    assert sizes == [6, 6, 4]


def test_a_node_needs_the_packages_of_the_model(cluster, collection, tmp_path, code, monkeypatch):
    """As with another Pillow there, which may read pictures otherwise."""
    monkeypatch.setattr("importlib.metadata.version", lambda package: f"{package} 0.0.1")
    with pytest.raises(ClusterError, match=r"^node \S+ \(\S+\) has Pillow .*Pillow 0.0.1"):
        embed_there(cluster, collection, own(), tmp_path / "there", 16)


def test_a_model_by_name_makes_the_same_store_on_nodes(cluster, collection, tmp_path):
    here = embed_locally(collection, LazyEncoder(find("colour-words")), tmp_path / "here", 16)
    model = LazyEncoder(find("colour-words"))
    there, _, _ = embed_there(cluster, collection, model, tmp_path / "there", 16)
    assert there == here
    assert not model.loaded


def test_only_missing_shards_are_embedded(cluster, collection, tmp_path, code):
    before, _, _ = embed_there(cluster, collection, own(), tmp_path / "store", 10)
    for name in ("000010-000020", "000040-000050"):
        (lost,) = (tmp_path / "store").rglob(f"{name}.arrow")
        lost.unlink()
    after, passes, found = embed_there(cluster, collection, own(), tmp_path / "store", 10)
    assert after == before
    assert 10 < passes.pictures.total() <= 20
    again, passes, found = embed_there(cluster, collection, own(), tmp_path / "store", 10)
    assert (again, passes.pictures.total(), found.limit) == (before, 0, None)


def test_a_shard_of_copies_says_the_same_as_locally(cluster, collection, tmp_path, code):
    twice = describe([*collection.paths[:6], *collection.paths[:6]])
    twice = replace(twice, ids=tuple(map(str, range(12))))
    here = embed_locally(twice, own(), tmp_path / "here", 6)
    there, _, _ = embed_there(cluster, twice, own(), tmp_path / "there", 6)
    assert there == here
    (lost,) = (tmp_path / "there").rglob("000006-000012.arrow")
    lost.unlink()
    again, passes, _ = embed_there(cluster, twice, own(), tmp_path / "there", 6)
    assert (again, passes.pictures.total()) == (here, 0)


def test_a_shard_of_two_kinds_of_nodes_names_both(cluster, collection):
    work = ClusterPasses(cluster.address)(collection, own())
    kinds = [{"device": "cpu", "threads": n, "decode": None} for n in ("8", "2")]
    work.loaded = Loaded(5, None, {"device": "cpu", "threads": "4", "decode": None})
    work.made, work.batch_sizes, work.batch = {0: kinds[0], 1: kinds[1]}, {0: 5, 1: 3}, 5
    expected = {"device": "cpu", "threads": "2 and 8", "decode": None, "batch_size": "3"}
    assert work.describe_shard(range(2)) == expected
    assert work.describe_shard(range(2)) == {**work.loaded.made, "batch_size": "5"}


@pytest.mark.slow
def test_a_node_that_is_killed_costs_time_only(cluster, collection, tmp_path, code):
    here = embed_locally(collection, own(), tmp_path / "here", 16)
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    (code / "wait.txt").write_text("0.3")
    passes, doomed = ClusterPasses(cluster.address), node.node_id

    class Watching(ClusterPass):
        def receive(self):
            super().receive()
            if passes.pictures[doomed] and not killed:
                killed.append(passes.pictures[doomed])
                cluster.remove_node(node, allow_graceful=False)  # SIGKILL

    killed = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding, "ClusterPass", Watching)
        store = Store(tmp_path / "there", shard_items=16)
        embed_collection(collection, own(), store, make_pass=passes, batch_size=2)
    assert killed
    assert doomed not in {each["NodeID"] for each in import_ray().nodes() if each["Alive"]}
    (code / "wait.txt").unlink()
    here = embed_locally(collection, own(), tmp_path / "again", 16, batch_size=2)
    assert read_store(tmp_path / "there") == here


EMBED = """
import sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from test_embedding import describe, own, ClusterPasses, Store, embed_collection
collection = describe(sorted(Path(sys.argv[3]).iterdir()))
store = Store(sys.argv[4], shard_items=8)
embed_collection(collection, own(), store, batch_size=2, make_pass=ClusterPasses(sys.argv[5]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_stopped_loses_unfinished_shards_only(
    cluster, collection, tmp_path, code, sent
):
    (code / "wait.txt").write_text("0.3")
    folders = [code, Path(__file__).parent, collection.paths[0].parent, tmp_path / "store"]
    command = [sys.executable, "-c", EMBED, *map(str, folders), cluster.address]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len([*(tmp_path / "store").rglob("*.arrow")]) < 2 and time.monotonic() < deadline:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    (code / "wait.txt").write_text("20")  # nothing else is finished before the signal comes
    process.send_signal(sent)
    process.communicate(timeout=60)
    kept = {file: file.stat().st_mtime_ns for file in (tmp_path / "store").rglob("*.arrow")}
    assert 2 <= len(kept) < N / 8
    (code / "wait.txt").unlink()
    collection = describe(sorted(collection.paths[0].parent.iterdir()))
    there, passes, _ = embed_there(cluster, collection, own(), tmp_path / "store", batch_size=2)
    assert passes.pictures.total() < N - 8
    assert all(file.stat().st_mtime_ns == made for file, made in kept.items())
    assert there == embed_locally(collection, own(), tmp_path / "here", 8, batch_size=2)


@pytest.mark.slow
def test_two_nodes_share_the_work(cluster, collection, tmp_path, code):
    (code / "wait.txt").write_text("0.1")
    _, passes, _ = embed_there(cluster, collection, own(), tmp_path / "store", batch_size=1)
    total = passes.pictures.total()
    assert len(passes.pictures) == 2
    assert min(passes.pictures.values()) >= 0.3 * total, passes.pictures
    assert all(": " in line and "pictures" in line for line in passes.describe_shares())


@pytest.mark.parametrize(
    ("how", "kind"), [("raise", KisBenchError), ("nan", BadVector)], ids=["raises", "NaN"]
)
def test_a_model_that_fails_is_told_as_locally(cluster, collection, tmp_path, code, how, kind):
    (code / "how.txt").write_text(how)
    store = Store(tmp_path / "here", shard_items=10)
    with pytest.raises(kind) as local:
        embed_collection(collection, own("broken"), store)
    with pytest.raises(kind) as remote:
        embed_there(cluster, collection, own("broken"), tmp_path / "there", 10)
    assert str(remote.value) == str(local.value)
    assert repr(collection.ids[WHITE]) in str(remote.value)
    assert type(remote.value) is type(local.value)
    kept = [
        {name: file for name, file in read_store(tmp_path / where).items() if ".arrow" in name}
        for where in ("here", "there")
    ]
    assert kept[0] == kept[1]
    assert len(kept[1]) == 2 * (WHITE // 10)


def test_an_unreadable_picture_is_told_as_locally(cluster, collection, tmp_path, code):
    collection.paths[12].write_bytes(collection.paths[12].read_bytes()[:30])
    with pytest.raises(BadFile) as local:
        embed_collection(collection, own(), Store(tmp_path / "here", shard_items=5))
    with pytest.raises(BadFile) as remote:
        embed_there(cluster, collection, own(), tmp_path / "there", 5)
    assert str(remote.value) == str(local.value)
    assert remote.value.file == local.value.file == collection.paths[12]
    assert len([*(tmp_path / "there").rglob("*.arrow")]) == 2


def test_limits_of_pixels_hold_on_nodes(cluster, collection, tmp_path, code, monkeypatch):
    monkeypatch.setenv("KIS_MAX_PIXELS", "50")
    with pytest.raises(BadFile, match="the limit is 50"):
        embed_there(cluster, collection, own(), tmp_path / "there", 5)


def test_memory_that_is_short_makes_batches_smaller(cluster, collection, tmp_path, code):
    (code / "how.txt").write_text("memory")
    embed_there(cluster, collection, own("broken"), tmp_path / "there", 100, batch_size=4)
    (entry,) = (tmp_path / "there").rglob("manifest.json")
    stored = images_entry(collection, own("broken").key, Store(tmp_path / "there")).read()
    assert entry.exists()
    assert stored.made["batch_size"] == "1"
    colours = np.asarray(stored.vectors)
    np.testing.assert_allclose(np.linalg.norm(colours, axis=2), 1, rtol=1e-6)


def test_pictures_that_a_node_lacks_are_told_with_the_node(
    cluster, collection, tmp_path, code, monkeypatch
):
    """As where the folder isn't shared: workers look where nothing is."""
    nowhere = tmp_path / "nowhere"
    monkeypatch.setattr(embedding, "fix_picture", lambda picture: nowhere / picture.name)
    with pytest.raises(
        KisBenchError, match=r"^node \S+ \(\S+\): .*00\.png isn't there, though it is"
    ):
        embed_there(cluster, collection, own(), tmp_path / "there", 5)


@pytest.mark.slow
def test_another_version_of_a_model_on_a_node_is_refused(cluster, collection, tmp_path, code):
    other = tmp_path / "other"
    other.mkdir()
    text = (code / "cluster_model.py").read_text()
    (other / "cluster_model.py").write_text(text.replace("rows[:, 6] += ", "rows[:, 6] -= "))
    path = f"{other}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    node = cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": path})
    cluster.wait_for_nodes()
    (code / "wait.txt").write_text("0.2")
    try:
        with pytest.raises(
            KisBenchError,
            match=r"^node \S+ \(\S+\): model telling is another one there: its key is",
        ):
            embed_there(cluster, collection, own(), tmp_path / "there", 5, batch_size=1)
    finally:
        cluster.remove_node(node)


def test_a_worker_that_dies_again_and_again_ends_the_run(
    cluster, collection, tmp_path, code, monkeypatch
):
    (code / "how.txt").write_text("raise")
    calls = []

    def fail(*_):
        calls.append(1)
        raise import_ray().exceptions.RayError("the object store is gone\n")
        yield

    monkeypatch.setattr(handing_out, "take_rows", fail)
    with pytest.raises(KisBenchError, match="failed 4 times in a row .the object store is gone"):
        embed_there(cluster, collection, own(), tmp_path / "there", 5)
    assert len(calls) == 4


@pytest.mark.slow
def test_a_picture_that_ends_its_worker_each_time_is_named(cluster, collection, tmp_path, code):
    (code / "how.txt").write_text("die")
    said = (
        rf"^node \S+ \(\S+\).*: what encodes these pictures in one batch dies each time.*'{WHITE}'"
    )
    with pytest.raises(ClusterError, match=said) as found:
        embed_there(cluster, collection, own("broken"), tmp_path / "there", 8, batch_size=2)
    assert collection.ids[WHITE - 2] not in str(found.value)
    kept = sorted(file.stem for file in (tmp_path / "there").rglob("*.arrow"))
    assert kept == [f"{i:06}-{i + 8:06}" for i in range(0, WHITE - 8, 8)]
    (code / "how.txt").write_text("not at all")
    there, _, _ = embed_there(
        cluster, collection, own("broken"), tmp_path / "there", 8, batch_size=2
    )
    assert there == embed_locally(collection, own("broken"), tmp_path / "here", 8, batch_size=2)


class Holding(logging.Handler):
    """Keeps what is logged, as pytest does, and with it tracebacks and all that these hold."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)


def test_workers_that_a_log_holds_are_ended(cluster, collection, tmp_path, code, monkeypatch, ray):
    (code / "how.txt").write_text("die")
    (code / "wait.txt").write_text("0.3")
    monkeypatch.setattr(handing_out, "WORKER_RESTARTS", 0)
    monkeypatch.setattr(handing_out, "BLOCK_RETRIES", 0)
    named = []
    monkeypatch.setattr(handing_out, "end_workers", named.extend)
    work = ClusterPasses(cluster.address)(collection, own("broken"), 2)
    work.batch = work.load()
    handing_out.import_ray_data()  # which sets the handlers of its log
    held, log = Holding(), logging.getLogger("ray.data")
    log.addHandler(held)
    try:
        with handing_out.hand_out([*work.list_batches(range(N))], work.job, work.share) as coming:
            done = [*coming]
    finally:
        log.removeHandler(held)
    assert WHITE not in {i for batch in done for i in batch.positions}
    assert any(record.exc_info for record in held.records)

    def count_left():
        return len({*named} & {*ray.util.list_named_actors()})

    time.sleep(2)  # more than those take that nobody holds
    assert count_left()
    monkeypatch.undo()
    handing_out.end_workers(named)
    deadline = time.monotonic() + 60
    while count_left() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not count_left()


@pytest.mark.slow
def test_a_worker_that_died_for_once_is_made_up_for(cluster, collection, tmp_path, code):
    """It takes batches of others with it, which are encoded as they would have been."""
    (code / "how.txt").write_text("die once")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handing_out, "WORKER_RESTARTS", 0)
        patch.setattr(handing_out, "BLOCK_RETRIES", 0)
        there, _, _ = embed_there(
            cluster, collection, own("broken"), tmp_path / "there", 8, batch_size=2
        )
    assert (code / "how.txt").read_text() == "not at all"
    assert there == embed_locally(collection, own("broken"), tmp_path / "here", 8, batch_size=2)


@pytest.mark.slow
def test_a_worker_that_never_begins_is_not_waited_for_without_end(
    cluster, collection, tmp_path, code, monkeypatch
):
    (code / "how.txt").write_text("die")
    monkeypatch.setattr(lost_batches, "BEGIN_S", 0.001)  # less than it takes to load anything
    with pytest.raises(ClusterError, match="no worker began within .* same command goes on"):
        embed_there(cluster, collection, own("broken"), tmp_path / "there", 8, batch_size=2)
    assert [*(tmp_path / "there").rglob("*.arrow")]


def test_models_are_sent_by_name_only(cluster, collection, tmp_path):
    with pytest.raises(KisBenchError, match="nodes of a cluster load models themselves"):
        embed_there(cluster, collection, load("colour-words"), tmp_path / "there")


def test_services_are_asked_from_here(collection):
    service = LazyEncoder(find("http:http://127.0.0.1:9/v1?model=m"))
    assert type(ClusterPasses("nowhere:1")(collection, service)) is ImagePass


@pytest.mark.parametrize(
    ("device", "resources", "expected"),
    [
        ("auto", [{"CPU": 8.0}, {"CPU": 5.0}, {"memory": 1.0}], WorkerShare(5.0, 0, 2, True)),
        ("auto", [{"CPU": 64.0}, {"CPU": 4.0}], WorkerShare(4.0, 0, 2, False)),
        ("auto", [{"CPU": 8.0}], WorkerShare(8.0, 0, 1, True)),
        ("cpu", [{"CPU": 8.0, "GPU": 2.0}], WorkerShare(8.0, 0, 1, True)),
    ],
)
def test_each_node_gets_a_worker(device, resources, expected):
    model = LazyEncoder(find("colour-words"), device=device)
    assert find_share(model, [{"Resources": one} for one in resources]) == expected


def test_each_gpu_gets_a_worker():
    model = LazyEncoder(find("clip-vit-b-32"), device="auto@1")
    mixed = [{"CPU": 16.0, "GPU": 4.0}, {"CPU": 64.0}, {"CPU": 6.0, "GPU": 1.0}]
    assert find_share(model, [{"Resources": one} for one in mixed]) == WorkerShare(4.0, 1, 5, False)
    alone = [{"CPU": 16.0, "GPU": 1.0}]
    assert find_share(model, [{"Resources": one} for one in alone]) == WorkerShare(16.0, 1, 1, True)


@pytest.mark.parametrize(
    ("device", "resources", "said"),
    [
        ("cuda:1", {"CPU": 4.0, "GPU": 2.0}, "on Ray it is auto, cpu or cuda"),
        ("cuda", {"CPU": 4.0}, "no node of the cluster has a GPU"),
        ("auto", {"memory": 1.0}, "no node of the cluster has a core for work"),
    ],
)
def test_what_a_cluster_lacks_is_told(device, resources, said):
    model = LazyEncoder(find("clip-vit-b-32"), device=device)
    with pytest.raises(KisBenchError, match=said):
        find_share(model, [{"Resources": resources}])
