"""Which pyramid a detector's weights belong to, from their names and shapes alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class NeckOfWeights:
    """A pyramid, and how a config has it.

    Attributes:
        kind: ``'FPN'``, ``'HRFPN'`` or YOLOF's ``'DilatedEncoder'``.
        channels: Of its levels.
        norm: ``'GN'``, ``'BN'`` or None, the normalisation after its convolutions.
        norm_on_lateral: Whether the lateral convolutions have it.
        dyhead_blocks: Blocks of a dynamic head behind it; 0: there is none.
    """

    kind: str
    channels: int
    norm: str | None
    norm_on_lateral: bool
    dyhead_blocks: int

    @property
    def name(self) -> str:
        """Its parts, for example ``'FPN-DyHead'``."""
        return f"{self.kind}-DyHead" if self.dyhead_blocks else self.kind

    @property
    def options(self) -> dict[str, object]:
        """What a config with a plain FPN of 256 channels needs changed: dotted key -> value."""
        if self.kind == "HRFPN":
            return {"model.neck": {"_delete_": True, "type": "HRFPN", "out_channels": self.channels}}
        usual = 512 if self.kind == "DilatedEncoder" else 256
        options: dict[str, object] = {} if self.channels == usual else {"model.neck.out_channels": self.channels}
        if self.norm is not None:
            options["model.neck.norm_cfg"] = {"type": "GN", "num_groups": 32} if self.norm == "GN" else {"type": "BN"}
            options |= {} if self.norm_on_lateral else {"model.neck.norm_on_lateral": False}
        return options


def neck_of(weights: Mapping[str, Tensor]) -> NeckOfWeights | None:
    """Recognise the pyramid below ``neck.`` by MMDetection's names or rdet's; None if it is another."""
    one_level = weights.get("neck.lateral_conv.weight")
    if one_level is not None and one_level.ndim == 4:
        return NeckOfWeights("DilatedEncoder", one_level.shape[0], None, False, 0)
    blocks = {name.split(".")[3] for name in weights if name.startswith("neck.1.dyhead_blocks.")}
    prefix = "neck.0." if blocks else "neck."
    found = [
        (kind, convolution, layer)
        for kind, convolution in (("FPN", "lateral_convs.0"), ("HRFPN", "reduction_conv"))
        for layer in ("", ".conv", ".0")
        if f"{prefix}{convolution}{layer}.weight" in weights
    ]
    if not found:
        return None
    kind, convolution, layer = found[0]
    weight = weights[f"{prefix}{convolution}{layer}.weight"]
    if weight.ndim != 4:
        return None
    return NeckOfWeights(
        kind,
        weight.shape[0],
        _norm(weights, f"{prefix}fpn_convs.0"),
        _norm(weights, f"{prefix}{convolution}") is not None,
        len(blocks),
    )


def _norm(weights: Mapping[str, Tensor], layer: str) -> str | None:
    for norm in ("bn", "gn", "1"):
        if f"{layer}.{norm}.running_mean" in weights:
            return "BN"
        if f"{layer}.{norm}.weight" in weights:
            return "GN"
    return None
