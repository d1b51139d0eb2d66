"""The model of MMDetection's configs under rdet's names."""

from typing import Any

from mmengine.runner.checkpoint import get_external_models

from rdet.interop.mmdet_config import yolov3
from rdet.interop.mmdet_config.heads import Around, convert_head
from rdet.interop.mmdet_config.source import Entry

Cfg = dict[str, Any]

_DETECTORS = ("RetinaNet", "FCOS", "ATSS", "GFL", "VFNet", "TOOD", "YOLOF", "SingleStageDetector")
_PART = "is not there; rdet's detectors need it"
# The order in which slots are written.
_SLOTS = (
    *("data_preprocessor", "backbone", "neck", "bbox_head", "anchor_generator", "assigner", "bbox_coder"),
    *("loss_cls", "loss_bbox_initial", "loss_bbox", "loss_dfl", "loss_quality", "loss_obj"),
    *("quality", "bbox_weight", "cls_mass", "normalizer", "postprocess", "initial"),
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
    outputs, backbone_cfg = convert_backbone(backbone)
    neck = model.required("neck", reason=_PART)
    used, strides, neck_cfg = convert_neck(neck, outputs)
    backbone_cfg["out_indices"] = used
    if used == [1, 2, 3]:  # rdet's default
        del backbone_cfg["out_indices"]
    preprocessor = convert_preprocessor(model.required("data_preprocessor", reason=_PART))
    head = model.required("bbox_head", reason=_PART)
    classes = head.take("num_classes")
    around = Around(strides, neck_cfg["out_channels"], model.entry("train_cfg"), "train_size" in preprocessor)
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
    backbone_cfg["weights"] = _backbone_weights(backbone)
    neck_cfg = yolov3.convert_neck(model.required("neck", reason=_PART), channels)
    head = model.required("bbox_head", reason=_PART)
    classes = head.take("num_classes")
    train_cfg = model.required("train_cfg", reason="is not there; without it the detector cannot be trained")
    slots = yolov3.convert_head(head, train_cfg, neck_cfg)
    test_cfg = model.required("test_cfg", reason=_PART)
    options = {"object_thr": max(test_cfg.take("conf_thr", -1), 0), "clip": False}
    postprocess = convert_postprocess(test_cfg, options)
    if postprocess["type"] != "NMSPostprocess":
        test_cfg.refuse("is no plain suppression, which rdet's YOLOv3 has alone", "nms")
    slots |= {"backbone": backbone_cfg, "neck": neck_cfg, "postprocess": postprocess | {"type": "YOLOPostprocess"}}
    slots["data_preprocessor"] = convert_preprocessor(model.required("data_preprocessor", reason=_PART))
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


def convert_backbone(entry: Entry) -> tuple[list[tuple[int, int, int]], Cfg]:
    """Convert a ResNet or a ResNeXt.

    Returns:
        (index, channels, stride) of each map that it gives there, and rdet's config without ``out_indices``.
    """
    if entry.kind not in ("ResNet", "ResNeXt"):
        entry.unknown()
    if entry.take("dcn") is not None:
        entry.refuse("rdet has no deformable convolutions", "dcn")
    entry.ignore("stage_with_dcn", "pretrained")
    same = {"in_channels": 3, "base_channels": 64, "strides": (1, 2, 2, 2), "dilations": (1, 1, 1, 1)}
    switches = {"deep_stem": False, "avg_down": False, "conv_cfg": None, "plugins": None}
    for key, value in (same | switches).items():
        entry.expect(key, value, "rdet's ResNet is torchvision's")
    entry.expect("stem_channels", None, "rdet's ResNet is torchvision's", (64,))
    if entry.take("with_cp", False):
        entry.note(f"{entry.place}.with_cp (activation_checkpointing is rdet's key for it)")
    frozen = entry.take("frozen_stages", -1)
    if frozen == 0:
        entry.refuse("is 0, which freezes the stem alone; rdet freezes the stem with the first stage", "frozen_stages")
    depth, style = entry.take("depth"), entry.take("style", "pytorch")
    cfg: Cfg = {"type": "ResNet", "depth": depth}
    if entry.kind == "ResNeXt":
        cfg |= {"groups": entry.take("groups", 1), "base_width": entry.take("base_width", 4)}
    norm = dict(entry.take("norm_cfg", {"type": "BN", "requires_grad": True}))
    if norm.get("requires_grad", True):
        norm.pop("requires_grad", None)
    cfg |= {} if norm == {"type": "BN"} else {"norm_cfg": norm}
    cfg |= {} if style == "pytorch" else {"style": style}
    cfg |= {"frozen_stages": max(frozen, 0), "norm_eval": entry.take("norm_eval", True)}
    cfg["weights"] = _backbone_weights(entry)
    if entry.take("zero_init_residual", True) and cfg["weights"] is None:
        entry.note(f"{entry.place}.zero_init_residual (rdet's blocks without weights do not start from 0)")
    stages = entry.take("num_stages", 4)
    indices = list(entry.take("out_indices", (0, 1, 2, 3)))
    if not set(indices) <= set(range(stages)):
        entry.refuse(f"is {indices}, but num_stages is {stages}", "out_indices")
    width = 64 if depth in (18, 34) else 256
    return [(index, width * 2**index, 4 * 2**index) for index in indices], cfg


def _backbone_weights(entry: Entry) -> str | None:
    start = entry.entry("init_cfg")
    if start is None:
        return None
    if start.kind != "Pretrained":
        entry.refuse("rdet starts a backbone from weights, or as torchvision does", "init_cfg")
    start.ignore("prefix", "map_location")
    source: str = start.take("checkpoint")
    if not source.startswith("open-mmlab://"):
        return source
    name = source.removeprefix("open-mmlab://")
    addresses: dict[str, str] = get_external_models()
    if name not in addresses:
        start.refuse(f"is {source!r}, of which mmengine knows no address", "checkpoint")
    return addresses[name]


def convert_neck(entry: Entry, outputs: list[tuple[int, int, int]]) -> tuple[list[int], list[int], Cfg]:
    """Convert an FPN, or YOLOF's neck of one level.

    Args:
        entry: The neck.
        outputs: (index, channels, stride) of each map of the backbone.

    Returns:
        The maps that it reads, the strides of its levels, and rdet's config.
    """
    if entry.kind == "DilatedEncoder":
        return _dilated_encoder(entry, outputs)
    if entry.kind != "FPN":
        entry.unknown()
    channels = [width for _, width, _ in outputs]
    if list(entry.take("in_channels")) != channels:
        entry.refuse(f"is not {channels}, the channels of the backbone", "in_channels")
    for key in ("conv_cfg", "norm_cfg", "act_cfg"):
        entry.expect(key, None, "rdet's FPN has plain convolutions")
    entry.ignore("no_norm_on_lateral")
    entry.expect("upsample_cfg", {"mode": "nearest"}, "rdet's FPN takes the nearest neighbour")
    xavier = {"type": "Xavier", "layer": "Conv2d", "distribution": "uniform"}
    entry.expect("init_cfg", xavier, "rdet's FPN starts as Lin et al. have it", (None,))
    start, end, count = entry.take("start_level", 0), entry.take("end_level", -1), entry.take("num_outs")
    used = outputs[start:] if end in (-1, len(outputs) - 1) else outputs[start : end + 1]
    extra = count - len(used)
    if extra < 0 or (extra and len(used) < len(outputs[start:])):
        entry.refuse(f"is {count} for {len(used)} maps of the backbone", "num_outs")
    kind = entry.take("add_extra_convs", False)
    relu = entry.take("relu_before_extra_convs", False)
    sources = {"on_input": "on_c5", "on_output": "on_p5", True: "on_c5"}
    cfg: Cfg = {"type": "FPN", "out_channels": entry.take("out_channels")}
    if extra:
        if kind not in sources:
            how = "made by pooling" if kind is False else f"made {kind!r}"
            entry.refuse(f"is {kind!r}; rdet has no extra levels {how}", "add_extra_convs")
        cfg["extra_levels"] = sources[kind]
    cfg |= {} if extra == 2 else {"num_extra": extra}
    cfg |= {"relu_before_p7": relu} if extra > 1 else {}
    strides = [stride for *_, stride in used]
    strides += [strides[-1] * 2 ** (level + 1) for level in range(extra)]
    return [index for index, *_ in used], strides, cfg


def _dilated_encoder(entry: Entry, outputs: list[tuple[int, int, int]]) -> tuple[list[int], list[int], Cfg]:
    index, width, stride = outputs[-1]
    if entry.take("in_channels") != width:
        entry.refuse(f"is not {width}, the channels of the backbone's last map", "in_channels")
    count, dilations = entry.take("num_residual_blocks"), list(entry.take("block_dilations"))
    if count > len(dilations):
        entry.refuse(f"is {count}, but there are {len(dilations)} block_dilations", "num_residual_blocks")
    cfg = {
        "type": "DilatedEncoder",
        "out_channels": entry.take("out_channels"),
        "block_channels": entry.take("block_mid_channels"),
        "dilations": dilations[:count],
    }
    return [index], [stride], cfg


def convert_postprocess(entry: Entry, options: Cfg) -> Cfg:
    """Convert ``test_cfg``.

    Args:
        entry: It.
        options: What the head adds.
    """
    cfg, own = convert_nms(entry.required("nms"))
    cfg |= {"score_thr": entry.take("score_thr", 0.0)}
    count = entry.take("nms_pre", -1)
    if count < 1:
        entry.refuse(f"is {count}; rdet looks at a number of predictions on each level", "nms_pre")
    cfg |= {"topk_per_level": count} | own | {"max_per_img": entry.take("max_per_img")}
    smallest = entry.take("min_bbox_size", -1)
    if smallest > 0:
        entry.refuse(
            f"is {smallest}; there it counts pixels of the original image, in rdet of the network's input",
            "min_bbox_size",
        )
    cfg |= {"quality_score": "product", "rank_by": "class_score"}
    return cfg | options | ({"min_box_size": 0.0} if smallest == 0 else {})


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
