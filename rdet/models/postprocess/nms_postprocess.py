"""Non-maximum suppression."""

from typing import Any

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from rdet.models.postprocess.dense_postprocess import DensePostprocess, Detections, checked_iou_threshold
from rdet.models.postprocess.nms_of_images import kept_and_settled
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

    def suppress(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> Detections:
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

    def suppress_images(self, boxes: Tensor, scores: Tensor, labels: Tensor, is_real: Tensor) -> list[Detections]:
        if self._is_host(boxes) or type(self).suppress is not NMSPostprocess.suppress:  # a class with its own rule
            return super().suppress_images(boxes, scores, labels, is_real)
        whole = boxes, scores, labels, is_real
        ranked = scores.masked_fill(~is_real, -1).sort(dim=1, descending=True, stable=True)
        scores, best = (part[:, : _CANDIDATES_PER_DETECTION * self.max_per_img] for part in ranked)  # (N, C)
        boxes, labels, is_best = _rows(boxes, best), _rows(labels, best), _rows(is_real, best)
        stays, settled = kept_and_settled(boxes, self._groups(labels), is_best, self.iou_threshold)
        count = stays.sum(dim=1)
        seen_all = is_best.sum(dim=1) == is_real.sum(dim=1)
        first = (~stays).byte().sort(dim=1, stable=True).indices[:, : self.max_per_img]
        boxes, scores, labels = _rows(boxes, first), _rows(scores, first), _rows(labels, first)
        is_done = settled & (seen_all | (count >= self.max_per_img))
        found = []
        for image, (number, done) in enumerate(torch.stack([count, is_done], dim=1).tolist()):  # the only wait
            if done:
                found.append((boxes[image, :number], scores[image, :number], labels[image, :number]))
            else:  # few of the best candidates stay, or boxes drop each other in long chains
                found += super().suppress_images(*(part[image : image + 1] for part in whole))
        return found


def _rows(values: Tensor, index: Tensor) -> Tensor:
    """Take of each image the rows (N, m) of values (N, C, ...)."""
    return values[torch.arange(len(index), device=index.device)[:, None], index]
