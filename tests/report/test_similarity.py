"""The report's part on image similarity, from judgments to tables and figures."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kis_bench.records import Collection, Dataset, Judgment, Participant, Triplet
from kis_bench.report import write_report
from kis_bench.report.latex import make_consistency_table
from kis_bench.report.numbers import signed
from kis_bench.report.sections.similarity import show_similarity
from kis_bench.report.terminal import summarise_similarity
from kis_bench.report.view import make_view
from kis_bench.results import Run, read_run, write_run
from kis_bench.results.columns import (
    AGREEMENT,
    JUDGMENTS,
    PAIRS,
    PUBLISHED,
    RANKS,
    TIMINGS,
    VERDICTS,
)
from kis_bench.results.figures import metrics_table
from kis_bench.results.pseudonyms import as_private
from kis_bench.triplets.summary import Similarity
from kis_bench.triplets.tables import similarity_tables

CLASSES = ("scuba", "a | b <i>", "wedding")
HOSTILE = ["good", "a|b", "$x$ _y_", "<script>alert(1)</script>"]
TRIPLETS = 60


def study(classes: tuple[str, ...] = CLASSES, people: int = 4, targets: int = 1) -> Dataset:
    """Candidate 1 is nearer; everybody sees it, but every fifth judgment differs and every ninth has no preference."""
    triplets = tuple(
        Triplet(f"t{i}", f"a{i % targets}", "b", "c", classes[i % len(classes)], (1, 2 + i % 3))
        for i in range(TRIPLETS)
    )
    judgments = []
    for i in range(TRIPLETS):
        for person in range(people):
            number = len(judgments)
            choice = 0 if number % 9 == 8 else 1 if number % 5 == 4 else -1
            judgments.append(
                Judgment(f"j{number}", f"t{i}", f"u{person}", choice, 2 * choice, 1 + number % 2)
            )
    who = tuple(
        Participant(f"u{p}", "20-29" if p else "30-39", "MSc", "yes" if p % 2 else "no")
        for p in range(people)
    )
    return Dataset(
        "reset <1>",
        Collection("x", (), (), ()),
        triplets=triplets,
        judgments=tuple(judgments),
        participants=who,
    )


def measured(models: list[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The k-th model errs on every (6 - k)-th triplet; all tie on the first, the second lacks an image of the last."""
    found = {}
    for k, model in enumerate(models):
        margin = np.where(
            np.arange(TRIPLETS) % (6 - k) == 1, -0.1, 0.1 + 0.002 * np.arange(TRIPLETS)
        )
        margin[0] = 0.0
        if k == 1:
            margin[-1] = np.nan
        found[model] = (
            np.stack([np.full(TRIPLETS, 0.5), 0.5 + margin, np.full(TRIPLETS, 0.4)], axis=1),
            margin,
        )
    return found


def similar_run(
    folder: Path, dataset: Dataset | None = None, models: list[str] | None = None
) -> Run:
    dataset, models = dataset or study(), models or HOSTILE
    tables = similarity_tables(dataset, measured(models))
    counts = tables["metrics"].set_index(["model", "metric"])["n"].to_dict()
    n, of_triplets = (
        counts.get(("good", "consistency_published")),
        counts.get(("a|b", "pearson_difference")),
    )
    published = pd.DataFrame(
        [
            (
                dataset.name,
                "",
                "good",
                "consistency_published",
                None,
                0.75,
                n,
                0,
                "Good",
                "a notebook | <b>",
            ),
            (
                dataset.name,
                "",
                "their name",
                "pearson_difference",
                None,
                0.25,
                of_triplets,
                0,
                "a|b",
                "1. a paper",
            ),
            (
                dataset.name,
                "",
                "good",
                "spearman_difference",
                None,
                0.3333,
                200,
                0,
                "Good",
                "of another set",
            ),
            (
                dataset.name,
                "",
                "good",
                "consistency",
                None,
                0.4444,
                None,
                0,
                "Good",
                "of nobody knows what",
            ),
            (
                dataset.name,
                "",
                "never measured $q$",
                "consistency_published",
                None,
                0.66,
                9,
                0,
                "N",
                "a paper",
            ),
            ("another", "", "good", "consistency_published", None, 0.11, 1, 0, "Good", "elsewhere"),
        ],
        columns=PUBLISHED,
    )
    choices = [j.choice for j in dataset.judgments]
    about = {
        "n_triplets": len(dataset.triplets),
        "n_targets": len({t.target for t in dataset.triplets}),
        "n_judgments": len(choices),
        "n_indifferent": choices.count(0),
        "n_participants": len(dataset.participants),
        "remarks": ["- 7 rows <b> left out"],
    }
    sources = {
        model: {"source": "study:distances" if model == "good" else "openclip"} for model in models
    }
    return Run(
        folder,
        ranks=pd.DataFrame(columns=RANKS),
        judgments=tables["judgments"],
        metrics=tables["metrics"],
        timings=pd.DataFrame(columns=TIMINGS),
        verdicts=pd.DataFrame(columns=VERDICTS),
        provenance={"models": sources, "datasets": {dataset.name: about}},
        agreement=tables["agreement"],
        pairs=tables["pairs"],
        published=published,
    )


