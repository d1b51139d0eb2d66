"""MMDetection's config files become rdet's, or one line says what is missing."""

import importlib.util
import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from forked import Forked
from interop.mmdet_sources import FAMILIES, write_source
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from rdet.config import flatten, load_config
from rdet.errors import ConfigError, MissingFileError
from rdet.interop.mmdet_config import convert_config
from rdet.interop.mmdet_config.convert import published_ap
from rdet.registry import DATASETS, MODELS, TRANSFORMS
from rdet.structures import DetDataSample

ROOT = Path(__file__).parents[2]


@pytest.fixture
def convert(tmp_path):
    """Convert a source with changes; rdet's config."""

    def converted(family="RetinaNet", changes="", depth=50):
        convert_config(write_source(tmp_path, family, changes, depth), tmp_path / "out.py")
        return load_config(tmp_path / "out.py")

    return converted


def with_defaults(value):
    """Parts with the defaults of their constructors, classes by their one name, lists and floats for all numbers."""
    if isinstance(value, dict):
        value = {key: with_defaults(item) for key, item in value.items()}
        if value.get("type") not in (None, "GN", "BN"):
            cls = MODELS.get(value["type"])
            value["type"] = cls.__name__
            for base in cls.__mro__:
                if "__init__" in vars(base):
                    for name, parameter in inspect.signature(base.__init__).parameters.items():
                        if parameter.default is not parameter.empty:
                            value.setdefault(name, with_defaults(parameter.default))
        return value
    if isinstance(value, list | tuple):
        return [with_defaults(item) for item in value]
    return float(value) if type(value) is int else value


# ---- whole detectors


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


# ---- edits

EDITS = [
    ("anchor_generator=dict(octave_base_scale=2, ratios=[1.0])", "anchor_generator.octave_base_scale", 2),
    ("anchor_generator=dict(center_offset=0.5)", "anchor_generator.center_offset", 0.5),
    ("loss_cls=dict(_delete_=True, type='CrossEntropyLoss', use_sigmoid=True)", "loss_cls.type", "CrossEntropyLoss"),
    ("loss_cls=dict(gamma=1.5, alpha=0.5)", "loss_cls.gamma", 1.5),
    ("loss_cls=dict(loss_weight=2.0)", "loss_cls.loss_weight", 2.0),
    ("reg_decoded_bbox=True, loss_bbox=dict(type='GIoULoss', eps=1e-6)", "loss_bbox.type", "GIoULoss"),
    ("reg_decoded_bbox=True, loss_bbox=dict(type='IoULoss', linear=True)", "loss_bbox.mode", "linear"),
    ("loss_bbox=dict(type='SmoothL1Loss')", "loss_bbox.beta", 1.0),
    ("loss_bbox=dict(type='SmoothL1Loss', beta=0.11)", "loss_bbox.beta", 0.11),
    ("loss_bbox=dict(type='BalancedL1Loss', alpha=0.4)", "loss_bbox.alpha", 0.4),
    ("bbox_coder=dict(target_stds=[0.1, 0.1, 0.2, 0.2])", "bbox_coder.target_stds", [0.1, 0.1, 0.2, 0.2]),
    ("bbox_coder=dict(clip_border=False)", "postprocess.clip", False),
    ("bbox_coder=dict(add_ctr_clamp=True, ctr_clamp=16)", "bbox_coder.max_shift", 16),
    ("norm_cfg=dict(type='GN', num_groups=32)", "bbox_head.norm_cfg.type", "GN"),
    ("stacked_convs=2", "bbox_head.stacked_convs", 2),
    ("num_classes=3", "num_classes", 3),
    (
        "init_cfg=dict(type='Normal', layer='Conv2d', std=0.01, override=dict(bias_prob=0.1))",
        "bbox_head.prior_prob",
        0.1,
    ),
]


@pytest.mark.parametrize(("edit", "key", "value"), EDITS)
def test_edits_of_the_head(convert, edit, key, value):
    assert flatten(convert(changes=f"model = dict(bbox_head=dict({edit}))").model)[key] == value


