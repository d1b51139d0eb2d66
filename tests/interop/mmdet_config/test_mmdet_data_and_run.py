"""Data, pipelines, schedules and hooks of MMDetection's config files."""

import pytest
import torch
from interop.mmdet_sources import FAMILIES
from mmengine.registry import DefaultScope

from rdet.registry import DATASETS, MODELS, TRANSFORMS


def test_data_and_run(convert):
    cfg = convert()
    assert cfg.data_root == "data/shapes/"
    assert cfg.train_dataloader.dataset == {
        "type": "CocoDataset",
        "ann_file": "train.json",
        "data_prefix": {"img": "train/"},
        "filter_empty_gt": True,
        "min_image_size": 32,
        "pipeline": [
            {"type": "LoadImageFromFile"},
            {"type": "Resize", "scale": (1333, 800), "keep_ratio": True},
            {"type": "RandomFlip", "prob": 0.5},
            {"type": "PackDetInputs"},
        ],
    }
    assert cfg.val_dataloader.dataset.test_mode
    assert "filter_empty_gt" not in cfg.val_dataloader.dataset
    assert "test_dataloader" not in cfg
    assert cfg.val_evaluator == {"type": "CocoMetric"}
    assert cfg.train_cfg == {"by_epoch": True, "max_epochs": 12, "val_interval": 1}
    assert cfg.param_scheduler[1].milestones == [8, 11]
    assert cfg.train_dataloader.aspect_ratio_grouping is True
    assert cfg.auto_scale_lr == {"enable": False, "base_batch_size": 16}
    assert cfg.default_hooks.logger.interval == 50
    assert "num_classes" not in cfg.model  # COCO's 80 follow from the data set


def test_classes_of_ones_own(convert):
    cfg = convert(
        changes="""
metainfo = dict(classes=("cat", "dog"), palette=[(1, 2, 3), (4, 5, 6)])
model = dict(bbox_head=dict(num_classes=2))
train_dataloader = dict(dataset=dict(data_root="data/a/", metainfo=metainfo))
val_dataloader = dict(dataset=dict(data_root="data/b/", metainfo=metainfo))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file="data/b/val.json")
test_evaluator = dict(ann_file="data/test.json")
load_from = "https://example.org/detector.pth"
"""
    )
    assert cfg.model.num_classes == 2
    assert cfg.train_dataloader.dataset.metainfo == {"classes": ("cat", "dog")}
    assert (cfg.train_dataloader.dataset.data_root, cfg.val_dataloader.dataset.data_root) == ("data/a/", "data/b/")
    assert "data_root" not in cfg
    assert cfg.val_evaluator == {"type": "CocoMetric"}
    assert cfg.test_evaluator.ann_file == "data/test.json"
    assert cfg.load_from == "https://example.org/detector.pth"


LARGE_SCALE_JITTER = """
pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="PhotoMetricDistortion", hue_delta=9),
    dict(type="RandomResize", scale=(128, 128), ratio_range=(0.1, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_type="absolute_range", crop_size=(128, 128), allow_negative_crop=True),
    dict(type="FilterAnnotations", min_gt_bbox_wh=(1e-2, 1e-2)),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
inner = dict(type="CocoDataset", data_root="data/shapes/", ann_file="train.json", pipeline=pipeline)
train_dataloader = dict(
    batch_size=8, dataset=dict(_delete_=True, type="RepeatDataset", times=4, dataset=inner))
model = dict(data_preprocessor=dict(batch_augments=[dict(type="BatchFixedSizePad", size=(128, 192))]))
optim_wrapper = dict(type="AmpOptimWrapper")
"""


@pytest.mark.parametrize("family", FAMILIES)
def test_large_scale_jitter(convert, family):
    cfg = convert(family, LARGE_SCALE_JITTER)
    assert cfg.model.data_preprocessor.train_size == (192, 128)
    assert "padding" not in cfg.model.assigner  # the fixed size beyond an image is background
    dataset = cfg.train_dataloader.dataset
    assert (dataset.type, dataset.times) == ("RepeatDataset", 4)
    steps = {step.pop("type"): step for step in dataset.dataset.pipeline}
    assert steps["RandomResize"].ratio_range == (0.1, 2.0)
    assert (steps["PhotoMetricDistortion"].hue_delta, steps["PhotoMetricDistortion"].shuffle_prob) == (9, 0.5)
    assert steps["RandomCrop"] == {"crop_size": (128, 128), "allow_negative_crop": True, "min_side": 0.0}
    assert steps["FilterAnnotations"] == {"min_gt_bbox_wh": (0.01, 0.01)}
    assert cfg.optim_wrapper.dtype == "auto"


