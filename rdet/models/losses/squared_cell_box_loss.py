"""The loss of YOLOv2's boxes."""

import torch.nn.functional as F
from torch import Tensor

from rdet.models.losses.base import EncodedBoxLoss
from rdet.models.losses.precision import at_least_float32
from rdet.registry import MODELS
from rdet.schema import NotNegative
from rdet.structures.boxes import area, sides_of
from rdet.structures.positives import Positives


@MODELS.register_module()
class SquaredCellBoxLoss(EncodedBoxLoss):
    """Half the squares of the place in the cell and of the log size, as darknet has it for YOLOv2.

    A box counts 2 - s, with its share s of the image's area, so that small ones do not count too little. Called with
    tensors alone it counts 1.

    Shapes: deltas (..., 4), target_deltas (..., 4), as YOLOBBoxCoder encodes them -> (...,).

    Args:
        loss_weight: Factor of the result.
    """

    encoding = "cells"

    def __init__(self, loss_weight: NotNegative = 1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, deltas: Tensor, target_deltas: Tensor) -> Tensor:
        deltas, target_deltas = at_least_float32(deltas), at_least_float32(target_deltas)
        place = F.mse_loss(deltas[..., :2].sigmoid(), target_deltas[..., :2].sigmoid(), reduction="none")
        size = F.mse_loss(deltas[..., 2:], target_deltas[..., 2:], reduction="none")
        return (place + size).sum(dim=-1) * (self.loss_weight / 2)

    def of(self, positives: Positives) -> Tensor:
        share = area(sides_of(positives.boxes)) / area(positives.image_sizes)
        return super().of(positives) * (2 - share)
