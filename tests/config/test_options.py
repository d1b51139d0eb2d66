"""What --cfg-options changes, and what it cannot."""

import pytest
from written_config import R50

from rdet.config import flatten, load_config, read_config
from rdet.errors import ConfigError, UnknownNameError

pytestmark = pytest.mark.usefixtures("no_custom_imports")


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
