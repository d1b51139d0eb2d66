# FCOS; what it changes of RetinaNet and why: configs/fcos/r50_fpn_1x_coco.py
_base_ = "../quickstart/base.py"
model = dict(
    neck=dict(extra_levels="on_p5"),
    bbox_head=dict(
        _delete_=True, type="FCOSHead", share="convs", feat_channels=128, stacked_convs=2, norm_cfg=dict(type="BN")
    ),
    anchor_generator=dict(_delete_=True, type="PointGenerator"),
    assigner=dict(_delete_=True, type="FCOSAssigner", include_lower=True),
    bbox_coder=dict(type="DistancePointBBoxCoder"),
    loss_bbox=dict(_delete_=True, type="GIoULoss"),
    loss_quality=dict(type="BinaryCrossEntropyLoss"),
    quality=dict(type="Centerness"),
    bbox_weight=dict(type="SameQuality"),
    postprocess=dict(iou_threshold=0.6),
)
