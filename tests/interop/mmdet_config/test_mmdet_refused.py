"""What rdet does not have of a config of MMDetection's is said in one line."""

from pathlib import Path

import pytest
from forked import Forked
from interop.mmdet_sources import write_source

from rdet.errors import ConfigError, MissingFileError
from rdet.interop.mmdet_config import convert_config

ROOT = Path(__file__).parents[3]


REFUSED = [
    (
        "model = dict(train_cfg=dict(assigner=dict(_delete_=True, type='ATSSAssigner', topk=9)))",
        "model.train_cfg.assigner: ATSSAssigner does not go with this head in MMDetection; it calls MaxIoUAssigner",
    ),
    ("model = dict(type='FasterRCNN')", "model: MMDetection's FasterRCNN has no counterpart in rdet"),
    (
        "model = dict(type='YOLOX')",
        "model: MMDetection's YOLOX is not converted from its config; take .* configs/yolox,",
    ),
    ("model = dict(type='RTMDet')", "MMDetection's RTMDet is not converted from its config; take .* configs/rtmdet,"),
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
    (
        "optim_wrapper = dict(paramwise_cfg=dict(dcn_offset_lr_mult=0.1, custom_keys=dict(neck=dict(lr_mult=2.0))))",
        "paramwise_cfg.dcn_offset_lr_mult is set beside custom_keys; write it as one of them",
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


def test_tool_ends_with_one_line(tmp_path):
    source = write_source(tmp_path, "ATSS", "model = dict(backbone=dict(type='SwinTransformer'))")
    tool = Forked(ROOT / "tools/convert_config.py", [str(source), str(tmp_path / "out.py")], tmp_path, apart=True)
    _, errors = tool.communicate()
    assert tool.returncode == 1
    said = "model.backbone: MMDetection's SwinTransformer has no counterpart in rdet; change it, or leave it out"
    assert errors == f"error: {source}: {said}\n"
