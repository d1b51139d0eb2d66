"""Weights of MMDetection's RTMDet as rdet's, and back."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rdet.errors import CheckpointError
from rdet.interop.coco import default_classes
from rdet.interop.converted import Converted
from rdet.interop.model_config import config_of_repository
from rdet.interop.renamed import renamed
from rdet.interop.whole_networks import check_complete, check_numbers
from rdet.messages import few

# Prefix of names -> rdet's, which are MMDetection's but for the head's.
_PREFIXES = {
    "bbox_head.rtm_cls.": "bbox_head.conv_cls.",
    "bbox_head.rtm_reg.": "bbox_head.conv_reg.",
    "bbox_head.cls_convs.": "bbox_head.cls_convs.",
    "bbox_head.reg_convs.": "bbox_head.reg_convs.",
    "backbone.": "backbone.",
    "neck.": "neck.",
}
_SIZES = {(1, 24): "tiny", (1, 32): "s", (2, 48): "m", (3, 64): "l", (4, 80): "x"}  # blocks, width of the stem
_UNKNOWN = "it is no RTMDet of three levels with CSPNeXt; others are not known"


def is_rtmdet(weights: Mapping[str, Any], project: str) -> bool:
    """Tell whether weights have the names of RTMDet in ``'mmdet'`` or ``'rdet'``."""
    if project == "mmdet":
        return any(name.startswith("bbox_head.rtm_cls.") for name in weights)
    return "backbone.stem.0.conv.weight" in weights and "neck.out_convs.0.conv.weight" in weights


def from_rtmdet(content: Mapping[str, Any], weights: Mapping[str, Tensor], path: str) -> Converted:
    """Convert an RTMDet of any size.

    Args:
        content: Of the file; it has no meaning here.
        weights: Under MMDetection's names.
        path: Has no meaning here.

    Raises:
        CheckpointError: It is another kind of RTMDet.
    """
    check_numbers(weights)
    state, unknown = renamed(weights, lambda name: _replaced(name, _PREFIXES))
    if unknown:
        raise CheckpointError(f"RTMDet has no weight called {few(unknown, 3)}; with masks it is not known")
    _check_shared(state)
    options, name = _options(state)
    num_classes = state["bbox_head.conv_cls.0.weight"].shape[0]
    cfg = config_of_repository("configs/rtmdet/rtmdet_l_640_coco.py", options)
    check_complete(state, cfg, num_classes, _UNKNOWN)
    return Converted(state, cfg, default_classes(num_classes), num_classes, f"RTMDet-{name}, {num_classes} classes")


def to_rtmdet(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of rdet's RTMDet as MMDetection's.

    Args:
        state: rdet's name -> tensor, of the network alone.

    Raises:
        CheckpointError: A weight has no name there.
    """
    back = {ours: theirs for theirs, ours in _PREFIXES.items()}
    found, unknown = renamed(state, lambda name: _replaced(name, back))
    if unknown:
        raise CheckpointError(f"RTMDet has no weight called {few(unknown, 3)} in mmdet")
    return found


def _replaced(name: str, prefixes: Mapping[str, str]) -> str | None:
    found = next((prefix for prefix in prefixes if name.startswith(prefix)), None)
    return None if found is None else prefixes[found] + name.removeprefix(found)


def _check_shared(state: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError unless the convolutions of all levels are those of the first."""
    for name, value in state.items():
        if re.fullmatch(r"bbox_head\.(cls|reg)_convs\.\d+\..*conv\.(weight|bias)", name):
            first = state.get(re.sub(r"_convs\.\d+", "_convs.0", name))
            if first is None or not torch.equal(first, value):
                raise CheckpointError(f"its levels do not share {name}: {_UNKNOWN}")


def _options(state: Mapping[str, Tensor]) -> tuple[dict[str, Any], str]:
    """Say what the config of RTMDet-l needs changed, and what the size is called."""
    needed = [f"{name}.weight" for name in ("backbone.stem.2.conv", "neck.out_convs.0.conv", "bbox_head.conv_cls.0")]
    missing = [name for name in needed if name not in state or state[name].ndim != 4]
    if missing:
        raise CheckpointError(f"it has no {few(missing)}: {_UNKNOWN}")
    stem, out, cls = (state[name].shape for name in needed)

    def count(prefix: str) -> int:
        return len({name.removeprefix(prefix).split(".")[0] for name in state if name.startswith(prefix)})

    depth = count("backbone.stage1.1.blocks.")
    name = _SIZES.get((depth, stem[0]), f"{depth}x{stem[0]}")
    deepen = 1 / 6 if count("backbone.stage2.1.blocks.") == 1 else depth / 3
    options = {
        "model.backbone.deepen_factor": deepen,
        "model.backbone.widen_factor": stem[0] / 64,
        "model.neck.out_channels": out[0],
        "model.neck.num_csp_blocks": count("neck.top_down_blocks.0.blocks."),
        "model.bbox_head.feat_channels": cls[1],
        "model.bbox_head.stacked_convs": count("bbox_head.cls_convs.0."),
        # Nothing in the weights says it; of MMDetection's sizes, those up to s have none.
        "model.bbox_head.exp_on_reg": stem[0] > 32,
    }
    return options, name
