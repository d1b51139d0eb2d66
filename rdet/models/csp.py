"""Blocks of the CSPDarknet family, which its backbones and necks share."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from torch import Tensor, nn

Cfg = dict[str, Any]

# Of YOLOX's layers (Ge et al., arXiv:2107.08430, as in its code).
BATCH_NORM: Cfg = {"type": "BN", "momentum": 0.03, "eps": 0.001}
SILU: Cfg = {"type": "SiLU"}
# Of YOLOv2's and YOLOv3's (Redmon and Farhadi, 2017 and 2018).
DARKNET_NORM: Cfg = {"type": "BN"}
LEAKY: Cfg = {"type": "LeakyReLU", "negative_slope": 0.1}


class ConvFactory:
    """Makes convolutions with normalisation and activation, which are all alike but for their sizes.

    Args:
        norm_cfg, act_cfg: Of each layer, as mmcv takes them.
        depthwise: Whether :meth:`spatial` gives a depthwise convolution and a pointwise one.
    """

    def __init__(self, norm_cfg: Cfg, act_cfg: Cfg, depthwise: bool = False):
        self._layers = {"norm_cfg": norm_cfg, "act_cfg": act_cfg}
        self._spatial = DepthwiseSeparableConvModule if depthwise else ConvModule

    def plain(self, in_channels: int, out_channels: int, kernel_size: int = 1, stride: int = 1) -> nn.Module:
        """Make a convolution that is never depthwise, and takes every ``stride``-th cell."""
        padding = kernel_size // 2
        layer: nn.Module = ConvModule(in_channels, out_channels, kernel_size, stride, padding, **self._layers)
        return layer

    def spatial(self, in_channels: int, out_channels: int, stride: int = 1, kernel_size: int = 3) -> nn.Module:
        """Make a convolution that sees neighbours, and takes every ``stride``-th cell."""
        padding = kernel_size // 2
        layer: nn.Module = self._spatial(in_channels, out_channels, kernel_size, stride, padding, **self._layers)
        return layer

    def separable(self, in_channels: int, out_channels: int, kernel_size: int) -> nn.Module:
        """Make a depthwise convolution and a pointwise one, that keep the size of their map."""
        padding = kernel_size // 2
        layer: nn.Module = DepthwiseSeparableConvModule(
            in_channels, out_channels, kernel_size, 1, padding, **self._layers
        )
        return layer


class DarknetBlock(nn.Module):
    """A 1x1 and a 3x3 convolution (YOLOv3, Redmon and Farhadi, 2018).

    Shapes: (N, C, H, W) -> the same.

    Args:
        channels: C.
        make: Makes the convolutions.
        add_identity: Whether the input is added to the output.
        middle: Channels between the two: C in YOLOX, half of it in YOLOv3. None: C.
    """

    def __init__(self, channels: int, make: ConvFactory, add_identity: bool = True, middle: int | None = None):
        super().__init__()
        middle = channels if middle is None else middle
        self.conv1 = make.plain(channels, middle)
        self.conv2 = make.spatial(middle, channels)
        self.add_identity = add_identity

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(self.conv1(x))
        return out + x if self.add_identity else out


class CSPLayer(nn.Module):
    """Cross stage partial layer (CSPNet, Wang et al., CVPR Workshops 2020, as in YOLOv5): half the width goes past.

    Shapes: (N, in_channels, H, W) -> (N, out_channels, H, W).

    Args:
        in_channels, out_channels: Of the maps.
        blocks: What the other half passes, each of width ``out_channels // 2`` and called with it.
        make: Makes the convolutions around them.
        attention: Called with the width of both halves; gives what they pass together.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        blocks: Sequence[Callable[[int], nn.Module]],
        make: ConvFactory,
        attention: Callable[[int], nn.Module] | None = None,
    ):
        super().__init__()
        width = out_channels // 2
        self.main_conv = make.plain(in_channels, width)
        self.short_conv = make.plain(in_channels, width)
        self.final_conv = make.plain(2 * width, out_channels)
        self.blocks = nn.Sequential(*(block(width) for block in blocks))
        self.attention = None if attention is None else attention(2 * width)

    def forward(self, x: Tensor) -> Tensor:
        past = self.short_conv(x)
        x = torch.cat([self.blocks(self.main_conv(x)), past], dim=1)
        out: Tensor = self.final_conv(x if self.attention is None else self.attention(x))
        return out


class SPPBottleneck(nn.Module):
    """Spatial pyramid pooling: maxima of 5, 9 and 13 cells beside the map (He et al., 2015, as in YOLOv3-SPP).

    The maximum of 9 cells is that of 5 of the maxima of 5, and so on: three small poolings give all.

    Shapes: (N, in_channels, H, W) -> (N, out_channels, H, W).

    Args:
        in_channels, out_channels: Of the maps.
        make: Makes the convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, make: ConvFactory):
        super().__init__()
        width = in_channels // 2
        self.conv1 = make.plain(in_channels, width)
        self.conv2 = make.plain(4 * width, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        maps = [self.conv1(x)]
        for _ in range(3):
            maps.append(F.max_pool2d(maps[-1], 5, stride=1, padding=2))
        out: Tensor = self.conv2(torch.cat(maps, dim=1))
        return out


class Focus(nn.Module):
    """Four neighbouring pixels as one cell of four times the channels, and a convolution (YOLOv5).

    Shapes: (N, in_channels, H, W) -> (N, out_channels, H / 2, W / 2), rounded up.

    Args:
        in_channels, out_channels: Of image and map.
        make: Makes the convolution.
    """

    def __init__(self, in_channels: int, out_channels: int, make: ConvFactory):
        super().__init__()
        self.conv = make.plain(4 * in_channels, out_channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        if height % 2 or width % 2:
            x = F.pad(x, (0, width % 2, 0, height % 2))
        corners = [x[..., row::2, column::2] for column in (0, 1) for row in (0, 1)]
        out: Tensor = self.conv(torch.cat(corners, dim=1))
        return out


def init_uniform(network: nn.Module) -> None:
    """Initialise convolutions as torch does by itself, which mmcv's layers do not, and biases with 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
