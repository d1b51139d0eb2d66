# GFL (Li et al., NeurIPS 2020): ATSS with the IoU in the class score and a distribution for each side.
#   python tools/train.py configs/gfl/r50_fpn_1x_coco.py
# MMDetection lists 40.2 box AP on val2017 for its twin. Not trained in full by this project yet.
# Whose numbers: those of the paper and its code; those of MMDetection: r50_fpn_1x_coco_mmdet.py.
_base_ = "../retinanet/r50_fpn_1x_coco.py"
model = dict(
    neck=dict(extra_levels="on_p5"),
    bbox_head=dict(_delete_=True, type="GFLHead", norm_cfg=dict(type="GN", num_groups=32)),
    anchor_generator=dict(octave_base_scale=8, scales_per_octave=1, ratios=[1.0]),
    assigner=dict(_delete_=True, type="ATSSAssigner"),
    bbox_coder=dict(type="DistributionBBoxCoder", reg_max=16),
    loss_cls=dict(_delete_=True, type="QualityFocalLoss"),
    loss_bbox=dict(_delete_=True, type="GIoULoss", loss_weight=2.0),
    loss_dfl=dict(type="DistributionFocalLoss"),
    bbox_weight=dict(type="ClassScore"),
    postprocess=dict(iou_threshold=0.6),
)
