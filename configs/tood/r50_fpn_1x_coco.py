# TOOD (Feng et al., ICCV 2021), without its first epochs on ATSS's assignment.
#   python tools/train.py configs/tood/r50_fpn_1x_coco.py
# MMDetection lists 42.4 box AP on val2017 for its twin, which assigns as ATSS does in the first four epochs. Not
# trained in full by this project yet.
# Whose numbers: those of the paper; those of MMDetection: r50_fpn_1x_coco_mmdet.py.
_base_ = "../retinanet/r50_fpn_1x_coco.py"
model = dict(
    neck=dict(extra_levels="on_p5"),
    bbox_head=dict(_delete_=True, type="TOODHead", norm_cfg=dict(type="GN", num_groups=32)),
    anchor_generator=dict(_delete_=True, type="PointGenerator"),
    assigner=dict(_delete_=True, type="TaskAlignedAssigner"),
    bbox_coder=dict(type="DistancePointBBoxCoder"),
    loss_cls=dict(_delete_=True, type="QualityFocalLoss"),
    loss_bbox=dict(_delete_=True, type="GIoULoss", loss_weight=2.0),
    quality=dict(type="TaskAlignedQuality"),
    bbox_weight=dict(type="SameQuality"),
    cls_mass=dict(type="SameQuality"),
    postprocess=dict(iou_threshold=0.6),
)
