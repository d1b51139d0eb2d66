"""Assignment by the losses of predictions, whose distribution says which are positive."""

from typing import Any

import torch
from torch import Tensor

from rdet.models.assigners.base import on_host
from rdet.models.assigners.costs import negative_log
from rdet.models.assigners.gaussian_mixture import fit_two_normals
from rdet.models.assigners.max_iou_assigner import MaxIoUAssigner
from rdet.registry import MODELS
from rdet.schema import Count, Fraction, NotNegative
from rdet.structures.assignment import BACKGROUND, IGNORE
from rdet.structures.boxes import paired_giou
from rdet.structures.match_batch import MatchBatch
from rdet.structures.matches import Matches

# Of boxes whose mixtures are fitted at once: all of nearly any batch, as a device has to make a hundred steps for each.
_BOXES_PER_CHUNK = 16


@MODELS.register_module()
class PAAAssigner(MaxIoUAssigner):
    """Rule that takes the losses of a box's priors for a mixture of good and bad ones (PAA, Kim and Lee, ECCV 2020).

    Candidates of a box are the priors that :class:`MaxIoUAssigner` gives it. Of each level the ``topk`` of least loss
    go on: the focal loss of their scores plus ``iou_weight`` times the GIoU loss of their predicted boxes. Two normal
    distributions are fitted to their losses, all levels together; positive are those of the lower one, up to the most
    probable loss of these (section 3.2, and (c) of Figure 3). A box with a single candidate gets nothing.

    Candidates are found and sorted by the host; the device then knows all sizes without a wait. Memory: O(A * K), and
    that of the candidates.

    Args:
        pos_iou_thr, neg_iou_thr: Of the candidates.
        topk: Candidates of each level.
        alpha, gamma: Of the focal loss.
        iou_weight: Of the GIoU loss.
        **options: Of :class:`MaxIoUAssigner` and :class:`~rdet.models.assigners.base.Assigner`.
    """

    def __init__(
        self,
        pos_iou_thr: Fraction = 0.1,
        neg_iou_thr: Fraction = 0.1,
        topk: Count = 9,
        alpha: Fraction = 0.25,
        gamma: NotNegative = 2.0,
        iou_weight: NotNegative = 1.3,
        **options: Any,
    ):
        super().__init__(pos_iou_thr, neg_iou_thr, **options)
        if topk < 1:
            raise ValueError(f"expected topk >= 1, got {topk}")
        self.topk = topk
        self.alpha = alpha
        self.gamma = gamma
        self.iou_weight = iou_weight

    def most_positives(self, batch: MatchBatch) -> int:
        return len(batch.truth.boxes) * len(batch.predictions.level_lengths) * self.topk

    @torch.no_grad()
    def match(self, batch: MatchBatch) -> Matches:
        found = super().match(batch)
        counts, num_priors, device = batch.truth.counts, len(batch.priors), batch.priors.device
        slots = _slots(found, batch).to(device, non_blocking=True)  # (G, L, M)
        found = found.to(device)
        assigned = torch.full((len(counts) * num_priors + 1,), BACKGROUND, device=device)  # the last is for nothing
        if found.ignored.dtype == torch.bool:
            assigned[:-1].masked_fill_(found.ignored, IGNORE)
        else:
            assigned.index_fill_(0, found.ignored, IGNORE)
        if slots.numel():
            losses = torch.cat([self._losses(batch, found), batch.priors.new_full((1,), torch.inf)])
            least = losses[slots].topk(min(self.topk, slots.shape[2]), dim=2, largest=False)
            candidates = slots.gather(2, least.indices).flatten(1)  # (G, C)
            least_losses, order = least.values.flatten(1).sort(dim=1, stable=True)
            candidates = candidates.gather(1, order)
            parts = least_losses.split(_BOXES_PER_CHUNK * self.chunk_size)
            positive = torch.cat([_lower_up_to_the_most_probable(part) for part in parts])
            index = torch.cat([found.image * num_priors + found.prior, found.prior.new_full((1,), len(assigned) - 1)])
            first = torch.tensor([sum(counts[:image]) for image in range(len(counts))]).to(device, non_blocking=True)
            box = torch.arange(len(slots), device=device)
            owner = torch.tensor(counts).cumsum(0).to(device, non_blocking=True)
            of_image = box - first[torch.searchsorted(owner, box, right=True)]  # (G,)
            where = torch.where(positive, index[candidates], len(assigned) - 1)
            assigned.scatter_(0, where.flatten(), of_image[:, None].expand_as(where).flatten())
        dense = assigned[:-1].unflatten(0, (len(counts), num_priors))
        regions = (x.to(device, non_blocking=True) for x in batch.truth.ignored.split(batch.truth.ignored_counts))
        dense = torch.stack([self.ignore(each, batch.priors, x) for each, x in zip(dense, regions, strict=True)])
        most = None if on_host(device) else min(self.most_positives(batch), dense.numel())
        return Matches.from_dense(dense, counts, most)

    def _losses(self, batch: MatchBatch, found: Matches) -> Tensor:
        """Compute the loss of each candidate, (P,)."""
        device = batch.priors.device
        truth = batch.truth.labels, batch.truth.boxes
        labels, boxes = (of_all.to(device, non_blocking=True)[found.gt_index] for of_all in truth)
        scores = batch.all_scores
        nothing = (scores**self.gamma * negative_log(1 - scores)).sum(dim=2) * (1 - self.alpha)  # (N, A)
        score = scores[found.image, found.prior, labels]
        of_class = self.alpha * (1 - score) ** self.gamma * negative_log(score)
        as_background = (1 - self.alpha) * score**self.gamma * negative_log(1 - score)
        predicted = batch.all_decoded[found.image, found.prior].float()
        overlap = 1 - paired_giou(predicted, boxes)
        losses: Tensor = nothing[found.image, found.prior] - as_background + of_class + self.iou_weight * overlap
        return losses


def _slots(found: Matches, batch: MatchBatch) -> Tensor:
    """List the candidates of each box on each level: (G, L, M) int64 on the host, filled up with P."""
    prior, box = found.prior.cpu(), found.gt_index.cpu()
    lengths = batch.predictions.level_lengths
    level = torch.searchsorted(torch.tensor(lengths).cumsum(0), prior, right=True)
    key, order = (box * len(lengths) + level).sort(stable=True)
    sizes = torch.bincount(key, minlength=len(batch.truth.boxes) * len(lengths))
    rank = torch.arange(len(key)) - (sizes.cumsum(0) - sizes)[key]
    slots = torch.full((len(sizes), int(sizes.max()) if len(key) else 0), len(key))
    slots[key, rank] = order
    by_box: Tensor = slots.unflatten(0, (len(batch.truth.boxes), len(lengths)))
    return by_box


def _lower_up_to_the_most_probable(losses: Tensor) -> Tensor:
    """Mark the positives among sorted losses (G, C), infinite where there is no candidate."""
    valid = losses.isfinite()
    mixture = fit_two_normals(losses, valid)
    lower = mixture.is_first & valid & (valid.sum(dim=1, keepdim=True) > 1)
    most = mixture.log_density.masked_fill(~lower, -torch.inf).argmax(dim=1, keepdim=True)
    positive: Tensor = lower & (torch.arange(losses.shape[1], device=losses.device) <= most)
    return positive
