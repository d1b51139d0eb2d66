"""Assignment of priors to ground truth by overlap."""

import numpy as np
import torch
from torch import Tensor

from rdet.models.assigners import overlaps
from rdet.models.assigners.geometry import ignore_background
from rdet.registry import MODELS
from rdet.structures.assignment import BACKGROUND, IGNORE
from rdet.structures.boxes import paired_iou
from rdet.structures.prior_grid import PriorGrid

# On a grid a box has some 50 pairs, at most some thousands, instead of one with each prior.
_GRID_CHUNK = 32


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

    On a grid the time depends on the boxes and not on the priors (:mod:`rdet.models.assigners.overlaps`), and the
    host does the work while the device is busy with the network; without one, each box is compared with each prior.
    Memory: O(A * ``chunk_size``), whatever the number of boxes.

    Args:
        pos_iou_thr, neg_iou_thr: The thresholds.
        match_low_quality: Whether to add low-quality matches.
        min_pos_iou: Smallest IoU of a low-quality match (Detectron: 0.4; others: 0).
        ignore_iof_thr: Share of a prior's area inside an ignored region.
        chunk_size: Boxes that are compared with all priors at once; on a grid, 32 times as many.
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
    def __call__(
        self,
        priors: Tensor,
        boxes: Tensor,
        ignored: Tensor | None = None,
        grid: PriorGrid | None = None,
        box_counts: list[int] | None = None,
        ignored_counts: list[int] | None = None,
    ) -> Tensor:
        """Assigns the priors of one image, or of N images with the same priors at once.

        Args:
            priors: (A, 4) xyxy.
            boxes: (G, 4) xyxy ground truth, on any device.
            ignored: (I, 4) xyxy regions that are neither object nor background, on any device.
            grid: How the priors lie, if they lie on one.
            box_counts: How many of the boxes are of each of N images; by default, all are of one.
            ignored_counts: The same of the regions.

        Returns:
            (A,) int64, or (N, A) with ``box_counts``: index of the prior's box, ``BACKGROUND`` or
            ``IGNORE``; on the host if there is a grid, otherwise where the priors are.
        """
        if box_counts is None:
            counts = [] if ignored is None else [len(ignored)]
            return self(priors, boxes, ignored, grid, [len(boxes)], counts).squeeze(0)
        if grid is None:
            boxes = boxes.to(priors.device)
            images, starts = boxes.split(box_counts), [sum(box_counts[:i]) for i in range(len(box_counts))]
            found = [self._compare_all(priors, own) for own in images]
            assigned = torch.stack([torch.where(x >= 0, x + start, x) for x, start in zip(found, starts, strict=True)])
        else:
            assigned = self._compare_on_grid(boxes, box_counts, grid)
            priors = torch.from_numpy(grid.priors)
        for image, regions in enumerate(() if ignored is None else ignored.split(ignored_counts)):
            if len(regions):
                assigned[image] = ignore_background(
                    assigned[image], priors, regions.to(priors.device), self.ignore_iof_thr, self.chunk_size
                )
        return assigned

    def _compare_all(self, priors: Tensor, boxes: Tensor) -> Tensor:
        """Each box with each prior of one image: (A, 4), (G, 4) -> (A,)."""
        best_iou = priors.new_zeros(len(priors))
        best_box = torch.full((len(priors),), BACKGROUND, device=priors.device)
        low_quality = torch.zeros_like(best_iou, dtype=torch.bool)
        for start in range(0, len(boxes), self.chunk_size):
            iou = paired_iou(boxes[start : start + self.chunk_size, None], priors)  # (chunk, A)
            chunk_iou, chunk_box = iou.max(dim=0)
            better = chunk_iou > best_iou
            best_iou = torch.where(better, chunk_iou, best_iou)
            best_box = torch.where(better, chunk_box + start, best_box)
            if self.match_low_quality:
                box_best = iou.amax(dim=1, keepdim=True)  # (chunk, 1)
                low_quality |= ((iou == box_best) & (iou > 0) & (iou >= self.min_pos_iou)).any(dim=0)

        positive = (best_iou >= self.pos_iou_thr) & (best_box >= 0) | low_quality
        assigned = torch.full_like(best_box, IGNORE).masked_fill(best_iou < self.neg_iou_thr, BACKGROUND)
        return torch.where(positive, best_box, assigned)

    def _compare_on_grid(self, boxes: Tensor, box_counts: list[int], grid: PriorGrid) -> Tensor:
        """Those pairs that matter, of all images, on the host: (G, 4) -> (N, A)."""
        shape = len(box_counts), len(grid.priors)
        image = np.repeat(np.arange(shape[0]), box_counts)  # (G,)
        corners = boxes.cpu().numpy()
        best_iou = np.zeros(shape[0] * shape[1], dtype=np.float32)  # (N A,)
        best_box = np.full(len(best_iou), len(corners))
        low_quality = np.zeros(len(best_iou), dtype=bool)
        for start in range(0, len(corners), self.chunk_size * _GRID_CHUNK):
            box, prior = overlaps.grid_pairs(
                corners[start : start + self.chunk_size * _GRID_CHUNK], grid, self.neg_iou_thr
            )
            box += start
            iou = overlaps.paired_iou_on_host(corners[box], grid.priors[prior])  # (E,)
            prior += image[box] * shape[1]
            before = best_iou[prior]
            np.maximum.at(best_iou, prior, iou)
            wins = ((iou == best_iou[prior]) & (iou > before)).nonzero()[0][::-1]
            best_box[prior[wins]] = box[wins]  # the last that is written stays: of equal overlaps the first box
            if self.match_low_quality:
                box_best = np.zeros(len(corners), dtype=np.float32)
                np.maximum.at(box_best, box, iou)
                low_quality[prior[(iou == box_best[box]) & (iou > 0) & (iou >= self.min_pos_iou)]] = True

        # Of these, small overlaps with other boxes are not among the pairs.
        (weak,) = (low_quality & (best_iou < self.neg_iou_thr)).nonzero()
        for some in np.array_split(weak, 1 + len(weak) * len(corners) // (shape[1] * self.chunk_size)):
            if len(some):
                iou = overlaps.paired_iou_on_host(corners, grid.priors[some % shape[1], None])  # (m, G)
                best_box[some] = np.where(image == some[:, None] // shape[1], iou, -1).argmax(axis=1)
        (found,) = ((best_iou >= self.neg_iou_thr) | low_quality).nonzero()  # all others are background
        positive = (best_iou[found] >= self.pos_iou_thr) & (best_box[found] < len(corners)) | low_quality[found]
        assigned = np.full(shape, BACKGROUND)
        assigned.reshape(-1)[found] = np.where(positive, best_box[found], IGNORE)
        return torch.from_numpy(assigned)
