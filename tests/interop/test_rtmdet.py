"""RTMDet from MMDetection's checkpoints, and back."""

from pathlib import Path

import pytest
import torch
from torch import nn

from rdet.apis.build import build_detector
from rdet.apis.inference import init_detector
from rdet.config import load_config
from rdet.errors import CheckpointError
from rdet.interop.convert import convert_checkpoint
from rdet.interop.rtmdet import from_rtmdet, to_rtmdet

ROOT = Path(__file__).parents[2]


def detector(size="tiny"):
    torch.manual_seed(0)
    cfg = load_config(ROOT / f"configs/rtmdet/rtmdet_{size}_640_coco.py", {"model.backbone.weights": None})
    model = build_detector(cfg, classes=[str(index) for index in range(5)])
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


def test_checkpoints_there_and_back(tmp_path):
    model = detector()
    state = to_rtmdet(model.state_dict())
    assert "bbox_head.rtm_cls.2.bias" in state
    assert "bbox_head.cls_convs.1.0.conv.weight" in state
    torch.save({"state_dict": state, "meta": {"dataset_meta": {"classes": tuple("abcde")}}}, tmp_path / "theirs.pth")
    said = convert_checkpoint(tmp_path / "theirs.pth", tmp_path / "ours.pth")
    assert said == f"RTMDet-tiny, 5 classes, written to {tmp_path / 'ours.pth'}"
    converted = init_detector(checkpoint=tmp_path / "ours.pth")
    assert converted.classes == tuple("abcde")
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found, expected = converted(images), model(images)
    assert torch.equal(found.logits, expected.logits)
    assert torch.equal(found.deltas, expected.deltas)
    convert_checkpoint(tmp_path / "ours.pth", tmp_path / "back.pth", target="mmdet")
    back = torch.load(tmp_path / "back.pth")
    assert back["meta"]["dataset_meta"]["classes"] == tuple("abcde")
    assert set(back["state_dict"]) == set(state)
    assert all(torch.equal(back["state_dict"][name], value) for name, value in state.items())


@pytest.mark.parametrize("size", ["tiny", "s", "m", "l", "x"])
def test_the_size_is_read_from_the_weights(size):
    with torch.device("meta"):
        state = to_rtmdet(detector(size).state_dict())
    state = {name: torch.zeros(value.shape, dtype=value.dtype) for name, value in state.items()}
    converted = from_rtmdet({}, state, "")
    assert converted.description == f"RTMDet-{size}, 5 classes"
    said = load_config(ROOT / f"configs/rtmdet/rtmdet_{size}_640_coco.py").model
    assert converted.cfg.model.bbox_head == said.bbox_head
    assert converted.cfg.model.neck == said.neck


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("neck.out_convs.0.conv.weight"), "it has no neck.out_convs.0.conv.weight"),
        (lambda state: state.pop("neck.reduce_layers.0.conv.weight"), "1 are missing"),
        (lambda state: state.update({"backbone.stage1.0.extra": torch.ones(1)}), "1 are unknown or of another shape"),
        (lambda state: state.update({"bbox_head.rtm_kernel.0.bias": torch.ones(1)}), "RTMDet has no weight called"),
        (lambda state: state["bbox_head.rtm_cls.0.bias"].fill_(torch.nan), "not finite"),
        (
            lambda state: state.update({"bbox_head.reg_convs.1.0.conv.weight": torch.ones(1)}),
            "its levels do not share bbox_head.reg_convs.1.0.conv.weight",
        ),
    ],
)
def test_other_checkpoints_are_one_line(change, message):
    state = to_rtmdet(detector().state_dict())
    change(state)
    with pytest.raises(CheckpointError, match=message):
        from_rtmdet({}, state, "")
