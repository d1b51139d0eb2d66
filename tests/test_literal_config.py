"""The text of a config is read, not run."""

import re

import pytest
from mmengine.config import Config

from rdet.config import load_config
from rdet.errors import CheckpointError
from rdet.interop.saved_config import saved_config
from rdet.literal_config import literal_config


def test_values_are_those_of_mmengine():
    values = {
        "model": {"type": "A", "stds": [0.1, -2.0], "sizes": (1, 2), "deep": {"a": None, "b": True, "c-d": "x'y"}},
        "schedule": [{"type": "B", "milestones": [8, 11]}, {"gamma": 1e-4}],
        "empty": {},
        "words": "a\nb",
    }
    assert literal_config(Config(values).pretty_text) == values


def test_a_whole_config_comes_back():
    cfg = load_config("configs/gfl/r50_fpn_1x_coco.py")
    assert literal_config(cfg.pretty_text) == cfg.to_dict()
    assert saved_config({"meta": {"cfg": cfg.pretty_text}}, "a.pth").to_dict() == cfg.to_dict()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a = dict({'x-y': 1}, z=2)", {"x-y": 1, "z": 2}),
        ("a = dict(b=1, **{'c.d': 2})", {"b": 1, "c.d": 2}),
        ("a = [inf, -1.5, {1, 2}]", [float("inf"), -1.5, {1, 2}]),
        ("a = -2", -2),
        ("a = dict()", {}),
    ],
)
def test_forms_of_values(text, value):
    assert literal_config(text) == {"a": value}


def test_empty_text():
    assert literal_config("") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import os\n", "line 1 of the config is no assignment of plain values"),
        ("a = 1\nb = open('c', 'w')", "line 2 of the config has \"open('c', 'w')\", which is no plain value"),
        (
            "a = dict(b=__import__('os').system('touch c'))",
            "line 1 of the config has \"__import__('os').system('touch c')",
        ),
        ("a = [x for x in ()]", "which is no plain value"),
        ("a.b = 1", "no assignment"),
        ("a = b = 1", "no assignment"),
        ("a = dict(1)", "which is no plain value"),
        ("a = c", "line 1 of the config has 'c'"),
        ("a = (", "the config is no Python (SyntaxError)"),
    ],
)
def test_anything_else_is_an_error_and_not_run(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match=re.escape(message)):
        literal_config(text)
    assert not list(tmp_path.iterdir())


def test_saved_config_is_checked():
    assert saved_config({}, "a.pth") is None
    assert saved_config({"meta": None}, "a.pth") is None
    with pytest.raises(
        CheckpointError, match=r"the config in a\.pth cannot be used: config has no key 'modle'.*'model'"
    ):
        saved_config({"meta": {"cfg": "modle = dict()"}}, "a.pth")
