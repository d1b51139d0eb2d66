"""What holds for every head and every assigner, whatever the ground truth."""

import copy
import functools
import gc
import importlib
import inspect
import itertools
import pkgutil

import pytest
import torch
from mmengine.structures import InstanceData
from small_detector import match
from tiny_parts import TinyBackbone

import rdet.models.assigners
import rdet.models.dense_heads
from rdet.registry import MODELS
from rdet.structures import DetDataSample
from rdet.structures.assignment import IGNORE

SIZE = 64
HEADS = {
    "RetinaHead": {},
    "ATSSHead": {"loss_quality": {"type": "BinaryCrossEntropyLoss"}},
    "DDODHead": {"loss_quality": {"type": "BinaryCrossEntropyLoss"}, "level_weight": {"type": "RareLevelWeight"}},
    "FCOSHead": {
        "bbox_coder": {"type": "DistancePointBBoxCoder"},
        "loss_bbox": {"type": "GIoULoss"},
        "loss_quality": {"type": "BinaryCrossEntropyLoss"},
        "quality": {"type": "Centerness"},
        "bbox_weight": {"type": "SameQuality"},
    },
    "GFLHead": {
        "bbox_coder": {"type": "DistributionBBoxCoder", "reg_max": 4, "prior_scale": 4.0},
        "loss_cls": {"type": "QualityFocalLoss"},
        "loss_bbox": {"type": "GIoULoss"},
        "loss_dfl": {"type": "DistributionFocalLoss"},
        "bbox_weight": {"type": "ClassScore"},
    },
    "VFNetHead": {
        "bbox_coder": {"type": "DistancePointBBoxCoder"},
        "loss_cls": {"type": "VarifocalLoss"},
        "loss_bbox": {"type": "GIoULoss"},
        "loss_bbox_initial": {"type": "GIoULoss"},
        "bbox_weight": {"type": "SameQuality"},
    },
    "NanoDetHead": {
        "anchor_generator": {"type": "AnchorGenerator", "scales_per_octave": 1, "ratios": [1.0]},
        "bbox_coder": {"type": "DistributionBBoxCoder", "reg_max": 4, "prior_scale": 4.0},
        "loss_cls": {"type": "QualityFocalLoss"},
        "loss_bbox": {"type": "GIoULoss"},
        "loss_dfl": {"type": "DistributionFocalLoss"},
        "bbox_weight": {"type": "ClassScore"},
    },
    "SSDHead": {
        "bbox_head": {"type": "SSDHead"},
        "loss_cls": {"type": "SoftmaxFocalLoss", "alpha": None, "gamma": 0.0},
    },
    "YOLOXHead": {
        "bbox_coder": {"type": "DeltaXYWHBBoxCoder", "target_means": (-0.5, -0.5, 0.0, 0.0)},
        "loss_cls": {"type": "PositiveCrossEntropyLoss"},
        "loss_bbox": {"type": "IoULoss", "mode": "square"},
        "loss_obj": {"type": "CrossEntropyLoss"},
        "loss_l1": {"type": "L1Loss"},
    },
    "YOLOHead": {
        "bbox_head": {"type": "YOLOHead"},
        "bbox_coder": {"type": "YOLOBBoxCoder"},
        "loss_cls": {"type": "PositiveCrossEntropyLoss"},
        "quality": {"type": "UnitQuality"},
        "loss_bbox": {"type": "CellBoxLoss"},
        "loss_obj": {"type": "CrossEntropyLoss"},
        "normalizer": {"type": "SumNormalizer"},
    },
    "YOLOv2Head": {
        "bbox_head": {"type": "YOLOv2Head"},
        "bbox_coder": {"type": "YOLOBBoxCoder"},
        "loss_cls": {"type": "PositiveSoftmaxLoss"},
        "loss_bbox": {"type": "SquaredCellBoxLoss"},
        "loss_obj": {"type": "SquaredObjectLoss"},
        "normalizer": {"type": "ImageCountNormalizer"},
    },
    "DSSDHead": {
        "bbox_head": {"type": "DSSDHead", "module_channels": 8, "middle_channels": 4},
        "loss_cls": {"type": "SoftmaxFocalLoss", "alpha": None, "gamma": 0.0},
    },
    "SSDLiteHead": {
        "bbox_head": {"type": "SSDLiteHead"},
        "loss_cls": {"type": "SoftmaxFocalLoss", "alpha": None, "gamma": 0.0},
    },
    "RTMDetSepBNHead": {
        "anchor_generator": {"type": "PointGenerator", "center_offset": 0.0},
        "bbox_coder": {"type": "DistancePointBBoxCoder"},
        "loss_cls": {"type": "QualityFocalLoss"},
        "loss_bbox": {"type": "GIoULoss"},
        "cls_mass": {"type": "SameQuality"},
        "bbox_weight": {"type": "SameQuality"},
    },
    "YOLOFHead": {"loss_bbox": {"type": "GIoULoss"}},
    "TOODHead": {
        "anchor_generator": {"type": "PointGenerator"},
        "bbox_coder": {"type": "DistancePointBBoxCoder"},
        "loss_cls": {"type": "VarifocalLoss"},
        "loss_bbox": {"type": "GIoULoss"},
        "quality": {"type": "TaskAlignedQuality"},
        "bbox_weight": {"type": "SameQuality"},
        "cls_mass": {"type": "SameQuality"},
    },
    "TOODAnchorHead": {
        "bbox_coder": {"type": "DistancePointBBoxCoder"},
        "loss_cls": {"type": "QualityFocalLoss"},
        "loss_bbox": {"type": "GIoULoss"},
        "quality": {"type": "TaskAlignedQuality"},
        "bbox_weight": {"type": "SameQuality"},
        "cls_mass": {"type": "SameQuality"},
    },
}
ASSIGNERS = ["MaxIoUAssigner", "ATSSAssigner", "FCOSAssigner", "TaskAlignedAssigner", "SimOTAAssigner"]
ASSIGNERS += [
    "AlignedATSSAssigner",
    "DynamicSoftLabelAssigner",
    "GridAssigner",
    "BestAnchorAssigner",
    "PAAAssigner",
    "UniformAssigner",
]