def written(folder: Path, run: Run, *forms: str) -> str:
    write_report(folder, run, None, forms=forms or ("png",))
    return (folder / "report.md").read_text(encoding="utf-8")


def tables_of(text: str) -> list[list[list[str]]]:
    """Each table as rows of cells, the head first, without escapes."""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in block.splitlines()]
        assert len({len(line) for line in lines}) == 1
        found.append(
            [
                [re.sub(r"\\(.)", r"\1", cell.strip()) for cell in line]
                for line in lines[:1] + lines[2:]
            ]
        )
    return found


def table_with(text: str, *heads: str) -> list[list[str]]:
    found = [rows for rows in tables_of(text) if set(heads) <= set(rows[0])]
    assert len(found) == 1, heads
    return found[0]


def column(rows: list[list[str]], head: str) -> list[str]:
    place = rows[0].index(head)
    return [row[place] for row in rows[1:]]


def overall(run: Run, model: str, part: str = "all") -> pd.Series:
    rows = run.agreement.query("protocol == 'default' and counts == 'judgments'")
    return rows[(rows["model"] == model) & (rows["part"] == part)].iloc[0]


def test_main_table_has_the_figures_of_the_run_best_first(tmp_path: Path) -> None:
    run = similar_run(tmp_path)
    rows = table_with(written(tmp_path, run), "consistency", "ties")
    values = [float(cell.partition("%")[0]) for cell in column(rows, "consistency")]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == len(HOSTILE)
    good = dict(zip(rows[0], next(row for row in rows if row[0] == "good"), strict=True))
    own = overall(run, "good")
    assert (
        good["consistency"]
        == f"{100 * own.value:.1f}% [{100 * own.ci_low:.1f}, {100 * own.ci_high:.1f}]"
    )
    assert (good["ties"], good["missing"], good["judgments"]) == (str(own.ties), "0", str(own.n))
    pearson = run.metrics.query("model == 'good' and metric == 'pearson_max_normalised'").iloc[0]
    assert good["Pearson"] == f"{pearson.value:.3f}".replace("-", "\N{MINUS SIGN}")
    triplets = run.metrics.query("model == 'good' and metric == 'consistency_per_triplet'").iloc[0]
    assert good["per triplet (n)"].startswith(f"{100 * triplets.value:.1f}% [")
    assert good["per triplet (n)"].endswith(f"({triplets.n})")
    assert [
        int(cell)
        for row, cell in zip(rows[1:], column(rows, "missing"), strict=True)
        if row[0] == "a|b"
    ] != [0]


def best_possible(dataset: Dataset, triplets: set[str]) -> float:
    """By trying both choices on each triplet."""
    decided = [j for j in dataset.judgments if j.choice and j.triplet_id in triplets]
    most = sum(
        max(sum(j.choice == choice for j in decided if j.triplet_id == one) for choice in (-1, 1))
        for one in triplets
    )
    return most / len(decided)


