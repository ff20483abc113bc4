"""The tables of a run on image similarity, from distances of models and judgments of people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kis_bench.metrics import (
    CONSISTENCY,
    CONSISTENCY_PUBLISHED,
    PER_TRIPLET,
    PER_TRIPLET_PUBLISHED,
)
from kis_bench.records import Dataset, Float64s, Int64s
from kis_bench.results.columns import AGREEMENT, COMMON, DISTANCES, JUDGMENTS, METRICS, PAIRS
from kis_bench.statistics import adjust_known, wilson_interval
from kis_bench.statistics.crossed import (
    Crossed,
    correlation_interval,
    crossed_intervals,
    number_names,
    paired_test,
)
from kis_bench.triplets import margins as triplets
from kis_bench.triplets.people import PEOPLE_RULES, agreement_of_people, interval_of_people

#: What is counted, and by whose protocol -> its metric.
CONSISTENCIES = {
    ("judgments", "default"): CONSISTENCY,
    ("judgments", "published"): CONSISTENCY_PUBLISHED,
    ("triplets", "default"): PER_TRIPLET,
    ("triplets", "published"): PER_TRIPLET_PUBLISHED,
}
NOT_STATED = "not stated"
Measured = Mapping[str, tuple[Float64s, Float64s]]  #: model -> distances [t, 3], margins [t]


@dataclass(frozen=True)
class AgreementRow:
    """A row of agreement.csv; what its columns hold stands in ``results.columns``."""

    dataset: str
    kind: str
    model: str
    protocol: str
    counts: str
    part: str
    group: str
    value: float
    n: int
    n_triplets: int
    n_targets: int
    n_participants: int
    ci_low: float = np.nan
    ci_high: float = np.nan
    ties: int = 0
    missing: int = 0
    ceiling: float = np.nan


@dataclass(frozen=True)
class Judged:
    """The judgments of a dataset as arrays of one entry each."""

    dataset: Dataset

    @cached_property
    def triplet(self) -> Int64s:
        """[j] place of each judgment's triplet in the dataset."""
        place = {t.triplet_id: i for i, t in enumerate(self.dataset.triplets)}
        return np.array([place[j.triplet_id] for j in self.dataset.judgments], np.int64)

    @cached_property
    def targets(self) -> Int64s:
        """[t] a number of each triplet's target picture."""
        return number_names([t.target for t in self.dataset.triplets])

    @cached_property
    def person(self) -> Int64s:
        """[j] a number of each judgment's person."""
        return number_names([j.user_id for j in self.dataset.judgments])

    @cached_property
    def choice(self) -> Int64s:
        return np.array([j.choice for j in self.dataset.judgments], np.int64)

    @cached_property
    def degree(self) -> Float64s:
        """[j] on five points, positive for candidate 1; NaN where it was not asked."""
        return np.array(
            [np.nan if j.degree is None else -j.degree for j in self.dataset.judgments], np.float64
        )

    @cached_property
    def left(self) -> Int64s:
        return np.array([j.left for j in self.dataset.judgments], np.int64)

    @cached_property
    def decided(self) -> NDArray[np.bool_]:
        return np.asarray(self.choice != 0)

    @cached_property
    def crossed(self) -> Crossed:
        """Of the decided judgments."""
        return self.select_crossed(self.decided)

    def select_crossed(self, chosen: NDArray[np.bool_]) -> Crossed:
        triplet = self.triplet[chosen]
        return Crossed.of(self.person[chosen], triplet, self.targets[triplet])

    @cached_property
    def parts(self) -> dict[str, NDArray[Any]]:
        """Name of a division -> the group of each judgment ``[j]``; only divisions into two or more groups."""
        dataset = self.dataset
        who = {p.user_id: p for p in dataset.participants}
        of_triplet = {
            "class": [t.category for t in dataset.triplets],
            "bins": [
                "-".join(map(str, sorted(t.bins))) if t.bins else "" for t in dataset.triplets
            ],
        }
        found = {
            name: np.array(groups, object)[self.triplet] for name, groups in of_triplet.items()
        }
        for name in ("age_group", "education", "ml_expert"):
            found[name] = np.array(
                [getattr(who.get(j.user_id), name, "") for j in dataset.judgments], object
            )
        return {
            name: np.where(groups == "", NOT_STATED, groups)
            for name, groups in found.items()
            if len(set(groups.tolist())) > 1
        }


def similarity_tables(dataset: Dataset, measured: Measured) -> dict[str, pd.DataFrame]:
    """The tables judgments, distances, agreement, pairs and metrics of one dataset."""
    judged = Judged(dataset)
    values = compute_agreement(judged, measured)
    agreement = agreement_table(judged, measured, values)
    return {
        "judgments": judgments_table(judged, measured, values),
        "distances": distances_table(dataset, measured),
        "agreement": agreement,
        "pairs": pairs_table(judged, measured, values),
        "metrics": similarity_metrics(judged, measured, agreement),
    }


