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
SIZES = {"tiny": {}, "s": {}, "tiny, exponentials": EXPONENTIALS}
OURS = {"model.backbone.weights": None, "model.postprocess.score_thr": 0.01}


@pytest.fixture(scope="module", params=SIZES)
def pair(request):
    batch_norm = {f"model.{slot}.norm_cfg.type": "BN" for slot in ("backbone", "neck", "bbox_head")}
    size, options = request.param.partition(",")[0], SIZES[request.param]
    overrides = {**batch_norm, **options, "model.test_cfg.score_thr": 0.01}
    oracle = Oracle(f"rtmdet/rtmdet_{size}_8xb32-300e_coco", overrides)
    draw_weights(oracle.model)
    with torch.no_grad():
        for cls, reg in zip(oracle.model.bbox_head.rtm_cls, oracle.model.bbox_head.rtm_reg, strict=True):
            cls.bias -= 3
            reg.bias += 1 if oracle.model.bbox_head.exp_on_reg else 2.5  # boxes with sides of some strides
    oracle.training_step(images_of(BATCHES["three images"], seed=10))
    state = weights_of(oracle.model)
    converted = from_rtmdet({}, state, "")
    cfg = load_config(ROOT / f"configs/rtmdet/rtmdet_{size}_640_coco.py", {**INPUT, **OURS, **options})
    assert converted.cfg.model.neck == cfg.model.neck
    model = build_detector(cfg, tuple(map(str, range(80))))
    model.load_state_dict(converted.weights)
    assert set(to_rtmdet(model.state_dict())) == set(state)
    keep_statistics(oracle.model, model)
    return Pair(f"RTMDet-{request.param}", oracle, model, to_rtmdet)


@pytest.mark.parametrize("what", BATCHES)
def test_losses_and_gradients(pair, what):
    pair.compare_training(images_of(BATCHES[what], seed=11), what)


def test_detections(pair):
    pair.compare_detections(images_of(BATCHES["three images"], seed=12), "three images")
