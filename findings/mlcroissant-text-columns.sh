#!/usr/bin/env bash
# mlcroissant 1.1.1 (pandas 3.1.1, numpy 2.4.6)
#
# One would expect: a field that a dataset's Croissant file declares as sc:Text gives the text of its column, for the
#   declaration is there so that nobody has to guess types.
# Seen: the CSV is read with guessed types first, and only the guess is made text. Ids lose their leading zeros
#   (00203 becomes 203), with one cell empty they become decimal numbers as well (203.0), ids such as 12e3 become
#   12000.0, and labels that spell a missing value ("None", "NA") become None. Whether it happens depends on the
#   other rows: one id with a letter in it, and all are kept. There is no warning.
# Whom it hurts: labels of key frames, COCO pictures or videos, whose ids are numbers of fixed width: none of 90 labels
#   names its picture's file any more. A query that reads "None" is lost.
# Remedy: read label files as text (pandas: dtype=str, keep_default_na=False) and take the Croissant file for its
#   description; or give ids a letter, such as the name of the file with its ending.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -qq mlcroissant==1.1.1 pandas==3.1.1 numpy==2.4.6
cd "$work"
mkdir images
venv/bin/python - <<'EOF'
import csv
import hashlib
import json
import logging
import sys
from pathlib import Path

import mlcroissant
from mlcroissant import Field, FileObject, Metadata, RecordSet, Source

logging.disable(logging.WARNING)
IDS = [f"{number:05d}" for number in range(10, 100)]
for name in IDS:
    Path("images", f"{name}.jpg").touch()


def read(rows):
    """Records of a table with the columns id, text and second, all declared as text, as strings or None."""
    with open("labels.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "text", "second"), *rows])
    digest = hashlib.sha256(Path("labels.csv").read_bytes()).hexdigest()
    fields = [
        Field(
            id=f"labels/{name}",
            name=name,
            data_types=mlcroissant.DataType.TEXT,
            source=Source(file_object="table", extract=mlcroissant.Extract(column=name)),
        )
        for name in ("id", "text", "second")
    ]
    table = FileObject(
        id="table", name="table", content_url="labels.csv", encoding_formats=["text/csv"], sha256=digest
    )
    described = Metadata(
        name="labels",
        url="https://example.org",
        distribution=[table],
        record_sets=[RecordSet(id="labels", name="labels", fields=fields)],
    )
    Path("croissant.json").write_text(json.dumps(described.to_json(), default=str), encoding="utf-8")
    records = mlcroissant.Dataset(jsonld="croissant.json").records("labels")
    return [
        tuple(None if value is None else value.decode() for value in record.values()) for record in records
    ]


def count_found(records):
    return sum(Path("images", f"{name}.jpg").exists() for name, *_ in records)


plain = [(name, "a red kite", name) for name in IDS]
numbers = read(plain)
lettered = read([*plain[:-1], ("00099b", "a red kite", "00099")])
blank = read([(*plain[0][:2], ""), *plain[1:]])
missing = read([("00010", "None", "00010"), ("00011", "NA", "00011"), ("00012", "none of them", "00012")])
powers = read([("12e3", "a red kite", "1"), ("00011", "a red kite", "1")])
print(f"{IDS[0]} is read as {numbers[0][0]}; {count_found(numbers)} of {len(IDS)} ids name a file")
print(f"with one letter in the last id: {lettered[0][0]}; {count_found(lettered)} of {len(IDS)} name a file")
print(f"in a column with one empty cell: {IDS[1]} is read as {blank[1][2]}")
print(f"texts None, NA, none of them: {[text for _, text, _ in missing]}")
print(f"ids 12e3, 00011: {[name for name, *_ in powers]}")

if (numbers[0][0], count_found(numbers)) != ("10", 0):
    sys.exit("changed: text columns of digits keep their zeros")
if (lettered[0][0], count_found(lettered)) != (IDS[0], len(IDS) - 1):
    sys.exit("changed: one id with a letter no longer keeps the zeros of the others")
if blank[1][2] != "11.0":
    sys.exit("changed: an empty cell no longer makes decimal numbers of the other ids")
if [text for _, text, _ in missing] != [None, None, "none of them"]:
    sys.exit("changed: texts that spell a missing value are kept")
if [name for name, *_ in powers] != ["12000.0", "11.0"]:
    sys.exit("changed: ids such as 12e3 are kept")
EOF
