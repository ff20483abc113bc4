"""Tables for a paper: figures as in metrics.csv, names literal, and all of it compiles."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from builders import make_ranks, make_run, run_cli

from kis_bench.files.latex import SPECIAL, escape_latex
from kis_bench.report.latex import export_latex, make_tables
from kis_bench.report.view import make_view
from kis_bench.results.columns import METRICS
from kis_bench.results.figures import metrics_table

HOSTILE = r'[*50%] a_b & {c} $d$ #1 ~e^f \input{x} <g> |h| "i"'
PLACES = np.arange(1, 25) * 7 % 40 + 1


def make_measured(folder, model=HOSTILE, **head):
    ranks = [
        make_ranks(PLACES, model=model, dataset="d_1", text="a secret text"),
        make_ranks(PLACES * 3 % 50 + 1, model="plain", dataset="d_1", text="a secret text"),
    ]
    run = make_run(folder, *ranks, **head)
    return run.map_tables(
        lambda frame, table: metrics_table(run.ranks) if table.name == "metrics" else frame
    )


def export(tmp_path, **head):
    view = make_view(make_measured(tmp_path, **head), tmp_path)
    remarks = export_latex(view, tmp_path / "out")
    files = {file.name: file.read_text("utf-8") for file in (tmp_path / "out").iterdir()}
    return view, files, remarks


def read_rows(text):
    """The cells of a table, without its head."""
    body = text.split("\\midrule\n")[1].split("\n\\bottomrule")[0]
    return [line.removesuffix(r" \\").split(" & ") for line in body.splitlines()]


def test_figures_are_those_of_metrics_csv(tmp_path):
    view, files, _ = export(tmp_path)
    (name,) = (name for name in files if name.startswith("metrics-"))
    cells = read_rows(files[name])
    own = view.run.metrics
    for values, intervals, model in zip(
        cells[::2], cells[1::2], view.findings.conditions["d_1", "short"].models, strict=True
    ):
        rest = own[own["model"] == model].set_index("metric").sort_index()
        recall = rest.loc["recall"].set_index("k")
        for k, value, interval in zip((1, 10, 100), values[1:], intervals[1:], strict=False):
            low, high = (f"{100 * recall.loc[k, end]:.1f}" for end in ("ci_low", "ci_high"))
            assert value == f"{100 * recall.loc[k, 'value']:.1f}\\%"
            assert interval == rf"{{\scriptsize [{low}, {high}]}}"
        assert values[4] == f"{rest.loc['mrr', 'value']:.3f}"
        median = rest.loc["median_rank"]
        assert values[-1] == f"{median['value']:g}"
        assert intervals[-1] == rf"{{\scriptsize [{median['ci_low']:g}, {median['ci_high']:g}]}}"


def test_captions_name_number_and_rule(tmp_path):
    _, files, remarks = export(tmp_path)
    (caption,) = (
        line
        for name, text in files.items()
        for line in text.splitlines()
        if name.startswith("metrics-") and line.startswith(r"\caption")
    )
    assert r"Known-item search on d\_1, labels short: 24 queries over 10,000 images" in caption
    assert "expectation under random tie-breaking" in caption
    assert "Wilson" in caption
    assert [line.partition(":")[0] for line in remarks] == [
        *(name for name in files if name.startswith("metrics-")),
        *(name for name in files if name.startswith("differences-")),
        "tables.tex",
    ]
    for name in {*files} - {"tables.tex"}:
        assert rf"\input{{{name}}}" in files["tables.tex"]


def test_differences_have_their_sign_and_adjusted_p(tmp_path):
    view, files, _ = export(tmp_path)
    text = next(text for name, text in files.items() if name.startswith("differences-"))
    table = view.findings.comparisons["d_1", "short"].set_index("metric")
    row = table.loc["mrr"]
    value, p = read_rows(text)[0][1:3]
    assert value == f"{row['difference']:+.3f}".replace("-", "$-$")
    assert p == f"{row['p_holm']:.3f}" or (p == "1" and row["p_holm"] > 0.9995)


@pytest.mark.parametrize("letter", SPECIAL)
def test_special_letters_are_no_commands(letter):
    assert escape_latex(f"a{letter}b") == f"a{SPECIAL[letter]}b"


def test_names_are_literal(tmp_path):
    _, files, _ = export(tmp_path)
    text = next(text for name, text in files.items() if name.startswith("metrics-"))
    shown = r"{}[*50\%] a\_b \& \{c\} \$d\$ \#1 \textasciitilde{}e\textasciicircum{}f "
    shown += r"\textbackslash{}input\{x\} \textless{}g\textgreater{} \textbar{}h\textbar{} "
    assert shown + r"\symbol{34}i\symbol{34}" in [row[0] for row in read_rows(text)]
    for text in files.values():
        assert r"\input{x}" not in text
        for line in text.splitlines():
            plain = re.sub(r"\\.", "", line)
            assert plain.count("{") == plain.count("}")


def test_a_private_run_shows_no_text(tmp_path):
    _, files, _ = export(tmp_path, privacy=True)
    assert len(files) == 3
    assert "secret" not in "".join(files.values())


def test_letters_that_pdflatex_lacks_are_told(tmp_path):
    run = make_run(tmp_path, make_ranks(PLACES, model="模型"))
    run = run.map_tables(
        lambda frame, table: metrics_table(run.ranks) if table.name == "metrics" else frame
    )
    first, *_ = export_latex(make_view(run, tmp_path), tmp_path / "out")
    assert first.endswith(": 1 row, which needs LuaLaTeX or XeLaTeX and a font with its letters")


def test_tables_of_names_that_join_alike_have_files_of_their_own(tmp_path):
    cells = (("d-e", "f"), ("d", "e-f"))
    ranks = [make_ranks(PLACES, dataset=name, label_set=label_set) for name, label_set in cells]
    run = make_run(tmp_path, *ranks)
    run = run.map_tables(
        lambda frame, table: metrics_table(run.ranks) if table.name == "metrics" else frame
    )
    first, second, _ = export_latex(make_view(run, tmp_path), tmp_path / "out")
    assert first == "metrics-d-e-f.tex: 1 row"
    assert second.startswith("metrics-d-e-f-")
    captions = [(tmp_path / "out" / line.partition(":")[0]).read_text() for line in (first, second)]
    assert "on d-e, labels f" in captions[0]
    assert "on d, labels e-f" in captions[1]


def test_image_similarity_has_a_table(tmp_path):
    rows = [("m_1", "study", f"j{i}", f"t{i}", "p1", i % 2, 0.1, f"x{i}") for i in range(6)]
    columns = [
        "model",
        "dataset",
        "judgement_id",
        "triplet_id",
        "user_id",
        "agreement",
        "margin",
        "target_item",
    ]
    run = make_run(tmp_path, judgments=[pd.DataFrame(rows, columns=columns)])
    run = run.map_tables(
        lambda frame, table: pd.DataFrame(columns=METRICS) if table.name == "metrics" else frame
    )
    (table,) = make_tables(make_view(run, tmp_path))
    assert table.parts == ("consistency", "study")
    assert table.rows == [["m_1", ("50.0%", ""), "0", "6"]]


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no TeX is installed")
@pytest.mark.parametrize("model", [HOSTILE, "vit-so400m-14-siglip-384"])
def test_all_of_it_compiles(tmp_path, model):
    export(tmp_path, model=model)
    found = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"],
        cwd=tmp_path / "out",
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-3000:]
    assert model == HOSTILE or "Overfull" not in found.stdout


def test_other_forms_options_are_refused():
    for option in ("--depth=3", "--store=x", "--names=ours"):
        found = run_cli("export", "latex", "nowhere", option)
        assert found.returncode == 2
        assert "has no meaning for latex; leave it out" in found.stderr
