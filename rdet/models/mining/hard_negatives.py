"""Hard negative mining."""

import torch
from torch import Tensor

from rdet.models.mining.base import Mining
from rdet.registry import MODELS
from rdet.schema import Positive
from rdet.structures.assignment import BACKGROUND


@MODELS.register_module()
class HardNegatives(Mining):
    """All positives, and for each some negatives of highest loss (SSD, Liu et al., ECCV 2016, "Hard negative mining").

    An image without positives gives no negatives. The loss is divided as if nothing were chosen: by the positives.

    Args:
        neg_pos_ratio: Negatives for each positive.
    """

    counts_chosen = False

    def __init__(self, neg_pos_ratio: Positive = 3):
        if neg_pos_ratio <= 0:
            raise ValueError(f"mining.neg_pos_ratio is {neg_pos_ratio}; it must be above 0")
        self.neg_pos_ratio = neg_pos_ratio

    def __call__(self, losses: Tensor, labels: Tensor, priors: Tensor) -> Tensor:
        positive = labels >= 0
        order = losses.masked_fill(labels != BACKGROUND, -torch.inf).argsort(descending=True, stable=True)
        rank = torch.empty_like(order).index_copy_(0, order, torch.arange(len(order), device=order.device))
        return positive | ((rank < self.neg_pos_ratio * positive.sum()) & (labels == BACKGROUND))
