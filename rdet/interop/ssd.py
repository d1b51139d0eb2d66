"""Weights of MMDetection's SSD300 and SSD512 as rdet's, and back."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from rdet.checkpoint import meta_in
from rdet.errors import CheckpointError
from rdet.interop.coco import default_classes
from rdet.interop.converted import Converted
from rdet.interop.model_config import config_of_repository, input_of, input_options, postprocess_options
from rdet.interop.renamed import renamed
from rdet.interop.source_config import source_config
from rdet.interop.whole_networks import check_complete, check_numbers
from rdet.messages import few

# MMDetection's name <-> rdet's, where the layer is called otherwise; an activation is a layer in rdet's neck.
_TO_RDET = [
    (r"backbone\.features\.31\.(.+)", r"neck.fc.fc6.\1"),
    (r"backbone\.features\.33\.(.+)", r"neck.fc.fc7.\1"),
    (r"neck\.extra_layers\.(\d+)\.0\.conv\.(.+)", r"neck.extra_layers.\1.0.\2"),
    (r"neck\.extra_layers\.(\d+)\.1\.conv\.(.+)", r"neck.extra_layers.\1.2.\2"),
    (r"bbox_head\.(cls|reg)_convs\.(\d+)\.0\.(.+)", r"bbox_head.conv_\1.\2.\3"),
    (r"(backbone\.features\.\d+\..+|neck\.l2_norm\.weight)", r"\1"),
]
_TO_MMDET = [
    (r"neck\.fc\.fc6\.(.+)", r"backbone.features.31.\1"),
    (r"neck\.fc\.fc7\.(.+)", r"backbone.features.33.\1"),
    (r"neck\.extra_layers\.(\d+)\.0\.(.+)", r"neck.extra_layers.\1.0.conv.\2"),
    (r"neck\.extra_layers\.(\d+)\.2\.(.+)", r"neck.extra_layers.\1.1.conv.\2"),
    (r"bbox_head\.conv_(cls|reg)\.(\d+)\.(.+)", r"bbox_head.\1_convs.\2.0.\3"),
    (r"(backbone\.features\.\d+\..+|neck\.l2_norm\.weight)", r"\1"),
]
_SIDES = {6: 300, 7: 512}  # levels -> side of the images
# Side -> what MMDetection's `SSDAnchorGenerator` is told for COCO.
_ANCHORS: dict[int, dict[str, Any]] = {
    300: {
        "input_size": 300,
        "basesize_ratio_range": [0.15, 0.9],
        "strides": [8, 16, 32, 64, 100, 300],
        "ratios": [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
    },
    512: {
        "input_size": 512,
        "basesize_ratio_range": [0.1, 0.9],
        "strides": [8, 16, 32, 64, 128, 256, 512],
        "ratios": [[2], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]],
    },
}
_TARGET_STDS = [0.1, 0.1, 0.2, 0.2]
_UNKNOWN = "it is no SSD300 or SSD512 with VGG-16; others are not known"


def is_ssd(weights: Mapping[str, Any], project: str) -> bool:
    """Tell whether weights have the names of SSD with VGG-16 in ``'mmdet'`` or ``'rdet'``."""
    of_head = "bbox_head.cls_convs.0.0.weight" if project == "mmdet" else "bbox_head.conv_cls.0.weight"
    fc6 = "backbone.features.31.weight" if project == "mmdet" else "neck.fc.fc6.weight"
    return of_head in weights and fc6 in weights


def from_ssd(content: Mapping[str, Any], weights: Mapping[str, Tensor], path: str) -> Converted:
    """Convert an SSD300 or SSD512.

    Args:
        content: Of the file; its config says thresholds and what is taken off the pixels.
        weights: Under MMDetection's names.
        path: Of the file.

    Raises:
        CheckpointError: It is another kind of SSD.
    """
    check_numbers(weights)
    state, unknown = renamed(weights, lambda name: _replaced(name, _TO_RDET))
    if unknown:
        raise CheckpointError(f"SSD has no weight called {few(unknown, 3)}; {_UNKNOWN}")
    levels = len({name for name in state if re.fullmatch(r"bbox_head\.conv_cls\.\d+\.bias", name)})
    if levels not in _SIDES:
        raise CheckpointError(f"it has {levels} levels; {_UNKNOWN}")
    side = _SIDES[levels]
    source = source_config(meta_in(content), path)
    model = source.get("model") or {}
    _check_boxes(model.get("bbox_head") or {}, side)
    options = {"model.backbone.weights": None, **input_options(input_of(source) or {})}
    options |= postprocess_options(model.get("test_cfg") or source.get("test_cfg") or {})
    cfg = config_of_repository(f"configs/ssd/ssd{side}_vgg16_coco_mmdet.py", options)
    priors = len(state["bbox_head.conv_reg.0.bias"]) // 4
    num_classes = len(state["bbox_head.conv_cls.0.bias"]) // max(priors, 1) - 1
    check_complete(state, cfg, num_classes, _UNKNOWN)
    description = f"SSD{side} with VGG-16, {num_classes} classes"
    return Converted(state, cfg, default_classes(num_classes), num_classes, description)


def to_ssd(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of rdet's SSD300 or SSD512 as MMDetection's.

    Args:
        state: rdet's name -> tensor, of the network alone.

    Raises:
        CheckpointError: A weight has no name there.
    """
    found, unknown = renamed(state, lambda name: _replaced(name, _TO_MMDET))
    if unknown:
        raise CheckpointError(f"SSD has no weight called {few(unknown, 3)} in mmdet")
    return found


def _replaced(name: str, patterns: list[tuple[str, str]]) -> str | None:
    for pattern, replacement in patterns:
        if match := re.fullmatch(pattern, name):
            return match.expand(replacement)
    return None


def _check_boxes(head: Mapping[str, Any], side: int) -> None:
    """Raise CheckpointError if a source's head has other default boxes, or deltas, than those for COCO."""
    generator = head.get("anchor_generator") or {}
    others = [key for key, usual in _ANCHORS[side].items() if _lists(generator.get(key, usual)) != usual]
    others += [key for key in ("min_sizes", "max_sizes") if generator.get(key)]
    if others:
        raise CheckpointError(
            f"its anchor_generator makes other default boxes than those of SSD{side} for COCO ({', '.join(others)}), "
            "which are not known"
        )
    if _lists((head.get("bbox_coder") or {}).get("target_stds", _TARGET_STDS)) != _TARGET_STDS:
        raise CheckpointError(f"its bbox_coder has other target_stds than {_TARGET_STDS}, which are not known")


def _lists(value: Any) -> Any:
    return [_lists(item) for item in value] if isinstance(value, list | tuple) else value
