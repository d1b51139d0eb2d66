# SSD's head, default boxes, loss and mining on the base's backbone, whose last maps continue in SSD's further levels;
# configs/ssd/ssd300_vgg16_coco.py has it as published.
_base_ = "../quickstart/base.py"
model = dict(
    neck=dict(
        _delete_=True,
        type="SSDNeck",
        extra=[(128, 256, 3, 2, 1), (64, 128, 3, 2, 1), (64, 128, 3, 2, 1)],
        strides=[8, 16, 32, 64, 128, 256],
        fc_channels=None,
    ),
    bbox_head=dict(_delete_=True, type="SSDHead"),
    anchor_generator=dict(
        _delete_=True,
        type="DefaultBoxGenerator",
        image_size=256,
        scales=[0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
        ratios=[[2], [2, 3], [2, 3], [2, 3], [2], [2]],
    ),
    assigner=dict(neg_iou_thr=0.5, reassign_low_quality=True, first_best_alone=True),
    bbox_coder=dict(target_stds=[0.1, 0.1, 0.2, 0.2]),
    loss_cls=dict(_delete_=True, type="SoftmaxFocalLoss", alpha=None, gamma=0.0),
    loss_bbox=dict(beta=1.0),
    mining=dict(type="HardNegatives", neg_pos_ratio=3),
    postprocess=dict(score_thr=0.01, iou_threshold=0.45),
)
