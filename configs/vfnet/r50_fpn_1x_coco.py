# VarifocalNet (Zhang et al., CVPR 2021): star convolution, refined boxes, the varifocal loss.
#   python tools/train.py configs/vfnet/r50_fpn_1x_coco.py
# The authors list 41.6 box AP on val2017 (MMDetection's vfnet_r50_fpn_1x_coco). Not trained in full by this project
# yet. The parts are the paper's and the numbers rdet's; r50_fpn_1x_coco_mmdet.py has all of MMDetection's.
_base_ = "../retinanet/r50_fpn_1x_coco.py"
model = dict(
    neck=dict(extra_levels="on_p5"),
    bbox_head=dict(_delete_=True, type="VFNetHead", norm_cfg=dict(type="GN", num_groups=32)),
    # A square of 8 strides at each cell, which ATSS compares; distances are predicted from its centre.
    anchor_generator=dict(octave_base_scale=8, scales_per_octave=1, ratios=[1.0]),
    assigner=dict(_delete_=True, type="ATSSAssigner"),
    bbox_coder=dict(type="DistancePointBBoxCoder"),
    loss_cls=dict(_delete_=True, type="VarifocalLoss"),
    loss_bbox_initial=dict(type="GIoULoss", loss_weight=1.5),
    loss_bbox=dict(_delete_=True, type="GIoULoss", loss_weight=2.0),
    quality=dict(type="IoUQuality"),
    bbox_weight=dict(type="SameQuality"),
    postprocess=dict(iou_threshold=0.6),
)
