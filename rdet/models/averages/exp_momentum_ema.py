"""An average of weights whose first steps count more."""

import math

import torch
from mmengine.model import ExponentialMovingAverage
from torch import Tensor, nn

from rdet.registry import MODELS
from rdet.schema import Count, Fraction, NotNegative


@MODELS.register_module()
class ExpMomentumEMA(ExponentialMovingAverage):
    """Exponential moving average whose momentum falls to its value from 1 (YOLOX, Ge et al., 2021, as in its code).

    After t steps, average = (1 - m) * average + m * weights with m = (1 - momentum) * exp(-(1 + t) / gamma) + momentum.

    Args:
        model: Its weights are averaged.
        momentum: What m falls to.
        gamma: How slowly it falls, in steps.
        interval: Steps between two updates.
        device: Where the average is kept; None: where the model is.
        update_buffers: Whether buffers are averaged too.

    Raises:
        ValueError: ``gamma`` is not positive.
    """

    def __init__(
        self,
        model: nn.Module,
        momentum: Fraction = 0.0002,
        gamma: NotNegative = 2000,
        interval: Count = 1,
        device: torch.device | None = None,
        update_buffers: bool = False,
    ):
        super().__init__(model, momentum, interval, device, update_buffers)
        if gamma <= 0:
            raise ValueError(f"EMAHook.gamma is {gamma}; it must be positive")
        self.gamma = gamma

    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: int) -> None:
        momentum = (1 - self.momentum) * math.exp(-(1 + float(steps)) / self.gamma) + self.momentum
        averaged_param.lerp_(source_param, momentum)
