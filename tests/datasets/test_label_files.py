"""Label files in all their forms, and everything that can be wrong with them."""

import csv
import zipfile

import openpyxl
import pytest
from builders import draw_pictures

from kis_bench import datasets
from kis_bench.datasets.label_formats.label_files import (
    find_label_files,
    read_label_sets,
    read_labels,
)
from kis_bench.records import Collection

ITEMS = ("a", "b", "c", "00042", "7", "day/00042x")
PLAIN = Collection("mine", ITEMS, ITEMS, ITEMS)
TIMED = Collection("mine", ITEMS, ITEMS, ITEMS, ("v",) * 6, tuple(map(float, range(6))))
HEADER = "query_id,item_id,label_set,text"


@pytest.fixture
def read(tmp_path):
    def read_text(content, collection=PLAIN, name="labels.csv"):
        file = tmp_path / name
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        labels = read_labels([file], collection)
        return labels.queries, labels.problems[file]

    return read_text


def test_several_annotators_of_one_query_are_queries_of_their_own(read):
    queries, problems = read(
        f"{HEADER},annotator\nq1,a,short,red,anna\nq1,a,short,crimson,ben\nq2,b,short,blue,anna\nq1,b,short,red,anna\n"
    )
    assert problems == []
    assert [(q.query_id, q.text, q.item_ids, q.annotator) for q in queries] == [
        ("q1/anna", "red", ("a", "b"), "anna"),
        ("q1/ben", "crimson", ("a",), "ben"),
        ("q2", "blue", ("b",), "anna"),
    ]


def test_names_that_annotators_would_make_twice_are_problems(read):
    rows = "q1,a,short,red,anna\nq1,a,short,crimson,ben\nq1/ben,b,short,blue,\n"
    assert "query 'q1/ben' would be there twice" in read(f"{HEADER},annotator\n{rows}")[1][0]


def test_stages_are_label_sets(read, tmp_path):
    queries, problems = read(
        f"{HEADER},stage\nt1,a,,a man,1\nt1,a,,a man with a hat,2\nt2,b,stage-1,x,1\nt2,b,tkis,y,2\n"
    )
    assert problems == []
    assert [(q.query_id, q.label_set, q.stage) for q in queries] == [
        ("t1", "stage-1", "1"),
        ("t1", "stage-2", "2"),
        ("t2", "stage-1", "1"),
        ("t2", "tkis-stage-2", "2"),
    ]
    assert read_label_sets([tmp_path / "labels.csv"]) == ("stage-1", "stage-2", "tkis-stage-2")


def test_ranges_need_times_and_both_ends(read):
    rows = f"{HEADER},range_start_s,range_end_s\nq1,a,s,x,1,2.5\nq2,b,s,y,,\n"
    queries, problems = read(rows, TIMED)
    assert problems == []
    assert [q.range_s for q in queries] == [(1.0, 2.5), None]
    assert "needs images with times" in read(rows)[1][0]
    wrong = (
        "q1,a,s,x,1,\nq2,a,s,x,3,2\nq3,a,s,x,soon,2\nq4,a,s,x,inf,2\nq5,a,s,x,1,2\nq5,b,s,x,1,3\n"
    )
    _, problems = read(f"{HEADER},range_start_s,range_end_s\n{wrong}", TIMED)
    assert [problem.partition(":")[0] for problem in problems] == [
        f"line {n}" for n in (2, 3, 4, 5, 7)
    ]
    assert "go together" in problems[0]
    assert "before it begins" in problems[1]


def test_wide_forms_may_have_any_sets(read, tmp_path):
    queries, problems = read("ID,short_label,tiny_label\n42,red,r\n00042x,blue,b\n")
    assert problems == []
    assert [(q.query_id, q.item_ids) for q in queries] == [
        ("00042-short", ("00042",)),
        ("00042-tiny", ("00042",)),
        ("day/00042x-short", ("day/00042x",)),
        ("day/00042x-tiny", ("day/00042x",)),
    ]
    assert read_label_sets([tmp_path / "labels.csv"]) == ("short", "tiny")
    assert read("ID,label\n7,x\n")[0][0].label_set == "short"


