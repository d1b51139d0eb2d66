"""Non-maximum suppression."""

from typing import Any

from torch import Tensor
from torchvision.ops import batched_nms

from rdet.models.postprocess.dense_postprocess import DensePostprocess, checked_iou_threshold
from rdet.registry import MODELS
from rdet.schema import Fraction

_CANDIDATES_PER_DETECTION = 10


@MODELS.register_module()
class NMSPostprocess(DensePostprocess):
    """Inference of RetinaNet (Focal Loss paper, section 4, "Inference"): a box drops the weaker ones that overlap it.

    Args:
        iou_threshold: Overlap above which the weaker of two boxes of a class is dropped.
        **options: Of :class:`~rdet.models.postprocess.dense_postprocess.DensePostprocess`.
    """

    def __init__(
        self,
        iou_threshold: Fraction = 0.5,
        **options: Any,
    ):
        super().__init__(**options)
        self.iou_threshold = checked_iou_threshold(iou_threshold)

    def suppress(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Keep the boxes that no better one drops, best first, or at least ``max_per_img`` of them.

        Shapes: (n, 4), (n,), (n,) -> (m, 4), (m,), (m,).
        """
        # Only better boxes drop a box: if enough of the best candidates are left, the others need no look.
        best = scores.argsort(descending=True, stable=True)
        for candidates in (best[: _CANDIDATES_PER_DETECTION * self.max_per_img], best):
            found = boxes[candidates], scores[candidates], labels[candidates]
            keep = batched_nms(*found[:2], self._groups(found[2]), self.iou_threshold)
            if len(keep) >= self.max_per_img or len(candidates) == len(best):
                break
        boxes, scores, labels = found
        return boxes[keep], scores[keep], labels[keep]
