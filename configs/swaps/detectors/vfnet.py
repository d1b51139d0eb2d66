# VarifocalNet; what it changes of RetinaNet and why: configs/vfnet/r50_fpn_1x_coco.py
_base_ = "../quickstart/base.py"
model = dict(
    neck=dict(extra_levels="on_p5"),
    bbox_head=dict(
        _delete_=True, type="VFNetHead", feat_channels=128, stacked_convs=2, norm_cfg=dict(type="GN", num_groups=16)
    ),
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
