"""Adaptive training sample selection."""

import torch
from torch import Tensor

from rdet.models.assigners.atss_rule import ATSSRule
from rdet.registry import MODELS
from rdet.structures.boxes import paired_iou
from rdet.structures.match_batch import MatchBatch, MatchImage


@MODELS.register_module()
class ATSSAssigner(ATSSRule):
    """Rule by which each box sets its own IoU threshold (ATSS, Zhang et al., CVPR 2020, Algorithm 1).

    Candidates of a box are the ``topk`` priors of each level whose centres are nearest to the box's
    centre. A candidate is positive if its IoU with the box is at least the mean plus the standard
    deviation of the candidates' IoUs, and its centre lies inside the box. A prior that several boxes
    claim goes to the one it overlaps most. For the arguments see :class:`~rdet.models.assigners.atss_rule.ATSSRule`.
    """

    most_positives = ATSSRule.most_positives  # of this `assign`, too; a changed one has none by itself

    def assign(self, image: MatchImage) -> Tensor:
        return self(image.priors, image.boxes, image.level_lengths)

    @torch.no_grad()
    def __call__(
        self,
        priors: Tensor,
        boxes: Tensor,
        level_lengths: list[int] | None = None,
    ) -> Tensor:
        """Assign the priors of one image (ATSS, Algorithm 1).

        Args:
            priors: (A, 4) xyxy.
            boxes: (G, 4) xyxy ground truth.
            level_lengths: Priors of each level; None: all are of one level.

        Returns:
            (A,) int64: index of the prior's box, or ``BACKGROUND``.
        """

        def rate(chunk: slice, candidates: Tensor) -> Tensor:
            return paired_iou(priors[candidates], boxes[chunk, None])

        return self.assigned(priors, boxes, level_lengths, rate)

    def claims_of(self, batch: MatchBatch, boxes: Tensor, labels: Tensor, image: Tensor) -> Tensor:
        def rate(candidates: Tensor) -> Tensor:
            return paired_iou(batch.priors[candidates], boxes[:, None])

        return self.claims(batch.priors, boxes, batch.predictions.level_lengths, rate)
