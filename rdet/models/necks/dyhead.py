"""The dynamic head: attention between levels, places and channels of a pyramid."""

from functools import partial, reduce
from operator import add
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdet.models.deformable import deformed
from rdet.models.norms import build_norm
from rdet.registry import MODELS
from rdet.schema import Count

_POINTS = 9  # of a 3x3 kernel


@MODELS.register_module()
class DyHead(nn.Module):
    """Dynamic head (Dai et al., CVPR 2021): blocks of attention that all levels of a pyramid go through.

    It stands behind another neck, whose levels have one width: ``dict(type='NeckChain', necks=[dict(type='FPN'),
    dict(type='DyHead')])``. Names of weights are MMDetection's.

    Shapes: list of (N, C, H_l, W_l) -> list of (N, out_channels, H_l, W_l).

    Args:
        in_channels: Channels of each level (inferred).
        in_strides: Their strides (inferred).
        out_channels: Channels of every level.
        num_blocks: Blocks; the paper has 6.
        norm_cfg: Normalisation after each deformable convolution.

    Attributes:
        out_channels, strides: One number a level.

    Raises:
        ValueError: The levels have different widths.
    """

    def __init__(
        self,
        in_channels: list[Count],
        in_strides: list[Count],
        out_channels: Count = 256,
        num_blocks: Count = 6,
        norm_cfg: dict[str, Any] = {"type": "GN", "num_groups": 16},  # noqa: B006 - never changed
    ):
        super().__init__()
        if len(set(in_channels)) != 1:
            raise ValueError(f"DyHead takes levels of one width, not of {in_channels}; put an FPN before it")
        if out_channels % 4:
            raise ValueError(f"DyHead.out_channels is {out_channels}; it must be a multiple of 4")
        widths = [in_channels[0], *[out_channels] * (num_blocks - 1)]
        self.dyhead_blocks = nn.Sequential(*(DyHeadBlock(width, out_channels, norm_cfg) for width in widths))
        self.out_channels = [out_channels] * len(in_strides)
        self.strides = list(in_strides)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        found: list[Tensor] = self.dyhead_blocks(levels)
        return found


class DyHeadBlock(nn.Module):
    """One block (section 3.2, figure 1): each level sees itself and its neighbours, by deformable convolutions whose
    offsets and factors are read from it (between places), weighs the three by their means (between levels), and ends
    in a ReLU whose slopes depend on the picture (between channels)."""

    def __init__(self, in_channels: int, out_channels: int, norm_cfg: dict[str, Any]):
        super().__init__()
        make = partial(_SpatialConv, in_channels, out_channels, norm_cfg)
        self.spatial_conv_high, self.spatial_conv_mid, self.spatial_conv_low = make(), make(), make(stride=2)
        self.spatial_conv_offset = nn.Conv2d(in_channels, 3 * _POINTS, 3, padding=1)
        self.scale_attn_module = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(out_channels, 1, 1), nn.ReLU(), nn.Hardsigmoid()
        )
        self.task_attn_module = DynamicReLU(out_channels)
        for conv in (self.scale_attn_module[1], self.task_attn_module.conv1.conv, self.task_attn_module.conv2.conv):
            nn.init.normal_(conv.get_parameter("weight"), std=0.01)
            nn.init.zeros_(conv.get_parameter("bias"))
        nn.init.zeros_(self.spatial_conv_offset.weight)
        nn.init.zeros_(self.spatial_conv_offset.get_parameter("bias"))

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        return [self._level(levels, index) for index in range(len(levels))]

    def _level(self, levels: list[Tensor], index: int) -> Tensor:
        x = levels[index]
        offset, factor = self.spatial_conv_offset(x).split((2 * _POINTS, _POINTS), dim=1)
        points = offset, factor.sigmoid()
        seen = [self.spatial_conv_mid(x, *points)]
        if index > 0:
            seen.append(self.spatial_conv_low(_twice(levels[index - 1], x), *points))
        if index + 1 < len(levels):
            above = levels[index + 1]
            found = self.spatial_conv_high(above, *(as_in_memory(values, above) for values in points))
            seen.append(F.interpolate(found, size=x.shape[-2:], mode="bilinear", align_corners=True))
        weighed = reduce(add, (each * self.scale_attn_module(each) for each in seen))
        activated: Tensor = self.task_attn_module(weighed / len(seen))
        return activated


class _SpatialConv(nn.Module):
    """A 3x3 convolution that looks where it is told to, and a normalisation."""

    def __init__(self, in_channels: int, out_channels: int, norm_cfg: dict[str, Any], stride: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm = build_norm(norm_cfg, out_channels)

    def forward(self, x: Tensor, offset: Tensor, factor: Tensor) -> Tensor:
        rows, columns = self.conv.stride[0], self.conv.stride[1]
        found: Tensor = self.norm(deformed(x, offset, self.conv.weight, None, factor, (rows, columns)).to(x.dtype))
        return found


class DynamicReLU(nn.Module):
    """Dynamic ReLU (Chen et al., ECCV 2020): the larger of two lines for each channel, whose slopes and shifts are read
    from the map's mean. Both start as those of a ReLU.

    Shapes: (N, C, H, W) -> the same.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = _Named(channels, channels // 4)
        self.conv2 = _Named(channels // 4, channels * 4)

    def forward(self, x: Tensor) -> Tensor:
        mean = F.adaptive_avg_pool2d(x, 1)
        a1, b1, a2, b2 = (F.hardsigmoid(self.conv2.conv(F.relu(self.conv1.conv(mean)))) - 0.5).chunk(4, dim=1)
        return torch.maximum(x * (2 * a1 + 1) + b1, x * (2 * a2) + b2)


class _Named(nn.Module):
    """A 1x1 convolution below the name ``conv``."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1)


def as_in_memory(values: Tensor, like: Tensor) -> Tensor:
    """Read the first numbers of each image's (C, H, W), row by row, as (C, h, w) with the size of ``like``.

    The authors' code hands the offsets of a level, (H, W), to a convolution of the level above, (h, w), which reads
    them so: their detectors, and MMDetection's, have learned it.
    """
    channels, (height, width) = values.shape[1], like.shape[-2:]
    return values.flatten(1)[:, : channels * height * width].unflatten(1, (channels, height, width))


def _twice(below: Tensor, x: Tensor) -> Tensor:
    """Give the level below twice the size of ``x``, where it has not by itself, rounded up."""
    height, width = x.shape[-2:]
    if torch.compiler.is_exporting() or [(size + 1) // 2 for size in below.shape[-2:]] == [height, width]:
        return below
    return F.interpolate(below, size=(2 * height, 2 * width))
