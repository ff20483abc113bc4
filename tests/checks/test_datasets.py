"""Each fault of a query set is planted, and found under its name and no other; sound folders have none."""

import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from reset_files import judgment, keyframe, person, triplet, write_study

from kis_bench import encoders
from kis_bench.checks import datasets
from kis_bench.checks.check import Check
from kis_bench.checks.datasets import check_dataset
from kis_bench.checks.texts import fold, repair
from kis_bench.datasets import digests
from kis_bench.datasets.reset import read_study
from kis_bench.encoders.catalogue import find
from kis_bench.errors import KisBenchError, UnknownName, explain_install
from kis_bench.records import Checkpoint, Readiness

HEADER = "query_id,item_id,label_set,text"
SOUND = (
    "q1,a,short,red kite",
    "q2,b,short,two white dogs",
    "q3,c/d,short,a boat at night",
    "q1,a,long,a red kite above the beach",
    "q2,b,long,two white dogs asleep",
    "q3,c/d,long,a boat at night in rain",
)
JAPANESE, THAI = (
    "\u8d64\u3044\u51e7\u304c\u98db\u3076",
    "\u0e27\u0e48\u0e32\u0e27\u0e2a\u0e35\u0e41\u0e14\u0e07",
)
RUSSIAN, HINDI = (
    "\u0437\u0435\u043b\u0451\u043d\u044b\u0439 \u043a\u043e\u0442",
    "\u0932\u093e\u0932 \u092a\u0924\u0902\u0917",
)
LONG_TEXT = "cat " * 76  # more tokens than CLIP reads, and more words than demo does
BESIDE = {"context of others"}  #: said of every dataset


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("KIS_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(("a", "b", "c/d", "e")):
        picture(tmp_path / "images" / f"{name}.png", seed)
    label(tmp_path, *SOUND)
    return tmp_path


def picture(file, seed):
    """Smooth, so that JPEG changes little; the hashes of two are far apart."""
    colours = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(colours).resize((96, 96), Image.Resampling.BICUBIC).save(file)


def label(folder, *rows, header=HEADER, name="labels.csv"):
    (folder / name).write_text("\n".join([header, *rows, ""]), encoding="utf-8", newline="")


def time_table(folder, *, grouped=True):
    rows = [
        f"{i},images/{i}.png,{f'v{n // 2},' if grouped else ''}{10 * n}"
        for n, i in enumerate(("a", "b", "c/d", "e"))
    ]
    (folder / "images.csv").write_text(
        "\n".join([f"item_id,path,{'group,' if grouped else ''}time_s", *rows, ""])
    )


def examined(folder, **options):
    return [check for check in check_dataset("mine", folder, **options) if check.name not in BESIDE]


def remarks(folder, **options):
    """What is not a pass: name, whether it failed, finding."""
    return [check for check in examined(folder, **options) if check.passed is not True]


def only(folder, name, passed=None, **options):
    """The finding of the only fault there is."""
    found = remarks(folder, **options)
    assert [(check.name, check.passed) for check in found] == [(name, passed)], found
    return found[0].finding


def test_a_sound_folder_passes_everything(folder):
    assert remarks(folder) == []
    names = [check.name for check in examined(folder)]
    assert names[:2] == ["images", "labels"]
    assert len(names) == len(set(names)) == 17
    assert examined(folder)[1] == Check("labels", True, "6 queries: 3 in short, 3 in long")


def test_findings_come_one_by_one(folder, monkeypatch):
    """What takes long has not begun when the first are there."""
    monkeypatch.setattr(datasets, "compute_perceptual_hashes", None)
    found = check_dataset("mine", folder)
    assert next(found).name == "images"
    assert next(found).name == "labels"


def test_sound_short_texts_need_no_deep_learning(folder):
    code = (
        "import sys; from pathlib import Path; from kis_bench.checks.datasets import check_dataset\n"
        f"names = [c.name for c in check_dataset('mine', Path({str(folder)!r}))]\n"
        "assert names[-1] == 'context of others', names\n"
        "assert not {'torch', 'open_clip', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# images and label files


def test_images_are_counted_with_groups_and_times(folder):
    assert examined(folder)[0] == Check("images", True, "4 images, no groups, 0 images with a time")
    time_table(folder)
    assert examined(folder)[0] == Check("images", True, "4 images, 2 groups, 4 images with a time")


def test_photos_of_a_phone_are_to_be_converted(folder):
    for name in ("x.nef", "y.NEF", "notes.txt"):
        (folder / "images" / name).write_text("")
    assert only(folder, "files not read").startswith(
        "2 .nef, 1 .txt; what they show can't be found; convert .nef"
    )


def test_files_that_are_no_pictures_are_fine(folder):
    (folder / "images" / "notes").write_text("")
    said = only(folder, "files not read")
    assert said == "1 without suffix; what they show can't be found; fine if they are no pictures"


def test_tables_beside_the_pictures_are_not_files_that_were_not_read(folder):
    for file in (folder / "images").iterdir():
        shutil.move(file, folder / file.name)
    (folder / "images").rmdir()
    assert remarks(folder) == []


@pytest.mark.parametrize(
    "kind", ["no folder", "a file", "no images", "twice", "bad table", "layout"]
)
def test_without_a_list_of_images_nothing_else_is_checked(folder, kind):
    root, layout = folder, None
    if kind == "no folder":
        root = folder / "nowhere"
    elif kind == "a file":
        root = folder / "labels.csv"
    elif kind == "no images":
        shutil.rmtree(folder / "images")
    elif kind == "twice":
        for name in ("a.jpg", "a.jpg.png"):
            shutil.copy(folder / "images" / "a.png", folder / "images" / name)
    elif kind == "bad table":
        (folder / "images.csv").write_text("item_id,path\na,images/a.png\na,images/none.png\n")
    else:
        layout = "lsc"
    said = list(check_dataset("mine", root, layout=layout))
    assert [(check.name, check.passed) for check in said] == [("images", False)]
    assert {
        "no folder": "there is no folder",
        "a file": "is a file, not a folder",
        "no images": "no images in",
        "twice": "item 'a' is there twice",
        "bad table": "line 3: item 'a' twice, first on line 2",
        "layout": "c/d: no date and time",
    }[kind] in said[0].finding
    assert kind != "bad table" or "none.png" in said[0].finding


def test_a_folder_that_refuses_is_a_finding(folder, monkeypatch):
    def refuse(root, *_, **__):
        raise PermissionError(13, "Permission denied", str(root))

    monkeypatch.setattr(datasets, "find_labels", refuse)
    assert "Permission denied" in only(folder, "images", False)


def test_pictures_that_cannot_be_read_are_all_named(folder):
    names = [f"broken-{i}.png" for i in range(30)]
    for i, name in enumerate(names):
        (folder / "images" / name).write_text(f"no picture {i}")
    failed, twins = remarks(folder)
    assert (failed.name, failed.passed) == ("pictures", False)
    assert all(name in failed.finding for name in names)
    assert (twins.name, twins.passed) == ("identical files, near-duplicates", None)
    assert "replace it or remove it" in failed.finding


def test_files_that_cannot_be_opened_are_named(folder, monkeypatch):
    def refuse(picture, known):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(digests, "digest_picture", refuse)
    assert "a.png can't be read: Permission denied" in remarks(folder)[0].finding


def test_no_label_files_are_a_note(folder):
    (folder / "labels.csv").unlink()
    assert "known-item search is skipped; write labels.csv" in only(folder, "labels")


def test_all_problems_of_all_label_files_are_named(folder):
    label(
        folder,
        *(f"x{i},nowhere-{i},other,some words" for i in range(30)),
        "y,a,other,",
        name="labels-2.csv",
    )
    (folder / "labels-3.csv").write_bytes(f"{HEADER}\nz,a,third,caf\xe9\xff\n".encode("latin-1"))
    failed = [check for check in examined(folder) if check.passed is False]
    assert [check.name for check in failed] == ["labels", "labels"]
    assert (
        "labels-2.csv, problems: 31; nothing is measured until they are mended" in failed[0].finding
    )
    assert all(f"line {i + 2}: item 'nowhere-{i}'" in failed[0].finding for i in range(30))
    assert "line 32: text is empty" in failed[0].finding
    assert "line 2: byte 0xe9 is not UTF-8" in failed[1].finding


def test_tables_in_other_encodings_are_told_of(folder):
    label(folder, *SOUND)
    (folder / "labels-2.csv").write_bytes(
        f"{HEADER.replace(',', ';')}\r\nz;a;third;\xe1 red k\xe9t\r\n".encode("cp1250")
    )
    (said,) = [check.finding for check in examined(folder) if check.name == "tables"]
    assert said.startswith("labels-2.csv is read as cp1252, cells separated by semicolons; other")


def test_rows_with_problems_do_not_hide_the_others(folder):
    label(folder, *SOUND, "q4,nowhere,short,Red  kite!", "q4,nowhere,long,a red flag")
    assert [(check.name, check.passed) for check in remarks(folder)] == [
        ("labels", False),
        ("same text", None),
    ]


def test_the_wide_form(folder):
    for i, item in enumerate(("a", "b", "c/d", "e")):
        (folder / "images" / f"{item}.png").rename(folder / "images" / f"000{i}.png")
    shutil.rmtree(folder / "images" / "c")
    wide = "ID,short_label,long_label"
    label(
        folder,
        "0000,red kite,red kite above",
        "1,two dogs,two dogs asleep",
        "2,a boat,a boat at night",
        header=wide,
    )
    assert remarks(folder) == []
    label(
        folder,
        '0000,red kite,"red kite, above"',
        "1,Red kite,two dogs",
        "2,boat,a boat",
        header=wide,
    )
    same, short = remarks(folder)
    assert (same.name, short.name) == ("same text", "short texts")
    assert same.finding.startswith(
        "short: 2 of 3 queries have the text of queries for other targets (texts: 1)"
    )
    assert same.finding.endswith("\n  labels.csv line 2 'red kite', line 3 'Red kite'")
    assert short.finding.endswith("\n  labels.csv line 4 'boat'")


# queries and texts


def test_the_best_possible_recall_with_texts_that_stand_for_several_targets(folder):
    label(
        folder,
        "q1,a,s,Red kite.",
        "q2,b,s,red  KITE",
        "q3,c/d,s,red kite!",
        "q4,e,s,a boat",
        'q5,a,t,"red kite"',
        'q5,b,t,"red kite"',
        "q5,c/d,t,red kite",
        "q5,e,t,red kite",
    )
    said = only(folder, "same text")
    assert said.startswith("s: 3 of 4 queries")
    assert "recall@1 of a perfect model is at most 50.0%" in said


def test_one_text_for_targets_in_common_costs_nothing(folder):
    label(
        folder,
        "q1,a,s,red kite",
        "q1,b,s,red kite",
        "q2,b,s,Red kite",
        "q3,c/d,s,a boat",
        "q4,e,s,a dog",
    )
    said = only(folder, "several queries")
    assert "2 of 4 queries have a target in common (targets: 1)" in said
    assert (
        "clustered by target; if several people wrote them, say who in the column annotator" in said
    )


def test_several_annotators_are_several_queries(folder):
    label(
        folder,
        "q1,a,s,red kite,ann",
        "q1,a,s,crimson kite,ben",
        "q2,b,s,a dog,ann",
        header=f"{HEADER},annotator",
    )
    said = only(folder, "several queries")
    assert said.startswith("s: 2 of 3 queries have a target in common")
    assert "column annotator" not in said
    assert said.endswith("labels.csv line 2 a, line 3 a")


def planted(folder, text):
    """A text in the place of a sound one, in both label sets, as a cell of CSV."""
    cell = '"' + text.replace('"', '""') + '"'
    label(folder, f"q1,a,short,{cell}", *SOUND[1:])


@pytest.mark.parametrize("text", ["kite", "T-shirt", "a b", "??", "\u732b", "\u6771\u4eac", "42"])
def test_texts_that_say_little(folder, text):
    planted(folder, text)
    assert only(folder, "short texts").startswith(
        "short: 1 of 3 texts are one word, or fewer than 3 letters"
    )


@pytest.mark.parametrize("text", ["red kite", JAPANESE, THAI, "an old VW"])
def test_texts_that_say_enough(folder, text):
    planted(folder, text)
    assert remarks(folder) == []


@pytest.mark.parametrize(
    "text",
    [
        "caf\xe9 by the sea",
        "\u201cno\u201d \u2014 a boy\u2019s kite",
        "smiling \U0001f600 face",
        "\xe0 la mer",
        RUSSIAN,
        JAPANESE,
        HINDI,
    ],
)
def test_texts_in_the_wrong_encoding_come_with_what_was_meant(folder, text):
    """UTF-8 that was read as Windows-1252; bytes that it has no character for stay control characters."""
    unknown = (0x81, 0x8D, 0x8F, 0x90, 0x9D)
    wrong = "".join(chr(b) if b in unknown else bytes([b]).decode("cp1252") for b in text.encode())
    assert repair(wrong) == text
    assert repair(text) == text
    planted(folder, wrong)
    said = only(folder, "damaged texts")
    assert said.startswith("short: 1 of 3 texts were damaged by a wrong encoding")
    assert f"rather {text!r}" in said
    planted(folder, text)
    assert remarks(folder) == []


def test_lost_characters_are_damage_without_a_guess(folder):
    planted(folder, "caf\ufffd by the sea")
    said = only(folder, "damaged texts")
    assert said.endswith("line 2 'caf\ufffd by the sea'")
    assert "rather" not in said


@pytest.mark.parametrize(
    "text",
    [
        "\u201eGru\xdf\u201c",
        "voil\xe0\xa0\xbb",
        "\xabCAF\xc9\xbb",
        "\u201ctouch\xe9\u201d\u2026",
        "5\xa0\xb0",
        "na\xefve",
        "S\xc3O",
        "\xc0 \xc9t\xe9\u2019s",
        JAPANESE,
        THAI,
        RUSSIAN,
        HINDI,
    ],
)
def test_honest_accents_and_quotes_are_no_damage(text):
    assert repair(text) == text


@pytest.mark.parametrize(
    ("character", "shown"),
    [
        ("\u200b", "U+200B"),
        ("\ufeff", "U+FEFF"),
        ("\x1b", "U+001B"),
        ("\u202e", "U+202E"),
        ("\xad", "U+00AD"),
    ],
)
def test_characters_that_nobody_sees(folder, character, shown):
    planted(folder, f"red{character} kite")
    said = only(folder, "invisible characters")
    assert said.endswith(f"labels.csv line 2 'red kite' with {shown}")
    assert character not in said


@pytest.mark.parametrize(
    "text", ["family \U0001f468\u200d\U0001f469 on a beach", "two\nlines", "red\xa0kite"]
)
def test_joiners_and_lines_are_no_fault(folder, text):
    planted(folder, text)
    assert remarks(folder) == []


@pytest.mark.parametrize(
    "text", ["Red Kite 7.png", "red kite 7", "day 1/red kite 7", "day 1/red kite 7.JPG"]
)
def test_file_names_are_no_texts(folder, text):
    (folder / "images" / "day 1").mkdir()
    (folder / "images" / "a.png").rename(folder / "images" / "day 1" / "red kite 7.png")
    label(folder, f"q1,day 1/red kite 7,short,{text}", *SOUND[1:3])
    assert only(folder, "file names").endswith(f"labels.csv line 2 {text!r}")


def test_a_file_name_is_known_though_the_table_calls_it_otherwise(folder):
    (folder / "images" / "a.png").rename(folder / "images" / "red kite.png")
    others = [file for file in (folder / "images").rglob("*.*") if file.stem != "red kite"]
    paths = [file.relative_to(folder).as_posix() for file in others]
    rows = [
        "item_id,path",
        "x,images/red kite.png",
        *(f"{i},{path}" for i, path in enumerate(paths)),
    ]
    (folder / "images.csv").write_text("\n".join(rows))
    label(folder, "q1,x,s,red kite")
    only(folder, "file names")


# between label sets


def test_hints_that_do_not_grow(folder):
    stages = f"{HEADER},stage"
    grown = (
        "q1,a,,a man,1",
        'q1,a,,"A man, with a hat",2',
        'q1,a,,"a man, with a hat, in the rain",3',
    )
    label(folder, *grown, header=stages)
    assert [check.name for check in remarks(folder) if check.name == "stages"] == []
    label(
        folder,
        *grown,
        "q2,b,,a white dog,1",
        "q2,b,,a cat,2",
        "q2,b,,a cat on a roof,3",
        header=stages,
    )
    said = only(folder, "stages")
    assert said.startswith("1 of 4 later hints don't contain the one before (1 are shorter)")
    assert said.endswith("labels.csv line 6 'a cat'")


def test_hints_are_told_apart_by_query_annotator_and_series(folder):
    rows = (
        "q1,a,x,a man,ann,1",
        "q1,a,x,a person,ben,1",
        "q1,a,x,a man runs,ann,2",
        "q1,a,x,a person runs,ben,2",
        "q1,a,y,a dog,ann,1",
        "q1,a,y,a dog runs,ann,2",
        "q1,a,backstage-1,a cat,,",
        "q1,a,backstage-2,a horse,,",
    )
    label(folder, *rows, header=f"{HEADER},annotator,stage")
    assert {check.name for check in remarks(folder)} == {"several queries"}


def test_hints_in_the_wide_form(folder):
    label(
        folder,
        "a,red kite,red kite above",
        "b,two dogs,some cats",
        header="ID,stage-1_label,stage-2_label",
    )
    assert only(folder, "stages").endswith("labels.csv line 3 'some cats'")


def test_label_sets_of_other_targets(folder):
    label(folder, *SOUND, "q4,e,long,a green field")
    said = only(folder, "targets")
    assert said.startswith("short lacks 1 of 4 targets that other label sets have")
    assert said.endswith("\n  'e'")


def test_ranges_of_time_that_miss(folder):
    time_table(folder)  # v0: a at 0, b at 10; v1: c/d at 20, e at 30
    rows = (
        "q1,a,s,red kite,0,5",
        "q2,b,s,two dogs,0,5",
        "q3,c/d,s,a boat,100,200",
        "q4,e,s,a green field,,",
    )
    label(folder, *rows, header=f"{HEADER},range_start_s,range_end_s")
    empty, beside = remarks(folder)
    assert (empty.name, beside.name) == ("ranges", "ranges")
    assert empty.finding.startswith("1 of 3 hold no image of the target's group")
    assert empty.finding.endswith("labels.csv line 4 c/d")
    assert beside.finding.startswith(
        "1 of 3 hold images, but not the target, of the target's group"
    )
    assert beside.finding.endswith("labels.csv line 3 b")


def test_ranges_without_groups_are_not_used(folder):
    time_table(folder, grouped=False)
    label(folder, "q1,a,s,red kite,0,5", header=f"{HEADER},range_start_s,range_end_s")
    assert "give group in images.csv" in only(folder, "ranges")


# twins


def test_identical_files(folder):
    shutil.copy(folder / "images" / "a.png", folder / "images" / "copy.png")
    said = only(folder, "identical files")
    assert said.startswith("1 of 3 targets are the same file as other images (1 in all)")
    assert "half a place" in said
    assert said.endswith("\n  a = copy")


def test_copies_that_are_targets_too_are_no_fault(folder):
    shutil.copy(folder / "images" / "a.png", folder / "images" / "copy.png")
    label(folder, *SOUND, "q1,copy,short,red kite", "q1,copy,long,a red kite above the beach")
    assert remarks(folder) == []


def test_copies_that_nobody_looks_for_are_no_fault(folder):
    shutil.copy(folder / "images" / "e.png", folder / "images" / "copy.png")
    assert remarks(folder) == []


def test_near_duplicates(folder):
    with Image.open(folder / "images" / "a.png") as image:
        image.save(folder / "images" / "again.jpg", quality=60)
    said = only(folder, "near-duplicates")
    assert said.startswith(
        "1 of 3 targets are within 6 of 64 bits (pHash) of other images (1 in all)"
    )
    assert said.endswith("\n  a = again")
    assert "--kis-near-duplicates phash:6" in said
    assert "alike in shape, brightness and colours" in said
    assert "no model" not in said


def test_planes_of_other_colours_are_no_near_duplicates(folder):
    """colour-words finds each of them: a hash alone takes them for one."""
    for name, colour in (("w1", "red"), ("w2", "gray"), ("w3", "white"), ("w4", "navy")):
        Image.new("RGB", (60, 40), colour).save(folder / "images" / f"{name}.png")
    label(
        folder,
        *SOUND,
        "p1,w1,short,a red wall",
        "p2,w2,short,a grey wall",
        "p3,w3,short,a white wall",
        "p4,w4,short,a dark blue wall",
    )
    said = next(check for check in examined(folder) if check.name == "near-duplicates")
    assert said.passed is True, said.finding


@pytest.mark.parametrize(
    ("bits", "said"),
    [(5, "; bits differ in even numbers, so 5 finds what 4 finds;"), (6, "colours;")],
)
def test_an_odd_number_of_bits_is_explained(folder, bits, said):
    with Image.open(folder / "images" / "a.png") as image:
        image.save(folder / "images" / "again.jpg", quality=95)
    checks = datasets.check_dataset("mine", folder, near_bits=bits)
    assert said in next(check.finding for check in checks if check.name == "near-duplicates")


def test_all_pairs_within_so_many_bits_are_found(monkeypatch):
    """Against a plain count of bits, over several blocks."""
    monkeypatch.setattr(datasets, "COMPARED_BLOCK_ITEMS", 7)
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**8, 60).astype(np.uint64)
    kinds = rng.integers(0, 20, 60)
    wanted = [(3,), (5, 40), (59,)]
    collection = datasets.Collection(
        "mine", tuple(map(str, range(60))), (), [str(kind) for kind in kinds]
    )
    same, near = datasets.find_twins(collection, wanted, hashes, 2)
    pairs = [[(t, j) for t in some for j in range(60) if j not in some] for some in wanted]
    copies = [{j for t, j in some if kinds[t] == kinds[j]} for some in pairs]
    close = [
        {j for t, j in some if bin(int(hashes[t] ^ hashes[j])).count("1") <= 2} - own
        for some, own in zip(pairs, copies, strict=True)
    ]
    for check, found in ((same, copies), (near, close)):
        assert f" ({sum(map(len, found))} in all)" in check.finding
        assert f"{wanted[0][0]} = {min(found[0])}" in check.finding


def test_with_very_many_targets_some_are_looked_at(folder, monkeypatch):
    monkeypatch.setattr(datasets, "MOST_PAIRS", 8)
    said = next(check.finding for check in examined(folder) if check.name == "near-duplicates")
    assert said.startswith("0 of 2 targets looked at, of 3, are within")


# what models read


def test_texts_longer_than_models_read(folder):
    planted(folder, LONG_TEXT)
    clip, demo = remarks(folder)
    first = "clip-vit-b-32, dfn5b-vit-h-14-378, vit-g-14-laion2b, vit-h-14-laion2b"
    assert re.fullmatch(rf"context of {first} and \d+ more", clip.name)
    assert demo.name == "context of demo"
    for check in (clip, demo):
        assert check.passed is None
        assert check.finding.startswith(
            "short: 1 of 3 texts are longer than it reads; their ends are ignored"
        )
        assert len(check.finding.split("\n")[1]) < 100


@pytest.mark.parametrize(("words", "cut"), [(75, False), (76, True)])
def test_the_last_token_that_fits(folder, words, cut):
    planted(folder, "cat " * words)
    assert bool(remarks(folder, models=[find("clip-vit-b-32")])) == cut


def test_models_whose_tokenizer_is_not_here_are_named(folder):
    last = list(check_dataset("mine", folder))[-1]
    assert (last.name, last.passed) == ("context of others", None)
    assert "vit-b-16-siglip-512 (not downloaded), align (not downloaded)" in last.finding
    assert "kis-bench fetch NAME" in last.finding
    assert "demo" not in last.finding


def test_models_that_are_asked_for_are_loaded(folder, hub):
    row = find("vit-b-16-siglip-512")
    said = only(folder, "context of vit-b-16-siglip-512", models=[row])
    assert said.startswith("not checked: not downloaded; kis-bench fetch vit-b-16-siglip-512")
    hub.offer(row.source.partition(":")[2])
    encoders.fetch(row)
    assert remarks(folder, models=[row]) == []
    planted(folder, LONG_TEXT)
    assert only(folder, "context of vit-b-16-siglip-512", models=[row]).startswith(
        "short: 1 of 3 texts are longer"
    )


def test_models_that_can_tell_nothing(folder, monkeypatch, tmp_path_factory):
    home = tmp_path_factory.mktemp("code")
    (home / "raising.py").write_text("def load():\n    raise ZeroDivisionError('oh')\n")
    monkeypatch.syspath_prepend(home)
    planted(folder, LONG_TEXT)
    raising = Checkpoint("mine", "python:raising:load")
    said = only(folder, "context of mine", models=[raising])
    assert said.startswith("not checked: model mine: load() fails: ZeroDivisionError: oh")
    assert "no text side" in only(
        folder, "context of rgb-histogram-64", models=[find("rgb-histogram-64")]
    )
    assert "unknown source" in only(folder, "context of odd", models=[Checkpoint("odd", "odd:x")])


def test_texts_are_sent_to_no_service(folder):
    row = find("http:https://nowhere.invalid/v1?model=m")
    said = only(folder, "context of http.m", models=[row])
    assert said.startswith("not checked: no text was sent to https://nowhere.invalid, which")


def test_without_open_clip(folder, monkeypatch):
    planted(folder, LONG_TEXT)
    absent = Readiness(False, "needs open_clip_torch>=3.3", explain_install("openclip"))
    monkeypatch.setattr(encoders, "readiness", lambda row: absent)
    assert only(folder, "context of clip-vit-b-32", models=[find("clip-vit-b-32")]) == (
        f"not checked: needs open_clip_torch>=3.3; {explain_install('openclip')}"
    )


# what is not the folder's fault, and what must not harm


def test_wrong_usage_is_an_error_at_once(folder):
    with pytest.raises(UnknownName):
        check_dataset("mine", folder, layout="nonsense")
    with pytest.raises(KisBenchError, match="phash:65"):
        check_dataset("mine", folder, near_bits=65)


def test_hostile_texts_are_shown_harmlessly(folder):
    (folder / "labels.csv").write_bytes(
        b"\n".join(
            [
                HEADER.encode(),
                b"q1,a,short,bad \xff byte",
                b"q2,b,short,\x1b[2J" + b"x" * 10_000,
                b'"q3\x1b[2J",nowhere,short,"a ' + "\u202e".encode() + b'turned text"',
                b"",
            ]
        )
    )
    found = examined(folder)
    assert {check.name for check in found if check.passed is False} == {"labels"}
    for check in found:
        check.finding.encode()
        assert not {"\x1b", "\u202e"} & set(check.finding)
        assert all(len(line) < 1000 for line in check.finding.split("\n"))


def test_a_hundred_thousand_rows_take_seconds(folder):
    rows = [
        f"q{i},{'abe'[i % 3]},set{i % 50},text number {i} of a large table" for i in range(100_000)
    ]
    label(folder, *rows)
    began = time.perf_counter()
    found = remarks(folder, models=[find("clip-vit-b-32")])
    assert time.perf_counter() - began < 60
    assert {check.name for check in found} == {"several queries"}
    assert found[0].finding.split("\n")[1].endswith("and 1990 more")


def test_as_many_label_sets_as_rows(folder):
    label(folder, *(f"q{i},{'abe'[i % 3]},set{i},text number {i}" for i in range(20_000)))
    found = remarks(folder)
    assert {check.name for check in found} == {"targets"}
    assert found[-1].finding == "19990 label sets more lack some"


@pytest.mark.parametrize(
    ("one", "other"),
    [("A red  kite.", "a RED kite"), ("STRASSE", "stra\xdfe"), ("a\tb \u2026", "a b")],
)
def test_texts_that_are_the_same_to_readers(one, other):
    assert fold(one) == fold(other)


def test_texts_of_marks_alone_stay_apart():
    assert fold("?") != fold("!")


# a study of image similarity

PEOPLE = [person("ann"), person("ben")]


def study(folder, choices, *, n=4, swapped=(), **options):
    """Triplets of neighbours; ``choices``: (triplet, person, choice from -2, left, to 2, right) for each judgment."""
    rows = [triplet(str(i), i, i + 1, i + 2) for i in range(n)]
    said = [
        judgment(str(i), rows[about], user, choice, swapped=i in swapped)
        for i, (about, user, choice) in enumerate(choices)
    ]
    return write_study(folder / "study", rows, said, PEOPLE, **options)


#: Both people on each triplet, of one mind, as often left as right.
AGREED = [(i, user, (-1) ** i) for i in range(4) for user in ("ann", "ben")]


def findings(folder, **options):
    """Of a study: topic -> (whether it passed, finding); of judgments the first."""
    found = {}
    for check in examined(folder, **options):
        found.setdefault(check.name, (check.passed, check.finding))
    return found


def test_a_sound_study_passes_everything(tmp_path):
    root = study(tmp_path, AGREED, pictures=range(6))
    assert remarks(root) == []
    assert findings(root) == {
        "judgments": (True, read_study(root).remarks[0]),
        "decided judgments": (True, "8 of 8 judgments (100.0%) have a preference and count"),
        "shared pictures": (
            True,
            "4 judged triplets have 4 target pictures, 1.0 triplets each; a candidate is in 1.6 triplets on average",
        ),
        "human agreement": (
            True,
            "4 of 4 triplets have two or more judgments, 4 of them decided ones of different people",
        ),
        "contradictions": (True, "on 0 of 4 triplets (0.0%) people chose differently"),
        "sides": (
            True,
            "4 of 8 decided judgments (50.0%, 95% interval 21.5 to 78.5%) chose the left",
        ),
        "images": (True, "6 images, no groups, 0 images with a time"),
        "images of triplets": (True, "all 6 are there"),
        "damage in JPEGs": (True, "none found"),
        "pictures": (True, "all can be read"),
    }


def test_a_study_needs_neither_pictures_nor_labels(tmp_path):
    said = only(study(tmp_path, AGREED), "images of triplets")
    assert said.startswith(
        "none of 6 is there; only extractors whose distances the study has can be measured"
    )


def test_what_was_odd_in_reading_is_a_note(tmp_path):
    root = study(
        tmp_path,
        [*AGREED[:6], (0, "ann", 1)],
        pictures=range(6),
        name="triplets_extended.csv",
        distances={"W2VVExtractor": [[0.5, 0.5, 0.5]] * 3 + [[None] * 3]},
    )
    (root / "triplets.csv").write_text("")
    notes = [check.finding for check in remarks(root) if check.name == "judgments"]
    first, *others = read_study(root).remarks
    assert notes == others
    assert len(notes) == 4
    for part in (
        "judged the triplet before",
        "nobody judged",
        "W2VVExtractor 1",
        "triplets.csv is there too",
    ):
        assert sum(part in note for note in notes) == 1
    assert findings(root)["judgments"] == (True, first)


def test_judgments_that_do_not_count(tmp_path):
    found = findings(study(tmp_path, [(0, "ann", -2), (1, "ann", 0), (2, "ben", 0)]))
    assert found["decided judgments"] == (
        True,
        "1 of 3 judgments (33.3%) have a preference and count",
    )
    found = findings(study(tmp_path, [(0, "ann", 0), (1, "ben", 0)]))
    passed, said = found["decided judgments"]
    assert passed is False
    assert said.startswith("0 of 2 judgments (0.0%) have a preference; nothing can be compared")
    assert not {"sides", "contradictions", "human agreement"} & found.keys()


@pytest.mark.parametrize(
    ("choices", "several"),
    [
        ([(0, "ann", 1), (1, "ben", -1)], 0),
        ([(0, "ann", 1), (0, "ben", 0), (1, "ben", -1)], 1),  # one has no preference
        ([(0, "ann", 1), (0, "ann", -1), (1, "ben", -1)], 1),  # a person with herself
    ],
)
def test_without_two_people_on_a_triplet_there_is_no_human_agreement(tmp_path, choices, several):
    found = findings(study(tmp_path, choices))
    passed, said = found["human agreement"]
    assert passed is None
    assert said.startswith(
        f"{several} of 4 triplets have two or more judgments, 0 of them decided ones of different"
    )
    assert "let others judge some of the triplets" in said
    assert "contradictions" not in found


def test_people_who_contradict_one_another_and_the_best_that_is_left(tmp_path):
    """Of three triplets that two people judged they differ on one; 6 of 7 judgments can be met."""
    choices = [
        (0, "ann", 1),
        (0, "ben", -2),
        (1, "ann", 1),
        (1, "ben", 2),
        (2, "ann", -1),
        (2, "ben", -1),
        (3, "ann", -1),
        (3, "ben", 0),
    ]
    said = findings(study(tmp_path, choices))["contradictions"]
    assert said == (
        None,
        "on 1 of 3 triplets (33.3%) people chose differently; nothing can agree with all; the "
        "consistency of a perfect model is 85.7%",
    )


def test_sides_are_no_contradiction(tmp_path):
    """Both chose candidate 1, shown to one on the left and to the other on the right."""
    found = findings(study(tmp_path, [(0, "ann", -1), (0, "ben", 1)], swapped=[1]))
    assert found["contradictions"] == (True, "on 0 of 1 triplets (0.0%) people chose differently")


@pytest.mark.parametrize(
    ("left", "passed"), [(5, True), (8, True), (9, None), (10, None), (1, None), (0, None)]
)
def test_a_side_that_is_preferred(tmp_path, left, passed):
    """Of ten choices, by Wilson's interval: eight may be chance, nine are not."""
    choices = [(i % 4, "ann", -1 if i < left else 1) for i in range(10)]
    found, said = findings(study(tmp_path, choices, swapped=range(0, 10, 2)))["sides"]
    assert found is passed
    assert said.startswith(f"{left} of 10 decided judgments ({10 * left}.0%, 95% interval ")
    assert ("noise of the judges" in said) == (passed is None)


def test_a_side_that_always_showed_the_same_candidate(tmp_path):
    choices = [(i % 4, "ann", -1) for i in range(10)]
    for swapped, candidate in (((), 1), (range(10), 2)):
        said = findings(study(tmp_path, choices, swapped=swapped))["sides"][1]
        assert f"candidate {candidate} was always shown there, so it can't be told" in said
        assert "noise" not in said


def test_images_that_are_missing_are_named_with_what_is_lost(tmp_path):
    said = only(study(tmp_path, AGREED, pictures=(1, 2, 3, 4)), "images of triplets")
    item = [keyframe(number).removesuffix(".jpg") for number in (0, 5)]
    assert said == (
        "2 of 6 are missing; models can't be compared on 2 triplets with 4 judgments; add the images, or publish how "
        f"many are left\n  {item[0]}, {item[1]}"
    )


def test_of_a_million_keyframes_only_those_of_the_study_are_examined(tmp_path):
    root = study(tmp_path, AGREED, pictures=range(9))
    (root / "keyframes" / keyframe(8)).write_text("no picture")
    assert remarks(root) == []
    assert findings(root)["images"][1].startswith("6 images")


def test_pictures_of_a_study_must_be_readable(tmp_path):
    root = study(tmp_path, AGREED, pictures=range(6))
    (root / "keyframes" / keyframe(3)).write_text("no picture")
    failed = [check for check in remarks(root) if check.passed is False]
    assert [check.name for check in failed] == ["pictures"]
    assert keyframe(3) in failed[0].finding


def test_tables_beside_keyframes_are_not_files_that_were_not_read(tmp_path):
    root = study(tmp_path, AGREED, pictures=range(6))
    for video in (root / "keyframes").iterdir():
        shutil.move(video, root / video.name)
    (root / "keyframes").rmdir()
    assert remarks(root) == []
    (root / "notes.txt").write_text("")
    assert only(root, "files not read").startswith("1 .txt;")


def test_all_that_is_wrong_in_a_study_fails(tmp_path):
    root = study(tmp_path, AGREED, pictures=range(6))
    file = root / "triplet_judgements.csv"
    file.write_text(file.read_text().replace(",ann,", ",nobody,"))
    said = only(root, "judgments", False)
    assert said.startswith("nothing is measured until the study's files are mended")
    assert [f"line {line}: user 'nobody' is not in" in said for line in range(2, 10)] == [
        True,
        False,
    ] * 4


@pytest.mark.parametrize("name", ["participants.csv", "triplet_judgements.csv"])
def test_a_table_that_is_missing_fails(tmp_path, name):
    root = study(tmp_path, AGREED, pictures=range(6))
    (root / name).unlink()
    assert f"{name}:\n  the file is missing" in only(root, "judgments", False)


def test_a_layout_may_say_that_there_is_a_study(folder):
    found = {check.name: check for check in remarks(folder, layout="reset")}
    assert found["judgments"].passed is False
    assert "triplets.csv" in found["judgments"].finding
    assert "images" in findings(
        folder, layout="reset"
    )  # it has label files too, so the rest is looked at
    said = list(check_dataset("reset", folder / "nowhere"))
    assert [(check.name, check.passed) for check in said] == [("images", False)]


def test_a_study_with_queries_is_examined_for_both(tmp_path):
    root = study(tmp_path, AGREED, pictures=range(8))
    for old in range(8):
        file = root / "keyframes" / keyframe(old)
        picture(file.with_suffix(".png"), old)
        file.unlink()
    items = [keyframe(number).removesuffix(".jpg") for number in (0, 7)]
    label(root, f"q1,{items[0]},short,red kite", f"q2,{items[1]},short,two dogs")
    assert remarks(root) == []
    found = findings(root)
    assert found["images"][1].startswith("8 images")  # also those that no triplet names
    assert found["labels"] == (True, "2 queries: 2 in short")
    assert found["sides"][0] is True


@pytest.mark.parametrize(("wrong", "code"), [(False, 0), (True, 1)])
def test_the_command_tells_of_a_study(tmp_path, wrong, code):
    root = study(tmp_path, AGREED)
    if wrong:
        (root / "participants.csv").write_text("user_id,age_group,education,ml_expert\nann,,,\n")
    done = subprocess.run(
        [sys.executable, "-m", "kis_bench.cli", "datasets", "check", f"mine={root}"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if wrong:
        assert "FAIL  judgments: " in done.stdout
        assert "user 'ben' is not in participants.csv" in done.stdout
    else:
        assert "pass  judgments: 8 judgments by 2 participants" in done.stdout
        assert "note  images of triplets: none of 6" in done.stdout
