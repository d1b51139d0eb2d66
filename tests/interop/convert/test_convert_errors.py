"""What cannot be converted, or goes with another config, is one line."""

from pathlib import Path

import pytest
import torch
from mmdet_states import weights
from saved_states import small

from rdet.apis.inference import init_detector
from rdet.checkpoint import read_checkpoint
from rdet.config import load_config
from rdet.errors import CheckpointError, ConfigError, OutputError
from rdet.interop import convert
from rdet.interop.convert import convert_checkpoint, open_checkpoint

ROOT = Path(__file__).resolve().parents[3]


def test_the_error_of_another_config_says_what_the_checkpoint_is(save):
    path = save(weights(small("GFL", width=256)))
    with pytest.raises(CheckpointError) as caught:
        init_detector(ROOT / "configs" / "retinanet" / "r18_fpn_1x_coco.py", path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    assert "it is GFL with ResNet-18, group normalisation in the head, 80 classes; it goes with " in message
    assert " configs/gfl/r50_fpn_1x_coco_mmdet.py and --cfg-options" in message
    assert "model.backbone.depth=18" in message
    assert message.endswith("or leave the config out: the checkpoint carries its own")


def test_a_checkpoint_alone_is_not_told_to_stand_alone(tmp_path):
    cfg = ROOT / "configs/retinanet/r50_fpn_1x_coco.py"
    text = load_config(cfg, {"model.num_classes": 2}).pretty_text
    torch.save({"meta": {"cfg": text}, "state_dict": {"a": torch.ones(1)}}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=r"another architecture than the config; give its own config$"):
        init_detector(checkpoint=tmp_path / "a.pth")


def test_a_checkpoint_without_config_needs_one(tmp_path):
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "a.pth")
    with pytest.raises(ConfigError, match=r"a\.pth carries no config; give the one that it was trained with"):
        init_detector(tmp_path / "a.pth")
    with pytest.raises(ConfigError, match="init_detector needs a config or a checkpoint"):
        init_detector()


def test_a_checkpoint_of_rdet_needs_no_conversion(save, tmp_path):
    content = open_checkpoint(save(weights(small("ATSS"))))
    content["meta"].pop("converted_from")
    torch.save(content, tmp_path / "own.pth")
    with pytest.raises(CheckpointError, match=r"own\.pth is a checkpoint of rdet already: nothing to convert"):
        convert_checkpoint(tmp_path / "own.pth", tmp_path / "out.pth")


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"dataset_meta": None},
        {"dataset_meta": {"classes": [1, 2]}},
        {"dataset_meta": {"classes": ["unused 1", "a", "b"]}, "description": torch.ones(3)},
    ],
)
def test_a_converted_file_with_odd_meta_is_taken_as_it_is(tmp_path, meta):
    """What it lacks is said when it is loaded."""
    weights = {"bbox_head.conv_cls.weight": torch.ones(4, 1, 1, 1)}
    torch.save({"meta": {"converted_from": "x", **meta}, "state_dict": weights}, tmp_path / "a.pth")
    path = convert.own_checkpoint(tmp_path / "a.pth", tmp_path / "run")
    assert torch.equal(read_checkpoint(path)["state_dict"]["bbox_head.conv_cls.weight"], torch.ones(4, 1, 1, 1))
    assert convert_checkpoint(tmp_path / "a.pth", tmp_path / "b.pth").endswith("b.pth")


@pytest.mark.parametrize(
    ("out", "message"),
    [("a.pth", "is the source itself"), ("no/b.pth", "there is no folder"), ("b.onnx", r"let its name end in \.pth")],
)
def test_where_nothing_is_written(tmp_path, out, message):
    torch.save({}, tmp_path / "a.pth")
    content = (tmp_path / "a.pth").read_bytes()
    with pytest.raises(OutputError, match=message):
        convert_checkpoint(tmp_path / "a.pth", tmp_path / out)
    assert (tmp_path / "a.pth").read_bytes() == content


def test_an_own_checkpoint_is_not_converted(tmp_path):
    torch.save({"state_dict": {"a": torch.zeros(1)}}, tmp_path / "a.pth")
    assert convert.own_checkpoint(tmp_path / "a.pth", tmp_path / "run") == str(tmp_path / "a.pth")
    assert not (tmp_path / "run").exists()