def registered(package) -> set[str]:
    """Names of the parts that a package registers."""
    names = set()
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        content = importlib.import_module(module.name)
        names |= {n for n, c in MODELS._module_dict.items() if inspect.getmodule(c) is content}
    return names


def test_every_head_and_assigner_is_here():
    assert registered(rdet.models.dense_heads) == set(HEADS)
    # What is made of two of them is in test_ddod.py.
    assert registered(rdet.models.assigners) == {*ASSIGNERS, "SeparateAssigner"}


@functools.cache
def build(head, assigner):
    torch.manual_seed(0)
    cfg = {
        "type": "OneStageDetector",
        "num_classes": 3,
        "backbone": {"type": TinyBackbone, "dropout": 0.0},
        "neck": {"type": "FPN", "out_channels": 8, "num_extra": 2},
        "bbox_head": {"type": head, "feat_channels": 8, "stacked_convs": 1},
        "anchor_generator": {"type": "AnchorGenerator", "scales_per_octave": 1, "ratios": [1.0]},
        "assigner": {"type": assigner},
        "bbox_coder": {"type": "DeltaXYWHBBoxCoder"},
        "loss_cls": {"type": "FocalLoss"},
        "loss_bbox": {"type": "SmoothL1Loss"},
        "postprocess": {"type": "NMSPostprocess"},
    }
    return MODELS.build({**cfg, **HEADS[head]}, where="model")


def sample(boxes=(), ignored=()):
    result = DetDataSample(metainfo={"img_shape": (SIZE, SIZE), "scale_factor": (1.0, 1.0)})
    boxes = torch.as_tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    result.gt_instances = InstanceData(bboxes=boxes, labels=torch.arange(len(boxes)) % 3)
    result.ignored_instances = InstanceData(bboxes=torch.as_tensor(ignored, dtype=torch.float32).reshape(-1, 4))
    return result


def many(count):
    corner = torch.rand(count, 2, generator=torch.Generator().manual_seed(2)) * 40
    return torch.cat([corner, corner + 4 + torch.rand(count, 2, generator=torch.Generator().manual_seed(3)) * 20], 1)


