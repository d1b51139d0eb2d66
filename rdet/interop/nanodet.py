"""Weights of NanoDet-m (RangiLyu/nanodet 0.x) as rdet's."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from torch import Tensor

from rdet.errors import CheckpointError
from rdet.interop.coco import default_classes
from rdet.interop.converted import Converted
from rdet.interop.model_config import config_of_repository
from rdet.interop.nanodet_onnx import NUM_BINS
from rdet.interop.whole_networks import check_complete, check_numbers, identity_norm
from rdet.messages import few

_WRAPPERS = re.compile(r"^(avg_model\.|model\.)")
# The project's name -> rdet's. A None drops what is not used where classes and boxes share their tower.
_RULES: list[tuple[re.Pattern[str], str | None]] = [
    (re.compile(r"(backbone\..+)"), r"\1"),
    (re.compile(r"fpn\.lateral_convs\.(\d)\.conv\.(\w+)"), r"neck.lateral_convs.\1.\2"),
    (re.compile(r"head\.cls_convs\.(\d)\.(\d)\.depthwise\.(\w+)"), r"bbox_head.convs.\1.\2.depthwise_conv.conv.\3"),
    (re.compile(r"head\.cls_convs\.(\d)\.(\d)\.dwnorm\.(\w+)"), r"bbox_head.convs.\1.\2.depthwise_conv.bn.\3"),
    (re.compile(r"head\.cls_convs\.(\d)\.(\d)\.pointwise\.(\w+)"), r"bbox_head.convs.\1.\2.pointwise_conv.conv.\3"),
    (re.compile(r"head\.cls_convs\.(\d)\.(\d)\.pwnorm\.(\w+)"), r"bbox_head.convs.\1.\2.pointwise_conv.bn.\3"),
    (re.compile(r"head\.gfl_cls\.(\d)\.(\w+)"), r"gfl_cls.\1.\2"),
    (re.compile(r"head\.(gfl_reg|distribution_project)\..+|n_averaged"), None),
]
# Channels of the second stage -> torchvision's name of the network.
_BACKBONES = {
    48: "shufflenet_v2_x0_5",
    116: "shufflenet_v2_x1_0",
    176: "shufflenet_v2_x1_5",
    244: "shufflenet_v2_x2_0",
}
_EPS = 1e-5  # of batch normalisation
_SIDES = range(32, 8193)  # of images; others are damage
_UNKNOWN = "it is no NanoDet-m of version 0 with ShuffleNetV2; others are not known"


def is_nanodet(weights: Mapping[str, Any]) -> bool:
    """Tell whether weights have the names of NanoDet's checkpoints."""
    return any(_WRAPPERS.sub("", name).startswith("head.gfl_cls.") for name in weights)


def from_nanodet(
    content: Mapping[str, Any], weights: Mapping[str, Tensor], path: str, style: str | None = None
) -> Converted:
    """Convert a NanoDet-m.

    Args:
        content: Of the file; ``input_size`` of an exported one.
        weights: Under the project's names. Where there are averaged ones too (``avg_model.``), these are taken, as the
            project does. A bias of a convolution whose normalisation became part of it becomes that of an identity.
        path: The file's, which may say the size of the images.
        style: Has no meaning here.

    Raises:
        CheckpointError: It is another kind of NanoDet.
    """
    averaged = {name: value for name, value in weights.items() if name.startswith("avg_model.")}
    state = {_WRAPPERS.sub("", name): value for name, value in (averaged or weights).items()}
    if any(name.startswith("head.reg_convs.") for name in state):
        raise CheckpointError("its boxes have towers of their own (share_cls_reg=False), which NanoDetHead lacks")
    needed = ("backbone.stage2.0.branch2.0.weight", "fpn.lateral_convs.0.conv.weight", "head.gfl_cls.0.weight")
    if any(name.startswith("aux_") for name in state) or not all(name in state for name in needed):
        raise CheckpointError(_UNKNOWN)
    check_numbers({name: value for name, value in state.items() if not _is_dropped(name)})
    bins = state.get("head.distribution_project.project")
    num_bins = NUM_BINS if bins is None else bins.numel()
    renamed = dict(_renamed(name, value) for name, value in state.items() if not _is_dropped(name))
    folded = "backbone.conv1.0.bias" in renamed
    if folded:
        renamed = _with_identity_norms(renamed)
    num_classes = _split_class_layers(renamed, num_bins)
    known = content.get("input_size") if path.endswith(".onnx") else None
    size = known or (_side_of_name(path),) * 2
    if not all(side in _SIDES for side in size):
        raise CheckpointError(f"it is for images of {size} pixels; sides from {_SIDES[0]} to {_SIDES[-1]} are known")
    options = _options(renamed, folded) | {"model.bbox_coder.reg_max": num_bins - 1}
    cfg = config_of_repository(f"configs/nanodet/nanodet_m_{320 if size == (320, 320) else 416}_coco.py", options)
    if size != (320, 320):
        cfg.val_dataloader.dataset.pipeline[1].scale = size
    check_complete(renamed, cfg, num_classes, _UNKNOWN)
    width = renamed["backbone.stage2.0.branch2.0.weight"].shape[0] * 2
    description = f"NanoDet-m with {_BACKBONES[width]} for {size[0]} x {size[1]} pixels, {num_classes} classes"
    return Converted(renamed, cfg, default_classes(num_classes), num_classes, description)


