from pathlib import Path

import pandas as pd
import pytest

from kis_bench.errors import BadFile
from kis_bench.published import read_published
from kis_bench.results import PUBLISHED

FILE = Path(__file__).parents[2] / "fixtures" / "published" / "reset.csv"
HEAD = "dataset,label_set,model,metric,k,value,n,tolerance,published_as,source\n"


def test_the_files_of_this_repository_are_read_whole():
    table = read_published([FILE], {"reset"})
    assert list(table.columns) == PUBLISHED
    assert table.metric.value_counts()["consistency_published"] == 34
    best = table[(table.model == "W2VVExtractor") & (table.metric == "consistency_published")].iloc[0]
    assert best.value * 14_047 == pytest.approx(10_793)
    assert table.source.str.len().min() > 0
    assert len(read_published([FILE], {"openmoji"})) == 0
    assert list(read_published([], {"reset"}).columns) == PUBLISHED


def test_a_name_that_means_nothing_elsewhere_is_a_name_here(tmp_path):
    file = tmp_path / "own.csv"
    file.write_text(f"{HEAD}d,,NA,recall,10,0.5,,,,a paper\n")
    row = read_published([file], {"d"}).iloc[0]
    assert (row.model, row.k, row.value) == ("NA", 10, 0.5)
    assert pd.isna(row.n)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("d,,m,recall,,0.5,,,m,", "line 2: source is empty; fill it in"),
        ("d,,m,recall,,,,,m,here", "line 2: value is empty; fill it in"),
        ("d,,m,recall,,half,,,m,here", "line 2: value 'half' is not a number"),
        ("d,,m,recall,ten,0.5,,,m,here", "line 2: k 'ten' is not a whole number"),
        ("d,,m,recall,1.5,0.5,,,m,here", "line 2: k '1.5' is not a whole number"),
        ("d,,m,recall,,nan,,,m,here", "line 2: value 'nan' is not a number"),
    ],
)
def test_bad_rows_are_named(tmp_path, row, said):
    file = tmp_path / "own.csv"
    file.write_text(f"{HEAD}{row}\n")
    with pytest.raises(BadFile) as error:
        read_published([file], {"d"})
    assert said in str(error.value)
    assert "own.csv" in str(error.value)


def test_another_header_says_what_was_expected(tmp_path):
    file = tmp_path / "own.csv"
    file.write_text("dataset,model,value\n")
    with pytest.raises(BadFile, match=f"expected {HEAD.strip()}"):
        read_published([file], {"d"})
