"""What necks share: their convolutions, how these start, and the levels above the backbone's last."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdet.models.convolution import BiasConv2d
from rdet.models.norms import build_norm


class Conv2d(BiasConv2d):
    """A convolution; where a stride meets a map of one cell, the map is padded beforehand.

    There the gradient of its weight is not set on the CPU in bfloat16 and channels last (torch 2.15). What is exported
    has no gradient, and its maps may be of any size.
    """

    def forward(self, x: Tensor) -> Tensor:
        is_cell = not torch.compiler.is_exporting() and x.shape[-2:] == (1, 1)
        if is_cell and self.stride != (1, 1) and not isinstance(self.padding, str):
            rows, columns = self.padding
            padded = F.pad(x, (columns, columns, rows, rows))
            return F.conv2d(padded, self.weight, self.bias, self.stride, groups=self.groups)
        return super().forward(x)


def conv_layer(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, norm_cfg: dict | None = None):
    """Make a convolution that keeps ceil(size / stride); with ``norm_cfg``, without bias, and that normalisation."""
    conv = Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=norm_cfg is None)
    return conv if norm_cfg is None else nn.Sequential(conv, build_norm(norm_cfg, out_channels))


def init_convs(network: nn.Module) -> None:
    """Initialise all convolutions as Lin et al. do: Caffe's XavierFill (uniform, variance 1 / fan_in), biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_uniform_(module.weight, a=1)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def resized(x: Tensor, like: Tensor) -> Tensor:
    """Resize a map to the height and width of ``like``, nearest neighbours. Sizes need not halve exactly: no factor."""
    return x if x.shape[-2:] == like.shape[-2:] else F.interpolate(x, size=like.shape[-2:])


def pyramid_strides(in_strides: list[int], num_extra: int) -> list[int]:
    """Compute the strides of all levels; each level above the backbone's last has twice the stride of the one below."""
    return [*in_strides, *(in_strides[-1] * 2 ** (i + 1) for i in range(num_extra))]


class ExtraLevels(nn.ModuleList):
    """P6, P7 ...: each a 3x3 stride-2 convolution on the level below (Focal Loss paper, section 4).

    Shapes: (N, in_channels, H, W) -> list of (N, out_channels, H_l, W_l), each half of the last, rounded up.

    Args:
        in_channels: Channels of the map that the first of them is made from.
        out_channels: Channels of every level.
        num: How many.
        relu: ReLU before every one but the first.
        norm_cfg: Normalisation after each; None: none.
    """

    def __init__(self, in_channels: int, out_channels: int, num: int, relu: bool = True, norm_cfg: dict | None = None):
        if num < 0:
            raise ValueError(f"neck.num_extra is {num}; it must be 0 or more")
        widths = [in_channels, *[out_channels] * num]
        super().__init__(conv_layer(width, out_channels, 3, 2, norm_cfg) for width in widths[:num])
        self.relu = relu

    def forward(self, x: Tensor) -> list[Tensor]:
        levels = []
        for i, conv in enumerate(self):
            x = conv(F.relu(x) if i > 0 and self.relu else x)
            levels.append(x)
        return levels