def _side_of_name(path: str) -> int:
    """Read the size of the images from a file's name, and warn if it does not say it."""
    name = Path(path).name
    found = re.search(r"(?<!\d)(320|416)(?!\d)", name)
    if found:
        return int(found[1])
    if re.fullmatch(r"nanodet_m\.\w+", name):  # as its authors call that for 320
        return 320
    print_log(
        f"{path} does not say for which size of images it is; taken: 416. If that is wrong, it detects less: set "
        "val_dataloader.dataset.pipeline.1.scale",
        "current",
        level=30,
    )
    return 416


def _split_class_layers(weights: dict[str, Tensor], num_bins: int) -> int:
    """Make two layers of each that gives classes and boxes, and return the number of classes."""
    finals = [name for name in weights if name.startswith("gfl_cls.")]
    channels = {weights[name].shape[0] if weights[name].ndim else 1 for name in finals}
    if len(channels) != 1:
        raise CheckpointError(f"its last layers have {few(sorted(channels))} channels; they must have the same")
    num_classes = channels.pop() - 4 * num_bins
    if num_bins < 2 or num_classes < 1:
        raise CheckpointError(
            f"its last layer has {num_classes + 4 * num_bins} channels, too few for boxes of {num_bins} bins"
        )
    for name in finals:
        layer = name.removeprefix("gfl_cls.")
        weights[f"bbox_head.conv_cls.{layer}"], weights[f"bbox_head.conv_reg.{layer}"] = weights.pop(name).split(
            [num_classes, 4 * num_bins]
        )
    return num_classes


def _is_dropped(name: str) -> bool:
    return any(target is None and rule.fullmatch(name) for rule, target in _RULES)


def _renamed(name: str, value: Tensor) -> tuple[str, Tensor]:
    for rule, target in _RULES:
        if target is not None and rule.fullmatch(name):
            return rule.sub(target, name), value
    raise CheckpointError(f"NanoDet-m has no weight called {name!r}")


def _with_identity_norms(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give each convolution that had a normalisation one that adds its bias, and does nothing else."""
    found = {}
    for name, value in weights.items():
        norm = _norm_after(name.removesuffix(".bias")) if name.endswith(".bias") else None
        if norm is None:
            found[name] = value
            continue
        found |= identity_norm(norm, value, _EPS)
    return found


def _norm_after(conv: str) -> str | None:
    """Name the normalisation of a convolution, by rdet's names; None if it has none."""
    before, _, index = conv.rpartition(".")
    if conv.startswith("backbone.") and index.isdecimal():
        return f"{before}.{int(index) + 1}"
    return conv.removesuffix(".conv") + ".bn" if conv.startswith("bbox_head.convs.") else None


def _options(weights: Mapping[str, Tensor], folded: bool) -> dict[str, Any]:
    """Say what the config of NanoDet-m needs changed."""
    convolutions = [value for name, value in weights.items() if name.endswith(("conv.weight", "branch2.0.weight"))]
    if any(value.ndim != 4 for value in [*convolutions, weights["neck.lateral_convs.0.weight"]]):
        raise CheckpointError(_UNKNOWN)
    width = weights["backbone.stage2.0.branch2.0.weight"].shape[0] * 2
    if width not in _BACKBONES:
        raise CheckpointError(f"its second stage has {width} channels, which no ShuffleNetV2 has")
    tower = {name.split(".")[3] for name in weights if name.startswith("bbox_head.convs.0.")}
    depthwise = weights.get("bbox_head.convs.0.0.depthwise_conv.conv.weight")
    options: dict[str, Any] = {
        "model.backbone.model_name": _BACKBONES[width],
        "model.backbone.weights": None,
        "model.backbone.norm_eval": folded,
        "model.bbox_head.norm_eval": folded,
        "model.neck.out_channels": weights["neck.lateral_convs.0.weight"].shape[0],
        "model.bbox_head.stacked_convs": len(tower),
    }
    pointwise = weights.get("bbox_head.convs.0.0.pointwise_conv.conv.weight")
    if depthwise is not None and pointwise is not None:
        options["model.bbox_head.feat_channels"] = pointwise.shape[0]
        options["model.bbox_head.kernel_size"] = depthwise.shape[2]
    return options
