"""Assignment of YOLOv3, by overlap within the cells of the boxes."""

from typing import Any

import torch
from torch import Tensor

from rdet.models.assigners.base import ImageAssigner
from rdet.models.assigners.cells import in_cell, strides_of_priors
from rdet.models.assigners.claims import Claims
from rdet.registry import MODELS
from rdet.schema import Count, Fraction
from rdet.structures.assignment import BACKGROUND, IGNORE
from rdet.structures.boxes import paired_iou
from rdet.structures.match_batch import MatchBatch, MatchImage


@MODELS.register_module()
class GridAssigner(ImageAssigner):
    """Rule of MMDetection's YOLOv3: priors in the cells of the boxes' centres, by overlap.

    Of each level, the priors of the cells in which the centre of some box lies are responsible. One with an IoU above
    ``pos_iou_thr`` gets the box that it overlaps most; then each box gets the responsible priors that overlap it most,
    the last box first. All others that overlap no box by more than ``neg_iou_thr`` are background, the rest is
    ignored. As in MMDetection, a box may get a prior of another box's cell.

    Memory: O(A * ``chunk_size``), whatever the number of boxes.

    Args:
        strides: Stride of each level in pixels (inferred); None: as far as the priors stand apart.
        pos_iou_thr, neg_iou_thr: The thresholds.
        min_pos_iou: IoU above which a box gets the priors that overlap it most.
        **options: Of :class:`~rdet.models.assigners.base.Assigner`.
    """

    def __init__(
        self,
        strides: list[Count] | None = None,
        pos_iou_thr: Fraction = 0.5,
        neg_iou_thr: Fraction = 0.5,
        min_pos_iou: Fraction = 0.0,
        **options: Any,
    ):
        super().__init__(**options)
        if not 0 <= neg_iou_thr <= pos_iou_thr <= 1:
            raise ValueError(f"expected 0 <= neg_iou_thr <= pos_iou_thr <= 1, got {neg_iou_thr} and {pos_iou_thr}")
        self.strides = None if strides is None else list(strides)
        self.pos_iou_thr = pos_iou_thr
        self.neg_iou_thr = neg_iou_thr
        self.min_pos_iou = min_pos_iou

    def most_positives(self, batch: MatchBatch) -> int | None:
        return None if batch.grid is None else len(batch.truth.boxes) * len(batch.grid.start)

    def assign(self, image: MatchImage) -> Tensor:
        return self(image.priors, image.boxes, image.level_lengths)

    @torch.no_grad()
    def __call__(self, priors: Tensor, boxes: Tensor, level_lengths: list[int]) -> Tensor:
        """Assign the priors of one image.

        Args:
            priors: (A, 4) xyxy.
            boxes: (G, 4) xyxy ground truth.
            level_lengths: How many of the priors are of each level; they sum to A.

        Returns:
            (A,) int64: index of the prior's box, ``BACKGROUND`` or ``IGNORE``.
        """
        strides = strides_of_priors(priors, level_lengths, self.strides)
        is_responsible = torch.zeros_like(priors[:, 0], dtype=torch.bool)
        for chunk in boxes.split(self.chunk_size):
            is_responsible |= in_cell(chunk, priors, strides).any(dim=0)
        largest = priors.new_zeros(len(priors))  # IoU with any box
        claims = Claims(priors)
        best_of_boxes = torch.full_like(claims.boxes, BACKGROUND)  # the last box that a prior overlaps most
        for start in range(0, len(boxes), self.chunk_size):
            iou = paired_iou(boxes[start : start + self.chunk_size, None], priors)  # (B, A)
            largest = torch.maximum(largest, iou.amax(dim=0))
            iou = torch.where(is_responsible, iou, -torch.inf)
            claims.add(torch.where(iou > self.pos_iou_thr, iou, -torch.inf), start)
            is_best = (iou == iou.amax(dim=1, keepdim=True)) & (iou > self.min_pos_iou)
            index = torch.arange(start, start + len(iou), device=iou.device)[:, None]
            best_of_boxes = torch.maximum(best_of_boxes, torch.where(is_best, index, BACKGROUND).amax(dim=0))
        rest = torch.where(largest <= self.neg_iou_thr, BACKGROUND, IGNORE)
        assigned = torch.where(claims.boxes >= 0, claims.boxes, rest)
        return torch.where(best_of_boxes >= 0, best_of_boxes, assigned)
