"""YOLOX beside MMDetection itself; skipped where it is not installed. See live.py."""

from functools import partial

import pytest
import torch
from live import BATCHES, Pair, draw_weights, images_of, keep_statistics, weights_of
from parity import INPUT, ROOT

from rdet.apis.build import build_detector
from rdet.config import load_config
from rdet.interop.yolox import from_yolox, to_yolox

pytest.importorskip("mmdet", reason="MMDetection is not installed")

from oracle.mmdetection import Oracle

SIZES = {"nano": 416, "tiny": 416, "s": 640}  # -> side of the images in its config
OURS = {
    "model.assigner.eps": 1e-7,
    "model.postprocess.clip": False,
    "model.postprocess.max_per_img": 300,
    "model.postprocess.score_thr": 0.01,
}


@pytest.fixture(scope="module", params=SIZES)
def pair(request):
    oracle = Oracle(f"yolox/yolox_{request.param}_8xb8-300e_coco")
    draw_weights(oracle.model)
    generator = torch.Generator().manual_seed(3)
    oracle.model.train()(torch.randn(2, 3, 256, 320, generator=generator), mode="tensor")
    state = weights_of(oracle.model)
    converted = from_yolox({}, state, "")
    path = ROOT / f"configs/yolox/yolox_{request.param}_{SIZES[request.param]}_coco.py"
    cfg = load_config(path, {**INPUT, **OURS})
    assert converted.cfg.val_dataloader == load_config(path).val_dataloader
    model = build_detector(cfg, tuple(map(str, range(80))))
    model.load_state_dict(converted.weights)
    assert set(to_yolox(model.state_dict(), "mmdet")) == set(state)
    keep_statistics(oracle.model, model)
    rename = partial(to_yolox, project="mmdet")
    return Pair(f"YOLOX-{request.param}", oracle, model, rename, most_detections=300)


@pytest.mark.parametrize("epoch", [0, 285])
@pytest.mark.parametrize("what", BATCHES)
def test_losses_and_gradients(pair, what, epoch):
    pair.oracle.model.bbox_head.use_l1 = epoch >= 285
    pair.compare_training(images_of(BATCHES[what], seed=11), f"{what}, epoch {epoch}", epoch)


@pytest.mark.parametrize("epoch", [0, 285])
def test_losses_and_gradients_in_float64(pair, epoch):
    pair.oracle.model.bbox_head.use_l1 = epoch >= 285
    pair.compare_in_float64(images_of(BATCHES["narrow ones"], seed=11), f"narrow ones, epoch {epoch}", epoch)


def test_detections(pair):
    pair.compare_detections(images_of(BATCHES["three images"], seed=12), "three images")
