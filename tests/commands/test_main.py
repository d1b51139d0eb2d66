"""The command ``rdet``: what it says of itself, and that each command is a tool of ``tools/``."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from forked import Forked

import rdet.__main__ as program
from rdet.commands import command_line

ROOT = Path(__file__).resolve().parents[2]


def rdet(*words: str, cwd=None, path=ROOT) -> subprocess.CompletedProcess:
    """Runs the command of the checkout in a folder, with another one on the module path."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{path}"}
    command = [sys.executable, "-m", "rdet", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment, timeout=200)


def test_every_tool_is_a_command_and_every_command_a_tool():
    tools = {path.stem.replace("_", "-") for path in (ROOT / "tools").glob("*.py")}
    assert tools == set(program.COMMANDS)
    for name in program.COMMANDS:
        assert callable(importlib.import_module(f"rdet.commands.{name.replace('-', '_')}").main)


def test_help_lists_the_commands_and_imports_nothing_heavy():
    code = (
        "import sys, rdet.__main__; sys.argv = ['rdet', '--help']; rdet.__main__.main()\n"
        "sys.argv = ['rdet', 'configs', 'table_1a']; rdet.__main__.main()\n"
        "print(sorted({'torch', 'numpy', 'mmengine'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[-1] == "[]"
    assert "paper/table_1a/alpha_10" in lines
    assert {line.split()[0] for line in lines if line.startswith("  ")} == set(program.COMMANDS)


@pytest.mark.parametrize("name", program.COMMANDS)
def test_help_of_a_command_calls_it_as_it_was_called(name, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["rdet", name, "--help"])
    with pytest.raises(SystemExit, match="0"):
        program.main()
    assert capsys.readouterr().out.startswith(f"usage: rdet {name} ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["trian"], "rdet: error: there is no command 'trian'. Did you mean train?\n"),
        ([], "rdet: error: a command is missing. Valid: train, test, "),
        (["x" * 300], "rdet: error: there is no command '" + "x" * 100 + "'. Valid: train, "),
    ],
)
def test_no_such_command(words, said, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["rdet", *words])
    with pytest.raises(SystemExit, match="2"):
        program.main()
    assert capsys.readouterr().err.startswith(said)


def test_a_config_is_named_and_copied_from_any_folder(tmp_path):
    def rdet(*words: str, cwd: Path) -> SimpleNamespace:
        process = Forked(ROOT / "rdet/__main__.py", words, cwd, apart=True)
        said, errors = process.communicate()
        return SimpleNamespace(returncode=process.returncode, stdout=said, stderr=errors)

    shown = rdet("print-config", "retinanet/r50_fpn_1x_coco_fl_star", "--changes", cwd=tmp_path)
    assert "# ~ model.loss_cls.type = 'FocalLossStar' (was 'FocalLoss')" in shown.stdout.splitlines(), shown.stderr
    assert rdet("configs", "--copy", "gfl/r50_fpn_1x_coco", "mine", cwd=tmp_path).stdout == "mine/r50_fpn_1x_coco.py\n"
    assert rdet("print-config", "mine/r50_fpn_1x_coco.py", "--changes", cwd=tmp_path).returncode == 0
    again = rdet("configs", "--copy", "gfl/r50_fpn_1x_coco", "mine", cwd=tmp_path)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)


def test_a_training_by_the_command_is_that_by_the_tool(config, command, tmp_path):
    words = [config, "--cfg-options", "train_cfg.max_iters=2", "log_level=ERROR", "--work-dir"]
    tool, _ = command("train.py", *words, "tool").communicate(timeout=200)
    done = rdet("train", *words, "command", cwd=tmp_path, path=Path(__file__).parents[1])
    assert done.returncode == 0, done.stdout + done.stderr
    ours, theirs = (torch.load(tmp_path / name / "iter_2.pth", weights_only=False) for name in ("command", "tool"))
    assert ours["state_dict"].keys() == theirs["state_dict"].keys(), tool
    assert all(torch.equal(value, theirs["state_dict"][key]) for key, value in ours["state_dict"].items())


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["rdet paper", "report", "--out", "a b"], "rdet paper report --out 'a b'"),
        (["tools/paper.py", "report"], "python tools/paper.py report"),
    ],
)
def test_command_line(argv, line, monkeypatch):
    monkeypatch.setattr(sys, "argv", argv)
    assert command_line() == line


def test_who_has_read_enough_of_the_output_ends_it_in_silence(monkeypatch, capfd):
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr("sys.argv", ["rdet", "configs"])
    with os.fdopen(writing, "w") as out:
        monkeypatch.setattr("sys.stdout", out)
        with pytest.raises(SystemExit, match="^141$"):
            program.main()
    assert capfd.readouterr().err == ""
