"""Weights of a NanoDet-m from the ONNX file that it was exported to."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from rdet.errors import CheckpointError
from rdet.interop.onnx_file import OnnxFile

NUM_BINS = 8  # of every released NanoDet-m: reg_max 7
_BLOCKS = {2: 4, 3: 8, 4: 4}  # of ShuffleNetV2's stages
_SLOPE = 0.1  # of its LeakyReLU


def read_nanodet_onnx(file: OnnxFile) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the weights of an exported NanoDet-m. The export names most of them by numbers; their order tells them.

    Args:
        file: The export.

    Returns:
        ``input_size``, width and height, where the file says it, and the weights under the names of the project's
        checkpoints; a convolution has its weight and the bias in which its normalisation went.

    Raises:
        CheckpointError: It is not of a NanoDet-m.
    """
    path, convolutions = file.path, file.convolutions
    chains = _chains(len(convolutions))
    if chains is None:
        raise CheckpointError(
            f"{path} is an ONNX file that 'rdet export' did not write, and no NanoDet-m or YOLOX, whose weights can be "
            f"read: it has {len(convolutions)} convolutions; take another"
        )
    weights = file.weights([name for chain in chains for name in chain])
    if not _is_connected(file.graph.node, convolutions, chains):
        raise CheckpointError(
            f"{path}: its convolutions are not connected as those of NanoDet-m, with LeakyReLU of {_SLOPE} between "
            "them; take another"
        )
    content = {} if file.input_size is None else {"input_size": file.input_size}
    for output in file.graph.output[len(_BLOCKS) :]:  # where those of the boxes follow those of the classes
        shape = [dim.dim_value for dim in output.type.tensor_type.shape.dim]
        if shape and all(shape) and 4 * NUM_BINS not in shape:
            raise CheckpointError(
                f"{path}: its boxes are not of {NUM_BINS} bins a side (reg_max {NUM_BINS - 1}); take another"
            )
    return content, weights


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
