"""What a run does besides training."""

import importlib.util
import json
import os

import numpy as np
import pytest
import torch
from mmengine.optim import AmpOptimWrapper as MMAmpOptimWrapper
from torch import nn

from rdet.apis.inference import inference_detector, init_detector
from rdet.checkpoint import read_checkpoint
from rdet.engine.hooks.logger_hook import LoggerHook
from rdet.engine.optim_wrapper import AmpOptimWrapper
from rdet.errors import ConfigError


@pytest.mark.parametrize(
    ("overrides", "factor"),
    [
        ({}, 2 / 16),
        ({"train_dataloader__batch_size": 4}, 4 / 16),
        ({"optim_wrapper__accumulative_counts": 4}, 8 / 16),
        ({"auto_scale_lr__enable": False}, 1),
        ({"auto_scale_lr__base_batch_size": 2}, 1),
    ],
)
def test_learning_rate_follows_the_total_batch(make_runner, overrides, factor):
    runner = make_runner(train_cfg__max_iters=1, param_scheduler=[], **overrides)
    runner.train()
    assert runner.optim_wrapper.get_lr()["lr"][0] == pytest.approx(0.02 * factor)


@pytest.mark.parametrize("enable", [True, False])
def test_rates_that_a_schedule_names_follow_the_total_batch_too(make_runner, enable):
    schedules = [
        {"type": "OneCycleLR", "by_epoch": False, "eta_max": 0.08, "end": 6},
        {"type": "CosineAnnealingLR", "by_epoch": False, "eta_min": 0.008},
        {"type": "CosineAnnealingMomentum", "by_epoch": False, "eta_min": 0.5},
    ]
    runner = make_runner(train_cfg__max_iters=1, param_scheduler=schedules, auto_scale_lr__enable=enable)
    runner.train()
    factor = 2 / 16 if enable else 1
    cycle, cosine, momentum = runner.param_schedulers
    assert (cycle.eta_max, cosine.eta_min, momentum.eta_min) == pytest.approx((0.08 * factor, 0.008 * factor, 0.5))


def test_a_backend_of_the_log_whose_package_is_missing_is_said(make_runner, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "wandb" else find(name, *rest))
    backends = [{"type": "LocalVisBackend"}, {"type": "WandbVisBackend"}]
    with pytest.raises(ImportError, match="WandbVisBackend needs the package wandb, .*: pip install wandb"):
        make_runner(visualizer={"vis_backends": backends})


def test_a_rate_for_no_batch_is_said(make_runner):
    runner = make_runner(auto_scale_lr={"_delete_": True, "enable": True})
    with pytest.raises(ValueError, match="auto_scale_lr has no base_batch_size"):
        runner.train()


@pytest.mark.parametrize("key", ["visualizer", "custom_hooks"])
def test_none_is_as_left_out(make_runner, key):
    make_runner(train_cfg__max_iters=1, **{key: None}).train()


@pytest.mark.parametrize("key", ["runtime_info", "timer"])
def test_a_hook_that_the_log_needs_is_named(make_runner, key):
    with pytest.raises(ConfigError, match=f"^default_hooks.{key} is None, but the log is made of what it notes; leave"):
        make_runner(**{f"default_hooks__{key}": None})


def test_batch_normalisation_of_a_single_value_is_said(make_runner):
    runner = make_runner(train_dataloader__batch_size=1, train_dataloader__num_workers=0)
    runner.model.backbone.train = lambda mode=True: None
    runner.model.backbone.layers = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 16, 1), nn.BatchNorm2d(16))
    with pytest.raises(
        ConfigError, match=r"^a batch of 1 image of 64 x 64 pixels leaves a level of one cell, and .*, or GN$"
    ):
        runner.train()


def test_a_training_that_matches_no_box_is_said(make_runner, monkeypatch):
    assigner = {"type": "MaxIoUAssigner", "pos_iou_thr": 0.99, "min_pos_iou": 0.99}
    for iters, options, times in (
        (3, {"model__assigner": assigner}, 1),
        (3, {}, 0),
        (12, {"model__assigner": assigner}, 1),
    ):
        runner, warnings = make_runner(train_cfg__max_iters=iters, work_dir=f"run{iters}{times}", **options), []
        monkeypatch.setattr(runner.logger, "warning", warnings.append)
        runner.train()
        said = [text for text in warnings if "no prior was matched" in text]
        assert len(said) == times
        assert all(text.startswith(f"in {min(iters, 10)} iterations no prior was matched to any box") for text in said)