def whole_tables(dataset: Dataset, measured: Measured) -> dict[str, pd.DataFrame]:
    """The tables judgments and metrics alone, for which no part of the judgments is looked at."""
    judged = Judged(dataset)
    values = compute_agreement(judged, measured)
    agreement = agreement_table(judged, measured, values, parts=False)
    return {
        "judgments": judgments_table(judged, measured, values),
        "metrics": similarity_metrics(judged, measured, agreement),
    }


def compute_agreement(judged: Judged, measured: Measured, protocol: str = "default") -> Float64s:
    """Agreement of each model with each decided judgment, ``[decided, m]``."""
    some = judged.decided
    columns = [
        triplets.agreement(
            margins[judged.triplet[some]],
            judged.choice[some],
            protocol=protocol,
            left=judged.left[some],
        )
        for _, margins in measured.values()
    ]
    return np.stack(columns, axis=1)


def distances_table(dataset: Dataset, measured: Measured) -> pd.DataFrame:
    ids = [t.triplet_id for t in dataset.triplets]
    frames = [
        pd.DataFrame(
            dict(zip(DISTANCES, (model, dataset.name, ids, *distances.T, margins), strict=True)),
            columns=DISTANCES,
        )
        for model, (distances, margins) in measured.items()
    ]
    return pd.concat(frames, ignore_index=True)


def judgments_table(judged: Judged, measured: Measured, values: Float64s) -> pd.DataFrame:
    """One row per model and judgment that counts; margin: similarity of the chosen minus that of the other."""
    some = judged.decided
    ids = np.array(
        [(j.judgement_id, j.triplet_id, j.user_id) for j in judged.dataset.judgments], object
    )[some]
    target = np.array([t.target for t in judged.dataset.triplets], object)[judged.triplet[some]]
    frames = []
    for column, (model, (_, margins)) in enumerate(measured.items()):
        counted = ~np.isnan(values[:, column])
        margin = (-judged.choice * margins[judged.triplet])[some][counted]
        cells = (
            model,
            judged.dataset.name,
            *ids[counted].T,
            values[counted, column],
            margin + 0.0,
            target[counted],
        )
        frames.append(pd.DataFrame(dict(zip(JUDGMENTS, cells, strict=True)), columns=JUDGMENTS))
    return pd.concat(frames, ignore_index=True)


def agreement_table(
    judged: Judged, measured: Measured, values: Float64s, *, parts: bool = True
) -> pd.DataFrame:
    """Agreement of models and of people, of all judgments and, with ``parts``, of every part of them."""
    some, crossed = judged.decided, judged.crossed
    choice, people = (
        judged.choice[some],
        agreement_of_people(judged.choice, judged.triplet, judged.person),
    )
    margins = np.stack([m[judged.triplet[some]] for _, m in measured.values()], axis=1)
    rows: list[AgreementRow] = []

    def row(
        kind: str,
        model: str,
        each: Float64s,
        chosen: NDArray[np.bool_],
        interval: Sequence[float],
        part: str,
        group: str,
        protocol: str = "default",
    ) -> AgreementRow:
        counted = chosen & ~np.isnan(each)
        here = crossed.where(counted)
        return AgreementRow(
            dataset=judged.dataset.name,
            kind=kind,
            model=model,
            protocol=protocol,
            counts="judgments",
            part=part,
            group=group,
            value=triplets.consistency(each[chosen]),
            ci_low=interval[0],
            ci_high=interval[1],
            n=int(counted.sum()),
            n_triplets=here.n_triplets,
            n_targets=here.n_targets,
            n_participants=here.n_people,
        )

    def add(
        columns: Float64s,
        chosen: NDArray[np.bool_],
        part: str = "all",
        group: str = "",
        protocol: str = "default",
    ) -> None:
        intervals = crossed_intervals(columns[chosen], crossed.where(chosen))
        for i, (model, interval) in enumerate(zip(measured, intervals, strict=True)):
            unknown = np.isnan(columns[:, i])
            found = replace(
                row("model", model, columns[:, i], chosen, interval, part, group, protocol),
                ties=int((chosen & (margins[:, i] == 0)).sum()),
                missing=int((chosen & unknown).sum()),
            )
            # By the published rules a tie counts as the left, which may change within a triplet.
            if protocol == "default":
                counted = chosen & ~unknown
                most = triplets.ceiling(choice[counted], crossed.where(counted).triplets)
                found = replace(found, ceiling=most)
            rows.append(found)

    def add_people(chosen: NDArray[np.bool_], part: str = "all", group: str = "") -> None:
        for (name, rule), each in zip(PEOPLE_RULES.items(), people, strict=True):
            if not np.isnan(each[some][chosen]).all():
                interval = interval_of_people(rule, choice, crossed, chosen)
                rows.append(row("people", name, each[some], chosen, interval, part, group))

    everything = np.ones(len(values), bool)
    add(values, everything)
    add_people(everything)
    published = compute_agreement(judged, measured, "published")
    add(published, everything, protocol="published")
    shared = find_common(values)
    if shared is not None and shared.any():
        add(values, shared, COMMON)
        add_people(shared, COMMON)
        add(published, shared, COMMON, protocol="published")
    for part, groups in judged.parts.items() if parts else ():
        for group in sorted(set(groups[some].tolist()), key=group_sort_key):
            add(values, groups[some] == group, part, str(group))
            add_people(groups[some] == group, part, str(group))
    rows += agreement_per_triplet(judged, measured, parts=parts)
    if parts and crossed.n_people > 1:
        rows += consistency_without_one(judged, measured, values)
    return pd.DataFrame([asdict(one) for one in rows], columns=AGREEMENT)


