"""Overlap as quality."""

from torch import Tensor

from rdet.models.quality.base import Quality
from rdet.registry import MODELS
from rdet.schema import Fraction
from rdet.structures.boxes import paired_iou
from rdet.structures.positives import Positives


@MODELS.register_module()
class IoUQuality(Quality):
    """IoU of the predicted box and its object (GFL, Li et al., NeurIPS 2020; VarifocalNet, Zhang et al., CVPR 2021).

    Shapes: predicted (P, 4), boxes (P, 4) -> (P,) in [0, 1].

    Args:
        min_quality: Smallest value; MMDetection's VFNet has 1e-6.
    """

    def __init__(self, min_quality: Fraction = 0.0):
        if not 0 <= min_quality <= 1:
            raise ValueError(f"min_quality is {min_quality}; it must lie in [0, 1]")
        self.min_quality = min_quality

    def of(self, positives: Positives) -> Tensor:
        return self(positives.predicted, positives.boxes)

    def __call__(self, predicted: Tensor, boxes: Tensor) -> Tensor:
        return paired_iou(predicted, boxes).clamp(min=self.min_quality)
