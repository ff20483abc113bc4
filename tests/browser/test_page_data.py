"""What a page holds: which thumbnails, what it says about the others, and nothing that is private."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest
from browser_page import ITEMS, SET, sample_pictures, sample_run
from builders import read_page_data
from PIL import Image

from kis_bench.records import Collection
from kis_bench.report.page import thumbnails
from kis_bench.report.page.data import explorer_data
from kis_bench.report.page.html import page
from kis_bench.report.page.thumbnails import in_turn, inline_pictures
from kis_bench.report.view import make_view
from kis_bench.results.pseudonyms import as_private


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Collection]:
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "cache"))
    return sample_pictures(tmp_path / "pictures")


def wanted(n: int = ITEMS) -> list[tuple[str, str]]:
    return [(SET, f"item-{i}") for i in range(n)]


def test_thumbnails_are_small_upright_and_without_anything_else(
    pictures: dict[str, Collection],
) -> None:
    found = inline_pictures(wanted(20), pictures)
    sizes = set()
    for item, name in found.of_items.items():
        image = Image.open(io.BytesIO(found.pictures[name]))
        assert (image.format, len(image.getexif())) == ("WEBP", 0)
        sizes.add((item[1] == "item-12", image.size))
    assert sizes == {(False, (128, 64)), (True, (64, 128))}
    assert found.reasons == {(SET, "item-10"): "file is missing", (SET, "item-11"): "not readable"}
    assert inline_pictures([("none", "x"), (SET, "no-item")], pictures).reasons == {
        ("none", "x"): "no picture here",
        (SET, "no-item"): "no picture here",
    }


def test_equal_pictures_are_there_once(pictures: dict[str, Collection]) -> None:
    found = inline_pictures([*wanted(5), *(("other", f"item-{i}") for i in range(5))], pictures)
    assert (len(found.of_items), len(found.pictures)) == (10, 5)


def test_what_does_not_fit_is_the_end_of_the_order(pictures: dict[str, Collection]) -> None:
    order = wanted()[20:]
    whole = inline_pictures(order, pictures)
    sizes = [4 * -(-len(whole.pictures[whole.of_items[item]]) // 3) for item in order]
    for n in (0, 1, 100):
        found = inline_pictures(order, pictures, budget=sum(sizes[:n]))
        assert list(found.of_items) == order[:n]
        assert found.left_out == order[n:]
        found = inline_pictures(order, pictures, budget=sum(sizes[: n + 1]) - 1)
        assert list(found.of_items) == order[:n]
    assert inline_pictures(order, pictures, budget=None).left_out == []


def test_the_cache_is_used_and_survives_damage(
    pictures: dict[str, Collection], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = inline_pictures(wanted(9), pictures)
    kept = sorted((tmp_path / "cache" / "thumbnails").iterdir())
    assert len(kept) == 9
    kept[0].write_bytes(kept[0].read_bytes()[:-5])  # as a power cut leaves it
    drawn: list[object] = []
    draw = thumbnails.draw
    monkeypatch.setattr(
        thumbnails, "draw", lambda picture: (drawn.append(picture), draw(picture))[1]
    )
    assert inline_pictures(wanted(9), pictures) == first
    assert len(drawn) == 1
    monkeypatch.setenv("KIS_CACHE", str(tmp_path / "0.jpg"))
    (tmp_path / "0.jpg").write_bytes(b"a file where the cache should be")
    assert inline_pictures(wanted(9), pictures) == first


def test_names_that_are_no_digests_are_not_kept(
    pictures: dict[str, Collection], tmp_path: Path
) -> None:
    one = pictures[SET]
    named = {SET: Collection(SET, one.ids, one.paths, one.ids)}
    assert len(inline_pictures(wanted(4), named).pictures) == 4
    assert not (tmp_path / "cache" / "thumbnails").exists()


def test_room_is_shared(pictures: dict[str, Collection]) -> None:
    a, b, c = [[(name, str(i)) for i in range(n)] for name, n in (("a", 3), ("b", 1), ("c", 2))]
    assert [f"{name}{i}" for name, i in in_turn([a, b, c])] == ["a0", "b0", "c0", "a1", "c1", "a2"]


def test_targets_first_and_a_note_on_the_rest(
    pictures: dict[str, Collection], tmp_path: Path
) -> None:
    run = sample_run(tmp_path)
    everything = explorer_data(make_view(run, tmp_path, pictures))
    total = sum(map(len, everything["pictures"]))
    assert "left out" not in everything["note"]
    assert everything["note"].endswith(
        " items have no thumbnail: file is missing (2), not readable (2)."
    )
    data = explorer_data(make_view(run, tmp_path, pictures), budget_bytes=total // 2)
    assert sum(map(len, data["pictures"])) <= total // 2
    place = {name: i for i, name in enumerate(data["datasets"][SET]["items"])}
    shown = data["datasets"][SET]["of_items"]
    assert isinstance(shown[place["item-0"]], int)
    gone = sum(
        each == "left out for size" for one in data["datasets"].values() for each in one["of_items"]
    )
    assert data["note"].startswith(f"{gone} of ")
    assert "to 10" in data["note"]
    assert "--folder" in data["note"]


def test_data_hold_the_run(pictures: dict[str, Collection], tmp_path: Path) -> None:
    run = sample_run(tmp_path)
    data = explorer_data(make_view(run, tmp_path, pictures))
    assert data == json.loads(json.dumps(data))
    one = data["sets"][1]
    items = data["datasets"][SET]["items"]
    rows = run.ranks[(run.ranks["dataset"] == SET) & (run.ranks["label_set"] == "long")]
    for row in rows.sample(40, random_state=0).itertuples():
        m = [data["models"][i]["name"] for i in one["models"]].index(row.model)
        q = one["queries"].index(row.query_id)
        worst = one["best"][m][q] if one["worst"][m] is None else one["worst"][m][q]
        assert (one["best"][m][q], worst) == (row.rank_best, row.rank_worst)
        assert [items[i] for i in one["tops"][m][q]] == row.top_item_ids
        assert [items[i] for i in one["targets"][q]] == [row.item_id]
        assert one["texts"][q] == row.text


def test_several_targets_and_names_with_bars(
    pictures: dict[str, Collection], tmp_path: Path
) -> None:
    run = sample_run(tmp_path)
    ranks = run.ranks[run.ranks["dataset"] == "other"].copy()
    ranks["item_id"] = ranks["item_id"].replace({"item-1": "item-1|item-2", "item-3": "a|b"})
    bars = {"other": Collection("other", ("a|b",), [tmp_path / "x.jpg"], ["0" * 64])}
    from dataclasses import replace

    data = explorer_data(make_view(replace(run, ranks=ranks), tmp_path, bars))
    targets = [
        [data["datasets"]["other"]["items"][i] for i in ids] for ids in data["sets"][0]["targets"]
    ]
    assert targets[1] == ["item-1", "item-2"]
    assert targets[3] == ["a|b"]


def test_private_data_and_pages(pictures: dict[str, Collection], tmp_path: Path) -> None:
    data = explorer_data(make_view(as_private(sample_run(tmp_path)), tmp_path, pictures))
    text = json.dumps(data)
    for secret in ("item-", "number 42", "script>alert", str(tmp_path)):
        assert secret not in text
    assert data["pictures"] == []
    assert not (tmp_path / "cache").exists()


def test_folder_form_writes_every_picture(pictures: dict[str, Collection], tmp_path: Path) -> None:
    (tmp_path / "thumbnails").mkdir()
    (tmp_path / "thumbnails" / "999999.webp").write_bytes(b"of an earlier page")
    data = explorer_data(
        make_view(sample_run(tmp_path), tmp_path, pictures),
        budget_bytes=1,
        folder=tmp_path / "thumbnails",
    )
    assert data["form"] == "folder"
    assert sorted(data["pictures"]) == sorted(
        f"thumbnails/{f.name}" for f in (tmp_path / "thumbnails").iterdir()
    )
    assert len(data["pictures"]) == len(
        explorer_data(make_view(sample_run(tmp_path), tmp_path, pictures))["pictures"]
    )


def test_no_text_ends_a_block_of_data(tmp_path: Path) -> None:
    data = {
        "form": "single",
        "pictures": [base64.b64encode(b"x").decode()],
        "text": "</script><!-- & \u2028 \ud800",
    }
    html = page("# Title", tmp_path, "Title", data={**data, "pictures": [data["text"]]})
    (tmp_path / "page.html").write_bytes(html.encode("utf-8"))
    assert read_page_data(tmp_path / "page.html")["text"] == data["text"]
    block = html.split('id="pictures">')[1].split("</script>")[0]
    assert json.loads(block) == [data["text"]]
    assert not {"<", ">", "&", "\u2028"} & {*block}


@pytest.mark.parametrize(
    ("parts", "order"),
    [
        (["In short", "Queries", "toy"], ["in-short", "queries-2", "explore", "toy"]),
        (["Queries", "toy", "Queries", "Tables"], ["queries-2", "toy", "explore", "tables"]),
        (["toy", "Tables"], ["toy", "tables", "explore"]),
    ],
)
def test_the_explorer_stands_behind_the_part_on_queries(
    tmp_path: Path, parts: list[str], order: list[str]
) -> None:
    text = "".join(f"## {part}\n\ntext\n\n" for part in parts)
    html = page(text, tmp_path, "Title", data={"form": "single", "pictures": []})
    body = html[html.index("<main") : html.index("</main>")]
    places = [body.index(f'id="{name}"') for name in order]
    assert places == sorted(places)