def find_common(values: Float64s) -> NDArray[np.bool_] | None:
    """Which rows of ``[n, m]`` no model lacks, bool ``[n]``; None where all models lack the same.

    >>> find_common(np.array([[1.0, 0.0], [np.nan, 1.0], [0.5, 0.5]])).tolist()
    [True, False, True]
    """
    known = ~np.isnan(values)
    return None if (known == known[:, :1]).all() else np.asarray(known.all(axis=1))


def list_common_figures(agreement: pd.DataFrame) -> pd.DataFrame:
    """The figures over what all models know, under the metrics that they are figures of, in columns of metrics.csv."""
    own = agreement[(agreement["part"] == COMMON) & (agreement["kind"] == "model")]
    keys = zip(own["counts"], own["protocol"], strict=True)
    metrics = [CONSISTENCIES[key].name for key in keys]
    table = own.assign(label_set="", metric=metrics).reindex(columns=METRICS)
    return table.astype({"k": "Int64"})


def group_sort_key(group: str) -> tuple[Any, ...]:
    """A key that sorts 2-10 after 2-9, and what was not stated last."""
    return group == NOT_STATED, [
        (0, int(p), "") if p.isdigit() else (1, 0, p) for p in group.split("-")
    ]


def agreement_per_triplet(
    judged: Judged, measured: Measured, *, parts: bool = True
) -> list[AgreementRow]:
    """Agreement with the majority on triplets of two or more judgments; judgments that lack a distance stay out."""
    rows = []
    classes = np.array([t.category for t in judged.dataset.triplets], object)
    grouped = parts and "class" in judged.parts
    groups = sorted(set(classes.tolist()), key=group_sort_key) if grouped else []
    crossed = Crossed.of(np.zeros(len(classes)), np.arange(len(classes)), judged.targets)
    choice = triplets.majority(judged.choice, judged.triplet, len(classes))
    shared = find_common(np.stack([margins for _, margins in measured.values()], axis=1))
    every = np.ones(len(classes), bool)
    for protocol in triplets.PROTOCOLS:
        for model, (_, margins) in measured.items():
            each = triplets.agreement(margins, choice, protocol=protocol)
            for part, group in [
                ("all", ""),
                *[(COMMON, "")] * (shared is not None),
                *(("class", group) for group in groups if protocol == "default"),
            ]:
                chosen = classes == group if part == "class" else every
                if part == COMMON and shared is not None:
                    chosen = shared
                known = chosen & ~np.isnan(each)
                n, missing = int(known.sum()), int((chosen & (choice != 0) & ~known).sum())
                if n + missing == 0:  # nobody judged a second time
                    continue
                here = crossed.where(known)
                low, high = interval_per_triplet(each[known], here)
                asked = np.isin(judged.triplet, np.flatnonzero(known))
                rows.append(
                    AgreementRow(
                        dataset=judged.dataset.name,
                        kind="model",
                        model=model,
                        protocol=protocol,
                        counts="triplets",
                        part=part,
                        group=group or (NOT_STATED if part == "class" else ""),
                        value=triplets.consistency(each[chosen]),
                        ci_low=low,
                        ci_high=high,
                        n=n,
                        n_triplets=n,
                        n_targets=here.n_targets,
                        n_participants=len(set(judged.person[asked].tolist())),
                        ceiling=1.0 if n else np.nan,
                        ties=int((margins[known] == 0).sum()),
                        missing=missing,
                    )
                )
    return rows


