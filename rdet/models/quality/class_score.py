"""The model's own confidence as quality."""

from torch import Tensor

from rdet.models.quality.base import Quality
from rdet.registry import MODELS
from rdet.structures.positives import Positives


@MODELS.register_module()
class ClassScore(Quality):
    """Largest score over the classes, with which GFL's code weights its box losses (Li et al., NeurIPS 2020).

    Shapes: max_scores (P,) -> (P,) in [0, 1].
    """

    def of(self, positives: Positives) -> Tensor:
        return self(positives.max_scores)

    def __call__(self, max_scores: Tensor) -> Tensor:
        return max_scores
