"""The Balanced L1 loss of Libra R-CNN."""

import math

import torch
from torch import Tensor

from rdet.models.losses.base import EncodedBoxLoss
from rdet.models.losses.precision import at_least_float32
from rdet.registry import MODELS
from rdet.schema import NotNegative


@MODELS.register_module()
class BalancedL1Loss(EncodedBoxLoss):
    """Balanced L1 (Libra R-CNN, Pang et al., CVPR 2019, section 3.3).

    Its gradient is alpha * ln(b |x| + 1) for differences |x| < 1 and gamma above, with b such that
    the two meet; small differences therefore pull more than with smooth L1.

    Shapes: deltas (..., D), target_deltas (..., D) -> (...,), summed over the D numbers.

    Args:
        alpha: The smaller, the more the gradient of small differences is raised.
        gamma: Gradient of large differences.
        loss_weight: Factor of the result.
    """

    def __init__(self, alpha: NotNegative = 0.5, gamma: NotNegative = 1.5, loss_weight: NotNegative = 1.0):
        super().__init__()
        if alpha <= 0 or gamma <= 0:
            raise ValueError(f"alpha is {alpha} and gamma is {gamma}; both must be positive")
        self.alpha = alpha
        self.gamma = gamma
        self.loss_weight = loss_weight

    def forward(self, deltas: Tensor, target_deltas: Tensor) -> Tensor:
        b = math.expm1(self.gamma / self.alpha)
        x = (at_least_float32(deltas) - target_deltas).abs()
        small = self.alpha * ((x + 1 / b) * torch.log1p(b * x) - x)
        large = self.gamma * (x + 1 / b) - self.alpha  # equal to `small` at 1
        return torch.where(x < 1, small, large).sum(dim=-1) * self.loss_weight
