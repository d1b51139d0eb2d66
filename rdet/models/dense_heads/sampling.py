"""Bilinear samples of maps by plain operators.

On a GPU, torchvision's ``deform_conv2d`` and torch's ``grid_sample`` add gradients in any order; with
``--deterministic`` torch refuses them. Here they are added up in one order, so that a run repeats to the same bits. And
few runtimes know a deformable convolution, so that an exported file has none. What is here takes more memory and time,
and is used for these two alone.
"""

import torch
from torch import Tensor


def by_plain_operators(maps: Tensor) -> bool:
    """Tell whether ``maps`` must be sampled here: for gradients in one order, or in an export."""
    if torch.compiler.is_exporting() or torch.jit.is_tracing():  # type: ignore[attr-defined]  # torch.jit does have it
        return True
    return torch.are_deterministic_algorithms_enabled() and maps.device.type != "cpu"


def bilinear(maps: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Sample maps between their cells; 0 outside.

    Args:
        maps: (N, C, H, W).
        y, x: (N, M), places in cells.

    Returns:
        (N, M, C).
    """
    number, channels, height, width = maps.shape
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
    return sampled


def deformed_convolution(maps: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """Convolve maps at displaced points, as torchvision's ``deform_conv2d`` does with a padding of half the kernel.

    Args:
        maps: (N, C, H, W).
        offset: (N, 2 * kh * kw, H, W), y and x of each point of the kernel, row by row, in cells.
        weight: (D, C, kh, kw), kh and kw odd.

    Returns:
        (N, D, H, W).
    """
    height, width = maps.shape[2:]
    rows, columns = weight.shape[2:]
    y, x = offset.unflatten(1, (rows * columns, 2)).unbind(dim=2)  # (N, kh * kw, H, W)
    point = torch.arange(rows * columns, device=maps.device)[:, None, None]
    y = y + point // columns - rows // 2 + torch.arange(height, device=maps.device)[:, None]
    x = x + point % columns - columns // 2 + torch.arange(width, device=maps.device)
    sampled = bilinear(maps, y.flatten(1), x.flatten(1)).unflatten(1, (rows * columns, height * width))
    kernel = weight.flatten(2).permute(2, 1, 0).flatten(0, 1)  # (kh * kw * C, D)
    found: Tensor = sampled.transpose(1, 2).flatten(2) @ kernel  # (N, H * W, D)
    return found.transpose(1, 2).reshape(maps.shape[0], -1, height, width)
