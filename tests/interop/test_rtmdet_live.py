"""RTMDet beside MMDetection itself; skipped where it is not installed. See live.py."""

import pytest
import torch
from live import BATCHES, Pair, draw_weights, images_of, keep_statistics, weights_of
from parity import INPUT, ROOT

from rdet.apis.build import build_detector
from rdet.config import load_config
from rdet.interop.rtmdet import from_rtmdet, to_rtmdet

pytest.importorskip("mmdet", reason="MMDetection is not installed")

from oracle.mmdetection import Oracle

EXPONENTIALS = {"model.bbox_head.exp_on_reg": True}  # as distances, which sizes above s have
SIZES = {"tiny": {}, "s": {}, "tiny, exponentials": EXPONENTIALS, "m": {}, "l": {}, "x": {}}
DEEP = ("m", "l", "x")  # compared on small images
OURS = {"model.backbone.weights": None, "model.postprocess.score_thr": 0.01}
SMALL = {
    "two images": ((96, 64, 4), (70, 90, 7)),
    "one image without boxes": ((90, 60, 0),),
    "narrow ones": ((32, 90, 6), (96, 40, 3)),
}


@pytest.fixture(scope="module", params=SIZES)
def pair(request):
    batch_norm = {f"model.{slot}.norm_cfg.type": "BN" for slot in ("backbone", "neck", "bbox_head")}
    size, options = request.param.partition(",")[0], SIZES[request.param]
    overrides = {**batch_norm, **options, "model.test_cfg.score_thr": 0.01}
    oracle = Oracle(f"rtmdet/rtmdet_{size}_8xb32-300e_coco", overrides)
    draw_weights(oracle.model, last=0.01 if size in DEEP else 0.05)
    with torch.no_grad():
        for cls, reg in zip(oracle.model.bbox_head.rtm_cls, oracle.model.bbox_head.rtm_reg, strict=True):
            cls.bias -= 3
            reg.bias += 1 if oracle.model.bbox_head.exp_on_reg else 2.5  # boxes with sides of some strides
        shown = images_of(BATCHES["three images"], seed=10)
        if size in DEEP:  # images that are compared are among them: those of other images may let maps grow to 1e5
            shown = images_of(SMALL["two images"], seed=11) + images_of(((128, 160, 0),), seed=10)
        oracle.forward_training(shown)
    state = weights_of(oracle.model)
    converted = from_rtmdet({}, state, "")
    cfg = load_config(ROOT / f"configs/rtmdet/rtmdet_{size}_640_coco.py", {**INPUT, **OURS, **options})
    assert converted.cfg.model.neck == cfg.model.neck
    model = build_detector(cfg, tuple(map(str, range(80))))
    model.load_state_dict(converted.weights)
    assert set(to_rtmdet(model.state_dict())) == set(state)
    keep_statistics(oracle.model, model)
    return Pair(f"RTMDet-{request.param}", oracle, model, to_rtmdet)


def is_deep(pair):
    return pair.name.removeprefix("RTMDet-") in DEEP


@pytest.mark.parametrize("what", BATCHES)
def test_losses_and_gradients(pair, what):
    if not is_deep(pair):
        pair.compare_training(images_of(BATCHES[what], seed=11), what)
    elif what in SMALL:  # float32 rounds gradients, and losses of two images, by more than the limits
        pair.compare_losses(images_of(SMALL[what], seed=11), what)


@pytest.mark.parametrize("what", SMALL)
def test_losses_and_gradients_in_float64(pair, what):
    pair.compare_in_float64(images_of(SMALL[what], seed=11), what)


def test_detections(pair):
    sizes = (*SMALL["two images"], SMALL["narrow ones"][0]) if is_deep(pair) else BATCHES["three images"]
    pair.compare_detections(images_of(sizes, seed=12), "three images")
