"""What steps log is read when it is needed, and not before."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rdet.engine.step_values import PendingValues, StepValues


def test_values_are_read_together_with_all_their_digits():
    pending = PendingValues()
    assert pending.take() == []
    values = {"loss": torch.tensor(1 / 3), "loss_cls": torch.tensor(0.1)}
    pending.add(4, values, {"grad_norm": torch.tensor(0.7)})
    pending.add(5, {"loss": torch.tensor(2.0), "accuracy": 50.0})
    assert len(pending) == 2
    numbers = {"loss": torch.tensor(1 / 3).item(), "loss_cls": torch.tensor(0.1).item()}
    assert pending.take() == [
        StepValues(4, numbers, numbers, {"grad_norm": torch.tensor(0.7).item()}),
        StepValues(5, {"loss": 2.0, "accuracy": 50.0}, {"loss": 2.0, "accuracy": 50.0}, {}),
    ]
    assert pending.take() == []


class Reads(TorchDispatchMode):
    """Counts what has the host wait for a device: numbers read from tensors, and shapes that depend on them."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name()
        by_mask = name == "aten::index.Tensor" and any(x is not None and x.dtype == torch.bool for x in args[1])
        if by_mask or name in ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::is_nonzero"):
            self.names.append(name)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("optim_wrapper", ["OptimWrapper", "AmpOptimWrapper"])
def test_twenty_steps_are_read_once(make_runner, optim_wrapper, monkeypatch):
    """The loop, its hooks and the optimizer; the network is one number, that no part of it looks at others."""
    options = {"default_hooks__runtime_info": {"type": "RuntimeInfoHook", "interval": 20}}
    options |= {"default_hooks__logger__interval": 1000, "optim_wrapper__clip_grad": {"max_norm": 1.0}}
    options |= {"train_cfg__max_iters": 24, "train_cfg__val_begin": 999, "default_hooks__checkpoint__interval": 24}
    runner = make_runner(optim_wrapper__type=optim_wrapper, **options)
    weight = next(runner.model.bbox_head.parameters())
    expected, taken = [], []

    def forward(inputs, data_samples, mode):
        losses = {"loss_cls": weight.square().sum(), "loss_bbox": inputs.mean() * weight.sum()}
        with torch.utils._python_dispatch._disable_current_modes():
            expected.append({name: value.item() for name, value in losses.items()})
        return losses

    take = PendingValues.take

    def counted(pending):
        taken.append((runner.iter, len(pending)))
        return take(pending)

    monkeypatch.setattr(runner.model, "forward", forward)
    monkeypatch.setattr(PendingValues, "take", counted)
    run_iter, reads = runner.train_loop.run_iter, Reads()

    def watched(batch):
        with reads:
            run_iter(batch)

    monkeypatch.setattr(runner.train_loop, "run_iter", watched)
    runner.train()
    assert taken == [(19, 20), (23, 4)]
    assert reads.names == []
    hub = runner.message_hub
    for name in ("loss_cls", "loss_bbox"):
        assert hub.get_scalar(f"train/{name}").data[0].tolist() == [values[name] for values in expected][-10:]
    assert len(hub.get_scalar("train/grad_norm").data[0]) == 10


def test_a_check_of_losses_that_nobody_gives_is_an_error(make_runner):
    runner = make_runner(default_hooks__runtime_info={"type": "ParamSchedulerHook"})
    with pytest.raises(ValueError, match="runtime_info, which is another hook than RuntimeInfoHook; leave that out"):
        runner.train()
