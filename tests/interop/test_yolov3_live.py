"""YOLOv3 beside MMDetection itself; skipped where it is not installed. See live.py."""

import copy

import pytest
import torch
from live import BATCHES, Pair, draw_weights, images_of, keep_statistics, weights_of
from parity import INPUT, ROOT
from torch import nn

from rdet.apis.build import build_detector
from rdet.config import load_config
from rdet.interop.yolov3 import from_yolov3, to_yolov3

pytest.importorskip("mmdet", reason="MMDetection is not installed")

from oracle.mmdetection import Oracle

# rdet's config -> MMDetection's.
CONFIGS = {
    "yolov3_d53_608": "yolov3_d53_8xb8-ms-608-273e",
    "yolov3_mobilenetv2_416": "yolov3_mobilenetv2_8xb24-ms-416-300e",
    "yolov3_mobilenetv2_320": "yolov3_mobilenetv2_8xb24-320-300e",
}
OURS = {"model.backbone.weights": None, "model.postprocess.clip": False}  # boxes are not clipped there


def without_kinks(model: nn.Module) -> None:
    """Take a smooth activation: with LeakyReLU, rounding decides the slope of what is nearly 0."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.LeakyReLU):
                setattr(parent, name, nn.SiLU())


def losses(theirs):
    boxes = theirs["loss_xy"] + theirs["loss_wh"]
    return {"loss_cls": theirs["loss_cls"], "loss_obj": theirs["loss_conf"], "loss_bbox": boxes}


@pytest.fixture(scope="module", params=CONFIGS)
def pair(request):
    oracle = Oracle(f"yolo/{CONFIGS[request.param]}_coco", {"model.backbone.norm_eval": False})
    draw_weights(oracle.model, last=1)
    with torch.no_grad():
        for last in oracle.model.bbox_head.convs_pred:
            last.weight.unflatten(0, (3, -1))[:, :4] *= 0.3
            rows = last.bias.unflatten(0, (3, -1))
            rows[:, 4] -= 1
            rows[:, 5:] -= 2
    oracle.training_step(images_of(BATCHES["three images"], seed=10))
    state = weights_of(oracle.model)
    converted = from_yolov3({}, state, f"{CONFIGS[request.param]}_coco.pth")
    cfg = load_config(ROOT / f"configs/yolov3/{request.param}_coco.py", {**INPUT, **OURS})
    for slot in set(cfg.model) - {"data_preprocessor", "postprocess"}:
        assert converted.cfg.model[slot] == cfg.model[slot]
    model = build_detector(cfg, tuple(map(str, range(80))))
    model.load_state_dict(converted.weights)
    used = {name for name in state if not name.startswith("backbone.conv2.")}
    back = to_yolov3(model.state_dict())
    assert set(back) == used
    assert all(torch.equal(back[name], state[name]) for name in used)
    keep_statistics(oracle.model, model)
    return Pair(request.param, oracle, model, to_yolov3, losses)


@pytest.mark.parametrize("what", BATCHES)
def test_losses_and_gradients(pair, what):
    images = images_of(BATCHES[what], seed=11)
    pair.compare_losses(images, what)
    smooth = copy.deepcopy(pair)
    without_kinks(smooth.oracle.model)
    without_kinks(smooth.model)
    smooth.compare_training(images, f"{what}, smooth")


def test_detections(pair):
    pair.compare_detections(images_of(BATCHES["three images"], seed=12), "three images")
