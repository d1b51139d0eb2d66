"""Adaptive selection by how well predictions classify and localise."""

from typing import Any

import torch
from torch import Tensor

from rdet.models.assigners.atss_rule import ATSSRule
from rdet.registry import MODELS
from rdet.schema import Fraction
from rdet.structures.boxes import paired_iou
from rdet.structures.match_batch import MatchBatch, MatchImage


@MODELS.register_module()
class AlignedATSSAssigner(ATSSRule):
    """ATSS's rule with ratings of predictions in place of IoUs of priors (DDOD, Chen et al., ACM MM 2021).

    A candidate is rated by s^(1 - ``alpha``) * u^``alpha``, with the score s of the box's class and the IoU u of the
    predicted box. It is positive if that is at least the mean plus the standard deviation of the candidates' ratings,
    and its centre lies inside the box.

    Args:
        alpha: Share of the IoU, from 0 to 1.
        **options: Of :class:`~rdet.models.assigners.atss_rule.ATSSRule`.
    """

    most_positives = ATSSRule.most_positives  # of this `assign`, too; a changed one has none by itself

    def __init__(self, alpha: Fraction = 0.8, **options: Any):
        super().__init__(**options)
        self.alpha = alpha

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
        """Assign the priors of one image.

        Args:
            priors: (A, 4) xyxy.
            boxes: (G, 4) xyxy ground truth.
            labels: (G,) int64, their classes.
            scores: (A, K) probabilities of the classes.
            predicted: (A, 4) xyxy.
            level_lengths: Priors of each level; None: all are of one level.

        Returns:
            (A,) int64: index of the prior's box, or ``BACKGROUND``.
        """

        def rate(chunk: slice, candidates: Tensor) -> Tensor:
            of_class = scores[candidates, labels[chunk, None]]
            return self._rated(of_class, predicted[candidates], boxes[chunk, None])

        return self.assigned(priors, boxes, level_lengths, rate)

    def claims_of(self, batch: MatchBatch, boxes: Tensor, labels: Tensor, image: Tensor) -> Tensor:
        def rate(candidates: Tensor) -> Tensor:
            row = image[:, None]
            of_class = batch.all_scores[row, candidates, labels[:, None]]
            return self._rated(of_class, batch.all_decoded[row, candidates], boxes[:, None])

        return self.claims(batch.priors, boxes, batch.predictions.level_lengths, rate)

    def _rated(self, scores: Tensor, predicted: Tensor, boxes: Tensor) -> Tensor:
        """Rate candidates by their scores (B, C) and predicted boxes (B, C, 4); boxes (B, 1, 4)."""
        rated: Tensor = scores.float() ** (1 - self.alpha) * paired_iou(predicted.float(), boxes) ** self.alpha
        return rated