def test_all_label_files_of_a_folder_are_read(tmp_path):
    for name, row in {
        "labels.csv": "q1,a,short,x",
        "labels-vbs.csv": "q1,a,stage-1,x",
        "labels/more.csv": "q2,b,z,y",
        "labelled.csv": "nonsense",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{HEADER}\n{row}\n")
    files = find_label_files(tmp_path)
    assert [file.name for file in files] == ["labels.csv", "labels-vbs.csv", "more.csv"]
    labels = read_labels(files, PLAIN)
    assert [q.label_set for q in labels.queries] == ["short", "stage-1", "z"]
    assert labels.places == [
        (name, "line 2") for name in ("labels.csv", "labels-vbs.csv", "more.csv")
    ]
    (tmp_path / "labels-again.csv").write_text(f"{HEADER}\nq1,a,short,other\n")
    problems = read_labels(find_label_files(tmp_path), PLAIN).problems
    assert "has another text in labels.csv line 2" in problems[tmp_path / "labels-again.csv"][0]


def test_ids_with_an_extension_are_told_what_ids_are(read):
    _, problems = read(f"{HEADER}\nq1,images/00042.png,s,x\n")
    assert "did you mean '00042'?" in problems[0]


def test_every_problem_of_a_file_is_named_with_its_line_and_column(read):
    _, problems = read(
        f"{HEADER},annotator\n"
        'q1,a,short,"two\nlines",\n'  # lines 2 and 3
        "q2,,short,x,\n"
        "q3,a,short,x\n"
        "q4,a,short,x,y,z\n"
        "q5,nowhere,short,,\n"
        "\n"
        "q1,a,short,other,\n"
    )
    assert problems == [
        "line 4: item_id is empty; fill it in or delete the row",
        "line 5: 4 cells where the header has 5; fill the row or delete it",
        "line 6: 6 cells where the header has 5; quote cells that hold commas",
        "line 7: text is empty; fill it in or delete the row",
        "line 7: item 'nowhere' is not in the collection; correct item_id or add the image",
        "line 9: query 'q1' of label set 'short' has another text in labels.csv line 2; "
        "give it another query_id, or both an annotator (in the long form)",
    ]


def test_wide_problems_name_the_column_of_the_file(read):
    _, problems = read("ID,short_label,long_label\n7,,x\n,y,z\n")
    assert problems == [
        "line 2: short_label is empty; fill it in or delete the row",
        "line 3: ID is empty; fill it in or delete the row",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            HEADER.encode() + b"\nq1,a,s,caf\xe9\nq2,a,s,x\nq3,a,s,\xff\n",
            ["line 2: byte 0xe9", "line 4: byte 0xff"],
        ),
        (HEADER.encode("utf-16")[:-1], ["the file is UTF-16 and damaged", "save it as UTF-8"]),
        (HEADER.encode() + b"\nq1,a,s,x\0y\n", ["line 2: a NUL byte"]),
        (HEADER.encode() + "\nq1,a,s,č\n".encode("cp1250"), ["line 2: byte 0xe8"]),  # or è
        (HEADER.encode() + "\nq1,a,s,é\n".encode() + b"q2,a,s,\xe9\n", ["line 3: byte 0xe9"]),
        (
            b"query_id;item_id;label_set;text\nq1;a;s;x; y\n",
            ["line 2: 5 cells where the header has 4; quote cells that hold semicolons"],
        ),
        (b'ID\tlabel\na\t"x"y\n', ["line 2:", "quote cells that hold tabs"]),
        (b"sep=;\nID;label\na;\n", ["line 3: label is empty"]),
        (b"ID,label,,\na,x,,y\n", ["line 2: 4 cells where the header has 2"]),
        (b"\n", ["the header is empty"]),
        (b"query_id,item_id,label_set,text,text\n", ["names a column twice"]),
        (
            HEADER.encode() + b'\nq1,a,s,x\nq2,a,s,"open\nq3,a,s,\n',
            ["line 3: unexpected end", "line 4: text is empty"],
        ),
        (HEADER.encode() + b'\nq1,a,s,"x"y\nq2,a,s,x\nq3,a,s,"z"z\n', ["line 2:", "line 4:"]),
        (HEADER.encode() + b'\n"q,a,s,x' * 200, ["line 2:", "line 101: the rest was not read"]),
        (
            b'query_id,"item_id,label_set,text\nq1,a,s,x\n',
            ["line 1: unexpected end", "the header is empty"],
        ),
        (HEADER.encode() + b'\nq1,a,s,"x"y\n', ["line 2:", "double the quotes"]),
        (HEADER.encode() + b"\n", ["no queries"]),
        (
            b"query_id,item_id,label_set,txt\nq1,a,s,x\n",
            ["missing column 'text'", "unknown column 'txt'", "expected"],
        ),
    ],
)
def test_files_that_are_no_tables_are_told_why(read, content, said):
    problems = read(content)[1]
    assert problems
    for part in said:
        assert any(part in problem for problem in problems), problems


