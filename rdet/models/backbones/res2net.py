"""Res2Net as a feature extractor."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, cast

import torch
from torch import Tensor, nn

from rdet.models.backbones.base import Backbone
from rdet.models.backbones.folding import conv_norm, fold_norms
from rdet.models.deformable import made_deformable, offset_weights
from rdet.models.norms import build_norm
from rdet.registry import MODELS
from rdet.schema import Count, Natural

_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
_EXPANSION = 4


@MODELS.register_module()
class Res2Net(Backbone):
    """Res2Net (Gao et al., TPAMI 2021), its version v1b: the 3x3 convolution of a ResNet's bottleneck is one for each
    part of the channels, and each part also sees what came out of the one before.

    As in v1b, the stem is three 3x3 convolutions, and shortcuts average before they stride. Names of weights are those
    of its authors and of timm: ``weights='timm://res2net50d'`` and ``'timm://res2net101d'`` load as they are.

    Shapes: (N, 3, H, W) -> for each of ``out_indices`` (N, C, ceil(H / s), ceil(W / s)), s in 4, 8, 16, 32.

    Args:
        depth: 50, 101 or 152.
        scales: Parts of the channels.
        base_width: Channels of a part in the first stage.
        pool_all: Whether the part without a convolution is averaged over 3x3 cells in the first block of the first
            stage too, where there is no stride: so do its authors, timm and their weights, but not MMDetection.
        out_indices: Stages whose maps are returned, 0 to 3 (C2 to C5).
        dcn_stages, dcn_groups, dcn_modulated: Deformable convolutions, see :class:`ResNet`.
        norm_cfg: Normalisation, see :class:`ResNet`.
        frozen_stages, norm_eval, weights: See :class:`Backbone`.
        in_channels: Of the images; see :class:`ResNet`.
    """

    other_names: Mapping[str, str] = MappingProxyType({"stem.7.": "bn1.", "stem.": "conv1."})  # MMDetection's

    def __init__(
        self,
        depth: int = 50,
        scales: Count = 4,
        base_width: Count = 26,
        pool_all: bool = True,
        out_indices: tuple[Natural, ...] = (1, 2, 3),
        dcn_stages: tuple[Natural, ...] = (),
        dcn_groups: Count = 1,
        dcn_modulated: bool = True,
        norm_cfg: dict[str, Any] | None = None,
        frozen_stages: Natural = 1,
        norm_eval: bool = True,
        weights: str | None = None,
        in_channels: Count = 3,
    ):
        super().__init__(frozen_stages, norm_eval, weights)
        if depth not in _BLOCKS:
            raise ValueError(f"Res2Net has no depth {depth}; valid: {', '.join(map(str, _BLOCKS))}")
        if scales < 2:
            raise ValueError(f"scales is {scales}; a Res2Net has 2 or more")
        if not out_indices or not set(out_indices) <= {0, 1, 2, 3}:
            raise ValueError(f"out_indices is {tuple(out_indices)}, but Res2Net has the stages 0 to 3; give some")
        if not set(dcn_stages) <= set(range(max(out_indices) + 1)):
            raise ValueError(
                f"dcn_stages is {tuple(dcn_stages)}, but there are stages 0 to {max(out_indices)}; give some"
            )
        norm = partial(build_norm, norm_cfg or {"type": "BN"})
        self.conv1 = nn.Sequential(
            *(nn.Conv2d(3, 32, 3, 2, 1, bias=False), norm(32), nn.ReLU(inplace=True)),
            *(nn.Conv2d(32, 32, 3, 1, 1, bias=False), norm(32), nn.ReLU(inplace=True)),
            nn.Conv2d(32, 64, 3, 1, 1, bias=False),
        )
        self.bn1, self.maxpool = norm(64), nn.MaxPool2d(3, 2, 1)
        width = 64
        left_out: set[str] = set()
        for index, blocks in enumerate(_BLOCKS[depth]):
            planes, part = 64 * 2**index, base_width * 2**index
            pooled = index > 0 or pool_all
            first = _Bottle2neck(width, planes, 2 if index else 1, scales, part, norm, first=True, pooled=pooled)
            width = planes * _EXPANSION
            others = [_Bottle2neck(width, planes, 1, scales, part, norm) for _ in range(blocks - 1)]
            stage = nn.Sequential(first, *others)
            if index <= max(out_indices):
                self.add_module(f"layer{index + 1}", stage)
            else:
                left_out |= {f"layer{index + 1}.{name}" for name in stage.state_dict()}
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")  # as in ResNet
        for index in dcn_stages:
            for block in getattr(self, f"layer{index + 1}"):
                deformable = [made_deformable(conv, dcn_groups, dcn_modulated) for conv in block.convs]
                block.convs = nn.ModuleList(deformable)
        self.out_indices = tuple(out_indices)
        self.out_channels = [64 * 2**i * _EXPANSION for i in out_indices]
        self.strides = [4 * 2**i for i in out_indices]
        self.left_out = frozenset(left_out)
        self.added = offset_weights(self)
        self.take_channels(in_channels)
        self.freeze()

    def stages(self) -> list[list[nn.Module]]:
        layers = [getattr(self, f"layer{index + 1}") for index in range(max(self.out_indices) + 1)]
        return [[self.conv1, self.bn1], *([layer] for layer in layers)]

    def fold_norms(self) -> None:
        """Make batch normalisation part of the convolutions for good, for inference, where both are neighbours."""
        fold_norms(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        *stem, last = self.conv1
        for layer in stem:
            x = layer(x)
        x = self.maxpool(conv_norm(cast("nn.Conv2d", last), self.bn1, x, relu=True))
        maps = []
        for index, (layer,) in enumerate(self.stages()[1:]):
            x = layer(x)
            if index in self.out_indices:
                maps.append(x)
        return maps


class _Bottle2neck(nn.Module):
    """A block (section 3.1): parts y_i = conv_i(x_i + y_{i-1}), or conv_i(x_i) in the first block of a stage; the last
    is x itself, there averaged."""

    def __init__(
        self,
        in_channels: int,
        planes: int,
        stride: int,
        scales: int,
        width: int,
        norm: Any,
        first: bool = False,
        pooled: bool = False,
    ):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(in_channels, width * scales, 1, bias=False), norm(width * scales)
        self.convs = nn.ModuleList(nn.Conv2d(width, width, 3, stride, 1, bias=False) for _ in range(scales - 1))
        self.bns = nn.ModuleList(norm(width) for _ in range(scales - 1))
        self.conv3, self.bn3 = nn.Conv2d(width * scales, planes * _EXPANSION, 1, bias=False), norm(planes * _EXPANSION)
        self.first, self.width = first, width
        self.pool = nn.AvgPool2d(3, stride, 1) if first and pooled else nn.Identity()
        self.downsample = None
        if first:
            mean = nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)
            conv = nn.Conv2d(in_channels, planes * _EXPANSION, 1, bias=False)
            self.downsample = nn.Sequential(mean, conv, norm(planes * _EXPANSION))

    def forward(self, x: Tensor) -> Tensor:
        parts = conv_norm(self.conv1, self.bn1, x, relu=True).split(self.width, dim=1)
        found: list[Tensor] = []
        for part, conv, norm in zip(parts, self.convs, self.bns, strict=False):
            seen = part if self.first or not found else part + found[-1]
            found.append(conv_norm(cast("nn.Conv2d", conv), norm, seen, relu=True))
        y = torch.cat([*found, self.pool(parts[-1])], dim=1)
        if self.downsample is not None:
            mean, conv, norm = self.downsample
            x = conv_norm(cast("nn.Conv2d", conv), norm, mean(x))
        return conv_norm(self.conv3, self.bn3, y, x, relu=True)