MODEL_EDITS = [
    ("RetinaNet", "train_cfg=dict(assigner=dict(pos_iou_thr=0.6, min_pos_iou=0.2))", "assigner.min_pos_iou", 0.2),
    ("RetinaNet", "train_cfg=dict(assigner=dict(match_low_quality=False))", "assigner.match_low_quality", False),
    ("RetinaNet", "neck=dict(add_extra_convs=True, relu_before_extra_convs=True)", "neck.relu_before_p7", True),
    (
        "RetinaNet",
        "neck=dict(num_outs=4), bbox_head=dict(anchor_generator=dict(strides=[8, 16, 32, 64]))",
        "neck.num_extra",
        1,
    ),
    ("RetinaNet", "backbone=dict(type='ResNeXt', depth=101, groups=32, base_width=8)", "backbone.groups", 32),
    ("RetinaNet", "backbone=dict(frozen_stages=-1)", "backbone.frozen_stages", 0),
    ("RetinaNet", "backbone=dict(init_cfg=None)", "backbone.weights", None),
    ("RetinaNet", "backbone=dict(norm_cfg=dict(type='SyncBN'))", "backbone.norm_cfg.type", "SyncBN"),
    ("RetinaNet", "test_cfg=dict(nms=dict(type='soft_nms', min_score=0.05))", "postprocess.min_score", 0.05),
    ("RetinaNet", "test_cfg=dict(nms=dict(class_agnostic=True), max_per_img=50)", "postprocess.max_per_img", 50),
    ("ATSS", "train_cfg=dict(assigner=dict(topk=5))", "assigner.topk", 5),
    ("ATSS", "bbox_head=dict(loss_bbox=dict(type='DIoULoss'))", "loss_bbox.type", "DIoULoss"),
    ("GFL", "bbox_head=dict(loss_dfl=dict(loss_weight=0.5))", "loss_dfl.loss_weight", 0.125),
    ("GFL", "bbox_head=dict(reg_max=8)", "bbox_coder.reg_max", 8),
    ("FCOS", "bbox_head=dict(center_sample_radius=2.5)", "assigner.center_sampling_radius", 2.5),
    (
        "FCOS",
        "bbox_head=dict(regress_ranges=((-1, 48), (48, 96), (96, 192), (192, 384), (384, 1e8)))",
        "assigner.regress_range",
        [3.0, 6.0],
    ),
    ("VFNet", "bbox_head=dict(gradient_mul=0.3)", "bbox_head.star_gradient", 0.3),
    ("TOOD", "train_cfg=dict(initial_epoch=1, beta=4)", "initial.epochs", 1),
    ("TOOD", "train_cfg=dict(alpha=0.5)", "quality.alpha", 0.5),
]


@pytest.mark.parametrize(("family", "edit", "key", "value"), MODEL_EDITS)
def test_edits_of_the_model(convert, family, edit, key, value):
    assert flatten(convert(family, f"model = dict({edit})").model)[key] == value


def test_scales_that_are_no_octaves_are_written_out(convert):
    changes = """
model = dict(bbox_head=dict(anchor_generator=dict(
    _delete_=True, type="AnchorGenerator", scales=[4, 8], scale_major={}, ratios=[1.0, 4.0],
    strides=[(8, 8), (16, 16), (32, 32), (64, 64), (128, 128)])))
"""
    sizes = convert(changes=changes.format(True)).model.anchor_generator.sizes
    assert len(sizes) == 5
    assert sizes[1] == [(64.0, 64.0), (128.0, 128.0), (32.0, 128.0), (64.0, 256.0)]
    assert convert(changes=changes.format(False)).model.anchor_generator.sizes[0] == [
        (32.0, 32.0),
        (16.0, 64.0),
        (64.0, 64.0),
        (32.0, 128.0),
    ]


def test_the_written_file_says_where_the_sizes_come_from(convert, tmp_path):
    convert(
        changes="model = dict(bbox_head=dict(anchor_generator=dict(_delete_=True, type='AnchorGenerator', "
        "scales=[4, 9], ratios=[1.0], strides=[8, 16, 32, 64, 128])))"
    )
    head = (tmp_path / "out.py").read_text().partition("model = ")[0]
    assert "# model.bbox_head.anchor_generator: scales [4, 9], ratios [1.0] and base sizes [8, 16" in head
    assert "no octaves" in head


