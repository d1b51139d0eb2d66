"""RTMDet beside MMDetection itself; skipped where it is not installed. See test_mmdet_live.py.

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
from rdet.interop.rtmdet import from_rtmdet, to_rtmdet

pytest.importorskip("mmdet", reason="MMDetection is not installed")

from oracle.mmdetection import Oracle

EXPONENTIALS = {"model.bbox_head.exp_on_reg": True}  # as distances, which sizes above s have
SIZES = {"tiny": {}, "s": {}, "tiny, exponentials": EXPONENTIALS}
SIZES_OF_IMAGES = {
    "three images": ((250, 331, 9), (199, 190, 0), (163, 287, 41)),
    "one image without boxes": ((180, 260, 0),),
    "narrow ones": ((64, 400, 12), (390, 70, 3)),
}
OURS = {"model.backbone.weights": None, "model.postprocess.score_thr": 0.01}


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
            scale = (0.05 if each.bias is not None else 1) * math.sqrt(3 / each.weight[0].numel())
            each.weight.uniform_(-scale, scale, generator=generator)
            if each.bias is not None:
                each.bias.uniform_(-1, 1, generator=generator)
    for cls, reg in zip(model.bbox_head.rtm_cls, model.bbox_head.rtm_reg, strict=True):
        cls.bias -= 3
        reg.bias += 1 if model.bbox_head.exp_on_reg else 2.5  # boxes with sides of some strides


def keep_statistics(model: nn.Module) -> None:
    """Leave normalisation in eval mode: of a batch's statistics, a network so deep makes 1e-4 of each 1e-7."""
    for each in model.modules():
        if isinstance(each, nn.BatchNorm2d):
            each.eval().train = lambda mode=True, each=each: each


@pytest.fixture(scope="module", params=SIZES)
def pair(request):
    batch_norm = {f"model.{slot}.norm_cfg.type": "BN" for slot in ("backbone", "neck", "bbox_head")}
    size, options = request.param.partition(",")[0], SIZES[request.param]
    oracle = Oracle(
        f"rtmdet/rtmdet_{size}_8xb32-300e_coco", {**batch_norm, **options, "model.test_cfg.score_thr": 0.01}
    )
    randomise(oracle.model)
    oracle.training_step(images_of(SIZES_OF_IMAGES["three images"], seed=10))
    state = {name: value for name, value in oracle.model.state_dict().items() if "." in name}
    converted = from_rtmdet({}, state, "")
    cfg = load_config(ROOT / f"configs/rtmdet/rtmdet_{size}_640_coco.py", {**INPUT, **OURS, **options})
    assert converted.cfg.model.neck == cfg.model.neck
    model = build_detector(cfg, tuple(map(str, range(80))))
    model.load_state_dict(converted.weights)
    assert set(to_rtmdet(model.state_dict())) == set(state)
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
    expected = oracle.training_step(images)
    found = training_step(model, images)
    assert set(found) == set(expected)
    losses = relative_errors(found, expected)
    norms = oracle.gradient_norms()
    gradients = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
    ours = {name: float(each.double().norm()) for name, each in to_rtmdet(gradients).items()}
    assert set(ours) == set(norms)
    tiny = 1e-6 * max(norms.values())
    errors = {name: error for name, error in relative_errors(ours, norms).items() if norms[name] > tiny}
    worst = max(errors, key=errors.get)
    print(f"\n{what}: losses {max(losses.values()):.1e}, gradients {errors[worst]:.1e} ({worst})", end="")
    assert max(losses.values()) <= 1e-5, (losses, expected)
    assert errors[worst] <= 5e-4, worst


def test_detections(pair):
    oracle, model = pair
    images = images_of(SIZES_OF_IMAGES["three images"], seed=12)
    theirs = oracle.detections(images)
    pairs = [agreement(*each) for each in zip(detections(model, images), theirs, strict=True)]
    box, score = max(each.box_error for each in pairs), max(each.score_error for each in pairs)
    print(f"\n{sum(each.matched for each in pairs)} detections, {box:.1e} px, {score:.1e}", end="")
    assert all(each.complete for each in pairs), pairs
