# YOLOv3's pyramid, head, anchors, assignment and losses on the base's backbone, of a quarter of the channels;
# configs/yolov3/yolov3_d53_608_coco.py has it as published. The anchors are k-means over IoU (tools/fit_anchors.py).
_base_ = "../quickstart/base.py"
model = dict(
    neck=dict(_delete_=True, type="YOLOv3Neck", out_channels=[64, 96, 128]),
    bbox_head=dict(_delete_=True, type="YOLOHead"),
    anchor_generator=dict(
        _delete_=True,
        type="FittedAnchorGenerator",
        sizes=[
            [(14.5, 14.5), (21, 20.8), (29.6, 29.7)],
            [(39.2, 39.8), (53.3, 53), (71.1, 70.9)],
            [(91, 90.3), (115.1, 115.5), (145.7, 144.8)],
        ],
        center_offset=0.5,
    ),
    bbox_coder=dict(_delete_=True, type="YOLOBBoxCoder"),
    assigner=dict(_delete_=True, type="GridAssigner"),
    loss_cls=dict(_delete_=True, type="PositiveCrossEntropyLoss"),
    quality=dict(type="UnitQuality"),
    loss_bbox=dict(_delete_=True, type="CellBoxLoss", center_weight=2.0, size_weight=2.0),
    loss_obj=dict(type="CrossEntropyLoss"),
    normalizer=dict(type="SumNormalizer"),
    postprocess=dict(
        type="YOLOPostprocess", object_thr=0.005, iou_threshold=0.45, rank_by="class_score", quality_score="product"
    ),
)
