"""The Quality Focal Loss of GFL."""

import torch
import torch.nn.functional as F
from torch import Tensor

from rdet.models.losses.soft_sigmoid_loss import SoftSigmoidLoss
from rdet.registry import MODELS
from rdet.schema import NotNegative


@MODELS.register_module()
class QualityFocalLoss(SoftSigmoidLoss):
    """QFL (Generalized Focal Loss, Li et al., NeurIPS 2020, section 3).

    QFL(p) = -|y - p|^beta ((1 - y) log(1 - p) + y log(p)) with p = sigmoid(logit) and the quality y
    of the label's class, 0 for other classes. With y = 1 it is the Focal Loss without alpha.
    For the shapes see :class:`SoftSigmoidLoss`.

    Args:
        beta: Focusing parameter; 0 gives the cross entropy.
        loss_weight: Factor of the result.
    """

    def __init__(self, beta: NotNegative = 2.0, loss_weight: NotNegative = 1.0):
        super().__init__(loss_weight)
        if beta < 0:
            raise ValueError(f"beta is {beta}; it must not be negative")
        self.beta = beta

    def elementwise(self, logits: Tensor, target: Tensor) -> Tensor:
        cross_entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        # The derivative of a power below 1 is infinite at 0.
        distance = (target - logits.sigmoid()).abs().clamp(min=torch.finfo(logits.dtype).tiny)
        return distance**self.beta * cross_entropy
