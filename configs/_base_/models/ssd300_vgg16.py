# SSD300 with VGG-16 (Liu et al., ECCV 2016, Figure 2), with torchvision's numbers of COCO.
# `num_classes` is left out: it follows from the data set.
model = dict(
    type="OneStageDetector",
    data_preprocessor=dict(
        type="DetDataPreprocessor", mean=[123.0, 117.0, 104.0], std=[1.0, 1.0, 1.0], bgr_to_rgb=True, pad_size_divisor=1
    ),
    backbone=dict(
        type="TorchvisionBackbone",
        model_name="vgg16",
        out_indices=[1, 2],
        ceil_mode=True,
        frozen_stages=0,
        norm_eval=False,
        weights="torchvision://vgg16.IMAGENET1K_FEATURES",
    ),
    neck=dict(
        type="SSDNeck",
        extra=[(256, 512, 3, 2, 1), (128, 256, 3, 2, 1), (128, 256, 3, 1, 0), (128, 256, 3, 1, 0)],
        strides=[8, 16, 32, 64, 100, 300],
    ),
    bbox_head=dict(type="SSDHead"),
    anchor_generator=dict(
        type="DefaultBoxGenerator",
        image_size=300,
        scales=[0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
        ratios=[[2], [2, 3], [2, 3], [2, 3], [2], [2]],
        clip=True,
    ),
    assigner=dict(
        type="MaxIoUAssigner", pos_iou_thr=0.5, neg_iou_thr=0.5, reassign_low_quality=True, first_best_alone=True
    ),
    bbox_coder=dict(type="DeltaXYWHBBoxCoder", target_stds=[0.1, 0.1, 0.2, 0.2]),
    loss_cls=dict(type="SoftmaxFocalLoss", alpha=None, gamma=0.0),  # the softmax loss
    loss_bbox=dict(type="SmoothL1Loss", beta=1.0),
    mining=dict(type="HardNegatives", neg_pos_ratio=3),
    normalizer=dict(type="BatchNormalizer"),
    postprocess=dict(type="NMSPostprocess", score_thr=0.01, topk_per_level=1000, iou_threshold=0.45, max_per_img=200),
)
