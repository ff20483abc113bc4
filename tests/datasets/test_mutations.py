"""Ten thousand damaged tables: each gives a right reading or one clear error, and loses nothing without a word."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from kis_bench import datasets
from kis_bench.errors import KisBenchError
from kis_bench.files.encodings import decode_code_page

LABELS = (
    "query_id,item_id,label_set,text,annotator,stage\nq1,a,short,red square,,\n"
    'q2,b,short,"big, ""bold""\nand blue",ann,\nq2,c,short,another,ben,\n'
    "q3,a,long,ein übergroßes Quadrat 🟥,,\nq3,b,long,ein übergroßes Quadrat 🟥,,\nt,c,,hint,,1\n"
)
WIDE = 'ID,short_label,long_label\na,"red","a red, square one"\nb,blue,"a blue\r\none"\nc,green,=green()\n'
IMAGES = (
    "item_id,path,group,time_s\na,images/a.png,v1,0.5\nb,images/b.png,v1,1\nc,images/c.png,v2,\n"
)
PIECES = [
    b",",
    b'"',
    b'""',
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b";",
    b"\t",
    b" ",
    b"a",
    b"..",
    b"/",
    b"1e999",
    b"nan",
    b"-1",
    b"q1",
    b"\xe2\x80\xae",
    b"x" * 300,
    b"\\",
    b"'",
    b"short",
    b"images/a.png",
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "images").mkdir()
    for name in "abc":
        Image.new("RGB", (4, 4)).save(folder / "images" / f"{name}.png")
    return folder


def damaged(rng, content):
    data = bytearray(content.encode())
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(0, len(data) + 1))
        piece = PIECES[rng.integers(0, len(PIECES))]
        kind = rng.integers(0, 5)
        if kind == 0:
            data[at:at] = piece
        elif kind == 1:
            data[at : at + int(rng.integers(1, 12))] = b""
        elif kind == 2 and at < len(data):
            data[at] = int(rng.integers(0, 256))
        elif kind == 3:
            lines = bytes(data).split(b"\n")
            lines.insert(int(rng.integers(0, len(lines))), lines[rng.integers(0, len(lines))])
            data = bytearray(b"\n".join(lines))
        else:
            data[at:] = piece if rng.random() < 0.3 else data[at:]
    return bytes(data)


def cells(content):
    """An independent reading: the rows that are not blank, as the csv module gives them leniently."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text, _ = decode_code_page(content)
    rows = list(csv.reader(io.StringIO(text, newline=""), skipinitialspace=True))
    header, *rest = [row for row in rows if any(cell.strip() for cell in row)]
    names = [name.strip() for name in header]
    while not names[-1]:
        names.pop()
    assert not any("".join(row[len(names) :]).strip() for row in rest)
    return [dict(zip(names, row[: len(names)], strict=True)) for row in rest]


def expected_pairs(content):
    """(label set, text, number of its targets), of every row that was written, whatever form it has."""
    found = {}
    for row in cells(content):
        if "ID" in row:
            for column, text in row.items():
                if column != "ID":
                    name = "short" if column == "label" else column.removesuffix("_label")
                    found.setdefault((name, row["ID"].strip(), "", text.strip()), []).append(
                        row["ID"]
                    )
        else:
            stage, name = row.get("stage", "").strip(), row["label_set"].strip()
            if stage and not (name == f"stage-{stage}" or name.endswith(f"-stage-{stage}")):
                name = f"{name}-stage-{stage}" if name else f"stage-{stage}"
            key = (
                name,
                row["query_id"].strip(),
                row.get("annotator", "").strip(),
                row["text"].strip(),
            )
            found.setdefault(key, []).append(row["item_id"].strip())
    return sorted((name, text, len(items)) for (name, _, _, text), items in found.items())


@pytest.mark.parametrize(
    ("name", "content", "times"),
    [("labels.csv", LABELS, 5000), ("labels.csv", WIDE, 2000), ("images.csv", IMAGES, 3000)],
)
def test_damaged_tables(root, name, content, times):
    rng = np.random.default_rng(len(content))
    for file in ("labels.csv", "images.csv"):
        (root / file).unlink(missing_ok=True)
    read = refused = 0
    for _ in range(times):
        table = damaged(rng, content)
        (root / name).write_bytes(table)
        try:
            dataset = datasets.load("mine", root)
        except KisBenchError as error:
            refused += 1
            said = str(error)
            assert name in said
            assert (
                "line " in said
                or "no queries" in said
                or "no images" in said
                or "UTF-16" in said
                or "group" in said
            )
            continue
        read += 1
        if name == "images.csv":
            rows = cells(table)
            assert [row["item_id"].strip() for row in rows] == list(dataset.collection.ids)
            paths = [
                row["path"].strip().replace("\\", "/") for row in rows
            ]  # as Windows writes them
            assert paths == list(dataset.collection.paths.entries)
            if "group" in rows[0]:
                assert [row["group"].strip() for row in rows] == list(dataset.collection.groups)
        else:
            got = sorted((q.label_set, q.text, len(q.item_ids)) for q in dataset.all_queries)
            assert got == expected_pairs(table), table
            assert len({(q.label_set, q.query_id) for q in dataset.all_queries}) == len(
                dataset.all_queries
            )
    assert min(read, refused) > times / 20, (read, refused)
