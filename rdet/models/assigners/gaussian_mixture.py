"""Mixtures of two normal distributions over numbers, many at once."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

# As scikit-learn's GaussianMixture has them by default.
_MAX_STEPS = 100
_TOLERANCE = 1e-3  # of the mean log likelihood of a step
_LEAST_VARIANCE = 1e-6


class Mixture(NamedTuple):
    """What B fitted mixtures say of their numbers.

    Attributes:
        is_first: (B, n) bool, whether a number is rather of the component that began at the smallest.
        log_density: (B, n) float64, of the mixture at each number.
    """

    is_first: Tensor
    log_density: Tensor


@torch.no_grad()
def fit_two_normals(numbers: Tensor, valid: Tensor) -> Mixture:
    """Fit a mixture to each row by expectation maximisation (PAA, Kim and Lee, ECCV 2020, section 3.2).

    The components begin with the smallest and the largest number as means, variance 1 and equal weights. Rows end by
    themselves, each where its likelihood stands still; no step waits for the device, so that all 100 are made there.

    Args:
        numbers: (B, n) of any float type; computed in float64.
        valid: (B, n) bool, the numbers that count; in each row one at least, or the row's result has no meaning.
    """
    x = torch.where(valid, numbers, 0).double()[..., None]  # (B, n, 1)
    counts = valid[..., None].double()
    total = counts.sum(dim=1).clamp(min=1)  # (B, 1)
    least, most = (torch.where(valid, numbers.double(), bound).aminmax(dim=1) for bound in (math.inf, -math.inf))
    mean = torch.stack([least.min, most.max], dim=1).nan_to_num(0, 0, 0)  # (B, 2)
    variance, weight = torch.ones_like(mean), torch.full_like(mean, 0.5)
    likelihood = torch.full_like(total, -math.inf)  # (B, 1)
    moving = torch.ones_like(total, dtype=torch.bool)
    on_host = numbers.device.type == "cpu"
    for _ in range(_MAX_STEPS):
        joint = _log_joint(x, mean, variance, weight)  # (B, n, 2)
        density = joint.logsumexp(dim=2, keepdim=True)
        share = (joint - density).exp() * counts
        amount = share.sum(dim=1) + 10 * torch.finfo(share.dtype).eps  # (B, 2)
        new_mean = (share * x).sum(dim=1) / amount
        new_variance = (share * (x - new_mean[:, None]).square()).sum(dim=1) / amount + _LEAST_VARIANCE
        new_weight = amount / amount.sum(dim=1, keepdim=True)
        mean, variance, weight = (
            torch.where(moving, new, old)
            for new, old in ((new_mean, mean), (new_variance, variance), (new_weight, weight))
        )
        new_likelihood = (density * counts).sum(dim=1) / total
        moving = moving & ~((new_likelihood - likelihood).abs() < _TOLERANCE)
        likelihood = new_likelihood
        if on_host and not moving.any():
            break
    joint = _log_joint(x, mean, variance, weight)
    return Mixture(joint[..., 0] >= joint[..., 1], joint.logsumexp(dim=2))


def _log_joint(x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor) -> Tensor:
    """Compute the log density of each component, times its weight: (B, n, 2)."""
    mean, variance, weight = mean[:, None], variance[:, None], weight[:, None]
    return weight.log() - 0.5 * ((2 * math.pi * variance).log() + (x - mean).square() / variance)
