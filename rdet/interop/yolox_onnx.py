"""Weights of a YOLOX from the ONNX file that it was exported to."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from rdet.errors import CheckpointError
from rdet.interop.onnx_file import OnnxFile

_DEPTHS = (1, 2, 3, 4)  # blocks of the first stage, of nano to s, m, l and x
_LEVELS = 3


def is_yolox_onnx(file: OnnxFile) -> bool:
    """Tell whether an export has YOLOX's names, which its final layers keep."""
    return any(name.startswith("head.obj_preds.") for name in file.arrays)


def read_yolox_onnx(file: OnnxFile) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the weights of an exported YOLOX. The export names most of them by numbers; their order tells them.

    Args:
        file: The export.

    Returns:
        ``input_size``, width and height, where the file says it, and the weights under the names of Megvii's
        checkpoints; a convolution has its weight and the bias in which its normalisation went.

    Raises:
        CheckpointError: It is not of a YOLOX of a released size.
    """
    names = next(
        (
            found
            for depthwise in (False, True)
            for depth in _DEPTHS
            if len(found := list(_names(depth, depthwise))) == len(file.convolutions)
        ),
        None,
    )
    if names is None:
        raise CheckpointError(
            f"{file.path} has {len(file.convolutions)} convolutions, which no YOLOX from nano to x has; take another"
        )
    weights = file.weights(names)
    if not _is_connected(file, names):
        raise CheckpointError(
            f"{file.path}: its convolutions are not connected as those of YOLOX, with SiLU between them; take another"
        )
    return {} if file.input_size is None else {"input_size": file.input_size}, weights


def _names(depth: int, depthwise: bool) -> Iterator[str]:
    """Name the convolutions as the network runs them, with ``depth`` blocks in the first stage."""

    def spatial(name: str) -> list[str]:
        return [f"{name}.dconv.conv", f"{name}.pconv.conv"] if depthwise else [f"{name}.conv"]

    def layer(name: str, blocks: int) -> Iterator[str]:
        yield from (f"{name}.conv1.conv", f"{name}.conv2.conv")
        for block in range(blocks):
            yield f"{name}.m.{block}.conv1.conv"
            yield from spatial(f"{name}.m.{block}.conv2")
        yield f"{name}.conv3.conv"

    yield "backbone.backbone.stem.conv.conv"
    for stage, blocks in {"dark2": depth, "dark3": 3 * depth, "dark4": 3 * depth, "dark5": depth}.items():
        yield from spatial(f"backbone.backbone.{stage}.0")
        if stage == "dark5":
            yield from (f"backbone.backbone.{stage}.1.{conv}.conv" for conv in ("conv1", "conv2"))
        yield from layer(f"backbone.backbone.{stage}.{2 if stage == 'dark5' else 1}", blocks)
    for reduce, after in (("lateral_conv0", "C3_p4"), ("reduce_conv1", "C3_p3")):
        yield f"backbone.{reduce}.conv"
        yield from layer(f"backbone.{after}", depth)
    for halve, after in (("bu_conv2", "C3_n3"), ("bu_conv1", "C3_n4")):
        yield from spatial(f"backbone.{halve}")
        yield from layer(f"backbone.{after}", depth)
    for level in range(_LEVELS):
        yield f"head.stems.{level}.conv"
        for tower, finals in (("cls_convs", ("cls_preds",)), ("reg_convs", ("reg_preds", "obj_preds"))):
            for index in range(2):
                yield from spatial(f"head.{tower}.{level}.{index}")
            yield from (f"head.{final}.{level}" for final in finals)


def _before(name: str) -> str | None:
    """Name the layer whose activated output a convolution takes; None where it takes something else, or it depends."""
    head, _, end = name.removesuffix(".conv").rpartition(".")
    if end == "pconv":
        return f"{head}.dconv.conv"
    name = head if end == "dconv" else name.removesuffix(".conv")
    parts = name.split(".")
    if "m" in parts:  # of a block: the later ones of a stage take a sum
        at = parts.index("m")
        if parts[-1] == "conv2":
            return ".".join([*parts[:-1], "conv1.conv"])
        return ".".join([*parts[:at], "conv1.conv"]) if parts[at + 1] == "0" else None
    if parts[0] == "head" and parts[1] != "stems":
        kind, level = parts[1], parts[2]
        tower = {"cls_preds": "cls_convs", "reg_preds": "reg_convs", "obj_preds": "reg_convs"}.get(kind)
        if tower:
            return f"head.{tower}.{level}.1"
        return f"head.stems.{level}.conv" if parts[3] == "0" else f"head.{kind}.{level}.0"
    return None


def _is_connected(file: OnnxFile, names: list[str]) -> bool:
    """Tell whether convolutions take what those before them give, through SiLU.

    Some have the shapes of others: in another order, they would be loaded as if nothing were wrong.
    """
    gates = {node.output[0]: node.input[0] for node in file.graph.node if node.op_type == "Sigmoid" and node.output}
    activated = {
        node.output[0]: one
        for node in file.graph.node
        if node.op_type == "Mul" and len(node.input) == 2
        for one, other in (tuple(node.input), tuple(reversed(node.input)))
        if gates.get(other) == one
    }
    outputs = {name: node.output[0] for name, node in zip(names, file.convolutions, strict=True)}
    for name, node in zip(names, file.convolutions, strict=True):
        before = _before(name)
        if before is None:
            continue
        wanted = next(outputs[each] for each in (before, f"{before}.conv", f"{before}.pconv.conv") if each in outputs)
        if activated.get(node.input[0]) != wanted:
            return False
    return True
