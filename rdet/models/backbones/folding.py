"""Batch normalisation as part of the convolution before it."""

from itertools import pairwise
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval


def conv_norm(conv: nn.Conv2d, norm: nn.Module, x: Tensor) -> Tensor:
    """Compute ``norm(conv(x))``, as one convolution where the normalisation does not look at the batch.

    Batch normalisation in eval mode is y -> y s + (beta - mu s) for each channel, with
    s = gamma / sqrt(sigma^2 + eps). Here weights are multiplied with s instead of maps. The result and
    all gradients, those of gamma and beta too, are the same but for rounding; the map in between is
    neither computed nor kept for the backward pass. Kept instead is a copy of the weights, which is
    less for all but the smallest pictures.

    Args:
        conv: Without a bias.
        norm: Any normalisation; folded if it is batch normalisation with statistics, in eval mode.
        x: (N, C, H, W).
    """
    if not _is_fixed(norm) or norm.running_mean is None or norm.running_var is None:
        return norm(conv(x))
    scale = torch.rsqrt(norm.running_var + norm.eps)  # (C_out,)
    if norm.affine:
        scale = scale * norm.weight
        shift = torch.addcmul(norm.bias, norm.running_mean, scale, value=-1)  # one operator, not three
    else:
        shift = -norm.running_mean * scale
    return conv._conv_forward(x, conv.weight * scale[:, None, None, None], shift)


def _is_fixed(norm: nn.Module) -> TypeGuard[_BatchNorm]:
    return isinstance(norm, _BatchNorm) and not norm.training and norm.running_mean is not None


@torch.no_grad()
def fold_norms(network: nn.Module) -> None:
    """Make fixed batch normalisations part of the convolutions before them, for good.

    Args:
        network: In eval mode. Where a normalisation is registered right after a convolution, it must also
            be what the convolution's output goes to, and nothing else.
    """
    for parent in list(network.modules()):
        for (conv_name, conv), (norm_name, norm) in pairwise(list(parent.named_children())):
            # Not subclasses of BatchNorm2d: timm's contains the activation too.
            if isinstance(conv, nn.Conv2d) and type(norm) in (nn.BatchNorm2d, nn.SyncBatchNorm) and _is_fixed(norm):
                setattr(parent, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, norm_name, nn.Identity())