def test_the_ceiling_stands_beside_tables_and_bars(tmp_path: Path) -> None:
    dataset = study()
    run = similar_run(tmp_path, dataset)
    text = written(tmp_path, run, "svg")
    names = {t.triplet_id for t in dataset.triplets}
    whole, less = (
        100 * best_possible(dataset, some) for some in (names, names - {f"t{TRIPLETS - 1}"})
    )
    assert whole != less
    low, high = sorted((whole, less))
    assert (
        f"Ceiling: {low:.1f}% to {high:.1f}%, as images are missing. No model can reach more"
        in text
    )
    rows = table_with(text, "consistency", "ties")
    found = dict(zip(column(rows, "model"), column(rows, "ceiling"), strict=True))
    assert found.pop("a|b") == f"{less:.1f}%"
    assert set(found.values()) == {f"{whole:.1f}%"}
    assert re.search(rf"!\[Bars: .*no model can reach more than {high:.1f}%\]", text)
    bars = next((tmp_path / "plots").glob("consistency-*.svg")).read_text(encoding="utf-8")
    assert f"ceiling {high:.1f}%" in bars
    assert "(ceiling of models)" in summarise_similarity(run)
    alone = similar_run(tmp_path, study(people=1), ["good"])
    text = written(tmp_path / "alone", alone, "svg")
    assert "Ceiling: 100%; no triplet has judgments that contradict each other." in text
    assert "ceiling" not in next(
        (tmp_path / "alone" / "plots").glob("consistency-*.svg")
    ).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("people", "targets", "said"),
    [
        (
            4,
            12,
            "Intervals: 95%, over 4 people and 60 triplets of 12 target pictures, each drawn with all of its trip",
        ),
        (4, 60, "Intervals: 95%, over 4 people and 60 triplets of 60 target pictures."),
        (
            4,
            1,
            "Intervals: 95%, over 4 people and 60 triplets of one target picture. They say nothing about other target ",
        ),
        (1, 12, "each drawn with all of its triplets. They say nothing about other people."),
    ],
)
def test_what_intervals_count_is_said(tmp_path: Path, people: int, targets: int, said: str) -> None:
    run = similar_run(tmp_path, study(people=people, targets=targets), ["good", "m"])
    text = "\n".join(show_similarity(make_view(run, tmp_path), "reset <1>"))
    assert said in text
    assert ("60 triplets of 12 target pictures, " in text.splitlines()[2]) == (targets == 12)
    older = replace(run, agreement=run.agreement.assign(n_targets=np.nan, ceiling=np.nan))
    text = "\n".join(show_similarity(make_view(older, tmp_path), "reset <1>"))
    assert "This older run did not count target pictures that triplets share" in text
    assert "Ceiling" not in text


def test_people_stand_below(tmp_path: Path) -> None:
    run = similar_run(tmp_path)
    rows = table_with(written(tmp_path, run), "people")
    assert [row[0] for row in rows[1:]] == ["another person", "majority of the others"]
    own = overall(run, "another person")
    assert rows[1][1].startswith(f"{100 * own.value:.1f}%")
    assert rows[1][2] == str(own.n)


def test_published_figures_by_either_name(tmp_path: Path) -> None:
    run = similar_run(tmp_path)
    text = written(tmp_path, run)
    rows = table_with(text, "each judgment, published rules")
    assert column(rows, "consistency") == ["good"]
    mine = run.metrics.query("model == 'good' and metric == 'consistency_published'").iloc[0]
    assert (
        rows[1][1] == f"{100 * mine.value:.2f}% / 75.00% / {signed(100 * (mine.value - 0.75), 2)}"
    )
    mine = run.metrics[
        (run.metrics["model"] == "a|b") & (run.metrics["metric"] == "pearson_difference")
    ].iloc[0]
    rows = table_with(text, "Pearson's correlation", "margin")
    assert rows[1] == ["a|b", f"{mine.value:.4f} / 0.2500 / {signed(mine.value - 0.25, 4)}"]
    assert "- a notebook \\| &lt;b&gt;\n- 1\\. a paper\n" in text
    assert [
        word
        for word in (
            "elsewhere",
            "of another set",
            "0.3333",
            "of nobody",
            "44.44",
            "never measured",
        )
        if word in text
    ] == []


def test_groups(tmp_path: Path) -> None:
    run = similar_run(tmp_path)
    text = written(tmp_path, run)
    own = run.agreement.query(
        "part == 'class' and group == 'scuba' and model == 'good' and counts == 'judgments'"
    ).iloc[0]
    size = own.n + own.missing
    rows = table_with(text, f"scuba (n = {size})")
    assert (
        column(rows, f"scuba (n = {size})")[column(rows, "model").index("good")]
        == f"{100 * own.value:.1f}%"
    )
    assert column(rows, "model")[-2:] == ["another person", "ceiling of models"]
    assert rows[-1][rows[0].index(f"scuba (n = {size})")] == f"{100 * own.ceiling:.1f}%"
    for part in ("By how far", "By age group", "By whether"):
        assert f"### {part}" in text
    assert "By education" not in text  # all have the same


