"""Weights of NanoDet-m (RangiLyu/nanodet 0.x), from its checkpoints and from its exported ONNX files."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rdet.errors import CheckpointError, MissingModuleError
from rdet.interop.coco import default_classes
from rdet.interop.converted import Converted
from rdet.interop.model_config import config_of_repository

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
    (re.compile(r"head\.(gfl_reg|distribution_project)\..+"), None),
]
# Channels of the second stage -> torchvision's name of the network.
_BACKBONES = {
    48: "shufflenet_v2_x0_5",
    116: "shufflenet_v2_x1_0",
    176: "shufflenet_v2_x1_5",
    244: "shufflenet_v2_x2_0",
}
_BLOCKS = {2: 4, 3: 8, 4: 4}  # of ShuffleNetV2's stages
_EPS = 1e-5  # of batch normalisation
_NUM_BINS = 8  # of every released NanoDet-m: reg_max 7


def is_nanodet(weights: Mapping[str, Any]) -> bool:
    """Tell whether weights have the names of NanoDet's checkpoints."""
    return any(_WRAPPERS.sub("", name).startswith("head.gfl_cls.") for name in weights)


def from_nanodet(
    content: Mapping[str, Any], weights: Mapping[str, Tensor], path: str, style: str | None = None
) -> Converted:
    """Convert a NanoDet-m.

    Args:
        content: Of the file; ``input_side`` of an exported one.
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
    if any(name.startswith("aux_") for name in state) or "backbone.stage2.0.branch2.0.weight" not in state:
        raise CheckpointError("it is no NanoDet-m of version 0 with ShuffleNetV2; others are not known")
    renamed = dict(_renamed(name, value) for name, value in state.items() if not _is_dropped(name))
    folded = "backbone.conv1.0.bias" in renamed
    if folded:
        renamed = _with_identity_norms(renamed)
    finals = sorted(name for name in renamed if name.startswith("gfl_cls."))
    channels = renamed[finals[0]].shape[0]
    num_classes = channels - 4 * _NUM_BINS
    if num_classes < 1:
        raise CheckpointError(f"its last layer has {channels} channels, too few for boxes of {_NUM_BINS} bins")
    for name in finals:
        layer = name.removeprefix("gfl_cls.")
        renamed[f"bbox_head.conv_cls.{layer}"], renamed[f"bbox_head.conv_reg.{layer}"] = renamed.pop(name).split(
            [num_classes, 4 * _NUM_BINS]
        )
    side = content.get("input_side") or (320 if re.search(r"320|nanodet_m\.\w+$", Path(path).name) else 416)
    options = _options(renamed, folded)
    cfg = config_of_repository(f"configs/nanodet/nanodet_m_{320 if side == 320 else 416}_coco.py", options)
    if side not in (320, 416):
        cfg.val_dataloader.dataset.pipeline[1].scale = (side, side)
    width = renamed["backbone.stage2.0.branch2.0.weight"].shape[0] * 2
    description = f"NanoDet-m with {_BACKBONES[width]} for {side} x {side} pixels, {num_classes} classes"
    return Converted(renamed, cfg, default_classes(num_classes), num_classes, description, fixed_norms=folded)


def read_nanodet_onnx(path: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the weights of an exported NanoDet-m. The export names most of them by numbers; their order tells them.

    Args:
        path: The file. Nothing of it is run, and it may not refer to others.

    Returns:
        ``input_side``, and the weights under the names of the project's checkpoints; a convolution has its weight and
        the bias in which its normalisation went.

    Raises:
        CheckpointError: It is no ONNX file, or not of a NanoDet-m.
        MissingModuleError: The package onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingModuleError(f"{path} needs the package onnx; install it: pip install onnx") from error
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:  # protobuf's own errors are of no common kind
        raise CheckpointError(f"{path} cannot be read as an ONNX file ({type(error).__name__})") from error
    arrays = {tensor.name: tensor for tensor in graph.initializer}
    convolutions = []
    for node in graph.node:
        if node.op_type == "BatchNormalization":
            raise CheckpointError(f"{path} has batch normalisation of its own; export it with its folding, as usual")
        if node.op_type == "Conv":
            missing = [name for name in node.input[1:] if name not in arrays or arrays[name].external_data]
            if len(node.input) != 3 or missing:
                raise CheckpointError(f"{path}: a convolution has no weight and bias in the file ({missing or 'bias'})")
            convolutions.append([_tensor(onnx.numpy_helper.to_array(arrays[name])) for name in node.input[1:]])
    names = _names_in_order(len(convolutions))
    if names is None:
        raise CheckpointError(f"{path} has {len(convolutions)} convolutions, which is no NanoDet-m with ShuffleNetV2")
    weights: dict[str, Tensor] = {}
    for name, (weight, bias) in zip(names, convolutions, strict=True):
        weights |= {f"{name}.weight": weight, f"{name}.bias": bias}
    given = [value for value in graph.input if value.name not in arrays]
    sides = {dim.dim_value for value in given[:1] for dim in value.type.tensor_type.shape.dim[2:]}
    side = sides.pop() if len(sides) == 1 else 0
    return {"input_side": side}, weights


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(array))


def _names_in_order(count: int) -> list[str] | None:
    """Name the convolutions as the network runs them: backbone, pyramid, and each level's tower and final one."""
    names = ["backbone.conv1.0"]
    for stage, blocks in _BLOCKS.items():
        names += [f"backbone.stage{stage}.0.branch1.{layer}" for layer in (0, 2)]
        names += [f"backbone.stage{stage}.{block}.branch2.{layer}" for block in range(blocks) for layer in (0, 3, 5)]
    levels = len(_BLOCKS)
    names += [f"fpn.lateral_convs.{level}.conv" for level in range(levels)]
    of_level, rest = divmod(count - len(names), levels)
    if rest or of_level < 1 or of_level % 2 == 0:
        return None
    for level in range(levels):
        for layer in range(of_level // 2):
            names += [f"head.cls_convs.{level}.{layer}.{kind}" for kind in ("depthwise", "pointwise")]
        names.append(f"head.gfl_cls.{level}")
    return names


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
        found[f"{norm}.weight"] = torch.ones_like(value)
        found[f"{norm}.bias"] = value
        found[f"{norm}.running_mean"] = torch.zeros_like(value)
        found[f"{norm}.running_var"] = torch.full_like(value, 1 - _EPS)
        found[f"{norm}.num_batches_tracked"] = torch.tensor(0)
    return found


def _norm_after(conv: str) -> str | None:
    """Name the normalisation of a convolution, by rdet's names; None if it has none."""
    if conv.startswith("backbone."):
        before, _, index = conv.rpartition(".")
        return f"{before}.{int(index) + 1}"
    return conv.removesuffix(".conv") + ".bn" if conv.startswith("bbox_head.convs.") else None


def _options(weights: Mapping[str, Tensor], folded: bool) -> dict[str, Any]:
    """Say what the config of NanoDet-m needs changed."""
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
    if tower and depthwise is not None:
        pointwise = weights["bbox_head.convs.0.0.pointwise_conv.conv.weight"]
        options["model.bbox_head.feat_channels"] = pointwise.shape[0]
        options["model.bbox_head.kernel_size"] = depthwise.shape[2]
    return options
