"""Parts of an ONNX graph: its convolutions by the module that they are of, and what comes after the last of them."""

from typing import Any


def groups_of(model: Any) -> dict[str, list[str]]:
    """Group the convolutions of a ``ModelProto`` by the part of the detector that their weights are of.

    Returns:
        Part, such as ``backbone.stage2`` or ``bbox_head.conv_cls`` -> names of nodes, in the order of the graph.
    """
    found: dict[str, list[str]] = {}
    for node in model.graph.node:
        if node.op_type == "Conv":
            words = node.input[1].removeprefix("detector.").split(".")
            found.setdefault(".".join(words[:2]), []).append(node.name)
    return found


def up_to_convolutions(model: Any) -> set[str]:
    """Name the nodes whose results reach a convolution, and the convolutions: not what decodes and suppresses."""
    maker = {output: node for node in model.graph.node for output in node.output}
    found: set[str] = set()
    rest = [node for node in model.graph.node if node.op_type == "Conv"]
    while rest:
        node = rest.pop()
        if node.name not in found:
            found.add(node.name)
            rest += [maker[name] for name in node.input if name in maker]
    return found
