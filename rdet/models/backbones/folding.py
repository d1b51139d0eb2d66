"""Batch normalisation as part of the convolution before it."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def conv_norm(conv: nn.Conv2d, norm: nn.Module, x: Tensor) -> Tensor:
    """``norm(conv(x))``, as one convolution where the normalisation does not look at the batch.

    Batch normalisation in eval mode is y -> y s + (beta - mu s) for each channel, with
    s = gamma / sqrt(sigma^2 + eps). Here weights are multiplied with s instead of maps. The result and
    all gradients, those of gamma and beta too, are the same but for rounding; the map in between is
    neither computed nor kept for the backward pass.

    Args:
        conv: Without a bias.
        norm: Any normalisation; folded if it is batch normalisation with statistics, in eval mode.
        x: (N, C, H, W).
    """
    if not _is_fixed(norm):
        return norm(conv(x))
    scale = torch.rsqrt(norm.running_var + norm.eps)  # (C_out,)
    if norm.affine:
        scale = scale * norm.weight
    shift = -norm.running_mean * scale
    if norm.affine:
        shift = shift + norm.bias
    return conv._conv_forward(x, conv.weight * scale[:, None, None, None], shift)


def _is_fixed(norm: nn.Module) -> bool:
    return isinstance(norm, _BatchNorm) and not norm.training and norm.running_mean is not None
