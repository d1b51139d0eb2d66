"""Assignment of YOLOv2: one anchor for each box."""

from typing import Any

import torch
from torch import Tensor

from rdet.models.assigners.base import ImageAssigner
from rdet.models.assigners.cells import in_cell, strides_of_priors
from rdet.registry import MODELS
from rdet.schema import Count, Fraction
from rdet.structures.assignment import BACKGROUND, IGNORE
from rdet.structures.boxes import area, paired_iou, sides_of
from rdet.structures.match_batch import MatchBatch, MatchImage


@MODELS.register_module()
class BestAnchorAssigner(ImageAssigner):
    """Rule of YOLOv2 (YOLO9000, Redmon and Farhadi, CVPR 2017, as in darknet): one anchor gets the box.

    It is the one whose shape overlaps the box most, both at one centre, of those in the cell where the box's centre
    lies, on any level. Of several boxes the last gets it. Another prior takes no part if the box that it predicts
    overlaps one by more than ``ignore_iou_thr``; the rest is background.

    Memory: O(A * ``chunk_size``), whatever the number of boxes.

    Args:
        strides: Stride of each level in pixels (inferred); None: as far as the priors stand apart.
        ignore_iou_thr: The threshold: 0.6 for YOLOv2, 0.7 in darknet's YOLOv3.
        **options: Of :class:`~rdet.models.assigners.base.Assigner`.
    """

    def __init__(self, strides: list[Count] | None = None, ignore_iou_thr: Fraction = 0.6, **options: Any):
        super().__init__(**options)
        self.strides = None if strides is None else list(strides)
        self.ignore_iou_thr = ignore_iou_thr

    def most_positives(self, batch: MatchBatch) -> int:
        return len(batch.truth.boxes)

    def assign(self, image: MatchImage) -> Tensor:
        return self(image.priors, image.boxes, image.predicted, image.level_lengths)

    @torch.no_grad()
    def __call__(self, priors: Tensor, boxes: Tensor, predicted: Tensor, level_lengths: list[int]) -> Tensor:
        """Assign the priors of one image.

        Args:
            priors: (A, 4) xyxy.
            boxes: (G, 4) xyxy ground truth.
            predicted: (A, 4) xyxy, decoded.
            level_lengths: How many of the priors are of each level; they sum to A.

        Returns:
            (A,) int64: index of the prior's box, ``BACKGROUND`` or ``IGNORE``.
        """
        strides = strides_of_priors(priors, level_lengths, self.strides)
        largest = priors.new_zeros(len(priors))  # IoU of the prediction with any box
        matched = torch.full_like(largest, BACKGROUND, dtype=torch.int64)
        for start in range(0, len(boxes), self.chunk_size):
            chunk = boxes[start : start + self.chunk_size]
            largest = torch.maximum(largest, paired_iou(chunk[:, None], predicted).amax(dim=0))
            overlap = _overlap_of_shapes(sides_of(chunk)[:, None], sides_of(priors))  # (B, A)
            overlap = overlap.masked_fill(~in_cell(chunk, priors, strides), -1)
            overlap, best = overlap.max(dim=1)  # of equal ones the first
            index = torch.arange(start, start + len(chunk), device=boxes.device)
            index = torch.where(overlap > 0, index, BACKGROUND)  # a box without area, or beyond the cells, has none
            matched = matched.scatter_reduce(0, best, index, "amax")
        rest = torch.where(largest > self.ignore_iou_thr, IGNORE, BACKGROUND)
        return torch.where(matched >= 0, matched, rest)


def _overlap_of_shapes(sides: Tensor, others: Tensor) -> Tensor:
    """Compute the IoU of boxes at one centre, by width and height: (..., 2) and (..., 2) -> (...)."""
    shared = area(torch.minimum(sides, others))
    return shared / (area(sides) + area(others) - shared).clamp(min=torch.finfo(shared.dtype).eps)
