"""Adaptive training sample selection."""

import torch
from torch import Tensor

from rdet.models.assigners.claims import Claims, mark_largest
from rdet.models.assigners.geometry import box_centers, ignore_background, is_inside
from rdet.registry import MODELS
from rdet.structures.boxes import paired_iou


@MODELS.register_module()
class ATSSAssigner:
    """Each box sets its own IoU threshold (ATSS, Zhang et al., CVPR 2020, Algorithm 1).

    Candidates of a box are the ``topk`` priors of each level whose centres are nearest to the box's
    centre. Those are positive whose IoU with the box is at least the mean plus the standard
    deviation of the candidates' IoUs, and whose centre lies inside the box. A prior that several
    boxes claim goes to the one it overlaps most. For ``ignore_iof_thr`` see :class:`MaxIoUAssigner`.

    Memory: O(A * ``chunk_size``), whatever the number of boxes.

    Args:
        topk: Candidates on each level. It counts priors, as MMDetection's does: of nine priors a cell,
            nine are those of one cell, where the authors' code takes nine times as many.
        ignore_iof_thr: Share of a prior's area inside an ignored region.
        chunk_size: Boxes that are compared with all priors at once.
    """

    def __init__(self, topk: int = 9, ignore_iof_thr: float = 0.5, chunk_size: int = 64):
        if topk < 1:
            raise ValueError(f"expected topk >= 1, got {topk}")
        self.topk = topk
        self.ignore_iof_thr = ignore_iof_thr
        self.chunk_size = chunk_size

    @torch.no_grad()
    def __call__(
        self,
        priors: Tensor,
        boxes: Tensor,
        ignored: Tensor | None = None,
        level_lengths: list[int] | None = None,
    ) -> Tensor:
        """Assigns the priors of one image.

        Args:
            priors: (A, 4) xyxy.
            boxes: (G, 4) xyxy ground truth.
            ignored: (I, 4) xyxy regions that are neither object nor background.
            level_lengths: Priors of each level; None: all are of one level.

        Returns:
            (A,) int64: index of the prior's box, ``BACKGROUND`` or ``IGNORE``.
        """
        claims, centers = Claims(priors), box_centers(priors)
        for start in range(0, len(boxes), self.chunk_size):
            chunk = boxes[start : start + self.chunk_size]
            candidates = self._candidates(centers, chunk, level_lengths or [len(priors)])  # (chunk, C)
            iou = paired_iou(priors[candidates], chunk[:, None])  # (chunk, C)
            positive = _above_threshold(iou) & is_inside(centers[candidates], chunk[:, None])
            claim = iou.masked_fill(~positive, -torch.inf)
            claims.add(iou.new_full((len(chunk), len(priors)), -torch.inf).scatter(1, candidates, claim), start)
        return ignore_background(claims.boxes, priors, ignored, self.ignore_iof_thr, self.chunk_size)

    def _candidates(self, centers: Tensor, boxes: Tensor, level_lengths: list[int]) -> Tensor:
        """Indices (B, C) of the candidates of boxes (B, 4), by level, with C = sum of min(``topk``, level's length)."""
        found, start = [], 0
        for level in centers.split(level_lengths):
            nearness = -(level - box_centers(boxes)[:, None]).square().sum(dim=-1)  # (B, A_l)
            nearest = mark_largest(nearness, self.topk)
            indices = nearest.float().topk(min(self.topk, len(level)), dim=1).indices
            found.append(indices.sort(dim=1).values + start)
            start += len(level)
        return torch.cat(found, dim=1)


def _above_threshold(iou: Tensor) -> Tensor:
    """Which IoUs (B, C) are at least the mean plus the (sample) standard deviation of their row."""
    relative = iou - iou.amax(dim=1, keepdim=True)  # the mean of equal IoUs is exactly that IoU
    mean = relative.mean(dim=1, keepdim=True)
    variance = (relative - mean).square().sum(dim=1, keepdim=True) / max(iou.shape[1] - 1, 1)
    return relative >= mean + variance.sqrt()
