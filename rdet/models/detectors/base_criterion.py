"""How a criterion is called."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor, nn

from rdet.structures import DensePredictions
from rdet.structures.ground_truth import GroundTruth
from rdet.structures.matches import Matches
from rdet.structures.positives import Coder, Positives

# (predictions, positives, divisor (N,)) -> name -> scalar
ExtraLosses = Callable[[DensePredictions, Positives, Tensor], dict[str, Tensor]]


class BaseCriterion(nn.Module):
    """Base of what gives the losses of a batch."""

    if TYPE_CHECKING:  # torch does not type what a module is called with

        def __call__(
            self,
            predictions: DensePredictions,
            priors: Tensor,
            matches: Matches,
            truth: GroundTruth,
            coder: Coder,
            extra_losses: ExtraLosses | None = None,
        ) -> dict[str, Tensor]:
            """Compute the losses of a batch: slot of the model, or a name of the head's -> scalar.

            Args:
                predictions: Of N images.
                priors: (A, 4) xyxy.
                matches: Of the priors with the ground truth, on the device of the predictions.
                truth: Ground truth of the N images.
                coder: Of the boxes.
                extra_losses: Those of the head, see :meth:`BaseDenseHead.extra_losses`.
            """
