"""The hinge loss on the probability of the true class."""

import torch
from torch import Tensor

from rdet.models.losses.sigmoid_loss import SigmoidLoss
from rdet.registry import MODELS
from rdet.schema import Count, Fraction, NotNegative


@MODELS.register_module()
class HingeLoss(SigmoidLoss):
    """max(0, margin - p_t): no loss above a certain p_t (Focal Loss paper, section 5.1, "Hinge Loss").

    The paper tried it for one-stage detection and reports it as unstable, without naming the margin.
    Its gradient is p_t (1 - p_t), which vanishes where p_t is near 0 or 1. All depends on the margin:
    with the prior of section 4.1 the background starts at p_t = 0.99. Below that, most of it costs
    nothing; with a margin of 1 all of it pulls, until the positives are at p_t = 0 and do not move
    (measured in docs/paper.md).

    Args:
        margin: The p_t, in (0, 1], above which a prediction costs nothing.
        alpha: Weight of the foreground; see :class:`SigmoidLoss` for it and the shapes.
        loss_weight: Factor of the result.
        class_weight: K factors of the classes' losses; see :class:`SigmoidLoss`.
        num_classes: K (inferred).
    """

    def __init__(
        self,
        margin: NotNegative = 0.9,
        alpha: Fraction | None = None,
        loss_weight: NotNegative = 1.0,
        class_weight: list[NotNegative] | None = None,
        num_classes: Count | None = None,
    ):
        super().__init__(alpha, loss_weight, class_weight, num_classes)
        if not 0 < margin <= 1:
            raise ValueError(f"margin is {margin}; it must lie in (0, 1]")
        self.margin = margin

    def elementwise(self, x_t: Tensor) -> Tensor:
        return torch.relu(self.margin - x_t.sigmoid())

    def with_derivative(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Compute max(0, margin - p_t), and its derivative: p_t (1 - p_t) below the margin and 0 above."""
        p_t = torch.sigmoid(-u)
        return torch.relu(self.margin - p_t), (p_t * (1 - p_t)).masked_fill(p_t >= self.margin, 0)
