"""Names of necks' weights in MMDetection and in rdet."""

from collections.abc import Mapping

from torch import Tensor

_DYHEAD = "neck.1.dyhead_blocks."
_LAYERS = ("lateral_convs", "fpn_convs", "extra_convs", "reduction_conv")
# What stands behind a convolution's name: in rdet, with a normalisation, its place among both.
_CONV, _NORMS = "0", "1"


def levels_of(state: Mapping[str, Tensor]) -> int:
    """Count the lateral convolutions of a pyramid; those of HRFPN, which has none, are without end."""
    found = {
        name.partition("lateral_convs.")[2].partition(".")[0]
        for name in state
        if name.startswith(("neck.lateral_convs.", "neck.0.lateral_convs."))
    }
    return len(found) or 1000


def name_to_rdet(name: str, levels: int, has_norm: Mapping[str, bool]) -> str | None:
    """Rename a weight ``neck.*`` of MMDetection; None if rdet's necks have none like it.

    Args:
        name: Of the weight.
        levels: See :func:`levels_of`.
        has_norm: Layer, such as ``neck.fpn_convs.0`` -> whether a normalisation follows its convolution there.
    """
    if name.startswith(_DYHEAD):
        return name
    prefix, kind, index, rest = _parts(name)
    if kind not in _LAYERS or rest is None:
        return None
    layer = _joined(prefix, kind, index)
    part, _, end = rest.partition(".")
    if part == "conv":
        rest = f"{_CONV}.{end}" if has_norm.get(layer) else end
    elif part in ("bn", "gn"):
        rest = f"{_NORMS}.{end}"
    else:
        return None
    if kind == "fpn_convs" and int(index) >= levels:
        layer = _joined(prefix, "extra_convs", str(int(index) - levels))
    return f"{layer}.{rest}"


def layers_with_norm(state: Mapping[str, Tensor]) -> dict[str, bool]:
    """Tell of MMDetection's layers of a neck which have a normalisation."""
    names = [name for name in state if name.startswith("neck.") and name.endswith((".bn.weight", ".gn.weight"))]
    return {name.rpartition(".")[0].rpartition(".")[0]: True for name in names}


def norm_of(state: Mapping[str, Tensor]) -> str:
    """Say what MMDetection calls the normalisation that rdet's neck has: ``'bn'`` if it has statistics."""
    has_statistics = any(name.startswith("neck.") and name.endswith(".running_mean") for name in state)
    return "bn" if has_statistics else "gn"


def name_to_mmdet(name: str, levels: int, norm: str) -> str | None:
    """Rename a weight ``neck.*`` of rdet; None if MMDetection's necks have none like it.

    Args:
        name: Of the weight.
        levels: See :func:`levels_of`.
        norm: ``'bn'`` or ``'gn'``, what MMDetection calls the normalisation, if there is one.
    """
    if name.startswith(_DYHEAD):
        return name
    prefix, kind, index, rest = _parts(name)
    if kind not in _LAYERS or rest is None:
        return None
    if kind == "extra_convs":
        kind, index = "fpn_convs", str(int(index) + levels)
    part, _, end = rest.partition(".")
    named = {_CONV: f"conv.{end}", _NORMS: f"{norm}.{end}"}.get(part, f"conv.{rest}")
    return f"{_joined(prefix, kind, index)}.{named}"


def _parts(name: str) -> tuple[str, str, str, str | None]:
    """Take a name apart: ``'neck'`` or ``'neck.0'``, the layer, its number or nothing, and the rest."""
    prefix = "neck.0" if name.startswith("neck.0.") else "neck"
    kind, _, rest = name.removeprefix(f"{prefix}.").partition(".")
    index, _, end = rest.partition(".")
    if kind == "reduction_conv":
        return prefix, kind, "", rest
    return prefix, kind, index, end if index.isdigit() and end else None


def _joined(prefix: str, kind: str, index: str) -> str:
    return ".".join(part for part in (prefix, kind, index) if part)
