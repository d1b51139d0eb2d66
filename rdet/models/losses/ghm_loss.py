"""Losses whose gradients of each length have the same share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from rdet.models.losses.base import EncodedBoxLoss, HardTargetLoss
from rdet.models.losses.gradient_density import GradientDensity
from rdet.models.losses.precision import at_least_float32
from rdet.registry import MODELS
from rdet.schema import Count, Fraction, NotNegative, Positive
from rdet.structures.all_priors import AllPriors
from rdet.structures.assignment import IGNORE
from rdet.structures.positives import Positives


@MODELS.register_module()
class GHMC(HardTargetLoss):
    """GHM-C: cross entropy of K binary predictions, each weighted by how many have its gradient's length.

    Li et al., "Gradient Harmonized Single-stage Detector", AAAI 2019, section 3.3 and equation 8. The length is
    |p - p*|, and the density is that of a level of the batch, as in the authors' code and MMDetection. Weights sum to 1
    on each level: the loss wants a ``normalizer`` that does not divide, ``NoNormalizer``.

    Shapes: logits (..., K), labels (...,) int64 -> (...,) float32, summed over the K classes; the last dimension of
    ``labels`` is that of the priors.

    Args:
        bins: Into how many the lengths are divided.
        momentum: Of a running mean of the density; 0: there is none.
        loss_weight: Factor of the result.
    """

    def __init__(self, bins: Count = 30, momentum: Fraction = 0.0, loss_weight: NotNegative = 1.0):
        super().__init__()
        self.loss_weight = loss_weight
        self.density = GradientDensity(bins, momentum)

    if TYPE_CHECKING:

        def __call__(self, logits: Tensor, labels: Tensor, level_lengths: Sequence[int] | None = None) -> Tensor: ...

    def of(self, priors: AllPriors) -> Tensor:
        return self(priors.logits, priors.labels, priors.level_lengths)

    def forward(self, logits: Tensor, labels: Tensor, level_lengths: Sequence[int] | None = None) -> Tensor:
        """Compute the loss of each prior; ``level_lengths`` sum to A, None: all are of one level."""
        logits = at_least_float32(logits)
        target = F.one_hot(labels.clamp(min=0), logits.shape[-1]) * (labels >= 0)[..., None]
        length = (logits.detach().sigmoid() - target).abs()
        length = torch.where((labels == IGNORE)[..., None], -1, length)
        levels = length.split(list(level_lengths or [labels.shape[-1]]), dim=-2)
        weight = torch.cat(self.density(levels), dim=-2)
        loss = F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype), reduction="none")
        return (loss * weight).sum(dim=-1) * self.loss_weight


@MODELS.register_module()
class GHMR(EncodedBoxLoss):
    """GHM-R: a smooth L1 of encoded boxes, each number weighted by how many have its gradient's length.

    Li et al., AAAI 2019, section 3.4 and equation 10: sqrt(d^2 + mu^2) - mu, whose gradient's length is
    |d| / sqrt(d^2 + mu^2). For what the density is of, and the ``normalizer``, see :class:`GHMC`.

    Shapes: deltas (P, 4), target_deltas (P, 4) -> (P,), summed over the four numbers.

    Args:
        mu: About where it goes over from quadratic to linear.
        bins, momentum: See :class:`GHMC`.
        loss_weight: Factor of the result.
    """

    def __init__(self, mu: Positive = 0.02, bins: Count = 10, momentum: Fraction = 0.0, loss_weight: NotNegative = 1.0):
        super().__init__()
        if mu <= 0:
            raise ValueError(f"loss_bbox.mu is {mu}; it must be positive")
        self.mu = mu
        self.loss_weight = loss_weight
        self.density = GradientDensity(bins, momentum)

    if TYPE_CHECKING:

        def __call__(
            self, deltas: Tensor, target_deltas: Tensor, level: Tensor | None = None, num_levels: int = 1
        ) -> Tensor: ...

    def of(self, positives: Positives) -> Tensor:
        level = positives.level.masked_fill(positives.weight == 0, -1)  # what repeats another does not count
        return self(positives.deltas, positives.target_deltas, level, len(positives.level_lengths))

    def forward(
        self, deltas: Tensor, target_deltas: Tensor, level: Tensor | None = None, num_levels: int = 1
    ) -> Tensor:
        """Compute the loss of each positive.

        Args:
            deltas, target_deltas: (P, 4).
            level: (P,) int64, the level of each; below 0 if it does not count. None: all are of the first.
            num_levels: How many levels there are.
        """
        difference = at_least_float32(deltas) - target_deltas
        root = (difference.square() + self.mu**2).sqrt()
        length = (difference.detach() / root.detach()).abs()
        level = length.new_zeros(len(length), dtype=torch.int64) if level is None else level
        levels = [torch.where((level == index)[:, None], length, -1) for index in range(num_levels)]
        weight = torch.stack(self.density(levels)).sum(dim=0)
        return ((root - self.mu) * weight).sum(dim=-1) * self.loss_weight
