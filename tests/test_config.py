import inspect
import math
import re
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
import torch
from mmengine.config import Config

from rdet.apis.build import build_detector
from rdet.config import TOP_LEVEL_KEYS, base_files, changes, check_config, flatten, load_config, read_config
from rdet.config_keys import Initial
from rdet.errors import ConfigError, UnknownNameError
from rdet.models.detectors.criterion import DenseCriterion

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
EXPERIMENTS = sorted(path for path in CONFIGS.rglob("*.py") if "_base_" not in path.parts)
# Rows of the paper are built, and take a training step, in tests/analysis/paper.
BUILT_HERE = [path for path in EXPERIMENTS if path.parent.parent.name != "paper" or path.parent.name == "troubles"]
BUILT_HERE = [path for path in BUILT_HERE if path.parent.name != "peers"]  # tests/models/test_torchvision_detector.py
R50 = CONFIGS / "retinanet" / "r50_fpn_1x_coco.py"


pytestmark = pytest.mark.usefixtures("no_custom_imports")


def name_of(path):
    return str(path.relative_to(CONFIGS))


@pytest.mark.parametrize("path", BUILT_HERE, ids=name_of)
def test_config_loads_and_its_model_builds(path):
    cfg = load_config(path, {"model.backbone.weights": None})
    assert set(cfg) <= TOP_LEVEL_KEYS
    classes = cfg.model.get("num_classes") or 7
    side = cfg.model.anchor_generator.get("image_size", 64)
    with torch.device("meta"):
        model = build_detector(cfg, tuple(map(str, range(classes)))).eval()
        for part in (model.backbone, model.bbox_head):
            if hasattr(part, "autocast"):
                part.autocast = True  # tensors without data have no precision to switch off
        predictions = model(torch.empty(1, 3, side, side))
        priors = len(model.anchor_generator(predictions.level_sizes, "meta"))
    assert predictions.level_sizes == [(-(-side // stride),) * 2 for stride in model.neck.strides]
    assert predictions.logits.shape == (1, priors, classes)
    assert predictions.deltas.shape == (1, priors, model.bbox_coder.box_dim)
    has_quality = "loss_quality" in cfg.model or "loss_obj" in cfg.model
    assert (predictions.quality_logits is not None) == has_quality


@pytest.mark.parametrize("path", EXPERIMENTS, ids=name_of)
def test_first_lines_say_what_it_is(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert all(len(line) <= 120 for line in lines)


def test_there_are_configs():
    assert len(EXPERIMENTS) >= 10


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
        ({"train_dataloader.num_workers": -1}, "train_dataloader.num_workers is -1; .* of 0 or more"),
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("_base_ = 'nope.py'", "FileNotFoundError: .*nope.py"),
        ("x = (", "line 1: '\\(' was never closed"),
        ("import not_there", "ModuleNotFoundError: Failed to import not_there in .*child.py, line 1"),
        ("_base_ = 'child.py'", "its _base_ files are a circle"),
        ("x = 1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_config_that_cannot_be_read_is_one_line(text, message, tmp_path):
    (tmp_path / "child.py").write_text(text)
    with pytest.raises(ValueError, match=f"child.py cannot be read as a config: {message}") as error:
        load_config(tmp_path / "child.py")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"param_scheduler.0.optimizer": 3}, "param_scheduler.0: LinearLR has no key 'optimizer'"),
        ({"optim_wrapper.optimizer.params": [0]}, "optim_wrapper.optimizer: SGD has no key 'params'"),
        ({"train_cfg.runner": "x"}, "train_cfg: EpochBasedTrainLoop has no key 'runner'"),
        ({"model.bbox_head.norm_cfg": {"type": "BN", "device": 1}}, "BN has no key 'device'"),
    ],
)
def test_what_the_run_gives_is_no_key_of_a_config(options, message):
    with pytest.raises(UnknownNameError) as caught:
        load_config(R50, options)
    assert message in str(caught.value)


def test_a_constructor_of_ones_own_has_keys_of_its_own(tmp_path):
    (tmp_path / "child.py").write_text(f"_base_ = {str(R50)!r}\noptim_wrapper = dict(constructor='Mine')\n")
    cfg = load_config(tmp_path / "child.py", {"optim_wrapper.paramwise_cfg.decay_rate": 0.7})
    assert cfg.optim_wrapper.paramwise_cfg == {"decay_rate": 0.7}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modle.x": 1}, "--cfg-options has no key 'modle.x'. Did you mean 'model'"),
        ({"": 1}, "--cfg-options has no key ''. "),
        (
            {"optim_wrapper.paramwise_cfg.norm_decay_multt": 0},
            "optim_wrapper.paramwise_cfg has no key 'norm_decay_multt'. Did you mean 'norm_decay_mult'",
        ),
        (
            {"optim_wrapper.paramwise_cfg.custom_keys": {"backbone": {"lr_mul": 0.1}}},
            "optim_wrapper.paramwise_cfg.custom_keys.backbone has no key 'lr_mul'. Did you mean 'lr_mult'",
        ),
        (
            {"optim_wrapper.clip_grad.maxnorm": 3},
            "optim_wrapper.clip_grad has no key 'maxnorm'. Did you mean 'max_norm'",
        ),
        ({"randomness.diff_rank_seed": True}, "randomness has no key 'diff_rank_seed'."),
        ({"model.backbon.depth": 18}, "model: OneStageDetector has no key 'backbon'. Did you mean 'backbone'"),
        ({"model.backbone.dept": 18}, "model.backbone: ResNet has no key 'dept'. Did you mean 'depth'"),
        ({"model.backbone.type": "ResNot"}, "model.backbone: no model part is called 'ResNot'. Did you mean 'ResNet'"),
        ({"model.backbone.depth.x": 1}, "--cfg-options: model.backbone.depth is 50 and has no key 'x'"),
        ({"model.loss_cls": {"type": "FocalLos"}}, "model.loss_cls: no model part is called 'FocalLos'. Did you"),
        (
            {"train_dataloader.batchsize": 1},
            "train_dataloader has no key 'batchsize'. Did you mean 'batch_size'",
        ),
        (
            {"train_dataloader.dataset.pipeline.9.prob": 1},
            "--cfg-options: train_dataloader.dataset.pipeline is a list of 4 and has no item '9'; use 0 to 3",
        ),
        (
            {"train_dataloader.dataset.pipeline.flip.prob": 1},
            "--cfg-options: train_dataloader.dataset.pipeline is a list of 4 and has no item 'flip'; use 0 to 3",
        ),
        (
            {"train_dataloader.dataset.pipeline.2.probb": 1},
            "train_dataloader.dataset.pipeline.2: RandomFlip has no key 'probb'. Did you mean 'prob'",
        ),
        (
            {"train_dataloader.dataset.pipeline.0.type": "LoadImage"},
            "train_dataloader.dataset.pipeline.0: no transform is called 'LoadImage'. Did you mean",
        ),
        ({"model.data_preprocessor.mean.3": 1}, "model.data_preprocessor.mean is a list of 3 and has no item '3'"),
        (
            {"model.bbox_head": {"_delete_": True, "type": "NanoDetHead", "act_cfg": {"type": "LeakyRelu"}}},
            "bbox_head.act_cfg: no activation is called 'LeakyRelu'. Did you mean 'LeakyReLU'",
        ),
        (
            {"model.bbox_head.norm_cfg": {"type": "GNN"}},
            "norm_cfg: no normalisation is called 'GNN'. Did you mean 'GN'",
        ),
        (
            {"model.bbox_head.norm_cfg": {"type": "GN", "num_group": 32}},
            "model.bbox_head.norm_cfg: GN has no key 'num_group'. Did you mean 'num_groups'",
        ),
        ({"optim_wrapper.optimizer.lrr": 1}, "optim_wrapper.optimizer: SGD has no key 'lrr'. Did you mean 'lr'"),
        ({"optim_wrapper.clipgrad": 1}, "optim_wrapper: OptimWrapper has no key 'clipgrad'. Did you mean 'clip_grad'"),
        ({"optim_wrapper.type": "AmpWrapper"}, "optim_wrapper: no optimizer wrapper is called 'AmpWrapper'. Did you"),
        ({"param_scheduler.0.start": 1}, "param_scheduler.0: LinearLR has no key 'start'. Did you mean 'start_factor'"),
        ({"train_cfg.max_epoch": 1}, "train_cfg: EpochBasedTrainLoop has no key 'max_epoch'. Did you mean 'max_epo"),
        ({"train_cfg.by_epoch": False}, "train_cfg: IterBasedTrainLoop has no key 'max_epochs'"),
        (
            {"default_hooks.checkpointt.interval": 1},
            "default_hooks has no key 'checkpointt'. Did you mean 'checkpoint'",
        ),
        ({"default_hooks.checkpoint.intervall": 1}, "CheckpointHook has no key 'intervall'. Did you mean 'interval'"),
        ({"custom_hooks": [{"type": "EMAHok"}]}, "custom_hooks.0: no hook is called 'EMAHok'. Did you mean 'EMAHook'"),
        (
            {"val_evaluator.class_wise": 1},
            "val_evaluator: CocoMetric has no key 'class_wise'. Did you mean 'classwise'",
        ),
        ({"randomness.sed": 1}, "randomness has no key 'sed'. Did you mean 'seed'"),
        ({"auto_scale_lr.base_batch": 1}, "auto_scale_lr has no key 'base_batch'. Did you mean 'base_batch_size'"),
        ({"env_cfg.cudnn": True}, "env_cfg has no key 'cudnn'. Did you mean 'cudnn_benchmark'"),
        (
            {"log_processor.window_siz": 5},
            "log_processor: LogProcessor has no key 'window_siz'. Did you mean 'window_size",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_misspelled_option_names_the_place_and_the_nearest(options, message):
    with pytest.raises(UnknownNameError) as caught:
        load_config(R50, options)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("model.backbone.depth", 18),
        ("model.num_classes", 3),
        ("model.assigner.min_pos_iou", 0.4),  # not in the config, but a parameter of the class
        ("model.bbox_head.norm_cfg.type", "BN"),
        ("train_dataloader.dataset.pipeline.2.prob", 0.0),
        ("train_dataloader.dataset.pipeline.3.type", "PackDetInputs"),
        ("train_dataloader.dataset.pipeline", [{"type": "LoadImageFromFile"}]),
        ("model.loss_cls.alpha", None),
        ("model.loss_cls.gamma", 2),  # a whole number where the constructor says float
        ("model.anchor_generator.ratios", (1, 2)),
        ("train_dataloader.dataset.pipeline.1.scale", [640, 400]),
        ("optim_wrapper.clip_grad", None),
        ("default_hooks.checkpoint", None),
        ("default_hooks.logger.interval", 7),
        ("compile", {"mode": "default"}),
        ("val_evaluator", [{"type": "CocoMetric"}, {"prefix": "again"}]),
        ("optim_wrapper.paramwise_cfg", {"custom_keys": {"backbone": {"lr_mult": 1}}}),
        ("model.data_preprocessor.mean.1", 100.0),
        ("model.anchor_generator.ratios", [1.0]),
        ("param_scheduler.1.milestones.0", 6),
        ("optim_wrapper.clip_grad.max_norm", 10.0),
        ("optim_wrapper.clip_grad.max_norm", float("inf")),
        ("log_processor.window_size", 5),
        ("work_dir", "runs/a"),
        ("load_from", None),
        ("data_root", "elsewhere/"),
        ("custom_hooks", [{"type": "EMAHook", "momentum": 0.01}]),
    ],
)
def test_valid_option_is_applied(option, value):
    node = load_config(R50, {option: value})
    for part in option.split("."):
        node = node[int(part)] if part.isdigit() else node[part]
    assert node == value


