"""rdet beside MMDetection itself, on other inputs than those of the fixtures; skipped where it is not installed.

``pytest -s`` prints the largest error of each comparison. docs/interop.md says how to make the environment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from made_weights import made_images, made_weights
from mmengine.config import Config
from parity import (
    INPUT,
    Source,
    agreement,
    detections,
    gradient_norms,
    loss_errors,
    names_of,
    relative_errors,
    training_step,
)
from torch import Tensor

from rdet.apis.build import build_detector
from rdet.config import load_config
from rdet.interop.mmdet_config import convert_config
from rdet.interop.mmdetection import from_mmdetection

pytest.importorskip("mmdet", reason="MMDetection is not installed")

from oracle.mmdetection import CONFIGS, Oracle

FCOS = "fcos/fcos_r50-caffe_fpn_gn-head"
CASES = {  # name -> MMDetection's config, epoch
    "RetinaNet": ("retinanet/retinanet_r50_fpn_1x_coco", 0),
    "RetinaNet with GHM": ("ghm/retinanet_r50_fpn_ghm-1x_coco", 0),
    "FCOS, first head": (f"{FCOS}_1x_coco", 0),
    "FCOS, second head": (f"{FCOS}-center-normbbox-centeronreg-giou_1x_coco", 0),
    "ATSS": ("atss/atss_r50_fpn_1x_coco", 0),
    "GFL": ("gfl/gfl_r50_fpn_1x_coco", 0),
    "VFNet": ("vfnet/vfnet_r50_fpn_1x_coco", 0),
    "DDOD": ("ddod/ddod_r50_fpn_1x_coco", 0),
    "YOLOF": ("yolof/yolof_r50-c5_8xb8-1x_coco", 0),
    "TOOD, epoch 3": ("tood/tood_r50_fpn_1x_coco", 3),
    "TOOD, epoch 5": ("tood/tood_r50_fpn_1x_coco", 5),
}
RESNET_18 = {"model.backbone.depth": 18, "model.neck.in_channels": [64, 128, 256, 512]}
DAMPED = ("bn2", "downsample")  # blocks of two convolutions end in bn2

# Sides that are no multiple of 32, batches with much padding, many boxes, few and none.
BATCHES = {
    "three images": ((250, 331, 9), (199, 190, 0), (163, 287, 41)),
    "one image": ((241, 209, 5),),
    "one image without boxes": ((180, 260, 0),),
    "narrow ones": ((64, 400, 12), (390, 70, 3)),
}


@dataclass
class Pair:
    """The same detector in MMDetection and in rdet.

    Attributes:
        name: For the printed lines.
        family: As :mod:`rdet.interop.mmdetection` calls it.
        epoch: Of the training.
    """

    name: str
    family: str
    oracle: Any
    model: Any
    epoch: int = 0

    def compare_training(
        self, images: Sequence, what: str, ignored: Sequence[Tensor] | None = None, limit: float = 5e-4
    ) -> None:
        """Losses to 1e-5 and norms of gradients to ``limit``, both in float32; of one number, a sum over a map, 5e-3.

        What float32 rounds in gradients, test_mmdet_parity.py shows in float64.
        """
        expected = self.oracle.training_step(images, self.epoch, ignored)
        losses = loss_errors(training_step(self.model, images, self.epoch, ignored), expected, self.family)
        norms = self.oracle.gradient_norms()
        found = gradient_norms(self.model, self.family)
        assert not any(found[name] for name in set(found) - set(norms))  # without boxes, YOLOF's have none there
        gradients = relative_errors(found, norms)
        tiny = 1e-6 * max(norms.values())  # where terms cancel to nothing, so do the digits
        gradients = {name: error for name, error in gradients.items() if norms[name] > tiny}
        single = {name: gradients.pop(name) for name in list(gradients) if name.endswith(".scale")}
        worst = max(gradients, key=gradients.get)
        if self.family == "YOLOF":  # normalised by the statistics of the batch, of which float32 rounds all gradients
            limit = 0.005
        print(
            f"\n{self.name}, {what}: losses {max(losses.values()):.1e}, gradients {gradients[worst]:.1e} ({worst}), "
            f"scales {max(single.values(), default=0):.1e}",
            end="",
        )
        assert max(losses.values()) <= 1e-5, (losses, expected)
        assert gradients[worst] <= limit, worst
        assert max(single.values(), default=0) <= 5e-3, single

    def compare_detections(self, images: Sequence, what: str, scale_factor: tuple[float, float] = (1.0, 1.0)) -> None:
        """All detections to 0.01 pixels and 1e-4 in score."""
        theirs = self.oracle.detections(images, scale_factor)
        pairs = [agreement(*each) for each in zip(detections(self.model, images, scale_factor), theirs, strict=True)]
        matched, expected = sum(each.matched for each in pairs), sum(each.expected for each in pairs)
        box, score = max(each.box_error for each in pairs), max(each.score_error for each in pairs)
        print(f"\n{self.name}, {what}: {matched} of {expected} detections, {box:.1e} px, {score:.1e}", end="")
        assert all(each.complete for each in pairs), pairs


def _images(sizes: Sequence[tuple[int, int, int]], seed: int) -> list:
    """:func:`made_images` with boxes that are no multiples of anything.

    Boxes in eighths of a pixel are at equal distances from several priors, and ``torch.topk``, by which MMDetection's
    assigners choose among them, does not say which of equal ones it takes.
    """
    torch.manual_seed(seed)
    return [(image, boxes + torch.rand(boxes.shape) / 8, labels) for image, boxes, labels in made_images(sizes, seed)]


@pytest.fixture(scope="module", params=CASES)
def pair(request):
    """A detector with a ResNet-18."""
    return _pair(request.param)


def _pair(name: str, theirs: dict | None = None, ours: dict | None = None) -> Pair:
    config, epoch = CASES[name]
    one_level = {"model.neck.in_channels": 512} if config.startswith("yolof") else {}
    oracle = Oracle(config, {**RESNET_18, **one_level, **(theirs or {})}, seed=1, damped=DAMPED)
    source = Source.of(config)
    model = source.detector(oracle.shapes, ours, seed=1, damped=DAMPED)
    assert names_of(source.shapes(model)) == names_of(oracle.shapes)
    return Pair(name, source.family, oracle, model, epoch)


@pytest.mark.parametrize("what", BATCHES)
def test_losses_and_gradients(pair, what):
    pair.compare_training(_images(BATCHES[what], seed=11), what)


@pytest.mark.parametrize("what", BATCHES)
def test_detections(pair, what):
    pair.compare_detections(_images(BATCHES[what], seed=12), what)


def test_detections_in_pixels_of_the_original_image(pair):
    pair.compare_detections(_images(((203, 251, 1),), seed=13), "resized", scale_factor=(0.625, 0.6))


def _crowds(images: Sequence) -> list[Tensor]:
    """A region over the left half of each image."""
    return [torch.tensor([[0.0, 0.0, image.shape[2] / 2, image.shape[1]]]) for image, *_ in images]


def test_crowds_are_background(pair):
    images = _images(BATCHES["three images"], seed=14)
    pair.compare_training(images, "crowds", _crowds(images))


def test_crowds_are_ignored():
    """Where MMDetection is told to ignore them. It does not in images without boxes, and of boxes in a crowd it ignores
    the positives too; these are not compared."""
    options = [{f"{place}.ignore_iof_thr": 0.5} for place in ("model.train_cfg.assigner", "model.assigner")]
    pair = _pair("RetinaNet", *options)
    images = []
    for image, boxes, labels in _images(BATCHES["narrow ones"], seed=14):
        width = image.shape[2]
        right = boxes * torch.tensor([0.4, 1, 0.4, 1]) + torch.tensor([0.6 * width, 0, 0.6 * width, 0])
        images.append((image, right, labels))
    pair.compare_training(images, "crowds ignored", _crowds(images))


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
    pair = Pair(Path(config).name, architecture.family, oracle, model, CONVERTED[config])
    images = _images(((160, 250, 7), (201, 173, 2)), seed=15)
    pair.compare_training(images, "converted", limit=3e-3)  # rounding grows with the depth
    pair.compare_detections(images, "converted")
