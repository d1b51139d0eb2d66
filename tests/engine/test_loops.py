"""Parts that change with the epochs are told which one it is."""

import pytest

INITIAL = {"epochs": 2, "loss_bbox": {"type": "GIoULoss"}}
SCHEDULES = {  # 13 images by two: 7 iterations an epoch
    "iterations": {"train_cfg__max_iters": 18},
    "epochs": {"train_cfg": {"_delete_": True, "by_epoch": True, "max_epochs": 3, "val_interval": 5}},
}


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
    overrides = {**SCHEDULES[schedule], "model__initial": INITIAL}
    whole = recorded(make_runner(work_dir="whole", **overrides))
    last = 18 if schedule == "iterations" else 21
    assert whole == [(i, i // 7, i // 7 < 2) for i in range(last)]
    # The checkpoint after 10 iterations lies within the second epoch.
    checkpoint = tmp_path / "whole" / "iter_10.pth"
    resumed = recorded(make_runner(work_dir="resumed", resume=True, load_from=str(checkpoint), **overrides))
    assert resumed == whole[10:]
