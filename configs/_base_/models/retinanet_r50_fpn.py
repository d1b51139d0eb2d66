# RetinaNet with ResNet-50-FPN as in section 4 of "Focal Loss for Dense Object Detection".
# `num_classes` is left out: it follows from the data set.
model = dict(
    type="RetinaNet",
    data_preprocessor=dict(
        type="DetDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
    ),
    backbone=dict(type="ResNet", depth=50, frozen_stages=1, norm_eval=True, weights="torchvision://resnet50"),
    neck=dict(type="FPN", out_channels=256, extra_levels="on_c5", relu_before_p7=True),
    bbox_head=dict(type="RetinaHead", feat_channels=256, stacked_convs=4, prior_prob=0.01),
    anchor_generator=dict(type="AnchorGenerator", octave_base_scale=4, scales_per_octave=3, ratios=[0.5, 1.0, 2.0]),
    assigner=dict(type="MaxIoUAssigner", pos_iou_thr=0.5, neg_iou_thr=0.4),
    bbox_coder=dict(type="DeltaXYWHBBoxCoder"),
    loss_cls=dict(type="FocalLoss", alpha=0.25, gamma=2.0),
    loss_bbox=dict(type="SmoothL1Loss", beta=0.11),
    normalizer=dict(type="BatchNormalizer"),
    postprocess=dict(type="NMSPostprocess", score_thr=0.05, topk_per_level=1000, iou_threshold=0.5, max_per_img=100),
)
