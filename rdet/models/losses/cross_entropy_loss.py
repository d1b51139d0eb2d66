"""The cross entropy of K independent binary predictions."""

import torch.nn.functional as F
from torch import Tensor

from rdet.models.losses.sigmoid_loss import SigmoidLoss
from rdet.registry import MODELS


@MODELS.register_module()
class CrossEntropyLoss(SigmoidLoss):
    """Sigmoid cross entropy, -log(p_t); with ``alpha`` the balanced one (Focal Loss paper, equations 1 and 3).

    Args:
        label_smoothing: The targets 1 and 0 become 1 - label_smoothing / 2 and label_smoothing / 2
            (Szegedy et al., CVPR 2016, section 7, with two outcomes).
        alpha: Weight of the foreground; see :class:`SigmoidLoss` for it and the shapes.
        loss_weight: Factor of the result.
        class_weight: K factors of the classes' losses; see :class:`SigmoidLoss`.
        num_classes: K (inferred).
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        alpha: float | None = None,
        loss_weight: float = 1.0,
        class_weight: list[float] | None = None,
        num_classes: int | None = None,
    ):
        super().__init__(alpha, loss_weight, class_weight, num_classes)
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing is {label_smoothing}; it must lie in [0, 1)")
        self.label_smoothing = label_smoothing

    def elementwise(self, x_t: Tensor) -> Tensor:
        # (1 - s/2) softplus(-x_t) + s/2 softplus(x_t), where softplus(x) - softplus(-x) = x
        return F.softplus(-x_t) + self.label_smoothing / 2 * x_t
