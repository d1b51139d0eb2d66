# TOOD (Feng et al., ICCV 2021): a task-aligned head, and assignment by alignment after four epochs of ATSS's.
#   python tools/train.py configs/tood/r50_fpn_1x_coco.py
# MMDetection lists 42.4 box AP on val2017 for tood_r50_fpn_1x_coco. Not trained in full by this project yet. The parts
# are the paper's and the numbers rdet's; r50_fpn_1x_coco_mmdet.py has all of MMDetection's.
_base_ = "../retinanet/r50_fpn_1x_coco.py"
model = dict(
    neck=dict(extra_levels="on_p5"),
    bbox_head=dict(_delete_=True, type="TOODHead", norm_cfg=dict(type="GN", num_groups=32)),
    # A square of 8 strides at each cell, which ATSS compares; distances are predicted from its centre.
    anchor_generator=dict(octave_base_scale=8, scales_per_octave=1, ratios=[1.0]),
    assigner=dict(_delete_=True, type="TaskAlignedAssigner"),
    bbox_coder=dict(type="DistancePointBBoxCoder"),
    loss_cls=dict(_delete_=True, type="QualityFocalLoss"),
    loss_bbox=dict(_delete_=True, type="GIoULoss", loss_weight=2.0),
    quality=dict(type="TaskAlignedQuality"),
    bbox_weight=dict(type="SameQuality"),
    cls_mass=dict(type="SameQuality"),
    initial=dict(
        epochs=4,
        assigner=dict(type="ATSSAssigner"),
        loss_cls=dict(type="FocalLoss"),
        quality=None,
        bbox_weight=dict(type="Centerness"),
        cls_mass=None,
    ),
    postprocess=dict(iou_threshold=0.6),
)
