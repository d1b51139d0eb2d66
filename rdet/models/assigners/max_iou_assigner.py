"""Assignment of priors to ground truth by overlap."""

import torch
from torch import Tensor
from torchvision.ops import box_iou

from rdet.models.assigners.geometry import ignore_background
from rdet.registry import MODELS
from rdet.structures.assignment import BACKGROUND, IGNORE


@MODELS.register_module()
class MaxIoUAssigner:
    """Each prior goes to the box it overlaps most (Focal Loss paper, section 4, "Anchors").

    A prior with an IoU of at least ``pos_iou_thr`` gets its best box, one below ``neg_iou_thr`` is
    background, and one between them is ignored. Two rules follow:

    - Low-quality matches (Faster R-CNN, section 3.1.2): the priors that overlap a box most among
      all priors are positive too, if that overlap is above 0 and at least ``min_pos_iou``. Such a
      prior gets the box that *it* overlaps most, which may be another one.
    - Background of which more than ``ignore_iof_thr`` lies inside an ignored region (a crowd) is
      ignored.

    Memory: O(A * ``chunk_size``), whatever the number of boxes.

    Args:
        pos_iou_thr, neg_iou_thr: The thresholds.
        match_low_quality: Whether to add low-quality matches.
        min_pos_iou: Smallest IoU of a low-quality match (Detectron: 0.4; others: 0).
        ignore_iof_thr: Share of a prior's area inside an ignored region.
        chunk_size: Boxes that are compared with all priors at once.
    """

    def __init__(
        self,
        pos_iou_thr: float = 0.5,
        neg_iou_thr: float = 0.4,
        match_low_quality: bool = True,
        min_pos_iou: float = 0.0,
        ignore_iof_thr: float = 0.5,
        chunk_size: int = 64,
    ):
        if not 0 <= neg_iou_thr <= pos_iou_thr <= 1:
            raise ValueError(f"expected 0 <= neg_iou_thr <= pos_iou_thr <= 1, got {neg_iou_thr} and {pos_iou_thr}")
        self.pos_iou_thr = pos_iou_thr
        self.neg_iou_thr = neg_iou_thr
        self.match_low_quality = match_low_quality
        self.min_pos_iou = min_pos_iou
        self.ignore_iof_thr = ignore_iof_thr
        self.chunk_size = chunk_size

    @torch.no_grad()
    def __call__(self, priors: Tensor, boxes: Tensor, ignored: Tensor | None = None) -> Tensor:
        """Assigns the priors of one image.

        Args:
            priors: (A, 4) xyxy.
            boxes: (G, 4) xyxy ground truth.
            ignored: (I, 4) xyxy regions that are neither object nor background.

        Returns:
            (A,) int64: index of the prior's box, ``BACKGROUND`` or ``IGNORE``.
        """
        best_iou = priors.new_zeros(len(priors))
        best_box = torch.full((len(priors),), BACKGROUND, device=priors.device)
        low_quality = torch.zeros_like(best_iou, dtype=torch.bool)
        for start in range(0, len(boxes), self.chunk_size):
            iou = box_iou(boxes[start : start + self.chunk_size], priors)  # (chunk, A)
            chunk_iou, chunk_box = iou.max(dim=0)
            better = chunk_iou > best_iou
            best_iou = torch.where(better, chunk_iou, best_iou)
            best_box = torch.where(better, chunk_box + start, best_box)
            if self.match_low_quality:
                box_best = iou.amax(dim=1, keepdim=True)  # (chunk, 1)
                low_quality |= ((iou == box_best) & (iou > 0) & (iou >= self.min_pos_iou)).any(dim=0)

        positive = (best_iou >= self.pos_iou_thr) & (best_box >= 0) | low_quality
        assigned = torch.where(best_iou < self.neg_iou_thr, BACKGROUND, IGNORE)
        assigned = torch.where(positive, best_box, assigned)
        return ignore_background(assigned, priors, ignored, self.ignore_iof_thr, self.chunk_size)
