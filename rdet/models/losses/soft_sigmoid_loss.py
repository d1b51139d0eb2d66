"""What losses on K binary predictions with targets between 0 and 1 share."""

from abc import abstractmethod

import torch
from torch import Tensor

from rdet.models.losses.base import SoftTargetLoss
from rdet.models.losses.precision import at_least_float32
from rdet.schema import NotNegative
from rdet.structures.assignment import IGNORE


class SoftSigmoidLoss(SoftTargetLoss):
    """Base of losses whose target is the quality of the prediction instead of 1.

    Shapes: logits (..., K), labels (...,) int64, quality (...,) in [0, 1] -> (...,) float32, summed
    over the K classes. The target is ``quality`` at the label's class and 0 elsewhere; a label is a
    class index, ``BACKGROUND`` (all K targets are 0) or ``IGNORE`` (the loss is 0).

    Args:
        loss_weight: Factor of the result.
    """

    def __init__(self, loss_weight: NotNegative):
        super().__init__()
        self.loss_weight = loss_weight

    @abstractmethod
    def elementwise(self, logits: Tensor, target: Tensor) -> Tensor:
        """Compute the loss of each logit with its target in [0, 1]."""

    def forward(self, logits: Tensor, labels: Tensor, quality: Tensor) -> Tensor:
        logits = at_least_float32(logits)
        positive = labels[..., None] == torch.arange(logits.shape[-1], device=logits.device)  # (..., K)
        target = positive * quality.to(logits.dtype)[..., None]
        return self.elementwise(logits, target).sum(dim=-1) * (labels != IGNORE) * self.loss_weight