def test_one_scale_is_an_octave(convert):
    found = convert(
        changes="model = dict(bbox_head=dict(anchor_generator=dict(_delete_=True, type='AnchorGenerator', "
        "scales=[8], ratios=[1.0], strides=[8, 16, 32, 64, 128])))"
    ).model.anchor_generator
    assert found == {"type": "AnchorGenerator", "octave_base_scale": 8, "scales_per_octave": 1, "ratios": [1.0]}


# ---- what is refused

REFUSED = [
    (
        "model = dict(train_cfg=dict(assigner=dict(_delete_=True, type='ATSSAssigner', topk=9)))",
        "model.train_cfg.assigner: ATSSAssigner does not go with this head in MMDetection; it calls MaxIoUAssigner",
    ),
    ("model = dict(type='FasterRCNN')", "model: MMDetection's FasterRCNN has no counterpart in rdet"),
    (
        "model = dict(bbox_head=dict(num_clases=3))",
        "model.bbox_head.num_clases: rdet has nothing for the key 'num_clases' of MMDetection's RetinaHead. "
        "Did you mean 'num_classes'",
    ),
    ("model = dict(bbox_head=dict(typo=1))", "model.bbox_head.typo: rdet has nothing for the key 'typo' of"),
    ("model = dict(train_cfg=dict(typo=1))", "model.train_cfg.typo: rdet has nothing for the key 'typo'"),
    ("model = dict(test_cfg=dict(typo=1))", "model.test_cfg.typo: rdet has nothing for the key 'typo'"),
    (
        "model = dict(bbox_head=dict(loss_cls=dict(_delete_=True, type='Seesaw')))",
        "loss_cls: MMDetection's Seesaw has no",
    ),
    ("model = dict(bbox_head=dict(loss_cls=dict(typo=1)))", "loss_cls.typo: rdet has nothing for the key 'typo'"),
    ("model = dict(bbox_head=dict(loss_cls=dict(activated=True)))", "loss_cls.activated is True; this head gives logi"),
    (
        "model = dict(bbox_head=dict(loss_cls=dict(_delete_=True, type='CrossEntropyLoss')))",
        "loss_cls.use_sigmoid is not True; rdet has no softmax",
    ),
    (
        "model = dict(bbox_head=dict(loss_cls=dict(_delete_=True, type='QualityFocalLoss')))",
        "loss_cls: QualityFocalLoss does not go with this head",
    ),
    (
        "model = dict(bbox_head=dict(loss_bbox=dict(type='GIoULoss')))",
        "GIoULoss on encoded boxes is not.*reg_decoded_bbox=True",
    ),
    (
        "model = dict(bbox_head=dict(reg_decoded_bbox=True))",
        "loss_bbox: L1Loss on decoded boxes is not.*; convert with an IoU loss, then in a child.*type='L1Loss'",
    ),
    ("model = dict(bbox_head=dict(loss_bbox=dict(type='CIoULoss')))", "MMDetection's CIoULoss has other numbers than"),
    ("model = dict(bbox_head=dict(loss_bbox=dict(type='EIoULoss')))", "MMDetection's EIoULoss is the Extended IoU"),
    ("model = dict(bbox_head=dict(loss_bbox=dict(reduction='sum')))", "loss_bbox.reduction is 'sum'; rdet's losses"),
    ("model = dict(bbox_head=dict(in_channels=128))", "model.bbox_head.in_channels is not 256"),
    (
        "model = dict(bbox_head=dict(anchor_generator=dict(strides=[4, 8, 16, 32, 64])))",
        r"anchor_generator.strides is \[4, 8, 16, 32, 64\]; the levels of the neck have \[8, 16",
    ),
    ("model = dict(train_cfg=dict(assigner=dict(ignore_iof_thr=0.5)))", "assigner.ignore_iof_thr is 0.5; there priors"),
    ("model = dict(train_cfg=dict(assigner=dict(gt_max_assign_all=False)))", "assigner.gt_max_assign_all is False"),
    ("model = dict(train_cfg=dict(sampler=dict(type='RandomSampler')))", "sampler: MMDetection's RandomSampler has no"),
    ("model = dict(train_cfg=dict(pos_weight=2.0))", "model.train_cfg.pos_weight is 2.0"),
    (
        "model = dict(bbox_head=dict(bbox_coder=None))",
        "model.bbox_head.bbox_coder is not there",
    ),
    ("model = dict(train_cfg=None)", "model.bbox_head.assigner: is not there|assigner is not there"),
    (
        "model = dict(backbone=dict(dcn=dict(type='DCNv3'), stage_with_dcn=(False, True, True, True)))",
        "model.backbone.dcn: MMDetection's DCNv3 has no counterpart in rdet",
    ),
    (
        "model = dict(backbone=dict(strides=(1, 2, 1, 2)))",
        r"model.backbone.strides is \(1, 2, 1, 2\) with dilations \(1, 1, 1, 1\); rdet has an output_stride",
    ),
    ("model = dict(backbone=dict(type='ResNeSt'))", "model.backbone: MMDetection's ResNeSt has no counterpart in rdet"),
    (
        "model = dict(backbone=dict(_delete_=True, type='RegNet', arch='x'))",
        "model.backbone.arch is 'x'; rdet has timm's",
    ),
    (
        "model = dict(backbone=dict(_delete_=True, type='PyramidVisionTransformerV2', embed_dims=16))",
        r"model.backbone.embed_dims is 16 with num_layers \(3, 4, 6, 3\); rdet has timm's PVTv2-b0 to b5",
    ),
    (
        "model = dict(backbone=dict(_delete_=True, type='HRNet', extra=dict("
        "stage1=dict(), stage2=dict(), stage3=dict(), stage4=dict(num_channels=(7, 14)))))",
        "model.backbone.extra.stage4.num_channels is 7 and more; rdet has timm's HRNets of 18, 30",
    ),
    ("model = dict(neck=[dict(type='FPN')])", r"model.neck.0.in_channels is not \[256, 512, 1024, 2048\]"),
    ("model = dict(backbone=dict(deep_stem=True))", "model.backbone.deep_stem is True; rdet's ResNet is torchvision's"),
    ("model = dict(backbone=dict(frozen_stages=0))", "model.backbone.frozen_stages is 0, which freezes the stem alone"),
    ("model = dict(neck=dict(type='PAFPN'))", "model.neck: MMDetection's PAFPN has other extra levels"),
    ("model = dict(neck=dict(add_extra_convs=False))", "add_extra_convs is False; rdet has no extra levels made by"),
    ("model = dict(neck=dict(in_channels=[1, 2, 3, 4]))", r"model.neck.in_channels is not \[256, 512, 1024, 2048\]"),
    ("model = dict(test_cfg=dict(min_bbox_size=4))", "model.test_cfg.min_bbox_size is 4"),
    ("model = dict(test_cfg=dict(nms=dict(type='nms_match')))", "model.test_cfg.nms: MMDetection's nms_match has no"),
    (
        "model = dict(data_preprocessor=dict(batch_augments=[dict(type='BatchSyncRandomResize')]))",
        "data_preprocessor.batch_augments.0: MMDetection's BatchSyncRandomResize has no",
    ),
    ("model = dict(data_preprocessor=dict(pad_value=114))", "model.data_preprocessor.pad_value is 114; rdet pads with"),
    ("train_dataloader = dict(sampler=dict(shuffle=False))", "train_dataloader.sampler.shuffle is False"),
    ("train_dataloader = dict(sampler=dict(type='ClassAwareSampler'))", "MMDetection's ClassAwareSampler has no count"),
    (
        "train_dataloader = dict(dataset=dict(type='VOCDataset'))",
        "train_dataloader.dataset: MMDetection's VOCDataset t",
    ),
    (
        "train_dataloader = dict(dataset=dict(pipeline=[dict(type='RandomCrop', crop_size=(64, 64))]))",
        "pipeline.0.allow_negative_crop is False; there another image takes the place",
    ),
    ("val_evaluator = dict(metric=['bbox', 'segm'])", r"val_evaluator.0.metric is \['bbox', 'segm'\]"),
    (
        "optim_wrapper = dict(constructor='LearningRateDecayOptimizerConstructor')",
        "optim_wrapper.constructor is 'Learn",
    ),
    (
        "optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'bbox_head.retina_cls': dict(lr_mult=2.0)}))",
        "paramwise_cfg.custom_keys.bbox_head.retina_cls: rdet's weights may be called otherwise",
    ),
    ("param_scheduler = [dict(type='QuadraticWarmupLR')]", "param_scheduler.0: MMDetection's QuadraticWarmupLR has no"),
    ("custom_hooks = [dict(type='YOLOXModeSwitchHook')]", "custom_hooks.0: MMDetection's YOLOXModeSwitchHook has no"),
    ("train_cfg = dict(type='TeacherStudentValLoop')", "train_cfg: MMDetection's TeacherStudentValLoop has no"),
    ("custom_imports = dict(imports=['my_parts'])", "custom_imports: modules for MMDetection do not register parts"),
    (
        "train_dataloader = dict(dataset=dict(metainfo=dict(classes=('a', 'b'))))",
        "bbox_head.num_classes is 80, but the",
    ),
    (
        "model = dict(backbone=dict(norm_cfg=dict(type='Typo')))",
        "cannot be built: model.backbone.norm_cfg: no normalisat",
    ),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_one_line_names_what_is_missing(convert, tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message) as error:
        convert(changes=changes)
    assert str(error.value).startswith(str(tmp_path / "retinanet_r50_fpn_1x.py"))
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("*out.py"))


