"""Adaptive training sample selection."""

from typing import Any

import torch
from torch import Tensor

from rdet.models.assigners.base import ClaimingAssigner
from rdet.models.assigners.claims import Claims, mark_largest
from rdet.models.assigners.geometry import box_centers, is_inside
from rdet.registry import MODELS
from rdet.schema import Count, NotNegative
from rdet.structures.boxes import paired_iou
from rdet.structures.match_batch import MatchBatch, MatchImage


@MODELS.register_module()
class ATSSAssigner(ClaimingAssigner):
    """Rule by which each box sets its own IoU threshold (ATSS, Zhang et al., CVPR 2020, Algorithm 1).

    Candidates of a box are the ``topk`` priors of each level whose centres are nearest to the box's
    centre. A candidate is positive if its IoU with the box is at least the mean plus the standard
    deviation of the candidates' IoUs, and its centre lies inside the box. A prior that several boxes
    claim goes to the one it overlaps most.

    Memory: O(A * ``chunk_size``), whatever the number of boxes.

    Args:
        topk: Candidates on each level. It counts priors, as in MMDetection; the authors' code multiplies
            it by the priors of a cell.
        inside_margin: Pixels by which a centre must lie inside the box; MMDetection has 0.01.
        **options: Of :class:`~rdet.models.assigners.base.Assigner`.
    """

    def __init__(self, topk: Count = 9, inside_margin: NotNegative = 0.0, **options: Any):
        super().__init__(**options)
        if topk < 1:
            raise ValueError(f"expected topk >= 1, got {topk}")
        self.topk = topk
        self.inside_margin = inside_margin

    def most_positives(self, batch: MatchBatch) -> int:
        return len(batch.truth.boxes) * sum(min(self.topk, length) for length in batch.predictions.level_lengths)

    def assign(self, image: MatchImage) -> Tensor:
        return self(image.priors, image.boxes, image.level_lengths)

    @torch.no_grad()
    def __call__(
        self,
        priors: Tensor,
        boxes: Tensor,
        level_lengths: list[int] | None = None,
    ) -> Tensor:
        """Assign the priors of one image (ATSS, Algorithm 1).

        Args:
            priors: (A, 4) xyxy.
            boxes: (G, 4) xyxy ground truth.
            level_lengths: Priors of each level; None: all are of one level.

        Returns:
            (A,) int64: index of the prior's box, or ``BACKGROUND``.
        """
        claims = Claims(priors)
        for start in range(0, len(boxes), self.chunk_size):
            chunk = boxes[start : start + self.chunk_size]
            claims.add(self._claims(priors, chunk, level_lengths or [len(priors)]), start)
        return claims.boxes

    def claims_of(self, batch: MatchBatch, boxes: Tensor, labels: Tensor, image: Tensor) -> Tensor:
        return self._claims(batch.priors, boxes, batch.predictions.level_lengths)

    def _claims(self, priors: Tensor, boxes: Tensor, level_lengths: list[int]) -> Tensor:
        """Compute the IoU (B, A) where a prior is positive for a box, else -inf."""
        centers = box_centers(priors)
        candidates = self._candidates(centers, boxes, level_lengths)  # (B, C)
        iou = paired_iou(priors[candidates], boxes[:, None])  # (B, C)
        positive = _above_threshold(iou) & is_inside(centers[candidates], boxes[:, None], self.inside_margin)
        claim = iou.masked_fill(~positive, -torch.inf)
        return iou.new_full((len(boxes), len(priors)), -torch.inf).scatter(1, candidates, claim)

    def _candidates(self, centers: Tensor, boxes: Tensor, level_lengths: list[int]) -> Tensor:
        """Find the candidates of boxes (B, 4): indices (B, C) by level, C = sum of min(``topk``, level's length)."""
        found, start = [], 0
        for level in centers.split(level_lengths):
            nearness = -(level - box_centers(boxes)[:, None]).square().sum(dim=-1)  # (B, A_l)
            nearest = mark_largest(nearness, self.topk)
            indices = nearest.float().topk(min(self.topk, len(level)), dim=1).indices
            found.append(indices.sort(dim=1).values + start)
            start += len(level)
        return torch.cat(found, dim=1)


def _above_threshold(iou: Tensor) -> Tensor:
    """Mark the IoUs (B, C) that are at least the mean plus the (sample) standard deviation of their row."""
    relative = iou - iou.amax(dim=1, keepdim=True)  # the mean of equal IoUs is exactly that IoU
    mean = relative.mean(dim=1, keepdim=True)
    variance = (relative - mean).square().sum(dim=1, keepdim=True) / max(iou.shape[1] - 1, 1)
    return relative >= mean + variance.sqrt()
