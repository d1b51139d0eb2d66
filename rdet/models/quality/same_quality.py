"""The detector's quality, used once more."""

from torch import Tensor

from rdet.registry import MODELS


@MODELS.register_module()
class SameQuality:
    """What the detector's ``quality`` slot says, as weight or mass; nothing is computed twice.

    Shapes: quality (P,) -> (P,) in [0, 1].
    """

    def __call__(self, quality: Tensor) -> Tensor:
        return quality
