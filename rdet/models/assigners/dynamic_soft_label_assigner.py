"""Assignment of RTMDet, by costs whose classes are soft."""

from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_iou

from rdet.models.assigners.base import ImageAssigner
from rdet.models.assigners.claims import Claims, mark_largest
from rdet.models.assigners.costs import dynamic_count, negative_log
from rdet.models.assigners.geometry import box_centers, is_inside, strides_of
from rdet.models.assigners.shared_candidates import SharedClaims
from rdet.registry import MODELS
from rdet.schema import Count, NotNegative, Positive
from rdet.structures.match_batch import MatchBatch, MatchImage


@MODELS.register_module()
class DynamicSoftLabelAssigner(ImageAssigner):
    """Rule that gives each box its k cheapest priors (RTMDet, Lyu et al., arXiv:2212.07784, section 3.3).

    Candidates of a box are the priors whose centre lies inside it. The cost of one is the quality focal loss of its
    scores against the IoU at the class of the box, plus ``iou_weight`` times -log IoU of its predicted box, plus
    10^(d - ``soft_center_radius``) with the distance d of the centres in strides. k is the sum of the
    ``candidate_topk`` largest IoUs of candidates, cut to a whole number, at least 1. A prior that several boxes claim
    goes to the one that it costs least.

    In MMDetection, the priors inside any box are candidates of all: a box may get a prior outside of it, and a prior
    that several claim may go to a box that does not. ``share_candidates`` does the same.

    Memory: O(A * (``chunk_size`` + K)), whatever the number of boxes.

    Args:
        candidate_topk: Largest IoUs whose sum is k.
        soft_center_radius: Distance in strides at which the third cost is 1.
        iou_weight: Weight of the second.
        eps: Added to an IoU before its logarithm.
        share_candidates: Whether to decide as MMDetection.
        **options: Of :class:`~rdet.models.assigners.base.Assigner`.
    """

    def __init__(
        self,
        candidate_topk: Count = 13,
        soft_center_radius: Positive = 3.0,
        iou_weight: NotNegative = 3.0,
        eps: Positive = 1e-7,
        share_candidates: bool = False,
        **options: Any,
    ):
        super().__init__(**options)
        if candidate_topk < 1 or iou_weight < 0:
            raise ValueError(f"expected candidate_topk >= 1 and iou_weight >= 0, got {candidate_topk} and {iou_weight}")
        self.candidate_topk = candidate_topk
        self.soft_center_radius = soft_center_radius
        self.iou_weight = iou_weight
        self.eps = eps
        self.share_candidates = share_candidates

    def most_positives(self, batch: MatchBatch) -> int:
        return len(batch.truth.boxes) * self.candidate_topk

    def assign(self, image: MatchImage) -> Tensor:
        return self(image.priors, image.boxes, image.labels, image.scores, image.predicted, image.level_lengths)

    @torch.no_grad()
    def __call__(
        self,
        priors: Tensor,
        boxes: Tensor,
        labels: Tensor,
        scores: Tensor,
        predicted: Tensor,
        level_lengths: list[int] | None = None,
    ) -> Tensor:
        """Assign the priors of one image (RTMDet, section 3.3).

        Args:
            priors: (A, 4) xyxy.
            boxes: (G, 4) xyxy ground truth.
            labels: (G,) int64, their classes.
            scores: (A, K) probabilities of the classes.
            predicted: (A, 4) xyxy.
            level_lengths: Priors of each level, by which strides are read from the steps between
                priors; None: a prior's width is its stride, as with points.

        Returns:
            (A,) int64: index of the prior's box, or ``BACKGROUND``.
        """
        claims, shared = Claims(priors), SharedClaims(priors, self.candidate_topk)
        centers, strides = box_centers(priors), strides_of(priors, level_lengths)
        predicted, scores = predicted.float(), scores.float()
        no_object = (scores.square() * negative_log(1 - scores)).sum(dim=1)  # (A,) its loss if all targets were 0
        chunks = range(0, len(boxes), self.chunk_size)
        of_any = torch.zeros_like(strides, dtype=torch.bool)  # (A,) whether it is a candidate
        if self.share_candidates:
            for start in chunks:
                of_any |= is_inside(centers, boxes[start : start + self.chunk_size, None]).any(dim=0)
        for start in chunks:
            chunk, classes = (values[start : start + self.chunk_size] for values in (boxes, labels))
            inside = is_inside(centers, chunk[:, None])  # (chunk, A)
            iou = torch.where(inside | of_any, box_iou(chunk, predicted), 0)
            count = dynamic_count(iou, self.candidate_topk)
            cost = no_object + _soft_label_change(scores[:, classes].T, iou)
            cost += self.iou_weight * -(iou + self.eps).log()
            distance = (centers - box_centers(chunk)[:, None]).norm(dim=2) / strides
            cost += 10 ** (distance - self.soft_center_radius)
            if self.share_candidates:
                shared.add(cost, of_any, count, start)
                continue
            value = torch.where(inside, 1 / (1 + cost), -torch.inf)  # in [0, 1], falls with the cost
            chosen = mark_largest(value, self.candidate_topk, count)
            claims.add(torch.where(chosen, value, -torch.inf), start)
        return shared.boxes if self.share_candidates else claims.boxes


def _soft_label_change(scores: Tensor, target: Tensor) -> Tensor:
    """Compute by how much the quality focal loss of a score changes where its target is not 0: (B, A) each."""
    positive, negative = negative_log(scores), negative_log(1 - scores)
    with_target = (target - scores).square() * (target * positive + (1 - target) * negative)
    return with_target - scores.square() * negative
