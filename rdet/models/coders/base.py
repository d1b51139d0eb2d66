"""Base of box coders."""

from abc import ABC, abstractmethod

from torch import Tensor


class BBoxCoder(ABC):
    """Base of encodings of a box relative to a prior.

    Attributes:
        box_dim: Numbers that encode one box, D.
        encoding: Name of the encoding; a head that predicts one encoding alone refuses coders of others.
    """

    box_dim: int
    encoding: str

    @abstractmethod
    def encode(self, priors: Tensor, boxes: Tensor) -> Tensor:
        """Encode (..., 4) boxes relative to (..., 4) priors, both xyxy: (..., 4) numbers that a loss compares."""

    @abstractmethod
    def decode(self, priors: Tensor, deltas: Tensor) -> Tensor:
        """Decode (..., D) deltas relative to (..., 4) priors: (..., 4) boxes, xyxy."""
