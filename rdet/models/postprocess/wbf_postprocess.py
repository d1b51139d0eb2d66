"""Weighted boxes fusion."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from rdet.models.postprocess.dense_postprocess import DensePostprocess, Detections, checked_iou_threshold
from rdet.registry import MODELS
from rdet.schema import Fraction


@MODELS.register_module()
class WBFPostprocess(DensePostprocess):
    """Fusion of the boxes around the same object into one, their mean weighted by the scores.

    Solovyev, Wang and Gabruseva, "Weighted boxes fusion: Ensembling boxes from different object
    detection models", Image and Vision Computing 2021, section 3. In the order of its score, each box
    joins the cluster whose mean has the highest IoU with it, or founds a new one. A cluster of T boxes
    from ``num_views`` models or views scores the mean of their scores times min(T, num_views) /
    num_views: a box that few views find counts less.

    The loop is sequential and small, so it runs in numpy, whatever the device of the boxes.

    Args:
        iou_threshold: A box joins a cluster above it.
        conf_type: ``avg`` as above, or, as in the authors' code, ``max``: the best score, whatever
            the count. It suits candidates that no NMS has thinned: many weak ones spoil a mean.
        **options: Of :class:`~rdet.models.postprocess.dense_postprocess.DensePostprocess`.

    Raises:
        ValueError: There is no such ``conf_type``.
    """

    def __init__(
        self,
        iou_threshold: Fraction = 0.55,
        conf_type: str = "avg",
        **options: Any,
    ):
        super().__init__(**options)
        if conf_type not in ("avg", "max"):
            raise ValueError(f"WBFPostprocess: no conf_type {conf_type!r}; valid: avg, max")
        self.iou_threshold = checked_iou_threshold(iou_threshold)
        self.conf_type = conf_type

    def suppress(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Fuse (n, 4), (n,), (n,) of one view into one box a cluster, best first."""
        return self.merge_views(boxes, scores, labels, num_views=1)

    def suppress_images(self, boxes: Tensor, scores: Tensor, labels: Tensor, is_real: Tensor) -> list[Detections]:
        if self._is_host(boxes):
            return super().suppress_images(boxes, scores, labels, is_real)
        numbers = [part.double() for part in (boxes, scores[..., None], labels[..., None], is_real[..., None])]
        *corners, score, label, real = torch.cat(numbers, dim=2).cpu().unbind(dim=2)  # the only wait, of all images
        on_host = torch.stack(corners, dim=2).to(boxes.dtype), score.to(scores.dtype), label.to(labels.dtype)
        found = super().suppress_images(*on_host, real.bool())
        return [
            (
                kept.to(boxes.device, non_blocking=True),
                values.to(boxes.device, non_blocking=True),
                classes.to(boxes.device, non_blocking=True),
            )
            for kept, values, classes in found
        ]

    def merge_views(
        self, boxes: Tensor, scores: Tensor, labels: Tensor, num_views: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Fuse the boxes of ``num_views`` views of an image into one box a cluster, best first."""
        if not len(scores):
            return boxes, scores, labels
        rows = torch.cat([boxes, scores[:, None]], dim=1).cpu().double().numpy()  # (n, 5)
        groups = self._groups(labels).cpu().numpy()
        order = np.argsort(-rows[:, 4], kind="stable")
        parts = []
        for group in np.unique(groups):
            members = order[groups[order] == group]
            fused, founders, count, mean = fuse(rows[members], self.iou_threshold)
            founders = members[founders]
            seen = np.minimum(count, num_views) / num_views
            confidence = mean * seen if self.conf_type == "avg" else rows[founders, 4]
            parts.append((fused, confidence, founders))
        fused, confidence, founders = (np.concatenate(part) for part in zip(*parts, strict=True))
        best = np.argsort(-confidence, kind="stable")
        return (
            torch.from_numpy(fused[best]).to(scores),
            torch.from_numpy(confidence[best]).to(scores),
            labels[torch.from_numpy(founders[best]).to(labels)],
        )


def fuse(rows: np.ndarray, iou_threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cluster boxes of one class.

    Args:
        rows: (n, 5) float64, xyxy and score, best first.
        iou_threshold: A box joins a cluster whose mean box it overlaps more.

    Returns:
        Of each cluster: mean box (m, 4), row of its first box (m,), number of boxes (m,) and mean
        score (m,).
    """
    n = len(rows)
    fused, sums = np.empty((4, n)), np.zeros((5, n))  # mean box; weighted corners, then the weights
    areas, scores = np.empty(n), np.zeros(n)
    founders, count = np.empty(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    m = 0
    for row, (x1, y1, x2, y2, score) in enumerate(rows.tolist()):
        left, top, right, bottom = fused[:, :m]
        width = np.minimum(right, x2) - np.maximum(left, x1)
        height = np.minimum(bottom, y2) - np.maximum(top, y1)
        intersection = np.maximum(width, 0) * np.maximum(height, 0)
        union = areas[:m] + (x2 - x1) * (y2 - y1) - intersection
        iou = intersection / np.maximum(union, 1e-12)
        best = int(iou.argmax()) if m else 0
        if not m or iou[best] <= iou_threshold:
            best, founders[m] = m, row
            m += 1
        weight = max(score, 1e-30)  # boxes that all score 0 have a mean too
        sums[:, best] += (x1 * weight, y1 * weight, x2 * weight, y2 * weight, weight)
        scores[best] += score
        count[best] += 1
        fused[:, best] = sums[:4, best] / sums[4, best]
        areas[best] = (fused[2, best] - fused[0, best]) * (fused[3, best] - fused[1, best])
    return fused[:, :m].T, founders[:m], count[:m], scores[:m] / count[:m]
