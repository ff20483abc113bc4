"""What a page of labels costs the server, and how long one waits for a picture. Asked for: -m throughput."""

import os
import re
import statistics
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from kis_bench.labelling.web.pictures import scale_picture

served_pages = pytest.importorskip("served_pages", reason="is run from the repository")
annotators = pytest.importorskip("simulated_annotators", reason="is run from the repository")

pytestmark = pytest.mark.throughput

PEOPLE, EACH = 10, 200
MILLION = int(os.environ.get("KIS_PICTURES", "1000000"))
PHOTO, PICTURE = (4000, 3000), (1152, 864)
#: Starts the command with the first picture that was scaled in place of every other, so that scaling costs nothing.
WITHOUT_SCALING = """
import runpy, sys
import kis_bench.labelling.web.pictures as pictures
scale, kept = pictures.scale_picture, []
def scale_once(picture):
    if not kept:
        kept.append(scale(picture))
    return kept[0]
pictures.scale_picture = scale_once
sys.argv[0] = "kis-bench"
runpy.run_module("kis_bench.cli", run_name="__main__")
"""


def make_photos(folder, count, size):
    """So many names of one photo of noise that a camera could have made."""
    folder.mkdir()
    noise = np.random.default_rng(0).integers(
        0, 256, (size[1] // 16, size[0] // 16, 3), dtype=np.uint8
    )
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).save(folder / "0.jpg", quality=90)
    for i in range(1, count):
        os.link(folder / "0.jpg", folder / f"{i}.jpg")
    return folder


def read_cpu_seconds(process):
    """CPU seconds that a process has used so far."""
    with open(f"/proc/{process.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_peak_bytes(process):
    with open(f"/proc/{process.pid}/status") as file:
        return 1024 * int(re.search(r"VmHWM:\s+(\d+)", file.read())[1])


@pytest.mark.parametrize("size", [PHOTO, PICTURE])
def test_work_of_the_server(size, tmp_path, benchmark):
    """10 annotators save 200 pictures each: CPU of the server for each, scaling left out, against that of scaling."""
    folder = make_photos(tmp_path / "photos", (EACH + 3) * PEOPLE, size)
    started = time.process_time()
    for _ in range(20):
        scale_picture(folder / "0.jpg")
    scaling = (time.process_time() - started) / 20
    names = [f"somebody {i}" for i in range(PEOPLE)]
    words = [word for name in names for word in ("--annotator", name)]
    with served_pages.serve(
        "label", folder, *words, "--goal", 10**6, program=("-c", WITHOUT_SCALING)
    ) as served:
        clients = [served.enter(name) for name in names]
        people = [annotators.Annotator(*one, EACH) for one in zip(clients, names, strict=True)]
        before = read_cpu_seconds(served.process)
        benchmark.pedantic(annotators.describe_together, (people,))
        used = (read_cpu_seconds(served.process) - before) / (PEOPLE * EACH)
        assert served.stop() == 0
    rows = annotators.read_labels(folder)
    kept = sorted((row["annotator"], row["label_set"], row["text"]) for row in rows)
    assert kept == sorted(annotators.list_saved(people))
    assert len({row["item_id"] for row in rows}) == PEOPLE * EACH
    benchmark.extra_info |= {"scaling": scaling, "server": used, "ratio": used / scaling}
    print(
        f"\n{size[0]} x {size[1]}: the server's CPU for a label {1000 * used:.2f} ms, "
        f"{used / scaling:.3f} of the {1000 * scaling:.1f} ms that its picture takes to scale"
    )


def test_wait_for_the_next_picture(tmp_path, benchmark):
    """From saving to the last byte of the next photo, which was prepared meanwhile, against decoding it in full."""
    folder = make_photos(tmp_path / "photos", 40, PHOTO)

    def decode():
        started = time.perf_counter()
        with Image.open(folder / "0.jpg") as photo:
            photo.load()
        return time.perf_counter() - started

    with served_pages.serve("label", folder) as served:
        person = annotators.Annotator(served.enter(), "somebody", 1)
        person.connect()
        page, waits, decoding = person.ask("GET", "/"), [], []
        for _ in range(30):
            for address in re.findall(r'(?:src|data-ahead)="(/picture/[^"]+)"', page.text):
                assert person.ask("GET", address).status == 200
            decoding.append(decode())
            started = time.perf_counter()
            form = {**page.form, "text:short": "a", "text:long": "b"}
            assert person.ask("POST", "/save", form).status == 303
            page = person.ask("GET", "/")
            address = re.search(r'src="(/picture/[^"]+)"', page.text)[1]
            assert person.ask("GET", address).status == 200
            waits.append(time.perf_counter() - started)
        assert served.stop() == 0
    benchmark.pedantic(decode)
    wait, full = statistics.median(waits), statistics.median(decoding)
    benchmark.extra_info |= {"wait": wait, "decoding": full, "ratio": wait / full}
    print(
        f"\nthe next of photos of 12 megapixels: {1000 * wait:.1f} ms, "
        f"{wait / full:.3f} of the {1000 * full:.1f} ms that decoding one takes"
    )


LISTING = """
import sys
from pathlib import Path
from kis_bench.datasets.listing import list_pictures
print(len(list_pictures("million", Path(sys.argv[1])).ids))
"""


def test_a_million_pictures(tmp_path, benchmark):
    """CPU of the start and peak memory of the server, against the CPU of listing the same folder."""
    folder = tmp_path / "million"
    originals = served_pages.make_pictures(tmp_path / "few", 50, (8, 8))
    for i in range(MILLION):
        inside = folder / f"{i // 1000}"
        if i % 1000 == 0:
            inside.mkdir(parents=True)
        os.link(originals / f"{i % 50:04d}.jpg", inside / f"{i}.jpg")

    def start():
        with served_pages.serve("label", folder) as served:
            used = read_cpu_seconds(served.process)
            assert served.enter().get("/").status == 200
            peak = read_peak_bytes(served.process)
            assert served.stop() == 0
        return used, peak

    def list_all():
        before = os.times()
        subprocess.run([sys.executable, "-c", LISTING, str(folder)], check=True)
        return sum(os.times()[2:4]) - sum(before[2:4])  # of children

    listing = list_all()
    used, peak = benchmark.pedantic(start)
    benchmark.extra_info |= {"ratio": used / listing, "peak MB": peak / 1e6}
    print(
        f"\n{MILLION:,} pictures: start {used:.1f} s of CPU, {used / listing:.2f} of listing them "
        f"({listing:.1f} s); peak {peak / 1e6:.0f} MB"
    )
