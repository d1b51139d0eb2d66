"""A tiny detector of each family, whose random weights find something everywhere, and images for it.

Whoever exports one makes it quicker: the exporter reads all functions of onnxscript again for each export, 0.4 s.
"""

import copy
from functools import cache

import tiny_parts  # noqa: F401
import torch
from mmengine.config import Config

from rdet.apis.build import build_detector
from rdet.structures import DetDataSample

_DISTANCES = {
    "anchor_generator": {"type": "PointGenerator"},
    "assigner": {"type": "FCOSAssigner"},
    "bbox_coder": {"type": "DistancePointBBoxCoder"},
}
_SQUARES = {
    "anchor_generator": {"type": "AnchorGenerator", "scales_per_octave": 1, "ratios": [1.0]},
    "assigner": {"type": "ATSSAssigner"},
}
_CELLS = {
    "anchor_generator": {
        "type": "FittedAnchorGenerator",
        "sizes": [[(10, 13), (16, 30)], [(30, 61), (62, 45)]],
        "center_offset": 0.5,
    },
    "bbox_coder": {"type": "YOLOBBoxCoder"},
    "loss_bbox": {"type": "GIoULoss"},
}
_QUALITY = {"loss_quality": {"type": "BinaryCrossEntropyLoss"}}
_GN = {"norm_cfg": {"type": "GN", "num_groups": 4}}
FAMILIES = {
    "RetinaNet": {"bbox_head": {"type": "RetinaHead", "stacked_convs": 1}},
    "FCOS": {**_DISTANCES, **_QUALITY, "bbox_head": {"type": "FCOSHead", "stacked_convs": 1}},
    "FCOS 2019": {
        **_DISTANCES,
        **_QUALITY,
        "bbox_head": {"type": "FCOSHead", "stacked_convs": 1, "distance": "exp", "quality_tower": "cls"},
        "bbox_coder": {"type": "DistancePointBBoxCoder", "unit": "pixel"},
    },
    "ATSS": {**_SQUARES, **_QUALITY, "bbox_head": {"type": "ATSSHead", "stacked_convs": 1, **_GN}},
    "DDOD": {**_SQUARES, **_QUALITY, "bbox_head": {"type": "DDODHead", "stacked_convs": 1, **_GN}},
    "GFL": {
        **_SQUARES,
        "bbox_head": {"type": "GFLHead", "stacked_convs": 1},
        "bbox_coder": {"type": "DistributionBBoxCoder", "reg_max": 4},
        "loss_cls": {"type": "QualityFocalLoss"},
        "loss_bbox": {"type": "GIoULoss"},
    },
    "VFNet": {
        **_SQUARES,
        "bbox_head": {"type": "VFNetHead", "stacked_convs": 1, "base_distance": 2.0},
        "bbox_coder": {"type": "DistancePointBBoxCoder"},
        "loss_cls": {"type": "VarifocalLoss"},
        "loss_bbox": {"type": "GIoULoss"},
    },
    "TOOD": {
        **_DISTANCES,
        "bbox_head": {"type": "TOODHead", "stacked_convs": 2, **_GN},
        "loss_cls": {"type": "QualityFocalLoss"},
    },
    "TOOD of MMDetection": {
        **_DISTANCES,
        "bbox_head": {"type": "TOODAnchorHead", "stacked_convs": 2, "displace": "corners"},
        "loss_cls": {"type": "QualityFocalLoss"},
    },
    "YOLOF": {
        "anchor_generator": {"type": "AnchorGenerator", "octave_base_scale": 2, "scales_per_octave": 2},
        "bbox_head": {"type": "YOLOFHead", "stacked_convs": 1, "reg_stacked_convs": 1},
        "bbox_coder": {"type": "DeltaXYWHBBoxCoder", "max_shift": 4},
    },
    "NanoDet": {
        # Without its shuffles, which the neck makes up for.
        "backbone": {"type": "TorchvisionBackbone", "model_name": "shufflenet_v2_x0_5"},
        "neck": {"type": "NanoDetPAN", "out_channels": 16},
        **_SQUARES,
        "bbox_head": {"type": "NanoDetHead"},
        "bbox_coder": {"type": "DistributionBBoxCoder", "reg_max": 7},
        "loss_cls": {"type": "QualityFocalLoss"},
        "loss_bbox": {"type": "GIoULoss"},
    },
    "YOLOv3": {
        **_CELLS,
        "bbox_head": {"type": "YOLOHead", "feat_channels": [16, 16]},
        "loss_cls": {"type": "PositiveCrossEntropyLoss"},
        "loss_obj": {"type": "CrossEntropyLoss"},
        "postprocess": {
            "type": "YOLOPostprocess",
            "score_thr": 0.01,
            "object_thr": 0.0101,
            "topk_per_level": 60,
            "max_per_img": 40,
            "rank_by": "class_score",
            "quality_score": "product",
        },
    },
    "YOLOv2": {
        **_CELLS,
        "bbox_head": {"type": "YOLOv2Head", "feat_channels": [16, 16]},
        "loss_cls": {"type": "PositiveSoftmaxLoss"},
        "loss_obj": {"type": "SquaredObjectLoss"},
    },
    "SSD": {
        "neck": {
            "type": "SSDNeck",
            "extra": [(8, 16, 3, 2, 1)] * 5,
            "strides": [8, 16, 32, 64, 128, 256],
            "fc_channels": None,
        },
        "anchor_generator": {
            "type": "DefaultBoxGenerator",
            "image_size": 128,
            "scales": [0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.0],
            "ratios": [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
        },
        "bbox_head": {"type": "SSDHead"},
        "bbox_coder": {"type": "DeltaXYWHBBoxCoder", "target_stds": [0.1, 0.1, 0.2, 0.2]},
        "loss_cls": {"type": "SoftmaxFocalLoss", "alpha": None, "gamma": 0.0},
    },
    "softmax": {
        "bbox_head": {"type": "RetinaHead", "stacked_convs": 0},
        "loss_cls": {"type": "SoftmaxFocalLoss"},
        "anchor_generator": {"type": "AnchorGenerator", "rounded": True},
    },
}
PIPELINE = [{"type": "LoadImageFromFile"}, {"type": "PackDetInputs"}]


def detector(family, classes=3, **postprocess):
    """In eval mode, with ``cfg`` and ``classes``; the same for the same arguments."""
    model = {
        "type": "RetinaNet",
        "backbone": {"type": "TinyBackbone"},
        "neck": {"type": "FPN", "out_channels": 16, "num_extra": 1},
        "anchor_generator": {"type": "AnchorGenerator", "octave_base_scale": 2, "scales_per_octave": 2},
        "assigner": {"type": "MaxIoUAssigner"},
        "bbox_coder": {"type": "DeltaXYWHBBoxCoder"},
        "loss_cls": {"type": "FocalLoss"},
        "loss_bbox": {"type": "SmoothL1Loss"},
        "postprocess": {"type": "NMSPostprocess", "score_thr": 0.0, "topk_per_level": 60, "max_per_img": 40},
        "data_preprocessor": {"type": "DetDataPreprocessor"},
    } | FAMILIES[family]
    if family != "SSD":  # whose head has no towers
        model["bbox_head"] = {"feat_channels": 16, **model["bbox_head"]}
    model["postprocess"] = {**model["postprocess"], **postprocess}
    cfg = Config({"model": model, "test_dataloader": {"dataset": {"type": "CocoDataset", "pipeline": PIPELINE}}})
    torch.manual_seed(0)
    names = tuple(f"class{index}" for index in range(classes))
    found = build_detector(cfg, names).eval()
    for name, parameter in found.named_parameters():
        if "bbox_head" in name and parameter.dim() > 1:
            parameter.data.mul_(4)  # else all boxes are the priors, and all scores the same
            if "offset" in name:
                parameter.data.normal_(std=0.1)
    # Scores that are nearly the same would be cut off by rounding.
    with torch.no_grad():
        spread = found(torch.randn(1, 3, 96, 128)).logits.std()
    for name, parameter in found.named_parameters():
        if "conv_cls" in name and parameter.dim() > 1:
            parameter.data.div_(spread)
    found.cfg, found.classes = cfg, names
    return found


def batch(*sizes, seed=0):
    """What the data loader gives: noise of some (height, width), said to be halved in x: boxes are mapped back."""
    generator = torch.Generator().manual_seed(seed)
    images = [torch.randint(256, (3, *size), generator=generator, dtype=torch.uint8) for size in sizes]
    samples = [
        DetDataSample(metainfo={"img_shape": size, "scale_factor": (0.5, 1.0), "img_id": index, "ori_shape": size})
        for index, size in enumerate(sizes)
    ]
    return {"inputs": images, "data_samples": samples}


def copied(data):
    """The same batch, since a detector writes into its samples."""
    return {"inputs": list(data["inputs"]), "data_samples": [sample.clone() for sample in data["data_samples"]]}


def once(make):
    """A function that gives what ``make`` gave for what it was asked first: ONNX models take most of an export."""
    made = []

    def kept(*args, **options):
        if not made:
            made.append(make(*args, **options))
        return made[0]

    return kept


def _keep_functions_of_onnxscript():
    try:
        from torch.onnx._internal.exporter._registration import ONNXRegistry
    except ImportError:  # without onnxscript there are no exports
        return
    read = cache(ONNXRegistry.from_torchlib)

    def registry(*version, **named):
        found = copy.copy(read(*version, **named))
        found.functions = {name: list(functions) for name, functions in found.functions.items()}  # which exports add to
        return found

    ONNXRegistry.from_torchlib = staticmethod(registry)


_keep_functions_of_onnxscript()
