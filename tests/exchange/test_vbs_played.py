"""Task files that the Showdowns of 2018 to 2020 were played from: a table with semicolons, and lines of JSON."""

import json

import pytest
from builders import call_cli, draw_pictures

from kis_bench.errors import BadFile
from kis_bench.exchange.vbs.played_tasks import make_rate_finder
from kis_bench.exchange.vbs.tasks import read_tasks

TABLE = """\
taskId;name;startTime;maxSearchTime;type;videoNumber;startFrame;endFrame;text1;text2;text3;trecvidId;avsText
1;KIS Visual 1;2018-2-5 10:20:31;300;KIS_Visual;12;25;75;;;;
2;KIS Textual 1;2018-2-4 11:14:56;420;KIS_Textual;12;50;137;a man;a man, in a "red" hat;a man, on a horse;
3;AVS 1;2018-2-5 10:26:14;300;AVS;;;;;;;531;Find shots of horses
"""


def played(name="Textual 1", texts=("a man", "a man\nin red"), **more):
    shown = [{"delay": 60 * i, "text": text} for i, text in enumerate(texts)]
    span = {"videoId": "x", "videoNumber": 12, "startFrame": 50, "endFrame": 137}
    head = {"name": name, "type": "KIS_Textual", "startTimeStamp": 1}
    return {**head, "videoRanges": [span], "textList": shown[::-1]} | more


def spell_lines(*tasks):
    return "\n".join(map(json.dumps, tasks)) + "\n"


def read(folder, content, find_rate=lambda video: 25.0):
    file = folder / "tasks.db"
    file.write_text(content)
    return read_tasks(file, find_rate)


def test_the_table_of_2018(tmp_path):
    [task], said = read(tmp_path, TABLE)
    assert (task.name, task.video, task.start_s, task.end_s) == ("KIS Textual 1", "00012", 2, 5.48)
    assert task.hints == ("a man", 'a man, in a "red" hat', "a man, on a horse")
    assert said == [
        "1 task of type 'KIS_Visual' left out, no textual known-item search",
        "1 task of type 'AVS' left out, no textual known-item search",
    ]


def test_lines_of_json_in_the_order_of_their_delays(tmp_path):
    blank = "Enter query text..."
    tasks = [
        played(),
        played("Textual 2", ("a dog", blank, "a dog\\nruns"), startTimeStamp=None),
        played("Textual 3", (blank,)),
        played("Visual 1", (blank,), type="KIS_Visual"),
    ]
    found, said = read(tmp_path, spell_lines(*tasks))
    assert [one.hints for one in found] == [("a man", "a man in red"), ("a dog", "", "a dog runs")]
    assert found[0].fps == 25
    assert said == [
        "1 task of type 'KIS_Textual without a text' left out, no textual known-item search",
        "1 task of type 'KIS_Visual' left out, no textual known-item search",
        "1 task that the file marks as not played, and kept: Textual 2",
        "1 hint without text, whose stages are left out: Textual 2 stage 2",
    ]
    assert read(tmp_path, spell_lines(played()))[0] == found[:1]  # a single line is a whole JSON


def test_frames_without_a_rate_ask_for_it_once(tmp_path):
    tasks = spell_lines(played(), played("Textual 2", ("a dog",)))
    with pytest.raises(BadFile) as caught:
        read(tmp_path, tasks, lambda video: None)
    assert caught.value.problems == [
        "it counts in frames, and frames a second aren't known of videos 00012; give them as --fps FILE: "
        "a table with the columns video,fps, or the archive's list VBS_TextualQueries_19-24.json"
    ]


