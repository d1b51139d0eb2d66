"""Base of dense heads."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn

from rdet.structures import DensePredictions
from rdet.structures.positives import Positives


class BaseDenseHead(nn.Module, ABC):
    """Base of networks that predict classes and boxes at each prior of a pyramid.

    Attributes:
        encoding: What its numbers of a box can be, if not any: the detector refuses a coder of another encoding.
    """

    encoding: str | None = None

    if TYPE_CHECKING:

        def __call__(self, levels: list[Tensor]) -> DensePredictions: ...

    @abstractmethod
    def forward(self, levels: list[Tensor]) -> DensePredictions:
        """Predict: list of L maps (N, C, H_l, W_l) -> predictions in the order of the priors."""

    def extra_losses(self, predictions: DensePredictions, positives: Positives) -> dict[str, Tensor]:
        """Compute losses that no slot of the model has: name, in which ``loss`` occurs -> scalar.

        Args:
            predictions: What :meth:`forward` returned; ``extra`` has what the head wants to find here.
            positives: The priors that are matched to a box.
        """
        return {}
