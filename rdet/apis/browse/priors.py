"""Which priors a detector trains on which objects.

A priors of all levels, G objects of an image.
"""

import copy
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from torch import nn

from rdet.models.detectors.one_stage_detector import made_of_parts
from rdet.models.detectors.phases import PhasedAssigner
from rdet.structures import DensePredictions
from rdet.structures.ground_truth import GroundTruth
from rdet.visualization.sample import Sample


class Level(NamedTuple):
    """The priors of one level that are not background.

    Attributes:
        stride: Of the level, in pixels.
        positives: (P, 4) xyxy.
        objects: (P,) which of the G objects each of those is trained on.
        ignored: (M, 4) xyxy, priors that are neither positive nor background.
    """

    stride: int
    positives: np.ndarray
    objects: np.ndarray
    ignored: np.ndarray


class PriorMatcher:
    """Matches priors to the objects of an image as the detector does in training.

    The network runs only if the assigner reads predictions; else the shapes of its maps are enough.

    Args:
        model: The detector. It is not changed.
        epoch: Counted from 0; detectors may match otherwise in their first ones.

    Attributes:
        reads_predictions: Whether the assigner has read predictions so far.
    """

    def __init__(self, model: nn.Module, epoch: int):
        self.model = copy.deepcopy(made_of_parts(model, "matching priors to objects")).eval()
        for module in self.model.modules():
            if hasattr(module, "set_epoch"):
                module.set_epoch(epoch)
        self.reads_predictions = False
        self._network_of_shapes: torch.nn.Module | None = None

    @property
    def assigner(self) -> str:
        """What the assigner of the epoch is called."""
        assigner = self.model.assigner
        if isinstance(assigner, PhasedAssigner):
            assigner = assigner.initial if assigner.phase.is_initial else assigner.later
        return type(assigner).__name__

    @torch.no_grad()
    def levels(self, sample: Sample) -> list[Level]:
        """Match the priors to the objects of one image."""
        model = self.model
        data = copy.deepcopy(sample.data)
        batch = model.data_preprocessor({"inputs": [sample.inputs], "data_samples": [data]}, True)
        predictions = _OnDemand(self._shapes(batch["inputs"]), partial(model, batch["inputs"]))
        priors = model.anchor_generator(predictions.level_sizes, batch["inputs"].device)
        truth = GroundTruth.of_samples(batch["data_samples"])
        matches = model.match(cast("DensePredictions", predictions), priors, truth).without_repeats()
        self.reads_predictions |= predictions.were_read
        ignored = matches.ignored.nonzero()[:, 0] if matches.ignored.dtype == torch.bool else matches.ignored
        ends = np.cumsum(predictions.level_lengths)
        boxes, positive, gt_index = priors.cpu().numpy(), matches.prior.cpu().numpy(), matches.gt_index.cpu().numpy()
        left_out = ignored.cpu().numpy()
        levels = []
        for stride, begin, end in zip(model.anchor_generator.strides, [0, *ends[:-1]], ends, strict=True):
            here = (positive >= begin) & (positive < end)
            out = left_out[(left_out >= begin) & (left_out < end)]
            levels.append(Level(stride, boxes[positive[here]], gt_index[here], boxes[out]))
        return levels

    def _shapes(self, inputs: torch.Tensor) -> DensePredictions:
        """Return predictions without numbers, if the network can run without; else with them."""
        if self._network_of_shapes is None:
            self._network_of_shapes = copy.deepcopy(self.model).to("meta")
        try:
            return cast("DensePredictions", self._network_of_shapes(inputs.to("meta")))
        except (RuntimeError, NotImplementedError):  # a network that asks what numbers are
            return cast("DensePredictions", self.model(inputs))


class _OnDemand:
    """Stands for predictions that are computed when they are first read."""

    def __init__(self, shapes: DensePredictions, run: Callable[[], Any]):
        self.level_sizes = shapes.level_sizes
        self.level_lengths = shapes.level_lengths
        self.priors_per_cell = shapes.priors_per_cell
        self.were_read = False
        self._run = run

    @cached_property
    def _numbers(self) -> DensePredictions:
        self.were_read = True
        return cast("DensePredictions", self._run())

    def __getattr__(self, name: str) -> Any:
        if name not in DensePredictions._fields:
            raise AttributeError(name)
        return getattr(self._numbers, name)