SHEET = (
    'query_id;item_id;label_set;text;;\r\nq1;a;short;"a ""red"" kite; flying";;\r\n'
    "q2; b ;short;červený drak, létá;;\r\n;;;;;\r\n"
)


@pytest.mark.parametrize(
    "content",
    [
        SHEET.encode(),
        SHEET.encode("cp1250"),
        SHEET.encode("utf-16"),
        SHEET.encode("utf-16-be"),
        SHEET.replace(";", "\t").replace("kite\t", "kite;").encode("utf-16"),
        b"sep=;\r\n" + SHEET.encode("cp1250"),
        SHEET.replace(", ", "\0")
        .replace(";", ",")
        .replace("\0", " - ")
        .replace("kite,", "kite;")
        .encode("cp1250"),
    ],
    ids=["UTF-8", "cp1250", "UTF-16", "UTF-16 without mark", "tabs", "sep", "commas"],
)
def test_tables_of_spreadsheets_are_read(read, content):
    queries, problems = read(content)
    assert problems == []
    assert [(q.query_id, q.item_ids, q.text.replace(" - ", ", ")) for q in queries] == [
        ("q1", ("a",), 'a "red" kite; flying'),
        ("q2", ("b",), "červený drak, létá"),
    ]


def test_blanks_around_quotes_are_not_meant(read):
    """As in the published labels of the thesis, where they stand behind a quote at the end of a line."""
    queries, problems = read(
        f'{HEADER}\nq1, a ,short,"one, two" \nq2,b,short, "three ""x"" , four"\t\r\n'
        'q3,c,short,five "six" \nq4,a,short,"7" '
    )
    assert problems == []
    assert [q.text for q in queries] == ["one, two", 'three "x" , four', 'five "six"', "7"]


def test_line_ends_of_all_systems_and_a_byte_order_mark(read):
    for end in ("\n", "\r\n", "\r"):
        queries, problems = read(
            "\ufeff" + end.join([HEADER, "q1,a,short,x", 'q2,b,short,"y"', ""])
        )
        assert problems == []
        assert [q.text for q in queries] == ["x", "y"]


