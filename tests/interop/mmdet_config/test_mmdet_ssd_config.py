"""MMDetection's SSD configs become rdet's."""

from pathlib import Path

import pytest
from interop.with_defaults import with_defaults

from rdet.config import flatten, load_config
from rdet.errors import ConfigError

ROOT = Path(__file__).parents[3]

SSD300 = """
model = dict(
    type="SingleStageDetector",
    data_preprocessor=dict(std=[1, 1, 1], pad_size_divisor=1),
    backbone=dict(
        _delete_=True, type="SSDVGG", depth=16, with_last_pool=False, ceil_mode=True, out_indices=(3, 4),
        out_feature_indices=(22, 34), init_cfg=dict(type="Pretrained", checkpoint="open-mmlab://vgg16_caffe"),
    ),
    neck=dict(
        _delete_=True, type="SSDNeck", in_channels=(512, 1024), out_channels=(512, 1024, 512, 256, 256, 256),
        level_strides=(2, 2, 1, 1), level_paddings=(1, 1, 0, 0), l2_norm_scale=20,
    ),
    bbox_head=dict(
        _delete_=True, type="SSDHead", in_channels=(512, 1024, 512, 256, 256, 256), num_classes=80,
        anchor_generator=dict(
            type="SSDAnchorGenerator", scale_major=False, input_size=300, basesize_ratio_range=(0.15, 0.9),
            strides=[8, 16, 32, 64, 100, 300], ratios=[[2], [2, 3], [2, 3], [2, 3], [2], [2]],
        ),
        bbox_coder=dict(
            type="DeltaXYWHBBoxCoder", target_means=[0.0, 0.0, 0.0, 0.0], target_stds=[0.1, 0.1, 0.2, 0.2]
        ),
    ),
    train_cfg=dict(
        _delete_=True,
        assigner=dict(
            type="MaxIoUAssigner", pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.0, ignore_iof_thr=-1,
            gt_max_assign_all=False,
        ),
        sampler=dict(type="PseudoSampler"), smoothl1_beta=1.0, allowed_border=-1, pos_weight=-1, neg_pos_ratio=3,
        debug=False,
    ),
    test_cfg=dict(nms=dict(iou_threshold=0.45), score_thr=0.02, max_per_img=200),
)
"""
SSD512 = f"""{SSD300}
model["neck"].update(
    out_channels=(512, 1024, 512, 256, 256, 256, 256), level_strides=(2, 2, 2, 2, 1), level_paddings=(1, 1, 1, 1, 1),
    last_kernel_size=4,
)
model["bbox_head"].update(in_channels=(512, 1024, 512, 256, 256, 256, 256))
model["bbox_head"]["anchor_generator"].update(
    input_size=512, basesize_ratio_range=(0.1, 0.9), strides=[8, 16, 32, 64, 128, 256, 512],
    ratios=[[2], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]],
)
"""
ANCHORS = "model['bbox_head']['anchor_generator'].update"
SIZES = "min_sizes=[20, 40, 80, 120, 200, 300], max_sizes=[40, 80, 121, 200, 300, 310]"


@pytest.mark.parametrize(("side", "source"), [(300, SSD300), (512, SSD512)])
def test_model_is_that_of_the_repositorys_config(convert, side, source):
    ours = load_config(ROOT / f"configs/ssd/ssd{side}_vgg16_coco_mmdet.py").model
    ours.postprocess |= {"quality_score": "product", "rank_by": "class_score"}  # no quality: the same
    found = convert(changes=source).model
    assert flatten(with_defaults(found)) == flatten(with_defaults(ours))


@pytest.mark.parametrize(("side", "low", "second"), [(300, 0.2, 60), (512, 0.15, 76)])
def test_default_boxes_for_voc(convert, side, low, second):
    """The smallest box of the second level, and of the first one, in whole pixels as there."""
    source = SSD300 if side == 300 else SSD512
    scales = convert(
        changes=f"{source}{ANCHORS}(input_size={side}, basesize_ratio_range=({low}, 0.9))"
    ).model.anchor_generator.scales
    first = {300: 30, 512: 35}[side]
    assert [round(scale * side, 6) for scale in scales[:2]] == [first, second]
    assert len(scales) == {300: 7, 512: 8}[side]