def test_accumulated_batches_step_together(make_runner):
    runner = make_runner(
        train_cfg__max_iters=4, optim_wrapper__accumulative_counts=4, default_hooks__checkpoint__interval=1
    )
    before = {name: value.cpu().clone() for name, value in runner.model.state_dict().items()}
    runner.train()
    saved = [read_checkpoint(f"{runner.work_dir}/iter_{i}.pth")["state_dict"] for i in (3, 4)]
    name = "bbox_head.conv_cls.bias"
    assert torch.equal(saved[0][name], before[name])
    assert not torch.equal(saved[1][name], before[name])


def test_gradients_are_clipped(make_runner):
    runner = make_runner(train_cfg__max_iters=1, param_scheduler=[], optim_wrapper__clip_grad={"max_norm": 1e-6})
    before = [p.detach().clone() for p in runner.model.parameters()]
    runner.train()
    change = sum((p - q).square().sum() for p, q in zip(runner.model.parameters(), before, strict=True)).sqrt()
    assert 0 < change <= 1e-6 * 0.02 * 2 / 16 * 1.01 + 1e-9


def test_bfloat16_on_the_cpu_keeps_float32_weights(make_runner):
    runner = make_runner(train_cfg__max_iters=2, optim_wrapper__type="AmpOptimWrapper")
    seen = []
    runner.model.bbox_head.conv_cls.register_forward_hook(
        lambda module, inputs, output: seen.append(output.dtype) if module.training else None
    )
    runner.train()
    assert seen == [torch.bfloat16] * 2 * 2  # two levels, two iterations
    assert {p.dtype for p in runner.model.parameters()} == {torch.float32}
    assert np.isfinite(runner.message_hub.get_scalar("train/loss").data[0]).all()


@pytest.mark.parametrize("in_validation", [False, True])
def test_an_evaluation_is_in_mixed_precision_when_asked(make_runner, in_validation):
    options = {"optim_wrapper__type": "AmpOptimWrapper", "optim_wrapper__in_validation": in_validation}
    runner = make_runner(train_cfg__max_iters=1, train_cfg__val_interval=1, **options)
    seen = set()
    runner.model.bbox_head.conv_cls.register_forward_hook(
        lambda module, inputs, output: None if module.training else seen.add(output.dtype)
    )
    runner.train()
    assert seen == {torch.bfloat16 if in_validation else torch.float32}


def test_mmengine_refuses_mixed_precision_on_the_cpu():
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1)
    if not torch.cuda.is_available():
        with pytest.raises(AssertionError, match="only available training"):
            MMAmpOptimWrapper(optimizer=optimizer, dtype="bfloat16")  # why rdet has its own
        with pytest.raises(ValueError, match="'float16' needs a GPU; use 'bfloat16'"):
            AmpOptimWrapper(optimizer=optimizer, dtype="float16")
    with pytest.raises(ValueError, match="valid: 'bfloat16', 'float16', 'auto'"):
        AmpOptimWrapper(optimizer=optimizer, dtype="int8")


def test_mixed_precision_of_the_device():
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=1)
    expected = torch.float16 if torch.cuda.is_available() else torch.bfloat16
    assert AmpOptimWrapper(optimizer=optimizer, dtype="auto").dtype == expected


@pytest.mark.parametrize("steps_at_once", [1, 20])
def test_loss_that_is_no_number_stops_the_run(make_runner, tmp_path, steps_at_once):
    """Where the losses of many steps are read at once, that is before a checkpoint, and of the first that is none."""
    runner = make_runner(
        train_cfg__max_iters=9,
        default_hooks__checkpoint__interval=3,
        default_hooks__runtime_info={"type": "RuntimeInfoHook", "interval": steps_at_once},
        default_hooks__logger__interval=100,
    )
    loss, step, seen = runner.model.loss, runner.model.train_step, {}

    def broken(*args):
        losses = loss(*args)
        return {k: v * (float("nan") if runner.iter >= 3 and k == "loss_bbox" else 1) for k, v in losses.items()}

    def train_step(data, optim_wrapper):
        seen[runner.iter + 1] = data
        return step(data, optim_wrapper)

    runner.model.loss, runner.model.train_step = broken, train_step
    with pytest.raises(
        FloatingPointError, match=r"iteration 4: the loss is not finite .*loss_bbox nan.*\.png"
    ) as error:
        runner.train()
    assert max(seen) == (4 if steps_at_once == 1 else 6)
    images = [sample.img_path for sample in seen[4]["data_samples"]]
    assert f"images: {', '.join(images)}." in str(error.value)
    batch = torch.load(tmp_path / "run" / "nonfinite_iter_4_rank_0.pth", weights_only=True)
    assert batch["img_paths"] == images
    for found, of_the_step in zip(batch["inputs"], seen[4]["inputs"], strict=True):
        assert torch.equal(found, of_the_step)
    assert len(batch["bboxes"]) == 2
    assert (tmp_path / "run" / "last_checkpoint").read_text().endswith("iter_3.pth")
    assert not (tmp_path / "run" / "iter_6.pth").exists()


