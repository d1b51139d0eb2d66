"""What a dense head predicts."""

from typing import NamedTuple

from torch import Tensor


class DensePredictions(NamedTuple):
    """Predictions at every prior of N images, levels one after the other, P3 first.

    Attributes:
        logits: (N, A, K) class logits.
        deltas: (N, A, D) encoded boxes.
        level_sizes: (height, width) of each level, in cells.
        quality: (N, A) logits of how good each box is (centerness, IoU), or None.
    """

    logits: Tensor
    deltas: Tensor
    level_sizes: list[tuple[int, int]]
    quality: Tensor | None = None

    @property
    def level_lengths(self) -> list[int]:
        """Number of priors of each level; they sum to A."""
        cells = [height * width for height, width in self.level_sizes]
        return [count * (self.logits.shape[1] // sum(cells)) for count in cells]
