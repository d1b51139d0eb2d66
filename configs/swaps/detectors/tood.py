# TOOD; what it changes of RetinaNet and why: configs/tood/r50_fpn_1x_coco.py
_base_ = "../quickstart/base.py"
model = dict(
    neck=dict(extra_levels="on_p5"),
    bbox_head=dict(
        _delete_=True, type="TOODHead", feat_channels=128, stacked_convs=3, norm_cfg=dict(type="GN", num_groups=16)
    ),
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