REFUSED_HEADS = [
    ("FCOS", "regress_ranges=((-1, 9), (9, 99), (99, 199), (199, 999), (999, 1e8))", "regress_ranges is"),
    ("VFNet", "use_vfl=False", "model.bbox_head.use_vfl is False"),
    ("TOOD", "loss_cls=dict(activated=False)", "loss_cls.activated is False; this head gives probabilities"),
    ("GFL", "anchor_generator=dict(ratios=[0.5, 1.0])", "anchor_generator: this head has one square anchor a cell"),
    ("GFL", "loss_bbox=dict(_delete_=True, type='L1Loss')", "L1Loss on decoded boxes is not in rdet, [^;]* for them$"),
    ("GFL", "bbox_coder=dict(type='DeltaXYWHBBoxCoder')", "DeltaXYWHBBoxCoder does not go with this head"),
    ("ATSS", "reg_decoded_bbox=False", "model.bbox_head.reg_decoded_bbox is False.* in a child config"),
]


@pytest.mark.parametrize(("family", "edit", "message"), REFUSED_HEADS)
def test_heads_that_are_refused(convert, family, edit, message):
    with pytest.raises(ConfigError, match=message):
        convert(family, f"model = dict(bbox_head=dict({edit}))")


def test_source_is_not_written_over(tmp_path):
    source = write_source(tmp_path, "ATSS")
    before = source.read_text()
    with pytest.raises(ConfigError, match="is the source itself"):
        convert_config(source, tmp_path / "." / source.name)
    assert source.read_text() == before


