"""Processes that embed the same at once, with a model that gives each of them other vectors."""

import subprocess
import sys

import numpy as np
import pytest

from kis_bench.store import Store

PROCESSES, ROUNDS = 6, 8
EMBED = """
import hashlib, sys, time
from pathlib import Path
import numpy as np
from kis_bench.store import Store

folder, me, processes, rounds = Path(sys.argv[1]), *map(int, sys.argv[2:])

def encode(missing, look_up):
    for shard in missing:
        vectors = np.random.default_rng().standard_normal((shard.stop - shard.start, 1, 4))
        yield np.float32(vectors / np.linalg.norm(vectors, axis=2, keepdims=True)), None, {}

for number in range(rounds):
    entry = Store(folder, shard_items=7).entry("d", str(number), "random", "images", [*map(str, range(40))])
    (folder / f"ready-{number}-{me}").touch()
    while len([*folder.glob(f"ready-{number}-*")]) < processes:
        time.sleep(0.001)
    print(hashlib.sha256(np.array(entry.fill(encode, dict).vectors)).hexdigest())
"""


def embed_in_processes(folder):
    """What each process saw in each round."""
    counts = map(str, (PROCESSES, ROUNDS))
    command = [sys.executable, "-c", EMBED, str(folder)]
    tail = [*counts]
    started = [
        subprocess.Popen([*command, str(me), *tail], stdout=subprocess.PIPE, text=True)
        for me in range(PROCESSES)
    ]
    seen = [process.communicate(timeout=120)[0].split() for process in started]
    assert {process.returncode for process in started} == {0}
    return seen


def find_entry(folder, number):
    return Store(folder, shard_items=7).entry(
        "d", str(number), "random", "images", [*map(str, range(40))]
    )


@pytest.mark.parametrize("damaged", [False, True], ids=["nothing there", "damaged shards there"])
def test_all_see_the_same_vectors(tmp_path, damaged):
    for number in range(ROUNDS if damaged else 0):
        entry = find_entry(tmp_path, number)
        unit = np.tile(np.float32([[[1, 0, 0, 0]]]), (40, 1, 1))
        for shard in entry.shards():
            entry.write_shard(shard, unit[shard.start : shard.stop])
            file = entry.folder / shard.file_name
            content = bytearray(file.read_bytes())
            content[len(content) // 2] ^= 1
            file.write_bytes(content)
    seen = embed_in_processes(tmp_path)
    for number, found in enumerate(zip(*seen, strict=True)):
        assert len({*found}) == 1, number
        entry = find_entry(tmp_path, number)
        assert entry.missing() == []
        hidden = [file.name for file in entry.folder.iterdir() if file.name.startswith(".")]
        assert hidden == []
