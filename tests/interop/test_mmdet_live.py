"""rdet beside MMDetection itself, on other inputs than those of the fixtures; skipped where it is not installed.

``pytest -s`` prints the largest error of each comparison. docs/interop.md says how to make the environment.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
from live import BATCHES as COMMON
from live import Pair, images_of
from made_weights import made_weights
from mmengine.config import Config
from parity import INPUT, Source, names_of, renamed_losses
from torch import Tensor

from rdet.apis.build import build_detector
from rdet.config import load_config
from rdet.interop.mmdet_config import convert_config
from rdet.interop.mmdetection import from_mmdetection, to_mmdetection

pytest.importorskip("mmdet", reason="MMDetection is not installed")

from oracle.mmdetection import CONFIGS, DoubleOracle, Oracle

FCOS = "fcos/fcos_r50-caffe_fpn_gn-head"
CASES = {  # name -> MMDetection's config, epoch
    "RetinaNet": ("retinanet/retinanet_r50_fpn_1x_coco", 0),
    "RetinaNet with GHM": ("ghm/retinanet_r50_fpn_ghm-1x_coco", 0),
    "FCOS, first head": (f"{FCOS}_1x_coco", 0),
    "FCOS, second head": (f"{FCOS}-center-normbbox-centeronreg-giou_1x_coco", 0),
    "ATSS": ("atss/atss_r50_fpn_1x_coco", 0),
    "GFL": ("gfl/gfl_r50_fpn_1x_coco", 0),
    "VFNet": ("vfnet/vfnet_r50_fpn_1x_coco", 0),
    "PAA": ("paa/paa_r50_fpn_1x_coco", 0),
    "DDOD": ("ddod/ddod_r50_fpn_1x_coco", 0),
    "YOLOF": ("yolof/yolof_r50-c5_8xb8-1x_coco", 0),
    "TOOD, epoch 3": ("tood/tood_r50_fpn_1x_coco", 3),
    "TOOD, epoch 5": ("tood/tood_r50_fpn_1x_coco", 5),
}
ON_HOST = ("RetinaNet", "RetinaNet with GHM", "PAA", "YOLOF")
RESNET_18 = {"model.backbone.depth": 18, "model.neck.in_channels": [64, 128, 256, 512]}
DAMPED = ("bn2", "downsample")  # blocks of two convolutions end in bn2

BATCHES = {**COMMON, "one image": ((241, 209, 5),)}


@pytest.fixture(scope="module", params=CASES)
def pair(request):
    """A detector with a ResNet-18."""
    return _pair(request.param)


def _pair(name: str, theirs: dict | None = None, ours: dict | None = None) -> Pair:
    config, _ = CASES[name]
    one_level = {"model.neck.in_channels": 512} if config.startswith("yolof") else {}
    kind = DoubleOracle if name == "PAA" else Oracle  # scikit-learn rounds, so that positives come and go
    oracle = kind(config, {**RESNET_18, **one_level, **(theirs or {})}, seed=1, damped=DAMPED)
    source = Source.of(config)
    model = source.detector(oracle.shapes, ours, seed=1, damped=DAMPED)
    assert names_of(source.shapes(model)) == names_of(oracle.shapes)
    # Normalised by the statistics of the batch, YOLOF has all gradients rounded by float32.
    limit = 0.005 if name == "YOLOF" else 1e-3
    return Pair(name, oracle, model, source.renamed, source.losses, limit)


@pytest.fixture
def epoch(pair):
    return CASES[pair.name][1]


@pytest.mark.parametrize("what", BATCHES)
def test_losses_and_gradients(pair, epoch, what):
    pair.compare_training(images_of(BATCHES[what], seed=11), what, epoch)


def test_losses_and_gradients_in_float64(pair, epoch):
    if pair.name in ON_HOST:
        pytest.skip("its assigner takes float32 alone; test_mmdet_parity.py has its gradients in float64")
    pair.compare_in_float64(images_of(BATCHES["one image"], seed=11), "one image", epoch)


@pytest.mark.parametrize("what", BATCHES)
def test_detections(pair, what):
    pair.compare_detections(images_of(BATCHES[what], seed=12), what)


def test_detections_in_pixels_of_the_original_image(pair):
    pair.compare_detections(images_of(((203, 251, 1),), seed=13), "resized", scale_factor=(0.625, 0.6))


def _crowds(images: Sequence) -> list[Tensor]:
    """A region over the left half of each image."""
    return [torch.tensor([[0.0, 0.0, image.shape[2] / 2, image.shape[1]]]) for image, *_ in images]


def test_crowds_are_background(pair, epoch):
    images = images_of(BATCHES["three images"], seed=14)
    pair.compare_training(images, "crowds", epoch, _crowds(images))


def test_crowds_are_ignored():
    """Where MMDetection is told to ignore them. It does not in images without boxes, and of boxes in a crowd it ignores
    the positives too; these are not compared."""
    options = [{f"{place}.ignore_iof_thr": 0.5} for place in ("model.train_cfg.assigner", "model.assigner")]
    pair = _pair("RetinaNet", *options)
    images = []
    for image, boxes, labels in images_of(BATCHES["narrow ones"], seed=14):
        width = image.shape[2]
        right = boxes * torch.tensor([0.4, 1, 0.4, 1]) + torch.tensor([0.6 * width, 0, 0.6 * width, 0])
        images.append((image, right, labels))
    pair.compare_training(images, "crowds ignored", ignored=_crowds(images))


CONVERTED = {  # MMDetection's config -> epoch
    "retinanet/retinanet_r18_fpn_1x_coco": 0,
    "retinanet/retinanet_r50-caffe_fpn_1x_coco": 0,
    "retinanet/retinanet_r101_fpn_1x_coco": 0,
    "retinanet/retinanet_x101-64x4d_fpn_1x_coco": 0,
    "ghm/retinanet_r101_fpn_ghm-1x_coco": 0,
    f"{FCOS}-center_1x_coco": 0,
    "fcos/fcos_x101-64x4d_fpn_gn-head_ms-640-800-2x_coco": 0,
    "atss/atss_r101_fpn_1x_coco": 0,
    "gfl/gfl_x101-32x4d_fpn_ms-2x_coco": 0,
    "vfnet/vfnet_r101_fpn_1x_coco": 0,
    "tood/tood_r50_fpn_anchor-based_1x_coco": 0,
    "tood/tood_r101_fpn_ms-2x_coco": 4,
    "ddod/ddod_r50_fpn_1x_coco": 0,
    "fcos/fcos_r50-dcn-caffe_fpn_gn-head-center-normbbox-centeronreg-giou_1x_coco": 0,
    "vfnet/vfnet_r50-mdconv-c3-c5_fpn_ms-2x_coco": 0,
    "regnet/retinanet_regnetx-3.2GF_fpn_1x_coco": 0,
    "hrnet/fcos_hrnetv2p-w18-gn-head_4xb4-1x_coco": 0,
}


@pytest.mark.parametrize("config", CONVERTED)
def test_converted_configs(config, tmp_path):
    """A config file of MMDetection becomes one of rdet, which gives its numbers."""
    damped = DAMPED if "r18" in config else ("bn3", "downsample")
    if config.startswith("hrnet"):
        damped = ("bn2", "bn3", "downsample", "fuse_layers")
    if "retinanet_r101" in config or "retinanet_x101" in config:
        damped = ("bn2", "bn3", "downsample")  # without a normalisation in the head, scores would be 1
    oracle = Oracle(config, seed=2, damped=damped)
    convert_config(CONFIGS / f"{config}.py", tmp_path / "converted.py")
    cfg: Config = load_config(tmp_path / "converted.py", {"model.backbone.weights": None, **INPUT})
    model = build_detector(cfg, tuple(map(str, range(80))))
    state, architecture = from_mmdetection(made_weights(oracle.shapes, seed=2, damped=damped))
    model.load_state_dict(state)
    family = architecture.family
    pair = Pair(
        Path(config).name,
        oracle,
        model,
        partial(to_mmdetection, family=family),
        partial(renamed_losses, family=family),
        limit=6e-3,  # rounding grows with the depth
    )
    images = images_of(((160, 250, 7), (201, 173, 2)), seed=15)
    pair.compare_training(images, "converted", CONVERTED[config])
    pair.compare_detections(images, "converted")
