"""Small detectors of each kind of head, for tests of what all share."""

from tiny_parts import TinyBackbone

ONE_PRIOR = {"type": "AnchorGenerator", "octave_base_scale": 8, "scales_per_octave": 1, "ratios": [1.0]}
DISTANCES = {"anchor_generator": ONE_PRIOR, "bbox_coder": {"type": "DistancePointBBoxCoder"}}
GN = {"type": "GN", "num_groups": 4}
FAMILIES = {
    "retinanet": {},
    "ghm": {
        "loss_cls": {"type": "GHMC", "bins": 4},
        "loss_bbox": {"type": "GHMR", "bins": 4},
        "normalizer": {"type": "NoNormalizer"},
    },
    "atss": {
        "bbox_head": {"type": "ATSSHead", "feat_channels": 16, "stacked_convs": 1},
        "anchor_generator": ONE_PRIOR,
        "loss_bbox": {"type": "GIoULoss"},
        "loss_quality": {"type": "BinaryCrossEntropyLoss"},
        "quality": {"type": "Centerness"},
        "bbox_weight": {"type": "SameQuality"},
    },
    "ddod": {
        "bbox_head": {"type": "DDODHead", "feat_channels": 16, "stacked_convs": 1},
        "anchor_generator": ONE_PRIOR,
        "loss_bbox": {"type": "GIoULoss"},
        "loss_quality": {"type": "BinaryCrossEntropyLoss"},
        "level_weight": {"type": "RareLevelWeight"},
    },
    "fcos": {
        "bbox_head": {"type": "FCOSHead", "feat_channels": 16, "stacked_convs": 1, "distance": "exp"},
        "anchor_generator": {"type": "PointGenerator"},
        "bbox_coder": {"type": "DistancePointBBoxCoder", "unit": "pixel"},
        "loss_bbox": {"type": "IoULoss"},
        "loss_quality": {"type": "BinaryCrossEntropyLoss"},
        "quality": {"type": "Centerness"},
        "bbox_weight": {"type": "SameQuality"},
    },
    "yolof": {
        "bbox_head": {"type": "YOLOFHead", "stacked_convs": 1, "norm_cfg": GN},
        "loss_bbox": {"type": "GIoULoss"},
    },
    "gfl": {
        "bbox_head": {"type": "GFLHead", "feat_channels": 16, "stacked_convs": 1},
        "anchor_generator": ONE_PRIOR,
        "bbox_coder": {"type": "DistributionBBoxCoder", "reg_max": 4},
        "loss_cls": {"type": "QualityFocalLoss"},
        "loss_bbox": {"type": "GIoULoss"},
        "loss_dfl": {"type": "DistributionFocalLoss"},
        "bbox_weight": {"type": "ClassScore"},
    },
    "vfnet": {
        **DISTANCES,
        "bbox_head": {"type": "VFNetHead", "feat_channels": 16, "stacked_convs": 1},
        "loss_cls": {"type": "VarifocalLoss"},
        "loss_bbox": {"type": "GIoULoss"},
        "loss_bbox_initial": {"type": "GIoULoss"},
        "bbox_weight": {"type": "SameQuality"},
    },
    **{
        f"tood, {displace}": {
            **DISTANCES,
            "bbox_head": {"type": "TOODHead", "feat_channels": 16, "stacked_convs": 2, "displace": displace},
            "loss_cls": {"type": "QualityFocalLoss"},
            "loss_bbox": {"type": "GIoULoss"},
            "quality": {"type": "TaskAlignedQuality"},
            "bbox_weight": {"type": "SameQuality"},
            "cls_mass": {"type": "SameQuality"},
            "initial": {
                "epochs": 1,
                "loss_cls": {"type": "FocalLoss"},
                "quality": None,
                "bbox_weight": {"type": "Centerness"},
                "cls_mass": None,
            },
        }
        for displace in ("distances", "corners")
    },
}


def set_epoch(model, epoch):
    for module in model.modules():
        if hasattr(module, "set_epoch"):
            module.set_epoch(epoch)


# Two levels: what a CPU computes in float16, or a compiler traces, takes its time.
TINY = {"backbone": {"type": TinyBackbone, "dropout": 0.0}, "neck__num_extra": 1}
