"""The model of MMDetection's configs under rdet's names."""

from typing import Any

from rdet.interop.mmdet_config import ssd, yolov3
from rdet.interop.mmdet_config.around import Around
from rdet.interop.mmdet_config.backbones import convert_backbone, weights_of
from rdet.interop.mmdet_config.heads import convert_head
from rdet.interop.mmdet_config.necks import convert_necks
from rdet.interop.mmdet_config.source import Entry

Cfg = dict[str, Any]

_DETECTORS = ("RetinaNet", "FCOS", "ATSS", "GFL", "VFNet", "TOOD", "YOLOF", "PAA", "DDOD", "SingleStageDetector")
_PART = "is not there; rdet's detectors need it"
# The order in which slots are written.
_SLOTS = (
    *("data_preprocessor", "backbone", "neck", "bbox_head", "anchor_generator", "assigner", "bbox_coder"),
    *("loss_cls", "loss_bbox_initial", "loss_bbox", "loss_dfl", "loss_quality", "loss_obj"),
    *("quality", "bbox_weight", "cls_mass", "mining", "normalizer", "level_weight", "postprocess", "initial"),
)


def convert_model(model: Entry) -> tuple[Cfg, int]:
    """Convert a model.

    Returns:
        rdet's ``model``, and the number of classes.

    Raises:
        ConfigError: rdet has no such part, or not its numbers. The message names the entry.
    """
    if model.kind == "YOLOV3":
        return _convert_yolov3(model)
    if model.kind not in _DETECTORS:
        model.unknown()
    model.expect("init_cfg", None, "set load_from to start from a detector's weights")
    backbone = model.required("backbone", reason=_PART)
    head = model.required("bbox_head", reason=_PART)
    if head.kind == "SSDHead":
        return _convert_ssd(model, backbone, head)
    outputs, backbone_cfg = convert_backbone(backbone)
    used, neck_cfg, levels = convert_necks(model.some("neck", _PART), outputs)
    usual = [1, 2, 3] if backbone_cfg["type"] != "TimmBackbone" else [index for index, _, s in outputs if s > 4]
    if used != usual:  # rdet's default
        backbone_cfg["out_indices"] = used
    preprocessor = convert_preprocessor(model.required("data_preprocessor", reason=_PART))
    classes = head.take("num_classes")
    around = Around(levels.strides, levels.channels, model.entry("train_cfg"), "train_size" in preprocessor)
    slots, options = convert_head(head, around)
    slots |= {"data_preprocessor": preprocessor, "backbone": backbone_cfg, "neck": neck_cfg}
    slots["postprocess"] = convert_postprocess(model.required("test_cfg", reason=_PART), options)
    kind = "RetinaNet" if model.kind == "RetinaNet" else "OneStageDetector"
    model.finish()
    return {"type": kind} | {slot: slots[slot] for slot in _SLOTS if slot in slots}, classes


def _convert_yolov3(model: Entry) -> tuple[Cfg, int]:
    model.expect("init_cfg", None, "set load_from to start from a detector's weights")
    backbone = model.required("backbone", reason=_PART)
    channels, backbone_cfg = yolov3.convert_backbone(backbone)
    backbone_cfg["weights"] = weights_of(backbone)
    neck_cfg = yolov3.convert_neck(model.required("neck", reason=_PART), channels)
    head = model.required("bbox_head", reason=_PART)
    classes = head.take("num_classes")
    train_cfg = model.required("train_cfg", reason="is not there; without it the detector cannot be trained")
    slots = yolov3.convert_head(head, train_cfg, neck_cfg)
    test_cfg = model.required("test_cfg", reason=_PART)
    options = {"object_thr": max(test_cfg.needed("conf_thr", -1), 0), "clip": False}
    postprocess = convert_postprocess(test_cfg, options)
    if postprocess["type"] != "NMSPostprocess":
        test_cfg.refuse("is no plain suppression, which rdet's YOLOv3 has alone", "nms")
    slots |= {"backbone": backbone_cfg, "neck": neck_cfg, "postprocess": postprocess | {"type": "YOLOPostprocess"}}
    slots["data_preprocessor"] = convert_preprocessor(model.required("data_preprocessor", reason=_PART))
    model.finish()
    return {"type": "OneStageDetector"} | {slot: slots[slot] for slot in _SLOTS if slot in slots}, classes