def test_values_of_python_code_are_plain_or_refused():
    plain = load_config(R50, {"model.num_classes": np.int64(3), "data_root": Path("a"), "load_from": np.str_("b")})
    assert (plain.model.num_classes, plain.data_root, plain.load_from) == (3, "a", "b")
    assert type(plain.model.num_classes) is int
    for value in (np.ones(3), torch.ones(3), object()):
        with pytest.raises(ValueError, match=r"ratios is .*, which no config file can hold; give"):
            load_config(R50, {"model.anchor_generator.ratios": value})


def test_what_cannot_be_merged_is_said():
    with pytest.raises(ConfigError, match=r"pipeline\.1 cannot be merged \(.*; give the whole of it"):
        load_config(R50, {"train_dataloader.dataset.pipeline.1": {"type": {"type": "Resize"}}})
    with pytest.raises(UnknownNameError, match="no normalisation is called ''"):
        load_config(R50, {"model.bbox_head.norm_cfg": {"type": ""}})


def test_option_changes_only_its_own_key():
    before, after = (
        flatten(load_config(R50)),
        flatten(load_config(R50, {"train_dataloader.dataset.pipeline.2.prob": 0})),
    )
    assert {k for k in before if before[k] != after[k]} == {"train_dataloader.dataset.pipeline.2.prob"}
    assert before.keys() == after.keys()
    assert read_config(R50).train_dataloader.dataset.pipeline[2].prob == 0.5


