"""Blocks of CSPNeXt, which RTMDet's backbone and neck share."""

import torch.nn.functional as F
from torch import Tensor, nn

from rdet.models.csp import ConvFactory


class CSPNeXtBlock(nn.Module):
    """A 3x3 convolution and a depthwise-separable 5x5 one (RTMDet, Lyu et al., arXiv:2212.07784, figure 3b).

    Shapes: (N, C, H, W) -> the same.

    Args:
        channels: C.
        make: Makes the convolutions.
        add_identity: Whether the input is added to the output.
    """

    def __init__(self, channels: int, make: ConvFactory, add_identity: bool = True):
        super().__init__()
        self.conv1 = make.spatial(channels, channels)
        self.conv2 = make.separable(channels, channels, 5)
        self.add_identity = add_identity

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv2(self.conv1(x))
        return out + x if self.add_identity else out


class ChannelAttention(nn.Module):
    """Weighs channels by a hard sigmoid of a linear map of their means, as in RTMDet's code.

    Shapes: (N, C, H, W) -> the same.

    Args:
        channels: C.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * F.hardsigmoid(self.fc(F.adaptive_avg_pool2d(x, 1)))