def test_rates_come_from_a_table_the_list_or_the_shots(tmp_path):
    table, listed = tmp_path / "fps.csv", tmp_path / "list.json"
    table.write_text("video,fps\n12,29.97\n")
    listed.write_text(json.dumps([{"query_name": "t", "answer": "00012", "fps": 24}]))
    (tmp_path / "msb").mkdir()
    shots = "startframe\tstarttime\tendframe\tendtime\n0\t0.0\t49\t1.96\n50\t2.0\t99\t3.96\n"
    (tmp_path / "msb" / "00012.tsv").write_text(shots)
    rates = [make_rate_finder(file, tmp_path)("00012") for file in (table, listed, None)]
    assert rates == [29.97, 24, 25]
    assert make_rate_finder(table, tmp_path)("00013") is None
    assert make_rate_finder(table, None)("xyz") is None


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("fps.csv", "video,rate\n12,25\n", "its columns are video, rate; give a table with"),
        ("fps.csv", "video,fps\n12,x\n", "line 2: '12', None are no video and frames per second"),
        ("fps.csv", "video,fps\n12,25\n012,24\n", "line 3: video 012 has 24 .* and 25 before"),
        ("fps.csv", "video,fps\n12,0\n", "line 2: '12', 0.0 are no video"),
        ("list.json", "{}", "it is no list of tasks of the archive"),
        ("list.json", "[", "line 1, column 2"),
        ("list.json", '[{"answer": 12, "fps": 25}]', r"\[0\]: 12, 25 are no video"),
    ],
)
def test_a_file_of_rates_that_is_none_is_refused(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(BadFile, match=said):
        make_rate_finder(tmp_path / name, None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"videoRanges": []}, "videoRanges holds 0 segments; write one"),
        ({"videoRanges": [{"videoNumber": "12"}]}, "videoNumber is '12'; make it the number of a"),
        ({"videoRanges": [{"videoNumber": 12, "startFrame": -1}]}, "startFrame is -1; make it a"),
        ({"textList": "a man"}, "textList is 'a man'; make it a list"),
        ({"textList": [{"delay": 0}]}, r"textList\[0\].text is missing"),
        ({"name": ""}, "name is ''; make it a text"),
    ],
)
def test_what_is_wrong_with_a_task_is_named(tmp_path, change, said):
    with pytest.raises(BadFile, match=said):
        read(tmp_path, spell_lines(played(), played("Textual 2") | change))


def test_other_tables_and_lines_are_no_tasks(tmp_path):
    for content in ("taskId;name\n1;x\n", '{"taskId": 1}\n{"taskId": 2}\n', "", "\n"):
        with pytest.raises(BadFile, match=r"tasks\.csv or tasks\.db of 2018 to 2020"):
            read(tmp_path, content)


def test_the_list_gets_the_blanks_back_that_it_lost(tmp_path):
    span = {"start": 0, "end": 9000}
    hints = ["On a street.He runs off at 5.Then J.R. waves."]
    names = ("Textual2020-31", "Textual2020-33")
    content = [
        {"query_name": n, "hints": [f"{n}: {hints[0]}"], "answer": "1", "videorange": span}
        for n in names
    ]
    found, said = read(tmp_path, json.dumps(content))
    assert found[0].hints[0].endswith("On a street. He runs off at 5.Then J.R. waves.")
    assert found[1].hints[0].endswith(hints[0])
    assert said == [
        "1 task with a blank between sentences where the list has lost a line break: Textual2020-31"
    ]


def test_from_the_command_to_a_label_file(tmp_path):
    draw_pictures(tmp_path / "images", "a.png", "b.png")
    rows = "item_id,path,group,time_s\na,images/a.png,00012,1\nb,images/b.png,00012,4\n"
    (tmp_path / "images.csv").write_text(rows)
    tasks = tmp_path / "tasks.db"
    tasks.write_text(spell_lines(played()))
    failed = call_cli("import", "vbs", "tasks.db", f"mine={tmp_path}", cwd=tmp_path)
    assert failed.returncode == 2
    assert "frames a second aren't known of videos 00012" in failed.stderr
    (tmp_path / "fps.csv").write_text("video,fps\n00012,25\n")
    done = call_cli(
        "import", "vbs", "tasks.db", f"mine={tmp_path}", "--fps", "fps.csv", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    labels = (tmp_path / "labels-tasks.csv").read_text()
    assert "Textual 1,b,stage-2,a man in red,2,2.0,5.48" in labels
