"""When a loop evaluates and stops, and that parts which change with the epochs are told which one it is."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.runner import ValLoop

from rdet.checkpoint import read_checkpoint
from rdet.engine import loops

INITIAL = {"epochs": 2, "loss_bbox": {"type": "GIoULoss"}}
SCHEDULES = {  # 13 images by two: 7 iterations an epoch
    "iterations": {"train_cfg__max_iters": 18},
    "epochs": {"train_cfg": {"_delete_": True, "by_epoch": True, "max_epochs": 3, "val_interval": 5}},
}


NEWEST = {"iterations": "iter_18.pth", "epochs": "iter_20.pth"}


def recorded(runner) -> list[tuple[int, int, bool]]:
    """Iteration, epoch and whether it is one of the first, at each step of the run."""
    seen = []
    model, phase = runner.model, runner.model.criterion.phase
    train_step = model.train_step

    def step(*args, **kwargs):
        seen.append((runner.iter, phase.epoch, phase.is_initial))
        return train_step(*args, **kwargs)

    model.train_step = step
    runner.train()
    return seen


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_each_iteration_knows_its_epoch_and_a_resumed_one_too(make_runner, tmp_path, schedule):
    overrides = {**SCHEDULES[schedule], "model__initial": INITIAL, "default_hooks__checkpoint__save_last": True}
    whole = recorded(make_runner(work_dir="whole", **overrides))
    last = 18 if schedule == "iterations" else 21
    assert whole == [(i, i // 7, i // 7 < 2) for i in range(last)]
    final = read_checkpoint(tmp_path / "whole" / NEWEST[schedule])["state_dict"]
    # One checkpoint lies within the second epoch, the other after the first phase.
    for done in (10, 15):
        checkpoint, work_dir = str(tmp_path / "whole" / f"iter_{done}.pth"), f"resumed_{done}"
        resumed = recorded(make_runner(work_dir=work_dir, resume=True, load_from=checkpoint, **overrides))
        assert resumed == whole[done:]
        again = read_checkpoint(tmp_path / work_dir / NEWEST[schedule])["state_dict"]
        assert [name for name, value in final.items() if not torch.equal(value, again[name])] == []


def test_a_run_of_phases_is_evaluated_with_the_average_of_its_weights(make_runner, tmp_path):
    """The weights of an evaluation are the averages that the checkpoint of the same iteration holds."""
    runner = make_runner(
        model__initial={**INITIAL, "epochs": 1},
        train_cfg={"_delete_": True, "by_epoch": False, "max_iters": 10, "val_interval": 5},
        custom_hooks=[{"type": "EMAHook", "momentum": 0.1}],
    )
    evaluated = {}
    model, val_step = runner.model, runner.model.val_step

    def step(data):
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        evaluated[runner.iter] = (model.criterion.phase.epoch, weights)
        return val_step(data)

    model.val_step = step
    runner.train()
    assert {done: epoch for done, (epoch, _) in evaluated.items()} == {5: 0, 10: 1}
    for done, (_, weights) in evaluated.items():
        checkpoint = read_checkpoint(tmp_path / "run" / f"iter_{done}.pth")
        for name, value in checkpoint["state_dict"].items():
            assert torch.equal(weights[name], value), name
        raw = checkpoint["ema_state_dict"]["module.bbox_head.conv_reg.weight"]
        assert not torch.equal(raw, weights["bbox_head.conv_reg.weight"])


@pytest.mark.parametrize("by_epoch", [False, True])
@pytest.mark.parametrize(
    ("options", "evaluated"),
    [
        ({"val_interval": 2}, [2, 4, 5]),  # the last too
        ({"val_interval": 2, "val_begin": 3}, [4, 5]),
        ({"val_interval": 3, "dynamic_intervals": [(4, 1)]}, [3, 4, 5]),
        ({"val_interval": 1, "stop": 2}, [1, 2]),
    ],
)
def test_a_loop_evaluates_when_it_shall_and_trains_on(make_runner, monkeypatch, by_epoch, options, evaluated):
    """Each epoch has two iterations."""
    stop, options = options.get("stop"), {key: value for key, value in options.items() if key != "stop"}
    length = {"max_epochs": 5} if by_epoch else {"max_iters": 5}
    runner = make_runner(
        train_cfg={"_delete_": True, "by_epoch": by_epoch, **length, **options}, train_dataloader__batch_size=7
    )
    found, was_training = [], []

    def evaluate(loop):
        loop.runner.model.eval()
        found.append(runner.epoch if by_epoch else runner.iter)
        runner.train_loop.stop_training = found[-1] == stop

    train_step = runner.model.train_step

    def step(*args, **kwargs):
        was_training.append(runner.model.training)
        return train_step(*args, **kwargs)

    runner.model.train_step = step
    monkeypatch.setattr(ValLoop, "run", evaluate)
    runner.train()
    assert found == evaluated
    assert was_training == [True] * (evaluated[-1] * (2 if by_epoch else 1))


def test_what_is_random_in_a_step_follows_from_seed_process_and_iteration():
    def drawn(seed, rank, iteration):
        loops._seed_iteration(SimpleNamespace(runner=SimpleNamespace(seed=seed, rank=rank), iter=iteration))
        return torch.rand(1).item()

    steps = [(3, 0, 5), (4, 0, 5), (3, 1, 5), (3, 0, 6)]
    assert [drawn(*step) for step in steps] == [drawn(*step) for step in steps]
    assert len({drawn(*step) for step in steps}) == len(steps)
