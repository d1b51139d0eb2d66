"""Alignment of classification and localisation as quality."""

import torch
from torch import Tensor

from rdet.registry import MODELS
from rdet.structures.boxes import paired_iou


@MODELS.register_module()
class TaskAlignedQuality:
    """Normalised alignment of a prediction (TOOD, Feng et al., ICCV 2021, section 3.2 and equation 1).

    t = s^alpha * u^beta, with the score s of the object's class and the IoU u, scaled so that the
    largest t of an object equals its largest u.

    Shapes: predicted (P, 4), boxes (P, 4), scores (P,), objects (P,) -> (P,) in [0, 1].

    Args:
        alpha, beta: Exponents of score and IoU.
    """

    def __init__(self, alpha: float = 1.0, beta: float = 6.0):
        self.alpha = alpha
        self.beta = beta

    def __call__(self, predicted: Tensor, boxes: Tensor, scores: Tensor, objects: Tensor, num_objects: int) -> Tensor:
        iou = paired_iou(predicted, boxes)
        alignment = scores**self.alpha * iou**self.beta

        def best_of_object(values: Tensor) -> Tensor:
            best = values.new_zeros(num_objects).scatter_reduce(0, objects, values, "amax")
            return best[objects]

        tiny = torch.finfo(alignment.dtype).tiny
        return alignment / best_of_object(alignment).clamp(min=tiny) * best_of_object(iou)
