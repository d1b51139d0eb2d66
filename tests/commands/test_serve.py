"""The command line of rdet serve."""

import argparse
import builtins
import socket
import sys

import pytest

from rdet.commands import serve


@pytest.fixture
def called(monkeypatch, tmp_path):
    """Runs the command; returns its code and what it says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rdet.args.end_at_once_at_signals", lambda: None)

    def call(capsys, *words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["rdet serve", *words])
        with pytest.raises(SystemExit) as end:
            serve.main()
        return end.value.code, capsys.readouterr().err.strip().splitlines()[-1]

    return call


def parsed(monkeypatch, *words: str) -> argparse.Namespace:
    monkeypatch.setattr("rdet.args.end_at_once_at_signals", lambda: None)
    monkeypatch.setattr(sys, "argv", ["rdet serve", *words])
    return serve.parse_args()


def test_a_model_is_a_checkpoint_or_a_config_and_one(monkeypatch):
    alone = parsed(monkeypatch, "best.pth")
    assert (alone.config, alone.checkpoint, alone.host, alone.port) == (None, "best.pth", "127.0.0.1", 8000)
    both = parsed(monkeypatch, "retinanet/r50_fpn_1x_coco", "--port", "0", "best.pth", "--max-wait", "0.5")
    assert both.config.endswith("r50_fpn_1x_coco.py")
    assert (both.checkpoint, both.port, both.max_wait) == ("best.pth", 0, 0.5)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "required"),
        (("a", "b", "c"), "'c' is one argument too many"),
        (("a.pth", "--port", "65536"), "whole number of 0 to 65535"),
        (("a.pth", "--max-wait", "nan"), "milliseconds from 0 to 10000"),
        (("a.pth", "--max-batch", "0"), "1 to 1024"),
        (("a.pth", "--max-bites", "1"), "Did you mean --max-bytes"),
    ],
)
def test_options_that_cannot_be_used(capsys, called, words, said):
    code, line = called(capsys, *words)
    assert code == 2
    assert said in line


def test_what_is_missing_is_said_in_one_line(capsys, called, monkeypatch):
    pytest.importorskip("fastapi")
    code, line = called(capsys, "none.pth", "--port", "0")
    assert code == 1
    assert line.startswith("error: ")
    assert "none.pth" in line
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert called(capsys, "none.pth", "--port", port) == (
            1,
            f"error: --port {port} of 127.0.0.1 is in use; give another, or 0 for any that is free",
        )
    there = builtins.__import__

    def without(name, *args):
        if name == "rdet.serve.app":
            raise ModuleNotFoundError("No module named 'fastapi'", name="fastapi")
        return there(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    assert called(capsys, "none.pth") == (
        1,
        "error: rdet serve needs the package fastapi; install it: pip install 'rdet[serve]'",
    )