def test_what_is_no_config_of_mmdetection_3(tmp_path):
    path = tmp_path / "source.py"
    with pytest.raises(MissingFileError, match="no config at"):
        convert_config(path, tmp_path / "out.py")
    path.write_text("model = dict(type='RetinaNet')\ndata = dict()\noptimizer = dict(type='SGD')\n")
    with pytest.raises(ConfigError, match="the key 'data' is of MMDetection 2"):
        convert_config(path, tmp_path / "out.py")
    path.write_text("tta_model = dict(type='DetTTAModel')\n")
    with pytest.raises(ConfigError, match="there is no model in it"):
        convert_config(path, tmp_path / "out.py")
    path.write_text("model = dict(\n")
    with pytest.raises(ConfigError, match="cannot be read as a config: line 1"):
        convert_config(path, tmp_path / "out.py")


# ---- data, run, text


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


def test_text_of_the_config(tmp_path):
    source = write_source(tmp_path, "GFL")
    (tmp_path / "metafile.yml").write_text(
        "Models:\n  - Config: configs/gfl/gfl_r50_fpn_1x.py\n    Results:\n      - Metrics:\n          box AP: 40.2\n"
    )
    out = tmp_path / "gfl.py"
    assert convert_config(source, out) == f"GFL with ResNet-50-FPN, written to {out}"
    head = [line for line in out.read_text().splitlines() if line.startswith("#")]
    text = " ".join(line.removeprefix("#").strip() for line in head)
    assert text.startswith(f"GFL with ResNet-50-FPN, with MMDetection's numbers, converted from {source}.")
    assert f"python tools/train.py {out}" in text
    assert "MMDetection lists 40.2 box AP on val2017 for its own." in text
    for left_out in ("visualizer", "env_cfg", "log_processor", "default_scope", "model.train_cfg.debug"):
        assert left_out in text
    assert max(map(len, out.read_text().splitlines())) <= 120
    ruff = importlib.util.find_spec("ruff")
    if ruff is not None:
        command = [sys.executable, "-m", "ruff", "format", "--check", "--line-length", "120", str(out)]
        subprocess.run(command, check=True, capture_output=True)


