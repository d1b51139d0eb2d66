"""Weights of MMDetection's YOLOv3 as rdet's, and back."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor

from rdet.checkpoint import meta_in
from rdet.errors import CheckpointError
from rdet.interop.coco import default_classes
from rdet.interop.converted import Converted
from rdet.interop.model_config import config_of_repository, input_of, input_options, postprocess_options
from rdet.interop.renamed import renamed
from rdet.interop.source_config import input_side, source_config
from rdet.interop.whole_networks import check_complete, check_numbers
from rdet.interop.yolov3_names import LEVELS, layers
from rdet.messages import few

_PRIORS = 3  # at each cell
_NUMBERS = {"conv_reg": slice(0, 4), "conv_quality": slice(4, 5), "conv_cls": slice(5, None)}  # of a prior, in order
_PRED = "bbox_head.convs_pred."
_UNKNOWN = (
    "it is no YOLOv3 of three levels and three anchors a cell with Darknet-53 or MobileNetV2; others are not known"
)


def is_yolov3(weights: Mapping[str, Any], project: str) -> bool:
    """Tell whether weights have the names of YOLOv3 in ``'mmdet'`` or ``'rdet'``."""
    if project == "mmdet":
        return any(name.startswith(_PRED) for name in weights)
    return "bbox_head.convs.2.conv.weight" in weights and "neck.blocks.2.0.conv.weight" in weights


def from_yolov3(content: Mapping[str, Any], weights: Mapping[str, Tensor], path: str) -> Converted:
    """Convert a YOLOv3.

    Args:
        content: Of the file; its config says anchors, thresholds and the size of images.
        weights: Under MMDetection's names.
        path: Of the file; a released one's name says the size of images, too.

    Raises:
        CheckpointError: It is another kind of YOLOv3.
    """
    check_numbers(weights)
    pred = {name: value for name, value in weights.items() if name.startswith(_PRED)}
    mobile = "backbone.layer1.0.linear_conv.conv.weight" in weights
    unused = [name for name in weights if name.startswith("backbone.conv2.")]  # before MobileNetV2's classifier
    state = _renamed(weights, {*pred, *unused}, layers(mobile))
    for name, value in pred.items():
        level, end = name.removeprefix(_PRED).split(".")
        if value.ndim == 0 or value.shape[0] % _PRIORS or value.shape[0] <= 5 * _PRIORS:
            raise CheckpointError(f"its weight {name} is {tuple(value.shape)}; {_UNKNOWN}")
        for layer, numbers in _NUMBERS.items():
            rows = value.unflatten(0, (_PRIORS, -1))[:, numbers].flatten(0, 1)
            state[f"bbox_head.{layer}.{LEVELS - 1 - int(level)}.{end}"] = rows.clone()
    num_classes = len(next(iter(pred.values()))) // _PRIORS - 5
    source = source_config(meta_in(content), path)
    side = input_side(source) or _side_of_name(path, mobile)
    config = ("mobilenetv2_320" if side == 320 else "mobilenetv2_416") if mobile else "d53_608"
    cfg = config_of_repository(f"configs/yolov3/yolov3_{config}_coco.py", _options(source))
    cfg.val_dataloader.dataset.pipeline[1].scale = (side, side)
    check_complete(state, cfg, num_classes, _UNKNOWN)
    description = f"YOLOv3 with {'MobileNetV2' if mobile else 'Darknet-53'} for {side} pixels, {num_classes} classes"
    return Converted(state, cfg, default_classes(num_classes), num_classes, description)


def to_yolov3(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of rdet's YOLOv3 as MMDetection's.

    Args:
        state: rdet's name -> tensor, of the network alone.

    Raises:
        CheckpointError: A weight has no name there.
    """
    split = {name: value for name, value in state.items() if re.match(r"bbox_head\.conv_(reg|quality|cls)\.", name)}
    mobile = any(name.startswith("backbone.features.") for name in state)
    for name, value in split.items():
        if ".conv_quality." in name and len(value) != _PRIORS:
            raise CheckpointError(f"its weight {name} is of {len(value)} anchors a cell; {_UNKNOWN}")
    found = _renamed(state, split, {ours: theirs for theirs, ours in layers(mobile).items()})
    for name in split:
        _, layer, level, end = name.split(".")
        if layer == "conv_reg":
            parts = [split[f"bbox_head.{each}.{level}.{end}"].unflatten(0, (_PRIORS, -1)) for each in _NUMBERS]
            found[f"{_PRED}{LEVELS - 1 - int(level)}.{end}"] = torch.cat(parts, dim=1).flatten(0, 1)
    return found


def _renamed(state: Mapping[str, Tensor], without: Collection[str], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Rename the layers of a state, without some of its weights."""

    def rename(name: str) -> str | None:
        parts = name.split(".")
        layer = next((found for end in range(1, len(parts)) if (found := ".".join(parts[:end])) in names), None)
        return None if layer is None else names[layer] + name.removeprefix(layer)

    found, unknown = renamed({name: value for name, value in state.items() if name not in without}, rename)
    if unknown:
        raise CheckpointError(f"YOLOv3 has no weight called {few(unknown, 3)}; {_UNKNOWN}")
    return found


def _side_of_name(path: str, mobile: bool) -> int:
    """Read the size of images from the name of a file; where it does not say it, warn."""
    if found := re.search(r"[-_](320|416|608)[-_.]", Path(path).name):
        return int(found[1])
    side = 416 if mobile else 608
    print_log(
        f"{path} does not say for which size of images it is; taken: {side} pixels, and MMDetection's usual anchors",
        "current",
        level=30,
    )
    return side


def _options(source: Mapping[str, Any]) -> dict[str, Any]:
    """Say what of the repository's config the detector's own changes."""
    model = source.get("model") or {}
    head = model.get("bbox_head") or {}
    options: dict[str, Any] = {"model.backbone.weights": None, **input_options(input_of(source) or {})}
    sizes = (head.get("anchor_generator") or {}).get("base_sizes")
    if sizes:
        options["model.anchor_generator.sizes"] = [[tuple(size) for size in level] for level in reversed(sizes)]
    test_cfg = model.get("test_cfg") or source.get("test_cfg") or {}
    options |= postprocess_options(test_cfg)
    if "conf_thr" in test_cfg:
        options["model.postprocess.object_thr"] = max(test_cfg["conf_thr"], 0)
    return options
