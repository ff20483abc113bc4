"""Writes the files of this folder anew, each with the tool that hands data out so: see README.md beside it."""

import functools
import http.server
import io
import json
import shutil
import sys
import threading
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent


def make_png(name):
    """A picture of one colour, another one for each letter."""
    content = io.BytesIO()
    Image.new("RGB", (8, 8), (ord(name), 0, 0)).save(content, "PNG")
    return content.getvalue()


def make_folder(name):
    shutil.rmtree(HERE / name, ignore_errors=True)
    (HERE / name).mkdir()
    return HERE / name


def write_saved():
    """With datasets: six pictures with two texts each, saved to disk in two files; and two splits of them."""
    import datasets

    folder, names = make_folder("saved"), "abcdef"
    cells = [{"path": f"{name}.png", "bytes": make_png(name)} for name in names]
    rows = {"image": cells, "caption": [[f"{name} {n}" for n in (0, 1)] for name in names]}
    whole = datasets.Dataset.from_dict(rows).cast_column("image", datasets.Image())
    whole.save_to_disk(folder / "whole", num_shards=2)
    order = whole.select([5, 3, 1, 0, 2, 4])
    order.save_to_disk(folder / "in-order")
    splits = {"train": whole.select(range(4)), "test": whole.select([4, 5])}
    datasets.DatasetDict(splits).save_to_disk(folder / "splits")


def write_shard():
    """With webdataset: pictures with a text, one in JSON, one with an empty text, and names with dots."""
    import webdataset

    samples = [
        {"__key__": "a", "png": make_png("a"), "txt": "a 0"},
        {"__key__": "sub/b", "png": make_png("b"), "json": {"caption": ["b 0", "b 1"]}},
        {"__key__": "c", "png": make_png("c"), "txt": ""},
        {"__key__": "IMG.2019.05", "png": make_png("d"), "txt": "d 0"},
        {"__key__": "IMG.2019.06", "png": make_png("e"), "txt": "e 0"},
    ]
    with webdataset.TarWriter(str(make_folder("shard") / "00000.tar"), mtime=0) as writer:
        for sample in samples:
            writer.write(sample)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *about):
        pass


def write_downloads():
    """With img2dataset, from a server on this machine: four pictures, a missing one, and one that is none."""
    from img2dataset import download

    source = make_folder("source")
    for name in "abcd":
        (source / f"{name}.png").write_bytes(make_png(name))
    (source / "broken.png").write_bytes(b"no picture")
    handler = functools.partial(Quiet, directory=str(source))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    texts = {"a": "a 0", "missing": "of nothing", "b": "b 0", "broken": "of no picture", "c": ""}
    rows = [{"url": f"{address}/{name}.png", "text": text} for name, text in texts.items()]
    rows.append({"url": f"{address}/d.png", "text": "d: 0, 'quoted'\nand on"})
    listed = source / "rows.json"
    listed.write_text(json.dumps(rows))
    for form in ("files", "webdataset", "parquet"):
        download(
            url_list=str(listed),
            input_format="json",
            url_col="url",
            caption_col="text",
            output_format=form,
            output_folder=str(make_folder(f"img2dataset-{form}")),
            number_sample_per_shard=4,
            processes_count=1,
            thread_count=1,
            resize_mode="no",
            enable_wandb=False,
        )
    server.shutdown()
    shutil.rmtree(source)


CONFIG = """
<View>
  <Image name="image" value="$captioning"/>
  <TextArea name="caption" toName="image"/>
  <Choices name="quality" toName="image"><Choice value="good"/><Choice value="bad"/></Choices>
</View>
"""


def annotate(number, by, texts, choice, cancelled=False):
    """What somebody wrote and chose, as the server keeps it."""
    values = {
        "caption": ("textarea", {"text": texts}),
        "quality": ("choices", {"choices": [choice]}),
    }
    result = [
        {
            "id": f"{name}{number}",
            "type": kind,
            "from_name": name,
            "to_name": "image",
            "value": value,
        }
        for name, (kind, value) in values.items()
        if texts or name == "quality"
    ]
    return {"id": number, "completed_by": by, "was_cancelled": cancelled, "result": result}


def write_annotations():
    """With label-studio-sdk: three tasks, two answers to the first, and texts that two of them had before."""
    from label_studio_sdk.converter import Converter

    cat, dog, other = (
        "upload/1/0a1b2c3d-my_cat.png",
        "local-files/?d=a%20dog.png",
        "upload/1/ffffffff-x.png",
    )
    answers = {
        cat: [annotate(1, 1, ["a cat"], "good"), annotate(2, 2, ["a pet", "asleep"], "bad")],
        dog: [annotate(3, 1, [], "good"), annotate(4, 2, ["a dog"], "good", cancelled=True)],
        other: [],
    }
    source = make_folder("source")
    for number, (path, own) in enumerate(answers.items()):
        about = {"captioning": f"/data/{path}"} | ({} if path == cat else {"caption": "prefilled"})
        task = {"id": number, "data": about, "annotations": own}
        (source / f"{number}.json").write_text(json.dumps(task))
    converter = Converter(config=CONFIG, project_dir=None)
    for form in ("JSON", "JSON_MIN"):
        converter.convert(str(source), str(make_folder(f"label-studio-{form.lower()}")), form)
    shutil.rmtree(source)


if __name__ == "__main__":
    writers = {
        "datasets": write_saved,
        "webdataset": write_shard,
        "img2dataset": write_downloads,
        "label-studio-sdk": write_annotations,
    }
    writers[sys.argv[1]]()
