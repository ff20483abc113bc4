"""The job scripts as they are, with two nodes on this machine in place of those of Slurm and PBS.

Stand-ins of the schedulers' programs only start the command that they are given.
"""

import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples" / "cluster"
#: Of each node. With one, a test couldn't tell whether a node has all of them.
CORES = min(2, len(os.sched_getaffinity(0)))
#: srun OPTIONS COMMAND: the command once for each task, on nodes of their own. Since Slurm 22.05 a task has one core
#: unless srun itself is told otherwise.
SRUN = """
options = {}
while given[0].startswith("--"):
    name, _, value = given.pop(0).removeprefix("--").partition("=")
    options[name] = value
cores = int(options.pop("cpus-per-task", 1))
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
keeps = {"no-kill": "", "kill-on-bad-exit": "0", "wait": "0"}  # the other nodes, when one fails
assert options == {"nodes": "1", "ntasks": "1", "exclude": "first"} | keeps, options
environment = dict(os.environ)
"""
#: pbsdsh -n NUMBER -- COMMAND: without the environment of the job.
PBSDSH = """
assert given[:3] == ["-n", "2", "--"], given
given = given[3:]
assert os.path.isabs(given[0])
kept = ("HOME", "PYTHONPATH", "RAY_USAGE_STATS_ENABLED")
environment = {name: os.environ[name] for name in kept if name in os.environ}
assert not {"RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH"} & set(environment)
environment["PATH"] = "/usr/bin:/bin"
"""
STAND_IN = """#!{python}
import os, signal, subprocess, sys
given = sys.argv[1:]
{options}
node = subprocess.Popen(given, env=environment)
signal.signal(signal.SIGTERM, lambda *_: node.terminate())
sys.exit(abs(node.wait()))
"""


@pytest.fixture
def job(tmp_path, monkeypatch):
    """The folder of a job: pictures with queries, and the stand-ins on the path."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, options in {"srun": SRUN, "pbsdsh": PBSDSH}.items():
        (programs / name).write_text(STAND_IN.format(python=sys.executable, options=options))
        (programs / name).chmod(0o755)
    images = tmp_path / "mine" / "images"
    images.mkdir(parents=True)
    rows = ["query_id,item_id,label_set,text"]
    for i in range(80):
        red = 40 * (i % 6)
        Image.new("RGB", (8, 8), (red, 3 * i, 9)).save(images / f"{i:02}.png")
        rows.append(f"q{i},{i:02},short,a red thing")
    (tmp_path / "mine" / "labels.csv").write_text("\n".join(rows) + "\n")
    for name in ("own_model.py", "meeting_model.py"):
        shutil.copy(Path(__file__).with_name(name), tmp_path)
    monkeypatch.setenv(
        "PATH",
        os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]),
    )
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    for name in ("KIS_STORE", "KIS_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def find_job_number():
    """A number of a job whose port, by the rule of the scripts, nobody listens at."""
    for number in range(os.getpid(), os.getpid() + 100):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", 20000 + number % 6000 * 2)):
                return number
    raise AssertionError


def list_own_processes(folder):
    """Processes that were started in a folder and are there still."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            own = process.name == str(os.getpid())
            if not own and Path(os.readlink(process / "cwd")) == folder:
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


OPTIONS = [
    *("--dataset", "mine=mine", "--model", "meeting_model:meeting", "--report", "reports"),
    *("--batch-size", "5", "--verify", "0"),
]


def run_script(name, number, *arguments, cwd, **variables):
    environment = {**os.environ, **variables}
    log = cwd / f"kis-bench-{number}-ray.log"
    done = subprocess.run(
        ["bash", str(EXAMPLES / name), *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
    )
    said = done.stdout + done.stderr + (log.read_text() if log.exists() else "no log of Ray")
    return done.returncode, said


def check_run(job, said):
    (run,) = [folder for folder in (job / "reports").iterdir() if not folder.is_symlink()]
    ranks = pd.read_parquet(run / "ranks.parquet")
    assert len(ranks) == 80
    assert "of a cluster of Ray" in (run / "run.json").read_text()
    cores = [int(node.read_text()) for node in (job / "met").iterdir()]
    assert cores == [CORES] * 2, said  # both nodes embedded pictures, with all cores of theirs
    deadline = time.monotonic() + 30
    while list_own_processes(job) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert list_own_processes(job) == [], said
    assert not [*job.glob(".kis-bench-*")]


@pytest.mark.slow
def test_slurm(job):
    number = find_job_number()
    code, said = run_script(
        "slurm.sh",
        number,
        *OPTIONS,
        cwd=job,
        SLURM_JOB_ID=str(number),
        SLURM_JOB_NUM_NODES="2",
        SLURM_CPUS_PER_TASK=str(CORES),
        SLURMD_NODENAME="first",
    )
    assert code == 0, said
    check_run(job, said)


@pytest.mark.slow
def test_pbs(job):
    number = find_job_number()
    (job / "nodes").write_text(2 * "first\n" + 2 * "second\n")
    code, said = run_script(
        "pbs.sh",
        number,
        cwd=job,
        PBS_JOBID=f"{number}.server",
        PBS_NODEFILE=str(job / "nodes"),
        PBS_O_WORKDIR=str(job),
        NCPUS=str(CORES),
        KIS_OPTIONS=" ".join(OPTIONS),
    )
    assert code == 0, said
    check_run(job, said)


@pytest.mark.parametrize("name", ["slurm.sh", "pbs.sh"])
def test_scripts_are_what_bash_reads(name):
    script = EXAMPLES / name
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    assert script.stat().st_mode & stat.S_IXUSR
    if shutil.which("shellcheck"):
        assert subprocess.run(["shellcheck", str(script)], check=False).returncode == 0


def test_the_manifest_is_a_job_of_kuberay(ray):
    """Its fields are those of the API ray.io/v1; nothing here asks a cluster of Kubernetes."""
    import yaml

    job = yaml.safe_load((EXAMPLES / "ray-job.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert set(job) == {"apiVersion", "kind", "metadata", "spec"}
    spec = job["spec"]
    assert set(spec) == {
        "entrypoint",
        "shutdownAfterJobFinishes",
        "ttlSecondsAfterFinished",
        "backoffLimit",
        "runtimeEnvYAML",
        "rayClusterSpec",
    }
    assert set(yaml.safe_load(spec["runtimeEnvYAML"])) == {"env_vars"}
    cluster = spec["rayClusterSpec"]
    assert set(cluster) == {"rayVersion", "headGroupSpec", "workerGroupSpecs"}
    workers = cluster["workerGroupSpecs"]
    assert all(
        {"groupName", "replicas", "minReplicas", "maxReplicas"} < set(one) for one in workers
    )
    for group in (cluster["headGroupSpec"], *workers):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        (container,) = group["template"]["spec"]["containers"]
        volumes = {one["name"] for one in group["template"]["spec"]["volumes"]}
        assert {one["name"] for one in container["volumeMounts"]} == volumes
        limits, requests = (container["resources"][one] for one in ("limits", "requests"))
        assert limits == requests
    assert spec["entrypoint"].startswith("kis-bench run --engine ray ")
