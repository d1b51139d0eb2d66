"""A run that was interrupted ends with the very weights of one that was not."""

import os
import signal
import time

import pytest
import torch
from mmengine.runner import ValLoop

from rdet.checkpoint import read_checkpoint


def final_state(path) -> dict:
    checkpoint = read_checkpoint(path)
    momentum = {key: value["momentum_buffer"] for key, value in checkpoint["optimizer"]["state"].items()}
    return {**checkpoint["state_dict"], **{f"momentum {key}": value for key, value in momentum.items()}}


def assert_same_bits(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


SCHEDULES = {
    "iterations": {"train_cfg__max_iters": 18},
    # 7 iterations an epoch: the checkpoint after 10 lies within the second epoch.
    "epochs": {"train_cfg": {"_delete_": True, "by_epoch": True, "max_epochs": 3, "val_interval": 5}},
}


class PowerCut(Exception):
    pass


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_resumed_run_ends_with_the_same_bits(make_runner, tmp_path, schedule):
    last = "iter_18.pth" if schedule == "iterations" else "iter_21.pth"
    overrides = {**SCHEDULES[schedule], "default_hooks__checkpoint__save_last": True}
    overrides["train_dataloader__num_workers"] = 1
    make_runner(work_dir="whole", **overrides).train()

    cut = make_runner(work_dir="cut", **overrides)
    train_step = cut.model.train_step

    def fail_in_iteration_14(*args, **kwargs):
        if cut.iter == 13:
            raise PowerCut
        return train_step(*args, **kwargs)

    cut.model.train_step = fail_in_iteration_14
    with pytest.raises(PowerCut):
        cut.train()
    assert not (tmp_path / "cut" / last).exists()

    resumed = make_runner(work_dir="cut", resume=True, **overrides)
    resumed.train()
    assert resumed.iter == int(last[5:7])
    whole = {p.name for p in (tmp_path / "whole").glob("iter_*.pth")}
    assert "iter_10.pth" in whole
    newest = max(whole, key=lambda name: int(name[5:-4]))
    assert_same_bits(final_state(tmp_path / "whole" / newest), final_state(tmp_path / "cut" / newest))


def test_killed_process_resumes_to_the_same_bits(command, config, tmp_path):
    options = ["--cfg-options", "train_cfg.max_iters=80", "default_hooks.checkpoint.interval=20"]
    options.append("train_dataloader.num_workers=1")
    assert command("train.py", config, "--work-dir", "whole", *options).wait() == 0

    killed = command("train.py", config, "--work-dir", "killed", *options)
    deadline = time.time() + 120
    while not (tmp_path / "killed" / "last_checkpoint").exists():
        assert killed.poll() is None, killed.stdout.read()
        assert time.time() < deadline
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed" / "iter_80.pth").exists()

    resumed = command("train.py", config, "--work-dir", "killed", "--resume", *options)
    assert resumed.wait() == 0, resumed.stdout.read()
    assert_same_bits(final_state(tmp_path / "whole" / "iter_80.pth"), final_state(tmp_path / "killed" / "iter_80.pth"))


def test_resume_reads_no_image_again(make_runner, tmp_path):
    make_runner(train_cfg__max_iters=5).train()
    resumed = make_runner(resume=True, train_cfg__max_iters=7)
    loaded = []
    dataset = resumed._train_dataloader["dataset"]
    get = type(dataset).__getitem__
    resumed._train_dataloader["dataset"].__class__ = type(
        "Counted", (type(dataset),), {"__getitem__": lambda self, index: (loaded.append(index), get(self, index))[1]}
    )
    resumed.train()
    assert len(loaded) == 4  # two iterations of two images


def test_another_total_batch_cannot_resume(make_runner):
    make_runner(train_cfg__max_iters=5).train()
    other = make_runner(resume=True, train_dataloader__batch_size=3)
    with pytest.raises(ValueError, match=r"cannot resume .*iter_5\.pth: its total batch size is 2, now it is 3"):
        other.train()


def test_seed_of_the_checkpoint_wins(make_runner):
    make_runner(train_cfg__max_iters=5).train()
    resumed = make_runner(resume=True, randomness__seed=99)
    resumed.train()
    assert resumed.seed == 3


def test_ema_resumes_to_the_same_bits(make_runner, tmp_path):
    hooks = {"custom_hooks": [{"type": "EMAHook", "momentum": 0.1}]}
    make_runner(work_dir="whole", train_cfg__max_iters=10, **hooks).train()
    make_runner(work_dir="cut", train_cfg__max_iters=5, **hooks).train()
    make_runner(work_dir="cut", train_cfg__max_iters=10, resume=True, **hooks).train()
    states = [read_checkpoint(tmp_path / name / "iter_10.pth") for name in ("whole", "cut")]
    assert_same_bits(states[0]["state_dict"], states[1]["state_dict"])
    assert_same_bits(states[0]["ema_state_dict"], states[1]["ema_state_dict"])
    weight = "bbox_head.conv_reg.weight"
    raw = states[0]["ema_state_dict"][f"module.{weight}"]
    assert not torch.equal(raw, states[0]["state_dict"][weight])  # averages and raw weights are both kept


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_run_cut_off_in_its_last_evaluation_is_evaluated(make_runner, monkeypatch, schedule):
    overrides = {**SCHEDULES[schedule], "default_hooks__checkpoint__interval": 1}
    evaluations = []

    def evaluate(loop):
        evaluations.append(loop.runner.iter)
        raise PowerCut

    monkeypatch.setattr(ValLoop, "run", evaluate)
    with pytest.raises(PowerCut):
        make_runner(**overrides).train()
    last = 18 if schedule == "iterations" else 21
    assert evaluations == [last]
    with pytest.raises(PowerCut):
        make_runner(resume=True, **overrides).train()
    assert evaluations == [last, last]


@pytest.mark.parametrize(("done", "wrapper"), [*((done, "OptimWrapper") for done in (2, 4, 6)), (5, "AmpOptimWrapper")])
def test_a_step_of_several_batches_goes_on_between_them(make_runner, tmp_path, done, wrapper):
    """Three batches make a step: the checkpoint keeps what the first of them have added up."""
    options = {"optim_wrapper__accumulative_counts": 3, "optim_wrapper__type": wrapper}
    options |= {"default_hooks__checkpoint__interval": done}
    make_runner(work_dir="whole", train_cfg__max_iters=9, **options).train()
    runner = make_runner(work_dir="cut", train_cfg__max_iters=9, **options)
    train_step = runner.model.train_step

    def fail_after(*args, **kwargs):
        if runner.iter == done:
            raise PowerCut
        return train_step(*args, **kwargs)

    runner.model.train_step = fail_after
    with pytest.raises(PowerCut):
        runner.train()
    assert ("gradients" in read_checkpoint(tmp_path / f"cut/iter_{done}.pth")) == (done % 3 != 0)
    make_runner(work_dir="cut", resume=True, train_cfg__max_iters=9, **options).train()
    assert_same_bits(final_state(tmp_path / "whole/iter_9.pth"), final_state(tmp_path / "cut/iter_9.pth"))


def test_nothing_to_resume_is_said(make_runner, tmp_path):
    runner = make_runner(resume=True)
    with pytest.raises(
        FileNotFoundError, match="nothing to resume in .*run: it has no checkpoint that is whole; start wi"
    ):
        runner.train()


def test_weights_alone_cannot_resume(make_runner, tmp_path):
    make_runner(train_cfg__max_iters=5).train()
    checkpoint = torch.load(tmp_path / "run/iter_5.pth", weights_only=False)
    torch.save({key: checkpoint[key] for key in ("meta", "state_dict")}, tmp_path / "best.pth")
    runner = make_runner(resume=True, load_from=str(tmp_path / "best.pth"))
    with pytest.raises(ValueError, match=r"cannot resume .*best\.pth: it holds weights without the state of their opt"):
        runner.train()


def test_settings_that_a_resumed_run_does_not_use_are_named(make_runner, monkeypatch):
    make_runner(train_cfg__max_iters=5).train()
    for overrides, named in (
        ({}, None),
        ({"optim_wrapper__optimizer__lr": 0.5, "param_scheduler__0__end": 7}, "optim_wrapper.optimizer.lr, param_sch"),
    ):
        runner, warnings = make_runner(resume=True, train_cfg__max_iters=6, **overrides), []
        monkeypatch.setattr(runner.logger, "warning", warnings.append)
        runner.train()
        assert ["are not used" in text and named in text for text in warnings] == ([True] if named else [])


def test_what_a_resumed_run_does_otherwise_is_named(make_runner, monkeypatch):
    make_runner(train_cfg__max_iters=5).train()
    changed = {
        "model__loss_cls__gamma": 1.0,
        "model__loss_bbox": {"_delete_": True, "type": "GIoULoss"},
        "train_dataloader__dataset__filter_empty_gt": True,
        "train_dataloader__num_workers": 1,  # which changes no result
    }
    for overrides in ({}, {"train_dataloader__num_workers": 1}, changed):
        runner, warnings = make_runner(resume=True, train_cfg__max_iters=6, **overrides), []
        monkeypatch.setattr(runner.logger, "warning", warnings.append)
        if overrides is changed:  # 13 images are 12
            with pytest.raises(ValueError, match="number of images is 13, now it is 12"):
                runner.train()
            del changed["train_dataloader__dataset__filter_empty_gt"]
            runner = make_runner(resume=True, train_cfg__max_iters=6, **changed)
            monkeypatch.setattr(runner.logger, "warning", warnings.append)
            runner.train()
            (text,) = [text for text in warnings if "another config" in text]
            assert text.endswith(
                ".pth was trained with another config, 2 keys differ: model.loss_bbox.type ('SmoothL1Loss' -> "
                "'GIoULoss'), model.loss_cls.gamma (nothing -> 1.0); the run goes on with this one's"
            )
        else:
            runner.train()
            assert not [text for text in warnings if "another config" in text]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"optim_wrapper__optimizer": {"_delete_": True, "type": "AdamW", "lr": 0.1}}, "type is SGD, now it is AdamW"),
        ({"param_scheduler": []}, "number of param_scheduler is 1, now it is 0"),
    ],
)
def test_another_optimizer_cannot_resume(make_runner, overrides, message):
    make_runner(train_cfg__max_iters=5).train()
    with pytest.raises(ValueError, match=rf"cannot resume .*iter_5\.pth: its .*{message}"):
        make_runner(resume=True, **overrides).train()


@pytest.mark.parametrize("key", ["cfg", "config"])
def test_a_config_in_a_checkpoint_is_not_run(make_runner, tmp_path, monkeypatch, key):
    """``cfg`` is rdet's, ``config`` that of older checkpoints, which mmengine runs when it resumes."""
    make_runner(train_cfg__max_iters=5).train()
    path = tmp_path / "run" / "iter_5.pth"
    content = read_checkpoint(path)
    content["meta"][key] = "open('created', 'w')\nmodel = dict()\n"
    torch.save(content, path)
    monkeypatch.chdir(tmp_path)
    resumed = make_runner(work_dir="again", train_cfg__max_iters=6, resume=True, load_from=str(path))
    warnings = []
    monkeypatch.setattr(resumed.logger, "warning", warnings.append)
    resumed.train()
    assert resumed.iter == 6
    assert any("iter_5.pth is not compared with this run's: line 1" in text for text in warnings) == (key == "cfg")
    assert not (tmp_path / "created").exists()
