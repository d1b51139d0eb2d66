"""The classification loss of YOLOX, whose background is the business of another branch."""

import torch.nn.functional as F
from torch import Tensor

from rdet.models.losses.soft_sigmoid_loss import SoftSigmoidLoss
from rdet.registry import MODELS
from rdet.schema import NotNegative
from rdet.structures.all_priors import AllPriors


@MODELS.register_module()
class PositiveCrossEntropyLoss(SoftSigmoidLoss):
    """Binary cross entropy with the quality as target of the class; in a detector of the positives alone (YOLOX).

    Priors without a box have no loss there: the model needs a ``loss_obj``, by whose branch they get low scores. For
    the shapes see :class:`SoftSigmoidLoss`.

    Args:
        loss_weight: Factor of the result.
    """

    def __init__(self, loss_weight: NotNegative = 1.0):
        super().__init__(loss_weight)

    def elementwise(self, logits: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, target, reduction="none")

    def of(self, priors: AllPriors) -> Tensor:
        positives = priors.positives
        return priors.at_positives(self(positives.logits, positives.labels, positives.quality))
