"""An average of weights whose first steps count more."""

import math

import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from rdet.models.averages.exp_momentum_ema import ExpMomentumEMA


def test_momentum_falls():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = ExpMomentumEMA(model, momentum=0.1, gamma=2.0)
    average.update_parameters(model)  # the first takes the weights as they are
    value = 0.0
    for step in (1, 2, 3):
        nn.init.constant_(model.weight, float(step))
        average.update_parameters(model)
        momentum = 0.9 * math.exp(-(1 + step) / 2.0) + 0.1
        value += momentum * (step - value)
        assert average.module.weight.item() == pytest.approx(value, rel=1e-6)


def test_the_hook_finds_it():
    with DefaultScope.overwrite_default_scope("rdet"):
        average = MODELS.build({"type": "ExpMomentumEMA"}, default_args={"model": nn.Linear(1, 1)})
    assert isinstance(average, ExpMomentumEMA)


def test_gamma_is_positive():
    with pytest.raises(ValueError, match="gamma is 0; it must be positive"):
        ExpMomentumEMA(nn.Linear(1, 1), gamma=0)
    assert torch.is_tensor(ExpMomentumEMA(nn.Linear(1, 1)).steps)
