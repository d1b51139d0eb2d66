"""The head of YOLOv2, whose boxes are held at their priors at first."""

from typing import Any

import torch
from torch import Tensor

from rdet.models.dense_heads.yolo_head import YOLOHead
from rdet.models.losses.precision import at_least_float32
from rdet.registry import MODELS
from rdet.schema import Natural, NotNegative
from rdet.structures import DensePredictions
from rdet.structures.positives import Positives


@MODELS.register_module()
class YOLOv2Head(YOLOHead):
    """:class:`YOLOHead` with a loss of the boxes without an object in the first iterations, as in darknet.

    Half the squares of the distance of a box from its prior, in the numbers of ``YOLOBBoxCoder``: of the place from the
    middle of the cell, and of the log size from 0. Without a training loop, which says the iteration, there is none.

    Args:
        first_iters: In how many iterations; darknet has it for 12,800 images, 200 batches of 64.
        prior_weight: Factor of the loss.
        **options: Of :class:`YOLOHead`.
    """

    encoding = "cells"

    def __init__(self, first_iters: Natural = 200, prior_weight: NotNegative = 0.01, **options: Any):
        super().__init__(**options)
        self.first_iters = first_iters
        self.prior_weight = prior_weight
        self._iteration: int | None = None

    def set_iteration(self, iteration: int, seed: int) -> None:
        """Say which iteration of a run begins, counted from 0."""
        self._iteration = iteration

    @property
    def has_extra_losses(self) -> bool:
        return self.training and self._iteration is not None and self._iteration < self.first_iters

    def extra_losses(self, predictions: DensePredictions, positives: Positives, divisor: Tensor) -> dict[str, Tensor]:
        """Compute ``loss_prior``, see :meth:`BaseDenseHead.extra_losses`."""
        deltas = at_least_float32(predictions.deltas)
        place, size = deltas[..., :2].sigmoid() - 0.5, deltas[..., 2:]
        loss = torch.cat([place, size], dim=-1).square().sum(dim=-1)  # (N, A)
        loss = loss.index_put((positives.image, positives.prior), loss.new_zeros(()))
        return {"loss_prior": (loss.sum(dim=1) / divisor).sum() * (self.prior_weight / 2)}
