"""Assignment by the cost of predictions, as many to each box as predict it well."""

from typing import Any

import torch
from torch import Tensor

from rdet.models.assigners.costs import negative_log
from rdet.models.assigners.dynamic_count import DynamicCountAssigner
from rdet.models.assigners.geometry import box_centers, is_inside, is_near, strides_of
from rdet.registry import MODELS
from rdet.schema import Count, NotNegative, Positive
from rdet.structures.match_batch import MatchImage


@MODELS.register_module()
class SimOTAAssigner(DynamicCountAssigner):
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

    most_positives = DynamicCountAssigner.most_positives  # of this `assign`, too; a changed one has none by itself

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
        super().__init__(candidate_topk, share_candidates, **options)
        if center_radius <= 0 or candidate_topk < 1:
            raise ValueError(
                f"expected center_radius > 0 and candidate_topk >= 1, got {center_radius} and {candidate_topk}"
            )
        if iou_weight < 0 or cls_weight < 0:
            raise ValueError(f"expected iou_weight >= 0 and cls_weight >= 0, got {iou_weight} and {cls_weight}")
        self.center_radius = center_radius
        self.iou_weight = iou_weight
        self.cls_weight = cls_weight
        self.eps = eps
        self.with_quality = with_quality

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
        strides = strides_of(priors, level_lengths)
        nothing = negative_log(1 - scores.float()).sum(dim=1)  # (A,) cross entropy if there were no object

        def cost_of(chunk: slice, iou: Tensor) -> Tensor:
            score = scores[:, labels[chunk]].T.float()
            cls_cost = nothing + negative_log(score) - negative_log(1 - score)
            return self.cls_weight * cls_cost + self.iou_weight * -(iou + self.eps).log()

        return self.assigned(priors, boxes, predicted, strides, cost_of)

    def candidates_of(self, centers: Tensor, boxes: Tensor, strides: Tensor) -> tuple[Tensor, Tensor]:
        inside = is_inside(centers, boxes[:, None])
        near = is_near(centers, box_centers(boxes)[:, None], self.center_radius * strides)
        return inside | near, inside & near
