"""Where a config differs from its bases."""

import pytest
from written_config import CONFIGS, write

from rdet.config import base_files, changes, flatten, load_config


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        (
            "r50_fpn_1x_coco_fl_star.py",
            {},
            {
                ("model.loss_cls.type", "FocalLoss", "FocalLossStar"),
                ("model.loss_cls.beta", ..., 1.0),
                ("model.loss_cls.alpha", 0.25, ...),
            },
        ),
        (
            "r50_fpn_1x_coco_one_anchor.py",
            {"model.backbone.depth": 18},
            {
                ("model.anchor_generator.scales_per_octave", 3, 1),
                ("model.anchor_generator.ratios", (0.5, 1.0, 2.0), (1.0,)),
                ("model.backbone.depth", 50, 18),
            },
        ),
        (
            "r101_fpn_1x_coco.py",
            {"work_dir": "w"},
            {
                ("model.backbone.depth", 50, 101),
                ("model.backbone.weights", "torchvision://resnet50", "torchvision://resnet101"),
                ("work_dir", ..., "w"),
            },
        ),
        ("r50_fpn_1x_coco.py", {}, set()),
        ("r50_fpn_1x_coco.py", {"param_scheduler.0.end": 9}, {("param_scheduler.0.end", 500, 9)}),
    ],
)
def test_changes_of_a_child(name, options, expected):
    path = CONFIGS / "retinanet" / name
    found = {tuple(map(hashable, row)) for row in changes(path, load_config(path, options))}
    assert found == expected


def test_changes_of_yaml_and_json(tmp_path):
    (tmp_path / "base.yaml").write_text("work_dir: a\nlog_level: INFO\n")
    (tmp_path / "child.yaml").write_text("_base_: base.yaml\nwork_dir: b\n")
    (tmp_path / "alone.json").write_text('{"work_dir": "c"}')
    path = tmp_path / "child.yaml"
    assert base_files(path) == [tmp_path / "base.yaml"]
    assert changes(path, load_config(path)) == [("work_dir", "a", "b")]
    assert changes(tmp_path / "alone.json", load_config(tmp_path / "alone.json")) == [("work_dir", ..., "c")]


def test_changes_of_a_config_without_bases(tmp_path):
    path = write(tmp_path, "work_dir = 'w'\n")
    assert changes(path, load_config(path)) == [("work_dir", ..., "w")]
    path = write(tmp_path, "")
    assert changes(path, load_config(path)) == []


def hashable(value):
    return tuple(value) if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", []), ("_base_ = './a.py'", ["a.py"]), ("_base_ = ['../a.py', 'b/c.py']", ["../a.py", "b/c.py"])],
)
def test_base_files(text, expected, tmp_path):
    assert base_files(write(tmp_path, text)) == [tmp_path / name for name in expected]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({}, {}),
        ({"a": {"b": 1, "c": {}}, "d": []}, {"a.b": 1, "a.c": {}, "d": []}),
        ({"a": [{"b": 1}, {"b": 2}], "c": (1, 2)}, {"a.0.b": 1, "a.1.b": 2, "c": (1, 2)}),
    ],
)
def test_flatten(value, expected):
    assert flatten(value) == expected
