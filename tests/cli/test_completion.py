"""What a shell is told when it asks how a line goes on, by the protocol of argcomplete."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("argcomplete")


def ask(line, folder):
    """What may stand at the end of a line, as the shell function of argcomplete asks for it."""
    answer = folder / "answer"
    environment = os.environ | {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    command = [sys.executable, "-c", "from kis_bench.cli import main; main()"]
    subprocess.run(command, env=environment, cwd=folder, check=True, timeout=120)
    return {word.strip() for word in answer.read_text().splitlines()}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("kis-bench re", {"report"}),
        ("kis-bench report --no", {"--no-pictures"}),
        ("kis-bench fetch vit-l-16-siglip-", {"vit-l-16-siglip-384"}),
        ("kis-bench run --model clip-vit-b", {"clip-vit-b-32"}),
        ("kis-bench embed mv", {"mvk"}),
        ("kis-bench export xl", {"xlsx"}),
        ("kis-bench import m", {"m3rt"}),
        ("kis-bench run min", {"mine/"}),
    ],
)
def test_a_line_goes_on(line, offered, tmp_path):
    (tmp_path / "mine").mkdir()
    assert ask(line, tmp_path) == offered


def test_nobody_asked(monkeypatch, capsys):
    """An import of argcomplete in every command would cost time."""
    from kis_bench import cli

    monkeypatch.delenv("_ARGCOMPLETE", raising=False)
    monkeypatch.setitem(sys.modules, "argcomplete", None)
    assert cli.main(["models", "clip-vit-b-32"]) in (0, 1)
    assert "clip-vit-b-32" in capsys.readouterr().out
