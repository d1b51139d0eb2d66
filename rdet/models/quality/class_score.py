"""The model's own confidence as quality."""

from torch import Tensor

from rdet.registry import MODELS


@MODELS.register_module()
class ClassScore:
    """Score of the object's class, with which GFL weights its box losses (Li et al., NeurIPS 2020).

    Shapes: scores (P,) -> (P,) in [0, 1].
    """

    def __call__(self, scores: Tensor) -> Tensor:
        return scores
