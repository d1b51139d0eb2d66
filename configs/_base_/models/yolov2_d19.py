# YOLOv2 (Redmon and Farhadi, "YOLO9000", CVPR 2017): Darknet-19, the finer map beside the last, five anchors of k-means
# over IoU, objectness whose target is the IoU, a softmax over the classes. Anchors and factors of the losses are those
# of darknet's region layer for COCO, written from knowledge of paper and code, neither of which was at hand.
model = dict(
    type="OneStageDetector",
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean=[0.0, 0.0, 0.0],
        std=[255.0, 255.0, 255.0],
        bgr_to_rgb=True,
        batch_resize=dict(type="RandomBatchSize", sides=(320, 608), interval=10),
    ),
    backbone=dict(type="Darknet19"),
    neck=dict(type="PassthroughNeck"),
    bbox_head=dict(type="YOLOv2Head", feat_channels=[1024], object_prob=0.5, first_iters=200),
    # 0.57273 x 0.677385, 1.87446 x 2.06253, 3.33843 x 5.47434, 7.88282 x 3.52778 and 9.77052 x 9.16828 cells.
    anchor_generator=dict(
        type="FittedAnchorGenerator",
        sizes=[[(18.327, 21.676), (59.983, 66.001), (106.83, 175.179), (252.25, 112.889), (312.657, 293.385)]],
        center_offset=0.5,
    ),
    bbox_coder=dict(type="YOLOBBoxCoder"),
    assigner=dict(type="BestAnchorAssigner", ignore_iou_thr=0.6),
    loss_cls=dict(type="PositiveSoftmaxLoss"),
    loss_bbox=dict(type="SquaredCellBoxLoss"),
    loss_obj=dict(type="SquaredObjectLoss", object_weight=5.0, background_weight=0.5),
    normalizer=dict(type="ImageCountNormalizer"),
    postprocess=dict(type="NMSPostprocess", score_thr=0.005, iou_threshold=0.45, quality_score="product"),
)
