"""Losses on encoded boxes."""

import torch.nn.functional as F
from torch import Tensor

from rdet.models.losses.base import EncodedBoxLoss
from rdet.models.losses.precision import at_least_float32
from rdet.registry import MODELS
from rdet.schema import NotNegative


@MODELS.register_module()
class SmoothL1Loss(EncodedBoxLoss):
    """Smooth L1 (Fast R-CNN, Girshick, ICCV 2015, equation 3): quadratic below ``beta``, linear above.

    Shapes: deltas (..., 4), target_deltas (..., 4) -> (...,), summed over the four numbers.

    Args:
        beta: Where the two parts meet (Detectron: 0.11).
        loss_weight: Factor of the result.
    """

    def __init__(self, beta: NotNegative = 0.11, loss_weight: NotNegative = 1.0):
        super().__init__()
        if beta < 0:
            raise ValueError(f"loss_bbox.beta is {beta}; it must be 0 or more")
        self.beta = beta
        self.loss_weight = loss_weight

    def forward(self, deltas: Tensor, target_deltas: Tensor) -> Tensor:
        loss = F.smooth_l1_loss(at_least_float32(deltas), target_deltas, beta=self.beta, reduction="none")
        return loss.sum(dim=-1) * self.loss_weight


@MODELS.register_module()
class L1Loss(SmoothL1Loss):
    """L1, the limit of :class:`SmoothL1Loss` at ``beta`` 0. Same shapes."""

    def __init__(self, loss_weight: NotNegative = 1.0):
        super().__init__(beta=0.0, loss_weight=loss_weight)
