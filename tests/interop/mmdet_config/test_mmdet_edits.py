"""What somebody changed in a config of MMDetection's stands in rdet's."""

import pytest

from rdet.config import flatten

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
