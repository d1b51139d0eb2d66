# NanoDet-m (RangiLyu/nanodet 0.x): ShuffleNetV2 1.0x, a pyramid of three levels, GFL's losses. 0.95 million parameters.
model = dict(
    type="OneStageDetector",
    data_preprocessor=dict(
        type="DetDataPreprocessor", mean=[103.53, 116.28, 123.675], std=[57.375, 57.12, 58.395], bgr_to_rgb=False
    ),
    backbone=dict(
        type="TorchvisionBackbone",
        model_name="shufflenet_v2_x1_0",
        act_cfg=dict(type="LeakyReLU", negative_slope=0.1),
        autocast=False,  # so small a network loses accuracy in bfloat16
        frozen_stages=0,
        norm_eval=False,
        weights="torchvision://shufflenet_v2_x1_0",
    ),
    neck=dict(type="NanoDetPAN", out_channels=96),
    bbox_head=dict(type="NanoDetHead", feat_channels=96, stacked_convs=2, autocast=False),
    # One square of 5 strides around each point (i + 0.5) * stride.
    anchor_generator=dict(
        type="AnchorGenerator", octave_base_scale=5, scales_per_octave=1, ratios=[1.0], center_offset=0.5
    ),
    assigner=dict(type="ATSSAssigner", topk=9, inside_margin=0.01, ignore_iof_thr=None),
    bbox_coder=dict(type="DistributionBBoxCoder", reg_max=7, margin=0.1, max_distance=None),
    normalizer=dict(type="BatchNormalizer", min_count_per_image=1),
    loss_cls=dict(type="QualityFocalLoss"),
    loss_bbox=dict(type="GIoULoss", loss_weight=2.0),
    loss_dfl=dict(type="DistributionFocalLoss"),
    bbox_weight=dict(type="ClassScore"),
    postprocess=dict(type="NMSPostprocess", score_thr=0.05, iou_threshold=0.6),
)
