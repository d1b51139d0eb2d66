# ATSS (Zhang et al., CVPR 2020): one square anchor at each cell, adaptive thresholds, centerness.
#   python tools/train.py configs/atss/r50_fpn_1x_coco.py
# MMDetection lists 39.4 box AP on val2017 for its twin. Not trained in full by this project yet.
# Whose numbers: those of the paper; those of MMDetection: r50_fpn_1x_coco_mmdet.py.
_base_ = "../retinanet/r50_fpn_1x_coco.py"
model = dict(
    neck=dict(extra_levels="on_p5"),
    bbox_head=dict(_delete_=True, type="ATSSHead", norm_cfg=dict(type="GN", num_groups=32)),
    anchor_generator=dict(octave_base_scale=8, scales_per_octave=1, ratios=[1.0]),
    assigner=dict(_delete_=True, type="ATSSAssigner"),
    bbox_coder=dict(target_stds=[0.1, 0.1, 0.2, 0.2]),
    loss_bbox=dict(_delete_=True, type="GIoULoss", loss_weight=2.0),
    loss_quality=dict(type="BinaryCrossEntropyLoss"),
    quality=dict(type="Centerness"),
    bbox_weight=dict(type="SameQuality"),
    postprocess=dict(iou_threshold=0.6),
)
