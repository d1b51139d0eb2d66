"""Heads of MMDetection's configs, with what is nested in them, as slots of rdet's model.

The numbers of MMDetection that are no keys there, such as what a loss is divided by, are written out.
"""

from collections.abc import Callable
from typing import Any

from rdet.interop.mmdet_config.around import Around
from rdet.interop.mmdet_config.assigners import aligned_atss, assigner, fcos_assigner, task_aligned, uniform
from rdet.interop.mmdet_config.losses import child_config, loss_bbox, loss_cls, loss_dfl, loss_quality
from rdet.interop.mmdet_config.priors import (
    anchor_generator,
    check_strides,
    delta_coder,
    distance_coder,
    square_anchors,
)
from rdet.interop.mmdet_config.source import Entry
from rdet.interop.mmdet_config.towers import towers

Cfg = dict[str, Any]

_GROUP_NORM = {"type": "GN", "num_groups": 32, "requires_grad": True}
_FOCAL = {"type": "FocalLoss", "loss_weight": 1.0}
_GIOU = {"type": "GIoULoss", "loss_weight": 1.0}
_CENTERNESS = {"type": "CrossEntropyLoss", "use_sigmoid": True, "loss_weight": 1.0}
_DELTAS = {"type": "DeltaXYWHBBoxCoder"}
_DISTANCES = {"type": "DistancePointBBoxCoder"}
_STRIDES = [8, 16, 32, 64, 128]
_ONE_SQUARE = {
    "type": "AnchorGenerator",
    "ratios": [1.0],
    "octave_base_scale": 8,
    "scales_per_octave": 1,
    "strides": _STRIDES,
}
_NINE = {
    "type": "AnchorGenerator",
    "octave_base_scale": 4,
    "scales_per_octave": 3,
    "ratios": [0.5, 1.0, 2.0],
    "strides": _STRIDES,
}

# Of a loss for which MMDetection's default does not go with the head.
_NO_DEFAULT = "is not there; MMDetection's default does not go with this head"


def convert_head(head: Entry, around: Around) -> tuple[Cfg, Cfg]:
    """Convert a head with all that is nested in it.

    Returns:
        Slots of rdet's model, and keys of its ``postprocess``.

    Raises:
        ConfigError: rdet has no such head, or not its numbers.
    """
    if head.kind not in _HEADS:
        head.unknown()
    if around.train_cfg is not None:
        train = around.train_cfg
        train.expect(
            "allowed_border", -1, "rdet does not drop anchors at an image's border", (0,) if _free(head) else ()
        )
        train.expect("pos_weight", -1, "rdet's losses do not weigh positives by a number of their own")
        train.drop("debug")
        sampler = train.entry("sampler")
        if sampler is not None and sampler.kind != "PseudoSampler":
            sampler.unknown()
    slots, postprocess = _HEADS[head.kind](head, around)
    if around.train_cfg is not None and _free(head):
        for key in around.train_cfg.unread():
            around.train_cfg.drop(key, "MMDetection's FCOS does not read it")
    return slots, postprocess


def _free(head: Entry) -> bool:
    """Tell whether the head reads no ``train_cfg``."""
    return head.kind == "FCOSHead"


def _retina(head: Entry, around: Around) -> tuple[Cfg, Cfg]:
    slots, clip = _on_anchors(head, around, "RetinaHead", _NINE, None)
    decoded = head.take("reg_decoded_bbox", False)
    default = {"type": "CrossEntropyLoss", "use_sigmoid": True}
    of_classes = loss_cls(head.required("loss_cls", default), ("FocalLoss", "CrossEntropyLoss", "GHMC"))
    of_boxes = loss_bbox(head.required("loss_bbox", {"type": "SmoothL1Loss", "beta": 1 / 9}), decoded)
    if (of_classes["type"] == "GHMC") != (of_boxes["type"] == "GHMR"):
        head.refuse("is GHM's and the other is not; rdet divides the two losses alike", "loss_cls and loss_bbox")
    return {
        **slots,
        "assigner": assigner(around.assigner(head), "MaxIoUAssigner", around.padding("ignored")),
        "loss_cls": of_classes,
        "loss_bbox": of_boxes,
        "normalizer": {"type": "NoNormalizer"} if of_classes["type"] == "GHMC" else _per_image(),
    }, _clipped(clip)


