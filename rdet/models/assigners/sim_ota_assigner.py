"""Assignment by the cost of predictions, as many to each box as predict it well."""

from typing import Any

import torch
from torch import Tensor
from torchvision.ops import box_iou

from rdet.models.assigners.base import ImageAssigner
from rdet.models.assigners.claims import Claims, mark_largest
from rdet.models.assigners.costs import dynamic_count, negative_log
from rdet.models.assigners.geometry import box_centers, is_inside, is_near, strides_of
from rdet.models.assigners.shared_candidates import SharedClaims
from rdet.registry import MODELS
from rdet.schema import Count, NotNegative, Positive
from rdet.structures.match_batch import MatchBatch, MatchImage

# What a prior costs more that is not both inside a box and near its centre, in the authors' code.
_FAR = 100000.0


@MODELS.register_module()
class SimOTAAssigner(ImageAssigner):
    """Rule that gives each box its k cheapest priors (SimOTA of YOLOX, Ge et al., arXiv:2107.08430, section 2.1).

    Candidates of a box are the priors whose centre lies inside it or within ``center_radius`` of
    its centre; those with both come first. The cost of a candidate is ``cls_weight`` times the
    cross entropy of its scores plus ``iou_weight`` times -log IoU of its predicted box. k is the
    sum of the ``candidate_topk`` largest IoUs of candidates, cut to a whole number, at least 1. A
    prior that several boxes claim goes to the one it costs least.

    The authors' code differs where a box has fewer than k candidates, or a prior is claimed twice:
    there a box may get candidates of others, whose IoUs count in k too, and a prior a box that does not claim it.
    ``share_candidates`` does the same.

    Memory: O(A * (``chunk_size`` + K)), whatever the number of boxes.

    Args:
        center_radius: Half-side of the square around a box's centre, in strides.
        candidate_topk: Largest IoUs whose sum is k.
        iou_weight, cls_weight: Weights in the cost.
        share_candidates: Whether to decide as the authors' code and MMDetection.
        eps: Added to an IoU before its logarithm; the authors' code has 1e-8, MMDetection 1e-7.
        with_quality: Whether a score is the geometric mean of those of class and predicted quality, as in YOLOX, whose
            quality is objectness.
        **options: Of :class:`~rdet.models.assigners.base.Assigner`.
    """

    def __init__(
        self,
        center_radius: Positive = 2.5,
        candidate_topk: Count = 10,
        iou_weight: NotNegative = 3.0,
        cls_weight: NotNegative = 1.0,
        share_candidates: bool = False,
        eps: Positive = 1e-8,
        with_quality: bool = False,
        **options: Any,
    ):
        super().__init__(**options)
        if center_radius <= 0 or candidate_topk < 1:
            raise ValueError(
                f"expected center_radius > 0 and candidate_topk >= 1, got {center_radius} and {candidate_topk}"
            )
        if iou_weight < 0 or cls_weight < 0:
            raise ValueError(f"expected iou_weight >= 0 and cls_weight >= 0, got {iou_weight} and {cls_weight}")
        self.center_radius = center_radius
        self.candidate_topk = candidate_topk
        self.iou_weight = iou_weight
        self.cls_weight = cls_weight
        self.share_candidates = share_candidates
        self.eps = eps
        self.with_quality = with_quality

    def most_positives(self, batch: MatchBatch) -> int:
        return len(batch.truth.boxes) * self.candidate_topk

    def assign(self, image: MatchImage) -> Tensor:
        scores = image.scores
        if self.with_quality:
            scores = (scores * image.quality_scores[:, None]).sqrt()
        return self(image.priors, image.boxes, image.labels, scores, image.predicted, image.level_lengths)

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
        """Assign the priors of one image (YOLOX, section 2.1).

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
        centers, predicted = box_centers(priors), predicted.float()
        strides = strides_of(priors, level_lengths)
        nothing = negative_log(1 - scores.float()).sum(dim=1)  # (A,) cross entropy if there were no object
        starts = range(0, len(boxes), self.chunk_size)
        of_any = torch.zeros_like(strides, dtype=torch.bool)  # (A,) whether it is a candidate
        if self.share_candidates:
            for start in starts:
                inside, near = self._where(centers, boxes[start : start + self.chunk_size], strides)
                of_any |= (inside | near).any(dim=0)
        for start in starts:
            chunk, classes = (values[start : start + self.chunk_size] for values in (boxes, labels))
            inside, near = self._where(centers, chunk, strides)  # (chunk, A)
            iou = torch.where(inside | near | of_any, box_iou(chunk, predicted), 0)
            count = dynamic_count(iou, self.candidate_topk)

            score = scores[:, classes].T.float()
            cls_cost = nothing + negative_log(score) - negative_log(1 - score)
            cost = self.cls_weight * cls_cost + self.iou_weight * -(iou + self.eps).log()
            if self.share_candidates:
                shared.add(cost + (~(inside & near)) * _FAR, of_any, count, start)
                continue
            # In (0, 1] if inside and near, in (-1, 0] if one of them: falls with the cost.
            value = 1 / (1 + cost.clamp(min=0)) - (inside ^ near).float()
            value = torch.where(inside | near, value, -torch.inf)
            chosen = mark_largest(value, self.candidate_topk, count)
            claims.add(torch.where(chosen, value, -torch.inf), start)
        return shared.boxes if self.share_candidates else claims.boxes

    def _where(self, centers: Tensor, boxes: Tensor, strides: Tensor) -> tuple[Tensor, Tensor]:
        """Tell which centres (A, 2) are inside boxes (B, 4), and which are near their centres: (B, A) each."""
        inside = is_inside(centers, boxes[:, None])
        return inside, is_near(centers, box_centers(boxes)[:, None], self.center_radius * strides)
