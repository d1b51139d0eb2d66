"""A detector with few channels, built from a config, and images with boxes for it."""

import copy

import torch
from mmengine.structures import InstanceData
from tiny_parts import TinyPyramid

from rdet.registry import MODELS
from rdet.structures import DetDataSample
from rdet.structures.ground_truth import GroundTruth

CONFIG = {
    "type": "RetinaNet",
    "num_classes": 3,
    "backbone": {"type": TinyPyramid},
    "neck": {"type": "FPN", "out_channels": 16},
    "bbox_head": {"type": "RetinaHead", "feat_channels": 16, "stacked_convs": 1},
    "anchor_generator": {"type": "AnchorGenerator"},
    "assigner": {"type": "MaxIoUAssigner"},
    "bbox_coder": {"type": "DeltaXYWHBBoxCoder"},
    "loss_cls": {"type": "FocalLoss"},
    "loss_bbox": {"type": "SmoothL1Loss"},
    "postprocess": {"type": "NMSPostprocess"},
}
SIZE = (64, 96)
PRIORS = sum(h * w for h, w in ((8, 12), (4, 6), (2, 3), (1, 2), (1, 1))) * 9


def config(**changes):
    """CONFIG with ``part__key=value``; a value of None removes the key."""
    cfg = copy.deepcopy(CONFIG)
    for path, value in changes.items():
        *parts, key = path.split("__")
        node = cfg
        for part in parts:
            node = node.setdefault(part, {})
        if value is None:
            del node[key]
        else:
            node[key] = value
    return cfg


def build(**changes):
    torch.manual_seed(0)
    return MODELS.build(config(**changes), where="model")


def sample(boxes=(), labels=(), ignored=(), **meta):
    result = DetDataSample(metainfo={"img_shape": SIZE, "scale_factor": (1.0, 1.0), **meta})
    result.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), labels=torch.tensor(labels, dtype=torch.int64)
    )
    result.ignored_instances = InstanceData(bboxes=torch.tensor(ignored, dtype=torch.float32).reshape(-1, 4))
    return result


TWO = sample([[8, 8, 40, 40], [30, 10, 94, 60]], [0, 2])
ONE = sample([[50, 5, 90, 60]], [1])
EMPTY = sample()
ALL_IGNORED = sample(ignored=[[-1000, -1000, 1000, 1000]])


def images(count):
    return torch.randn(count, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def match(model, predictions, priors, samples):
    """The matches of a model, and the label of every prior, (N, A)."""
    truth = GroundTruth.of_samples(samples)
    matches = model.match(predictions, priors, truth)
    return matches, matches.labels(truth.labels.to(priors.device), len(samples), len(priors))
