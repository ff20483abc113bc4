"""The page about search engines says what was measured, and its plots are drawn from the same file."""

import re
import runpy
from pathlib import Path

import pandas as pd
from pages import find_parts, regenerate_parts

from kis_bench.suite.fidelity_rows import ROW_COLUMNS

ROOT = Path(__file__).parents[2]
engines = runpy.run_path(str(ROOT / "tools" / "engines.py"))


def read_both():
    return pd.read_csv(engines["FILE"]), pd.read_csv(engines["FACTS_FILE"])


def test_the_page_has_what_was_measured():
    text, tables = engines["PAGE"].read_text(encoding="utf-8"), read_both()
    writers = engines["make_writers"](*tables)
    assert regenerate_parts(text, "engines", writers) == text, "run: python tools/engines.py"
    assert len(find_parts("engines").findall(text)) == len(writers)


def test_every_row_has_its_version_and_columns():
    rows, facts = read_both()
    assert list(rows.columns) == list(ROW_COLUMNS)
    measured = rows[rows["status"] == "measured"]
    assert measured["made_with"].str.contains(r"\d").all()
    assert facts["version"].str.contains(r"\d").all()
    timed = measured[measured["engine_cpu_s"].notna()]
    large = timed[timed["items"] >= 100_000]
    assert len(large) or timed.empty, "vectors of 100,000 items aren't measured"
    assert large["own_cpu_s"].sum() <= 0.5 * large["engine_cpu_s"].sum()


def test_plots_are_drawn_from_the_file(tmp_path):
    rows, _ = read_both()
    for drawn in engines["draw_plots"](rows, tmp_path):
        kept = (engines["DOCS"] / drawn.name).read_bytes()
        assert b"<svg" in kept
        if find_version(drawn.read_bytes()) == find_version(kept):
            assert drawn.read_bytes() == kept, "run: python tools/engines.py"


def find_version(drawn):
    return re.search(rb"Matplotlib v[\d.]+|$", drawn)[0]


def test_the_example_of_an_engine_is_one(tmp_path):
    """The engine of the page is taken as it stands there, and gives results."""
    import numpy as np

    from kis_bench.search_engines.catalogue import ENGINE_PARTS

    (code,) = re.findall(r"```python\n(.*?)```", engines["PAGE"].read_text("utf-8"), re.DOTALL)
    module = {}
    exec(compile(code, "ours.py", "exec"), module)
    engine = module["make"](tmp_path)
    assert all(hasattr(engine, part) for part in ENGINE_PARTS)
    rng = np.random.default_rng(0)
    items = rng.standard_normal((20, 8)).astype(np.float32)
    engine.build(items)
    halves = items[:, :4]
    wanted = np.argsort(-(halves[:3] @ halves.T), axis=1)[:, :5]
    assert engine.search(items[:3], 5).tolist() == wanted.tolist()
    engine.close()
    assert (tmp_path / "items.npy").stat().st_size > 0
