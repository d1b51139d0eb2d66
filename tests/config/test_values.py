"""A value that has no meaning or another type is said where it stands."""

import inspect
import math
import re
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
import torch
from written_config import R50

from rdet.config import load_config
from rdet.config_keys import Initial
from rdet.errors import ConfigError, UnknownNameError
from rdet.models.detectors.criterion import DenseCriterion

pytestmark = pytest.mark.usefixtures("no_custom_imports")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"train_dataloader.batch_size": 0},
            "train_dataloader.batch_size is 0; it must be a whole number of 1 or more",
        ),
        (
            {"train_dataloader.batch_size": "two"},
            "batch_size is 'two' .str.; it must be a whole number",
        ),
        ({"train_dataloader.num_workers": -1}, "train_dataloader.num_workers is -1; .* from 0 to 1024"),
        ({"train_dataloader.num_workers": 2**32}, "num_workers is 4294967296; .* from 0 to 1024"),
        ({"train_cfg.val_interval": 0}, "train_cfg.val_interval is 0; "),
        ({"train_cfg.max_epochs": -5}, "train_cfg.max_epochs is -5; "),
        ({"randomness.seed": -1}, "randomness.seed is -1; "),
        ({"optim_wrapper.accumulative_counts": 0}, "optim_wrapper.accumulative_counts is 0; "),
        ({"model.bbox_head.stacked_convs": -1}, "model.bbox_head.stacked_convs is -1; "),
        ({"model.postprocess.max_per_img": 0}, "model.postprocess.max_per_img is 0; "),
        ({"optim_wrapper.clip_grad.max_norm": float("nan")}, "max_norm is nan"),
        ({"optim_wrapper.optimizer.lr": float("inf")}, "lr is inf .not finite"),
        ({"env_cfg.dist_cfg.timeout": -1}, "timeout is -1; it must be a number above 0"),
        ({"auto_scale_lr": None}, "auto_scale_lr is None; it must be a dict, or be left out"),
        ({"model": "RetinaNet"}, "model is 'RetinaNet' .str.; it must be a dict, or be left out"),
        (
            {"optim_wrapper.paramwise_cfg.custom_keys.backbone": 0.1},
            "backbone is 0.1 .float.; it must be a dict",
        ),
    ],
)
def test_value_without_a_meaning_is_said(options, message):
    with pytest.raises(ValueError, match=f"r50_fpn_1x_coco.py: .*{message}"):
        load_config(R50, options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"model.loss_cls.alpha": "0.25"},
            "loss_cls.alpha is '0.25' (str); it must be a number from 0 to 1 or None",
        ),
        ({"model.loss_cls": "FocalLoss"}, "model.loss_cls: expected a dict with the key 'type', got 'FocalLoss'"),
        ({"model.loss_cls.gamma": "2"}, "model.loss_cls.gamma is '2' (str); it must be a number"),
        ({"model.backbone.depth": 50.5}, "model.backbone.depth is 50.5 (float); it must be a whole number"),
        ({"model.backbone.norm_eval": "yes"}, "model.backbone.norm_eval is 'yes' (str); it must be True or False"),
        (
            {"model.anchor_generator.ratios": 1.0},
            "model.anchor_generator.ratios is 1.0 (float); it must be a list",
        ),
        (
            {"model.anchor_generator.ratios": [1.0, "2"]},
            "ratios is [1.0, '2'] (list); it must be a list of numbers ab",
        ),
        (
            {"train_dataloader.dataset.pipeline.1.scale": "(1333,800)"},
            "scale is '(1333,800)' (str); it must",
        ),
        ({"train_dataloader.dataset.ann_file": None}, "train_dataloader.dataset.ann_file is None; it must be a string"),
        ({"train_dataloader.pin_memory": 1}, "train_dataloader.pin_memory is 1 (int); it must be True or False"),
        ({"train_cfg.max_epochs": "12"}, "train_cfg.max_epochs is '12' (str); it must be a whole number of 1 or more"),
        ({"param_scheduler.0.end": "500"}, "param_scheduler.0.end is '500' (str); it must be a whole number"),
        (
            {"param_scheduler.1.milestones": [8, "11"]},
            "milestones is [8, '11'] (list); it must be a list of",
        ),
        ({"param_scheduler.1.gamma": "0.1"}, "param_scheduler.1.gamma is '0.1' (str); it must be a number"),
        ({"optim_wrapper.optimizer.lr": "fast"}, "optim_wrapper.optimizer.lr is 'fast' (str); it must be a number"),
        ({"optim_wrapper.optimizer.momentum": "0.9"}, "optimizer.momentum is '0.9' (str); it must be a number"),
        ({"optim_wrapper.clip_grad": {"max_norm": "35"}}, "clip_grad.max_norm is '35' (str); it must be a number"),
        ({"optim_wrapper.clip_grad": {"type": "max"}}, "clip_grad.type is 'max' (str); it must be 'norm' or 'value'"),
        ({"optim_wrapper.paramwise_cfg.norm_decay_mult": "0"}, "norm_decay_mult is '0' (str); it must be a number"),
        ({"auto_scale_lr.enable": "no"}, "auto_scale_lr.enable is 'no' (str); it must be True or False"),
        # Numbers that have no meaning, and would be obeyed.
        ({"optim_wrapper.clip_grad": {"max_norm": -1}}, "clip_grad.max_norm is -1; it must be a number above 0"),
        ({"optim_wrapper.optimizer.lr": -1}, "optim_wrapper.optimizer.lr is -1; it must be a number of 0 or more"),
        (
            {"optim_wrapper.optimizer.lr": math.nan},
            "optimizer.lr is nan (not finite); it must be a number of 0 or more",
        ),
        ({"optim_wrapper.optimizer.momentum": 1.5}, "optimizer.momentum is 1.5; it must be a number from 0 to 1"),
        ({"optim_wrapper.accumulative_counts": 0}, "accumulative_counts is 0; it must be a whole number of 1 or more"),
        ({"param_scheduler.1.gamma": -0.1}, "param_scheduler.1.gamma is -0.1; it must be a number of 0 or more"),
        ({"randomness.seed": 2**32}, "randomness.seed is 4294967296; it must be a whole number from 0 to 4294967295"),
        ({"model.loss_cls.gamma": -2}, "model.loss_cls.gamma is -2; it must be a number of 0 or more"),
        ({"model.bbox_head.feat_channels": 2**63}, "(too large); it must be a whole number of 1 or more"),
        ({"train_dataloader.dataset.pipeline.1.scale": [0, 0]}, "scale is [0, 0] (list); it must be a list of 2 whole"),
        ({"param_scheduler.1.milestones": [11, 8]}, "must be a list of whole numbers of 0 or more in ascending order"),
        ({"log_level": "LOUD"}, "log_level is 'LOUD' (str); it must be 'DEBUG', 'INFO'"),
        # Values and parts that are mistaken for each other.
        ({"model.loss_cls.alpha": {"type": "FocalLoss"}}, "model.loss_cls.alpha is {'type': 'FocalLoss'}"),
        ({"model.bbox_head.norm_cfg": {"type": "BN", "eps": {"type": "BN"}}}, "eps is {'type': 'BN'} (ConfigDict); it"),
        ({"train_dataloader.dataset.pipeline.1": 3}, "dataset.pipeline is [{'type': 'LoadImageFromFile'}, 3"),
        ({"default_hooks.checkpoint.interval": "1"}, "checkpoint.interval is '1' (str); it must be a whole number"),
        (
            {"custom_hooks": [{"type": "EMAHook", "momentum": "1"}]},
            "custom_hooks.0.momentum is '1' (str); it",
        ),
        (
            {"custom_hooks": {"type": "EMAHook"}},
            "(ConfigDict); it must be a list of dicts or None",
        ),
        ({"val_evaluator": "CocoMetric"}, "val_evaluator is 'CocoMetric' (str); it must be "),
        ({"randomness.deterministic": "true?"}, "randomness.deterministic is 'true?' (str); it must be True or False"),
        ({"resume": "auto"}, "resume is 'auto' (str); it must be True or False"),
        ({"load_from": 3}, "load_from is 3 (int); it must be a string or None"),
        ({"sync_bn": True}, "sync_bn is True (bool); it must be 'torch', 'mmcv' or None"),
        (
            {"env_cfg": {"mp_cfg": {"mp_start_method": "forks"}}},
            "mp_start_method is 'forks' (str); it must",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_value_of_another_type_is_said(options, message):
    with pytest.raises(ConfigError) as caught:
        load_config(R50, options)
    assert str(caught.value).startswith(f"{R50}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_values_of_python_code_are_plain_or_refused():
    plain = load_config(R50, {"model.num_classes": np.int64(3), "data_root": Path("a"), "load_from": np.str_("b")})
    assert (plain.model.num_classes, plain.data_root, plain.load_from) == (3, "a", "b")
    assert type(plain.model.num_classes) is int
    for value in (np.ones(3), torch.ones(3), object()):
        with pytest.raises(ValueError, match=r"ratios is .*, which no config file can hold; give"):
            load_config(R50, {"model.anchor_generator.ratios": value})


@pytest.mark.parametrize(
    ("initial", "error", "message"),
    [
        ({"epochs": 1, "asigner": {}}, UnknownNameError, "model.initial has no key 'asigner'. Did you mean 'assigner'"),
        ({"epoch": 2}, UnknownNameError, "model.initial has no key 'epoch'. Did you mean 'epochs'"),
        ({"epochs": 1, "backbone": {}}, UnknownNameError, "model.initial has no key 'backbone'"),
        ({"epochs": 0}, ConfigError, "model.initial.epochs is 0; it must be a whole number of 1 or more"),
        ({"epochs": 1.5}, ConfigError, "model.initial.epochs is 1.5 (float); it must be a whole number of 1 or more"),
        ({"quality": None}, ConfigError, "model.initial has no epochs"),
        ({"epochs": 1, "assigner": None}, ConfigError, "model.initial.assigner is None; it must be a dict"),
        ({"epochs": 1, "mining": 3}, ConfigError, "model.initial.mining is 3 (int); it must be a dict or None"),
        (
            {"epochs": 1, "loss_cls": {"type": "FocalLoss", "gama": 2}},
            UnknownNameError,
            "model.initial.loss_cls: FocalLoss has no key 'gama'. Did you mean 'gamma'",
        ),
    ],
)
def test_initial_is_checked_when_a_config_is_loaded(initial, error, message):
    with pytest.raises(error, match=re.escape(message)):
        load_config(R50, {"model.initial": initial})


def test_initial_may_hold_what_the_criterion_has():
    slots = set(inspect.signature(DenseCriterion).parameters)
    assert set(get_type_hints(Initial)) == {"epochs", "assigner", *slots}
    for name in slots - {"loss_cls", "loss_bbox"}:
        load_config(R50, {"model.initial": {"epochs": 1, name: None}})
    assert load_config(R50, {"model.initial": None}).model.initial is None