def _atss(head: Entry, around: Around, kind: str = "ATSSAssigner") -> tuple[Cfg, Cfg]:
    slots, clip = _on_anchors(head, around, "ATSSHead", _ONE_SQUARE, _GROUP_NORM)
    if (size := head.take("pred_kernel_size", 3)) != 3:
        slots["bbox_head"]["pred_kernel_size"] = size
    head.expect("reg_decoded_bbox", True, f"rdet's loss of this head compares boxes: {child_config()}")
    return {
        **slots,
        "assigner": assigner(around.assigner(head), kind, around.padding("ignored")),
        "loss_cls": _hard_loss(head, {"type": "CrossEntropyLoss", "use_sigmoid": True}),
        "loss_bbox": loss_bbox(head.required("loss_bbox", {"type": "SmoothL1Loss"}), decoded=True),
        "loss_quality": loss_quality(head.required("loss_centerness", _CENTERNESS)),
        "quality": {"type": "Centerness"},
        "bbox_weight": {"type": "SameQuality"},
        "normalizer": _per_image(),
    }, _clipped(clip)


def _paa(head: Entry, around: Around) -> tuple[Cfg, Cfg]:
    slots, options = _atss(head, around, kind="MaxIoUAssigner")
    head.expect("covariance_type", "diag", "rdet's normal distributions have a variance each", ("full", "spherical"))
    assigner_of_head, of_classes, of_boxes = slots["assigner"], slots["loss_cls"], slots["loss_bbox"]
    if "first_best_alone" in assigner_of_head:
        around.assigner(head).refuse(
            "is False; rdet's PAA gives a box all priors that it overlaps most", "gt_max_assign_all"
        )
    if of_classes["type"] != "FocalLoss" or of_boxes["type"] != "GIoULoss":
        head.refuse("are not FocalLoss and GIoULoss; rdet's PAA assigns by these", "loss_cls and loss_bbox")
    if of_classes.get("loss_weight", 1) != 1:
        head.refuse("loss_weight is not 1; rdet's PAA assigns by a focal loss of weight 1", "loss_cls")
    slots["assigner"] = assigner_of_head | {
        "type": "PAAAssigner",
        "topk": head.take("topk", 9),
        "alpha": of_classes["alpha"],
        "gamma": of_classes["gamma"],
        "iou_weight": of_boxes.get("loss_weight", 1.0),
    }
    slots["quality"] = {"type": "IoUQuality"}
    slots["normalizer"] = {"type": "BatchNormalizer", "min_mass": 1e-6}
    voting = {"type": "ScoreVotingPostprocess"} if head.take("score_voting", True) else {}
    ranked = {"quality_score": "geometric_mean", "rank_by": "score", "min_box_size": None}
    return slots, options | voting | ranked


def _ddod(head: Entry, around: Around) -> tuple[Cfg, Cfg]:
    kind = "DDODHead" if head.take("use_dcn", True) else "ATSSHead"
    slots, clip = _on_anchors(head, around, kind, _ONE_SQUARE, _GROUP_NORM)
    head.drop("reg_decoded_bbox", "MMDetection's DDOD does not read it")
    padding = around.padding("ignored")
    return {
        **slots,
        "assigner": {
            "type": "SeparateAssigner",
            "classes": aligned_atss(around.assigner(head), padding),
            "boxes": aligned_atss(around.assigner(head, "reg_assigner"), padding),
        },
        "loss_cls": _hard_loss(head, {"type": "CrossEntropyLoss", "use_sigmoid": True}),
        "loss_bbox": loss_bbox(head.required("loss_bbox", {"type": "SmoothL1Loss"}), decoded=True),
        "loss_quality": loss_quality(head.required("loss_iou", _CENTERNESS)),
        "quality": {"type": "IoUQuality"},
        "normalizer": _per_image(),
        "level_weight": {"type": "RareLevelWeight"},
    }, _clipped(clip)


def _gfl(head: Entry, around: Around) -> tuple[Cfg, Cfg]:
    bbox_head = towers(head, around, "GFLHead", _GROUP_NORM)
    clip = distance_coder(head.required("bbox_coder", _DISTANCES))
    head.drop("reg_decoded_bbox", "MMDetection's GFL does not read it")
    return {
        "bbox_head": bbox_head,
        "anchor_generator": square_anchors(head.required("anchor_generator", _ONE_SQUARE), around.strides),
        "assigner": assigner(around.assigner(head), "ATSSAssigner", around.padding("ignored")),
        "bbox_coder": {
            "type": "DistributionBBoxCoder",
            "reg_max": head.take("reg_max", 16),
            "margin": 0.1,
            "max_distance": None,
        },
        "loss_cls": loss_cls(head.required("loss_cls", reason=_NO_DEFAULT), ("QualityFocalLoss",)),
        "loss_bbox": loss_bbox(head.required("loss_bbox", reason=_NO_DEFAULT), decoded=True, distribution=True),
        "loss_dfl": loss_dfl(head.required("loss_dfl", {"type": "DistributionFocalLoss", "loss_weight": 0.25})),
        "bbox_weight": {"type": "ClassScore"},
        "normalizer": _per_image(),
    }, _clipped(clip)


