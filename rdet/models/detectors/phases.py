"""Other matching and losses in the first epochs of a training."""

from typing import Any

from torch import Tensor, nn

from rdet.errors import ConfigError
from rdet.models.assigners.base import Assigner
from rdet.models.detectors.base_criterion import BaseCriterion
from rdet.models.detectors.criterion import DenseCriterion
from rdet.models.losses.base import ClassificationLoss
from rdet.structures.match_batch import MatchBatch
from rdet.structures.matches import Matches


class Phase(nn.Module):
    """Whether a training is in its first epochs. The training loops call :meth:`set_epoch`.

    Args:
        epochs: How many are the first.

    Raises:
        ValueError: ``epochs`` is not a whole number above 0.
    """

    def __init__(self, epochs: int):
        super().__init__()
        if not isinstance(epochs, int) or isinstance(epochs, bool) or epochs < 1:
            raise ValueError(f"model.initial.epochs is {epochs!r}; it must be a whole number of 1 or more")
        self.epochs = epochs
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins, counted from 0."""
        self.epoch = epoch

    @property
    def is_initial(self) -> bool:
        """Whether the epoch is one of the first."""
        return self.epoch < self.epochs


class PhasedAssigner(nn.Module, Assigner):
    """One assigner in the first epochs and another one afterwards; a module, as they may be."""

    def __init__(self, initial: Assigner, later: Assigner, phase: Phase):
        super().__init__()
        self.initial = initial
        self.later = later
        self.phase = phase

    def match(self, batch: MatchBatch) -> Matches:
        return (self.initial if self.phase.is_initial else self.later).match(batch)


class PhasedCriterion(BaseCriterion):
    """The losses of one criterion in the first epochs and those of another one afterwards.

    Raises:
        ConfigError: The two would read other scores from the same logits: a trained detector does not know of epochs.
    """

    def __init__(self, initial: DenseCriterion, later: DenseCriterion, phase: Phase):
        super().__init__()
        losses = initial.loss_cls, later.loss_cls
        if len({type(loss).binary_logits for loss in losses}) > 1:
            first, other = (type(loss).__name__ for loss in losses)
            raise ConfigError(
                f"model.initial.loss_cls: {first} reads other scores from the logits than model.loss_cls, {other}; "
                "take a loss of the same kind"
            )
        self.initial = initial
        self.later = later
        self.phase = phase

    @property
    def current(self) -> DenseCriterion:
        """The criterion of the epoch."""
        return self.initial if self.phase.is_initial else self.later

    @property
    def loss_cls(self) -> ClassificationLoss:
        """The loss of the classes of the epoch."""
        return self.current.loss_cls

    def forward(self, *batch: Any, **named: Any) -> dict[str, Tensor]:
        """Compute the losses of the epoch; see :meth:`BaseCriterion.__call__`, which says what is given."""
        return self.current(*batch, **named)
