"""TensorFlow's padding with amounts that are known before an image is."""

import sys

import torch.nn.functional as F
from torch import Tensor, nn


class FixedSameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding of maps whose sides are multiples of its stride.

    Of H = s n rows, n come out, so that (n - 1) s + (k - 1) d + 1 - H = (k - 1) d + 1 - s rows are missing, whatever H
    is; half of them, rounded down, are added in front.

    Args:
        conv: What computes the same, whose weights are shared.
    """

    def __init__(self, conv: nn.Conv2d):
        super().__init__(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,  # type: ignore[arg-type]  # torch keeps a tuple of any length
            conv.stride,  # type: ignore[arg-type]
            0,
            conv.dilation,  # type: ignore[arg-type]
            conv.groups,
            conv.bias is not None,
            device="meta",
        )
        self.weight, self.bias = conv.weight, conv.bias
        self._around: list[int] = []  # left, right, top, bottom
        for size, step, apart in zip(conv.kernel_size[::-1], conv.stride[::-1], conv.dilation[::-1], strict=True):
            missing = max((size - 1) * apart + 1 - step, 0)
            self._around += [missing // 2, missing - missing // 2]

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(F.pad(x, self._around), self.weight, self.bias)


def fix_same_padding(backbone: nn.Module, divisor: int) -> None:
    """Replace the convolutions of timm that look at the size of a map to pad it, as EfficientNet's do.

    With free sides, an exporter would carry their sum of roundings through the whole network: minutes, where the amount
    is one number.

    Args:
        backbone: With ``strides``; it stays as it is where they do not divide ``divisor``.
        divisor: What the sides of all images are multiples of.
    """
    layers = sys.modules.get("timm.layers")
    if layers is None or any(divisor % stride for stride in backbone.strides):
        return
    for parent in list(backbone.modules()):
        for name, conv in list(parent.named_children()):
            if type(conv) is layers.Conv2dSame:
                setattr(parent, name, FixedSameConv2d(conv))
