"""What follows a convolution, in one pass over its map: bias, residual and ReLU."""

import torch
import triton
import triton.language as tl
from torch import Tensor

# Numbers that a program of the kernel takes.
_BLOCK = 4096
_MOST_CHANNELS = 256


@triton.jit
def _bias_relu(
    map_,
    bias,
    residual,
    rows,
    channels,
    has_residual: tl.constexpr,
    relu: tl.constexpr,
    block_rows: tl.constexpr,
    block_channels: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * block_rows + tl.arange(0, block_rows)
    channel = tl.program_id(1) * block_channels + tl.arange(0, block_channels)
    place = row[:, None] * channels + channel[None, :]
    inside = (row < rows)[:, None] & (channel < channels)[None, :]
    value = tl.load(map_ + place, mask=inside).to(tl.float32)
    value += tl.load(bias + channel, mask=channel < channels).to(tl.float32)[None, :]
    if has_residual:
        value += tl.load(residual + place, mask=inside).to(tl.float32)
    if relu:
        value = tl.where(value < 0, 0.0, value)  # NaN stays
    tl.store(map_ + place, value, mask=inside)


def add_bias_(x: Tensor, bias: Tensor, residual: Tensor | None, relu: bool) -> Tensor:
    """Add bias and residual to a map in place, then apply ReLU; computed in float32.

    Args:
        x: (N, C, H, W), dense in channels-last order.
        bias: (C,).
        residual: Of the shape and order of ``x``; None: none.
        relu: Whether what is negative becomes 0.
    """
    channels = x.shape[1]
    rows = x.numel() // channels
    block_channels = min(triton.next_power_of_2(channels), _MOST_CHANNELS)
    block_rows = max(1, _BLOCK // block_channels)
    grid = (triton.cdiv(rows, block_rows), triton.cdiv(channels, block_channels))
    _bias_relu[grid](
        x,
        bias,
        x if residual is None else residual,
        rows,
        channels,
        has_residual=residual is not None,
        relu=relu,
        block_rows=block_rows,
        block_channels=block_channels,
    )
    return x


class BiasRelu(torch.autograd.Function):
    """:func:`add_bias_` with gradients; the map that it writes to is what a convolution made and nobody else has."""

    @staticmethod
    def forward(ctx, x, bias, residual, relu):
        add_bias_(x, bias, residual, relu)
        ctx.mark_dirty(x)
        ctx.has_residual, ctx.bias_dtype = residual is not None, bias.dtype
        ctx.save_for_backward(x if relu else None)
        return x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        (x,) = ctx.saved_tensors
        if x is not None:
            upstream = torch.ops.aten.threshold_backward(upstream, x, 0)
        of_bias = upstream.sum(dim=(0, 2, 3), dtype=ctx.bias_dtype) if ctx.needs_input_grad[1] else None
        return upstream, of_bias, upstream if ctx.has_residual else None, None