def test_dict_options_are_merged_or_replace():
    cfg = load_config(R50, {"model.loss_cls": {"gamma": 5.0}})
    assert cfg.model.loss_cls == {"type": "FocalLoss", "alpha": 0.25, "gamma": 5.0}
    options = {"model.loss_bbox": {"_delete_": True, "type": "L1Loss"}}
    for _ in range(2):  # the caller's options stay as they are
        assert load_config(R50, options).model.loss_bbox == {"type": "L1Loss"}


def write(tmp_path, text, name="config.py"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "train_dataloder = dict()",
            "config has no key 'train_dataloder' (a helper variable's name begins with '_'). Did",
        ),
        ("helper = 3", "config has no key 'helper' (a helper variable's name begins with '_')"),
        (
            "model = dict(neck=dict(out_chanels=8))",
            "model.neck: FPN has no key 'out_chanels'. Did you mean 'out_channels'",
        ),
        ("model = dict(neck=dict(type='FPM'))", "model.neck: no model part is called 'FPM'. Did you mean 'FPN'"),
        ("auto_scale_lr = dict(enabel=True)", "auto_scale_lr has no key 'enabel'. Did you mean 'enable'"),
        ("custom_imports = dict(import_=['x'])", "custom_imports has no key 'import_'. Did you mean 'imports'"),
        (
            "val_dataloader = dict(dataset=dict(test_mod=True))",
            "val_dataloader.dataset: CocoDataset has no key 'test_mod'. Did you mean 'test_mode'",
        ),
    ],
)
def test_misspelled_key_in_a_file_names_file_place_and_nearest(text, message, tmp_path):
    path = write(tmp_path, f"_base_ = {str(R50)!r}\n{text}\n")
    with pytest.raises(UnknownNameError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_wrapped_data_sets_are_checked(tmp_path):
    inner = "dict(type='CocoDataset', ann_file='a.json', pipeline=[dict(type='Resize', scal=(1, 1))])"
    path = write(tmp_path, f"val_dataloader = dict(dataset=dict(type='ConcatDataset', datasets=[{inner}]))")
    with pytest.raises(
        UnknownNameError, match=r"val_dataloader.dataset.datasets.0.pipeline.0: Resize has no key 'scal'"
    ):
        load_config(path)


def test_helpers_are_dropped(tmp_path):
    path = write(tmp_path, f"_base_ = {str(R50)!r}\n_depth = 18\nmodel = dict(backbone=dict(depth=_depth))\n")
    cfg = load_config(path)
    assert cfg.model.backbone.depth == 18
    assert not any(name.startswith("_") for name in cfg)


def test_empty_config(tmp_path):
    assert dict(load_config(write(tmp_path, "")).items()) == {}
    check_config(Config())


@pytest.mark.parametrize("name", ["nowhere.py", "."])
def test_missing_file(name, tmp_path):
    with pytest.raises(FileNotFoundError, match="no config at "):
        load_config(tmp_path / name)


def test_part_in_a_users_own_module(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    write(
        tmp_path,
        "from rdet.models.losses.focal_loss import SigmoidLoss\nfrom rdet.registry import MODELS\n\n"
        "@MODELS.register_module()\nclass QuadraticLoss(SigmoidLoss):\n"
        "    def __init__(self, scale: float):\n        super().__init__(0.25, 1.0)\n        self.scale = scale\n"
        "    def elementwise(self, x_t):\n        return self.scale * (x_t - 1) ** 2\n",
        "quadratic_loss.py",
    )
    text = (
        f"_base_ = {str(R50)!r}\ncustom_imports = dict(imports=['quadratic_loss'])\n"
        "model = dict(loss_cls=dict(_delete_=True, type='QuadraticLoss', {}=2.0))\n"
    )
    cfg = load_config(write(tmp_path, text.format("scale"), "good.py"), {"model.backbone.weights": None})
    with torch.device("meta"):
        assert build_detector(cfg, ("a",)).criterion.loss_cls.scale == 2.0
    with pytest.raises(
        UnknownNameError, match=r"model.loss_cls: QuadraticLoss has no key 'scal'. Did you mean 'scale'"
    ):
        load_config(write(tmp_path, text.format("scal"), "bad.py"))


def test_failed_custom_import_is_said(tmp_path):
    path = write(tmp_path, f"_base_ = {str(R50)!r}\ncustom_imports = dict(imports=['no_such_module'])\n")
    with pytest.raises(ImportError, match=r"custom_imports: cannot import 'no_such_module' .* on PYTHONPATH"):
        load_config(path)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        (
            "r50_fpn_1x_coco_fl_star.py",
            {},
            {
                ("model.loss_cls.type", "FocalLoss", "FocalLossStar"),
                ("model.loss_cls.beta", ..., 1.0),
                ("model.loss_cls.alpha", 0.25, ...),
            },
        ),
        (
            "r50_fpn_1x_coco_one_anchor.py",
            {"model.backbone.depth": 18},
            {
                ("model.anchor_generator.scales_per_octave", 3, 1),
                ("model.anchor_generator.ratios", (0.5, 1.0, 2.0), (1.0,)),
                ("model.backbone.depth", 50, 18),
            },
        ),
        (
            "r101_fpn_1x_coco.py",
            {"work_dir": "w"},
            {
                ("model.backbone.depth", 50, 101),
                ("model.backbone.weights", "torchvision://resnet50", "torchvision://resnet101"),
                ("work_dir", ..., "w"),
            },
        ),
        ("r50_fpn_1x_coco.py", {}, set()),
        ("r50_fpn_1x_coco.py", {"param_scheduler.0.end": 9}, {("param_scheduler.0.end", 500, 9)}),
    ],
)
def test_changes_of_a_child(name, options, expected):
    path = CONFIGS / "retinanet" / name
    found = {tuple(map(hashable, row)) for row in changes(path, load_config(path, options))}
    assert found == expected


