"""A convolution and what follows it: bias, residual, ReLU."""

import torch.nn.functional as F
from torch import Tensor, channels_last, nn

from rdet.models.kernels.usable import pays, usable


def convolved(
    conv: nn.Conv2d,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    residual: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """Convolve, then add bias and residual, then apply ReLU.

    A GPU adds a bias in a pass over the map, which is slow where channels come last. There one kernel does all
    that follows a convolution.

    Args:
        conv: Says how to convolve.
        x: (N, C_in, H, W), or of one image (C_in, H, W).
        weight, bias: In place of those of ``conv``.
        residual: (N, C_out, H', W'), added to the result; None: none.
        relu: Whether ReLU comes last.

    Returns:
        (N, C_out, H', W').
    """
    if bias is not None and usable(x) and x.dim() == 4 and pays(_size(conv, x, weight)):
        y = conv._conv_forward(x, weight, None)
        if _takes(y, residual):
            from rdet.models.kernels.bias_relu import BiasRelu

            fused: Tensor = BiasRelu.apply(y, bias, residual, relu)
            return fused
        y = y.add_(bias.to(y.dtype)[:, None, None])
    else:
        y = conv._conv_forward(x, weight, bias)
    return finished(y, residual, relu)


def finished(y: Tensor, residual: Tensor | None, relu: bool) -> Tensor:
    """Add a residual to a map, and apply ReLU, in place."""
    if residual is not None:
        y = y.add_(residual)
    return F.relu_(y) if relu else y


def _size(conv: nn.Conv2d, x: Tensor, weight: Tensor) -> int:
    """Estimate how many numbers a convolution gives."""
    rows, columns = conv.stride
    return x.shape[0] * weight.shape[0] * (x.shape[2] // rows) * (x.shape[3] // columns)


def _takes(y: Tensor, residual: Tensor | None) -> bool:
    """Tell whether the maps are dense in channels-last order, and alike."""
    return (
        y.numel() > 0
        and y.is_contiguous(memory_format=channels_last)
        and (residual is None or (residual.shape == y.shape and residual.is_contiguous(memory_format=channels_last)))
    )


class BiasConv2d(nn.Conv2d):
    """torch's convolution, whose bias is added as :func:`convolved` does."""

    def forward(self, input: Tensor) -> Tensor:
        return convolved(self, input, self.weight, self.bias)


def fuse_biases(network: nn.Module) -> None:
    """Make each plain convolution with a bias a :class:`BiasConv2d`."""
    for module in network.modules():
        if type(module) is nn.Conv2d and module.bias is not None and module.padding_mode == "zeros":
            module.__class__ = BiasConv2d