def _convert_ssd(model: Entry, backbone: Entry, head: Entry) -> tuple[Cfg, int]:
    backbone_cfg = ssd.convert_backbone(backbone)
    anchors = ssd.convert_anchors(head.required("anchor_generator"))
    neck_cfg = ssd.convert_neck(model.required("neck", reason=_PART), anchors.strides)
    classes = head.take("num_classes", 80)
    train_cfg = model.required("train_cfg", reason="is not there; without it the detector cannot be trained")
    slots, options = ssd.convert_head(head, anchors, neck_cfg, train_cfg)
    slots |= {"backbone": backbone_cfg, "neck": neck_cfg}
    slots["data_preprocessor"] = convert_preprocessor(model.required("data_preprocessor", reason=_PART))
    slots["postprocess"] = convert_postprocess(model.required("test_cfg", reason=_PART), options)
    model.finish()
    return {"type": "OneStageDetector"} | {slot: slots[slot] for slot in _SLOTS if slot in slots}, classes


def convert_preprocessor(entry: Entry) -> Cfg:
    """Convert what turns images into a batch."""
    if entry.kind != "DetDataPreprocessor":
        entry.unknown()
    for key in ("pad_mask", "pad_seg"):
        entry.expect(key, False, "rdet has boxes alone")
    entry.ignore("mask_pad_value", "seg_pad_value", "boxtype2tensor", "non_blocking")
    entry.expect("pad_value", 0, "rdet pads with 0")
    flips = entry.take("bgr_to_rgb", False) or entry.take("rgb_to_bgr", False)
    entry.ignore("rgb_to_bgr")
    cfg: Cfg = {
        "type": "DetDataPreprocessor",
        "mean": list(entry.take("mean") or (0.0, 0.0, 0.0)),
        "std": list(entry.take("std") or (1.0, 1.0, 1.0)),
        "bgr_to_rgb": bool(flips),
        "pad_size_divisor": entry.take("pad_size_divisor", 1),
    }
    for augment in entry.entries("batch_augments"):
        if augment.kind != "BatchFixedSizePad" or "train_size" in cfg:
            augment.unknown()
        augment.expect("img_pad_value", 0, "rdet pads with 0")
        augment.ignore("pad_mask", "mask_pad_value", "pad_seg", "seg_pad_value")
        height, width = augment.take("size")
        cfg["train_size"] = (width, height)
    return cfg


def convert_postprocess(entry: Entry, options: Cfg) -> Cfg:
    """Convert ``test_cfg``.

    Args:
        entry: It.
        options: What the head adds.
    """
    cfg, own = convert_nms(entry.required("nms"))
    cfg |= {"score_thr": entry.take("score_thr", 0.0)}
    count = entry.needed("nms_pre", -1)
    if count < 1:
        entry.refuse(f"is {count}; rdet looks at a number of predictions on each level", "nms_pre")
    cfg |= {"topk_per_level": count} | own | {"max_per_img": entry.take("max_per_img")}
    smallest = entry.needed("min_bbox_size", -1)
    if smallest > 0:
        entry.refuse(
            f"is {smallest}; there it counts pixels of the original image, in rdet of the network's input",
            "min_bbox_size",
        )
    cfg |= {"quality_score": "product", "rank_by": "class_score"}
    return cfg | ({"min_box_size": 0.0} if smallest == 0 else {}) | options


def convert_nms(entry: Entry) -> tuple[Cfg, Cfg]:
    """Convert a way to suppress boxes: the type, and its own keys."""
    entry.ignore("split_thr")
    entry.expect("max_num", -1, "rdet has max_per_img alone")
    agnostic = {"class_agnostic": True} if entry.take("class_agnostic", False) else {}
    if entry.kind in ("nms", None):
        threshold = entry.take("iou_threshold", entry.take("iou_thr"))
        if threshold is None:
            entry.refuse("is not there", "iou_threshold")
        return {"type": "NMSPostprocess"}, {"iou_threshold": threshold} | agnostic
    if entry.kind != "soft_nms":
        entry.unknown()
    method = entry.take("method", "linear")
    threshold, sigma = entry.take("iou_threshold", entry.take("iou_thr", 0.3)), entry.take("sigma", 0.5)
    if method not in ("linear", "gaussian"):
        entry.refuse(f"is {method!r}; rdet has 'linear' and 'gaussian'", "method")
    own = {"iou_threshold": threshold} if method == "linear" else {"sigma": sigma}
    own |= {"min_score": entry.take("min_score", 1e-3)}
    return {"type": "SoftNMSPostprocess"}, {"method": method} | own | agnostic
