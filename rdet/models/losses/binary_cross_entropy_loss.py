"""The loss of a predicted quality."""

import torch.nn.functional as F
from torch import Tensor

from rdet.models.losses.base import QualityLoss
from rdet.models.losses.precision import at_least_float32
from rdet.registry import MODELS
from rdet.schema import NotNegative


@MODELS.register_module()
class BinaryCrossEntropyLoss(QualityLoss):
    """Cross entropy with a target in [0, 1], as of FCOS's centerness (Tian et al., ICCV 2019, section 3.3).

    Shapes: quality_logits (P,), quality (P,) in [0, 1] -> (P,). It is least, though not 0, where
    the sigmoid of the logit equals the quality.

    Args:
        loss_weight: Factor of the result.
    """

    def __init__(self, loss_weight: NotNegative = 1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, quality_logits: Tensor, quality: Tensor) -> Tensor:
        logits = at_least_float32(quality_logits)
        loss = F.binary_cross_entropy_with_logits(logits, quality.to(logits.dtype), reduction="none")
        return loss * self.loss_weight
