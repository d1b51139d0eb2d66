"""From the predictions of YOLOv3 to detections, as in MMDetection."""

import math
from typing import Any

from torch import Tensor

from rdet.errors import ConfigError
from rdet.models.postprocess.nms_postprocess import NMSPostprocess
from rdet.registry import MODELS
from rdet.schema import Fraction
from rdet.structures import DensePredictions


@MODELS.register_module()
class YOLOPostprocess(NMSPostprocess):
    """Suppression among the best predictions of all levels together, of priors that may have an object.

    ``topk_per_level`` is how many these are.

    Args:
        object_thr: Least objectness of a prior.
        **options: Of :class:`~rdet.models.postprocess.nms_postprocess.NMSPostprocess`.

    Raises:
        ConfigError: There is no ``score_thr``, below which priors without an object fall.
    """

    def __init__(self, object_thr: Fraction = 0.005, **options: Any):
        super().__init__(**options)
        if not 0 <= object_thr < 1:
            raise ConfigError(f"postprocess.object_thr is {object_thr}; it must lie in [0, 1)")
        if object_thr and not self.score_thr:
            raise ConfigError("postprocess.object_thr needs a score_thr above 0; set one, or object_thr=0")
        self.object_thr = object_thr

    def leveled(self, predictions: DensePredictions) -> tuple[Tensor, Tensor | None, list[int]]:
        logits, quality = predictions.logits, predictions.quality_logits
        if self.object_thr and quality is not None:
            least = math.log(self.object_thr / (1 - self.object_thr))
            logits = logits.masked_fill((quality < least)[..., None], -math.inf)
        return logits, quality, [logits.shape[1]]
