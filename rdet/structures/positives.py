"""The priors that are matched to a box, as losses, qualities and weights see them."""

from collections.abc import Callable
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from rdet.errors import ConfigError
from rdet.structures.ground_truth import GroundTruth
from rdet.structures.matches import Matches
from rdet.structures.predictions import DensePredictions


class Coder(Protocol):
    """What encodes and decodes boxes relative to priors."""

    def encode(self, priors: Tensor, boxes: Tensor) -> Tensor:
        """Encode boxes (..., 4) relative to priors (..., 4), both xyxy: (..., 4) numbers that a loss compares."""

    def decode(self, priors: Tensor, deltas: Tensor) -> Tensor:
        """Decode deltas (..., D) relative to priors (..., 4): (..., 4) boxes, xyxy."""


class Positives:
    """The P positives of a batch, in the order of :class:`Matches`. Each value is computed when first read, and kept.

    Boxes are xyxy in pixels of the network's input. The head encodes a box in D numbers.

    On a GPU, P may be a limit of the number of positives instead: those that are too many repeat the first, and the
    criterion multiplies what parts give of them by their ``weight``, 0.

    Args:
        predictions: Of N images and A priors.
        priors: (A, 4).
        matches: The positives, on the device of the predictions.
        truth: Ground truth of the N images.
        coder: Of the boxes.
        binary_logits: (..., K) logits -> (..., K) whose sigmoid is the probability of a class.
        quality: Rates positives in [0, 1], (P,); None: no part needs it.

    Attributes:
        image, prior: (P,) int64, the image of each positive, and its index among the A priors.
        gt_index: (P,) int64, the box of each among the ``num_gt`` boxes of the ``num_images`` images.
        weight: (P,) float32, 1; 0 of what repeats another positive to fill up.
        reader: The part that is asked, for messages.
    """

    def __init__(
        self,
        predictions: DensePredictions,
        priors: Tensor,
        matches: Matches,
        truth: GroundTruth,
        coder: Coder,
        binary_logits: Callable[[Tensor], Tensor],
        quality: "Callable[[Positives], Tensor] | None" = None,
    ):
        self._predictions = predictions
        self._priors = priors
        self._matches = matches
        self._truth = truth
        self._coder = coder
        self._binary_logits = binary_logits
        self._quality = quality
        self._is_rated = False
        self.image = matches.image
        self.prior = matches.prior
        self.gt_index = matches.gt_index
        counted = matches.counted
        self.weight = torch.ones_like(matches.prior, dtype=torch.float32) if counted is None else counted.float()
        self.num_gt = len(truth.boxes)
        self.reader = "a part"
        self.num_images = len(truth.counts)

    def without_repeats(self) -> "Positives":
        """Leave out the positives that repeat others, which waits for the device."""
        if self._matches.counted is None:
            return self
        return self._with(self._predictions, self._matches.without_repeats())

    def of_initial_boxes(self) -> "Positives":
        """Show the same positives with the head's first set of boxes in place of the refined one.

        Raises:
            ConfigError: The head predicts one set of boxes.
        """
        if self._predictions.initial_deltas is None:
            raise ConfigError(
                "model.loss_bbox_initial is set, but model.bbox_head predicts one set of boxes; remove it"
            )
        predictions = self._predictions._replace(deltas=self._predictions.initial_deltas)
        return self._with(predictions, self._matches)

    def _with(self, predictions: DensePredictions, matches: Matches) -> "Positives":
        return Positives(
            predictions, self._priors, matches, self._truth, self._coder, self._binary_logits, self._quality
        )

    @cached_property
    def priors(self) -> Tensor:
        """(P, 4) the priors themselves."""
        return self._priors[self.prior]

    @property
    def level_lengths(self) -> list[int]:
        """Number of priors of each level; they sum to A."""
        return self._predictions.level_lengths

    @cached_property
    def level(self) -> Tensor:
        """(P,) int64, the level of each, from 0."""
        ends = torch.tensor(self.level_lengths).cumsum(0).to(self.prior.device, non_blocking=True)
        return torch.searchsorted(ends, self.prior, right=True)

    @cached_property
    def boxes(self) -> Tensor:
        """(P, 4) the ground truth box of each."""
        return self._truth.boxes.to(self.prior.device, non_blocking=True)[self.gt_index]

    @cached_property
    def labels(self) -> Tensor:
        """(P,) int64, the class of that box."""
        return self._truth.labels.to(self.prior.device, non_blocking=True)[self.gt_index]

    @cached_property
    def image_sizes(self) -> Tensor:
        """(P, 2) float32, height and width of the image of each, before padding."""
        sizes = torch.tensor(self._truth.image_sizes, dtype=torch.float32)
        return sizes.to(self.prior.device, non_blocking=True)[self.image]

    @cached_property
    def deltas(self) -> Tensor:
        """(P, D) what the head predicts."""
        return self._predictions.deltas[self.image, self.prior]

    @cached_property
    def target_deltas(self) -> Tensor:
        """(P, 4) the ground truth box as the coder encodes it."""
        return self._coder.encode(self.priors, self.boxes)

    @cached_property
    def predicted(self) -> Tensor:
        """(P, 4) float32, the predicted box, decoded."""
        return self._coder.decode(self.priors, self.deltas.float())

    @cached_property
    def logits(self) -> Tensor:
        """(P, K) class logits."""
        return self._predictions.logits[self.image, self.prior]

    @cached_property
    def class_scores(self) -> Tensor:
        """(P, K) float32, probabilities of all classes, without gradient."""
        return self._binary_logits(self.logits.detach()).float().sigmoid()

    @cached_property
    def scores(self) -> Tensor:
        """(P,) probability of the box's class, without gradient."""
        return self.class_scores.gather(1, self.labels[:, None]).squeeze(1)

    @cached_property
    def max_scores(self) -> Tensor:
        """(P,) largest probability over all classes, without gradient."""
        return self.class_scores.amax(dim=1)

    @cached_property
    def quality(self) -> Tensor:
        """(P,) in [0, 1], how good each positive is by ``model.quality``, without gradient.

        Raises:
            ConfigError: No part declares that it needs the quality, or the quality itself reads it.
        """
        if self._quality is None:
            raise ConfigError(
                f"{self.reader} reads the quality without saying so: set `needs_quality = True` on its class"
            )
        if self._is_rated:  # without the check, this would ask itself without end
            raise ConfigError("model.quality reads the quality, which it is itself")
        self._is_rated = True
        return self._quality(self).detach()

    @cached_property
    def quality_logits(self) -> Tensor:
        """(P,) logits of the head's quality branch, which exists if the model has a ``loss_quality``.

        Raises:
            ConfigError: The head predicts no quality.
        """
        if self._predictions.quality_logits is None:
            raise ConfigError("model.bbox_head predicts no quality, which a loss of the model needs")
        return self._predictions.quality_logits[self.image, self.prior]
