"""Which backbone a detector's weights belong to, from their names and shapes alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

# Blocks of the four stages, and whether they have three convolutions -> depth of a ResNet.
_DEPTHS: dict[tuple[tuple[int, ...], bool], int] = {
    ((2, 2, 2, 2), False): 18,
    ((3, 4, 6, 3), False): 34,
    ((3, 4, 6, 3), True): 50,
    ((3, 4, 23, 3), True): 101,
    ((3, 8, 36, 3), True): 152,
}
# Channels of the last stage -> what the network is called, and timm's name.
_REGNETS = {
    384: ("400MF", "regnetx_004"),
    672: ("800MF", "regnetx_008"),
    912: ("1.6GF", "regnetx_016"),
    1008: ("3.2GF", "regnetx_032"),
    1360: ("4.0GF", "regnetx_040"),
    1624: ("6.4GF", "regnetx_064"),
    1920: ("8.0GF", "regnetx_080"),
    2240: ("12GF", "regnetx_120"),
}
# Channels of the last stage and blocks of the third -> number of a PVTv2.
_PVTS = {(256, 2): 0, (512, 2): 1, (512, 6): 2, (512, 18): 3, (512, 27): 4, (512, 40): 5}
_HRNETS = (18, 30, 32, 40, 44, 48, 64)
# What MMDetection computes otherwise than the networks' authors.
PVT_EPS = 1e-6


@dataclass(frozen=True)
class BackboneOfWeights:
    """A network, and how a config has it.

    Attributes:
        kind: ``'ResNet'``, ``'Res2Net'``, ``'RegNet'``, ``'PVTv2'`` or ``'HRNet'``.
        name: For example ``'ResNeXt-101-32x4d'``.
        keys: What ``model.backbone`` needs changed where it has a ResNet-50; or all of it, with ``type``.
    """

    kind: str
    name: str
    keys: dict[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, object]:
        """What a config with ResNet-50 needs changed: dotted key -> value."""
        if "type" in self.keys:
            return {"model.backbone": {"_delete_": True, **self.keys}}
        return {f"model.backbone.{key}": value for key, value in self.keys.items()}


def backbone_of(weights: Mapping[str, Tensor]) -> BackboneOfWeights | None:
    """Recognise the network below ``backbone.`` by MMDetection's names or rdet's; None if it is another."""
    if "backbone.layer1.0.convs.0.weight" in weights:
        return _res2net(weights)
    found = resnet_of(weights)
    if found is not None:
        depth, groups, base_width = found
        keys: dict[str, Any] = {"depth": depth} if depth != 50 else {}
        name = f"ResNet-{depth}"
        if groups > 1:
            keys |= {"groups": groups, "base_width": base_width}
            name = f"ResNeXt-{depth}-{groups}x{base_width}d"
        deformable, kind = _deformable(weights, "conv2")
        return BackboneOfWeights("ResNet", name + kind, keys | deformable)
    return _of_timm(weights)


def resnet_of(weights: Mapping[str, Tensor]) -> tuple[int, int, int] | None:
    """Return depth, groups and base width of the ResNet below ``backbone.``, or None if it is another network."""
    depth = _depth_of(weights)
    conv2 = weights.get("backbone.layer1.0.conv2.weight")
    stem = weights.get("backbone.conv1.weight")
    if depth is None or conv2 is None or conv2.ndim != 4 or stem is None or stem.shape[-1] != 7:
        return None
    width, of_a_group = conv2.shape[:2]
    return depth, width // of_a_group, of_a_group


def _depth_of(weights: Mapping[str, Tensor]) -> int | None:
    blocks: dict[int, set[int]] = {}
    for name in weights:
        _, layer, block, *_ = [*name.split("."), "", ""] if name.startswith("backbone.layer") else ("", "", "", "")
        if layer.removeprefix("layer").isdigit() and block.isdigit():
            blocks.setdefault(int(layer.removeprefix("layer")), set()).add(int(block))
    counts = tuple(len(blocks[layer]) for layer in sorted(blocks))
    return _DEPTHS.get((counts, "backbone.layer1.0.conv3.weight" in weights))


def _deformable(weights: Mapping[str, Tensor], conv: str) -> tuple[dict[str, Any], str]:
    """Return the keys of deformable convolutions, whose layer is called ``conv``, and what they add to the name."""
    offsets = {index: weights.get(f"backbone.layer{index + 1}.0.{conv}.conv_offset.weight") for index in range(4)}
    found = {index: len(weight) for index, weight in offsets.items() if weight is not None}
    if not found:
        return {}, ""
    channels = next(iter(found.values()))
    points = 27 if channels % 27 == 0 else 18  # offsets, and factors, of 3 x 3 points
    keys: dict[str, Any] = {"dcn_stages": tuple(found)}
    keys |= {} if channels == points else {"dcn_groups": channels // points}
    if points == 27:
        return keys, "-DCNv2"
    return keys | {"dcn_modulated": False}, "-DCN"


def _res2net(weights: Mapping[str, Tensor]) -> BackboneOfWeights | None:
    depth = _depth_of(weights)
    if depth is None:
        return None
    scales = 1 + len({name.split(".")[4] for name in weights if name.startswith("backbone.layer1.0.convs.")})
    width = weights["backbone.layer1.0.convs.0.weight"].shape[0]
    deformable, kind = _deformable(weights, "convs.0")
    keys: dict[str, Any] = {"type": "Res2Net", "depth": depth}
    keys |= {} if (scales, width) == (4, 26) else {"scales": scales, "base_width": width}
    return BackboneOfWeights("Res2Net", f"Res2Net-{depth}{kind}", keys | {"pool_all": False} | deformable)


def _of_timm(weights: Mapping[str, Tensor]) -> BackboneOfWeights | None:
    for names in (
        ("backbone.layer4.0.conv3.weight", "backbone.net.s4.b1.conv3.conv.weight"),
        ("backbone.layers.3.0.projection.weight", "backbone.net.stages_3.downsample.proj.weight"),
        ("backbone.stage4.0.branches.0.0.conv1.weight", "backbone.net.stage4.0.branches.0.0.conv1.weight"),
    ):
        last = next((weights[name] for name in names if name in weights), None)
        if last is not None and last.ndim == 4:
            return _named(weights, names[0], last.shape[0])
    return None


def _named(weights: Mapping[str, Tensor], layer: str, channels: int) -> BackboneOfWeights | None:
    if layer.startswith("backbone.layer4.") and channels in _REGNETS:
        size, name = _REGNETS[channels]
        keys = {"type": "TimmBackbone", "model_name": name, "frozen_stages": 1}
        return BackboneOfWeights("RegNet", f"RegNetX-{size}", keys)
    if layer.startswith("backbone.layers."):
        prefixes = ("backbone.layers.2.1.", "backbone.net.stages_2.blocks.")
        blocks = {name.removeprefix(p).partition(".")[0] for p in prefixes for name in weights if name.startswith(p)}
        number = _PVTS.get((channels, len(blocks)))
        keys = {"type": "TimmBackbone", "model_name": f"pvt_v2_b{number}", "norm_eps": PVT_EPS}
        return None if number is None else BackboneOfWeights("PVTv2", f"PVTv2-b{number}", keys)
    if layer.startswith("backbone.stage4.") and channels in _HRNETS:
        keys = {
            "type": "TimmBackbone",
            "model_name": f"hrnet_w{channels}",
            "model_args": {"feature_location": ""},
            "out_indices": (1, 2, 3, 4),
        }
        return BackboneOfWeights("HRNet", f"HRNetV2p-W{channels}", keys)
    return None
