"""Soft non-maximum suppression."""

from typing import Any

from torch import Tensor
from torchvision.ops import box_iou

from rdet.models.postprocess.dense_postprocess import checked_iou_threshold
from rdet.models.postprocess.greedy import GreedyPostprocess
from rdet.registry import MODELS
from rdet.schema import Fraction, Positive

_METHODS = ("linear", "gaussian")


@MODELS.register_module()
class SoftNMSPostprocess(GreedyPostprocess):
    """Suppression in which a box lowers the scores of those that overlap it instead of dropping them.

    Bodla et al., "Soft-NMS -- Improving Object Detection With One Line of Code", ICCV 2017,
    section 3: ``linear`` multiplies a score by 1 - IoU where the IoU exceeds ``iou_threshold``,
    ``gaussian`` every score by exp(-IoU^2 / sigma).

    Args:
        method: ``linear`` or ``gaussian``.
        iou_threshold: Of ``linear``; default 0.3.
        sigma: Of ``gaussian``; default 0.5.
        min_score: Smallest score in the end.
        **options: Of :class:`~rdet.models.postprocess.dense_postprocess.DensePostprocess`.

    Raises:
        ValueError: The method does not exist or does not read ``iou_threshold`` or ``sigma``.
    """

    def __init__(
        self,
        method: str = "linear",
        iou_threshold: Fraction | None = None,
        sigma: Positive | None = None,
        min_score: Fraction = 0.001,
        **options: Any,
    ):
        super().__init__(**options)
        if method not in _METHODS:
            raise ValueError(f"SoftNMSPostprocess: no method {method!r}; valid: {', '.join(_METHODS)}")
        unread = ("sigma", sigma) if method == "linear" else ("iou_threshold", iou_threshold)
        if unread[1] is not None:
            raise ValueError(f"SoftNMSPostprocess: {unread[0]} is not read by method={method!r}; leave it out")
        if sigma is not None and sigma <= 0:
            raise ValueError(f"SoftNMSPostprocess: sigma is {sigma}; it must be greater than 0")
        self.method = method
        self.iou_threshold = checked_iou_threshold(0.3 if iou_threshold is None else iou_threshold)
        self.sigma = 0.5 if sigma is None else sigma
        self.min_score = min_score

    def rescore(self, box: Tensor, boxes: Tensor, scores: Tensor) -> Tensor:
        iou: Tensor = box_iou(box, boxes)[0].nan_to_num()  # (n,); boxes without area overlap nothing
        if self.method == "gaussian":
            return scores * (-(iou**2) / self.sigma).exp()
        return scores * (1 - iou).where(iou > self.iou_threshold, 1.0)
