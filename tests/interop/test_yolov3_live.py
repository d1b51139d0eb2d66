"""YOLOv3 beside MMDetection itself; skipped where it is not installed. See test_mmdet_live.py.

``pytest -s`` prints the largest error of each comparison.
"""

import copy
import math

import pytest
import torch
from made_weights import made_images
from parity import INPUT, ROOT, agreement, detections, relative_errors, training_step
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
SIZES_OF_IMAGES = {
    "three images": ((250, 331, 9), (199, 190, 0), (163, 287, 41)),
    "one image without boxes": ((180, 260, 0),),
    "narrow ones": ((64, 400, 12), (390, 70, 3)),
}


@torch.no_grad()
def randomise(model: nn.Module) -> None:
    """Draw weights so that scores and boxes are not absurd; a batch then gives normalisation its statistics."""
    generator = torch.Generator().manual_seed(3)
    for each in model.modules():
        if isinstance(each, nn.BatchNorm2d):
            each.weight.uniform_(0.5, 1, generator=generator)
            each.bias.uniform_(-0.5, 0.5, generator=generator)
            each.momentum = 1.0
        elif isinstance(each, nn.Conv2d):
            scale = math.sqrt(3 / each.weight[0].numel())
            each.weight.uniform_(-scale, scale, generator=generator)
            if each.bias is not None:
                each.bias.uniform_(-1, 1, generator=generator)
    for last in model.bbox_head.convs_pred:
        last.weight.unflatten(0, (3, -1))[:, :4] *= 0.3
        rows = last.bias.unflatten(0, (3, -1))
        rows[:, 4] -= 1
        rows[:, 5:] -= 2


def keep_statistics(model: nn.Module) -> None:
    """Leave normalisation in eval mode: of a batch's statistics, a network so deep makes 1e-4 of each 1e-7."""
    for each in model.modules():
        if isinstance(each, nn.BatchNorm2d):
            each.eval().train = lambda mode=True, each=each: each


def without_kinks(model: nn.Module) -> None:
    """Take a smooth activation: with LeakyReLU, rounding decides the slope of what is nearly 0."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.LeakyReLU):
                setattr(parent, name, nn.SiLU())


@pytest.fixture(scope="module", params=CONFIGS)
def pair(request):
    oracle = Oracle(f"yolo/{CONFIGS[request.param]}_coco", {"model.backbone.norm_eval": False})
    randomise(oracle.model)
    oracle.training_step(images_of(SIZES_OF_IMAGES["three images"], seed=10))
    state = {name: value for name, value in oracle.model.state_dict().items() if "." in name}
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
    for each in (oracle.model, model):
        keep_statistics(each)
    return oracle, model


def images_of(sizes, seed):
    torch.manual_seed(seed)
    return [(image, boxes + torch.rand(boxes.shape) / 8, labels) for image, boxes, labels in made_images(sizes, seed)]


@pytest.mark.parametrize("what", SIZES_OF_IMAGES)
def test_losses_and_gradients(pair, what):
    oracle, model = pair
    images = images_of(SIZES_OF_IMAGES[what], seed=11)
    theirs = oracle.training_step(images)
    expected = {
        "loss_cls": theirs["loss_cls"],
        "loss_obj": theirs["loss_conf"],
        "loss_bbox": theirs["loss_xy"] + theirs["loss_wh"],
    }
    found = training_step(model, images)
    assert set(found) == set(expected)
    losses = relative_errors(found, expected)
    assert max(losses.values()) <= 1e-5, (losses, expected)
    oracle, model = copy.deepcopy((oracle, model))
    for each in (oracle.model, model):
        without_kinks(each)
    oracle.training_step(images)
    training_step(model, images)
    norms = oracle.gradient_norms()
    gradients = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
    ours = {name: float(each.double().norm()) for name, each in to_yolov3(gradients).items()}
    assert set(ours) == set(norms)
    tiny = 1e-6 * max(norms.values())
    errors = {name: error for name, error in relative_errors(ours, norms).items() if norms[name] > tiny}
    worst = max(errors, key=errors.get)
    print(f"\n{what}: losses {max(losses.values()):.1e}, gradients {errors[worst]:.1e} ({worst})", end="")
    assert errors[worst] <= 5e-4, worst


def test_detections(pair):
    oracle, model = pair
    images = images_of(SIZES_OF_IMAGES["three images"], seed=12)
    theirs = oracle.detections(images)
    pairs = [agreement(*each) for each in zip(detections(model, images), theirs, strict=True)]
    box, score = max(each.box_error for each in pairs), max(each.score_error for each in pairs)
    print(f"\n{sum(each.matched for each in pairs)} detections, {box:.1e} px, {score:.1e}", end="")
    assert all(each.complete for each in pairs), pairs
