"""Base of dense heads."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn

from rdet.structures import DensePredictions
from rdet.structures.positives import Positives


class BaseDenseHead(nn.Module, ABC):
    """Base of networks that predict classes and boxes at each prior of a pyramid.

    Attributes:
        encoding: The only encoding of boxes that it can predict; None: any. The detector refuses coders of others.
        width_of_each_level: Whether its ``in_channels`` is a list, of levels that may differ; else one number.
    """

    encoding: str | None = None
    width_of_each_level: bool = False

    if TYPE_CHECKING:

        def __call__(self, levels: list[Tensor]) -> DensePredictions: ...

    @abstractmethod
    def forward(self, levels: list[Tensor]) -> DensePredictions:
        """Predict classes and boxes from L maps (N, C, H_l, W_l), in the order of the priors."""

    @property
    def has_extra_losses(self) -> bool:
        """Whether :meth:`extra_losses` is asked for; a head may have some in a part of a training alone."""
        return getattr(self.extra_losses, "__func__", None) is not BaseDenseHead.extra_losses

    def extra_losses(self, predictions: DensePredictions, positives: Positives, divisor: Tensor) -> dict[str, Tensor]:
        """Compute losses that no slot of the model has.

        Args:
            predictions: Returned by :meth:`forward`; ``extra`` has what the head put there for this.
            positives: The priors that are matched to a box.
            divisor: (N,), by which the losses of the positives of each image are divided:
                ``(loss / divisor[positives.image]).sum()`` of a loss (P,).

        Returns:
            Name, which contains ``loss`` and is not that of a slot, -> scalar.
        """
        return {}
