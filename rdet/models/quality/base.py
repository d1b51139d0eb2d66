"""Base of the parts that rate positives."""

from abc import ABC, abstractmethod

from torch import Tensor

from rdet.structures.positives import Positives


class Quality(ABC):
    """Base of parts that give each positive a number: its quality, its weight in a loss, or what it counts.

    Attributes:
        needs_quality: Whether it reads the number of the slot ``quality``.
    """

    needs_quality = False

    @abstractmethod
    def of(self, positives: Positives) -> Tensor:
        """Rate each positive: (P,), at least 0; as ``quality`` in [0, 1]."""