def test_best_and_last_checkpoints_are_kept(make_runner, tmp_path):
    make_runner(
        train_cfg__max_iters=4,
        train_cfg__val_interval=2,
        default_hooks__checkpoint__interval=1,
        default_hooks__checkpoint__max_keep_ckpts=2,
        default_hooks__checkpoint__save_best="coco/bbox_mAP",
    ).train()
    names = sorted(path.name for path in (tmp_path / "run").glob("*.pth"))
    assert [name for name in names if name.startswith("iter")] == ["iter_3.pth", "iter_4.pth"]
    (best,) = [name for name in names if name.startswith("best_coco_bbox_mAP_iter")]
    assert (tmp_path / "run" / "best.pth").samefile(tmp_path / "run" / best)
    image = next(tmp_path.glob("*.png"))
    found = [
        inference_detector(init_detector(checkpoint=tmp_path / "run" / name), image).pred_instances.scores
        for name in ("best.pth", best)
    ]
    assert torch.equal(*found)
    assert len(found[0])


def test_best_is_named_again_after_a_kill_and_where_files_have_one_name(make_runner, tmp_path, monkeypatch):
    options = {"train_cfg__val_interval": 2, "default_hooks__checkpoint__save_best": "coco/bbox_mAP"}
    make_runner(train_cfg__max_iters=2, **options).train()
    (best,) = (tmp_path / "run").glob("best_*")
    content = best.read_bytes()
    (tmp_path / "run" / "best.pth").unlink()

    def no_link(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    make_runner(train_cfg__max_iters=2, resume=True, **options).train()
    assert (tmp_path / "run" / "best.pth").read_bytes() == content
    assert not list((tmp_path / "run").glob(".*"))


@pytest.mark.parametrize(
    ("by_epoch", "length", "interval"), [(True, 3, 1), (True, 40, 10), (True, 9000, 50), (False, 80, 2)]
)
def test_log_interval_suits_the_length_of_the_run(by_epoch, length, interval):
    class Run:
        class log_processor:
            pass

        train_dataloader = range(length)
        max_iters, iter = length, 0

    Run.log_processor.by_epoch = by_epoch
    hook = LoggerHook()
    hook.before_train(Run)
    assert hook.interval == interval


@pytest.mark.parametrize("by_epoch", [True, False])
def test_an_evaluation_is_logged_at_its_iteration(make_runner, tmp_path, by_epoch):
    epochs = {"_delete_": True, "by_epoch": True, "max_epochs": 1}
    runner = make_runner(work_dir="logged", **({"train_cfg": epochs} if by_epoch else {"train_cfg__max_iters": 7}))
    runner.train()
    (path,) = (tmp_path / "logged").rglob("scalars.json")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["step"] for line in lines if "coco/bbox_mAP" in line] == [7]


def test_log_splits_time_and_says_memory(make_runner, tmp_path):
    runner = make_runner(train_cfg__max_iters=2)
    runner.train()
    (path,) = (tmp_path / "run").rglob("scalars.json")
    lines = [line for line in map(json.loads, path.read_text().splitlines()) if "loss" in line]
    assert [line["step"] for line in lines] == [1, 2]
    assert {"loss", "loss_cls", "loss_bbox", "lr"} <= lines[0].keys()
    assert lines[1]["compute_time"] + lines[1]["data_time"] == pytest.approx(lines[1]["time"])
    if not torch.cuda.is_available():  # where the tensors of this network are less than a MiB
        assert lines[1]["memory"] > 100


def test_dataset_table_is_logged(make_runner, capfd):
    make_runner(log_level="INFO")
    assert "| train | 13 " in capfd.readouterr().out


@pytest.mark.parametrize("mode", ["train", "test"])
def test_class_count_that_contradicts_the_data_is_said(make_runner, mode):
    with pytest.raises(ValueError, match=r"model.num_classes is 80, but the data set has 2 classes \(bright, red\)"):
        make_runner(mode, model__num_classes=80)


def test_checkpoint_of_other_classes_is_no_ap_of_zero(make_runner, tmp_path):
    make_runner(train_cfg__max_iters=5).train()
    other = make_runner(
        "test",
        load_from=str(tmp_path / "run" / "iter_5.pth"),
        val_dataloader__dataset__metainfo={"classes": ["red", "bright"]},
    )
    with pytest.raises(
        ValueError, match=r"trained on 2 classes \(bright, red\), but the data set has 2 \(red, bright\)"
    ):
        other.test()


def test_checkpoint_of_another_architecture_is_one_message(make_runner, tmp_path):
    make_runner(train_cfg__max_iters=5).train()
    other = make_runner("test", load_from=str(tmp_path / "run" / "iter_5.pth"), model__bbox_head__stacked_convs=2)
    with pytest.raises(ValueError, match=r"of \d+ weights fit; \d+ missing .* of another architecture than the config"):
        other.test()


