"""Non-maximum suppression that looks at the distance of the centres too."""

from typing import Any

from torch import Tensor
from torchvision.ops import distance_box_iou

from rdet.models.postprocess.dense_postprocess import checked_iou_threshold
from rdet.models.postprocess.greedy import GreedyPostprocess
from rdet.registry import MODELS
from rdet.schema import Fraction


@MODELS.register_module()
class DIoUNMSPostprocess(GreedyPostprocess):
    """Suppression in which a box drops the weaker ones whose DIoU with it exceeds a threshold.

    Zheng et al., "Distance-IoU Loss: Faster and Better Learning for Bounding Box Regression", AAAI
    2020, section "Non-Maximum Suppression using DIoU": DIoU is the IoU less the squared distance
    of the centres over that of the corners of the box around both. Two objects that overlap but
    stand apart both stay more often than with NMS.

    Args:
        iou_threshold: DIoU above which the weaker of two boxes of a class is dropped.
        **options: Of :class:`~rdet.models.postprocess.dense_postprocess.DensePostprocess`.
    """

    def __init__(
        self,
        iou_threshold: Fraction = 0.5,
        **options: Any,
    ):
        super().__init__(**options)
        self.iou_threshold = checked_iou_threshold(iou_threshold)

    def rescore(self, box: Tensor, boxes: Tensor, scores: Tensor) -> Tensor:
        # NaN, of two boxes without area, does not exceed the threshold.
        return scores.masked_fill(distance_box_iou(box, boxes)[0] > self.iou_threshold, -1.0)