def test_leaving_one_out(tmp_path: Path) -> None:
    run = similar_run(tmp_path)
    rows = table_with(written(tmp_path, run), "most without")
    left = (
        run.agreement.query("part == 'without participant' and model == 'good'")
        .set_index("group")
        .value
    )
    whole = overall(run, "good").value
    furthest = (left - whole).abs().idxmax()
    good = next(row for row in rows if row[0] == "good")
    assert good[2:] == [
        f"{100 * left.min():.2f}% to {100 * left.max():.2f}%",
        furthest,
        signed(100 * (left[furthest] - whole), 2),
    ]


def test_pairs_are_counted(tmp_path: Path) -> None:
    names = [f"m{i}" for i in range(9)]
    run = similar_run(tmp_path)
    rows = overall(run, "good").to_dict()
    agreement = pd.DataFrame(
        [{**rows, "model": m, "value": 0.9 - 0.01 * i} for i, m in enumerate(names)]
    )
    pairs = pd.DataFrame(
        [
            (
                "reset <1>",
                a,
                b,
                0.1,
                0.0,
                0.2,
                0.01,
                0.049 if (a, b) == ("m0", "m8") else 0.05,
                9,
                0.5,
            )
            for i, a in enumerate(names)
            for b in names[i + 1 :]
        ],
        columns=PAIRS,
    )
    pairs.loc[pairs["model_b"] == "m7", "p_holm"] = np.nan  # nothing that both know
    changed = replace(
        run,
        agreement=agreement[AGREEMENT],
        pairs=pairs,
        judgments=run.judgments.assign(model="m0").head(3),
    )
    table = table_with(written(tmp_path, changed), "better than")
    assert table[1] == ["m0", "1", "0", "m1, m2, m3, m4, m5 and 1 more"]
    assert next(row for row in table if row[0] == "m8")[1:3] == ["0", "1"]
    assert next(row for row in table if row[0] == "m7")[3] == "m8"


def test_every_figure_exists_and_is_the_same_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        monkeypatch.setenv("KIS_CACHE", str(tmp_path / f"cache-{name}"))  # so that both are drawn
        text = written(tmp_path / name, similar_run(tmp_path), "png", "svg")
    shown = re.findall(r"!\[([^\]]+)\]\((plots/[a-z0-9._-]+)\)", text)
    assert len(shown) == 3
    for alt, file in shown:
        assert len(alt) > 40
        for each in (file, file.replace(".png", ".svg")):
            assert (tmp_path / "one" / each).read_bytes() == (tmp_path / "two" / each).read_bytes()
        with Image.open(tmp_path / "one" / file) as picture:
            picture.load()
            assert picture.width > 600
    bars = next((tmp_path / "one" / "plots").glob("consistency-*.svg")).read_text(encoding="utf-8")
    assert "<!-- good -->" in bars
    assert "never measured" not in bars  # a published figure stands beside an obtained one only
    assert "<script" not in bars.replace(
        "<!-- <script", ""
    )  # the comments of an SVG name its texts


def test_names_stay_text(tmp_path: Path) -> None:
    text = written(tmp_path, similar_run(tmp_path))
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    body = re.sub(r"<(script|style)\b.*?</\1>", "", html, flags=re.DOTALL)
    for page in (text, body):
        assert "<script" not in page
        assert "<b>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<em>y</em>" not in html
    assert "- \\- 7 rows" in text


@pytest.mark.parametrize(
    ("ranked", "title"),
    [
        (False, "# Image similarity: report"),
        (True, "# Known-item search and image similarity: report"),
    ],
)
def test_titles(tmp_path: Path, ranked: bool, title: str) -> None:
    run = similar_run(tmp_path)
    if ranked:
        row = ("good", "kis", "short", "q", "text", "i", 2.0, 2, 2, None, 9, False, 0.5, ["i"])
        ranks = pd.DataFrame([row], columns=RANKS)
        run = replace(run, ranks=ranks, metrics=pd.concat([metrics_table(ranks), run.metrics]))
    text = written(tmp_path, run)
    assert text.startswith(title + "\n")
    assert ("recall@1" in text) == ranked
    assert ("## kis\n" in text) == ranked
    assert "## reset &lt;1&gt;: image similarity" in text


