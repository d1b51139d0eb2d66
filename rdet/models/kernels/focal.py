"""The focal loss and its gradient in one pass over the logits."""

import torch
import triton
import triton.language as tl
from torch import Tensor

# Logits that a program of the kernel takes.
_BLOCK = 4096


@triton.jit
def _with_gradient(
    logits,
    labels,
    class_weight,
    gradient,
    summed,
    rows,
    classes,
    gamma,
    alpha_1,
    alpha_0,
    has_weight: tl.constexpr,
    has_gamma: tl.constexpr,
    is_squared: tl.constexpr,
    block_rows: tl.constexpr,
    block_classes: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * block_rows + tl.arange(0, block_rows)
    label = tl.load(labels + row, mask=row < rows, other=-1)
    total = tl.zeros([block_rows], dtype=tl.float32)
    for start in range(0, classes, block_classes):
        class_ = start + tl.arange(0, block_classes)
        place = row[:, None] * classes + class_[None, :]
        inside = (row < rows)[:, None] & (class_ < classes)[None, :]
        is_1 = class_[None, :] == label[:, None]
        x = tl.load(logits + place, mask=inside, other=0.0).to(tl.float32)
        u = tl.where(is_1, -x, x)  # -x_t
        e = tl.exp(-tl.abs(u))
        # log(1 + e), with the rounding of 1 + e undone; see losses/precision.py
        one_and_e = 1.0 + e
        kept = one_and_e - 1.0
        log = tl.where(kept == 0.0, e, tl.log(one_and_e) * (e / tl.where(kept == 0.0, 1.0, kept)))
        s = tl.where(u > 0, u, 0.0) + log  # -log(p_t)
        q = tl.where(u >= 0, 1.0, e) / one_and_e  # 1 - p_t
        weight = tl.where(is_1, alpha_1, alpha_0)
        if has_weight:
            weight *= tl.load(class_weight + class_, mask=class_ < classes, other=0.0)[None, :]
        modulating = weight
        if is_squared:
            modulating *= q * q
        elif has_gamma:
            modulating *= tl.exp(gamma * (tl.where(u < 0, u, 0.0) - log))  # q^gamma, as log(q) = -softplus(-u)
        slope = modulating * (gamma * (s - q * s) + q)
        tl.store(gradient + place, tl.where(is_1, -slope, slope), mask=inside)
        total += tl.sum(tl.where(inside, modulating * s, 0.0), axis=1)
    tl.store(summed + row, total, mask=row < rows)


@triton.jit
def _scaled(gradient, upstream, out, rows, classes, block_rows: tl.constexpr, block_classes: tl.constexpr):
    row = tl.program_id(0).to(tl.int64) * block_rows + tl.arange(0, block_rows)
    factor = tl.load(upstream + row, mask=row < rows, other=0.0).to(tl.float32)
    for start in range(0, classes, block_classes):
        class_ = start + tl.arange(0, block_classes)
        place = row[:, None] * classes + class_[None, :]
        inside = (row < rows)[:, None] & (class_ < classes)[None, :]
        value = tl.load(gradient + place, mask=inside, other=0.0).to(tl.float32)
        tl.store(out + place, value * factor[:, None], mask=inside)


def with_gradient(
    logits: Tensor,
    labels: Tensor,
    gamma: float,
    alphas: tuple[float, float],
    class_weight: Tensor | None,
    gradient: Tensor,
) -> Tensor:
    """Compute the focal loss, summed over the classes, and its derivative by each logit (equations 5 and 10).

    Args:
        logits: (M, K).
        labels: (M,) int64, below 0 where all targets are 0.
        gamma: Focusing parameter.
        alphas: Weights of the targets that are 1 and of those that are 0.
        class_weight: (K,) float32; None: 1.
        gradient: (M, K), dense; is overwritten.

    Returns:
        (M,) float32.
    """
    rows, classes = logits.shape
    summed = torch.empty(rows, dtype=torch.float32, device=logits.device)
    if logits.numel():
        _with_gradient[_grid(rows, classes)](
            logits.contiguous(),
            labels.contiguous(),
            logits if class_weight is None else class_weight,
            gradient,
            summed,
            rows,
            classes,
            float(gamma),
            *map(float, alphas),
            has_weight=class_weight is not None,
            has_gamma=gamma != 0,
            is_squared=gamma == 2,
            **_blocks(classes),
        )
    return summed


def scaled(gradient: Tensor, upstream: Tensor, dtype: torch.dtype) -> Tensor:
    """Multiply the rows of a gradient (M, K) by (M, 1) in float32, as ``dtype``."""
    rows, classes = gradient.shape
    out = torch.empty_like(gradient, dtype=dtype)
    if gradient.numel():
        upstream = upstream.contiguous()
        _scaled[_grid(rows, classes)](gradient, upstream, out, rows, classes, **_blocks(classes))
    return out


def _blocks(classes: int) -> dict[str, int]:
    block_classes = min(triton.next_power_of_2(classes), 128)
    return {"block_rows": _BLOCK // block_classes, "block_classes": block_classes}


def _grid(rows: int, classes: int) -> tuple[int]:
    return (triton.cdiv(rows, _blocks(classes)["block_rows"]),)
