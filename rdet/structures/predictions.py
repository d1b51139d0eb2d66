"""The predictions of a dense head."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor


class DensePredictions(NamedTuple):
    """Predictions at every prior of N images, levels one after the other, P3 first.

    Attributes:
        logits: (N, A, K) class logits.
        deltas: (N, A, D) encoded boxes, those that are detected.
        level_sizes: (height, width) of each level, in cells.
        quality_logits: (N, A) logits of how good each box is (centerness, IoU), or None.
        initial_deltas: (N, A, D) encoded boxes of which ``deltas`` are a refinement, or None.
        priors_per_cell: Priors at a cell of each level; None: the same number on all.
        extra: (N, A, ...) what only the head's ``extra_losses`` reads, or None.
    """

    logits: Tensor
    deltas: Tensor
    level_sizes: list[tuple[int, int]]
    quality_logits: Tensor | None = None
    initial_deltas: Tensor | None = None
    priors_per_cell: list[int] | None = None
    extra: Mapping[str, Tensor] | None = None

    @property
    def level_lengths(self) -> list[int]:
        """Number of priors of each level; they sum to A."""
        cells = [height * width for height, width in self.level_sizes]
        per_cell = self.priors_per_cell or [self.logits.shape[1] // sum(cells)] * len(cells)
        return [count * priors for count, priors in zip(cells, per_cell, strict=True)]

    def of_image(self, index: int) -> "DensePredictions":
        """Return the predictions of one image, as a batch of its own."""
        return self.of_images(slice(index, index + 1))

    def of_images(self, images: slice) -> "DensePredictions":
        """Return the predictions of some images."""
        return self._replace(
            logits=self.logits[images],
            deltas=self.deltas[images],
            quality_logits=None if self.quality_logits is None else self.quality_logits[images],
            initial_deltas=None if self.initial_deltas is None else self.initial_deltas[images],
            extra=None if self.extra is None else {name: value[images] for name, value in self.extra.items()},
        )