def test_a_single_model_and_person_without_classes(tmp_path: Path) -> None:
    run = similar_run(tmp_path, study(("",), people=1), ["good"])
    text = written(tmp_path, replace(run, published=pd.DataFrame(columns=PUBLISHED)))
    assert re.findall(r"plots/([a-z]+)-", text) == ["consistency"]
    for absent in (
        "another person",
        "By class",
        "told apart",
        "Published figures",
        "missing",
        "Without one",
    ):
        assert absent not in text
    rows = table_with(text, "consistency", "ties")
    assert "per triplet (n)" not in rows[0]
    assert len(rows) == 2


def test_judgments_alone(tmp_path: Path) -> None:
    """As in runs that have no table of agreement: shares without intervals."""
    whole = similar_run(tmp_path)
    empty = {"agreement": AGREEMENT, "pairs": PAIRS, "published": PUBLISHED}
    run = replace(
        whole,
        metrics=whole.metrics.head(0),
        provenance={},
        **{name: pd.DataFrame(columns=columns) for name, columns in empty.items()},
    )
    text = written(tmp_path, run)
    rows = table_with(text, "consistency", "ties")
    good = next(row for row in rows if row[0] == "good")
    assert good == [
        "good",
        f"{100 * overall(whole, 'good').value:.1f}%",
        str(overall(whole, "good").ties),
        good[3],
        f"{100 * overall(whole, 'good', 'common').value:.1f}%",
    ]
    assert "reset <1>" in summarise_similarity(run)


def test_a_model_without_any_judgment_stands_last(tmp_path: Path) -> None:
    run = similar_run(tmp_path)
    lost = run.agreement["model"] == "good"
    agreement = run.agreement.copy()
    agreement.loc[lost, ["value", "ci_low", "ci_high"]] = np.nan
    agreement.loc[lost, "n"] = 0
    text = written(tmp_path, replace(run, agreement=agreement))
    rows = table_with(text, "consistency", "ties")
    assert rows[-1][:2] == ["good", ""]


def test_more_classes_than_panels(tmp_path: Path) -> None:
    classes = tuple(f"c{i:02}" for i in range(14))
    text = written(tmp_path, similar_run(tmp_path, study(classes)))
    # 60 triplets over 14 classes: the last ten have 4, the others 5
    assert re.search(r"12 classes with most judgments\. The others: c\d\d, c\d\d\.", text)


def test_privacy_leaves_remarks_out(tmp_path: Path) -> None:
    run = similar_run(tmp_path)
    assert "7 rows" in "\n".join(show_similarity(make_view(run, tmp_path), "reset <1>"))
    assert "7 rows" not in "\n".join(
        show_similarity(make_view(as_private(run), tmp_path), "reset <1>")
    )


def test_privacy_names_no_participant(tmp_path: Path) -> None:
    run = similar_run(tmp_path)
    people = set(run.agreement.loc[run.agreement["part"] == "without participant", "group"])
    shown, hidden = (
        "\n".join(show_similarity(make_view(each, tmp_path), "reset <1>"))
        for each in (run, as_private(run))
    )
    assert [user for user in people if re.search(rf"\b{user}\b", shown)]
    assert [user for user in people if re.search(rf"\b{user}\b", hidden)] == []
    assert "### Without one participant" in hidden


def test_a_run_that_was_read_gives_the_same_section(tmp_path: Path) -> None:
    run = similar_run(tmp_path)
    folder = write_run(
        tmp_path / "reports",
        ranks=run.ranks,
        judgments=run.judgments[JUDGMENTS],
        timings=run.timings,
        verdicts=run.verdicts,
        provenance=run.provenance,
        tables={
            "metrics": run.metrics,
            "agreement": run.agreement,
            "pairs": run.pairs,
            "published": run.published,
        },
    )
    mine, read = (
        show_similarity(make_view(each, tmp_path), "reset <1>") for each in (run, read_run(folder))
    )
    assert mine == read


def test_summary(tmp_path: Path) -> None:
    run = similar_run(tmp_path)
    lines = summarise_similarity(run).splitlines()
    own = overall(run, "good", "common")
    good = next(line for line in lines if " good " in line)
    assert f"{100 * own.value:.1f}%" in good
    assert f"{100 * own.ci_low:.1f} - {100 * own.ci_high:.1f}" in good
    assert "(another person)" in lines[-2]
    assert f"{100 * overall(run, 'another person', 'common').value:.1f}%" in lines[-2]
    assert good.split()[:2] == ["a", "good"]
    assert lines[-1].startswith("Models that share a letter can't be told apart by consistency")
    assert max(map(len, lines)) <= 80


