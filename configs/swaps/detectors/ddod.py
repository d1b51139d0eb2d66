# DDOD; what it changes of ATSS and why: configs/ddod/r50_fpn_1x_coco_mmdet.py
_base_ = "atss.py"
model = dict(
    bbox_head=dict(type="DDODHead"),
    assigner=dict(
        _delete_=True,
        type="SeparateAssigner",
        classes=dict(type="AlignedATSSAssigner", alpha=0.8),
        boxes=dict(type="AlignedATSSAssigner", alpha=0.5),
    ),
    quality=dict(_delete_=True, type="IoUQuality"),
    bbox_weight=None,
    level_weight=dict(type="RareLevelWeight"),
)
