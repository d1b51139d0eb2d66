"""The pyramid of YOLOv3."""

import torch
from torch import Tensor, nn

from rdet.models.csp import DARKNET_NORM, LEAKY, Cfg, ConvFactory, init_uniform
from rdet.models.necks.layers import resized
from rdet.registry import MODELS
from rdet.schema import Count


@MODELS.register_module()
class YOLOv3Neck(nn.Module):
    """Five convolutions a level, from the top down (YOLOv3, Redmon and Farhadi, 2018, section 2.3, as in its code).

    On the way down, a map is reduced to the width of the next level, enlarged, and joined with the backbone's map.

    Shapes: list of (N, C_i, H_i, W_i) -> list of (N, out_channels_i, H_i, W_i).

    Args:
        in_channels: Channels of each map of the backbone (inferred).
        in_strides: Their strides (inferred).
        out_channels: Of each level, lowest first; inside, twice as many take turns with them.
        norm_cfg, act_cfg: Of each convolution.

    Attributes:
        out_channels, strides: One number a level.

    Raises:
        ValueError: There are not as many widths as maps.
    """

    def __init__(
        self,
        in_channels: list[Count],
        in_strides: list[Count],
        out_channels: list[Count],
        norm_cfg: Cfg = DARKNET_NORM,
        act_cfg: Cfg = LEAKY,
    ):
        super().__init__()
        if len(out_channels) != len(in_channels):
            raise ValueError(
                f"neck.out_channels is {list(out_channels)}, but the backbone gives {len(in_channels)} maps; give one "
                "number for each"
            )
        make = ConvFactory(norm_cfg, act_cfg)
        above = list(out_channels[1:])
        self.reduce_layers = nn.ModuleList(
            make.plain(wide, width) for wide, width in zip(above, out_channels, strict=False)
        )
        joined = [below + width for below, width in zip(in_channels[:-1], out_channels, strict=False)]
        self.blocks = nn.ModuleList(
            _five(start, width, make) for start, width in zip([*joined, in_channels[-1]], out_channels, strict=True)
        )
        self.strides = list(in_strides)
        self.out_channels = list(out_channels)
        init_uniform(self)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        levels = list(maps)
        levels[-1] = self.blocks[-1](levels[-1])
        for i in reversed(range(len(levels) - 1)):
            reduced = self.reduce_layers[i](levels[i + 1])
            levels[i] = self.blocks[i](torch.cat([resized(reduced, levels[i]), levels[i]], dim=1))
        return levels


def _five(in_channels: int, width: int, make: ConvFactory) -> nn.Sequential:
    """Make 1x1 convolutions to ``width`` and 3x3 ones to twice that, in turns."""
    return nn.Sequential(
        make.plain(in_channels, width),
        make.spatial(width, 2 * width),
        make.plain(2 * width, width),
        make.spatial(width, 2 * width),
        make.plain(2 * width, width),
    )
