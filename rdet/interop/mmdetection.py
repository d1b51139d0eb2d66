"""Weights of MMDetection's one-stage detectors under rdet's names, and back."""

from collections.abc import Mapping

import torch
from torch import Tensor

from rdet.architecture import Architecture, architecture_of
from rdet.backbone_of_weights import backbone_of
from rdet.errors import CheckpointError, UnknownNameError
from rdet.interop import mmdet_backbones, mmdet_necks
from rdet.interop.renamed import renamed
from rdet.messages import few, nearest

# MMDetection's layer of `bbox_head` -> rdet's, for each family; `_SAME` are called the same in all.
_LAYERS = {
    "RetinaNet": {"retina_cls": "conv_cls", "retina_reg": "conv_reg"},
    "FCOS": {"conv_cls": "conv_cls", "conv_reg": "conv_reg", "conv_centerness": "conv_quality"},
    "ATSS": {"atss_cls": "conv_cls", "atss_reg": "conv_reg", "atss_centerness": "conv_quality"},
    "DDOD": {"atss_cls": "conv_cls", "atss_reg": "conv_reg", "atss_iou": "conv_quality"},
    "GFL": {"gfl_cls": "conv_cls", "gfl_reg": "conv_reg"},
    "VFNet": {
        "vfnet_cls": "conv_cls",
        "vfnet_reg_conv": "reg_conv",
        "vfnet_reg": "conv_reg",
        "vfnet_reg_refine_dconv": "reg_star_conv",
        "vfnet_reg_refine": "conv_refine",
        "vfnet_cls_dconv": "cls_star_conv",
        "scales_refine": "refine_scales",
    },
    "TOOD": {
        "tood_cls": "conv_cls",
        "tood_reg": "conv_reg",
        "inter_convs": "shared_convs",
        "cls_decomp.layer_attention": "cls_decomposition.attention",
        "reg_decomp.layer_attention": "reg_decomposition.attention",
        "cls_decomp.reduction_conv": "cls_decomposition.mix",
        "reg_decomp.reduction_conv": "reg_decomposition.mix",
        "cls_prob_module": "conv_alignment",
        "reg_offset_module": "conv_offset",
    },
    "YOLOF": {
        "cls_subnet": "cls_convs",
        "bbox_subnet": "reg_convs",
        "cls_score": "conv_cls",
        "bbox_pred": "conv_reg",
        "object_pred": "conv_object",
    },
}
_SAME = {layer: layer for layer in ("cls_convs", "reg_convs", "scales")}
FAMILIES = tuple(_LAYERS)

# Names of FCOS's last layers before MMDetection 2.0, and the centerness branch's of its time.
_OLD_FCOS = {"fcos_cls": "conv_cls", "fcos_reg": "conv_reg", "fcos_centerness": "conv_centerness"}

# GHM's densities, and the borders of their bins: constants that MMDetection stores, of which the last is moved.
_DENSITIES = {
    "bbox_head.loss_cls.acc_sum": "criterion.loss_cls.density.mean",
    "bbox_head.loss_bbox.acc_sum": "criterion.loss_bbox.density.mean",
}
_BORDERS = {"bbox_head.loss_cls.edges": 1 + 1e-6, "bbox_head.loss_bbox.edges": 1e3}

# DDOD's positives of each level so far, which MMDetection counts but does not store.
_LEVEL_COUNTS = "criterion.level_weight.counts"

# The values of a side's distribution, 0 to reg_max: a constant that MMDetection stores.
_INTEGRAL = "bbox_head.integral.project"


def from_mmdetection(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Architecture]:
    """Rename the weights of MMDetection 2 or 3 to rdet's names.

    Of TOOD's offsets, which are (y, x) there and (x, y) here, the channels change places.

    Args:
        state: MMDetection's name -> tensor.

    Returns:
        rdet's name -> tensor, and what the weights are of.

    Raises:
        CheckpointError: They are not of one of :data:`FAMILIES` with a backbone and a neck that rdet knows.
    """
    architecture = architecture_of(state)
    if architecture is None or not architecture.mmdet:
        raise CheckpointError(
            f"these are not weights of MMDetection's {', '.join(FAMILIES)} with a backbone that rdet knows "
            f"(the names are {few(state)})"
        )
    if architecture.family == "FCOS":
        state = {_with_layer(name, _OLD_FCOS): value for name, value in state.items()}
    levels, normed, kind = mmdet_necks.levels_of(state), mmdet_necks.layers_with_norm(state), architecture.backbone.kind
    state = {name: value for name, value in state.items() if name not in {_INTEGRAL, *_BORDERS}}

    def to_rdet(name: str) -> str | None:
        part = name.partition(".")[0]
        if name in _DENSITIES:
            return _DENSITIES[name]
        if part == "backbone":
            return mmdet_backbones.name_to_rdet(name, kind)
        if part == "neck" and architecture.family == "YOLOF":
            return _of_one_level(name, "dilated_encoder_blocks", "blocks")
        if part == "neck":
            return mmdet_necks.name_to_rdet(name, levels, normed)
        return _renamed_layer(name, _SAME | _LAYERS[architecture.family]) if part == "bbox_head" else None

    weights, unknown = renamed(mmdet_backbones.values_to_rdet(state, kind), to_rdet)
    if unknown:
        raise CheckpointError(f"rdet's {architecture} has no {few(unknown, 3)}")
    if architecture.family == "DDOD":
        levels_of_head = sum(name.startswith("bbox_head.scales.") for name in weights)
        weights[_LEVEL_COUNTS] = torch.zeros(levels_of_head, dtype=torch.int64)
    return _with_offsets_turned(weights), architecture