def test_long_texts_and_odd_characters_stay_as_they_are(read, tmp_path):
    texts = ["x" * 10_000, 'he said "no", twice', "über 日本語 🐟", "=1+1", "a\tb", "<b>|</b>"]
    with (tmp_path / "given.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADER.split(","))
        writer.writerows([f"q{i}", "a", "s", text] for i, text in enumerate(texts))
    queries, problems = read((tmp_path / "given.csv").read_bytes())
    assert problems == []
    assert [q.text for q in queries] == texts


def test_a_cell_beyond_all_measure_is_a_problem_not_a_crash(read):
    _, problems = read(f"{HEADER}\nq1,a,s,{'x' * 200_000}\n")
    assert problems
    assert "line 2" in problems[0]


NEAR = {
    "beach\\0042": "beach/0042",
    "Beach/0042": "beach/0042",
    "./beach/0042": "beach/0042",
    "/beach/0042": "beach/0042",
    "images/beach/0042.JPG": "beach/0042",
    "0042": "beach/0042",
    "42": "beach/0042",
    "beach/42": "beach/0042",
    "1": "0001",
    "2.0": "0002",
    "mu\u0308ller": "m\u00fcller",
}


@pytest.mark.parametrize("written", NEAR)
def test_an_id_that_nearly_is_one_is_answered_by_it(read, written):
    ids = ("0001", "0002", "beach/0042", "m\u00fcller", "a/twin", "b/twin")
    _, problems = read(f"{HEADER}\nq1,{written},short,red\n", Collection("mine", ids, ids, ids))
    (problem,) = problems
    assert f"did you mean {NEAR[written]!r}?" in problem
    assert ("NFC" in problem) == (written[0] == "m")


@pytest.mark.parametrize("written", ["twin", "nowhere", "0003", "beach", "0042.txt"])
def test_where_several_or_none_may_be_meant_nothing_is_guessed(read, written):
    ids = ("0001", "beach/0042", "a/twin", "b/twin")
    _, problems = read(f"{HEADER}\nq1,{written},short,red\n", Collection("mine", ids, ids, ids))
    assert "did you mean" not in problems[0]


def write_sheets(file, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    file.parent.mkdir(exist_ok=True)
    book.save(file)


def test_other_spreadsheets_among_labels_are_none(tmp_path):
    folder = tmp_path / "labels"
    write_sheets(folder / "times.xlsx", Sheet=[["who", "hours"], ["anna", 3]])
    assert find_label_files(tmp_path) == []
    write_sheets(folder / "misspelt.xlsx", Sheet=[["query_id", "item", "text"], ["q", "7", "red"]])
    write_sheets(folder / "wide.xlsx", Sheet=[["ID", "short_label"], ["7", "red"]])
    (folder / "broken.xlsx").write_bytes(b"no book")
    names = [file.name for file in find_label_files(tmp_path)]
    assert names == ["broken.xlsx", "misspelt.xlsx", "wide.xlsx"]


def test_spreadsheets_are_read_as_they_are_typed(tmp_path):
    rows = [
        [*HEADER.split(","), "annotator", None],
        ["q1", 7, "short", "a red, plain square", "anna"],
        [None, None],
        [2.0, "00042", "short", "None", 5],
    ]
    write_sheets(tmp_path / "labels.xlsx", Labels=rows, Empty=[])
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "~$more.xlsx").write_bytes(b"a lock")
    files = find_label_files(tmp_path)
    assert [file.name for file in files] == ["labels.xlsx"]
    labels = read_labels(files, PLAIN)
    assert not any(labels.problems.values())
    assert [(q.query_id, q.item_ids, q.text, q.annotator) for q in labels.queries] == [
        ("q1", ("7",), "a red, plain square", "anna"),
        ("2", ("00042",), "None", "5"),
    ]
    assert labels.places[1] == ("labels.xlsx", "line 4")
    assert read_label_sets(files) == ("short",)


def test_what_is_wrong_with_a_spreadsheet_is_said(tmp_path):
    file = tmp_path / "labels-more.xlsx"
    rows = [HEADER.split(","), ["q1", 42, "short", "x"], ["q2", "a", "short", None]]
    write_sheets(file, One=rows)
    assert read_labels([file], PLAIN).problems[file] == [
        "line 2: item '42' is not in the collection (did you mean '00042'?); correct item_id or add the image",
        "line 3: text is empty; fill it in or delete the row",
    ]
    write_sheets(file, One=rows, Two=rows)
    assert (
        "several sheets have rows: One, Two; leave one"
        in read_labels([file], PLAIN).problems[file][0]
    )
    file.write_bytes(b"PK\3\4 cut off")
    assert "not a readable spreadsheet" in read_labels([file], PLAIN).problems[file][0]


def test_spreadsheets_beside_a_label_file_are_not_read_and_are_named(tmp_path):
    """As where somebody saved a spreadsheet as CSV, which is what they were told."""
    draw_pictures(tmp_path / "images", "a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "l.csv").write_text(f"{HEADER}\nq1,a,short,red\n")
    for name in ("labels.xlsx", "labels/notes.xlsx"):
        (tmp_path / name).write_bytes(b"whatever it is")
    found = datasets.load("mine", tmp_path)
    assert [query.text for query in found.all_queries] == ["red"]
    assert found.unread == (
        "labels.xlsx is not read; save it as labels.csv, with commas, in UTF-8",
        "labels/notes.xlsx is not read; save it as labels/notes.csv, with commas, in UTF-8",
    )
    (tmp_path / "labels" / "l.csv").rename(tmp_path / "labels.csv")
    assert [file.name for file in find_label_files(tmp_path)] == ["labels.csv"]


def test_rows_that_a_sheet_does_not_count_are_read(tmp_path):
    """Some programs write how large a sheet is, and get it wrong."""
    file, right = tmp_path / "labels.xlsx", tmp_path / "right.xlsx"
    rows = [["q1", "a", "short", "red"], ["q2", "b", "short", "blue"]]
    write_sheets(right, One=[HEADER.split(","), *rows])
    with zipfile.ZipFile(right) as old, zipfile.ZipFile(file, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(
                name, content.replace(b'<dimension ref="A1:D3"', b'<dimension ref="A1:D2"')
            )
            assert name != "xl/worksheets/sheet1.xml" or b"A1:D3" in content
    labels = read_labels([file], PLAIN)
    assert [query.text for query in labels.queries] == ["red", "blue"]
