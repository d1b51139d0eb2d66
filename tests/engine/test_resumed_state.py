"""A checkpoint to go on from holds the state of such a run, or the run ends in one line that says where it does not."""

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer, MessageHub

from rdet.checkpoint import read_checkpoint
from rdet.engine.log_processor import LogProcessor
from rdet.errors import CheckpointError

NO_WORKERS = {"train_dataloader__num_workers": 0}


def set_to(value, *path):
    def change(checkpoint):
        for key in path[:-1]:
            checkpoint = checkpoint[key]
        checkpoint[path[-1]] = value

    return change


NAN = float("nan")
CHANGES = [
    (set_to(-1, "meta", "iter"), "its meta.iter is -1, no number of 0 or more"),
    (set_to("5", "meta", "iter"), "its meta.iter is '5', no number"),
    (set_to(900, "meta", "iter"), "its meta.iter is 900, but this run ends after iteration 6"),
    (set_to(2**70, "meta", "epoch"), "its meta.epoch is 1180591620717411303424, no number"),
    (set_to(-3, "meta", "seed"), "its meta.seed is -3, no seed"),
    (set_to(torch.zeros(2, 2), "meta", "seed"), "its meta.seed is tensor"),
    (set_to({"x": 1}, "meta", "data_order"), "its meta.data_order is {'x': 1}"),
    (set_to([], "meta"), "its meta is no dict"),
    (set_to(3, "message_hub"), "its message_hub is no dict"),
    (set_to(3, "message_hub", "log_scalars", "train/loss"), "its message_hub.log_scalars.train/loss is a int"),
    (set_to(False, "message_hub", "resumed_keys", "eta"), "its message_hub.resumed_keys.eta is False"),
    (set_to([], "optimizer", "param_groups"), "its optimizer.param_groups is not of 1 groups"),
    (set_to("fast", "optimizer", "param_groups", 0, "lr"), "its optimizer.param_groups\\[0\\].lr is 'fast', where"),
    (set_to(NAN, "optimizer", "param_groups", 0, "lr"), "its optimizer.param_groups\\[0\\].lr is nan, where"),
    (set_to([0], "optimizer", "param_groups", 0, "params"), "is not the numbers of 20 weights"),
    (set_to({}, "optimizer", "state"), "its optimizer.state is empty, without momentum_buffer"),
    (set_to({}, "optimizer", "state", 3), "its optimizer.state.3.momentum_buffer is not there"),
    (set_to(torch.zeros(2), "optimizer", "state", 3, "momentum_buffer"), "is of the shape \\(2,\\), not"),
    (
        set_to({"momentum_buffer": torch.zeros(1)}, "optimizer", "state", 99),
        "optimizer.state.99 is of no weight of this",
    ),
    (set_to([], "param_schedulers"), "its param_schedulers is not of 1 schedulers"),
    (set_to({}, "param_schedulers", 0), "its param_schedulers\\[0\\] is of another kind: _global_step, "),
    (set_to("x", "param_schedulers", 0, "last_step"), "its param_schedulers\\[0\\].last_step is 'x'"),
    (set_to([], "param_schedulers", 0, "base_values"), "its param_schedulers\\[0\\].base_values is \\[\\]"),
    (set_to({"a": torch.zeros(1)}, "gradients"), "its gradients of backbone.layers.0.weight are of another model"),
]


@pytest.fixture
def checkpoint(make_runner, tmp_path):
    make_runner(train_cfg__max_iters=5, **NO_WORKERS).train()
    return lambda: torch.load(tmp_path / "run/iter_5.pth", weights_only=False)


def test_what_does_not_fit_is_one_line_with_its_place(checkpoint, make_runner, tmp_path):
    path = tmp_path / "odd.pth"
    for number, (change, message) in enumerate(CHANGES):
        content = checkpoint()
        change(content)
        torch.save(content, path)
        runner = make_runner(work_dir=f"resumed_{number}", resume=True, load_from=str(path), **NO_WORKERS)
        with pytest.raises(CheckpointError, match=rf"^cannot resume .*odd.pth: .*{message}.*with load_from$") as caught:
            runner.train()
        assert "\n" not in str(caught.value)


def test_averages_of_another_model_are_not_taken_in_part(make_runner, tmp_path):
    averaged = {"custom_hooks": [{"type": "EMAHook", "momentum": 0.1}], **NO_WORKERS}
    make_runner(train_cfg__max_iters=5, **averaged).train()
    content = torch.load(tmp_path / "run/iter_5.pth", weights_only=False)
    for change in (
        lambda state: state.pop("module.bbox_head.conv_reg.weight"),
        lambda state: state.update({"module.bbox_head.conv_reg.weight": torch.zeros(1)}),
        lambda state: state.update(extra=torch.zeros(1)),
    ):
        changed = {**content, "ema_state_dict": dict(content["ema_state_dict"])}
        change(changed["ema_state_dict"])
        torch.save(changed, tmp_path / "odd.pth")
        runner = make_runner(work_dir="again", resume=True, load_from=str(tmp_path / "odd.pth"), **averaged)
        with pytest.raises(
            CheckpointError, match=r"its ema_state_dict is of another model, as its entry \w.* tells; gi"
        ):
            runner.train()
    torch.save({**content, "ema_state_dict": None}, tmp_path / "odd.pth")
    runner = make_runner(work_dir="again", resume=True, load_from=str(tmp_path / "odd.pth"), **averaged)
    with pytest.raises(CheckpointError, match=r"its ema_state_dict holds no weights; take another$"):
        runner.train()


def test_a_checkpoint_does_not_grow_with_the_iterations(make_runner, tmp_path):
    """The log's history of 4,995 more iterations is forgotten, but for the window that the next line needs."""
    runner = make_runner(train_cfg__max_iters=5, **NO_WORKERS)
    runner.train()
    sizes = []
    for iterations in (100, 5000):
        for name in [name for name in runner.message_hub.log_scalars if name.startswith("train/")]:
            for value in np.linspace(0, 1, iterations):
                runner.message_hub.log_scalars[name].update(float(value))
        runner.save_checkpoint(str(tmp_path), f"{iterations}.pth", meta={"epoch": 0, "iter": 5})
        sizes.append((tmp_path / f"{iterations}.pth").stat().st_size)
    assert sizes[1] == pytest.approx(sizes[0], rel=0.02)
    history = read_checkpoint(tmp_path / "5000.pth")["message_hub"]["log_scalars"]["train/loss"]
    assert history.data[0].tolist() == np.linspace(0, 1, 5000)[-10:].tolist()


@pytest.mark.parametrize(("window", "kept"), [(3, 10), (25, 25), ("epoch", 40), ("global", 100)])
def test_what_a_line_of_the_log_needs_is_kept(window, kept):
    hub = MessageHub("test_history")
    hub._log_scalars["train/loss"] = HistoryBuffer(list(range(100)), [1] * 100)
    entry = {"data_src": "loss", "log_name": "mean", "method_name": "mean", "window_size": window}
    LogProcessor(custom_cfg=[entry]).forget(hub, batches=40)
    assert hub.get_scalar("train/loss").data[0].tolist() == list(range(100 - kept, 100))


def test_a_run_without_schedulers_goes_on(make_runner):
    first = make_runner(train_cfg__max_iters=1, param_scheduler=None)
    first.train()
    later = make_runner(
        train_cfg__max_iters=2, param_scheduler=None, resume=True, load_from=f"{first.work_dir}/iter_1.pth"
    )
    later.train()
    assert later.iter == 2
