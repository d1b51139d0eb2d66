"""Base of the parts that weigh levels."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn

from rdet.structures.positives import Positives


class LevelWeight(nn.Module, ABC):
    """Base of rules for how much the losses of each of the L levels count, by the positives of the levels.

    In a step it is asked once for the losses of the classes and, where the boxes have other positives, once for theirs.
    """

    if TYPE_CHECKING:

        def __call__(self, num_pos: Tensor) -> Tensor: ...

    @abstractmethod
    def forward(self, num_pos: Tensor) -> Tensor:
        """Turn the number of positives of each level (L,) into factors of the level's losses (L,)."""

    def of(self, positives: Positives) -> Tensor:
        """Weigh the levels by positives: (L,)."""
        counts = positives.weight.new_zeros(len(positives.level_lengths))
        return self(counts.index_add(0, positives.level, positives.weight))
