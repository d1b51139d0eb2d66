"""The largest numbers of a level, in ways that find the same."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from rdet.models.kernels.usable import right, usable

# Numbers (N, A, K), a threshold or None, and how many at most -> three of (N, C): the largest, float32; their places in
# A * K; and whether they are above the threshold: others only fill up.
LargestOf = Callable[[Tensor, float | None, int], tuple[Tensor, Tensor, Tensor]]

# Numbers of all images from which on a GPU finds the largest faster row by row.
_MUCH = 2**24


def largest(rank: Tensor, threshold: float | None, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Find the largest on any device, without a shape that depends on a value; see :data:`LargestOf`.

    Where A is no number, since the size of images is left open in an export, C does not depend on it: what a small
    level lacks is filled up.
    """
    size = rank.shape[1] * rank.shape[2]
    if isinstance(size, int):
        is_traced = torch.jit.is_tracing()  # type: ignore[attr-defined]  # torch.jit does have it
        is_exported = torch.compiler.is_exporting() or is_traced
        is_much = rank.is_cuda and rank.numel() > _MUCH
        if (is_exported or is_much) and rank.shape[2] > 1 and rank.shape[1] > count:
            values, index = _largest_of_rows(rank, count)
        else:
            values, index = rank.flatten(1).topk(min(count, size), dim=1)
        is_real = torch.ones_like(index, dtype=torch.bool)
    else:
        values, index = F.pad(rank.flatten(1), (0, count), value=-math.inf).topk(count, dim=1)
        is_real = index < size
        index = torch.where(is_real, index, 0)
    values = values.float()
    return values, index, is_real if threshold is None else is_real & (values > threshold)


def _largest_of_rows(rank: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the largest of (N, A, K) among those of the ``count`` priors whose best class is best.

    They are the same, and other runtimes need less time: their topk looks at each number in turn. A GPU's looks at it
    several times.
    """
    _, prior = rank.amax(dim=2).topk(count, dim=1)
    image = torch.arange(prior.shape[0], device=prior.device)[:, None]
    rows = rank[image, prior]  # (N, C, K)
    values, place = rows.flatten(1).topk(count, dim=1)
    return values, prior.gather(1, place // rank.shape[2]) * rank.shape[2] + place % rank.shape[2]


def largest_of_levels(logits: Tensor, num_classes: int, lengths: Sequence[int], count: int) -> LargestOf | None:
    """Return what finds the largest of each of several levels, one after the other, in kernels of a GPU.

    Args:
        logits: What is ranked, or made of it, is where these are.
        num_classes: K of what is ranked.
        lengths: A of each level.
        count: How many of a level at most.

    Returns:
        See :data:`LargestOf`; None if there are no kernels for it.
    """
    if not usable(logits):
        return None
    from rdet.models.kernels import best

    if not best.fits(num_classes, lengths, count) or not right(best.is_right, logits.device):
        return None
    return partial(best.best_of_levels, lengths=lengths)


def largest_above(rank: Tensor, threshold: float | None, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Find only what is above the threshold, of one image on the host; see :data:`LargestOf`."""
    if threshold is None:
        return largest(rank, threshold, count)
    (row,) = rank.float().flatten(1)
    (above,) = (row > threshold).nonzero(as_tuple=True)  # topk alone would look at each number several times
    values, order = row[above].topk(min(count, len(above)))
    index = above[order][None]
    return values[None], index, torch.ones_like(index, dtype=torch.bool)