def count_common(run: Run) -> int:
    known = run.judgments.groupby("judgement_id")["model"].nunique()
    return int((known == len(HOSTILE)).sum())


def test_models_are_compared_on_the_judgments_that_all_know(tmp_path: Path) -> None:
    """In the terminal, the first table of the report and the one for papers; with the number of these judgments."""
    run = similar_run(tmp_path)
    n = count_common(run)
    assert n == overall(run, "a|b").n < overall(run, "good").n
    assert f"reset <1>, over the {n} judgments that all know" in summarise_similarity(run)
    text = written(tmp_path, run)
    rows = table_with(text, "consistency", "tier")
    assert set(column(rows, "judgments")[: len(HOSTILE)]) == {str(n)}
    order = Similarity("reset <1>", run).compared
    for row, model in zip(rows[1:], order, strict=False):
        own = overall(run, model, "common")
        assert row[2].startswith(f"{100 * own.value:.1f}% [{100 * own.ci_low:.1f}")
        assert own.n == n
    said = f"Common: over the {n} judgments that all models know, of which a\\|b knows the fewest."
    assert text.count(said) == 2
    assert "Each two were tested on what both know." in text
    paper = make_consistency_table(Similarity("reset <1>", run))
    assert f"on the {n} judgments that all models know" in paper.caption
    assert {row[-1] for row in paper.rows[: len(HOSTILE)]} == {str(n)}


def test_where_all_know_the_same_nothing_is_said_of_it(tmp_path: Path) -> None:
    run = similar_run(tmp_path, models=["good"])
    assert "common" not in set(run.agreement["part"])
    assert "all know" not in summarise_similarity(run)
    text = written(tmp_path, run)
    assert "Common:" not in text
    assert "common" not in table_with(text, "consistency", "ties")[0]


def test_models_without_a_common_judgment_say_so(tmp_path: Path) -> None:
    run = similar_run(tmp_path, models=["good", "a|b"])
    first = (run.judgments["model"] == "good") & (run.judgments["triplet_id"] < "t3")
    other = (run.judgments["model"] == "a|b") & (run.judgments["triplet_id"] >= "t3")
    apart = replace(run, judgments=run.judgments[first | other])
    text = written(tmp_path, apart)
    assert text.count("No judgment is known to all models, so compare those over the same") == 2
    assert "all know" not in summarise_similarity(apart)


def test_published_figures_of_the_common_judgments(tmp_path: Path) -> None:
    """A model that knows more judgments than were published is shown over those that all know."""
    run = similar_run(tmp_path)
    n = count_common(run)
    rows = run.published.assign(n=np.where(run.published["model"] == "good", n, run.published["n"]))
    text = written(tmp_path, replace(run, published=rows))
    shown = table_with(text, "each judgment, published rules")
    found = run.agreement.query(
        "part == 'common' and protocol == 'published' and counts == 'judgments' and model == 'good'"
    )
    assert found["n"].tolist() == [n]
    assert shown[1][shown[0].index("each judgment, published rules")].startswith(
        f"{100 * found['value'].iloc[0]:.2f}% / 75.00% / "
    )
    assert f"where that is {n} judgments, over those that all models know" in text


def test_captions_say_over_how_many_judgments(tmp_path: Path) -> None:
    run = similar_run(tmp_path)
    text = "\n".join(show_similarity(make_view(run, tmp_path), "reset <1>"))
    sizes = run.agreement[(run.agreement["part"] == "class") & (run.agreement["kind"] == "model")]
    each = (sizes["n"] + sizes["missing"]).groupby(sizes["group"]).max()
    assert f"*{each.min()} to {each.max()} judgments in each class; " in text
    low, high = run.pairs["n"].min(), run.pairs["n"].max()
    said = f"{low}" if low == high else f"{low} to {high}"
    assert f"over the triplets of the {said} judgments that both know.*" in text


def test_a_line_break_in_a_name_is_no_new_row_of_the_summary(tmp_path: Path) -> None:
    run = similar_run(tmp_path)
    models = run.agreement["model"].replace("good", "go\nod")
    judged = run.judgments["model"].replace("good", "go\nod")
    other = replace(
        run,
        agreement=run.agreement.assign(model=models),
        judgments=run.judgments.assign(model=judged),
    )
    assert len(summarise_similarity(other).splitlines()) == len(
        summarise_similarity(run).splitlines()
    )
