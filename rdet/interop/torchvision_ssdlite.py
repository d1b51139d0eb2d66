"""Weights of torchvision's SSDLite320 in rdet's, and back."""

import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from rdet.errors import CheckpointError
from rdet.interop.torchvision_ssd import background_moved, load_converted

# torchvision's SSDLite cuts MobileNetV3 into two parts, within this layer; rdet's has the layers of the whole network.
_C4 = 13
_RENAMED = [
    ("backbone.extra.", "neck.extra_layers."),
    ("head.classification_head.module_list.", "bbox_head.conv_cls."),
    ("head.regression_head.module_list.", "bbox_head.conv_reg."),
]
_SCORES = re.compile(r"bbox_head\.conv_cls\.\d+\.1\.(weight|bias)")


def convert_ssdlite_state_dict(state: Mapping[str, Tensor], num_classes: int) -> dict[str, Tensor]:
    """Rename the weights of a torchvision SSDLite with MobileNetV3-Large; of each prior, the background's come last.

    Class k of the result is torchvision's label k + 1: of 90 classes, COCO's category ids from 1 on.

    Args:
        state: Its ``state_dict()``.
        num_classes: K, without the background.

    Raises:
        CheckpointError: A name is not one of torchvision's SSDLite.
    """
    return {(ours := _ours(name)): _moved(ours, value, num_classes, -1) for name, value in state.items()}


def torchvision_ssdlite_state_dict(state: Mapping[str, Tensor], num_classes: int) -> dict[str, Tensor]:
    """Undo :func:`convert_ssdlite_state_dict`."""
    return {_theirs(name): _moved(name, value, num_classes, 1) for name, value in state.items()}


def load_torchvision_ssdlite(model: nn.Module, source: Mapping[str, Tensor] | str | Path) -> None:
    """Load a torchvision SSDLite320's weights into ``configs/ssd/ssdlite320_mobilenet_v3_large_coco.py``'s detector.

    Args:
        model: The detector.
        source: The state dict, or a path or address of one.

    Raises:
        CheckpointError: The weights are of another architecture.
    """
    load_converted(model, source, convert_ssdlite_state_dict)


def _moved(name: str, value: Tensor, num_classes: int, shift: int) -> Tensor:
    return background_moved(name, value, num_classes, shift) if _SCORES.fullmatch(name) else value


def _ours(name: str) -> str:
    if match := re.fullmatch(r"backbone\.features\.([01])\.(\d+)\.(.+)", name):
        part, layer, rest = int(match[1]), int(match[2]), match[3]
        if part == 0 and layer < _C4:
            return f"backbone.features.{layer}.{rest}"
        if part == 0 and layer == _C4:
            return f"backbone.features.{_C4}.block.0.{rest}"
        if part == 1:
            return f"backbone.features.{_C4}.block.{rest}" if layer == 0 else f"backbone.features.{_C4 + layer}.{rest}"
    for theirs, ours in _RENAMED:
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    raise CheckpointError(f"{name!r} is not a weight of torchvision's SSDLite with MobileNetV3")


def _theirs(name: str) -> str:
    if match := re.fullmatch(r"backbone\.features\.(\d+)\.(.+)", name):
        layer, rest = int(match[1]), match[2]
        if layer < _C4:
            return f"backbone.features.0.{layer}.{rest}"
        if rest.startswith("block.0.") and layer == _C4:
            return f"backbone.features.0.{_C4}.{rest.removeprefix('block.0.')}"
        return f"backbone.features.1.{layer - _C4}.{rest.removeprefix('block.') if layer == _C4 else rest}"
    for theirs, ours in _RENAMED:
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    raise CheckpointError(f"{name!r} is not a weight of rdet's SSDLite with MobileNetV3")
