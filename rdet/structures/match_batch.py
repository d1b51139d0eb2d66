"""A batch, and one of its images, as an assigner sees them."""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

from rdet.errors import ConfigError
from rdet.structures.ground_truth import GroundTruth
from rdet.structures.predictions import DensePredictions
from rdet.structures.prior_grid import PriorGrid


class MatchBatch:
    """A batch as an assigner sees it. Each value that costs time is computed when it is first read.

    Args:
        predictions: Of the network, N images.
        priors: (A, 4) xyxy.
        truth: Ground truth of the N images.
        make_grid: Describes how the priors lie; None: their generator cannot.
        decode: (A, 4) priors and (A, D) deltas -> (A, 4) boxes.
        binary_logits: (A, K) logits -> (A, K) whose sigmoid is the probability of a class.

    Attributes:
        predictions, priors, truth: As given.
    """

    def __init__(
        self,
        predictions: DensePredictions,
        priors: Tensor,
        truth: GroundTruth,
        make_grid: Callable[[], PriorGrid] | None,
        decode: Callable[[Tensor, Tensor], Tensor],
        binary_logits: Callable[[Tensor], Tensor],
    ):
        self.predictions = predictions
        self.priors = priors
        self.truth = truth
        self._make_grid = make_grid
        self._decode = decode
        self._binary_logits = binary_logits

    @cached_property
    def grid(self) -> PriorGrid | None:
        """How the priors lie; None if their generator does not describe it."""
        return None if self._make_grid is None else self._make_grid()

    def image(self, index: int, within: Tensor | None = None) -> "MatchImage":
        """Show one image.

        Args:
            index: Which of the N.
            within: (A',) int64, sorted, on the host: the priors that it shows; None shows all.
        """
        return MatchImage(self, index, within)

    def scores(self, index: int) -> Tensor:
        """Score the classes at every prior of one image: (A, K) float32 probabilities, without gradient."""
        return self._binary_logits(self.predictions.logits[index].detach()).float().sigmoid()

    def decoded(self, index: int) -> Tensor:
        """Decode the boxes of one image: (A, 4) xyxy, without gradient."""
        return self._decode(self.priors, self.predictions.deltas[index].detach().float())

    def quality_scores(self, index: int) -> Tensor:
        """Score the predicted quality at every prior of one image: (A,) float32 in [0, 1], without gradient.

        Raises:
            ConfigError: The head predicts no quality.
        """
        logits = self.predictions.quality_logits
        if logits is None:
            raise ConfigError("model.bbox_head predicts no quality, which model.assigner needs; set model.loss_obj")
        return logits[index].detach().float().sigmoid()

    @cached_property
    def all_scores(self) -> Tensor:
        """(N, A, K) float32, :meth:`scores` of all images."""
        return self._binary_logits(self.predictions.logits.detach()).float().sigmoid()

    @cached_property
    def all_decoded(self) -> Tensor:
        """(N, A, 4) xyxy, :meth:`decoded` of all images."""
        deltas = self.predictions.deltas.detach().float()
        priors = self.priors.expand(len(deltas), -1, -1).flatten(0, 1)
        decoded: Tensor = self._decode(priors, deltas.flatten(0, 1)).unflatten(0, deltas.shape[:2])
        return decoded


class MatchImage:
    """One image of a :class:`MatchBatch`, on the device of the priors.

    Attributes:
        size, padded_size: (height, width) in pixels, before and after the padding of the image by itself.
    """

    def __init__(self, batch: MatchBatch, index: int, within: Tensor | None):
        self._batch = batch
        self._index = index
        self._within = within
        self.size = batch.truth.image_sizes[index]
        self.padded_size = batch.truth.padded_sizes[index]

    @cached_property
    def priors(self) -> Tensor:
        """(A', 4) xyxy: those that the image shows, mostly all A."""
        return self._shown(self._batch.priors)

    @cached_property
    def level_lengths(self) -> list[int]:
        """How many of the priors are of each level; they sum to A'."""
        lengths = self._batch.predictions.level_lengths
        if self._within is None:
            return lengths
        ends = torch.tensor(lengths).cumsum(0)
        ends = torch.searchsorted(self._within, ends)
        lengths = ends.diff(prepend=ends.new_zeros(1)).tolist()
        return lengths

    @cached_property
    def boxes(self) -> Tensor:
        """(G, 4) xyxy, ground truth of the image."""
        return self._of_image(self._batch.truth.boxes, self._batch.truth.counts)

    @cached_property
    def labels(self) -> Tensor:
        """(G,) int64, classes of the boxes."""
        return self._of_image(self._batch.truth.labels, self._batch.truth.counts)

    @cached_property
    def ignored(self) -> Tensor:
        """(I, 4) xyxy regions that are neither object nor background."""
        return self._of_image(self._batch.truth.ignored, self._batch.truth.ignored_counts)

    @cached_property
    def scores(self) -> Tensor:
        """(A', K) predicted probabilities of the classes, without gradient."""
        return self._shown(self._batch.scores(self._index))

    @cached_property
    def quality_scores(self) -> Tensor:
        """(A',) predicted quality or objectness, in [0, 1], without gradient."""
        return self._shown(self._batch.quality_scores(self._index))

    @cached_property
    def predicted(self) -> Tensor:
        """(A', 4) predicted boxes, xyxy, without gradient."""
        return self._shown(self._batch.decoded(self._index))

    def _shown(self, values: Tensor) -> Tensor:
        return values if self._within is None else values[self._within.to(values.device, non_blocking=True)]

    def _of_image(self, values: Tensor, counts: list[int]) -> Tensor:
        of_image: Tensor = values.split(counts)[self._index]
        return of_image.to(self._batch.priors.device, non_blocking=True)
