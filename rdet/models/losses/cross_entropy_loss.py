"""The cross entropy of K independent binary predictions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from rdet.models.losses.precision import softplus
from rdet.models.losses.sigmoid_loss import SigmoidLoss
from rdet.registry import MODELS
from rdet.schema import Count, Fraction, NotNegative


@MODELS.register_module()
class CrossEntropyLoss(SigmoidLoss):
    """Sigmoid cross entropy, -log(p_t); with ``alpha`` the balanced one (Focal Loss paper, equations 1 and 3).

    Args:
        label_smoothing, alpha, class_weight: See :class:`SigmoidLoss` for them and the shapes.
        loss_weight: Factor of the result.
        num_classes: K (inferred).
    """

    def __init__(
        self,
        label_smoothing: Fraction = 0.0,
        alpha: Fraction | None = None,
        loss_weight: NotNegative = 1.0,
        class_weight: list[NotNegative] | None = None,
        num_classes: Count | None = None,
    ):
        super().__init__(alpha, loss_weight, class_weight, num_classes, label_smoothing)

    def elementwise(self, x_t: Tensor) -> Tensor:
        return F.softplus(-x_t)

    def with_derivative(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Compute -log(p_t), and its derivative 1 - p_t (equation 9)."""
        return softplus(u), torch.sigmoid(u)
