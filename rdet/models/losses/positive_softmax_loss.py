"""The loss of YOLOv2's classes."""

from torch import Tensor

from rdet.models.losses.base import ClassificationLoss
from rdet.models.losses.precision import at_least_float32, log_odds
from rdet.registry import MODELS
from rdet.schema import NotNegative
from rdet.structures.all_priors import AllPriors


@MODELS.register_module()
class PositiveSoftmaxLoss(ClassificationLoss):
    """Cross entropy of a softmax over the K classes; in a detector of the positives alone (YOLOv2).

    There is no background among the classes: the model needs a ``loss_obj``, by whose branch other priors get low
    scores. The detector asks :meth:`binary_logits` for the scores.

    Shapes: logits (..., K), labels (...,) int64 of classes -> (...,) float32.

    Args:
        loss_weight: Factor of the result.
    """

    def __init__(self, loss_weight: NotNegative = 1.0):
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        log_p = at_least_float32(logits).log_softmax(dim=-1)
        return -log_p.gather(-1, labels[..., None]).squeeze(-1) * self.loss_weight

    def of(self, priors: AllPriors) -> Tensor:
        positives = priors.positives
        return priors.at_positives(self(positives.logits, positives.labels))

    def binary_logits(self, logits: Tensor) -> Tensor:
        """Turn logits (..., K) into logits (..., K) whose sigmoid is the softmax."""
        return log_odds(at_least_float32(logits).log_softmax(dim=-1))
