"""A run of some minutes, by a clock that each step and each evaluation moves."""

import pytest
from mmengine.runner import ValLoop

from rdet.checkpoint import read_checkpoint
from rdet.engine import timed_loop


@pytest.fixture
def timed(make_runner, monkeypatch):
    """Trains for some minutes of a made-up clock; returns the runner, rates of the steps and when it was evaluated."""

    def train(minutes=2.0, step=2.0, evaluation=3.0, stop=None, **overrides):
        now = [50.0]
        monkeypatch.setitem(timed_loop._CLOCKS, "wall", lambda: now[0])
        runner = make_runner(
            train_cfg={"_delete_": True, "by_epoch": False, "minutes": minutes},
            param_scheduler=[{"type": "WarmupCosineLR", "by_epoch": False}],
            default_hooks__checkpoint__interval=-1,
            auto_scale_lr={"enable": False},
            **overrides,
        )
        rates, evaluated, train_step = [], [], runner.model.train_step

        def one(*args, **kwargs):
            if runner.iter == stop:
                raise KeyboardInterrupt
            rates.append(runner.optim_wrapper.optimizer.param_groups[0]["lr"])
            now[0] += step
            return train_step(*args, **kwargs)

        def evaluate(loop):
            evaluated.append(loop.runner.iter)
            now[0] += evaluation
            loop.runner.call_hook("after_val_epoch", metrics={})

        runner.model.train_step = one
        monkeypatch.setattr(ValLoop, "run", evaluate)
        if stop is None:
            runner.train()
        else:
            with pytest.raises(KeyboardInterrupt):
                runner.train()
        return runner, rates, evaluated, now[0] - 50

    return train


def test_the_rate_and_the_time_end_together(timed, tmp_path):
    runner, rates, evaluated, taken = timed()
    assert taken == pytest.approx(120, abs=3)
    assert runner.iter == runner.max_iters == len(rates) == pytest.approx((120 - 4 * 3) / 2, abs=2)
    assert [round(4 * iteration / runner.iter) for iteration in evaluated] == [1, 2, 3, 4]
    assert max(rates) == pytest.approx(0.02, rel=0.02)
    assert rates[-1] == pytest.approx(0.01 * 0.02)
    highest = rates.index(max(rates))
    assert rates[:highest] == sorted(rates[:highest])
    assert rates[highest:] == sorted(rates[highest:], reverse=True)
    written = sorted(int(path.stem.partition("_")[2]) for path in (tmp_path / "run").glob("iter_*.pth"))
    assert written == evaluated


def test_a_resumed_run_has_what_is_left_of_the_time(timed, tmp_path):
    _, before, evaluated, taken = timed(stop=30, work_dir="cut")
    saved = tmp_path / "cut" / f"iter_{evaluated[-1]}.pth"
    state = read_checkpoint(saved)["message_hub"]["runtime_info"]["time_budget"]
    assert state["spent"] <= taken
    runner, rates, evaluated, taken = timed(work_dir="cut", resume=True)
    assert state["spent"] + taken == pytest.approx(120, abs=4)
    assert rates[0] == pytest.approx(before[len(before) - 1], rel=0.3)
    assert rates[0] < 0.02
    assert rates[-1] == pytest.approx(0.01 * 0.02)
    assert evaluated[-1] == runner.iter


def test_a_run_without_evaluations_takes_its_time_too(timed, tmp_path):
    _, rates, evaluated, taken = timed(val_dataloader=None)
    assert (taken, evaluated) == (pytest.approx(120, abs=3), [])
    assert len(list((tmp_path / "run").glob("iter_*.pth"))) == 4
    assert rates[-1] == pytest.approx(0.01 * 0.02)
