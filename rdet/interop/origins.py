"""Whose a checkpoint is, and how the weights of each project become rdet's."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from torch import Tensor

from rdet.architecture import CLASS_LAYERS, Architecture, architecture_of
from rdet.checkpoint import meta_in
from rdet.errors import CheckpointError, RdetError
from rdet.interop.coco import default_classes
from rdet.interop.converted import Converted
from rdet.interop.darknet import from_darknet, is_darknet
from rdet.interop.detectron2 import from_detectron2, pixel_statistics
from rdet.interop.mmdetection import from_mmdetection
from rdet.interop.model_config import detectron2_config, mmdetection_config, torchvision_config
from rdet.interop.nanodet import from_nanodet, is_nanodet
from rdet.interop.rtmdet import from_rtmdet, is_rtmdet
from rdet.interop.source_config import source_config
from rdet.interop.ssd import from_ssd, is_ssd
from rdet.interop.torchvision import convert_fcos_state_dict, convert_retinanet_state_dict
from rdet.interop.yolov3 import from_yolov3, is_yolov3
from rdet.interop.yolox import from_yolox, is_yolox
from rdet.interop.zoo import release_of_file

ORIGINS = ("mmdet", "detectron2", "torchvision", "nanodet", "yolox", "darknet")


def origin_of(weights: Mapping[str, Any]) -> str | None:
    """Tell whose names the weights have: one of :data:`ORIGINS`, or None."""
    if any(name.startswith("backbone.bottom_up.") for name in weights):
        return "detectron2"
    if any(name.startswith("backbone.body.") for name in weights):
        return "torchvision"
    layers = {name.split(".")[1] for name in weights if name.startswith("bbox_head.")}
    if any(layer in layers for layer in CLASS_LAYERS) or _of_whole(weights) is not None:
        return "mmdet"
    if is_yolox(weights, "yolox"):
        return "yolox"
    if is_darknet(weights):
        return "darknet"
    return "nanodet" if is_nanodet(weights) else None


def _from_mmdetection(
    content: Mapping[str, Any], weights: Mapping[str, Tensor], path: str, style: str | None
) -> Converted:
    meta = meta_in(content)
    convert = _of_whole(weights)
    if convert is not None:
        converted = convert(content, weights, path)
        return converted._replace(classes=_classes(meta, converted.num_classes))
    state, architecture = from_mmdetection(weights)
    source = source_config(meta, path)
    released = release_of_file(Path(path).name) is not None
    if not source and not released:
        print_log(
            f"{path} carries no config; taken: anchors, deltas and thresholds of MMDetection's released "
            f"{architecture.family}. If it was trained with others, its detections are wrong",
            "current",
            level=30,
        )
    if not source and "anchor-based" in Path(path).name.replace("_", "-"):
        source = {"model": {"bbox_head": {"anchor_type": "anchor_based"}}}
    if not source and Path(path).name.startswith("paa_"):
        source = {"model": {"bbox_head": {"type": "PAAHead"}}}
    if not source and any(name.startswith("criterion.loss_") for name in state):
        source = {"model": {"bbox_head": {"loss_cls": {"type": "GHMC"}}}}
    if style is None:
        style = "caffe" if "caffe" in Path(path).name else "pytorch"
        if not _says_style(source):
            print_log(
                f"{path} does not say which style its backbone has; taken: {style!r}. If that is wrong, its features "
                "are wrong too: tools/convert_checkpoint.py --style",
                "current",
                level=30,
            )
    try:
        cfg = mmdetection_config(architecture, source, style)
    except RdetError as error:
        raise CheckpointError(str(error)) from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:  # a dict where a number should be, or so
        raise CheckpointError(f"the config in it is not MMDetection's ({type(error).__name__}: {error})") from error
    return _converted(state, cfg, _classes(meta, architecture.num_classes), architecture)


def _from_detectron2(
    content: Mapping[str, Any], weights: Mapping[str, Tensor], path: str, style: str | None
) -> Converted:
    state = from_detectron2(weights)
    architecture = architecture_of(state)
    if architecture is None or architecture.family != "RetinaNet":
        raise CheckpointError("the weights are not of a RetinaNet with a ResNet-FPN")
    cfg = detectron2_config(architecture, pixel_statistics(weights), style or "caffe")
    state["normalizer.mean"] = torch.tensor(100.0)  # where its running mean of positives starts; it is not stored
    return _converted(state, cfg, default_classes(architecture.num_classes), architecture)


def _from_torchvision(
    content: Mapping[str, Any], weights: Mapping[str, Tensor], path: str, style: str | None
) -> Converted:
    if any("bbox_ctrness" in name for name in weights):
        kind, state = "fcos", convert_fcos_state_dict(weights)
    else:
        state = convert_retinanet_state_dict(weights)
        kind = "retinanet_v2" if "bbox_head.cls_convs.0.gn.weight" in state else "retinanet"
    architecture = architecture_of(state)
    if architecture is None or architecture.backbone.name != "ResNet-50":
        raise CheckpointError("the weights are not of one of torchvision's detectors with ResNet-50")
    return _converted(state, torchvision_config(kind), default_classes(architecture.num_classes), architecture)


def _converted(
    state: dict[str, Tensor], cfg: Config, classes: tuple[str, ...] | None, architecture: Architecture
) -> Converted:
    return Converted(state, cfg, classes, architecture.num_classes, str(architecture))


CONVERTERS = {
    "mmdet": _from_mmdetection,
    "detectron2": _from_detectron2,
    "torchvision": _from_torchvision,
    "nanodet": from_nanodet,
    "yolox": from_yolox,
    "darknet": from_darknet,
}


def _says_style(source: Mapping[str, Any]) -> bool:
    model = source.get("model")
    backbone = model.get("backbone") if isinstance(model, Mapping) else None
    return isinstance(backbone, Mapping) and "style" in backbone


def _classes(meta: Mapping[str, Any], count: int) -> tuple[str, ...] | None:
    """Return the class names as MMDetection 3 or 2 stores them, if there are as many as the weights have."""
    of_data = meta.get("dataset_meta")
    of_data = {str(key).lower(): value for key, value in of_data.items()} if isinstance(of_data, Mapping) else {}
    names = of_data.get("classes") or meta.get("CLASSES") or ()
    names = (names,) if isinstance(names, str) else names  # 2.x: a single class may be a string
    known = isinstance(names, list | tuple) and len(names) == count and all(isinstance(name, str) for name in names)
    return tuple(names) if known else default_classes(count)


def _of_whole(weights: Mapping[str, Any]) -> Callable[[Mapping[str, Any], Mapping[str, Tensor], str], Converted] | None:
    """Find the converter of MMDetection's detectors whose names are those of one network; None of the others."""
    if is_yolox(weights, "mmdet"):
        return from_yolox
    if is_yolov3(weights, "mmdet"):
        return from_yolov3
    if is_ssd(weights, "mmdet"):
        return from_ssd
    return from_rtmdet if is_rtmdet(weights, "mmdet") else None
