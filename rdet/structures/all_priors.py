"""All priors of a batch, as a classification loss sees them."""

from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from rdet.errors import ConfigError
from rdet.structures.ground_truth import GroundTruth
from rdet.structures.matches import Matches
from rdet.structures.positives import Positives
from rdet.structures.predictions import DensePredictions


class AllPriors:
    """Every prior of N images: positives, background and those that take no part.

    Args:
        predictions: Of N images.
        priors: (A, 4).
        matches: The positives and what takes no part, on the device of the predictions.
        truth: Ground truth of the N images.
        positives: The same positives, for their quality.

    Attributes:
        logits: (N, A, K) class logits.
        priors: (A, 4) xyxy, the same for all images.
        positives: Those of the priors that are matched to a box.
    """

    def __init__(
        self,
        predictions: DensePredictions,
        priors: Tensor,
        matches: Matches,
        truth: GroundTruth,
        positives: Positives,
    ):
        self._matches = matches
        self._truth = truth
        self._predictions = predictions
        self.positives = positives
        self.logits = predictions.logits
        self.priors = priors

    @property
    def level_lengths(self) -> list[int]:
        """Number of priors of each level; they sum to A."""
        return self._predictions.level_lengths

    @cached_property
    def labels(self) -> Tensor:
        """(N, A) int64, a class, ``BACKGROUND`` or ``IGNORE``."""
        gt_labels = self._truth.labels.to(self.priors.device, non_blocking=True)
        return self._matches.labels(gt_labels, len(self._truth.counts), len(self.priors))

    @cached_property
    def quality(self) -> Tensor:
        """(N, A) float32 in [0, 1], how good each positive is; 0 elsewhere."""
        quality = self.positives.quality
        if self._matches.counted is not None:  # repeats say the same of the first; without any, there is no positive
            quality = torch.where(self._matches.counted[:1], quality, 0)
        index = (self.positives.image, self.positives.prior)
        return quality.new_zeros(self.labels.shape).index_put(index, quality)

    def at_positives(self, loss: Tensor) -> Tensor:
        """Put a loss (P,) of the positives at their priors: (N, A), 0 elsewhere."""
        index = (self.positives.image, self.positives.prior)
        counted = loss * self.positives.weight  # a repeat adds 0
        return counted.new_zeros(self.labels.shape).index_put(index, counted, accumulate=True)

    def of_objects(self) -> "AllPriors":
        """Show the same priors with one class, object: its logits are those of the head's quality branch.

        Raises:
            ConfigError: The head has no such branch.
        """
        if self._predictions.quality_logits is None:
            raise ConfigError("model.bbox_head predicts no quality, which model.loss_obj needs")
        predictions = self._predictions._replace(logits=self._predictions.quality_logits[..., None])
        truth = replace(self._truth, labels=torch.zeros_like(self._truth.labels))
        return AllPriors(predictions, self.priors, self._matches, truth, self.positives)
