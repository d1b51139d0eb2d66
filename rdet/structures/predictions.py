"""What a dense head predicts."""

from typing import NamedTuple

from torch import Tensor


class DensePredictions(NamedTuple):
    """Predictions at every prior of N images, levels one after the other, P3 first.

    Attributes:
        logits: (N, A, K) class logits.
        deltas: (N, A, D) encoded boxes.
        level_sizes: (height, width) of each level, in cells.
    """

    logits: Tensor
    deltas: Tensor
    level_sizes: list[tuple[int, int]]
