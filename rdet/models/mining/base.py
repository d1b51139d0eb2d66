"""Base of rules that choose the priors to train on."""

from abc import ABC, abstractmethod

from torch import Tensor


class Mining(ABC):
    """Base of rules that choose the priors whose classification is trained.

    Attributes:
        counts_chosen: Whether the loss is divided by the number of the chosen; else as without the rule.
    """

    counts_chosen: bool = True

    @abstractmethod
    def __call__(self, losses: Tensor, labels: Tensor, priors: Tensor) -> Tensor:
        """Choose priors of one image.

        Args:
            losses: (A,) classification loss of each prior, without gradient.
            labels: (A,) int64 class, ``BACKGROUND`` or ``IGNORE``; the last are never chosen.
            priors: (A, 4) xyxy.

        Returns:
            (A,) bool.
        """
