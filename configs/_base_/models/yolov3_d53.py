# YOLOv3 with Darknet-53 (Redmon and Farhadi, 2018), with the numbers of MMDetection's configs. Images are RGB, 0 to 1.
model = dict(
    type="OneStageDetector",
    data_preprocessor=dict(
        type="DetDataPreprocessor", mean=[0.0, 0.0, 0.0], std=[255.0, 255.0, 255.0], bgr_to_rgb=True
    ),
    backbone=dict(type="Darknet53"),
    neck=dict(type="YOLOv3Neck", out_channels=[128, 256, 512]),
    # Some 8 objects on the map of a level, of an image of 608 pixels.
    bbox_head=dict(type="YOLOHead", object_prob=[8 / 76**2, 8 / 38**2, 8 / 19**2]),
    anchor_generator=dict(
        type="FittedAnchorGenerator",
        sizes=[[(10, 13), (16, 30), (33, 23)], [(30, 61), (62, 45), (59, 119)], [(116, 90), (156, 198), (373, 326)]],
        center_offset=0.5,
    ),
    bbox_coder=dict(type="YOLOBBoxCoder"),
    assigner=dict(type="GridAssigner", ignore_iof_thr=None),
    loss_cls=dict(type="PositiveCrossEntropyLoss"),
    quality=dict(type="UnitQuality"),
    loss_bbox=dict(type="CellBoxLoss", center_weight=2.0, size_weight=2.0),
    loss_obj=dict(type="CrossEntropyLoss"),
    normalizer=dict(type="SumNormalizer"),
    postprocess=dict(
        type="YOLOPostprocess",
        score_thr=0.05,
        object_thr=0.005,
        iou_threshold=0.45,
        rank_by="class_score",
        quality_score="product",
        min_box_size=0,
    ),
)
