"""Deformable convolutions."""

import torch
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from rdet.models import sampling
from rdet.models.autocast import no_autocast
from rdet.models.recording import is_recording


def deformed(
    x: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
) -> Tensor:
    """Convolve maps at displaced points: (N, C, H, W) -> (N, D, H', W'), in float32 or the weight's higher precision.

    Half precision would be too coarse for coordinates. Autocast knows torchvision's operator on a GPU alone, where it
    takes float32, too. For shapes see :func:`rdet.models.sampling.deformed_convolution`.
    """
    kind = torch.promote_types(weight.dtype, torch.float32)
    x, offset, weight = x.to(kind), offset.to(kind), weight.to(kind)
    mask, bias = (None if value is None else value.to(kind) for value in (mask, bias))
    with no_autocast(x):
        if sampling.by_plain_operators(x):
            found = sampling.deformed_convolution(x, offset, weight, mask, stride, padding, dilation)
            return found if bias is None else found + bias[:, None, None]
        if is_recording():
            raise RuntimeError("torchvision's deformable convolution runs on no stream but CUDA's default one")
        result: Tensor = deform_conv2d(x, offset, weight, bias, stride, padding, dilation, mask)
    return result


class DeformableConv2d(nn.Conv2d):
    """A convolution that learns where its points look, DCN (Dai et al., ICCV 2017), and how much each counts, DCNv2
    (Zhu et al., CVPR 2019).

    A convolution of the same kernel, ``conv_offset``, reads from the input two offsets a point, (y, x) in cells, and
    the logit of a factor. It starts from 0: no offsets, and factors of 0.5. Names are mmcv's.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias: As torch's convolution.
        deform_groups: Groups of channels that have offsets of their own.
        modulated: Whether there are factors: DCNv2.
    """

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        deform_groups: int = 1,
        modulated: bool = True,
    ):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias)
        if in_channels % deform_groups:
            raise ValueError(f"{in_channels} channels cannot be parted into {deform_groups} groups with offsets")
        points = self.kernel_size[0] * self.kernel_size[1]
        self.parts = (2 * deform_groups * points, deform_groups * points if modulated else 0)
        self.conv_offset = nn.Conv2d(in_channels, sum(self.parts), kernel_size, stride, padding, dilation)
        self.reset_offsets()

    def reset_offsets(self) -> None:
        """Let all points look where those of a plain convolution do."""
        nn.init.zeros_(self.conv_offset.weight)
        if self.conv_offset.bias is not None:
            nn.init.zeros_(self.conv_offset.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        offset, factor = self.conv_offset(input).split(self.parts, dim=1)
        mask = factor.sigmoid() if self.parts[1] else None
        found = deformed(input, offset, weight, bias, mask, self.stride, self.padding, self.dilation)
        return found.to(input.dtype)


def made_deformable(conv: nn.Conv2d, deform_groups: int, modulated: bool) -> DeformableConv2d:
    """Make a deformable convolution with the weight, stride and padding of a plain one."""
    if isinstance(conv.padding, str):
        raise ValueError(f"a padding of {conv.padding!r} has no number")
    found = DeformableConv2d(
        conv.in_channels,
        conv.out_channels,
        (conv.kernel_size[0], conv.kernel_size[1]),
        (conv.stride[0], conv.stride[1]),
        (conv.padding[0], conv.padding[1]),
        (conv.dilation[0], conv.dilation[1]),
        conv.groups,
        conv.bias is not None,
        deform_groups,
        modulated,
    )
    found.weight, found.bias = conv.weight, conv.bias
    return found


def reset_offsets(network: nn.Module) -> None:
    """Reset the offsets of all deformable convolutions, after something else initialised all convolutions."""
    for module in network.modules():
        if isinstance(module, DeformableConv2d):
            module.reset_offsets()


def offset_weights(network: nn.Module) -> frozenset[str]:
    """Name the weights that the same network without deformable convolutions has not."""
    return frozenset(name for name in network.state_dict() if ".conv_offset." in name)
