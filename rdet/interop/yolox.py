"""Weights of YOLOX, of Megvii's code and MMDetection's, as rdet's, and back."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from rdet.errors import CheckpointError
from rdet.interop.coco import default_classes
from rdet.interop.converted import Converted
from rdet.interop.model_config import config_of_repository
from rdet.interop.whole_networks import check_complete, check_numbers, identity_norm
from rdet.messages import few

# Prefix of names -> rdet's, which are MMDetection's but for the head's.
_MMDET = {
    "bbox_head.multi_level_cls_convs.": "bbox_head.cls_convs.",
    "bbox_head.multi_level_reg_convs.": "bbox_head.reg_convs.",
    "bbox_head.multi_level_conv_cls.": "bbox_head.conv_cls.",
    "bbox_head.multi_level_conv_reg.": "bbox_head.conv_reg.",
    "bbox_head.multi_level_conv_obj.": "bbox_head.conv_quality.",
    "backbone.": "backbone.",
    "neck.": "neck.",
}
_MEGVII = {
    "backbone.backbone.stem.": "backbone.stem.",
    **{f"backbone.backbone.dark{stage + 1}.": f"backbone.stage{stage}." for stage in range(1, 5)},
    "backbone.lateral_conv0.": "neck.reduce_layers.0.",
    "backbone.C3_p4.": "neck.top_down_blocks.0.",
    "backbone.reduce_conv1.": "neck.reduce_layers.1.",
    "backbone.C3_p3.": "neck.top_down_blocks.1.",
    "backbone.bu_conv2.": "neck.downsamples.0.",
    "backbone.C3_n3.": "neck.bottom_up_blocks.0.",
    "backbone.bu_conv1.": "neck.downsamples.1.",
    "backbone.C3_n4.": "neck.bottom_up_blocks.1.",
    "head.stems.": "neck.out_convs.",
    "head.cls_convs.": "bbox_head.cls_convs.",
    "head.reg_convs.": "bbox_head.reg_convs.",
    "head.cls_preds.": "bbox_head.conv_cls.",
    "head.reg_preds.": "bbox_head.conv_reg.",
    "head.obj_preds.": "bbox_head.conv_quality.",
}
_PREFIXES = {"mmdet": _MMDET, "yolox": _MEGVII}
# Megvii's layers within rdet's, wherever they stand; in a CSP layer, not in a block nor in spatial pooling.
_LAYERS = {
    r"\bdconv\b": "depthwise_conv",
    r"\bpconv\b": "pointwise_conv",
    r"((?:stage[123]\.1|stage4\.2|blocks\.\d)\.)conv1\b": r"\1main_conv",
    r"((?:stage[123]\.1|stage4\.2|blocks\.\d)\.)conv2\b": r"\1short_conv",
    r"((?:stage[123]\.1|stage4\.2|blocks\.\d)\.)conv3\b": r"\1final_conv",
    r"\.m\.": ".blocks.",
}
_BACK = {
    r"\bdepthwise_conv\b": "dconv",
    r"\bpointwise_conv\b": "pconv",
    r"\bmain_conv\b": "conv1",
    r"\bshort_conv\b": "conv2",
    r"\bfinal_conv\b": "conv3",
    r"\.blocks\.": ".m.",
}
_EPS = 0.001  # of batch normalisation
_SIDES = range(32, 8193)  # of images; others are damage
_SIZES = {(1, 24): "tiny", (1, 32): "s", (2, 48): "m", (3, 64): "l", (4, 80): "x"}  # blocks, width of the stem
_UNKNOWN = "it is no YOLOX of three levels with CSPDarknet; others are not known"


def is_yolox(weights: Mapping[str, Any], project: str) -> bool:
    """Tell whether weights have the names of YOLOX in ``'mmdet'``, Megvii's (``'yolox'``) or ``'rdet'``."""
    prefix = {"mmdet": "bbox_head.multi_level_conv_obj.", "yolox": "head.obj_preds.", "rdet": "backbone.stem.conv."}
    return any(name.startswith(prefix[project]) for name in weights)


