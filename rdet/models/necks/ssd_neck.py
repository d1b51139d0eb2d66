"""The layers that SSD puts on a classification network."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdet.models.losses.precision import at_least_float32
from rdet.models.necks.layers import Conv2d
from rdet.models.xavier import init_xavier
from rdet.registry import MODELS
from rdet.schema import Count, Natural, Positive


@MODELS.register_module()
class SSDNeck(nn.Module):
    """SSD's maps above those of the backbone (Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, Figure 2).

    The first map is normalised to a learnt length at each place. VGG's fully connected layers follow as convolutions on
    the last one, fc6 with holes. Each further level is a 1x1 and a 3x3 convolution on the one below.

    Shapes: list of (N, C_i, H_i, W_i) -> list of (N, C_l, H_l, W_l), ``len(extra)`` longer.

    Args:
        in_channels: Channels of each map of the backbone (inferred).
        in_strides: Their strides (inferred).
        extra: For each further level: channels of its 1x1 convolution, channels of the level, size, stride and padding
            of its second convolution.
        strides: Of all levels, in pixels; levels without padding have none that follows from those of convolutions.
        fc_channels: Of VGG's fc6 and fc7; None leaves them out, for a backbone that has all its layers.
        l2_norm_scale: Length at the start of the first map's vectors (Liu et al., "ParseNet", 2015); None: as they are.

    Attributes:
        out_channels, strides: One number a level.
    """

    def __init__(
        self,
        in_channels: list[Count],
        in_strides: list[Count],
        extra: list[tuple[Count, Count, Count, Count, Natural]],
        strides: list[Count],
        fc_channels: Count | None = 1024,
        l2_norm_scale: Positive | None = 20.0,
    ):
        super().__init__()
        if len(strides) != len(in_strides) + len(extra):
            raise ValueError(
                f"neck.strides has {len(strides)} numbers, but there are {len(in_strides)} maps and {len(extra)} "
                "levels above; give one for each"
            )
        self.l2_norm = None if l2_norm_scale is None else L2Norm(in_channels[0], l2_norm_scale)
        self.fc = None if fc_channels is None else _fc_layers(in_channels[-1], fc_channels)
        widths = [*in_channels[:-1], fc_channels or in_channels[-1]]
        self.extra_layers = nn.ModuleList()
        for middle, out, size, stride, padding in extra:
            layers = [
                *(nn.Conv2d(widths[-1], middle, 1), nn.ReLU(inplace=True)),
                *(Conv2d(middle, out, size, stride, padding), nn.ReLU(inplace=True)),
            ]
            self.extra_layers.append(nn.Sequential(*layers))
            widths.append(out)
        self.out_channels = widths
        self.strides = list(strides)
        init_xavier(self)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        first, *others = maps
        if self.fc is not None:
            others[-1] = self.fc(others[-1])
        levels = [first if self.l2_norm is None else self.l2_norm(first), *others]
        for layer in self.extra_layers:
            levels.append(layer(levels[-1]))
        return levels


class L2Norm(nn.Module):
    """Vectors of one length for each channel, learnt (Liu et al., "ParseNet", 2015, section 3.3).

    Shapes: (N, C, H, W) -> the same.

    Args:
        channels: C.
        scale: The length at the start.
    """

    def __init__(self, channels: int, scale: float):
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels,), float(scale)))

    def forward(self, x: Tensor) -> Tensor:
        # A sum of 512 squares overflows float16.
        return (self.weight[:, None, None] * F.normalize(at_least_float32(x))).to(x.dtype)


def _fc_layers(in_channels: int, channels: int) -> nn.Sequential:
    """Make VGG's fc6 and fc7 convolutions; its last pooling keeps the size, so holes keep fc6's reach."""
    return nn.Sequential(
        OrderedDict(
            pool=nn.MaxPool2d(3, 1, 1),
            fc6=nn.Conv2d(in_channels, channels, 3, padding=6, dilation=6),
            relu6=nn.ReLU(inplace=True),
            fc7=nn.Conv2d(channels, channels, 1),
            relu7=nn.ReLU(inplace=True),
        )
    )
