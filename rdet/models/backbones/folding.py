"""Batch normalisation as part of the convolution before it."""

from itertools import pairwise
from typing import NamedTuple, TypeGuard, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rdet.models.convolution import convolved, finished
from rdet.models.recording import is_recording


def conv_norm(
    conv: nn.Conv2d, norm: nn.Module, x: Tensor, residual: Tensor | None = None, relu: bool = False
) -> Tensor:
    """Compute ``relu(norm(conv(x)) + residual)``, as one convolution where the norm does not look at the batch.

    Batch normalisation in eval mode is y -> y s + (beta - mu s) for each channel, with
    s = gamma / sqrt(sigma^2 + eps). Here weights are multiplied with s instead of maps. The result and
    all gradients, those of gamma and beta too, are the same but for rounding; the map in between is
    neither computed nor kept for the backward pass. Kept instead is a copy of the weights, which is
    less for all but the smallest pictures.

    Where neither weights nor normalisation are trained, the product is computed once and kept with the
    convolution, until one of its factors changes or :func:`forget_folded` is called.

    Args:
        conv: Without a bias.
        norm: Any normalisation; folded if it is batch normalisation with statistics, in eval mode.
        x: (N, C, H, W).
        residual: Map of the result's shape that is added to it; None: none.
        relu: Whether ReLU comes last.
    """
    if isinstance(norm, nn.Identity):  # it is part of the convolution already
        return convolved(conv, x, conv.weight, conv.bias, residual, relu)
    if not _is_fixed(norm) or norm.running_mean is None or norm.running_var is None:
        return finished(norm(conv(x)), residual, relu)
    weight, shift = _kept(conv, norm, x.device.type) or _folded(conv, norm)
    return convolved(conv, x, weight, shift, residual, relu)


class _Kept(NamedTuple):
    """The product of a convolution and a normalisation that do not change, beside what it was made of."""

    sources: tuple[Tensor, ...]
    versions: tuple[int, ...]
    dtype: torch.dtype
    weight: Tensor
    shift: Tensor


def forget_folded(network: nn.Module) -> None:
    """Forget the products that convolutions keep: for changes that torch does not count, such as those of ``.data``."""
    for module in network.modules():
        module.__dict__.pop("_kept_fold", None)


def _kept(conv: nn.Conv2d, norm: _BatchNorm, device_type: str) -> tuple[Tensor, Tensor] | None:
    """Return weight and shift that were computed before, in the precision of this pass; None if they may change."""
    if torch.compiler.is_compiling() or torch.is_inference_mode_enabled():  # what it makes is no use in training
        return None
    if is_recording():  # a replay would read it where it is no more
        return None
    found = (conv.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var)
    sources = tuple(value for value in found if value is not None)
    if any(value.requires_grad or value.is_inference() for value in sources):
        return None
    can_mix = (
        torch.amp.is_autocast_available(device_type) and conv.weight.dtype != torch.float64
    )  # which autocast leaves
    mixed = can_mix and torch.is_autocast_enabled(device_type)
    dtype = torch.get_autocast_dtype(device_type) if mixed else conv.weight.dtype
    kept: _Kept | None = conv.__dict__.get("_kept_fold")
    versions = tuple(value._version for value in sources)
    if (
        kept is None
        or (kept.versions, kept.dtype) != (versions, dtype)
        or any(one is not other for one, other in zip(kept.sources, sources, strict=True))
    ):
        weight, shift = _folded(conv, norm)
        kept = _Kept(sources, versions, dtype, weight.to(dtype), shift.to(dtype))
        conv.__dict__["_kept_fold"] = kept
    return kept.weight, kept.shift


def _folded(conv: nn.Conv2d, norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """Compute weight and shift, (C_out,), of one convolution that does what both do."""
    mean, variance = cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var)
    scale = torch.rsqrt(variance + norm.eps)  # (C_out,)
    if norm.affine:
        scale = scale * norm.weight
        shift = torch.addcmul(norm.bias, mean, scale, value=-1)  # one operator, not three
    else:
        shift = -mean * scale
    return conv.weight * scale[:, None, None, None], shift


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