def from_yolox(
    content: Mapping[str, Any], weights: Mapping[str, Tensor], path: str, style: str | None = None
) -> Converted:
    """Convert a YOLOX of any size.

    Args:
        content: Of the file; ``input_size`` of an exported one.
        weights: Under Megvii's or MMDetection's names. A bias of a convolution whose normalisation became part of it
            becomes that of an identity.
        path, style: Have no meaning here.

    Raises:
        CheckpointError: It is another kind of YOLOX.
    """
    project = "mmdet" if is_yolox(weights, "mmdet") else "yolox"
    check_numbers(weights)
    state = {_to_rdet(name, project): value for name, value in weights.items()}
    folded = "backbone.stem.conv.conv.bias" in state
    if folded:
        state = _with_identity_norms(state)
    options, name = _options(state, folded)
    num_classes = state["bbox_head.conv_cls.0.weight"].shape[0]
    size = content.get("input_size") or ((416, 416) if name in ("nano", "tiny") else (640, 640))
    if not all(side in _SIDES for side in size):
        raise CheckpointError(f"it is for images of {size} pixels; sides from {_SIDES[0]} to {_SIDES[-1]} are known")
    cfg = config_of_repository("configs/yolox/yolox_s_640_coco.py", options)
    _, resize, pad, _ = cfg.val_dataloader.dataset.pipeline
    resize.scale = pad.size = size
    check_complete(state, cfg, num_classes, _UNKNOWN)
    description = f"YOLOX-{name} for {size[0]} x {size[1]} pixels, {num_classes} classes"
    return Converted(state, cfg, default_classes(num_classes), num_classes, description)


def to_yolox(state: Mapping[str, Tensor], project: str) -> dict[str, Tensor]:
    """Rename the weights of rdet's YOLOX.

    Args:
        state: rdet's name -> tensor, of the network alone.
        project: Whose they become: ``'mmdet'``, or Megvii's, ``'yolox'``.

    Raises:
        CheckpointError: A weight has no name there.
    """
    renamed = {}
    for name, value in state.items():
        found = next(((theirs, ours) for theirs, ours in _PREFIXES[project].items() if name.startswith(ours)), None)
        if found is None:
            raise CheckpointError(f"YOLOX has no weight called {name!r} in {project}")
        theirs, ours = found
        rest = name.removeprefix(ours)
        renamed[theirs + (_replaced(f".{rest}", _BACK)[1:] if project == "yolox" else rest)] = value
    return renamed


def _to_rdet(name: str, project: str) -> str:
    found = next(((theirs, ours) for theirs, ours in _PREFIXES[project].items() if name.startswith(theirs)), None)
    if found is None:
        raise CheckpointError(f"YOLOX has no weight called {name!r}")
    theirs, ours = found
    renamed = ours + name.removeprefix(theirs)
    return _replaced(renamed, _LAYERS) if project == "yolox" else renamed


def _replaced(name: str, rules: Mapping[str, str]) -> str:
    for pattern, replacement in rules.items():
        name = re.sub(pattern, replacement, name)
    return name


def _with_identity_norms(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give each convolution whose normalisation went into it one that adds its bias, and does nothing else."""
    found: dict[str, Tensor] = {}
    for name, value in weights.items():
        if name.endswith(".conv.bias"):
            found |= identity_norm(name.removesuffix(".conv.bias") + ".bn", value, _EPS)
        else:
            found[name] = value
    return found


def _options(state: Mapping[str, Tensor], folded: bool) -> tuple[dict[str, Any], str]:
    """Say what the config of YOLOX-s needs changed, and what the size is called."""
    needed = [f"{name}.weight" for name in ("backbone.stem.conv.conv", "neck.out_convs.0.conv", "bbox_head.conv_cls.0")]
    missing = [name for name in needed if name not in state or state[name].ndim != 4]
    if missing:
        raise CheckpointError(f"it has no {few(missing)}: {_UNKNOWN}")
    stem, out, cls = (state[name].shape for name in needed)
    depth = len({name.split(".")[4] for name in state if name.startswith("backbone.stage1.1.blocks.")})
    depthwise = any(".depthwise_conv." in name for name in state)
    towers = {name.split(".")[3] for name in state if name.startswith("bbox_head.cls_convs.0.")}
    blocks = {name.split(".")[4] for name in state if name.startswith("neck.top_down_blocks.0.blocks.")}
    options = {
        "model.backbone.deepen_factor": depth / 3,
        "model.backbone.widen_factor": stem[0] / 64,
        "model.neck.out_channels": out[0],
        "model.neck.num_csp_blocks": len(blocks),
        "model.bbox_head.feat_channels": cls[1],
        "model.bbox_head.stacked_convs": len(towers),
        **{f"model.{slot}.use_depthwise": depthwise for slot in ("backbone", "neck", "bbox_head")},
        **{f"model.{slot}.norm_eval": folded for slot in ("backbone", "neck", "bbox_head")},
    }
    name = "nano" if depthwise and (depth, stem[0]) == (1, 16) else _SIZES.get((depth, stem[0]), f"{depth}x{stem[0]}")
    return options, name
