"""The detector's quality, used once more."""

from torch import Tensor

from rdet.models.quality.base import Quality
from rdet.registry import MODELS
from rdet.structures.positives import Positives


@MODELS.register_module()
class SameQuality(Quality):
    """The number of the detector's ``quality`` slot, as weight or mass; nothing is computed twice.

    Shapes: quality (P,) -> (P,) in [0, 1].
    """

    needs_quality = True

    def of(self, positives: Positives) -> Tensor:
        return self(positives.quality)

    def __call__(self, quality: Tensor) -> Tensor:
        return quality
