"""Weights of NanoDet-m (RangiLyu/nanodet 0.x), from its checkpoints and from its exported ONNX files."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import print_log
from torch import Tensor

from rdet.errors import CheckpointError, MissingFileError, MissingModuleError
from rdet.interop.coco import default_classes
from rdet.interop.converted import Converted
from rdet.interop.model_config import config_of_repository
from rdet.messages import few
from rdet.registry import MODELS

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
_BLOCKS = {2: 4, 3: 8, 4: 4}  # of ShuffleNetV2's stages
_EPS = 1e-5  # of batch normalisation
_NUM_BINS = 8  # of every released NanoDet-m: reg_max 7
_SLOPE = 0.1  # of its LeakyReLU
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
    _check_numbers(state)
    bins = state.get("head.distribution_project.project")
    num_bins = _NUM_BINS if bins is None else bins.numel()
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
    _check_complete(renamed, cfg, num_classes)
    width = renamed["backbone.stage2.0.branch2.0.weight"].shape[0] * 2
    description = f"NanoDet-m with {_BACKBONES[width]} for {size[0]} x {size[1]} pixels, {num_classes} classes"
    return Converted(renamed, cfg, default_classes(num_classes), num_classes, description)


def read_nanodet_onnx(path: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the weights of an exported NanoDet-m. The export names most of them by numbers; their order tells them.

    Args:
        path: The file. Nothing of it is run, and it may not refer to others.

    Returns:
        ``input_size``, width and height, where the file says it, and the weights under the names of the project's
        checkpoints; a convolution has its weight and the bias in which its normalisation went.

    Raises:
        CheckpointError: It is no ONNX file, or not of a NanoDet-m.
        MissingFileError: There is no such file.
        MissingModuleError: The package onnx is not installed.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"no checkpoint at {path}")
    try:
        import onnx
    except ImportError as error:
        raise MissingModuleError(f"{path} needs the package onnx; install it: pip install onnx") from error
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:  # protobuf's own errors are of no common kind
        raise CheckpointError(f"{path} cannot be read as an ONNX file ({type(error).__name__})") from error
    arrays = {tensor.name: tensor for tensor in graph.initializer}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    if any(node.op_type == "BatchNormalization" for node in graph.node):
        raise CheckpointError(f"{path} has batch normalisation of its own; export it with its folding, as usual")
    chains = _chains(len(convolutions))
    if chains is None:
        raise CheckpointError(f"{path} has {len(convolutions)} convolutions, which is no NanoDet-m with ShuffleNetV2")
    weights: dict[str, Tensor] = {}
    for name, node in zip([name for chain in chains for name in chain], convolutions, strict=True):
        missing = [repr(name) for name in node.input[1:] if name not in arrays or arrays[name].external_data]
        if len(node.input) != 3 or not node.output or missing:
            raise CheckpointError(
                f"{path}: a convolution has no weight and bias in the file ({few(missing) or 'bias'}); export it with "
                "its weights in it, as initializers"
            )
        for kind, tensor in zip(("weight", "bias"), node.input[1:], strict=True):
            weights[f"{name}.{kind}"] = _tensor(arrays[tensor], path)
    if not _is_connected(graph.node, convolutions, chains):
        raise CheckpointError(
            f"{path}: its convolutions are not connected as those of NanoDet-m, with LeakyReLU of {_SLOPE} between them"
        )
    given = [value for value in graph.input if value.name not in arrays]
    shape = [dim.dim_value for value in given[:1] for dim in value.type.tensor_type.shape.dim]
    content = {"input_size": (shape[3], shape[2])} if len(shape) == 4 and shape[2] and shape[3] else {}
    for output in graph.output[len(_BLOCKS) :]:  # where those of the boxes follow those of the classes
        shape = [dim.dim_value for dim in output.type.tensor_type.shape.dim]
        if shape and all(shape) and 4 * _NUM_BINS not in shape:
            raise CheckpointError(f"{path}: its boxes are not of {_NUM_BINS} bins a side (reg_max {_NUM_BINS - 1})")
    return content, weights


def _tensor(tensor: Any, path: str) -> Tensor:
    """Read the numbers of an ONNX tensor as float32."""
    from onnx import TensorProto, numpy_helper

    if tensor.data_type not in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16):
        raise CheckpointError(f"{path}: the weight {tensor.name!r} is not of floating point; take an export that is")
    try:
        return torch.from_numpy(numpy_helper.to_array(tensor).astype(np.float32))
    except Exception as error:  # sizes that contradict each other and others' paths: errors of no common kind
        raise CheckpointError(f"{path}: the weight {tensor.name!r} is damaged ({type(error).__name__})") from error


def _is_connected(nodes: Any, convolutions: Sequence[Any], chains: list[list[str]]) -> bool:
    """Tell whether convolutions of the same chain follow each other, and the levels of the head stand in their order.

    A chain that has the others' shapes in another order would be loaded as if nothing were wrong.
    """
    made = {output: index for index, node in enumerate(nodes) for output in node.output}
    activated = {
        node.output[0]: node.input[0]
        for node in nodes
        if node.op_type == "LeakyRelu"
        and node.input
        and node.output
        and any(abs(key.f - _SLOPE) < 1e-4 for key in node.attribute if key.name == "alpha")
    }
    left = iter(convolutions)
    levels = []
    for chain in chains:
        before = ""
        for name in chain:
            node = next(left)
            if before and activated.get(node.input[0], node.input[0]) != before:
                return False
            before = node.output[0]
            plain = name.endswith(("branch1.0", "branch2.3")) or name.startswith(("fpn.", "head.gfl_cls."))
            if (before in activated.values()) == plain:
                return False
            if name == chain[0] and chain[-1].startswith("head.gfl_cls."):
                levels.append(made.get(node.input[0], -1))
    return levels == sorted(set(levels))


def _chains(count: int) -> list[list[str]] | None:
    """Name the convolutions as the network runs them, in chains of those that follow each other.

    They are backbone, pyramid, and each level's tower and final one. None if there are not so many.
    """
    chains = [["backbone.conv1.0"]]
    for stage, blocks in _BLOCKS.items():
        chains.append([f"backbone.stage{stage}.0.branch1.{layer}" for layer in (0, 2)])
        chains += [[f"backbone.stage{stage}.{block}.branch2.{layer}" for layer in (0, 3, 5)] for block in range(blocks)]
    levels = len(_BLOCKS)
    chains += [[f"fpn.lateral_convs.{level}.conv"] for level in range(levels)]
    of_level, rest = divmod(count - sum(map(len, chains)), levels)
    if rest or of_level < 1 or of_level % 2 == 0:
        return None
    for level in range(levels):
        tower = [f"head.cls_convs.{level}.{layer}" for layer in range(of_level // 2)]
        names = [f"{layer}.{kind}" for layer in tower for kind in ("depthwise", "pointwise")]
        chains.append([*names, f"head.gfl_cls.{level}"])
    return chains


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


def _check_numbers(state: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError unless all weights are plain tensors of finite numbers."""
    for name, value in state.items():
        if name.endswith("num_batches_tracked") or _is_dropped(name):
            continue
        if not value.is_floating_point() or value.layout != torch.strided or value.is_meta:
            raise CheckpointError(f"its weight {name} is no plain tensor of numbers")
        if not value.isfinite().all():
            raise CheckpointError(f"its weight {name} holds numbers that are not finite")


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


def _check_complete(weights: Mapping[str, Tensor], cfg: Config, num_classes: int) -> None:
    """Raise CheckpointError unless the weights are exactly those of the network that the config describes."""
    wanted = MODELS.build(cfg.model, default_args={"num_classes": num_classes}, where="model").state_dict()
    wrong = [name for name, value in weights.items() if name not in wanted or value.shape != wanted[name].shape]
    missing = [name for name in wanted if name not in weights and not name.endswith("num_batches_tracked")]
    for what, names in (("missing", missing), ("unknown or of another shape", wrong)):
        if names:
            raise CheckpointError(f"of its weights {len(names)} are {what} ({few(names, 3)}); {_UNKNOWN}")


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
