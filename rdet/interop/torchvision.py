"""Weights of torchvision's RetinaNet and FCOS in rdet's."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor, nn

from rdet.checkpoint import load_weights_into, read_checkpoint, weights_in
from rdet.errors import CheckpointError

# torchvision's name -> rdet's, tried in turn. Optional groups are of names that torchvision itself has changed:
# the released `retinanet_resnet50_fpn_coco` says `inner_blocks.0.weight` for today's `inner_blocks.0.0.weight`.
_RULES = [
    (re.compile(r"backbone\.body\.(.+)"), r"backbone.\1"),
    (re.compile(r"backbone\.fpn\.inner_blocks\.(\d)(?:\.0)?\.(\w+)"), r"neck.lateral_convs.\1.\2"),
    (re.compile(r"backbone\.fpn\.layer_blocks\.(\d)(?:\.0)?\.(\w+)"), r"neck.fpn_convs.\1.\2"),
    (re.compile(r"backbone\.fpn\.extra_blocks\.p6\.(\w+)"), r"neck.extra_convs.0.\1"),
    (re.compile(r"backbone\.fpn\.extra_blocks\.p7\.(\w+)"), r"neck.extra_convs.1.\1"),
    (re.compile(r"head\.classification_head\.conv\.(\d)\.0\.(\w+)"), r"bbox_head.cls_convs.\1.conv.\2"),
    (re.compile(r"head\.regression_head\.conv\.(\d)\.0\.(\w+)"), r"bbox_head.reg_convs.\1.conv.\2"),
    (re.compile(r"head\.classification_head\.conv\.(\d)\.1\.(\w+)"), r"bbox_head.cls_convs.\1.gn.\2"),
    (re.compile(r"head\.regression_head\.conv\.(\d)\.1\.(\w+)"), r"bbox_head.reg_convs.\1.gn.\2"),
    (re.compile(r"head\.classification_head\.cls_logits\.(\w+)"), r"bbox_head.conv_cls.\1"),
    (re.compile(r"head\.regression_head\.bbox_reg\.(\w+)"), r"bbox_head.conv_reg.\1"),
]
_FURTHER_RULES = {
    "RetinaNet": [],
    "FCOS": [(re.compile(r"head\.regression_head\.bbox_ctrness\.(\w+)"), r"bbox_head.conv_quality.\1")],
}
# Towers that are one flat list count every module: a layer is a convolution and a ReLU in RetinaNet's old names,
# a convolution, a norm and a ReLU in FCOS's. Its new names say layer and module, as the rules above.
_FLAT_TOWER = re.compile(r"(head\.\w+\.conv\.)(\d+)\.(weight|bias)")
_MODULES_OF_LAYER = {"RetinaNet": 2, "FCOS": 3}


def convert_retinanet_state_dict(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of a torchvision RetinaNet, first or second version, with any ResNet-FPN backbone.

    Class k of the result is torchvision's label k: 91 classes are COCO's category ids, and 0 is
    never an object.

    Args:
        state: Its ``state_dict()``, old names or new.

    Raises:
        CheckpointError: A name is not one of torchvision's RetinaNet.
    """
    return {_rename(name, "RetinaNet"): value for name, value in state.items()}


def convert_fcos_state_dict(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of a torchvision FCOS; see :func:`convert_retinanet_state_dict`."""
    return {_rename(name, "FCOS"): value for name, value in state.items()}


def load_torchvision_retinanet(model: nn.Module, source: Mapping[str, Tensor] | str | Path) -> None:
    """Load a torchvision RetinaNet's weights into a detector of ``configs/retinanet/r50_fpn_torchvision.py``.

    Those of ``retinanet_resnet50_fpn_v2`` are for ``configs/retinanet/r50_fpn_v2_torchvision.py``.

    Args:
        model: The detector.
        source: The state dict, or a path or address of one.

    Raises:
        CheckpointError: The weights are of another architecture.
    """
    _load(model, source, convert_retinanet_state_dict)


def load_torchvision_fcos(model: nn.Module, source: Mapping[str, Tensor] | str | Path) -> None:
    """Load a torchvision FCOS's weights into a detector of ``configs/fcos/r50_fpn_torchvision.py``.

    For the arguments see :func:`load_torchvision_retinanet`.
    """
    _load(model, source, convert_fcos_state_dict)


def _load(
    model: nn.Module,
    source: Mapping[str, Tensor] | str | Path,
    convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]],
) -> None:
    state = source if isinstance(source, Mapping) else weights_in(read_checkpoint(source))
    name = "torchvision's state dict" if isinstance(source, Mapping) else str(source)
    load_weights_into(model, convert(state), name)


def _rename(name: str, architecture: str) -> str:
    modules = _MODULES_OF_LAYER[architecture]
    current = _FLAT_TOWER.sub(lambda m: f"{m[1]}{int(m[2]) // modules}.{int(m[2]) % modules}.{m[3]}", name)
    for pattern, replacement in _RULES + _FURTHER_RULES[architecture]:
        if match := pattern.fullmatch(current):
            return match.expand(replacement)
    raise CheckpointError(f"{name!r} is not a weight of torchvision's {architecture} with a ResNet-FPN backbone")
