"""Whole detectors of MMDetection's config files are those of the repository's configs, and train."""

from pathlib import Path

import pytest
import torch
from interop.mmdet_sources import FAMILIES
from interop.with_defaults import with_defaults
from mmengine.structures import InstanceData

from rdet.config import flatten, load_config
from rdet.errors import ConfigError
from rdet.registry import MODELS
from rdet.structures import DetDataSample

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("family", FAMILIES)
def test_model_is_that_of_the_repositorys_config(convert, family):
    ours = load_config(ROOT / "configs" / family.lower() / "r50_fpn_1x_coco_mmdet.py").model
    ours = {slot: cfg for slot, cfg in ours.items() if cfg is not None}  # what it empties of the config below it
    assert flatten(with_defaults(convert(family).model)) == flatten(with_defaults(ours))


FIRST_FCOS = """
model = dict(
    data_preprocessor=dict(mean=[102.9801, 115.9465, 122.7717]),
    backbone=dict(init_cfg=dict(type="Pretrained", checkpoint="open-mmlab://detectron/resnet50_caffe")),
    bbox_head=dict(
        norm_on_bbox=False,
        centerness_on_reg=False,
        center_sampling=False,
        conv_bias="auto",
        loss_bbox=dict(type="IoULoss"),
    ),
    test_cfg=dict(nms=dict(iou_threshold=0.5)),
)
optim_wrapper = dict(
    paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0), clip_grad=dict(max_norm=35, norm_type=2)
)
param_scheduler = [
    dict(type="ConstantLR", factor=1.0 / 3, by_epoch=False, begin=0, end=500),
    dict(type="MultiStepLR", by_epoch=True, begin=0, end=12, milestones=[8, 11], gamma=0.1),
]
"""


def test_first_head_of_fcos(convert):
    ours = load_config(ROOT / "configs" / "fcos" / "r50_fpn_iccv2019_1x_coco_mmdet.py")
    found = convert("FCOS", FIRST_FCOS)
    assert flatten(with_defaults(found.model)) == flatten(with_defaults(ours.model))
    assert found.optim_wrapper == ours.optim_wrapper
    assert found.param_scheduler == ours.param_scheduler


GHM = """
model = dict(
    bbox_head=dict(
        loss_cls=dict(_delete_=True, type="GHMC", bins=30, momentum=0.75, use_sigmoid=True, loss_weight=1.0),
        loss_bbox=dict(_delete_=True, type="GHMR", mu=0.02, bins=10, momentum=0.7, loss_weight=10.0),
    )
)
"""


def test_ghm(convert):
    ours = load_config(ROOT / "configs" / "ghm" / "r50_fpn_1x_coco_mmdet.py")
    assert flatten(with_defaults(convert(changes=GHM).model)) == flatten(with_defaults(ours.model))
    with pytest.raises(ConfigError, match="GHM's and the other is not"):
        convert(changes=GHM.replace("GHMR", "L1Loss").replace("mu=0.02, bins=10, momentum=0.7, ", ""))


YOLOF = """
model = dict(
    type="YOLOF",
    data_preprocessor=dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0], bgr_to_rgb=False),
    backbone=dict(
        out_indices=(3,),
        norm_cfg=dict(requires_grad=False),
        style="caffe",
        init_cfg=dict(checkpoint="open-mmlab://detectron/resnet50_caffe"),
    ),
    neck=dict(
        _delete_=True, type="DilatedEncoder", in_channels=2048, out_channels=512, block_mid_channels=128,
        num_residual_blocks=4, block_dilations=[2, 4, 6, 8],
    ),
    bbox_head=dict(
        _delete_=True, type="YOLOFHead", num_classes=80, in_channels=512, reg_decoded_bbox=True,
        anchor_generator=dict(type="AnchorGenerator", ratios=[1.0], scales=[1, 2, 4, 8, 16], strides=[32]),
        bbox_coder=dict(type="DeltaXYWHBBoxCoder", add_ctr_clamp=True, ctr_clamp=32),
        loss_cls=dict(type="FocalLoss", use_sigmoid=True),
        loss_bbox=dict(type="GIoULoss"),
    ),
    train_cfg=dict(assigner=dict(_delete_=True, type="UniformAssigner", pos_ignore_thr=0.15, neg_ignore_thr=0.7)),
    test_cfg=dict(nms=dict(iou_threshold=0.6)),
)
"""


def test_yolof(convert):
    ours = load_config(ROOT / "configs" / "yolof" / "r50_c5_1x_coco_mmdet.py")
    assert flatten(with_defaults(convert(changes=YOLOF).model)) == flatten(with_defaults(ours.model))


def sample(height, width, boxes, labels):
    size = (height, width)
    of_image = DetDataSample(metainfo={"img_shape": size, "ori_shape": size, "scale_factor": (1.0, 1.0), "img_id": 0})
    of_image.gt_instances = InstanceData(bboxes=torch.tensor(boxes).reshape(-1, 4), labels=torch.tensor(labels).long())
    of_image.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0).long())
    return of_image


ANCHORS = "model = dict(bbox_head=dict(anchor_type='anchor_based'))"


@pytest.mark.parametrize(("family", "changes"), [*((family, "") for family in FAMILIES), ("TOOD", ANCHORS)])
def test_training_step(convert, family, changes):
    torch.manual_seed(0)
    cfg = convert(family, changes, depth=18)
    cfg.model.backbone.weights = None
    model = MODELS.build(cfg.model, default_args={"num_classes": 80}).train()
    data = {
        "inputs": [torch.randint(256, (3, *size), dtype=torch.uint8) for size in ((64, 96), (90, 64))],
        "data_samples": [sample(64, 96, [[5.0, 8.0, 60.0, 50.0]], [3]), sample(90, 64, [], [])],
    }
    losses = model(**model.data_preprocessor(data, True), mode="loss")
    total = sum(losses.values())
    total.backward()
    assert torch.isfinite(total)
    assert all(p.grad is not None for p in model.bbox_head.parameters())
