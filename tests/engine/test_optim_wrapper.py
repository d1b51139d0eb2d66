"""How an optimizer computes its step is chosen by the device, and is no part of a run's state."""

import copy

import pytest
import torch
from torch import nn

from rdet.checkpoint import read_checkpoint
from rdet.engine.optim_wrapper import OptimWrapper, fused_on_a_gpu

SGD = {"type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2}
ADAMW = {"type": "AdamW", "lr": 1e-3, "weight_decay": 1e-2}


@pytest.mark.parametrize("config", [SGD, ADAMW])
def test_a_fused_step_is_the_plain_one(config):
    assert fused_on_a_gpu(config, "cpu") == config
    fused = fused_on_a_gpu(config, "cuda")
    assert fused == {**config, "fused": True}
    torch.manual_seed(0)
    one = nn.Sequential(nn.Linear(5, 7), nn.Linear(7, 3))
    other = copy.deepcopy(one)
    optimizers = []
    for network, options in ((one, config), (other, fused)):
        options = {key: value for key, value in options.items() if key != "type"}
        optimizers.append(getattr(torch.optim, config["type"])(network.parameters(), **options))
    for step in range(5):
        batch = torch.randn(4, 5, generator=torch.Generator().manual_seed(step))
        for network, optimizer in zip((one, other), optimizers, strict=True):
            network(batch).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    for weight, expected in zip(other.parameters(), one.parameters(), strict=True):
        torch.testing.assert_close(weight, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "config",
    [{**SGD, "fused": False}, {**ADAMW, "foreach": True}, {"type": "LBFGS"}, {"type": "Lion"}, {"type": "Adadelta"}],
)
def test_what_a_config_says_or_torch_lacks_stays(config):
    assert fused_on_a_gpu(config, "cuda") == config


def test_a_state_is_loaded_whatever_way_it_was_computed():
    weight = nn.Parameter(torch.ones(3))
    plain, fused = (OptimWrapper(torch.optim.AdamW([weight], fused=way)) for way in (None, True))
    weight.grad = torch.ones(3)
    plain.step()
    fused.load_state_dict(plain.state_dict())
    assert fused.optimizer.param_groups[0]["fused"] is True
    plain.load_state_dict(fused.state_dict())
    assert plain.optimizer.param_groups[0]["fused"] is None
    assert torch.equal(fused.optimizer.state[weight]["exp_avg"], plain.optimizer.state[weight]["exp_avg"])


def test_a_run_goes_on_on_another_device(make_runner, tmp_path):
    make_runner(train_cfg__max_iters=1, default_hooks__checkpoint__interval=1).train()
    checkpoint = str(tmp_path / "run" / "iter_1.pth")
    resumed = make_runner(
        work_dir="next", load_from=checkpoint, resume=True, train_cfg__max_iters=2, optim_wrapper__optimizer__fused=True
    )
    resumed.train()
    assert resumed.optim_wrapper.param_groups[0]["fused"] is True
    assert resumed.iter == 2
    assert read_checkpoint(tmp_path / "next" / "iter_2.pth")["optimizer"]["param_groups"][0]["fused"] is True
