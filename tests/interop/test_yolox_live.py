"""YOLOX beside MMDetection itself; skipped where it is not installed. See test_mmdet_live.py.

``pytest -s`` prints the largest error of each comparison.
"""

import math

import pytest
import torch
from made_weights import made_images
from parity import INPUT, ROOT, agreement, detections, relative_errors, training_step
from torch import nn

from rdet.apis.build import build_detector
from rdet.config import load_config
from rdet.interop.yolox import from_yolox, to_yolox

pytest.importorskip("mmdet", reason="MMDetection is not installed")

from oracle.mmdetection import Oracle

SIZES = {"nano": 416, "tiny": 416, "s": 640}  # -> side of the images in its config
SIZES_OF_IMAGES = {
    "three images": ((250, 331, 9), (199, 190, 0), (163, 287, 41)),
    "one image without boxes": ((180, 260, 0),),
    "narrow ones": ((64, 400, 12), (390, 70, 3)),
}
OURS = {
    "model.assigner.eps": 1e-7,
    "model.postprocess.clip": False,
    "model.postprocess.max_per_img": 300,
    "model.postprocess.score_thr": 0.01,
}


@torch.no_grad()
def randomise(model: nn.Module) -> None:
    """Draw weights, and the statistics of normalisation from an image, so that scores and boxes are not absurd."""
    generator = torch.Generator().manual_seed(3)
    for each in model.modules():
        if isinstance(each, nn.BatchNorm2d):
            each.weight.uniform_(0.5, 1, generator=generator)
            each.bias.uniform_(-0.5, 0.5, generator=generator)
            each.momentum = 1.0
        elif isinstance(each, nn.Conv2d):
            scale = (0.05 if each.bias is not None else 1) * math.sqrt(3 / each.weight[0].numel())
            each.weight.uniform_(-scale, scale, generator=generator)
            if each.bias is not None:
                each.bias.uniform_(-1, 1, generator=generator)
    model.train()(torch.randn(2, 3, 256, 320, generator=generator), mode="tensor")


def keep_statistics(model: nn.Module) -> None:
    """Leave normalisation in eval mode: of a batch's statistics, a network so deep makes 1e-4 of each 1e-7."""
    for each in model.modules():
        if isinstance(each, nn.BatchNorm2d):
            each.eval().train = lambda mode=True, each=each: each


@pytest.fixture(scope="module", params=SIZES)
def pair(request):
    oracle = Oracle(f"yolox/yolox_{request.param}_8xb8-300e_coco")
    randomise(oracle.model)
    state = {name: value for name, value in oracle.model.state_dict().items() if "." in name}
    converted = from_yolox({}, state, "")
    path = ROOT / f"configs/yolox/yolox_{request.param}_{SIZES[request.param]}_coco.py"
    cfg = load_config(path, {**INPUT, **OURS})
    assert converted.cfg.val_dataloader == load_config(path).val_dataloader
    model = build_detector(cfg, tuple(map(str, range(80))))
    model.load_state_dict(converted.weights)
    assert set(to_yolox(model.state_dict(), "mmdet")) == set(state)
    for each in (oracle.model, model):
        keep_statistics(each)
    return oracle, model


def images_of(sizes, seed):
    torch.manual_seed(seed)
    return [(image, boxes + torch.rand(boxes.shape) / 8, labels) for image, boxes, labels in made_images(sizes, seed)]


@pytest.mark.parametrize("epoch", [0, 285])
@pytest.mark.parametrize("what", SIZES_OF_IMAGES)
def test_losses_and_gradients(pair, what, epoch):
    oracle, model = pair
    images = images_of(SIZES_OF_IMAGES[what], seed=11)
    oracle.model.bbox_head.use_l1 = epoch >= 285
    expected = oracle.training_step(images)
    found = training_step(model, images, epoch)
    assert set(found) == set(expected)
    losses = relative_errors(found, expected)
    norms = oracle.gradient_norms()
    gradients = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
    ours = {name: float(each.double().norm()) for name, each in to_yolox(gradients, "mmdet").items()}
    assert set(ours) == set(norms)
    tiny = 1e-6 * max(norms.values())
    errors = {name: error for name, error in relative_errors(ours, norms).items() if norms[name] > tiny}
    worst = max(errors, key=errors.get)
    print(
        f"\n{what}, epoch {epoch}: losses {max(losses.values()):.1e}, gradients {errors[worst]:.1e} ({worst})", end=""
    )
    assert max(losses.values()) <= 1e-5, (losses, expected)
    assert errors[worst] <= 5e-4, worst


def test_detections(pair):
    oracle, model = pair
    images = images_of(SIZES_OF_IMAGES["three images"], seed=12)
    theirs = oracle.detections(images)
    theirs = [{key: value[:300] for key, value in each.items()} for each in theirs]
    pairs = [agreement(*each) for each in zip(detections(model, images), theirs, strict=True)]
    box, score = max(each.box_error for each in pairs), max(each.score_error for each in pairs)
    print(f"\n{sum(each.matched for each in pairs)} detections, {box:.1e} px, {score:.1e}", end="")
    assert all(each.complete for each in pairs), pairs
