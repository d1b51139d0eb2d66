"""Assignment of priors to ground truth by overlap."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rdet.models.assigners import overlaps
from rdet.models.assigners.base import ImageAssigner
from rdet.registry import MODELS
from rdet.schema import Fraction
from rdet.structures.assignment import BACKGROUND, IGNORE
from rdet.structures.boxes import paired_iou
from rdet.structures.match_batch import MatchBatch, MatchImage
from rdet.structures.matches import Matches
from rdet.structures.prior_grid import PriorGrid

# On a grid a box has some 50 pairs, at most some thousands, instead of one with each prior.
_GRID_CHUNK = 32


@MODELS.register_module()
class MaxIoUAssigner(ImageAssigner):
    """Rule that gives each prior the box it overlaps most (Focal Loss paper, section 4, "Anchors").

    A prior with an IoU of at least ``pos_iou_thr`` gets its best box, one below ``neg_iou_thr`` is
    background, and one between them is ignored. Low-quality matches follow (Faster R-CNN, section
    3.1.2): the priors that overlap a box most among all priors are positive too, if that overlap is
    above 0 and at least ``min_pos_iou``. Such a prior gets the box that *it* overlaps most, which may
    be another one; with ``reassign_low_quality``, it gets the last box that it is a match of.

    On a grid time and memory depend on the boxes and not on the priors (:mod:`rdet.models.assigners.overlaps`), and the
    host does the work while the device is busy with the network; without one, each box is compared with each prior.
    Memory: O(A * ``chunk_size``), whatever the number of boxes.

    Args:
        pos_iou_thr, neg_iou_thr: The thresholds.
        match_low_quality: Whether to add low-quality matches.
        min_pos_iou: Smallest IoU of a low-quality match (Detectron: 0.4; others: 0).
        reassign_low_quality: Whether a low-quality match takes the prior from a box that it overlaps more, as in
            MMDetection; torchvision and Detectron2 leave it there.
        first_best_alone: Whether of priors that overlap a box equally, and most, the first alone is a low-quality
            match, as in SSD; else all of them.
        **options: Of :class:`~rdet.models.assigners.base.Assigner`; on a grid, 32 times ``chunk_size`` boxes are
            compared at once.
    """

    def __init__(
        self,
        pos_iou_thr: Fraction = 0.5,
        neg_iou_thr: Fraction = 0.4,
        match_low_quality: bool = True,
        min_pos_iou: Fraction = 0.0,
        reassign_low_quality: bool = False,
        first_best_alone: bool = False,
        **options: Any,
    ):
        super().__init__(**options)
        if not 0 <= neg_iou_thr <= pos_iou_thr <= 1:
            raise ValueError(f"expected 0 <= neg_iou_thr <= pos_iou_thr <= 1, got {neg_iou_thr} and {pos_iou_thr}")
        self.pos_iou_thr = pos_iou_thr
        self.neg_iou_thr = neg_iou_thr
        self.match_low_quality = match_low_quality
        self.min_pos_iou = min_pos_iou
        self.reassign_low_quality = reassign_low_quality
        self.first_best_alone = first_best_alone

    @torch.no_grad()
    def match(self, batch: MatchBatch) -> Matches:
        if batch.grid is None:
            return super().match(batch)
        truth, grid, num_priors = batch.truth, batch.grid, len(batch.priors)
        reach = None if self.padding == "background" else [grid.cells_within(size) for size in truth.padded_sizes]
        positive, gt_index, between = self._match_on_grid(truth.boxes.cpu().numpy(), truth.counts, grid, reach)
        ignored = [between]
        for index, regions in enumerate(truth.ignored.cpu().split(truth.ignored_counts)):
            first = index * num_priors
            within = self.within(batch, index) if self.padding == "ignored" else None
            if within is not None:
                outside = np.delete(np.arange(first, first + num_priors), within.numpy())
                ignored.append(outside)
            if len(regions):
                taken = np.concatenate([positive, *ignored])
                taken = taken[taken // num_priors == index] - first
                assigned = torch.full((num_priors,), BACKGROUND).index_fill_(0, torch.from_numpy(taken), 0)
                assigned = self.ignore(assigned, torch.from_numpy(grid.priors), regions)
                ignored.append((assigned == IGNORE).nonzero().squeeze(1).numpy() + first)
        image, prior = np.divmod(positive, num_priors)
        found: list[Tensor] = [torch.from_numpy(x) for x in (image, prior, gt_index, np.concatenate(ignored))]
        return Matches(found[0], found[1], found[2], found[3])

    def assign(self, image: MatchImage) -> Tensor:
        return self(image.priors, image.boxes)

    @torch.no_grad()
    def __call__(self, priors: Tensor, boxes: Tensor, grid: PriorGrid | None = None) -> Tensor:
        """Assign the priors of one image.

        Args:
            priors: (A, 4) xyxy.
            boxes: (G, 4) xyxy ground truth.
            grid: How the priors lie, if they lie on one.

        Returns:
            (A,) int64: index of the prior's box, ``BACKGROUND`` or ``IGNORE``; on the host if there is a grid,
            otherwise where the priors are.
        """
        if grid is not None:
            matched, gt_index, between = self._match_on_grid(boxes.cpu().numpy(), [len(boxes)], grid, None)
            on_host = np.full(len(priors), BACKGROUND)
            on_host[matched], on_host[between] = gt_index, IGNORE
            return torch.from_numpy(on_host)
        best_iou = priors.new_zeros(len(priors))
        best_box = torch.full((len(priors),), BACKGROUND, device=priors.device)
        low_quality = torch.full_like(best_box, BACKGROUND)  # the last box that a prior is a low-quality match of
        for start in range(0, len(boxes), self.chunk_size):
            iou = paired_iou(boxes[start : start + self.chunk_size, None], priors)  # (chunk, A)
            chunk_iou, chunk_box = iou.max(dim=0)
            better = chunk_iou > best_iou
            best_iou = torch.where(better, chunk_iou, best_iou)
            best_box = torch.where(better, chunk_box + start, best_box)
            if self.match_low_quality:
                box_best = iou.amax(dim=1, keepdim=True)  # (chunk, 1)
                is_best = (iou == box_best) & (iou > 0) & (iou >= self.min_pos_iou)
                if self.first_best_alone:
                    is_best &= is_best.cumsum(dim=1) == 1
                index = torch.arange(start, start + len(iou), device=iou.device)[:, None]
                low_quality = torch.maximum(low_quality, torch.where(is_best, index, BACKGROUND).amax(dim=0))

        positive = (best_iou >= self.pos_iou_thr) & (best_box >= 0) | (low_quality >= 0)
        if self.reassign_low_quality:
            best_box = torch.where(low_quality >= 0, low_quality, best_box)
        assigned = torch.full_like(best_box, IGNORE).masked_fill(best_iou < self.neg_iou_thr, BACKGROUND)
        return torch.where(positive, best_box, assigned)

    def _match_on_grid(
        self, boxes: np.ndarray, counts: list[int], grid: PriorGrid, reach: list[np.ndarray] | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Compare the pairs of boxes and priors that can match, of all images, on the host.

        Args:
            boxes: (G, 4) of N images.
            counts: How many are of each image.
            grid: How the A priors lie.
            reach: (R, 2) columns and rows in which the boxes of each image may have priors; None: all.

        Returns:
            (P,) ``image * A + prior`` of the positives, sorted; (P,) the box of each; (M,) the same as the first of
            the priors between the thresholds.
        """
        boxes = boxes.astype(np.float32, copy=False)  # as what they are compared with
        num_priors, num_boxes = len(grid.priors), len(boxes)
        image_of_box = np.repeat(np.arange(len(counts)), counts)  # (G,)
        reach_of_box = None if reach is None else np.stack(reach)[image_of_box]  # (G, R, 2)
        # With a threshold of 0, a prior takes no part that overlaps nothing.
        looked_at = np.arange(len(counts) * num_priors if self.neg_iou_thr == 0 else 0)
        nothing = np.zeros(len(looked_at), dtype=np.float32), np.full(len(looked_at), num_boxes)
        best = _Best(looked_at, *nothing, np.full(len(looked_at), BACKGROUND))
        for start in range(0, num_boxes, self.chunk_size * _GRID_CHUNK):
            chunk = slice(start, start + self.chunk_size * _GRID_CHUNK)
            cells = None if reach_of_box is None else reach_of_box[chunk]
            pair_box, pair_prior = overlaps.grid_pairs(boxes[chunk], grid, self.neg_iou_thr, cells)
            pair_box += start
            iou = overlaps.paired_iou_on_host(boxes[pair_box], grid.priors[pair_prior])  # (E,)
            low_quality = np.full(len(iou), BACKGROUND)
            if self.match_low_quality:
                box_best = np.zeros(num_boxes, dtype=np.float32)
                np.maximum.at(box_best, pair_box, iou)
                is_best = (iou == box_best[pair_box]) & (iou > 0) & (iou >= self.min_pos_iou)
                if self.first_best_alone:
                    first = np.full(num_boxes, num_priors)
                    np.minimum.at(first, pair_box[is_best], pair_prior[is_best])
                    is_best &= pair_prior == first[pair_box]
                low_quality[is_best] = pair_box[is_best]
            pairs = _Best(pair_prior + image_of_box[pair_box] * num_priors, iou, pair_box, low_quality)
            best = _best_of_each(best, pairs, num_boxes)

        # Of these, small overlaps with other boxes of the image are not among the pairs.
        (weak,) = ((best.low_quality >= 0) & (best.iou < self.neg_iou_thr)).nonzero()
        for part in np.array_split(weak, 1 + len(weak) * max(counts, default=0) // (num_priors * self.chunk_size)):
            best.box[part] = self._best_boxes(best.prior[part], boxes, counts, grid)
        is_low_quality = best.low_quality >= 0
        is_match = (best.iou >= self.pos_iou_thr) & (best.box < num_boxes) | is_low_quality
        is_between = (best.iou >= self.neg_iou_thr) & ~is_match  # all others are background
        box = np.where(is_low_quality, best.low_quality, best.box) if self.reassign_low_quality else best.box
        return best.prior[is_match], box[is_match], best.prior[is_between]

    @staticmethod
    def _best_boxes(found: np.ndarray, boxes: np.ndarray, counts: list[int], grid: PriorGrid) -> np.ndarray:
        """Find the box of its image that each prior overlaps most, of equal ones the first: (m,) -> (m,).

        Args:
            found: ``image * A + prior``, of images that have boxes.
            boxes, counts, grid: As of :meth:`_match_on_grid`.
        """
        image, prior = np.divmod(found, len(grid.priors))
        count = np.array(counts)
        ends = count[image].cumsum()
        which = np.repeat(np.arange(len(found)), count[image])  # (E,), all boxes of the image for each prior
        box = np.arange(len(which)) + (count.cumsum()[image] - ends)[which]
        iou = overlaps.paired_iou_on_host(boxes[box], grid.priors[prior[which]])
        highest = np.zeros(len(found), dtype=np.float32)
        np.fmax.at(highest, which, iou)
        best = (iou == highest[which]).nonzero()[0][::-1]
        best_box = np.empty(len(found), dtype=np.int64)
        best_box[which[best]] = box[best]  # the last that is written stays
        return best_box


class _Best(NamedTuple):
    """What is known of some priors. Of pairs of a prior and a box: of those priors, and a prior may come repeatedly.

    Attributes:
        prior: (T,) int64, ``image * A + prior``.
        iou: (T,) float32, highest IoU with a box.
        box: (T,) int64, the first box with which it has that IoU, or how many boxes there are if it is 0.
        low_quality: (T,) int64, the last box that the prior is a low-quality match of, or ``BACKGROUND``.
    """

    prior: np.ndarray
    iou: np.ndarray
    box: np.ndarray
    low_quality: np.ndarray


def _best_of_each(best: _Best, pairs: _Best, num_boxes: int) -> _Best:
    """Join what is known of priors with pairs of later boxes, by box: each prior once, sorted."""
    prior, iou, box, low_quality = map(np.concatenate, zip(best, pairs, strict=True))
    found, which = np.unique(prior, return_inverse=True)  # (T,), (E,)
    best_iou = np.zeros(len(found), dtype=np.float32)
    np.maximum.at(best_iou, which, iou)
    best_box = np.full(len(found), num_boxes)
    better = ((iou == best_iou[which]) & (iou > 0)).nonzero()[0][::-1]
    best_box[which[better]] = box[better]  # the last that is written stays: of equal ones the first
    last = np.full(len(found), BACKGROUND)
    np.maximum.at(last, which, low_quality)
    return _Best(found, best_iou, best_box, last)