def _fcos(head: Entry, around: Around) -> tuple[Cfg, Cfg]:
    bbox_head = towers(head, around, "FCOSHead", _GROUP_NORM)
    bbox_head |= {"dcn_on_last_conv": True} if head.take("dcn_on_last_conv", False) else {}
    head.expect("cls_predictor_cfg", None, "rdet's last layer of the classes is a convolution")
    check_strides(head, "strides", around.strides, [4, 8, 16, 32, 64])
    normalised = head.take("norm_on_bbox", False)
    bbox_head |= {} if normalised else {"distance": "exp"}
    bbox_head |= {} if head.take("centerness_on_reg", False) else {"quality_tower": "cls"}
    coder: Cfg = {"type": "DistancePointBBoxCoder"} | ({} if normalised else {"unit": "pixel"})
    clip = distance_coder(head.required("bbox_coder", _DISTANCES))
    return {
        "bbox_head": bbox_head,
        "anchor_generator": {"type": "PointGenerator"},
        "assigner": fcos_assigner(head, around.strides, "background"),
        "bbox_coder": coder | {"max_distance": None},
        "loss_cls": _hard_loss(head, _FOCAL),
        "loss_bbox": loss_bbox(head.required("loss_bbox", {"type": "IoULoss"}), decoded=True),
        "loss_quality": loss_quality(head.required("loss_centerness", _CENTERNESS)),
        "quality": {"type": "Centerness"},
        "bbox_weight": {"type": "SameQuality"},
        "normalizer": {"type": "BatchNormalizer", "min_mass": 1e-6},
    }, _clipped(clip)


def _vfnet(head: Entry, around: Around) -> tuple[Cfg, Cfg]:
    bbox_head = towers(head, around, "VFNetHead", _GROUP_NORM)
    bbox_head |= {"dcn_on_last_conv": True} if head.take("dcn_on_last_conv", False) else {}
    head.expect("use_atss", True, "rdet's VFNet is assigned by ATSS")
    head.expect("use_vfl", True, "rdet's VFNet has the varifocal loss")
    head.expect("bbox_norm_type", "reg_denom", "rdet's VFNet measures distances in 8 strides")
    head.expect("sync_num_pos", True, "rdet counts positives over all processes")
    default = [(-1, 64), (64, 128), (128, 256), (256, 512), (512, 1e8)]
    head.expect("regress_ranges", default, "rdet's VFNet measures distances in 8 strides")
    for key in ("center_sampling", "center_sample_radius", "loss_cls_fl", "reg_decoded_bbox"):
        head.drop(key, "MMDetection does not read it with use_atss and use_vfl")
    check_strides(head, "strides", around.strides, [4, 8, 16, 32, 64])
    gradient = head.take("gradient_mul", 0.1)
    bbox_head |= {} if gradient == 0.1 else {"star_gradient": gradient}
    clip = distance_coder(head.required("bbox_coder", _DISTANCES))
    varifocal = {"type": "VarifocalLoss", "use_sigmoid": True}
    return {
        "bbox_head": bbox_head,
        "anchor_generator": square_anchors(head.required("anchor_generator", _ONE_SQUARE), around.strides),
        "assigner": assigner(around.assigner(head), "ATSSAssigner", around.padding("unmatched")),
        "bbox_coder": {"type": "DistancePointBBoxCoder", "max_distance": None},
        "loss_cls": loss_cls(head.required("loss_cls", varifocal), ("VarifocalLoss",)),
        "loss_bbox_initial": loss_bbox(head.required("loss_bbox", _GIOU | {"loss_weight": 1.5}), decoded=True),
        "loss_bbox": loss_bbox(head.required("loss_bbox_refine", _GIOU | {"loss_weight": 2.0}), decoded=True),
        "quality": {"type": "IoUQuality", "min_quality": 1e-6},
        "bbox_weight": {"type": "SameQuality"},
        "normalizer": {"type": "BatchNormalizer"},
    }, _clipped(clip)