def test_several_scales(convert):
    cfg = convert(
        changes="""
train_dataloader = dict(dataset=dict(pipeline=[
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="RandomChoiceResize", scales=[(1333, 640), (1333, 800)], keep_ratio=True),
    dict(type="RandomResize", scale=[(480, 1333), (1333, 960)], keep_ratio=True),
    dict(type="PackDetInputs"),
]))
"""
    )
    choice, between = cfg.train_dataloader.dataset.pipeline[1:3]
    assert choice == {"type": "RandomChoiceResize", "scales": [(1333, 640), (1333, 800)], "keep_ratio": True}
    assert between == {"type": "RandomResize", "scale": [(1333, 480), (1333, 960)], "keep_ratio": True}


def test_iterations_hooks_and_optimizer(convert):
    cfg = convert(
        changes="""
train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=900, val_interval=100)
train_dataloader = dict(sampler=dict(type="InfiniteSampler"))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=100, max_keep_ckpts=2))
custom_hooks = [
    dict(type="EMAHook", ema_type="ExpMomentumEMA", momentum=0.0002, update_buffers=True, priority=49),
    dict(type="NumClassCheckHook"),
]
optim_wrapper = dict(_delete_=True, type="OptimWrapper", accumulative_counts=2, clip_grad=dict(max_norm=1.0),
    optimizer=dict(type="AdamW", lr=1e-4), paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))))
"""
    )
    assert cfg.train_cfg == {"by_epoch": False, "max_iters": 900, "val_interval": 100}
    assert cfg.default_hooks.checkpoint == {
        "type": "CheckpointHook",
        "interval": 100,
        "by_epoch": False,
        "max_keep_ckpts": 2,
    }
    assert [hook.ema_type for hook in cfg.custom_hooks] == ["ExpMomentumEMA"]
    assert cfg.optim_wrapper.accumulative_counts == 2
    assert cfg.optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult == 0.1


def test_the_learning_rate_of_offsets_goes_by_their_names(convert):
    """Of mmengine's key, which knows mmcv's own convolutions alone, rdet's feel nothing."""
    cfg = convert("DDOD", "optim_wrapper = dict(paramwise_cfg=dict(dcn_offset_lr_mult=0.1, bias_lr_mult=2.0))")
    found = cfg.optim_wrapper.paramwise_cfg
    assert found.pop("bias_lr_mult") == 2.0
    assert found == {"custom_keys": {f"conv_offset.{end}": {"lr_mult": 0.1} for end in ("weight", "bias")}}
    with torch.device("meta"):
        model = MODELS.build(cfg.model, default_args={"num_classes": 5}, where="model")
    groups = {name for key in found.custom_keys for name, _ in model.named_parameters() if key in name}
    assert groups == {f"bbox_head.{t}_convs.0.conv.{key}" for t in ("cls", "reg") for key in found.custom_keys}


def test_views_of_a_test(convert):
    cfg = convert(
        changes="""
tta_model = dict(type="DetTTAModel", tta_cfg=dict(nms=dict(type="nms", iou_threshold=0.4), max_per_img=90))
tta_pipeline = [dict(type="LoadImageFromFile"), dict(type="TestTimeAug", transforms=[
    [dict(type="Resize", scale=(1333, 800), keep_ratio=True), dict(type="Resize", scale=(666, 400), keep_ratio=True)],
    [dict(type="RandomFlip", prob=1.0), dict(type="RandomFlip", prob=0.0)],
    [dict(type="LoadAnnotations", with_bbox=True)],
    [dict(type="PackDetInputs", meta_keys=("img_id", "flip"))],
])]
"""
    )
    assert cfg.tta_model.postprocess == {"type": "NMSPostprocess", "iou_threshold": 0.4, "max_per_img": 90}
    views = cfg.tta_pipeline[1].transforms
    assert [len(stage) for stage in views] == [2, 2, 1]
    with DefaultScope.overwrite_default_scope("rdet"):
        assert all(TRANSFORMS.build(step) for step in cfg.tta_pipeline)


def test_rare_classes_come_as_often_as_there(convert, tmp_path):
    """mmengine's wrapper, and not rdet's of the same name."""
    cfg = convert(
        changes="inner = dict(type='CocoDataset', ann_file='a.json', pipeline=[])\n"
        "train_dataloader = dict(dataset=dict(_delete_=True, type='ClassBalancedDataset', oversample_thr=0.6, "
        "dataset=inner))"
    )
    (tmp_path / "a.json").write_text(
        '{"images": [{"id": 1, "file_name": "a", "width": 9, "height": 9}, {"id": 2, "file_name": "b", "width": 9, '
        '"height": 9}, {"id": 3, "file_name": "c", "width": 9, "height": 9}], "categories": [{"id": 1, "name": "x"}, '
        '{"id": 2, "name": "y"}], "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4]}, '
        '{"id": 2, "image_id": 2, "category_id": 1, "bbox": [1, 1, 4, 4]}, {"id": 3, "image_id": 3, "category_id": 2, '
        '"bbox": [1, 1, 4, 4]}]}'
    )
    cfg.train_dataloader.dataset.dataset.ann_file = str(tmp_path / "a.json")
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert dataset.repeat_indices == [0, 1, 2, 2]  # sqrt(0.6 * 3) = 1.34 rounded up