ONE = [[8, 8, 44, 40]]
EVERYWHERE = [[-1000, -1000, 1000, 1000]]
CASES = {
    "one box": [sample(ONE)],
    "no box": [sample()],
    "no box in one image": [sample(ONE), sample()],
    "2000 boxes": [sample(many(2000))],
    "box outside every prior": [sample([[5000, 5000, 5040, 5060]])],
    "all ignored": [sample(ignored=EVERYWHERE)],
    "all ignored in one image": [sample(ONE), sample(ignored=EVERYWHERE)],
}


# Each head with each assigner, and each of both in each case.
PAIRS = [
    (head, assigner, list(CASES)[(row + column) % len(CASES)])
    for row, head in enumerate(HEADS)
    for column, assigner in enumerate(ASSIGNERS)
]


@pytest.mark.parametrize(("head", "assigner", "case"), PAIRS)
def test_losses_gradients_and_targets(head, assigner, case):
    model, samples = build(head, assigner).train(), CASES[case]
    model.zero_grad()
    inputs = torch.randn(len(samples), 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    predictions = model(inputs)
    priors = model.anchor_generator(predictions.level_sizes)

    matches, labels = match(model, predictions, priors, samples)
    assert labels.shape == (len(samples), len(priors))
    assert torch.equal(torch.stack([matches.image, matches.prior]), torch.stack((labels >= 0).nonzero(as_tuple=True)))
    offset = 0
    for image, sample_ in enumerate(samples):
        truth = sample_.gt_instances
        positive = labels[image] >= 0
        own = matches.gt_index[matches.image == image] - offset
        assert ((own >= 0) & (own < len(truth))).all()
        assert torch.equal(labels[image, positive], truth.labels[own])
        offset += len(truth)
        if case.startswith("all ignored") and not len(truth):
            assert (labels[image] == IGNORE).all()
        elif not len(truth) or "outside" in case:
            # What is nearest, but does not overlap, may take no part.
            few = 8 if "outside" in case and assigner == "UniformAssigner" else 0
            assert not (labels[image] >= 0).any()
            assert (labels[image] == IGNORE).sum() <= few

    losses = model.loss(predictions, priors, samples)
    assert all(value.shape == () and value.isfinite() for value in losses.values()), losses
    assert (losses["loss_bbox"] > 0) == bool((labels >= 0).any())
    of_background = losses.get("loss_obj", losses["loss_cls"])
    assert (of_background > 0) == (case != "all ignored")
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:  # every one takes part, as DistributedDataParallel expects
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("head", HEADS)
def test_detections(head):
    model = build(head, "MaxIoUAssigner").eval()
    model.postprocess.score_thr = 0.0
    with torch.no_grad():
        first, second = model(torch.randn(2, 3, SIZE, SIZE), [sample(), sample()], mode="predict")
    for found in (first.pred_instances, second.pred_instances):
        assert 0 < len(found) <= 100
        assert found.bboxes.isfinite().all()
        assert ((found.bboxes >= 0) & (found.bboxes <= SIZE)).all()
        if head not in ("SSDHead", "DSSDHead", "SSDLiteHead"):  # which have none
            assert found.scores.max() < 0.2  # the prior probability is 0.01


@pytest.mark.parametrize("mode", ["loss", "predict"])
@pytest.mark.parametrize(("head", "assigner"), list(zip(HEADS, itertools.cycle(ASSIGNERS))))  # each of both
def test_no_tensor_of_a_step_waits_for_the_garbage_collector(head, assigner, mode):
    """What refers to itself keeps the maps of a step, on a GPU too, until Python looks for cycles."""
    model = build(head, assigner).train(mode == "loss")
    inputs = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    gc.freeze()  # what there was before is not looked at; looking takes longer than the step
    gc.disable()
    try:
        result = model(inputs, [copy.deepcopy(CASES["one box"][0])], mode=mode)
        if mode == "loss":
            sum(result.values()).backward()
        del result
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found = [type(thing) for thing in gc.garbage if isinstance(thing, torch.Tensor)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
        gc.unfreeze()
    assert not found
