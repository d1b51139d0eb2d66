# RTMDet's pyramid, head, soft labels and loss on the base's backbone, of the width of the base;
# configs/rtmdet/rtmdet_tiny_640_coco.py has it as published.
_base_ = "../quickstart/base.py"
model = dict(
    neck=dict(_delete_=True, type="CSPNeXtPAFPN", out_channels=128, num_csp_blocks=1, norm_cfg=dict(type="BN")),
    bbox_head=dict(_delete_=True, type="RTMDetSepBNHead", stacked_convs=2, feat_channels=128, norm_cfg=dict(type="BN")),
    anchor_generator=dict(_delete_=True, type="PointGenerator", center_offset=0.0),
    assigner=dict(_delete_=True, type="DynamicSoftLabelAssigner", share_candidates=True, padding="ignored"),
    bbox_coder=dict(type="DistancePointBBoxCoder"),
    loss_cls=dict(_delete_=True, type="QualityFocalLoss"),
    loss_bbox=dict(_delete_=True, type="GIoULoss", loss_weight=2.0),
    quality=dict(type="IoUQuality"),
    cls_mass=dict(type="SameQuality"),
    bbox_weight=dict(type="SameQuality"),
    postprocess=dict(iou_threshold=0.65),
)
