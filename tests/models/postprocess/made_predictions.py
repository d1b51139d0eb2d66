"""Predictions and candidates that tests of every postprocess share."""

import pytest
import torch

from rdet.models.coders.delta_xywh_bbox_coder import DeltaXYWHBBoxCoder
from rdet.models.postprocess.dense_postprocess import DensePostprocess
from rdet.registry import MODELS
from rdet.structures import DensePredictions

CODER = DeltaXYWHBBoxCoder()


# Options under which each one's laws are tested.
CASES = {
    "NMSPostprocess": [{}],
    "SoftNMSPostprocess": [{"method": "linear"}, {"method": "gaussian"}],
    "DIoUNMSPostprocess": [{}],
    "ScoreVotingPostprocess": [{}],
    "WBFPostprocess": [{}, {"conf_type": "max"}],
    "YOLOPostprocess": [{"object_thr": 0.0}],
}


NAMES = sorted(name for name, module in MODELS._module_of.items() if module.startswith("rdet.models.postprocess."))


EACH = pytest.mark.parametrize(
    ("name", "options"), [(name, options) for name in NAMES for options in CASES.get(name, [{}])], ids=str
)


def build(name, **options) -> DensePostprocess:
    return MODELS.build({"type": name, **options})


def predictions_of(images=2, num_classes=4, with_quality=False, shift=-2.0):
    generator = torch.Generator().manual_seed(3)
    sizes = [(8, 12), (4, 6), (2, 3)]
    priors = torch.cat([cells(*size, 96 // size[1]) for size in sizes])
    logits = torch.randn(images, len(priors), num_classes, generator=generator) * 2 + shift
    deltas = torch.randn(images, len(priors), 4, generator=generator) / 3
    quality = torch.randn(images, len(priors), generator=generator) if with_quality else None
    return DensePredictions(logits, deltas, sizes, quality), priors


def cells(height, width, stride):
    y, x = (v.flatten() for v in torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))
    return torch.stack([x - 0.5, y - 0.5, x + 1.5, y + 1.5], dim=1) * stride


def crowd(count, num_classes=3, seed=0, objects=6):
    """Candidates around a few objects; no two scores are equal."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(objects, 2, generator=generator) * 60
    sides = torch.rand(objects, 2, generator=generator) * 25 + 10
    which = torch.randint(objects, (count,), generator=generator)
    top_left = corners[which] + torch.randn(count, 2, generator=generator) * 3
    boxes = torch.cat([top_left, top_left + sides[which] + torch.randn(count, 2, generator=generator) * 3], dim=1)
    scores = (torch.randperm(count, generator=generator) + 1) / (count + 1)
    return boxes.clamp(0, 90), scores, torch.randint(num_classes, (count,), generator=generator)
