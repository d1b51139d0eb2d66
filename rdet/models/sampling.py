"""Bilinear samples of maps by plain operators.

On a GPU, torchvision's ``deform_conv2d`` and torch's ``grid_sample`` add gradients in any order; with
``--deterministic`` torch refuses them. Here they are added up in one order, so that a run repeats to the same bits.

On a CPU and in an exported file, a deformable convolution is a ``grid_sample`` and a product: few runtimes know it, and
torchvision's operator takes some five times as long there, forward and backward. The samples take nine times the memory
of the maps, which is why a GPU has torchvision's where it may.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def by_plain_operators(maps: Tensor) -> bool:
    """Tell whether ``maps`` are sampled here: for gradients in one order, in an export, or on a CPU."""
    return by_grid_sample(maps) or torch.are_deterministic_algorithms_enabled()


def by_grid_sample(maps: Tensor) -> bool:
    """Tell whether ``maps`` are sampled by torch's operator, which ONNX has since opset 16."""
    if maps.device.type == "cpu" or torch.compiler.is_exporting():
        return True
    return torch.jit.is_tracing()  # type: ignore[no-any-return, attr-defined]  # it does have it


def bilinear(maps: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Sample maps between their cells; 0 outside.

    Args:
        maps: (N, C, H, W).
        y, x: (N, M), places in cells.

    Returns:
        (N, C, M).
    """
    number, channels, height, width = maps.shape
    if by_grid_sample(maps):
        grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
        return F.grid_sample(maps, grid[:, None], align_corners=False)[:, :, 0]
    rows = maps.permute(0, 2, 3, 1).reshape(-1, channels)  # (N * H * W, C)
    first = torch.arange(number, device=maps.device)[:, None] * (height * width)
    top, left = y.floor(), x.floor()
    sampled = maps.new_zeros(number, y.shape[1], channels)
    for row, row_share in ((top, 1 - (y - top)), (top + 1, y - top)):
        for column, column_share in ((left, 1 - (x - left)), (left + 1, x - left)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            index = first + torch.where(inside, row * width + column, 0).long()
            share = torch.where(inside, row_share * column_share, 0)
            sampled = sampled + share[..., None] * rows[index]  # the gradient of an index is added up in order
    return sampled.transpose(1, 2)


def deformed_convolution(
    maps: Tensor,
    offset: Tensor,
    weight: Tensor,
    mask: Tensor | None = None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] | None = None,
    dilation: tuple[int, int] = (1, 1),
) -> Tensor:
    """Convolve maps at displaced points, as torchvision's ``deform_conv2d`` does.

    Args:
        maps: (N, C, H, W).
        offset: (N, 2 * G * kh * kw, H', W'), y and x of each point of the kernel, row by row, in cells, for each of G
            groups of channels.
        weight: (D, C / groups, kh, kw).
        mask: (N, G * kh * kw, H', W'), factors of what is sampled; None: 1.
        stride, padding, dilation: Of rows and columns; a padding of None is half of the kernel.

    Returns:
        (N, D, H', W').
    """
    rows, columns = weight.shape[2:]
    points, channels = rows * columns, maps.shape[1]
    number, size, (height, width) = maps.shape[0], maps.shape[2:], offset.shape[2:]
    parts = offset.shape[1] // (2 * points)
    top, left = (rows // 2, columns // 2) if padding is None else padding
    y, x = offset.unflatten(1, (parts, points, 2)).flatten(0, 1).unbind(dim=2)  # (N * G, kh * kw, H', W')
    point = torch.arange(points, device=maps.device)[:, None, None]
    row, column = (torch.arange(cells, device=maps.device) for cells in (height, width))
    y = y + point // columns * dilation[0] - top + row[:, None] * stride[0]
    x = x + point % columns * dilation[1] - left + column * stride[1]
    sampled = bilinear(maps.reshape(number * parts, -1, *size), y.flatten(1), x.flatten(1))
    if mask is not None:
        sampled = sampled * mask.reshape(number * parts, 1, -1)
    groups = channels // weight.shape[1]
    of_groups = sampled.reshape(number, groups, -1, height * width)  # (N, groups, C / groups * kh * kw, H' * W')
    kernel = weight.reshape(groups, weight.shape[0] // groups, -1)  # (groups, D / groups, C / groups * kh * kw)
    return (kernel @ of_groups).reshape(number, -1, height, width)
