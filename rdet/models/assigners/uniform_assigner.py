"""Assignment of as many priors to each box."""

from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_convert, box_iou

from rdet.models.assigners.base import Assigner, on_host
from rdet.registry import MODELS
from rdet.schema import Count, Fraction
from rdet.structures.assignment import BACKGROUND, IGNORE
from rdet.structures.boxes import paired_iou
from rdet.structures.match_batch import MatchBatch, MatchImage
from rdet.structures.matches import Matches


@MODELS.register_module()
class UniformAssigner(Assigner):
    """Rule that gives each box, large or small, its nearest priors (YOLOF, Chen et al., CVPR 2021, section 4.2).

    A box gets the ``topk`` priors that are nearest to it, and the ``topk`` whose predicted boxes are, by the sum of the
    differences of centre, width and height. Of these, priors that overlap the box less than ``pos_ignore_thr`` take no
    part, nor does background whose predicted box overlaps any box more than ``neg_ignore_thr``.

    A prior that comes up several times is as many positives of the losses of boxes; of the boxes it comes up for, as in
    the authors' code and MMDetection, the farthest of ``topk``, then one it is near to itself, then the last box says
    its class, or that it takes no part. The losses are divided by the priors that have a class.

    Memory: O(A * ``chunk_size``), whatever the number of boxes.

    Args:
        topk: Nearest priors of a box, and nearest predictions.
        pos_ignore_thr, neg_ignore_thr: The thresholds.
        **options: Of :class:`~rdet.models.assigners.base.Assigner`.
    """

    def __init__(
        self, topk: Count = 4, pos_ignore_thr: Fraction = 0.15, neg_ignore_thr: Fraction = 0.7, **options: Any
    ):
        super().__init__(**options)
        if topk < 1:
            raise ValueError(f"expected topk >= 1, got {topk}")
        self.topk = topk
        self.pos_ignore_thr = pos_ignore_thr
        self.neg_ignore_thr = neg_ignore_thr

    def most_positives(self, batch: MatchBatch) -> int:
        """Limit the number of priors of a batch that have a class."""
        return 2 * self.topk * len(batch.truth.boxes)

    @torch.no_grad()
    def match(self, batch: MatchBatch) -> Matches:
        counts, device, first = batch.truth.counts, batch.priors.device, 0
        assigned, found = [], []
        for index, count in enumerate(counts):
            within = self.within(batch, index)
            image = batch.image(index, within)
            of_image, prior, box, counted = self(image)
            everywhere = of_image
            if within is not None:
                within = within.to(device, non_blocking=True)
                outside = IGNORE if self.padding == "ignored" else BACKGROUND
                everywhere = torch.full((len(batch.priors),), outside, device=device).index_copy(0, within, of_image)
                prior = within[prior]
            assigned.append(self.ignore(everywhere, batch.priors, image.ignored))
            found.append((torch.full_like(prior, index), prior, box + first, counted))
            first += count
        dense = torch.stack(assigned)
        most = None if on_host(device) else min(self.most_positives(batch), dense.numel())
        image_of, prior, box, counted = (torch.cat(parts) for parts in zip(*found, strict=True))
        shown = counted.byte().sort(descending=True, stable=True).indices[:1]  # the first that counts, if any does
        image_of, prior, box = (torch.where(counted, x, x[shown]) for x in (image_of, prior, box))
        of_boxes = Matches(image_of, prior, box, prior[:0], counted, amount=(dense >= 0).sum(dim=1))
        if on_host(device):
            of_boxes = of_boxes.without_repeats()
        return Matches.from_dense(dense, counts, most)._replace(of_boxes=of_boxes)

    def __call__(self, image: MatchImage) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Assign the priors of one image.

        Returns:
            (A,) int64: index of the prior's box, ``BACKGROUND`` or ``IGNORE``; and of M = 2 ``topk`` G pairs of a prior
            and a box: prior (M,), box (M,), and whether they overlap enough (M,).
        """
        priors, boxes = image.priors, image.boxes
        background = torch.full((len(priors),), BACKGROUND, device=priors.device)
        if not len(boxes):
            return background, background[:0], background[:0], background[:0].bool()
        predicted = image.predicted.float()
        near = torch.zeros_like(background, dtype=torch.bool)
        nearest, overlap = [], []
        for chunk in boxes.split(self.chunk_size):
            near |= (box_iou(chunk, predicted) > self.neg_ignore_thr).any(dim=0)
            nearest.append(torch.stack([self._nearest(predicted, chunk), self._nearest(priors, chunk)], dim=1))
            overlap.append(paired_iou(priors[nearest[-1]], chunk))
        prior = torch.cat(nearest, dim=2).flatten()  # (topk, 2, G) by rank, then predictions first
        box = torch.arange(len(boxes), device=prior.device).expand(len(prior) // len(boxes), -1).flatten()
        enough = torch.cat(overlap, dim=2).flatten() >= self.pos_ignore_thr
        pair = torch.arange(len(prior), device=prior.device)
        last = background.scatter_reduce(0, prior, pair, "amax")  # (A,) the last pair of each prior
        of_pair = torch.where(enough, box, IGNORE)[last.clamp(min=0)]
        return torch.where(last >= 0, of_pair, torch.where(near, IGNORE, BACKGROUND)), prior, box, enough

    def _nearest(self, candidates: Tensor, boxes: Tensor) -> Tensor:
        """Find the ``topk`` nearest candidates (A, 4) of boxes (B, 4): (topk, B) indices, nearest first."""
        ours, theirs = (box_convert(x, "xyxy", "cxcywh") for x in (candidates, boxes))
        distance = torch.cdist(theirs, ours, p=1)  # (B, A)
        return distance.topk(min(self.topk, len(candidates)), dim=1, largest=False).indices.T
