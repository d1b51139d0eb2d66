# ATSS with the varifocal loss and IoU weights of VarifocalNet (Zhang et al., CVPR 2021), without its star convolution.
#   python tools/train.py configs/vfnet/r50_fpn_1x_coco.py
# The whole of VarifocalNet has two losses of boxes, of weights 1.5 and 2.0, and 41.6 box AP on val2017 in MMDetection's
# list; for this part of it there is no figure. Not trained in full by this project yet.
# Whose numbers: rdet's own; those of MMDetection: r50_fpn_1x_coco_mmdet.py.
_base_ = "../retinanet/r50_fpn_1x_coco.py"
model = dict(
    neck=dict(extra_levels="on_p5"),
    bbox_head=dict(_delete_=True, type="ATSSHead", norm_cfg=dict(type="GN", num_groups=32)),
    anchor_generator=dict(octave_base_scale=8, scales_per_octave=1, ratios=[1.0]),
    assigner=dict(_delete_=True, type="ATSSAssigner"),
    bbox_coder=dict(target_stds=[0.1, 0.1, 0.2, 0.2]),
    loss_cls=dict(_delete_=True, type="VarifocalLoss"),
    loss_bbox=dict(_delete_=True, type="GIoULoss", loss_weight=2.0),
    bbox_weight=dict(type="IoUQuality"),
    postprocess=dict(iou_threshold=0.6),
)
