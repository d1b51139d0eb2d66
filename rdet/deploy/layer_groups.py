"""Parts of an ONNX graph: its convolutions by the module that they are of, and what comes after the last of them."""

from collections.abc import Mapping
from typing import Any


def groups_of(model: Any) -> dict[str, list[str]]:
    """Group the convolutions of a ``ModelProto`` by the part of the detector that their weights are of.

    A part is named by two words, such as ``backbone.stage2`` or ``bbox_head.conv_cls``. One that has more than half of
    the convolutions is taken apart by a further word, since with it most of the network would stay in float.

    Returns:
        Part -> names of nodes, in the order of the graph.
    """
    nodes = [node for node in model.graph.node if node.op_type == "Conv"]
    words = {node.name: tuple(node.input[1].removeprefix("detector.").split(".")) for node in nodes}
    return _parts(words, 2, len(set(words.values())) / 2)


def _parts(words: Mapping[str, tuple[str, ...]], depth: int, most: float) -> dict[str, list[str]]:
    """Group names by their first words, by more of them where more than ``most`` convolutions begin so."""
    found: dict[str, list[str]] = {}
    for name, word in words.items():
        found.setdefault(".".join(word[:depth]), []).append(name)
    parts: dict[str, list[str]] = {}
    for part, names in found.items():
        inside = {name: words[name] for name in names}  # levels share convolutions
        can_be_apart = len(set(inside.values())) > most and all(len(word) > depth + 1 for word in inside.values())
        parts |= _parts(inside, depth + 1, most) if can_be_apart else {part: names}
    return parts


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


def convolutions_before(model: Any) -> dict[str, set[str]]:
    """Tell of each node which convolutions its inputs come from, with none in between; of a convolution, itself."""
    maker: dict[str, str] = {}
    found: dict[str, set[str]] = {}
    for node in model.graph.node:  # each comes after what makes its inputs
        sources = [found[maker[name]] for name in node.input if name in maker]
        found[node.name] = {node.name} if node.op_type == "Conv" else set().union(*sources)
        maker |= dict.fromkeys(node.output, node.name)
    return found