def interval_per_triplet(agreed: Float64s, crossed: Crossed) -> Sequence[float]:
    """Wilson's interval of the mean of ``agreed [t]``; where triplets share targets, over these."""
    if not len(agreed):
        return np.nan, np.nan
    if crossed.n_targets in (1, crossed.n_triplets):
        return wilson_interval(float(agreed.sum()), len(agreed))
    low, high = crossed_intervals(agreed[:, None], crossed)[0].tolist()
    return low, high


def consistency_without_one(
    judged: Judged, measured: Measured, values: Float64s
) -> list[AgreementRow]:
    """The consistency of each model when one participant is left out."""
    person, triplet, rows = judged.person[judged.decided], judged.triplet[judged.decided], []
    users = {
        int(p): j.user_id for p, j in zip(judged.person, judged.dataset.judgments, strict=True)
    }
    for i, model in enumerate(measured):
        known = ~np.isnan(values[:, i])
        n = np.bincount(person[known], minlength=len(users))
        total = np.bincount(person[known], values[known, i], len(users))
        n_triplets, n_targets = (
            count_without(np.unique(np.stack([codes[known], person[known]]), axis=1), len(users))
            for codes in (triplet, judged.targets[triplet])
        )
        for code, user in sorted(users.items(), key=lambda pair: group_sort_key(pair[1])):
            left = int(known.sum() - n[code])
            if n[code] and left:
                rows.append(
                    AgreementRow(
                        dataset=judged.dataset.name,
                        kind="model",
                        model=model,
                        protocol="default",
                        counts="judgments",
                        part="without participant",
                        group=user,
                        value=float(total.sum() - total[code]) / left,
                        n=left,
                        n_triplets=int(n_triplets[code]),
                        n_targets=int(n_targets[code]),
                        n_participants=int((n > 0).sum()) - 1,
                        ties=0,
                        missing=0,
                    )
                )
    return rows


def count_without(judged: Int64s, n_users: int) -> Int64s:
    """How many are left without each person, of all that anybody judged: ``[2, n]``, what and who, no pair twice."""
    alone = np.bincount(judged[0])[judged[0]] == 1
    return np.asarray(len(np.unique(judged[0])) - np.bincount(judged[1][alone], minlength=n_users))


def pairs_table(judged: Judged, measured: Measured, values: Float64s) -> pd.DataFrame:
    """Every two models on the judgments that both know: a paired test, corrected for their number, and correlation."""
    relative = [
        triplets.normalise_margins(d, m)["max_normalised"][judged.triplet]
        for d, m in measured.values()
    ]
    rows = []
    for (i, first), (k, second) in combinations(enumerate(measured), 2):
        difference, low, high, p = paired_test(values[:, i], values[:, k], judged.crossed)
        n = int((~np.isnan(values[:, i]) & ~np.isnan(values[:, k])).sum())
        together = triplets.pearson(relative[i], relative[k])
        rows.append(
            (judged.dataset.name, first, second, difference, low, high, p, np.nan, n, together)
        )
    table = pd.DataFrame(rows, columns=PAIRS)
    table["p_holm"] = adjust_known(table["p"])
    return table


def similarity_metrics(judged: Judged, measured: Measured, agreement: pd.DataFrame) -> pd.DataFrame:
    """The rows of metrics.csv: consistency by both rules and both ways of counting, and correlations with degrees."""
    rows: list[tuple[Any, ...]] = []
    whole = agreement[(agreement["part"] == "all") & (agreement["kind"] == "model")]
    for row in whole.to_dict("records"):
        name = CONSISTENCIES[row["counts"], row["protocol"]].name
        figures = (row[column] for column in ("value", "ci_low", "ci_high", "n", "n_targets"))
        rows.append((row["model"], row["dataset"], "", name, None, *figures))
    asked = ~np.isnan(judged.degree)
    for model, (distances, margins) in measured.items() if asked.any() else ():
        for way, each in triplets.normalise_margins(distances, margins).items():
            known = np.isfinite(each[judged.triplet]) & asked
            x, y = each[judged.triplet[known]], judged.degree[known]
            crossed = judged.select_crossed(known)
            for name, a, b in (
                ("pearson", x, y),
                ("spearman", triplets.midranks(x), triplets.midranks(y)),
            ):
                interval = correlation_interval(a, b, crossed)
                value = triplets.pearson(a, b)
                rows.append(
                    (
                        model,
                        judged.dataset.name,
                        "",
                        f"{name}_{way}",
                        None,
                        value,
                        *interval,
                        len(x),
                        crossed.n_targets,
                    )
                )
    return pd.DataFrame(rows, columns=METRICS).astype({"k": "Int64"})
