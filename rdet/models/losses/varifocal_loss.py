"""The loss of VarifocalNet."""

import torch
import torch.nn.functional as F
from torch import Tensor

from rdet.models.losses.focal_loss import focal_loss
from rdet.models.losses.soft_sigmoid_loss import SoftSigmoidLoss
from rdet.registry import MODELS
from rdet.schema import NotNegative


@MODELS.register_module()
class VarifocalLoss(SoftSigmoidLoss):
    """Varifocal Loss (VarifocalNet, Zhang et al., CVPR 2021, equation 2).

    With p = sigmoid(logit) and the quality q of the label's class, 0 for other classes:
    -q (q log(p) + (1 - q) log(1 - p)) where q > 0, which counts good positives more, and
    -alpha p^gamma log(1 - p) where q = 0. For the shapes see :class:`SoftSigmoidLoss`.

    Args:
        alpha: Weight where q = 0.
        gamma: Focusing parameter where q = 0.
        loss_weight: Factor of the result.
    """

    def __init__(self, alpha: NotNegative = 0.75, gamma: NotNegative = 2.0, loss_weight: NotNegative = 1.0):
        super().__init__(loss_weight)
        for name, value in (("alpha", alpha), ("gamma", gamma)):
            if value < 0:
                raise ValueError(f"{name} is {value}; it must not be negative")
        self.alpha = alpha
        self.gamma = gamma

    def elementwise(self, logits: Tensor, target: Tensor) -> Tensor:
        positive = target * F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return torch.where(target > 0, positive, self.alpha * focal_loss(-logits, self.gamma))
