# FCOS's first version; what it changes of the second: configs/fcos/r50_fpn_iccv2019_1x_coco.py
_base_ = "./fcos.py"
model = dict(
    bbox_head=dict(distance="exp", quality_tower="cls"),
    assigner=dict(center_sampling_radius=None),
    bbox_coder=dict(unit="pixel"),
    loss_bbox=dict(_delete_=True, type="IoULoss"),
    postprocess=dict(iou_threshold=0.5),
)
