"""Real pytest runs over folders in the layout of the study RESET, with answers known beforehand."""

import csv
import json
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builders import run_pytest
from reset_files import judgment, keyframe, person, triplet, write_study

from kis_bench import datasets
from kis_bench.files.images import read_image
from kis_bench.results import read_run
from kis_bench.results.columns import AGREEMENT, DISTANCES, JUDGMENTS, PAIRS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "fixtures" / "published" / "reset.csv"


def run(*arguments):
    return run_pytest("benchmarks", *arguments)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Ten pictures whose colour changes step by step: what is nearer in colour is nearer in number.

    Picture 9 is missing, so that one of twenty triplets can't be compared. The person 'fair' takes the nearer number,
    'unfair' the farther one, on triplets that both judged; each is shown on either side.
    """
    rng = random.Random(1)
    rows = []
    for i in range(20):
        target, near, far = (9, 8, 3) if i == 0 else (i % 4, i % 4 + 1, i % 4 + 4)
        first, second = (near, far) if i % 2 else (far, near)
        rows.append(
            triplet(
                str(i),
                target,
                first,
                second,
                **{"class": ("general", "scuba")[i % 2], "near": near},
            )
        )
    judgments = []
    for i, row in enumerate(rows):
        near_is_first = row["candidate1_path"] == keyframe(row["near"])
        for user, fair in (("fair", True), ("unfair", False)):
            if user == "unfair" and i >= 10:
                continue
            swapped = rng.random() < 0.5
            left = near_is_first != swapped  # whether the nearer one is on the left
            degree = rng.choice([1, 2])
            judgments.append(
                judgment(
                    f"{user}{i}", row, user, -degree if left == fair else degree, swapped=swapped
                )
            )
    judgments.append(judgment("none", rows[1], "fair", 0))
    distances = {
        "Near_extractor": [[0.1, 0.2, 0.2] if i % 2 else [0.2, 0.1, 0.2] for i in range(20)],
        "Tie_extractor_": [[0.5, 0.5, 0.1]] * 19 + [[None] * 3],
    }
    for row in rows:
        del row["near"]
    people = [person("fair", "25-34"), person("unfair", "35-44")]
    return write_study(
        tmp_path_factory.mktemp("data") / "reset",
        rows,
        judgments,
        people,
        distances,
        pictures=range(9),
    )


@pytest.fixture(scope="module")
def measured(study, tmp_path_factory):
    reports = tmp_path_factory.mktemp("reports")
    done = run(
        "-k",
        "reset",
        f"--kis-dataset=reset={study}",
        "--kis-model=demo",
        "--kis-model=lab-positional-2x2",
        "--kis-report",
        reports,
        "-v",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done, read_run(reports / "latest")


def test_ids_and_the_summary(measured):
    done, run_ = measured
    assert "test_reset_consistency[reset-demo] PASSED" in done.stdout
    assert "test_reset_consistency[reset-lab-positional-2x2] PASSED" in done.stdout
    assert "test_extractors_of_the_study[reset] PASSED" in done.stdout
    assert "known_item_search" not in done.stdout  # there are no queries
    assert "image similarity" in done.stdout
    page, text = (run_.folder.resolve() / name for name in ("report.html", "report.md"))
    assert f"report: {page.as_uri()}\n        {text.as_uri()}\n" in done.stdout


def figure(run_, model, metric="consistency"):
    own = run_.metrics[(run_.metrics.model == model) & (run_.metrics.metric == metric)]
    assert len(own) == 1
    return own.iloc[0]


def test_figures_match_hand_calculation(measured):
    """20 fair and 10 unfair judgments; without the triplet of the missing image 19 and 9."""
    run_ = measured[1]
    assert (figure(run_, "Near_extractor").value, figure(run_, "Near_extractor").n) == (
        pytest.approx(20 / 30),
        30,
    )
    colours = figure(run_, "lab-positional-2x2")
    assert (colours.value, colours.n) == (pytest.approx(19 / 28), 28)
    assert figure(run_, "Tie_extractor_").value == 0.5
    assert figure(run_, "Tie_extractor_").n == 29


def test_people_contradict_one_another(measured):
    """On ten triplets both judged, and never agreed."""
    people = measured[1].agreement.query("kind == 'people' and part == 'all'").set_index("model")
    assert people.value.to_dict() == {"another person": 0.0, "majority of the others": 0.0}
    assert people.n.tolist() == [20, 20]
    groups = (
        measured[1]
        .agreement.query("part == 'age_group' and model == 'Near_extractor'")
        .set_index("group")
        .value
    )
    assert groups.to_dict() == {"25-34": 1.0, "35-44": 0.0}
    alone = measured[1].agreement.query(
        "part == 'without participant' and model == 'Near_extractor'"
    )
    assert alone.set_index("group").value.to_dict() == {"fair": 0.0, "unfair": 1.0}


def test_the_tables_have_their_columns_and_every_figure_its_judgments(measured):
    run_ = measured[1]
    assert list(run_.judgments.columns) == JUDGMENTS
    assert list(run_.distances.columns) == DISTANCES
    assert list(run_.agreement.columns) == AGREEMENT
    assert list(run_.pairs.columns) == PAIRS
    for model, own in run_.judgments.groupby("model"):
        assert own.agreement.mean() == pytest.approx(figure(run_, model).value)
        assert len(own) == figure(run_, model).n
        assert (np.sign(own.margin) == 2 * own.agreement - 1).all()
    missing = run_.distances[run_.distances.margin.isna()]
    assert missing.groupby("model").triplet_id.apply(list).to_dict() == {
        "demo": ["0"],
        "lab-positional-2x2": ["0"],
        "Tie_extractor_": ["19"],
    }
    about = run_.provenance["datasets"]["reset"]
    assert (
        about["n_triplets"],
        about["n_judgments"],
        about["n_indifferent"],
        about["n_participants"],
    ) == (
        20,
        31,
        1,
        2,
    )
    assert any("1 of 10 images" in remark for remark in about["remarks"])
    assert run_.provenance["models"]["Near_extractor"]["source"].startswith("study:")


def test_published_figures_are_of_another_study(measured):
    """It is called reset, but has 31 judgments, not 14,047."""
    run_ = measured[1]
    assert len(PUBLISHED.read_text().splitlines()) > 1
    assert len(run_.published) == 0
    assert "### Published figures" not in (run_.folder / "report.md").read_text(encoding="utf-8")


def test_workers_measure_the_same(study, measured, tmp_path):
    done = run(
        "-n",
        "2",
        "-k",
        "reset",
        f"--kis-dataset=reset={study}",
        "--kis-model=demo",
        "--kis-model=lab-positional-2x2",
        "--kis-report",
        tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    spread = read_run(tmp_path / "latest")
    for table, order in (
        ("judgments", ["model", "judgement_id"]),
        ("distances", ["model", "triplet_id"]),
    ):
        pd.testing.assert_frame_equal(
            *(
                getattr(one, table).sort_values(order).reset_index(drop=True)
                for one in (measured[1], spread)
            )
        )


def test_without_keyframes_the_studys_own_extractors_are_measured(study, tmp_path):
    bare = tmp_path / "reset"
    bare.mkdir()
    for file in study.glob("*.csv"):
        (bare / file.name).write_bytes(file.read_bytes())
    for model, outcome, code in (
        ([], "1 passed", 0),
        (["--kis-model=demo"], "1 failed, 1 passed", 1),
    ):
        done = run(
            f"--kis-dataset=reset={bare}",
            "-k",
            "extractors or demo",
            *model,
            "--kis-report",
            tmp_path / "reports",
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "dataset reset: has no images. Put them into keyframes/ of its folder" in done.stdout
        assert outcome in done.stdout
    assert set(read_run(tmp_path / "reports" / "latest").judgments.model) == {
        "Near_extractor",
        "Tie_extractor_",
    }
    done = run(
        f"--kis-dataset=reset={bare}",
        "--kis-model=demo",
        "--kis-strict",
        "--kis-report",
        tmp_path / "reports",
    )
    assert done.returncode == 1


def test_a_study_with_faults_stops_in_one_message(study, tmp_path):
    broken = tmp_path / "reset"
    broken.mkdir()
    for file in study.glob("*.csv"):
        (broken / file.name).write_text(file.read_text().replace("unfair,", "nobody,", 1))
    done = run(
        f"--kis-dataset=reset={broken}", "--kis-model=demo", "--kis-report", tmp_path / "reports"
    )
    assert done.returncode == 2
    assert "is not in participants.csv; add the person" in done.stdout
    assert "Traceback" not in done.stdout


HALVES = """
import numpy as np


