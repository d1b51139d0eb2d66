"""The loss of YOLOv3's boxes."""

import torch.nn.functional as F
from torch import Tensor

from rdet.models.losses.base import EncodedBoxLoss
from rdet.models.losses.precision import at_least_float32
from rdet.registry import MODELS
from rdet.schema import NotNegative


@MODELS.register_module()
class CellBoxLoss(EncodedBoxLoss):
    """Cross entropy of the place in the cell, and squares of the log size, as in MMDetection's YOLOv3.

    Shapes: deltas (..., 4), target_deltas (..., 4), as YOLOBBoxCoder encodes them -> (...,).

    Args:
        center_weight: Factor of the cross entropies, which are least, though not 0, at the target.
        size_weight: Factor of the squares.
    """

    encoding = "cells"

    def __init__(self, center_weight: NotNegative = 1.0, size_weight: NotNegative = 1.0):
        super().__init__()
        self.center_weight = center_weight
        self.size_weight = size_weight

    def forward(self, deltas: Tensor, target_deltas: Tensor) -> Tensor:
        deltas, target_deltas = at_least_float32(deltas), at_least_float32(target_deltas)
        place = target_deltas[..., :2].sigmoid()
        center = F.binary_cross_entropy_with_logits(deltas[..., :2], place, reduction="none").sum(dim=-1)
        size = F.mse_loss(deltas[..., 2:], target_deltas[..., 2:], reduction="none").sum(dim=-1)
        return self.center_weight * center + self.size_weight * size