def _tood(head: Entry, around: Around) -> tuple[Cfg, Cfg]:
    bbox_head = towers(head, around, "TOODHead", _GROUP_NORM, stacked_convs=4)
    deformable = head.take("num_dcn", 0)
    bbox_head |= {"num_dcn": deformable} if deformable else {}
    head.expect("pred_kernel_size", 3, "rdet's last convolutions are 3 x 3")
    for key in ("reg_decoded_bbox", "loss_centerness"):  # of ATSSHead, from which this one derives there
        head.drop(key, "MMDetection's TOOD does not read it")
    kind = head.take("anchor_type", "anchor_free")
    deltas, _ = delta_coder(head.required("bbox_coder", _DELTAS))
    bbox_head |= {"displace": "corners"}
    anchors = square_anchors(head.required("anchor_generator", _ONE_SQUARE), around.strides)
    if kind == "anchor_based":
        stds = deltas.get("target_stds", [1.0] * 4)
        if "target_means" in deltas:
            head.refuse("target_means are not 0; rdet's TOODHead has none", "bbox_coder")
        bbox_head |= {"type": "TOODAnchorHead", "base_size": anchors["octave_base_scale"], "target_stds": stds}
    elif kind != "anchor_free":
        head.refuse(f"is {kind!r}; MMDetection has 'anchor_free' and 'anchor_based'", "anchor_type")
    train = around.training(head)
    task = around.assigner(head)
    first = assigner(around.assigner(head, "initial_assigner"), "ATSSAssigner", around.padding("ignored"))
    alpha, beta = train.take("alpha"), train.take("beta")
    initial_loss = loss_cls(
        head.required("initial_loss_cls", _FOCAL | {"activated": True}), ("FocalLoss",), activated=True
    )
    return {
        "bbox_head": bbox_head,
        "anchor_generator": anchors,
        "assigner": task_aligned(task, alpha, beta, around.padding("ignored")),
        "bbox_coder": {"type": "DistancePointBBoxCoder", "max_distance": None},
        "loss_cls": loss_cls(head.required("loss_cls", reason=_NO_DEFAULT), ("QualityFocalLoss",), activated=True),
        "loss_bbox": loss_bbox(head.required("loss_bbox", reason=_NO_DEFAULT), decoded=True),
        "quality": {"type": "TaskAlignedQuality", "alpha": alpha, "beta": beta, "eps": 1e-7},
        "bbox_weight": {"type": "SameQuality"},
        "cls_mass": {"type": "SameQuality"},
        "normalizer": {"type": "BatchNormalizer"},
        "initial": {
            "epochs": train.take("initial_epoch"),
            "assigner": first,
            "loss_cls": initial_loss,
            "quality": None,
            "bbox_weight": {"type": "Centerness"},
            "cls_mass": None,
        },
    }, {"clip": False}


def _yolof(head: Entry, around: Around) -> tuple[Cfg, Cfg]:
    if head.take("in_channels") != around.channels:
        head.refuse(f"is not {around.channels}, the out_channels of the neck", "in_channels")
    head.expect("reg_decoded_bbox", True, "rdet's loss of this head compares boxes")
    head.ignore("feat_channels")  # which it does not read
    norm = head.take("norm_cfg", {"type": "BN", "requires_grad": True})
    coder, clip = delta_coder(head.required("bbox_coder", _DELTAS))
    return {
        "bbox_head": {
            "type": "YOLOFHead",
            "stacked_convs": head.take("num_cls_convs", 2),
            "reg_stacked_convs": head.take("num_reg_convs", 4),
            "norm_cfg": {key: value for key, value in norm.items() if (key, value) != ("requires_grad", True)},
        },
        "anchor_generator": anchor_generator(head.required("anchor_generator", reason=_NO_DEFAULT), around.strides),
        "assigner": uniform(around.assigner(head), around.padding("ignored")),
        "bbox_coder": coder,
        "loss_cls": _hard_loss(head, {"type": "CrossEntropyLoss", "use_sigmoid": True}),
        "loss_bbox": loss_bbox(head.required("loss_bbox", reason=_NO_DEFAULT), decoded=True),
        "normalizer": _per_image(),
    }, _clipped(clip)


_HEADS: dict[str, Callable[[Entry, Around], tuple[Cfg, Cfg]]] = {
    "RetinaHead": _retina,
    "ATSSHead": _atss,
    "GFLHead": _gfl,
    "FCOSHead": _fcos,
    "VFNetHead": _vfnet,
    "TOODHead": _tood,
    "YOLOFHead": _yolof,
    "PAAHead": _paa,
    "DDODHead": _ddod,
}


def _on_anchors(head: Entry, around: Around, kind: str, anchors: Cfg, norm: Cfg | None) -> tuple[Cfg, bool]:
    """Convert towers, anchors and deltas, and say whether boxes are clipped."""
    coder, clip = delta_coder(head.required("bbox_coder", _DELTAS))
    return {
        "bbox_head": towers(head, around, kind, norm),
        "anchor_generator": anchor_generator(head.required("anchor_generator", anchors), around.strides),
        "bbox_coder": coder,
    }, clip


def _hard_loss(head: Entry, default: Cfg) -> Cfg:
    return loss_cls(head.required("loss_cls", default), ("FocalLoss", "CrossEntropyLoss"))


def _per_image() -> Cfg:
    return {"type": "BatchNormalizer", "min_count_per_image": 1}


def _clipped(clip: bool) -> Cfg:
    return {} if clip else {"clip": False}