def test_default_boxes_in_pixels(convert):
    cfg = convert(changes=f"{SSD300}{ANCHORS}({SIZES})").model.anchor_generator
    assert cfg.type == "FittedAnchorGenerator"
    assert cfg.center_offset == 0.5
    square, between, lying, standing = cfg.sizes[2][:4]
    assert square == (80, 80)
    assert between == pytest.approx((98.387, 98.387), abs=1e-3)  # the root of 80 x 121
    assert lying == pytest.approx((113.137, 56.569), abs=1e-3)
    assert standing == lying[::-1]
    assert [len(level) for level in cfg.sizes] == [4, 6, 6, 6, 4, 4]


def test_other_numbers(convert):
    changes = f"""{SSD300}
model["neck"].update(l2_norm_scale=None)
model["bbox_head"].update(num_classes=3)
model["bbox_head"]["bbox_coder"].update(clip_border=False)
model["train_cfg"].update(smoothl1_beta=0.5, neg_pos_ratio=2)
model["backbone"].update(ceil_mode=False, init_cfg=None)
"""
    model = convert(changes=changes).model
    assert model.neck.l2_norm_scale is None
    assert model.num_classes == 3
    assert (model.loss_bbox.beta, model.mining.neg_pos_ratio, model.postprocess.clip) == (0.5, 2, False)
    assert (model.backbone.ceil_mode, model.backbone.weights) == (False, None)


REFUSED = [
    (
        "model['backbone'] = dict(_delete_=True, type='MobileNetV2', out_indices=(4, 7))",
        "SSDLite with MobileNetV2 is not",
    ),
    ("model['backbone'].update(depth=19)", "model.backbone.depth is 19; rdet's SSD has VGG-16"),
    ("model['backbone'].update(out_feature_indices=(22,))", r"model.backbone.out_feature_indices is \(22,\)"),
    ("model['neck'].update(use_depthwise=True)", "model.neck.use_depthwise is True; rdet's SSD has it so alone"),
    ("model['neck'].update(in_channels=(512, 512))", r"model.neck.in_channels is not \[512, 1024\], the channels of"),
    ("model['neck'].update(level_strides=(2, 2))", "model.neck.out_channels is of 6 levels; there are 2 level_strides"),
    ("model['bbox_head'].update(in_channels=(512,))", r"model.bbox_head.in_channels is not \[512, 1024, 512, 256"),
    ("model['bbox_head'].update(stacked_convs=1)", "model.bbox_head.stacked_convs is 1; rdet's SSD has it so alone"),
    ("model['bbox_head'].update(loss_cls=dict(type='FocalLoss'))", "loss_cls: rdet has nothing for the key 'loss_cl"),
    (f"{ANCHORS}(scale_major=True)", "anchor_generator.scale_major is True, as it is where nothing is said"),
    (f"{ANCHORS}(input_size=400)", r"basesize_ratio_range is \[0.15, 0.9\] with an input_size of 400; MMDetection has"),
    (
        f"{ANCHORS}(ratios=[[2]])",
        "strides is of 6 levels; there are sizes of 6 and 6, and ratios of 1",
    ),
    ("model['train_cfg'] = None", "model.train_cfg is not there"),
    ("model['train_cfg'].update(typo=1)", "model.train_cfg.typo: rdet has nothing for the key 'typo'"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[change for change, _ in REFUSED])
def test_refused(convert, change, message):
    with pytest.raises(ConfigError, match=message):
        convert(changes=f"{SSD300}{change}")


ALONE = "pos_iou_thr=0.5, neg_iou_thr=0.4, gt_max_assign_all=False"


def test_one_low_quality_match_a_box(convert):
    """Also of RetinaNet; PAA's candidates of a box are all."""
    assert convert(changes=f"model = dict(train_cfg=dict(assigner=dict({ALONE})))").model.assigner.first_best_alone
    assigner = f"train_cfg=dict(assigner=dict(_delete_=True, type='MaxIoUAssigner', {ALONE}))"
    with pytest.raises(ConfigError, match="assigner.gt_max_assign_all is False; rdet's PAA gives a box all priors"):
        convert("ATSS", f"model = dict(type='PAA', bbox_head=dict(type='PAAHead'), {assigner})")
