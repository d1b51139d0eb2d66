"""The Distribution Focal Loss of GFL."""

import torch
from torch import Tensor

from rdet.errors import ConfigError
from rdet.models.losses.base import EncodedBoxLoss
from rdet.models.losses.precision import at_least_float32
from rdet.registry import MODELS
from rdet.schema import NotNegative


@MODELS.register_module()
class DistributionFocalLoss(EncodedBoxLoss):
    """DFL (Generalized Focal Loss, Li et al., NeurIPS 2020, section 3).

    The distance to each side of a box is predicted as a distribution S over 0, 1, ..., n. A target y
    between the whole numbers i and i + 1 costs -((i + 1 - y) log(S_i) + (y - i) log(S_{i+1})).

    Shapes: deltas (P, 4 * (n + 1)) logits, all of a side together; target_deltas (P, 4), taken as
    the nearest number in [0, n] -> (P,), summed over the four sides.

    Args:
        loss_weight: Factor of the result. The default is what GFL trains with: a weight of 1/4
            (MMDetection's 0.25) of the mean over the four sides, so 1/16 of their sum.
    """

    def __init__(self, loss_weight: NotNegative = 0.0625):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, deltas: Tensor, target_deltas: Tensor) -> Tensor:
        sides = target_deltas.shape[-1]
        bins, rest = divmod(deltas.shape[-1], sides)
        if rest or bins < 2:
            raise ConfigError(
                f"DistributionFocalLoss: {deltas.shape[-1]} numbers for {sides} sides are no distributions; "
                "use a model.bbox_coder that decodes distributions"
            )
        log_p: Tensor = at_least_float32(deltas).unflatten(-1, (sides, bins)).log_softmax(dim=-1)  # (P, 4, n + 1)
        target = at_least_float32(target_deltas).clamp(0, bins - 1)
        left = target.floor().clamp(max=bins - 2)
        to_right = target - left  # (P, 4) in [0, 1]
        neighbours = torch.stack([left, left + 1], dim=-1).long()  # (P, 4, 2)
        weights = torch.stack([1 - to_right, to_right], dim=-1)
        return -(weights * log_p.gather(-1, neighbours)).sum(dim=(-2, -1)) * self.loss_weight
