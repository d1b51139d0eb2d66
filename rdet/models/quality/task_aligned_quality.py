"""Alignment of classification and localisation as quality."""

import torch
from torch import Tensor

from rdet.models.quality.base import Quality
from rdet.registry import MODELS
from rdet.schema import NotNegative
from rdet.structures.boxes import paired_iou
from rdet.structures.positives import Positives


@MODELS.register_module()
class TaskAlignedQuality(Quality):
    """Normalised alignment of a prediction (TOOD, Feng et al., ICCV 2021, section 3.2 and equation 1).

    t = s^alpha * u^beta, with the score s of the object's class and the IoU u, scaled so that the
    largest t of an object equals its largest u.

    Shapes: predicted (P, 4), boxes (P, 4), scores (P,), gt_index (P,) -> (P,) in [0, 1].

    Args:
        alpha, beta: Exponents of score and IoU.
        eps: Added to the largest t by which it is divided; MMDetection has 1e-7.
    """

    def __init__(self, alpha: NotNegative = 1.0, beta: NotNegative = 6.0, eps: NotNegative = 0.0):
        for name, value in (("alpha", alpha), ("beta", beta), ("eps", eps)):
            if value < 0:
                raise ValueError(f"{name} is {value}; it must not be negative")
        self.alpha = alpha
        self.beta = beta
        self.eps = eps

    def of(self, positives: Positives) -> Tensor:
        return self(positives.predicted, positives.boxes, positives.scores, positives.gt_index, num_gt=positives.num_gt)

    def __call__(self, predicted: Tensor, boxes: Tensor, scores: Tensor, gt_index: Tensor, num_gt: int) -> Tensor:
        iou = paired_iou(predicted, boxes)
        alignment = scores**self.alpha * iou**self.beta

        def best_of_object(values: Tensor) -> Tensor:
            best = values.new_zeros(num_gt).scatter_reduce(0, gt_index, values, "amax")
            return best[gt_index]

        tiny = torch.finfo(alignment.dtype).tiny
        return alignment / (best_of_object(alignment) + self.eps).clamp(min=tiny) * best_of_object(iou)
