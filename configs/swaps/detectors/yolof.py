# YOLOF; what it changes of RetinaNet and why: configs/yolof/r50_c5_1x_coco_mmdet.py. Its one level has a stride of 16,
# as the objects here are small.
_base_ = "../quickstart/base.py"
model = dict(
    backbone=dict(out_indices=(3,)),
    neck=dict(_delete_=True, type="DilatedEncoder", out_channels=128, block_channels=64),
    bbox_head=dict(_delete_=True, type="YOLOFHead", stacked_convs=1, reg_stacked_convs=2),
    anchor_generator=dict(
        _delete_=True, type="FittedAnchorGenerator", sizes=[[(12, 12), (24, 24), (48, 48), (96, 96), (192, 192)]]
    ),
    assigner=dict(_delete_=True, type="UniformAssigner"),
    bbox_coder=dict(max_shift=32),
    loss_bbox=dict(_delete_=True, type="GIoULoss"),
    postprocess=dict(iou_threshold=0.6),
)
