# YOLOv2's neck, head, anchors, assignment and losses on the base's backbone, of a quarter of the channels;
# configs/yolov2/yolov2_d19_544_coco.py has it as published. The anchors are k-means over IoU (tools/fit_anchors.py).
_base_ = "../quickstart/base.py"
model = dict(
    backbone=dict(out_indices=[3, 4]),  # of strides 16 and 32
    neck=dict(_delete_=True, type="PassthroughNeck", channels=256, passthrough_channels=32),
    bbox_head=dict(_delete_=True, type="YOLOv2Head", feat_channels=[256], object_prob=0.5, first_iters=20),
    anchor_generator=dict(
        _delete_=True,
        type="FittedAnchorGenerator",
        sizes=[[(18.6, 18.5), (34, 34.2), (54.4, 53.7), (82.1, 82.3), (125.4, 125.2)]],
        center_offset=0.5,
    ),
    bbox_coder=dict(_delete_=True, type="YOLOBBoxCoder"),
    assigner=dict(_delete_=True, type="BestAnchorAssigner"),
    loss_cls=dict(_delete_=True, type="PositiveSoftmaxLoss"),
    loss_bbox=dict(_delete_=True, type="SquaredCellBoxLoss"),
    loss_obj=dict(type="SquaredObjectLoss"),
    normalizer=dict(type="ImageCountNormalizer"),
    postprocess=dict(score_thr=0.005, iou_threshold=0.45, quality_score="product"),
)
