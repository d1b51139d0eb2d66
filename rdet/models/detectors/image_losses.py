"""Losses of images one by one, from which those of a whole data set follow."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from rdet.models.detectors.base_criterion import BaseCriterion, ExtraLosses
from rdet.models.detectors.criterion import DenseCriterion
from rdet.models.detectors.phases import PhasedCriterion
from rdet.processes import each_process_alone
from rdet.structures import DensePredictions, DetDataSample
from rdet.structures.ground_truth import GroundTruth
from rdet.structures.matches import Matches
from rdet.structures.positives import Coder


class ImageLosses(NamedTuple):
    """Losses of N images as parts of their common loss, which is the sum of the losses over the sum of the counts.

    Attributes:
        losses: Name -> (N,).
        counts: (N,) what each image adds to the divisor.
    """

    losses: dict[str, Tensor]
    counts: Tensor


@torch.no_grad()
def image_losses(
    criterion: DenseCriterion | PhasedCriterion,
    match: Callable[[DensePredictions, Tensor, GroundTruth], Matches],
    predictions: DensePredictions,
    priors: Tensor,
    data_samples: list[DetDataSample],
    coder: Coder,
    extra_losses: ExtraLosses | None,
) -> ImageLosses:
    """Compute the losses of each image as a batch of its own, without other images and processes.

    Args:
        criterion: In the mode of evaluation, so that a normalizer that keeps a mean leaves it as it is.
        match: Predictions, priors and truth -> matches.
        predictions: Of N images.
        priors: (A, 4) xyxy.
        data_samples: N samples with their ground truth.
        coder: Of the boxes.
        extra_losses: Those of the head.
    """
    normalizer = (criterion.current if isinstance(criterion, PhasedCriterion) else criterion).normalizer
    asked: BaseCriterion = criterion
    losses, counts = [], []
    with each_process_alone():
        for index, sample in enumerate(data_samples):
            truth = GroundTruth.of_samples([sample])
            of_image = predictions.of_image(index)
            matches = match(of_image, priors, truth)
            found = asked(of_image, priors, matches, truth, coder, extra_losses)
            counted = matches.counted
            positives = (counted.sum() if counted is not None else priors.new_tensor(len(matches.prior))).float()
            share, count = normalizer.parts_of_image(positives)
            losses.append({name: value * share for name, value in found.items()})
            counts.append(count)
    return ImageLosses({name: torch.stack([one[name] for one in losses]) for name in losses[0]}, torch.stack(counts))
