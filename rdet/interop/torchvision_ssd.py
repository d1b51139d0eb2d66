"""Weights of torchvision's SSD300 in rdet's, and back."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor, nn

from rdet.checkpoint import load_weights_into, read_checkpoint, weights_in
from rdet.errors import CheckpointError

# torchvision's beginning of a name <-> rdet's, tried in turn. Layers of conv5 are counted on from those before them.
_FIRST_OF_CONV5 = 23
_RENAMED = [
    ("backbone.features.", "backbone.features."),
    ("backbone.scale_weight", "neck.l2_norm.weight"),
    ("backbone.extra.0.7.1.", "neck.fc.fc6."),
    ("backbone.extra.0.7.3.", "neck.fc.fc7."),
    *((f"backbone.extra.{level + 1}.", f"neck.extra_layers.{level}.") for level in range(5)),
    ("head.classification_head.module_list.", "bbox_head.conv_cls."),
    ("head.regression_head.module_list.", "bbox_head.conv_reg."),
]
_THEIR_CONV5 = re.compile(r"backbone\.extra\.0\.([135])\.(weight|bias)")
_OUR_CONV5 = re.compile(r"backbone\.features\.(24|26|28)\.(weight|bias)")


def convert_ssd_state_dict(state: Mapping[str, Tensor], num_classes: int) -> dict[str, Tensor]:
    """Rename the weights of a torchvision SSD with VGG-16; of each prior, the background's come last.

    Class k of the result is torchvision's label k + 1: of 90 classes, COCO's category ids from 1 on.

    Args:
        state: Its ``state_dict()``.
        num_classes: K, without the background.

    Raises:
        CheckpointError: A name is not one of torchvision's SSD.
    """
    return {_ours(name): _moved(name, value, num_classes, -1, "module_list") for name, value in state.items()}


def torchvision_ssd_state_dict(state: Mapping[str, Tensor], num_classes: int) -> dict[str, Tensor]:
    """Undo :func:`convert_ssd_state_dict`."""
    return {_theirs(name): _moved(name, value, num_classes, 1, "conv_cls") for name, value in state.items()}


def load_torchvision_ssd(model: nn.Module, source: Mapping[str, Tensor] | str | Path) -> None:
    """Load a torchvision SSD300's weights into a detector of ``configs/ssd/ssd300_vgg16_torchvision.py``.

    Args:
        model: The detector.
        source: The state dict, or a path or address of one.

    Raises:
        CheckpointError: The weights are of another architecture.
    """
    load_converted(model, source, convert_ssd_state_dict)


def load_converted(
    model: nn.Module,
    source: Mapping[str, Tensor] | str | Path,
    convert: Callable[[Mapping[str, Tensor], int], dict[str, Tensor]],
) -> None:
    """Load weights of torchvision's that ``convert`` turns, with the number of classes, into rdet's."""
    state = source if isinstance(source, Mapping) else weights_in(read_checkpoint(source))
    name = "torchvision's state dict" if isinstance(source, Mapping) else str(source)
    num_classes: int = model.num_classes  # type: ignore[assignment]
    load_weights_into(model, convert(state, num_classes), name)


def _moved(name: str, value: Tensor, num_classes: int, shift: int, mark: str) -> Tensor:
    """Move the background of each prior's outputs from the first place to the last, or back."""
    return background_moved(name, value, num_classes, shift) if mark in name and "regression" not in name else value


def background_moved(name: str, value: Tensor, num_classes: int, shift: int) -> Tensor:
    """Move the background by ``shift`` places among each prior's outputs, the first dimension of a weight or bias.

    Raises:
        CheckpointError: They are not outputs of so many classes.
    """
    per_prior = num_classes + 1
    if len(value) % per_prior:
        raise CheckpointError(f"{name} has {len(value)} outputs, which are not those of {num_classes} classes")
    outputs: Tensor = value.unflatten(0, (-1, per_prior))
    return outputs.roll(shift, dims=1).flatten(0, 1)


def _ours(name: str) -> str:
    if match := _THEIR_CONV5.fullmatch(name):
        return f"backbone.features.{_FIRST_OF_CONV5 + int(match[1])}.{match[2]}"
    for theirs, ours in _RENAMED:
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    raise CheckpointError(f"{name!r} is not a weight of torchvision's SSD with VGG-16")


def _theirs(name: str) -> str:
    if match := _OUR_CONV5.fullmatch(name):
        return f"backbone.extra.0.{int(match[1]) - _FIRST_OF_CONV5}.{match[2]}"
    for theirs, ours in _RENAMED:
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    raise CheckpointError(f"{name!r} is not a weight of rdet's SSD with VGG-16")
