"""Assignment of RTMDet, by costs whose classes are soft."""

from typing import Any

import torch
from torch import Tensor

from rdet.models.assigners.costs import negative_log
from rdet.models.assigners.dynamic_count import DynamicCountAssigner
from rdet.models.assigners.geometry import box_centers, is_inside, strides_of
from rdet.registry import MODELS
from rdet.schema import Count, NotNegative, Positive
from rdet.structures.match_batch import MatchImage


@MODELS.register_module()
class DynamicSoftLabelAssigner(DynamicCountAssigner):
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

    most_positives = DynamicCountAssigner.most_positives  # of this `assign`, too; a changed one has none by itself

    def __init__(
        self,
        candidate_topk: Count = 13,
        soft_center_radius: Positive = 3.0,
        iou_weight: NotNegative = 3.0,
        eps: Positive = 1e-7,
        share_candidates: bool = False,
        **options: Any,
    ):
        super().__init__(candidate_topk, share_candidates, **options)
        if candidate_topk < 1 or iou_weight < 0:
            raise ValueError(f"expected candidate_topk >= 1 and iou_weight >= 0, got {candidate_topk} and {iou_weight}")
        self.soft_center_radius = soft_center_radius
        self.iou_weight = iou_weight
        self.eps = eps

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
        centers, strides = box_centers(priors), strides_of(priors, level_lengths)
        scores = scores.float()
        no_object = (scores.square() * negative_log(1 - scores)).sum(dim=1)  # (A,) its loss if all targets were 0

        def cost_of(chunk: slice, iou: Tensor) -> Tensor:
            cost = no_object + _soft_label_change(scores[:, labels[chunk]].T, iou)
            cost += self.iou_weight * -(iou + self.eps).log()
            distance = (centers - box_centers(boxes[chunk])[:, None]).norm(dim=2) / strides
            cost += 10 ** (distance - self.soft_center_radius)
            return cost

        return self.assigned(priors, boxes, predicted, strides, cost_of)

    def candidates_of(self, centers: Tensor, boxes: Tensor, strides: Tensor) -> tuple[Tensor, Tensor]:
        inside = is_inside(centers, boxes[:, None])
        return inside, torch.ones_like(inside)


def _soft_label_change(scores: Tensor, target: Tensor) -> Tensor:
    """Compute by how much the quality focal loss of a score changes where its target is not 0: (B, A) each."""
    positive, negative = negative_log(scores), negative_log(1 - scores)
    with_target = (target - scores).square() * (target * positive + (1 - target) * negative)
    return with_target - scores.square() * negative
