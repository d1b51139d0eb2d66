"""The pyramid of NanoDet-m, which has no convolutions but its laterals."""

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from rdet.models.backbones.unshuffling import take_in_order
from rdet.models.necks.layers import pyramid_strides
from rdet.registry import MODELS
from rdet.schema import Count


@MODELS.register_module()
class NanoDetPAN(nn.Module):
    """Path aggregation of NanoDet-m (RangiLyu/nanodet 0.x): lateral 1x1 convolutions, and sums of resized maps.

    From the top down each level is added to the one below, then from the bottom up to the one above, resized with
    bilinear interpolation. Nothing follows the sums: the head's towers are not shared, so each is its level's own.

    Shapes: list of (N, C_i, H_i, W_i) -> list of (N, out_channels, H_i, W_i).

    Args:
        in_channels: Channels of each map of the backbone (inferred).
        in_strides: Their strides (inferred).
        out_channels: Channels of every level.

    Attributes:
        out_channels, strides: One number a level.
    """

    def __init__(self, in_channels: list[Count], in_strides: list[Count], out_channels: Count = 96):
        super().__init__()
        self.lateral_convs = nn.ModuleList(nn.Conv2d(c, out_channels, 1) for c in in_channels)
        self.strides = pyramid_strides(in_strides, num_extra=0)
        self.out_channels = [out_channels] * len(self.strides)
        for name, parameter in self.lateral_convs.named_parameters():
            if name.endswith("weight"):
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)

    def take_in_order(self, orders: list[Tensor | None]) -> None:
        """Take maps whose channels lie otherwise from now on: of each, the former place of each channel, or None."""
        for conv, order in zip(self.lateral_convs, orders, strict=True):
            if order is not None:
                take_in_order(cast("nn.Conv2d", conv), order)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        levels = [conv(x) for conv, x in zip(self.lateral_convs, maps, strict=True)]
        for i in range(len(levels) - 1, 0, -1):
            levels[i - 1] = levels[i - 1] + _resized(levels[i], levels[i - 1])
        for i in range(len(levels) - 1):
            levels[i + 1] = levels[i + 1] + _resized(levels[i], levels[i + 1])
        return levels


def _resized(x: Tensor, like: Tensor) -> Tensor:
    """Resize a map to the height and width of ``like``; to half a size, each cell is the mean of four."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
