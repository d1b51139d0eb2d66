"""The loss of YOLOv2's objectness."""

import torch
from torch import Tensor

from rdet.models.losses.base import SoftTargetLoss
from rdet.models.losses.precision import at_least_float32
from rdet.registry import MODELS
from rdet.schema import NotNegative
from rdet.structures.assignment import IGNORE


@MODELS.register_module()
class SquaredObjectLoss(SoftTargetLoss):
    """Half the squared distance of a probability from its target, the quality (YOLOv2, as in darknet).

    Shapes: logits (..., K), labels (...,) int64, quality (...,) in [0, 1] -> (...,) float32, summed over the K classes;
    a label is a class index, ``BACKGROUND`` (all K targets are 0) or ``IGNORE`` (the loss is 0). As ``loss_obj``, K is
    1.

    Args:
        object_weight: Factor of the loss where the label is a class.
        background_weight: Factor elsewhere.
    """

    def __init__(self, object_weight: NotNegative = 5.0, background_weight: NotNegative = 0.5):
        super().__init__()
        self.object_weight = object_weight
        self.background_weight = background_weight

    def forward(self, logits: Tensor, labels: Tensor, quality: Tensor) -> Tensor:
        scores = at_least_float32(logits).sigmoid()
        is_class = labels[..., None] == torch.arange(logits.shape[-1], device=logits.device)  # (..., K)
        target = is_class * quality.to(scores.dtype)[..., None]
        weight = torch.where(labels >= 0, self.object_weight, self.background_weight) * (labels != IGNORE)
        return (scores - target).square().sum(dim=-1) * (weight / 2)
