"""Weights of Detectron2's RetinaNet in rdet's."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from rdet.errors import CheckpointError
from rdet.interop.renamed import renamed
from rdet.messages import few

# Detectron2's name -> rdet's, tried in turn.
_RULES = [
    (r"backbone\.bottom_up\.stem\.conv1\.(weight)", r"backbone.conv1.\1"),
    (r"backbone\.bottom_up\.stem\.conv1\.norm\.(\w+)", r"backbone.bn1.\1"),
    (r"backbone\.bottom_up\.res(\d)\.(\d+)\.shortcut\.(weight)", r"backbone.layer{}.\2.downsample.0.\3"),
    (r"backbone\.bottom_up\.res(\d)\.(\d+)\.shortcut\.norm\.(\w+)", r"backbone.layer{}.\2.downsample.1.\3"),
    (r"backbone\.bottom_up\.res(\d)\.(\d+)\.conv(\d)\.(weight)", r"backbone.layer{}.\2.conv\3.\4"),
    (r"backbone\.bottom_up\.res(\d)\.(\d+)\.conv(\d)\.norm\.(\w+)", r"backbone.layer{}.\2.bn\3.\4"),
    (r"backbone\.fpn_lateral(\d)\.(weight|bias)", r"neck.lateral_convs.{}.\2"),
    (r"backbone\.fpn_output(\d)\.(weight|bias)", r"neck.fpn_convs.{}.\2"),
    (r"backbone\.top_block\.p(\d)\.(weight|bias)", r"neck.extra_convs.{}.\2"),
    (r"head\.cls_subnet\.(\d+)\.(weight|bias)", r"bbox_head.cls_convs.{}.conv.\2"),
    (r"head\.bbox_subnet\.(\d+)\.(weight|bias)", r"bbox_head.reg_convs.{}.conv.\2"),
    (r"head\.cls_score\.(weight|bias)", r"bbox_head.conv_cls.\1"),
    (r"head\.bbox_pred\.(weight|bias)", r"bbox_head.conv_reg.\1"),
]
# What the first number of a name becomes, by the name's beginning. A layer of a subnet is a convolution and a ReLU.
_NUMBER = {
    "backbone.bottom_up.res": lambda stage: stage - 1,
    "backbone.fpn_": lambda level: level - 3,
    "backbone.top_block.": lambda level: level - 6,
    "head.": lambda module: module // 2,
}
_BUFFERS = ("pixel_mean", "pixel_std", "anchor_generator.", "loss_normalizer")
SCALES, RATIOS = 3, 3  # of the anchors of a cell


def from_detectron2(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of Detectron2's RetinaNet with a ResNet-FPN backbone to rdet's names.

    Anchors of a cell come there size by size (each in three ratios), here ratio by ratio (each in three sizes); the
    rows of the last two layers are put into this order.

    Args:
        state: Detectron2's name -> tensor.

    Returns:
        rdet's name -> tensor.

    Raises:
        CheckpointError: A name is not one of that detector, or the last layers are not of nine anchors a cell.
    """
    weights = {name: value for name, value in state.items() if not name.startswith(_BUFFERS)}
    converted, unknown = renamed(weights, _rename)
    if unknown:
        raise CheckpointError(f"{few(unknown, 3)}: no weights of Detectron2's RetinaNet with a ResNet-FPN backbone")
    for layer in ("conv_cls", "conv_reg"):
        for end in ("weight", "bias"):
            name = f"bbox_head.{layer}.{end}"
            if name in converted:
                converted[name] = ratio_major(converted[name])
    return converted


def ratio_major(rows: Tensor) -> Tensor:
    """Reorder the rows of a last layer, (9 * n, ...) by size, ratio and output, to ratio, size, output.

    Raises:
        CheckpointError: The rows are not of nine anchors.
    """
    if len(rows) % (SCALES * RATIOS):
        raise CheckpointError(f"a last layer has {len(rows)} rows, which are not of {SCALES * RATIOS} anchors a cell")
    reordered: Tensor = rows.unflatten(0, (SCALES, RATIOS, -1)).transpose(0, 1).flatten(0, 2)
    return reordered


def pixel_statistics(state: Mapping[str, Tensor]) -> tuple[list[float], list[float]] | None:
    """Return mean and deviation of the channels that the weights expect, BGR, if they say it."""
    if "pixel_mean" not in state or "pixel_std" not in state:
        return None
    mean, std = (torch.as_tensor(state[name]).flatten().tolist() for name in ("pixel_mean", "pixel_std"))
    return [round(value, 4) for value in mean], [round(value, 4) for value in std]


def _rename(name: str) -> str | None:
    for pattern, replacement in _RULES:
        if match := re.fullmatch(pattern, name):
            if "{}" in replacement:
                number = next(change for start, change in _NUMBER.items() if name.startswith(start))
                replacement = replacement.format(number(int(match[1])))
            return match.expand(replacement)
    return None
