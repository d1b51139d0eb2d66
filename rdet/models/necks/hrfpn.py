"""The pyramid of HRNet."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdet.models.necks.layers import Conv2d, init_convs
from rdet.registry import MODELS
from rdet.schema import Count


@MODELS.register_module()
class HRFPN(nn.Module):
    """High-resolution feature pyramid (Sun et al., arXiv:1904.04514, section 3, HRNetV2p).

    All maps are resized to the first, put side by side and mixed by a 1x1 convolution; each level is that map pooled
    over 2^l cells, and a 3x3 convolution. Cells that do not fill a pool are left out, as in the authors' code.

    Shapes: list of (N, C_i, H_i, W_i) -> ``num_levels`` times (N, out_channels, H_l, W_l).

    Args:
        in_channels: Channels of each map of the backbone (inferred).
        in_strides: Their strides (inferred).
        out_channels: Channels of every level.
        num_levels: How many.
        stride: Of the 3x3 convolutions; the first level has that times the stride of the first map.
        pooling: ``'average'`` or ``'max'``.

    Attributes:
        out_channels, strides: One number a level.
    """

    def __init__(
        self,
        in_channels: list[Count],
        in_strides: list[Count],
        out_channels: Count = 256,
        num_levels: Count = 5,
        stride: Count = 2,
        pooling: str = "average",
    ):
        super().__init__()
        if pooling not in ("average", "max"):
            raise ValueError(f"HRFPN.pooling is {pooling!r}; valid: 'average', 'max'")
        self.reduction_conv = nn.Conv2d(sum(in_channels), out_channels, 1)
        self.fpn_convs = nn.ModuleList(
            Conv2d(out_channels, out_channels, 3, stride, padding=1) for _ in range(num_levels)
        )
        self.pool = F.avg_pool2d if pooling == "average" else F.max_pool2d
        self.maps = len(in_channels)
        self.strides = [in_strides[0] * stride * 2**level for level in range(num_levels)]
        self.out_channels = [out_channels] * num_levels
        init_convs(self)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        if len(maps) != self.maps:
            raise ValueError(f"HRFPN was made for {self.maps} maps, not {len(maps)}")
        first = maps[0]
        resized = [F.interpolate(x, size=first.shape[-2:], mode="bilinear") for x in maps[1:]]
        mixed: Tensor = self.reduction_conv(torch.cat([first, *resized], dim=1))
        return [conv(self._pooled(mixed, 2**level)) for level, conv in enumerate(self.fpn_convs)]

    def _pooled(self, x: Tensor, size: int) -> Tensor:
        """Pool over ``size`` cells in both directions, or over all where there are fewer."""
        if size == 1:
            return x
        if torch.compiler.is_exporting():
            return self.pool(x, size)
        return self.pool(x, [min(size, x.shape[-2]), min(size, x.shape[-1])])