def test_changes_of_yaml_and_json(tmp_path):
    (tmp_path / "base.yaml").write_text("work_dir: a\nlog_level: INFO\n")
    (tmp_path / "child.yaml").write_text("_base_: base.yaml\nwork_dir: b\n")
    (tmp_path / "alone.json").write_text('{"work_dir": "c"}')
    path = tmp_path / "child.yaml"
    assert base_files(path) == [tmp_path / "base.yaml"]
    assert changes(path, load_config(path)) == [("work_dir", "a", "b")]
    assert changes(tmp_path / "alone.json", load_config(tmp_path / "alone.json")) == [("work_dir", ..., "c")]


def test_changes_of_a_config_without_bases(tmp_path):
    path = write(tmp_path, "work_dir = 'w'\n")
    assert changes(path, load_config(path)) == [("work_dir", ..., "w")]
    path = write(tmp_path, "")
    assert changes(path, load_config(path)) == []


def hashable(value):
    return tuple(value) if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", []), ("_base_ = './a.py'", ["a.py"]), ("_base_ = ['../a.py', 'b/c.py']", ["../a.py", "b/c.py"])],
)
def test_base_files(text, expected, tmp_path):
    assert base_files(write(tmp_path, text)) == [tmp_path / name for name in expected]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({}, {}),
        ({"a": {"b": 1, "c": {}}, "d": []}, {"a.b": 1, "a.c": {}, "d": []}),
        ({"a": [{"b": 1}, {"b": 2}], "c": (1, 2)}, {"a.0.b": 1, "a.1.b": 2, "c": (1, 2)}),
    ],
)
def test_flatten(value, expected):
    assert flatten(value) == expected


