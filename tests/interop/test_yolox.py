"""YOLOX from Megvii's and MMDetection's checkpoints and exported files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rdet.apis.build import build_detector
from rdet.apis.inference import init_detector
from rdet.config import load_config
from rdet.errors import CheckpointError
from rdet.interop.convert import convert_checkpoint, open_checkpoint
from rdet.interop.yolox import from_yolox, to_yolox
from rdet.interop.yolox_onnx import _names

ROOT = Path(__file__).parents[2]
RELEASED = ROOT.parent / "shared/data/yolox/yolox_nano_416.onnx"
released = pytest.mark.skipif(not RELEASED.exists(), reason="needs the released weights beside the checkout")


def detector(size="nano_416", **options):
    torch.manual_seed(0)
    cfg = load_config(ROOT / f"configs/yolox/yolox_{size}_coco.py", options)
    model = build_detector(cfg, classes=[str(index) for index in range(5)])
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return model.eval()


def outputs(model, images):
    with torch.no_grad():
        predictions = model(images)
    return predictions.logits, predictions.deltas, predictions.quality_logits


@pytest.mark.parametrize("project", ["yolox", "mmdet"])
@pytest.mark.parametrize("size", ["nano_416", "tiny_416"])
def test_checkpoints_there_and_back(tmp_path, size, project):
    model = detector(size)
    state = to_yolox(model.state_dict(), project)
    assert ("backbone.backbone.dark5.1.conv1.conv.weight" in state) == (project == "yolox")
    assert ("bbox_head.multi_level_conv_obj.2.bias" in state) == (project == "mmdet")
    torch.save({{"yolox": "model", "mmdet": "state_dict"}[project]: state}, tmp_path / "theirs.pth")
    said = convert_checkpoint(tmp_path / "theirs.pth", tmp_path / "ours.pth")
    assert said == f"YOLOX-{size[:4]} for 416 x 416 pixels, 5 classes, written to {tmp_path / 'ours.pth'}"
    converted = init_detector(checkpoint=tmp_path / "ours.pth")
    images = torch.ones(1, 3, 64, 96)
    for found, expected in zip(outputs(converted, images), outputs(model, images), strict=True):
        assert torch.equal(found, expected)
    assert not converted.backbone.norm_eval
    convert_checkpoint(tmp_path / "ours.pth", tmp_path / "back.pth", target=project)
    back = torch.load(tmp_path / "back.pth")[{"yolox": "model", "mmdet": "state_dict"}[project]]
    assert set(back) == set(state)
    assert all(torch.equal(back[name], value) for name, value in state.items())


@pytest.mark.parametrize(
    ("size", "depth", "depthwise"),
    [("nano_416", 1, True), ("s_640", 1, False), ("m_640", 2, False), ("l_640", 3, False), ("x_640", 4, False)],
)
def test_names_of_exported_layers_are_those_of_all_sizes(size, depth, depthwise):
    with torch.device("meta"):
        cfg = load_config(ROOT / f"configs/yolox/yolox_{size}_coco.py")
        model = build_detector(cfg, classes=["a"])
    convolutions = {f"{name}.weight" for name, each in model.named_modules() if isinstance(each, nn.Conv2d)}
    theirs = to_yolox({name: torch.empty(0) for name in convolutions}, "yolox")
    assert {f"{name}.weight" for name in _names(depth, depthwise)} == set(theirs)


@released
def test_the_released_network_gives_onnxruntimes_numbers():
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(RELEASED, providers=["CPUExecutionProvider"])
    images = torch.rand(1, 3, 416, 416, generator=torch.Generator().manual_seed(0)) * 255
    (expected,) = session.run(None, {"images": images.numpy()})
    model = init_detector(checkpoint=RELEASED)
    logits, deltas, objectness = outputs(model, images)
    found = torch.cat([deltas, objectness.sigmoid()[..., None], logits.sigmoid()], dim=2)
    assert np.abs(found.numpy() - expected).max() < 1e-4
    assert model.classes[0] == "person"
    # Statistics of a batch would undo the identity that is left of the normalisation.
    assert not any(module.training for module in model.train().modules() if isinstance(module, nn.BatchNorm2d))
    assert model.cfg.val_dataloader.dataset.pipeline[1].scale == (416, 416)


def swapped(graph):
    """Two layers of one shape, that stand beside each other, in the other order."""
    nodes = [node for node in graph.node if node.op_type == "Conv"]
    first, second = nodes[4], nodes[5]
    places = [list(graph.node).index(first), list(graph.node).index(second)]
    copies = [type(first).FromString(node.SerializeToString()) for node in (first, second)]
    graph.node[places[0]].CopyFrom(copies[1])
    graph.node[places[1]].CopyFrom(copies[0])


def shortened(graph):
    graph.node.remove(next(node for node in graph.node if node.op_type == "Conv"))


def with_relu(graph):
    for node in graph.node:
        if node.op_type == "Sigmoid":
            node.op_type = "HardSigmoid"


@released
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (swapped, "not connected as those of YOLOX"),
        (shortened, "112 convolutions, which no YOLOX from nano to x has"),
        (with_relu, "not connected as those of YOLOX, with SiLU between them"),
    ],
)
def test_other_exports_are_one_line(tmp_path, change, message):
    onnx = pytest.importorskip("onnx")
    model = onnx.load(RELEASED)
    change(model.graph)
    (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(CheckpointError, match=message):
        open_checkpoint(tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("neck.out_convs.0.conv.weight"), "it has no neck.out_convs.0.conv.weight"),
        (lambda state: state.pop("neck.reduce_layers.0.conv.weight"), "1 are missing"),
        (lambda state: state.update({"backbone.stage1.0.extra": torch.ones(1)}), "1 are unknown or of another shape"),
        (lambda state: state.update({"bbox_head.strange": torch.ones(1)}), "YOLOX has no weight called"),
        (lambda state: state["bbox_head.multi_level_conv_obj.0.bias"].fill_(torch.nan), "not finite"),
    ],
)
def test_other_checkpoints_are_one_line(change, message):
    state = to_yolox(detector().state_dict(), "mmdet")
    change(state)
    with pytest.raises(CheckpointError, match=message):
        from_yolox({}, state, "")


def test_nothing_else_goes_to_megvii(tmp_path):
    torch.save({"state_dict": {"bbox_head.conv_cls.weight": torch.ones(3, 4, 1, 1)}}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="is no YOLOX, the only detector that --to yolox writes"):
        convert_checkpoint(tmp_path / "a.pth", tmp_path / "b.pth", target="yolox")