def to_mmdetection(state: Mapping[str, Tensor], family: str) -> dict[str, Tensor]:
    """Rename rdet's weights to MMDetection's names, those of its releases 2 and 3.

    Args:
        state: rdet's name -> tensor.
        family: One of :data:`FAMILIES`; it is not always in the names.

    Raises:
        CheckpointError: A weight has no name there.
        UnknownNameError: There is no such family.
    """
    if family not in FAMILIES:
        raise UnknownNameError(f"no family is called {family!r}. {nearest(family, FAMILIES)}")
    levels, norm = mmdet_necks.levels_of(state), mmdet_necks.norm_of(state)
    backbone = backbone_of(state)
    kind = "ResNet" if backbone is None else backbone.kind
    layers = {ours: theirs for theirs, ours in (_SAME | _LAYERS[family]).items()}

    def to_mmdet(name: str) -> str | None:
        part = name.partition(".")[0]
        if part == "criterion":
            return next((theirs for theirs, ours in _DENSITIES.items() if ours == name), None)
        if part == "neck" and family == "YOLOF":
            return _of_one_level(name, "blocks", "dilated_encoder_blocks")
        if part == "backbone":
            return mmdet_backbones.name_to_mmdet(name, kind)
        if part == "neck":
            return mmdet_necks.name_to_mmdet(name, levels, norm)
        return _renamed_layer(name, layers) if part == "bbox_head" else None

    state = {name: value for name, value in state.items() if name != _LEVEL_COUNTS}
    weights, unknown = renamed(_with_offsets_turned(state), to_mmdet)
    if unknown:
        raise CheckpointError(f"MMDetection's {family} has no {few(unknown, 3)}")
    weights = mmdet_backbones.values_to_mmdet(weights, kind)
    if family == "GFL":
        reg_max = state["bbox_head.conv_reg.weight"].shape[0] // 4 - 1
        weights[_INTEGRAL] = torch.linspace(0, reg_max, reg_max + 1)
    for borders, last in _BORDERS.items():
        density = weights.get(borders.replace("edges", "acc_sum"))
        if density is not None:
            weights[borders] = torch.linspace(0, 1, len(density) + 1)
            weights[borders][-1] = last
    return weights


def _of_one_level(name: str, blocks: str, renamed_blocks: str) -> str | None:
    """Rename a weight of YOLOF's neck, whose layers but the blocks are called the same."""
    _, layer, *rest = name.split(".")
    layers = {layer: layer for layer in ("lateral_conv", "lateral_norm", "fpn_conv", "fpn_norm")}
    layers[blocks] = renamed_blocks
    return ".".join(["neck", layers[layer], *rest]) if layer in layers else None


def _renamed_layer(name: str, layers: Mapping[str, str]) -> str | None:
    """Rename LAYER, one part of the name or two, in ``bbox_head.LAYER.REST``; None if ``layers`` does not have it."""
    _, *rest = name.split(".")
    for length in (1, 2):
        layer = ".".join(rest[:length])
        if layer in layers:
            return ".".join(["bbox_head", layers[layer], *rest[length:]])
    return None


def _with_layer(name: str, layers: Mapping[str, str]) -> str:
    return (_renamed_layer(name, layers) if name.startswith("bbox_head.") else None) or name


def _with_offsets_turned(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Swap the two channels of each side in TOOD's last layer of offsets, weight (8, C, 3, 3) and bias (8,)."""
    state = dict(state)
    for end in ("weight", "bias"):
        for name in (f"bbox_head.conv_offset.2.{end}", f"bbox_head.reg_offset_module.2.{end}"):
            if name in state:
                pairs = state[name].unflatten(0, (4, 2))  # (side, axis, ...)
                state[name] = pairs.flip(1).flatten(0, 1)
    return state