def test_class_as_type_is_kept_by_its_dotted_name(tmp_path, monkeypatch):
    (tmp_path / "parts_by_class.py").write_text(
        "from rdet.models.losses.focal_loss import FocalLoss\n\n\nclass MyLoss(FocalLoss):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    text = f"_base_ = {str(R50)!r}\nfrom parts_by_class import MyLoss\nmodel = dict(loss_cls=dict(type=MyLoss))\n"
    cfg = load_config(write(tmp_path, text), {"model.backbone.weights": None})
    assert cfg.model.loss_cls.type == "parts_by_class.MyLoss"
    cfg.dump(tmp_path / "dumped.py")
    with torch.device("meta"):
        detector = build_detector(load_config(tmp_path / "dumped.py"), ("a",))
    assert type(detector.criterion.loss_cls).__name__ == "MyLoss"


@pytest.mark.parametrize("key", ["sampler", "shuffle", "drop_last"])
def test_order_of_images_is_no_option(tmp_path, key):
    text = f"_base_ = {str(R50)!r}\ntrain_dataloader = dict({key}=None)\n"
    with pytest.raises(UnknownNameError, match=f"train_dataloader has no key '{key}'"):
        load_config(write(tmp_path, text))


def test_tensorboard_can_be_asked_for(tmp_path):
    backends = "[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]"
    text = f"_base_ = {str(R50)!r}\nvisualizer = dict(type='Visualizer', vis_backends={backends})\n"
    assert len(load_config(write(tmp_path, text)).visualizer.vis_backends) == 2
    with pytest.raises(UnknownNameError, match="Did you mean 'TensorboardVisBackend'"):
        load_config(write(tmp_path, text.replace("TensorboardVis", "TensorBoardVis")))


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
