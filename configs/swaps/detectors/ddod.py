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
# AdamW moves a weight by the learning rate however small its gradient, and an offset is a sum over 1,152 of them.
_offsets = dict(lr_mult=0.1)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={"conv_offset.weight": _offsets, "conv_offset.bias": _offsets}))