def test_a_config_without_a_figure_says_so(tmp_path):
    source = write_source(tmp_path, "GFL")
    assert published_ap(source) is None
    convert_config(source, tmp_path / "out.py")
    assert "# There is no figure for it." in (tmp_path / "out.py").read_text()


def test_bases_of_an_installed_mmdetection(tmp_path, monkeypatch):
    configs = tmp_path / "site" / "mmdet" / ".mim" / "configs"
    (configs / "atss").mkdir(parents=True)
    (configs.parent / "model-index.yml").write_text("Import: []\n")
    (tmp_path / "site" / "mmdet" / "__init__.py").write_text("raise ImportError('not to be imported')\n")
    base = write_source(configs / "atss", "ATSS")
    source = tmp_path / "mine.py"
    source.write_text(f"_base_ = 'mmdet::atss/{base.name}'\nmodel = dict(bbox_head=dict(num_classes=3))\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    convert_config(source, tmp_path / "out.py")
    assert load_config(tmp_path / "out.py").model.num_classes == 3


def test_tool_ends_with_one_line(tmp_path):
    source = write_source(tmp_path, "ATSS", "model = dict(backbone=dict(type='SwinTransformer'))")
    tool = Forked(ROOT / "tools/convert_config.py", [str(source), str(tmp_path / "out.py")], tmp_path, apart=True)
    _, errors = tool.communicate()
    assert tool.returncode == 1
    said = "model.backbone: MMDetection's SwinTransformer has no counterpart in rdet; change it, or leave it out"
    assert errors == f"error: {source}: {said}\n"


# ---- MMDetection's own files


def _configs_of_mmdetection():
    folder = os.environ.get("RDET_MMDET_CONFIGS")
    if folder is None:
        spec = importlib.util.find_spec("mmdet")
        if spec is None or spec.origin is None:
            return []
        folder = Path(spec.origin).parent / ".mim" / "configs"
    families = [*(family.lower() for family in FAMILIES), "ghm", "paa", "yolo", "yolof"]
    files = sorted(path for family in families for path in (Path(folder) / family).glob("*.py"))
    return [path for path in files if path.name != "retinanet_tta.py"]  # which has no model


@pytest.mark.timeout(600)
def test_all_configs_of_mmdetection(tmp_path):
    files = _configs_of_mmdetection()
    if not files:
        pytest.skip("needs MMDetection's configs: install mmdet, or set RDET_MMDET_CONFIGS")
    refused = {}
    for path in files:
        out = tmp_path / path.name
        try:
            convert_config(path, out)
        except ConfigError as error:
            refused[path.stem] = str(error).removeprefix(f"{path}: ")
        else:
            load_config(out)
    assert refused == {}
    assert len(files) == 87
