"""The simulation of docs/scale.md on a real cluster: each batch is encoded, and what it took is told."""

import csv
import runpy
from pathlib import Path

import pytest

from kis_bench.cluster.connection import import_ray

pytestmark = pytest.mark.slow


@pytest.fixture
def schedule(ray):
    runpy.run_path(str(Path(__file__).parents[2] / "tools" / "scale"))  # finds its modules
    import schedule

    return schedule


def test_each_batch_is_encoded_and_no_schedule_is_faster(schedule, tmp_path):
    schedule.simulate_all(tmp_path / "schedule.csv", workers=2, batches=8, mean_s=0.2)
    with (tmp_path / "schedule.csv").open(newline="") as lines:
        rows = [*csv.DictReader(lines)]
    assert [row["lost"] for row in rows] == ["0", "0", "1"]
    for row in rows:
        assert int(row["encoded"]) >= int(row["batches"]) == 8
        assert float(row["least_s"]) <= float(row["most_s"])
        assert float(row["seconds"]) >= 0.99 * float(row["least_s"])
        assert 0 < float(row["busy"]) <= 1
    assert not import_ray().is_initialized()


def test_a_batch_that_nobody_encoded_is_no_outcome(schedule):
    case = schedule.Case("two", 1, (0.1, 0.1))
    with pytest.raises(AssertionError):
        schedule.describe_outcome(case, [{"batch": 0, "started": 0.0, "ended": 0.1}], "2")