class Halves:
    name, key, dim, vectors_per_item, context_length = "halves", "halves-1", 3, 2, None

    def encode_images(self, images):
        small = np.stack([np.asarray(image.resize((2, 1)), np.float32) + 1 for image in images])[:, 0]
        return small / np.linalg.norm(small, axis=2, keepdims=True)

    def encode_texts(self, texts):
        raise NotImplementedError
"""


def test_images_of_several_vectors(tmp_path, monkeypatch):
    """A model with one vector for each half of an image, by both rules, against loops over its vectors."""
    (tmp_path / "halves.py").write_text(HALVES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    from halves import Halves

    dataset = datasets.load("openmoji-triplets")
    row = dataset.triplets[3]
    images = [
        dataset.collection.paths[dataset.collection.position[i]]
        for i in (row.target, row.candidate1)
    ]
    target, candidate = (
        Halves().encode_images([read_image(image) for image in images]).astype(float)
    )
    mean = [half.mean(axis=0) / np.linalg.norm(half.mean(axis=0)) for half in (target, candidate)]
    expected = {
        "mean": 1 - mean[0] @ mean[1],
        "max": 1 - max(a @ b for a in target for b in candidate),
    }
    assert expected["mean"] != pytest.approx(expected["max"], abs=1e-4)
    for rule, distance in expected.items():
        done = run(
            "--kis-dataset=openmoji-triplets",
            "--kis-model=halves:Halves",
            "--kis-report",
            tmp_path / rule,
            "--kis-image-similarity",
            rule,
            "--kis-store",
            tmp_path / "store",
        )
        assert done.returncode == 0, done.stdout + done.stderr
        run_ = read_run(tmp_path / rule / "latest")
        found = run_.distances.set_index("triplet_id").distance_candidate1[row.triplet_id]
        assert found == pytest.approx(distance, abs=1e-6)
        assert run_.provenance["datasets"]["openmoji-triplets"]["image_similarity"] == rule


def test_an_unknown_rule_is_a_usage_error():
    assert run("--kis-image-similarity", "median").returncode == 4


def test_an_extractor_of_the_study_that_is_called_like_a_model(study, tmp_path):
    """Both are measured, and can be told apart."""
    folder = tmp_path / "reset"
    folder.mkdir()
    for file in study.glob("*.csv"):
        (folder / file.name).write_text(
            file.read_text().replace("Near_extractor_cosdist", "demo_cosdist")
        )
    (folder / "keyframes").symlink_to(study / "keyframes")
    done = run(
        f"--kis-dataset=reset={folder}", "--kis-model=demo", "--kis-report", tmp_path / "reports"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = read_run(tmp_path / "reports" / "latest").judgments
    assert set(found.model) == {"demo", "demo (of the study)", "Tie_extractor_"}


def test_privacy_names_no_images(study, tmp_path):
    done = run(
        f"--kis-dataset=reset={study}",
        "--kis-model=demo",
        "--kis-privacy",
        "--kis-report",
        tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folder = (tmp_path / "latest").resolve()
    for name in ("run.json", "report.md", "report.html"):
        assert "shot069" not in (folder / name).read_text(encoding="utf-8")
    assert json.loads((folder / "run.json").read_text())["datasets"]["reset"]["remarks"] == []


def test_only_image_similarity_asks_image_only_models(tmp_path):
    done = run("--collect-only", "-q", "--kis-dataset=openmoji", "--kis-dataset=openmoji-triplets")
    assert "test_known_item_search[openmoji-short-demo]" in done.stdout
    assert "test_reset_consistency[openmoji-triplets-rgb-histogram-64]" in done.stdout
    assert "test_known_item_search[openmoji-short-rgb-histogram-64]" not in done.stdout
    done = run("--kis-dataset=openmoji", "--kis-model=rgb-histogram-64", "--kis-report", tmp_path)
    assert (
        "model rgb-histogram-64: has no text side" in done.stdout
    )  # it was asked for, so it is told


def test_the_published_table_comes_out_to_the_digit(tmp_path):
    """Distances that make every extractor agree with as many of 14,047 judgments as was published; ties among them.

    17,026 judgments, each on a triplet of its own, shown on either side; 16 of the rest have no distance.
    """
    with PUBLISHED.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "consistency_published"]
    counts = {row["published_as"]: round(float(row["value"]) * int(row["n"])) for row in rows}
    assert len(counts) == 34
    rng, people = np.random.default_rng(0), [person(f"p{i}") for i in range(84)]
    triplets = [triplet(str(i), i % 97, 100 + i % 89, 200 + i % 83) for i in range(17_026)]
    choices = np.concatenate([rng.choice([-2, -1, 1, 2], 14_047), np.zeros(17_026 - 14_047, int)])
    swapped = rng.random(17_026) < 0.5
    judgments = [
        judgment(str(i), triplets[i], f"p{i % 84}", int(choices[i]), swapped=bool(swapped[i]))
        for i in range(17_026)
    ]
    distances = {}
    for name, agreeing in counts.items():
        own = rng.permutation(14_047)[:agreeing]
        left = choices < 0
        takes_left = ~left
        takes_left[own] = left[
            own
        ]  # the extractor's choice: as people's on these, else the other side
        tied = takes_left & (rng.random(17_026) < 0.02)  # a tie is a choice of the left
        near_first = takes_left != swapped
        first, second = np.where(near_first, "0.25", "0.5"), np.where(near_first, "0.5", "0.25")
        first[tied] = second[tied]
        distances[name] = [
            (a, b, "0.5") for a, b in zip(first.tolist(), second.tolist(), strict=True)
        ]
        distances[name][-16:] = [(None, None, None)] * 16
    write_study(tmp_path / "reset", triplets, judgments, people, distances)
    of_the_study = ("-k", "extractors_of_the_study")  # there are no pictures for models of ours
    done = run(
        f"--kis-dataset=reset={tmp_path / 'reset'}",
        *of_the_study,
        "--kis-report",
        tmp_path / "reports",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run_ = read_run(tmp_path / "reports" / "latest")
    found = run_.metrics[run_.metrics.metric == "consistency_published"].set_index("model")
    assert set(found.n) == {14_047}
    assert {name: found.value[name] * 14_047 for name in counts} == pytest.approx(counts, abs=1e-9)
    published = (
        run_.published[run_.published.metric == "consistency_published"]
        .set_index("published_as")
        .value
    )
    assert found.value.loc[list(counts)].to_numpy() == pytest.approx(
        published.loc[list(counts)].to_numpy(), abs=1e-12
    )