def test_training_may_start_from_a_checkpoint_of_other_classes(make_runner, tmp_path):
    make_runner(train_cfg__max_iters=5).train()
    one = {"metainfo": {"classes": ["red"]}}
    runner = make_runner(
        work_dir="fine_tuned",
        train_cfg__max_iters=1,
        load_from=str(tmp_path / "run" / "iter_5.pth"),
        train_dataloader__dataset__metainfo=one["metainfo"],
        val_dataloader__dataset__metainfo=one["metainfo"],
        optim_wrapper__optimizer__lr=0.0,
    )
    runner.train()
    saved = read_checkpoint(tmp_path / "run" / "iter_5.pth")["state_dict"]
    now = runner.model.cpu().state_dict()
    assert torch.equal(now["backbone.layers.0.weight"], saved["backbone.layers.0.weight"])
    assert now["bbox_head.conv_cls.bias"].shape[0] * 2 == saved["bbox_head.conv_cls.bias"].shape[0]


def test_splits_of_different_classes_are_said(make_runner):
    with pytest.raises(ValueError, match="train.*val"):
        make_runner(train_dataloader__dataset__metainfo={"classes": ["red"]})


def test_same_seed_same_weights(make_runner):
    states = [make_runner(randomness__seed=seed).model.state_dict() for seed in (1, 1, 2)]
    name = "bbox_head.conv_cls.weight"
    assert torch.equal(states[0][name], states[1][name])
    assert not torch.equal(states[0][name], states[2][name])


def test_layers_that_levels_share_are_optimised_once(make_runner):
    """mmengine refuses, where rates differ by part, a parameter that has two names."""
    shared = {"model__bbox_head__share": "convs", "model__bbox_head__norm_cfg": {"type": "BN"}}
    runner = make_runner(**shared, optim_wrapper__paramwise_cfg={"bias_lr_mult": 2.0})
    runner.build_train_loop(runner._train_loop)
    optim = runner.build_optim_wrapper(runner.optim_wrapper)
    parameters = [p for group in optim.optimizer.param_groups for p in group["params"]]
    assert len(parameters) == len({id(p) for p in parameters}) == len(list(runner.model.parameters()))


@pytest.mark.parametrize("options", [True, {"backend": "eager"}])
def test_compile_compiles_the_network(make_runner, monkeypatch, options):
    calls = []
    plain = make_runner(work_dir="plain", train_cfg__max_iters=2)
    plain.train()
    runner = make_runner(work_dir="compiled", train_cfg__max_iters=2, compile=options)
    monkeypatch.setattr(
        type(runner.model),
        "compile",
        lambda self, **given: calls.append(given) or self.backbone.compile(backend="eager"),
    )
    runner.train()
    assert calls == [{} if options is True else options]
    for name, value in plain.model.state_dict().items():
        torch.testing.assert_close(runner.model.state_dict()[name], value)


def test_visualizer_needs_no_type(make_runner):
    runner = make_runner(visualizer={"vis_backends": [{"type": "LocalVisBackend"}], "name": "mine"})
    assert runner.visualizer.instance_name == "mine"


@pytest.mark.parametrize("modules", ["backbone", ["neck", "bbox_head"]])
def test_recomputed_activations_give_the_same_training(make_runner, modules):
    """mmengine's own leaves these weights without gradient, see :mod:`rdet.engine.runner`."""
    weights = []
    for number, options in enumerate(({}, {"activation_checkpointing": modules})):
        runner = make_runner(work_dir=f"run_{number}", train_cfg__max_iters=2, **options)
        before = {name: value.clone() for name, value in runner.model.named_parameters()}
        runner.train()
        weights.append(dict(runner.model.named_parameters()))
        assert [name for name, value in weights[-1].items() if torch.equal(value, before[name])] == []
    for name, value in weights[0].items():
        torch.testing.assert_close(weights[1][name], value, msg=name)


def test_compile_false_compiles_nothing(make_runner):
    runner = make_runner(train_cfg__max_iters=1, compile=False)
    runner.train()
    assert runner.model.backbone._compiled_call_impl is None


def test_workers_keep_freed_memory_unless_told_otherwise(make_runner, monkeypatch):
    called = []
    monkeypatch.setattr("rdet.engine.runner.keep_freed_memory", lambda: called.append(1))
    make_runner().build_dataloader({"dataset": [0, 1], "num_workers": 1}).worker_init_fn(0)
    assert called[-1:] == [1]
    own = make_runner().build_dataloader({"dataset": [0, 1], "num_workers": 1, "worker_init_fn": print})
    assert own.worker_init_fn is print
