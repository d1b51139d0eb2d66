"""Bases of losses: which tensors a loss compares, and where the detector takes them from.

A loss is called with plain tensors, in a notebook too. The detector calls :meth:`of`, which takes these tensors from
what is known of the batch (:mod:`rdet.structures.all_priors`, :mod:`rdet.structures.positives`). Losses give one number
for each prior and do not average.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn

from rdet.structures.all_priors import AllPriors
from rdet.structures.positives import Positives


class ClassificationLoss(nn.Module, ABC):
    """Base of losses of all priors.

    Attributes:
        needs_quality: Whether it reads the quality of the positives.
    """

    needs_quality = False

    @abstractmethod
    def of(self, priors: AllPriors) -> Tensor:
        """Compute the loss of each prior of N images: (N, A), 0 where the label is ``IGNORE``."""

    def binary_logits(self, logits: Tensor) -> Tensor:
        """Turn logits (..., K) into logits (..., K) whose sigmoid is the probability; default: leave them."""
        return logits


class HardTargetLoss(ClassificationLoss):
    """Base of losses whose target is the class: logits (..., K), labels (...,) -> (...,)."""

    if TYPE_CHECKING:

        def __call__(self, logits: Tensor, labels: Tensor) -> Tensor: ...

    @abstractmethod
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss of each prior: logits (..., K), labels (...,) int64 -> (...,), 0 at ``IGNORE``."""

    def of(self, priors: AllPriors) -> Tensor:
        return self(priors.logits, priors.labels)


class SoftTargetLoss(ClassificationLoss):
    """Base of losses whose target at the class is the quality: logits (..., K), labels, quality (...,) -> (...,)."""

    needs_quality = True

    if TYPE_CHECKING:

        def __call__(self, logits: Tensor, labels: Tensor, quality: Tensor) -> Tensor: ...

    @abstractmethod
    def forward(self, logits: Tensor, labels: Tensor, quality: Tensor) -> Tensor:
        """Compute the loss of each prior: logits (..., K), labels (...,) int64, quality (...,) in [0, 1] -> (...,)."""

    def of(self, priors: AllPriors) -> Tensor:
        return self(priors.logits, priors.labels, priors.quality)


class PositiveLoss(nn.Module, ABC):
    """Base of losses of the positives.

    Attributes:
        needs_quality: Whether it reads their quality.
    """

    needs_quality = False

    @abstractmethod
    def of(self, positives: Positives) -> Tensor:
        """Compute the loss of each positive: (P,)."""


class EncodedBoxLoss(PositiveLoss):
    """Base of losses on encoded boxes: deltas (P, D), target_deltas (P, 4) -> (P,).

    Attributes:
        encoding: The only encoding of boxes that it compares; None: any.
    """

    encoding: str | None = None

    if TYPE_CHECKING:

        def __call__(self, deltas: Tensor, target_deltas: Tensor) -> Tensor: ...

    @abstractmethod
    def forward(self, deltas: Tensor, target_deltas: Tensor) -> Tensor:
        """Compute the loss of each positive: deltas (P, D), target_deltas (P, 4) -> (P,)."""

    def of(self, positives: Positives) -> Tensor:
        return self(positives.deltas, positives.target_deltas)


class DecodedBoxLoss(PositiveLoss):
    """Base of losses on decoded boxes: predicted (P, 4), boxes (P, 4), both xyxy -> (P,)."""

    if TYPE_CHECKING:

        def __call__(self, predicted: Tensor, boxes: Tensor) -> Tensor: ...

    @abstractmethod
    def forward(self, predicted: Tensor, boxes: Tensor) -> Tensor:
        """Compute the loss of each positive: predicted (P, 4), boxes (P, 4), both xyxy -> (P,)."""

    def of(self, positives: Positives) -> Tensor:
        return self(positives.predicted, positives.boxes)


class QualityLoss(PositiveLoss):
    """Base of losses of the head's quality branch: quality_logits (P,), quality (P,) in [0, 1] -> (P,)."""

    needs_quality = True

    if TYPE_CHECKING:

        def __call__(self, quality_logits: Tensor, quality: Tensor) -> Tensor: ...

    @abstractmethod
    def forward(self, quality_logits: Tensor, quality: Tensor) -> Tensor:
        """Compute the loss of each positive: quality_logits (P,), quality (P,) in [0, 1] -> (P,)."""

    def of(self, positives: Positives) -> Tensor:
        return self(positives.quality_logits, positives.quality)
