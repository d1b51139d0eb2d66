"""The text of a config is read, not run."""

import re
import sys

import mmengine.config.config
import pytest
from mmengine.config import Config
from yapf.yapflib.yapf_api import FormatCode

from rdet import registry
from rdet.config import load_config
from rdet.errors import CheckpointError
from rdet.interop.saved_config import saved_config
from rdet.literal_config import literal_config


@pytest.fixture(autouse=True)
def _formatted(monkeypatch):
    """Texts of configs are as mmengine writes them, which other tests do without."""
    monkeypatch.setattr(mmengine.config.config, "FormatCode", FormatCode)


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


HARMLESS = """
model = dict(type="RetinaNet", backbone=dict(type={backbone!r}, {options}), neck=dict(type="FPN", out_channels=16))
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1), clip_grad=dict(type="norm", max_norm=1.0))
"""


@pytest.mark.parametrize(
    ("backbone", "options", "more", "message"),
    [
        ("os.system", "command='touch ran'", "", "it names 'os.system', which is no registered part and may run code"),
        ("rdet.compat.os.system", "command='touch ran'", "", "it names 'rdet.compat.os.system', which is no reg"),
        ("this", "", "", "it names 'this', which is no registered part"),
        ("ResNet", "depth=18, norm_cfg=dict(type='os.system')", "", "it names 'os.system', which is no reg"),
        ("ResNet", "depth=18", "custom_imports = dict(imports=['this'])", "it asks for the module 'this', which is"),
        ("ResNet", "depth=18", "custom_imports = dict(imports='this')", "it asks for the module 'this', which is"),
        ("ResNet", "depth=18", "custom_imports = dict(imports=3)", "custom_imports.imports is 3"),
        ("ResNet", "depth=18", "custom_imports = 3", "custom_imports is 3"),
        ("ResNet", "depth=18", "text = 3", "text is reserved for config file"),
        ("ResNet", "depth=18", "work_dir = {[]: 1}", "line 4 of the config is no plain value"),
        (
            "TimmBackbone",
            "model_name='hf-hub:someone/model'",
            "",
            "model.backbone.model_name is 'hf-hub:someone/model', an address to load from, not the name of a network; "
            "give a config file",
        ),
        ("TimmBackbone", "model_name='hf_hub:someone/model'", "", "is 'hf_hub:someone/model', an address"),
        ("TimmBackbone", "model_name='HF-HUB:a/b'", "", "is 'HF-HUB:a/b', an address"),
        ("TimmBackbone", "model_name='local-dir:/a'", "", "is 'local-dir:/a', an address"),
        ("TimmBackbone", "model_name='resnet18.hf-hub:a/b'", "", "is 'resnet18.hf-hub:a/b', an address"),
        ("ResNet", "depth=18", "tta_pipeline = [dict(model_name='hf-hub:a/b')]", "tta_pipeline.0.model_name is"),
        ("ResNeet", "depth=18", "", "no model part is called 'ResNeet'."),
    ],
)
def test_saved_config_cannot_run_what_it_names(backbone, options, more, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = HARMLESS.format(backbone=backbone, options=options) + more
    with pytest.raises(CheckpointError, match=re.escape(message)):
        saved_config({"meta": {"cfg": text}}, "a.pth")
    assert not list(tmp_path.iterdir())
    assert "this" not in sys.modules


@pytest.mark.parametrize("backbone", ["ResNet", "rdet.models.backbones.resnet.ResNet"])
def test_saved_config_may_name_parts_and_modules_that_are_there(backbone):
    text = HARMLESS.format(backbone=backbone, options="depth=18, norm_cfg=dict(type='SyncBN')")
    text += "custom_imports = dict(imports=['json'])\n"
    assert saved_config({"meta": {"cfg": text}}, "a.pth").model.backbone.type == backbone
    registry._custom_imports.clear()


@pytest.mark.parametrize("name", ["resnet18", "resnet18.a1_in1k"])
def test_saved_config_may_name_networks_of_timm(name):
    text = HARMLESS.format(backbone="TimmBackbone", options=f"model_name={name!r}")
    assert saved_config({"meta": {"cfg": text}}, "a.pth").model.backbone.model_name == name


@pytest.mark.parametrize("meta", [None, 3, "a", [1], {"cfg": 3}, {"cfg": None}, {1: 2}])
def test_meta_of_another_kind_is_no_config(meta):
    assert saved_config({"meta": meta}, "a.pth") is None
