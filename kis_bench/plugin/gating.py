"""The gate of one pytest session: what it is given by options, and where tests find it. Light unless it is used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kis_bench import datasets, encoders
from kis_bench.errors import BadFile, KisBenchError, UnknownName, spell_option
from kis_bench.plugin.options import GIVEN
from kis_bench.plugin.session import line_up, of_the_study, query_sets
from kis_bench.plugin.stopping import stop

if TYPE_CHECKING:
    from kis_bench.gate.gate import Gate
    from kis_bench.gate.thresholds import Threshold

GATE: pytest.StashKey[Gate | None] = pytest.StashKey()
OF_A_BASELINE = ("incumbent", "exact", "tolerance", "query-factor", "gate-metric", "alpha")
FAILURES = pytest.StashKey[list[str]]()  #: of a test: what its cell failed by


def gate(config: pytest.Config) -> Gate | None:
    """What this session is judged by, None if nothing; files that are wrong end it with exit code 2."""
    if GATE not in config.stash:
        try:
            config.stash[GATE] = make_gate(config)
        except KisBenchError as error:
            stop(config, str(error))
    return config.stash[GATE]


def make_gate(config: pytest.Config) -> Gate | None:
    option = config.option
    given = config.stash[GIVEN] if not hasattr(config, "workerinput") else frozenset()
    if option.kis_baseline is None:
        values = {
            name: getattr(option, f"kis_{name.replace('-', '_')}")
            for name in OF_A_BASELINE
            if name in given
        }
        alone = [
            name
            for name, value in values.items()
            if value is not None and value is not False and value != []
        ]
        if alone:
            raise KisBenchError(
                f"{spell_option(alone[0])} compares with a baseline; add {spell_option('baseline')} RUN"
            )
    if "drift" in given and option.kis_drift != "0" and not option.kis_exact:
        raise KisBenchError(
            f"{spell_option('drift')} {option.kis_drift} has no meaning without {spell_option('exact')}"
        )
    if option.kis_thresholds is None and option.kis_baseline is None:
        return None
    from kis_bench.analysis.runs import list_models
    from kis_bench.gate.baselines import read_baseline
    from kis_bench.gate.gate import Gate
    from kis_bench.gate.rules import TESTED, Rules
    from kis_bench.gate.thresholds import read_thresholds
    from kis_bench.results.provenance import git_state, versions

    rules = Rules(
        option.kis_alpha,
        option.kis_tolerance,
        option.kis_query_factor,
        tuple(option.kis_gate_metric) or TESTED,
        option.kis_exact,
        option.kis_drift,
        option.kis_incumbent or "",
    )
    thresholds: tuple[Threshold, ...] = ()
    if option.kis_thresholds is not None:
        file = option.kis_thresholds
        thresholds = read_thresholds(file, relative(file, config.rootpath))
        check_names(config, thresholds, file)
    baseline = None if option.kis_baseline is None else read_baseline(option.kis_baseline)
    if baseline is not None and rules.incumbent and rules.incumbent not in list_models(baseline):
        raise UnknownName(
            "model", rules.incumbent, list_models(baseline), f"These are in {option.kis_baseline}."
        )
    about = {"versions": versions(encoders.list_packages()), "git": git_state(config.rootpath)}
    return Gate(thresholds, baseline, rules, about, asked=bool({"thresholds", "baseline"} & given))


def relative(file: Path, root: Path) -> str:
    """As seen from the project, which is how continuous integration names files."""
    try:
        name = file.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        name = file.name
    return name.encode("utf-8", "replace").decode()


def check_names(config: pytest.Config, thresholds: Sequence[Threshold], file: Path) -> None:
    """BadFile with every threshold that is about nothing this suite declares, such as a misspelt name."""
    from kis_bench.gate.thresholds import unmatchable

    lined, hook = line_up(config), config.hook
    declared = [row.name for rows in hook.pytest_kis_datasets(config=config) for row in rows]
    models = {row.name for rows in hook.pytest_kis_models(config=config) for row in rows}
    models |= {row.name for row in lined.models}
    sets: dict[str, set[str] | None] = dict.fromkeys(
        declared
    )  # None: left out or not here, so nobody knows
    studies = []
    for row in lined.datasets:
        sets[row.name] = None
        judged = datasets.has_triplets(row)
        if judged and not datasets.find_readiness(row).ready:
            studies.append(row.name)
        if datasets.find_readiness(row).ready:
            if judged:
                models |= {
                    name
                    for known in datasets.list_extractors(row)
                    for name in (known, of_the_study(known))
                }
            if not config.option.kis_labels:
                found = {
                    one.label_set
                    for one in query_sets(config)
                    if one.dataset == row and one.label_set
                }
                sets[row.name] = found | ({""} if judged else set())
    if problems := unmatchable(
        thresholds, sets, None if any(map(encoders.nameless, lined.models)) else models, studies
    ):
        raise BadFile(file, problems)
